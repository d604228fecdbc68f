/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of one reliably connected queue pair under the RDMA CM. The pair is made and moved
 * through its states here and not by librdmacm (id->qp stays NULL), because librdmacm and the
 * kernel set REMOTE_WRITE by themselves: what the other side may do is ours to say. No dsm policy.
 */
#ifndef DSM_LIB_RDMA_RC_H
#define DSM_LIB_RDMA_RC_H

#include <stdbool.h>
#include <stdint.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "wire/verbs.h"

#define RC_ACK_TIMEOUT 14           /* 4.096 µs << 14 = 67 ms; shorter is below a slow network's round trip */
#define RC_RETRIES 4                /* death shows in about half a second */
#define RC_RNR_RETRIES 6            /* finite: a peer without RECVs must not hold us */
#define RC_READS_MAX 16u            /* READs outstanding on one pair, if the devices can */

/* What a queue pair is to be like. */
struct rc_shape {
	struct ibv_pd *pd;
	struct ibv_cq *send_cq, *recv_cq;
	uint32_t sends, recvs;      /* work requests outstanding */
	int access;                 /* what the other side may do: 0, IBV_ACCESS_REMOTE_READ, … */
	uint32_t inline_bytes;      /* wanted; what was got is for rc_inline() */
};

/* Makes the pair in state INIT: RECVs can be posted. */
int rc_make(struct rdma_cm_id *id, const struct rc_shape *shape, struct ibv_qp **out);
/* The longest work request that the device takes its data from at once; 0 none. */
uint32_t rc_inline(struct ibv_qp *qp);
/* NULL-safe. With the pair in error first, so that nothing of the peer's arrives any more. */
void rc_destroy(struct ibv_qp **qp);
/* Changes what the other side may do, of a connected pair, and asks whether it is so. */
int rc_set_access(struct ibv_qp *qp, int access);
/* -EPROTO if the pair allows anything else than exactly `access` (remote bits compared). */
int rc_check_access(struct ibv_qp *qp, int access);

/* Both sides: INIT to RTR to RTS with our own times and limits (the CM's are for slow fabrics).
 * READs at a time that the peer may start, and that we may. */
int rc_up(struct rdma_cm_id *id, struct ibv_qp *qp, uint8_t serves, uint8_t starts);

/* ---- who is called ---- */
/* On RDMA_CM_EVENT_CONNECT_REQUEST, after rc_make() and posting of RECVs: INIT to RTS, accept.
 * `asked` = the event's param.conn. ESTABLISHED follows, then rc_check_access(). `reads` is how
 * many READs of the peer are served at a time at most. */
int rc_accept(struct rdma_cm_id *id, struct ibv_qp *qp, const struct rdma_conn_param *asked,
	uint8_t reads, const struct verbs_reply *reply);
void rc_reject(struct rdma_cm_id *id, int status, const char *text);

/* ---- who calls: blocking, bounded by timeout_ms ---- */
/* An id with address and route resolved; -ENOENT, -EHOSTUNREACH, -ENODEV no RDMA device leads
 * there, -ETIMEDOUT. `channel` is not blocking (rc_channel()). */
int rc_channel(struct rdma_event_channel **out);
int rc_resolve(struct rdma_event_channel *channel, const char *host, uint16_t port,
	uint32_t timeout_ms, struct rdma_cm_id **out);
/* The same to an address that is known. */
int rc_resolve_to(struct rdma_event_channel *channel, struct sockaddr *to, uint32_t timeout_ms,
	struct rdma_cm_id **out);
/* Connects, pair to RTS. *reads: how many READs may be outstanding. -ECONNREFUSED nobody listens;
 * a REJ of ours gives its status with its text. */
int rc_connect(struct rdma_cm_id *id, struct ibv_qp *qp, const struct verbs_request *request,
	uint32_t timeout_ms, struct verbs_reply *reply, uint32_t *reads);
/* At least one: 0 is no time at all. */
static inline uint32_t rc_ms_left(uint64_t now, uint64_t deadline)
{
	return now < deadline ? (uint32_t)((deadline - now) / 1000000u) + 1 : 1;
}
/* The next event of connected ids, not blocking. -EAGAIN there is none; 0 one that does not matter;
 * -ECONNRESET *id was disconnected; -ESHUTDOWN its device is being removed: release everything on it
 * at once, the removal waits for it. *id may be compared, and is not to be used. */
int rc_event(struct rdma_event_channel *channel, struct rdma_cm_id **id);

/* May the CM send? Not while the port is down, nor shortly after trouble, because routes leave before
 * the port says so: a CM of Linux 6.1 over rxe that sends where no route is connects nobody on that
 * host any more. Destroying a connected id sends. `trouble_ns`: when there was trouble last. */
#define RC_SILENCE_NS UINT64_C(200000000)
bool rc_may_speak(struct ibv_context *verbs, uint8_t port, uint64_t now, uint64_t *trouble_ns);

/* A completion's status as negative errno: what a caller may do next depends on nothing else. */
int rc_wc_error(enum ibv_wc_status status);

#endif
