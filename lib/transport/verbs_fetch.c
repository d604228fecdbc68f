/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: posting and reaping for the handle's thread. Memory that a posted READ may still write to
 * is never looked at or posted again before that READ was reaped: the ticket of the last post is
 * remembered, also over an attempt that ran out of time. */
#include <poll.h>
#include <string.h>

#include "core/clock.h"
#include "core/error.h"
#include "transport/verbs.h"

#define SLICE_MS 10                 /* of sleep, then a look at `gone` */
#define PIECE_NS UINT64_C(1000000000)
#define HALF (VERBS_BOUNCE / 2 / VERBS_PIECE) /* pieces: one half is copied while the other fills */

/* So many looks at an empty queue take about VERBS_SPIN_NS: later no clock is needed. */
void verbs_calibrate(struct transport_conn *conn)
{
	struct ibv_wc wc;
	uint32_t looks = 0;
	uint64_t start = clock_now(&clock_system), now = start;
	while (now - start < VERBS_SPIN_NS && looks < 1000000) {
		for (int i = 0; i < 16; i++)
			if (ibv_poll_cq(conn->read.cq, 1, &wc) < 0)
				break;
		looks += 16;
		now = clock_now(&clock_system);
	}
	conn->spins = looks;
}

/* Takes what has completed. Work completes in the order of posting, so one number says all. */
static int reap(struct transport_conn *conn, struct verbs_queue *queue)
{
	struct ibv_wc wc[8];
	int n = ibv_poll_cq(queue->cq, 8, wc);
	if (n < 0)
		return verbs_lost(conn, -EIO);
	for (int i = 0; i < n; i++) {
		if (wc[i].status != IBV_WC_SUCCESS) {
			int error = rc_wc_error(wc[i].status);
			if (queue == &conn->write) { /* perhaps only a role that was given away */
				atomic_store(&conn->write_broken, error);
				return -ENOTCONN;
			}
			return verbs_lost(conn, error);
		}
		if (wc[i].wr_id > queue->done)
			queue->done = wc[i].wr_id;
	}
	return 0;
}

static int sleep_for(struct transport_conn *conn, struct verbs_queue *queue, uint64_t ticket, uint64_t ns)
{
	uint64_t looked = clock_now(&clock_system), heard = 0;
	for (;;) {
		struct ibv_cq *cq;
		void *context;
		/* armed first, looked at again after: what completes in between is not missed */
		if (ibv_req_notify_cq(queue->cq, 0))
			return verbs_lost(conn, -EIO);
		int rc = reap(conn, queue);
		if (rc || queue->done >= ticket)
			return rc;
		heard += clock_heard(&clock_system, &looked);
		if (heard > ns)
			return -EAGAIN;
		struct pollfd p = { queue->channel->fd, POLLIN, 0 };
		poll(&p, 1, SLICE_MS); /* in slices, because the connection may be lost meanwhile */
		while (ibv_get_cq_event(queue->channel, &cq, &context) == 0)
			ibv_ack_cq_events(cq, 1);
		if (atomic_load_explicit(&conn->gone, memory_order_relaxed) ||
		    atomic_load_explicit(&conn->broken, memory_order_relaxed))
			return -ENOTCONN;
	}
}

int verbs_await(struct transport_conn *conn, struct verbs_queue *queue, uint64_t ticket, uint64_t ns)
{
	for (uint32_t i = 0; queue->done < ticket; i++) {
		int rc = reap(conn, queue);
		if (rc)
			return rc;
		if (i >= conn->spins && queue->done < ticket)
			return sleep_for(conn, queue, ticket, ns);
	}
	return 0;
}

int verbs_post_reads(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n,
	uint32_t lkey, uint64_t *ticket)
{
	struct ibv_send_wr wr[VERBS_CHAIN], *bad;
	struct ibv_sge sge[VERBS_CHAIN];
	for (uint32_t i = 0; i < n; i++) {
		sge[i] = (struct ibv_sge){ (uintptr_t)spans[i].at, spans[i].bytes, lkey };
		wr[i] = (struct ibv_send_wr){ .wr_id = conn->read.posted + 1,
			.next = i + 1 < n ? &wr[i + 1] : NULL, .sg_list = &sge[i], .num_sge = 1,
			.opcode = IBV_WR_RDMA_READ, .send_flags = i + 1 < n ? 0 : IBV_SEND_SIGNALED,
			.wr.rdma = { spans[i].remote, spans[i].rkey } };
	}
	if (ibv_post_send(conn->read.pair.qp, wr, &bad))
		return verbs_lost(conn, -EIO);
	*ticket = ++conn->read.posted;
	return 0;
}

int verbs_fetch(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n, uint32_t lkey)
{
	uint64_t ticket;
	int rc = verbs_await(conn, &conn->read, conn->read.posted, VERBS_ATTEMPT_NS);
	if (rc == 0)
		rc = verbs_post_reads(conn, spans, n, lkey, &ticket);
	return rc ? rc : verbs_await(conn, &conn->read, ticket, VERBS_ATTEMPT_NS);
}

int verbs_fetch_attaching(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n, uint32_t lkey)
{
	int rc;
	do {
		rc = verbs_fetch(conn, spans, n, lkey);
	} while (rc == -EAGAIN && clock_now(&clock_system) < conn->deadline);
	return rc;
}

/* Posts pieces of the half `half`; their bytes. */
static int post_half(struct transport_conn *conn, uint64_t remote, uint32_t rkey, uint64_t bytes,
	uint32_t half, uint64_t *posted, uint64_t *ticket)
{
	struct verbs_span spans[HALF];
	uint32_t n = 0;
	*posted = 0;
	for (; n < HALF && *posted < bytes; n++) {
		uint64_t left = bytes - *posted;
		uint32_t piece = (uint32_t)(left < VERBS_PIECE ? left : VERBS_PIECE);
		spans[n] = (struct verbs_span){ remote + *posted, rkey, piece,
			conn->bounce.at + (half * HALF + n) * VERBS_PIECE };
		*posted += piece;
	}
	return n ? verbs_post_reads(conn, spans, n, conn->bounce.mr->lkey, ticket) : 0;
}

int verbs_fetch_large(struct transport_conn *conn, uint64_t remote, uint32_t rkey, uint64_t bytes,
	unsigned char *to)
{
	uint64_t ticket[2] = { 0, 0 }, posted[2] = { 0, 0 }, asked = 0, got = 0;
	int rc = verbs_await(conn, &conn->read, conn->read.posted, PIECE_NS);
	for (uint32_t half = 0; rc == 0 && half < 2; half++) {
		rc = post_half(conn, remote + asked, rkey, bytes - asked, half, &posted[half], &ticket[half]);
		asked += posted[half];
	}
	for (uint32_t half = 0; rc == 0 && got < bytes; half ^= 1) {
		rc = verbs_await(conn, &conn->read, ticket[half], PIECE_NS);
		if (rc)
			break;
		memcpy(to + got, conn->bounce.at + half * HALF * VERBS_PIECE, posted[half]);
		got += posted[half];
		rc = post_half(conn, remote + asked, rkey, bytes - asked, half, &posted[half], &ticket[half]);
		asked += posted[half];
	}
	return rc;
}
