/* SPDX-License-Identifier: Apache-2.0 */
/* A client over RDMA that speaks by hand: what a well-behaved one never would. */
#ifndef DSM_TESTS_HOSTILE_H
#define DSM_TESTS_HOSTILE_H

#include <stdbool.h>

#include <dsm/engine.h>

#include "rdma/endpoint.h"
#include "rdma/rc.h"
#include "wire/control.h"

/* A queue pair with a completion queue and a buffer of its own. */
struct side {
	struct rdma_cm_id *id;
	struct ibv_qp *qp;
	struct ibv_cq *cq;
};

struct raw {
	struct rdma_event_channel *channel;
	struct ibv_pd *pd;
	struct pages buffer;
	struct rdma_cm_id *id;
	struct ibv_qp *qp;
	struct endpoint ep;
	struct side side[2];        /* read, write */
	struct ibv_wc wc;           /* last completion of other work on the control pair */
	bool has_wc;
	struct control_welcome welcome;
	struct control_keys keys;
	struct control_bank bank[8];
	unsigned char message[CONTROL_MAX];
};

/* All are bounded by a few seconds; negative errno as the library's. */
int raw_connect(struct raw *r, const char *host, uint16_t port);
void raw_close(struct raw *r);
int raw_send(struct raw *r, struct control_writer *w);
/* The next message of `type` (others are passed over); 0 with r->message and *in; -ETIMEDOUT,
 * -ECONNRESET. */
int raw_expect(struct raw *r, enum control_type type, unsigned ms, struct control_reader *in);
/* HELLO to WELCOME (whose status is returned) and KEYS. */
int raw_hello(struct raw *r, const char *owner, uint32_t flags);
int raw_map(struct raw *r, uint32_t first, uint32_t count);
/* The read or write pair, as this session and token. */
int raw_join(struct raw *r, enum verbs_kind kind, uint32_t session, const uint8_t *token);
/* One piece of work; its completion's status. Data is at r->buffer.at. */
enum ibv_wc_status raw_work(struct raw *r, enum verbs_kind kind, enum ibv_wr_opcode opcode,
	uint64_t addr, uint32_t rkey, uint32_t bytes);
/* True once the engine has cut the connection off. */
bool raw_cut(struct raw *r, unsigned ms);

/* ---- counting ---- */
bool check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t now_ms(void);

#endif
