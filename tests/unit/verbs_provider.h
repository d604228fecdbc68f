/* SPDX-License-Identifier: Apache-2.0 */
/* A provider made by hand: an ibv_context whose operations copy memory, complete with the status
 * that a test wants, and leave in the buffer what must not be believed. For completions that no
 * real device can be made to show one by one; nothing else is proven with it. */
#ifndef DSM_TESTS_VERBS_PROVIDER_H
#define DSM_TESTS_VERBS_PROVIDER_H

#include "transport/verbs.h"

#define PROVIDER_K 4u
#define PROVIDER_PAYLOAD 64u
#define PROVIDER_SLOT 128u
#define PROVIDER_QUEUE 256u

struct provider {
	struct ibv_context context;
	struct ibv_qp qp;
	struct ibv_cq cq;
	struct ibv_mr mr;
	struct ibv_comp_channel channel;
	int pipe[2];
	/* posted and not completed */
	struct { struct ibv_send_wr wr; struct ibv_sge sge; } sends[PROVIDER_QUEUE];
	struct ibv_recv_wr recvs[PROVIDER_QUEUE];
	struct ibv_sge recv_sges[PROVIDER_QUEUE];
	uint32_t send_head, send_count, recv_head, recv_count, posts;
	enum ibv_wc_status status;  /* of what completes next; after an error all is flushed */
	bool dead, refuse_posts, hold;
	struct ibv_wc side;         /* comes next, and concerns no queue pair of ours; wr_id 0: none */
	/* the engine's memory */
	unsigned char bank[8192] __attribute__((aligned(64)));
	struct directory_group group;
	struct directory_owner owner;
	struct view view;
	struct transport_conn *conn;
	char pool[16];
};

struct provider *provider_new(void);
void provider_free(struct provider *p);
/* The engine's memory holds version `seq`, each byte of its payload `fill`. */
void provider_commit(struct provider *p, uint64_t seq, unsigned char fill);
/* One frame arrives in the oldest RECV. */
void provider_arrive(struct provider *p, const void *frame, uint32_t bytes);

/* A completion of another pair on the same queue: of a RECV that nothing was ever sent to. */
void provider_side(struct provider *p, uint32_t qp_num, enum ibv_wc_status status);

#endif
