/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"

#define LIMIT_MS 8000u

uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint32_t raw_promise = ENDPOINT_RECVS;

static void take_other(void *context, const struct ibv_wc *wc)
{
	struct raw *r = context;
	r->wc = *wc;
	r->has_wc = true;
}

static int dial_once(struct raw *r, const struct raw_key *key)
{
	uint32_t reads;
	memset(r, 0, sizeof(*r));
	r->request = (struct verbs_request){ .kind = VERBS_CONTROL, .credits = raw_promise };
	if (key)
		memcpy(r->request.key_id, key->id, KEY_ID_BYTES);
	int rc = rc_channel(&r->channel);
	if (rc == 0)
		rc = rc_resolve(r->channel, host, HOSTILE_PORT, LIMIT_MS, &r->id);
	if (rc)
		return rc;
	r->pd = ibv_alloc_pd(r->id->verbs);
	rc = pages_make(&r->buffer, r->pd, 65536, IBV_ACCESS_LOCAL_WRITE);
	if (rc == 0)
		rc = endpoint_init(&r->ep, r->id->verbs, r->pd, STREAM_QUEUE, 8);
	if (rc)
		return rc;
	r->ep.other = take_other;
	r->ep.context = r;
	struct rc_shape shape = { r->pd, r->ep.cq, r->ep.cq, ENDPOINT_SENDS + 4, ENDPOINT_RECVS, 0, 0 };
	rc = rc_make(r->id, &shape, &r->qp);
	if (rc == 0)
		rc = endpoint_bind(&r->ep, r->qp);
	if (rc == 0)
		rc = rc_connect(r->id, r->qp, &r->request, LIMIT_MS, &r->reply, &reads);
	return rc ? rc : endpoint_start(&r->ep, r->reply.credits);
}

int raw_dial(struct raw *r, const struct raw_key *key)
{
	int rc;
	for (uint64_t end = now_ms() + LIMIT_MS; (rc = dial_once(r, key)) == -EAGAIN && now_ms() < end; usleep(20000))
		raw_close(r);
	return rc;
}

int raw_hear(struct raw *r, void *message, size_t room, unsigned ms)
{
	uint64_t end = now_ms() + ms;
	do {
		int n = endpoint_recv(&r->ep, message, room);
		if (n != -EAGAIN)
			return n;
		usleep(1000);
	} while (now_ms() < end);
	return -ETIMEDOUT;
}

int raw_connect(struct raw *r, const struct raw_key *key)
{
	unsigned char message[VERBS_AUTH_BYTES], out[VERBS_AUTH_BYTES];
	size_t bytes;
	int rc = raw_dial(r, key);
	if (rc || !key)
		return rc;
	rc = verbs_auth_call(&r->auth, key->psk, &r->request, &r->reply, out);
	if (rc == 0)
		rc = endpoint_send(&r->ep, out, sizeof(out));
	int n = rc ? rc : raw_hear(r, message, sizeof(message), LIMIT_MS);
	rc = n < 0 ? n : verbs_auth_take(&r->auth, message, (size_t)n, out, &bytes);
	return rc ? rc : endpoint_send(&r->ep, out, bytes);
}

/* Waits for the next event of the CM. */
static struct rdma_cm_event *next_event(struct raw *r)
{
	struct rdma_cm_event *event;
	for (uint64_t end = now_ms() + LIMIT_MS; now_ms() < end; usleep(1000))
		if (rdma_get_cm_event(r->channel, &event) == 0)
			return event;
	return NULL;
}

int raw_ask(struct raw *r, const void *data, uint8_t bytes)
{
	memset(r, 0, sizeof(*r));
	int rc = rc_channel(&r->channel);
	if (rc == 0)
		rc = rc_resolve(r->channel, host, HOSTILE_PORT, LIMIT_MS, &r->id);
	if (rc)
		return rc;
	r->pd = ibv_alloc_pd(r->id->verbs);
	rc = endpoint_init(&r->ep, r->id->verbs, r->pd, STREAM_QUEUE, 8);
	struct rc_shape shape = { r->pd, r->ep.cq, r->ep.cq, 4, ENDPOINT_RECVS, 0, 0 };
	if (rc == 0)
		rc = rc_make(r->id, &shape, &r->qp);
	struct rdma_conn_param param = { .private_data = data, .private_data_len = bytes,
		.responder_resources = 1, .initiator_depth = 1, .retry_count = 4, .rnr_retry_count = 6 };
	param.qp_num = rc ? 0 : r->qp->qp_num;
	return rc ? rc : rdma_connect(r->id, &param) ? -errno : 0;
}

int raw_junk(struct raw *r, const void *data, uint8_t bytes)
{
	struct verbs_reject reject = { 0 };
	int rc = raw_ask(r, data, bytes);
	struct rdma_cm_event *event = rc ? NULL : next_event(r);
	if (!event)
		return rc ? rc : -ETIMEDOUT;
	if (event->event == RDMA_CM_EVENT_REJECTED)
		rc = verbs_get_reject(event->param.conn.private_data, event->param.conn.private_data_len, &reject) ?
			-EPROTO : reject.status;
	rdma_ack_cm_event(event);
	return rc;
}

static void side_close(struct side *s)
{
	rc_destroy(&s->qp);
	if (s->id)
		rdma_destroy_id(s->id);
	if (s->cq)
		ibv_destroy_cq(s->cq);
	*s = (struct side){ 0 };
}

void raw_close(struct raw *r)
{
	side_close(&r->side[0]);
	side_close(&r->side[1]);
	rc_destroy(&r->qp);
	endpoint_free(&r->ep);
	pages_free(&r->buffer);
	if (r->pd)
		ibv_dealloc_pd(r->pd);
	if (r->id)
		rdma_destroy_id(r->id);
	if (r->channel)
		rdma_destroy_event_channel(r->channel);
	memset(r, 0, sizeof(*r));
}

int raw_send(struct raw *r, struct control_writer *w)
{
	static unsigned char sealed[STREAM_MESSAGE_MAX];
	size_t bytes = control_end(w);
	if (r->auth.state == VERBS_AUTH_NONE)
		return endpoint_send(&r->ep, w->data, bytes);
	int rc = verbs_auth_seal(&r->auth, w->data, bytes, sealed);
	if (rc == 0)
		rc = endpoint_send(&r->ep, sealed, bytes + NOISE_TAG);
	if (rc == 0)
		verbs_auth_sent(&r->auth);
	return rc;
}

int raw_expect(struct raw *r, enum control_type type, unsigned ms, struct control_reader *in)
{
	static unsigned char sealed[STREAM_MESSAGE_MAX];
	uint64_t end = now_ms() + ms;
	do {
		int n = endpoint_recv(&r->ep, sealed, sizeof(sealed));
		if (n > 0 && r->auth.state == VERBS_AUTH_NONE)
			memcpy(r->message, sealed, (size_t)n < CONTROL_MAX ? (size_t)n : CONTROL_MAX);
		else if (n > 0)
			n = verbs_auth_open(&r->auth, sealed, (size_t)n, r->message, sizeof(r->message));
		if (n > 0 && control_open(in, r->message, (size_t)n) == 0 && in->type == type)
			return 0;
		if (n < 0 && n != -EAGAIN)
			return n;
		if (n == -EAGAIN)
			usleep(2000);
	} while (now_ms() < end);
	return -ETIMEDOUT;
}

int raw_hello(struct raw *r, const char *owner, uint32_t flags)
{
	struct control_hello h = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .flags = flags, .pid = 1 };
	struct control_writer w;
	struct control_reader in;
	static uint8_t next;
	h.client_id[0] = 0xbd;
	h.client_id[1] = ++next;
	snprintf(h.owner, sizeof(h.owner), "%s", owner);
	snprintf(h.program, sizeof(h.program), "hostile");
	control_begin(&w, r->message, sizeof(r->message), CONTROL_HELLO);
	control_put_hello(&w, &h);
	int rc = raw_send(r, &w);
	if (rc == 0)
		rc = raw_expect(r, CONTROL_WELCOME, LIMIT_MS, &in);
	if (rc == 0)
		rc = control_get_welcome(&in, &r->welcome);
	if (rc || r->welcome.status)
		return rc ? rc : r->welcome.status;
	rc = raw_expect(r, CONTROL_KEYS, LIMIT_MS, &in);
	return rc ? rc : control_get_keys(&in, &r->keys);
}

int raw_map(struct raw *r, uint32_t first, uint32_t count)
{
	struct control_map map = { first, count };
	struct control_writer w;
	struct control_reader in;
	control_begin(&w, r->message, sizeof(r->message), CONTROL_MAP);
	control_put_map(&w, &map);
	int rc = raw_send(r, &w);
	if (rc == 0)
		rc = raw_expect(r, CONTROL_MAPPED, LIMIT_MS, &in);
	if (rc == 0)
		rc = control_get_map(&in, &map);
	for (uint32_t i = 0; rc == 0 && i < count && i < 8; i++)
		rc = control_get_bank(&in, &r->bank[i]);
	return rc;
}

/* Makes the pair anew, just as it is connected, but with READs of its own that nobody granted. */
static int grant_reads(struct ibv_qp *qp)
{
	struct ibv_qp_attr a = { 0 }, reset = { .qp_state = IBV_QPS_RESET };
	struct ibv_qp_init_attr init;
	int rc = ibv_query_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		IBV_QP_RQ_PSN | IBV_QP_SQ_PSN | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_TIMEOUT |
		IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MIN_RNR_TIMER | IBV_QP_ACCESS_FLAGS, &init);
	a.max_dest_rd_atomic = a.max_rd_atomic = 4;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &reset, IBV_QP_STATE);
	a.qp_state = IBV_QPS_INIT;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	a.qp_state = IBV_QPS_RTR;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	a.qp_state = IBV_QPS_RTS;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
			IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
	return rc ? dsm__fail(-rc, "cannot grant READs: %s", strerror(rc)) : 0;
}

int raw_join(struct raw *r, enum verbs_kind kind, uint32_t session, const uint8_t *token)
{
	struct side *s = &r->side[kind - VERBS_READ];
	struct verbs_request request = { .kind = (uint16_t)kind, .session = session };
	struct verbs_reply reply;
	uint32_t reads;
	side_close(s);
	s->cq = ibv_create_cq(r->id->verbs, 16, NULL, NULL, 0);
	int rc = rc_resolve_to(r->channel, rdma_get_peer_addr(r->id), LIMIT_MS, &s->id);
	struct rc_shape shape = { r->pd, s->cq, s->cq, 4, 1, 0, 0 };
	if (rc == 0)
		rc = rc_make(s->id, &shape, &s->qp);
	if (rc == 0)
		verbs_proof(token, request.kind, session, s->qp->qp_num + r->proof_for, request.proof);
	if (rc == 0)
		rc = rc_connect(s->id, s->qp, &request, LIMIT_MS, &reply, &reads);
	if (rc == 0 && kind == VERBS_WRITE)
		rc = grant_reads(s->qp);
	if (rc)
		side_close(s);
	return rc;
}

enum ibv_wc_status raw_work(struct raw *r, enum verbs_kind kind, enum ibv_wr_opcode opcode,
	uint64_t addr, uint32_t rkey, uint32_t bytes)
{
	/* every other message wakes nobody at the engine */
	static bool quiet;
	quiet = opcode == IBV_WR_SEND && !quiet;
	struct side *s = kind == VERBS_CONTROL ? NULL : &r->side[kind - VERBS_READ];
	struct ibv_sge sge = { (uintptr_t)r->buffer.at, bytes, r->buffer.mr->lkey };
	struct ibv_send_wr wr = { .wr_id = 7, .sg_list = &sge, .num_sge = 1, .opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED | (quiet ? 0 : IBV_SEND_SOLICITED) };
	struct ibv_send_wr *bad;
	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
		wr.wr.atomic.swap = UINT64_C(0xeeeeeeeeeeeeeeee); /* what is 0 */
	} else {
		wr.wr.rdma.remote_addr = addr;
		wr.wr.rdma.rkey = rkey;
	}
	r->has_wc = false;
	if ((s && !s->qp) || ibv_post_send(s ? s->qp : r->qp, &wr, &bad))
		return IBV_WC_GENERAL_ERR;
	for (uint64_t end = now_ms() + LIMIT_MS; now_ms() < end && !r->has_wc;) {
		if (s)
			r->has_wc = ibv_poll_cq(s->cq, 1, &r->wc) == 1 && r->wc.wr_id == 7;
		else
			endpoint_flush(&r->ep);
	}
	return r->has_wc ? r->wc.status : IBV_WC_GENERAL_ERR;
}

bool raw_cut(struct raw *r, unsigned ms)
{
	struct control_reader in;
	struct rdma_cm_id *id;
	struct verbs_frame nothing = { 0 };
	for (uint64_t end = now_ms() + ms, ask = now_ms() + 500; now_ms() < end;) {
		int rc = raw_expect(r, CONTROL_TYPE_END, 10, &in);
		if (rc != -ETIMEDOUT)
			return true;
		if (rc_event(r->channel, &id) == -ECONNRESET && id == r->id)
			return true;
		if (now_ms() < ask)
			continue;
		/* the kernel says good-bye once only; if that was lost, no pair is there to take a message */
		ask = now_ms() + 500;
		verbs_put_frame(r->buffer.at, &nothing);
		if (raw_work(r, VERBS_CONTROL, IBV_WR_SEND, 0, 0, VERBS_FRAME_HEAD) != IBV_WC_SUCCESS)
			return true;
	}
	return false;
}
