/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream (stream.h) over a queue pair: registered frames, one completion queue with its
 * channel, RECVs kept posted. Both ends of a control connection. One thread at a time.
 * Its queue may serve other work too (READs of the slow path; the read pair's RECV at the
 * engine): completions whose wr_id is none of ours go to `other`.
 */
#ifndef DSM_LIB_RDMA_ENDPOINT_H
#define DSM_LIB_RDMA_ENDPOINT_H

#include "rdma/pages.h"
#include "rdma/rc.h"
#include "rdma/stream.h"

#define ENDPOINT_SENDS 64u          /* frames in flight */
#define ENDPOINT_RECVS STREAM_DEPTH
#define ENDPOINT_OURS ((uint64_t)1 << 63) /* set in wr_id of the endpoint's own work only */

struct endpoint {
	struct stream stream;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_qp *qp;          /* not ours to destroy */
	struct pages frames;        /* ENDPOINT_RECVS, then ENDPOINT_SENDS */
	uint64_t sends_free;        /* bit a send frame */
	uint32_t arrived[ENDPOINT_RECVS], arrived_bytes[ENDPOINT_RECVS]; /* RECVs not yet taken */
	uint32_t arrived_head, arrived_count;
	int broken;                 /* negative errno once the connection is gone */
	bool refused;               /* it went because this side's device refused what the peer wanted */
	void (*other)(void *context, const struct ibv_wc *wc);
	void *context;
};

/* Completion queue (for `more` completions of others beside its own), channel, buffers. Everything
 * is allocated here. */
int endpoint_init(struct endpoint *ep, struct ibv_context *verbs, struct ibv_pd *pd,
	size_t queue_bytes, uint32_t more);
/* The pair, in state INIT, made with ep->cq as both queues, sends >= ENDPOINT_SENDS and recvs =
 * ENDPOINT_RECVS. Posts all RECVs. */
int endpoint_bind(struct endpoint *ep, struct ibv_qp *qp);
/* Before that pair goes to RTS at the latest: what the peer can take. -EBADMSG. */
int endpoint_start(struct endpoint *ep, uint32_t peer_credits);
/* After the pair was destroyed. NULL-safe in all parts. */
void endpoint_free(struct endpoint *ep);

/* For poll(), level-triggered: readable while endpoint_recv() may have something. */
int endpoint_fd(const struct endpoint *ep);
/* One whole message. 0; -EAGAIN the queue is full; -EMSGSIZE; -ECONNRESET. */
int endpoint_send(struct endpoint *ep, const void *message, size_t bytes);
/* Its bytes; -EAGAIN nothing whole; -EBADMSG the peer breaks the rules (drop it), -EMSGSIZE;
 * -ECONNRESET. */
int endpoint_recv(struct endpoint *ep, void *message, size_t room);
/* Shows whether the peer is still there, if nothing is under way that does: what it does not acknowledge
 * breaks the connection within half a second. */
void endpoint_probe(struct endpoint *ep);
/* Sends what may leave, reaps completions; for a tick. 0 or -ECONNRESET. */
int endpoint_flush(struct endpoint *ep);

#endif
