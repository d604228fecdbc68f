/* SPDX-License-Identifier: Apache-2.0 */
#include "rdma/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/error.h"

#define RECV_BIT ((uint64_t)1 << 32)    /* of wr_id: else a SEND */
#define POLL_A_TIME 16
#define POLLS_MAX 64
#define TURNS_MAX 8

static int lost(struct endpoint *ep, int error)
{
	if (!ep->broken)
		ep->broken = error;
	return ep->broken;
}

int endpoint_init(struct endpoint *ep, struct ibv_context *verbs, struct ibv_pd *pd,
	size_t queue_bytes, uint32_t more)
{
	*ep = (struct endpoint){ .sends_free = UINT64_MAX };
	_Static_assert(ENDPOINT_SENDS == 64, "one bit each");
	if (stream_init(&ep->stream, queue_bytes))
		return dsm__fail(-ENOMEM, "no memory for a connection's messages");
	int rc = pages_make(&ep->frames, pd, (uint64_t)VERBS_FRAME_MAX * (ENDPOINT_RECVS + ENDPOINT_SENDS),
		IBV_ACCESS_LOCAL_WRITE);
	if (rc == 0) {
		ep->channel = ibv_create_comp_channel(verbs);
		if (ep->channel)
			ep->cq = ibv_create_cq(verbs, (int)(ENDPOINT_RECVS + ENDPOINT_SENDS + more), NULL,
				ep->channel, 0);
		int flags = ep->channel ? fcntl(ep->channel->fd, F_GETFL) : -1;
		if (!ep->cq || flags < 0 || fcntl(ep->channel->fd, F_SETFL, flags | O_NONBLOCK))
			rc = dsm__fail(errno ? -errno : -ENOMEM, "rdma: cannot make a completion queue: %s",
				strerror(errno));
	}
	if (rc)
		endpoint_free(ep);
	return rc;
}

void endpoint_free(struct endpoint *ep)
{
	if (ep->cq)
		ibv_destroy_cq(ep->cq);
	if (ep->channel)
		ibv_destroy_comp_channel(ep->channel);
	pages_free(&ep->frames);
	stream_free(&ep->stream);
	*ep = (struct endpoint){ .broken = -ECONNRESET };
}

static unsigned char *frame_at(const struct endpoint *ep, uint32_t index)
{
	return ep->frames.at + (size_t)VERBS_FRAME_MAX * index;
}

static int post_recv(struct endpoint *ep, uint32_t index)
{
	struct ibv_sge sge = { (uintptr_t)frame_at(ep, index), VERBS_FRAME_MAX, ep->frames.mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = ENDPOINT_OURS | RECV_BIT | index, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;
	return ibv_post_recv(ep->qp, &wr, &bad) ? lost(ep, -ECONNRESET) : 0;
}

int endpoint_bind(struct endpoint *ep, struct ibv_qp *qp)
{
	ep->qp = qp;
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < ENDPOINT_RECVS; i++)
		rc = post_recv(ep, i);
	/* only what the peer marks as solicited (each frame) and what fails wakes us, not our own SENDs */
	if (rc == 0 && ibv_req_notify_cq(ep->cq, 1))
		rc = lost(ep, -EIO);
	return rc ? dsm__fail(rc, "rdma: cannot prepare the control connection") : 0;
}

/* ---- sending ---- */

/* One frame of the stream's making; false if there is none. */
static bool send_frame(struct endpoint *ep, size_t make(struct stream *s, unsigned char *frame))
{
	if (ep->broken || !ep->sends_free)
		return false;
	uint32_t i = (uint32_t)__builtin_ctzll(ep->sends_free);
	unsigned char *frame = frame_at(ep, ENDPOINT_RECVS + i);
	size_t bytes = make(&ep->stream, frame);
	if (bytes == 0)
		return false;
	struct ibv_sge sge = { (uintptr_t)frame, (uint32_t)bytes, ep->frames.mr->lkey };
	struct ibv_send_wr wr = { .wr_id = ENDPOINT_OURS | i, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED };
	struct ibv_send_wr *bad;
	if (ibv_post_send(ep->qp, &wr, &bad))
		lost(ep, -ECONNRESET);
	else
		ep->sends_free &= ~((uint64_t)1 << i);
	return true;
}

static void send_frames(struct endpoint *ep)
{
	while (send_frame(ep, stream_next))
		;
}

/* ---- completions ---- */

static void completed(struct endpoint *ep, const struct ibv_wc *wc)
{
	uint32_t i = (uint32_t)wc->wr_id;
	if (!(wc->wr_id & ENDPOINT_OURS)) {
		if (ep->other)
			ep->other(ep->context, wc);
	} else if (wc->status != IBV_WC_SUCCESS) {
		/* a pair that is left alone fails by its own SEND, which comes first, or by what its peer did */
		ep->refused |= !ep->broken && (wc->wr_id & RECV_BIT);
		lost(ep, rc_wc_error(wc->status) == -ETIMEDOUT ? -ETIMEDOUT : -ECONNRESET);
	} else if (!(wc->wr_id & RECV_BIT)) {
		ep->sends_free |= (uint64_t)1 << (i % ENDPOINT_SENDS);
	} else if (i < ENDPOINT_RECVS && ep->arrived_count < ENDPOINT_RECVS) {
		uint32_t at = (ep->arrived_head + ep->arrived_count++) % ENDPOINT_RECVS;
		ep->arrived[at] = i;
		ep->arrived_bytes[at] = wc->byte_len;
	}
}

static void reap(struct endpoint *ep)
{
	struct ibv_wc wc[POLL_A_TIME];
	for (int i = 0; i < POLLS_MAX && ep->cq; i++) {
		int n = ibv_poll_cq(ep->cq, POLL_A_TIME, wc);
		if (n < 0)
			lost(ep, -EIO);
		for (int k = 0; k < n; k++)
			completed(ep, &wc[k]);
		if (n < POLL_A_TIME)
			return;
	}
}

/* Takes the channel's event, if there is one, and asks for the next: then whatever came in between
 * must be looked for again. Before it is taken the descriptor stays readable. */
static bool rearm(struct endpoint *ep)
{
	struct ibv_cq *cq;
	void *context;
	if (!ep->channel || ibv_get_cq_event(ep->channel, &cq, &context))
		return false;
	ibv_ack_cq_events(cq, 1);
	if (ibv_req_notify_cq(ep->cq, 1))
		lost(ep, -EIO);
	return true;
}

/* ---- both ---- */

int endpoint_start(struct endpoint *ep, uint32_t peer_credits)
{
	return stream_start(&ep->stream, peer_credits);
}

int endpoint_fd(const struct endpoint *ep)
{
	return ep->channel->fd;
}

int endpoint_flush(struct endpoint *ep)
{
	reap(ep);
	send_frames(ep);
	return ep->broken;
}

void endpoint_probe(struct endpoint *ep)
{
	if (!~ep->sends_free)
		send_frame(ep, stream_empty);
}

int endpoint_send(struct endpoint *ep, const void *message, size_t bytes)
{
	if (ep->broken)
		return ep->broken;
	int rc = stream_put(&ep->stream, message, bytes);
	int flushed = endpoint_flush(ep);
	return rc ? rc : flushed;
}

/* The oldest frame that came; its bytes if a message is whole with it. */
static int take_frame(struct endpoint *ep, void *message, size_t room)
{
	uint32_t at = ep->arrived_head, index = ep->arrived[at];
	ep->arrived_head = (at + 1) % ENDPOINT_RECVS;
	ep->arrived_count--;
	int rc = stream_take(&ep->stream, frame_at(ep, index), ep->arrived_bytes[at]);
	if (rc < 0)
		return lost(ep, rc);
	if (rc == 1) {
		rc = (int)ep->stream.message_bytes;
		if (ep->stream.message_bytes > room)
			rc = -EMSGSIZE;
		else
			memcpy(message, ep->stream.message, ep->stream.message_bytes);
	}
	if (!ep->broken && post_recv(ep, index) == 0)
		stream_posted(&ep->stream);
	return rc;
}

int endpoint_recv(struct endpoint *ep, void *message, size_t room)
{
	uint32_t turns = 0;
	do {
		reap(ep);
		int rc = 0;
		while (ep->arrived_count && rc == 0)
			rc = take_frame(ep, message, room);
		send_frames(ep); /* credits came, or are owed */
		if (rc)
			return rc;
		if (ep->broken)
			return ep->broken;
		/* a peer that never stops must not keep us here: the descriptor stays readable */
	} while (++turns < TURNS_MAX && rearm(ep));
	return -EAGAIN;
}
