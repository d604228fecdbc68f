/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PULSE_AT (4096u - DSM_PULSE_BYTES)
#define RING_AT 4096u
#define GENERATION UINT64_C(0x1122334455667788)

static struct provider *of(const struct ibv_context *context)
{
	return (struct provider *)(uintptr_t)context; /* first member */
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct provider *p = of(qp->context);
	p->posts++;
	for (; wr; wr = wr->next) {
		if (p->refuse_posts || p->send_count == PROVIDER_QUEUE) {
			*bad = wr;
			return ENOMEM;
		}
		uint32_t at = (p->send_head + p->send_count++) % PROVIDER_QUEUE;
		p->sends[at].wr = *wr;
		p->sends[at].sge = wr->sg_list[0];
	}
	return 0;
}

static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct provider *p = of(qp->context);
	if (p->refuse_posts || p->recv_count == PROVIDER_QUEUE) {
		*bad = wr;
		return ENOMEM;
	}
	uint32_t at = (p->recv_head + p->recv_count++) % PROVIDER_QUEUE;
	p->recvs[at] = *wr;
	p->recv_sges[at] = wr->num_sge ? wr->sg_list[0] : (struct ibv_sge){ 0 };
	return 0;
}

/* Carries one out, or fails it. The bytes are brought over in both cases: a device that failed a READ
 * may have written to its buffer all the same. */
static int complete(struct provider *p, struct ibv_wc *wc)
{
	uint32_t at = p->send_head;
	struct ibv_send_wr *wr = &p->sends[at].wr;
	struct ibv_sge *sge = &p->sends[at].sge;
	p->send_head = (at + 1) % PROVIDER_QUEUE;
	p->send_count--;
	enum ibv_wc_status status = p->dead ? IBV_WC_WR_FLUSH_ERR : p->status;
	p->dead |= status != IBV_WC_SUCCESS;
	void *here = (void *)(uintptr_t)sge->addr, *there = (void *)(uintptr_t)wr->wr.rdma.remote_addr;
	if (wr->opcode == IBV_WR_RDMA_READ)
		memcpy(here, there, sge->length);
	else if (wr->opcode == IBV_WR_RDMA_WRITE && status == IBV_WC_SUCCESS)
		memcpy(there, here, sge->length);
	if (!(wr->send_flags & IBV_SEND_SIGNALED) && status == IBV_WC_SUCCESS)
		return 0;
	*wc = (struct ibv_wc){ .wr_id = wr->wr_id, .status = status, .byte_len = sge->length };
	return 1;
}

static int poll_cq(struct ibv_cq *cq, int room, struct ibv_wc *wc)
{
	struct provider *p = of(cq->context);
	int n = 0;
	if (p->side.wr_id && room) {
		wc[n++] = p->side;
		p->side.wr_id = 0;
	}
	while (n < room && p->send_count && !p->hold)
		n += complete(p, &wc[n]);
	for (; n < room && p->dead && p->recv_count; n++) {
		wc[n] = (struct ibv_wc){ .wr_id = p->recvs[p->recv_head].wr_id, .status = IBV_WC_WR_FLUSH_ERR };
		p->recv_head = (p->recv_head + 1) % PROVIDER_QUEUE;
		p->recv_count--;
	}
	return n;
}

static int req_notify(struct ibv_cq *cq, int solicited)
{
	(void)cq;
	(void)solicited;
	return 0;
}

void provider_arrive(struct provider *p, const void *frame, uint32_t bytes)
{
	/* turned into a SEND to ourselves whose completion is a RECV's: by the same queue */
	uint32_t at = (p->send_head + p->send_count++) % PROVIDER_QUEUE, r = p->recv_head;
	p->recv_head = (r + 1) % PROVIDER_QUEUE;
	p->recv_count--;
	memcpy((void *)(uintptr_t)p->recv_sges[r].addr, frame, bytes);
	p->sends[at].sge = (struct ibv_sge){ p->recv_sges[r].addr, bytes, 0 };
	p->sends[at].wr = (struct ibv_send_wr){ .wr_id = p->recvs[r].wr_id, .opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED };
}

void provider_side(struct provider *p, uint32_t qp_num, enum ibv_wc_status status)
{
	p->side = (struct ibv_wc){ .wr_id = VERBS_READ, .status = status, .qp_num = qp_num };
}

void provider_commit(struct provider *p, uint64_t seq, unsigned char fill)
{
	unsigned char *slot = p->bank + RING_AT + (seq % PROVIDER_K) * PROVIDER_SLOT;
	struct check_fields f = { seq, 1 | (uint64_t)PROVIDER_PAYLOAD << 32, 1000 + seq, seq };
	memset(slot, 0, PROVIDER_SLOT);
	memcpy(slot, &f, sizeof(f));
	memset(slot + DSM_SLOT_HEADER, fill, PROVIDER_PAYLOAD);
	uint64_t check = check_word(check_seed(GENERATION, 0), &f, slot + DSM_SLOT_HEADER, PROVIDER_PAYLOAD);
	memcpy(slot + sizeof(f), &check, sizeof(check));
	memcpy(p->bank + PULSE_AT, &seq, sizeof(seq));
}

/* A connection as it is after the attach, with the provider beneath all of its pairs. */
static void connect_to(struct provider *p)
{
	struct transport_conn *c = p->conn = calloc(1, sizeof(*c));
	c->pid = getpid();
	c->view = &p->view;
	c->header.generation = GENERATION;
	c->header.owner_count = 1;
	c->header.tick_ms = 10;
	c->small = VERBS_SMALL;
	c->own_owner = DSM_NONE;
	c->lines = calloc(1, sizeof(*c->lines));
	c->newest = calloc(1, sizeof(*c->newest));
	c->banks = calloc(1, sizeof(*c->banks));
	c->banks[0] = (struct verbs_bank){ (uintptr_t)p->bank, 1, 1, true };
	c->moved = calloc(1, sizeof(*c->moved));
	c->steps = calloc(1, sizeof(*c->steps));
	c->last_at = calloc(1, sizeof(*c->last_at));
	c->last = verbs_reserve(4096);
	c->large = verbs_reserve(4096);
	c->last_room = c->large_room = 4096;
	c->ring_pages = (struct pages){ verbs_reserve(16384), 16384, &p->mr, 0 };
	c->read.cq = c->write.cq = &p->cq;
	c->read.channel = c->write.channel = &p->channel;
	c->read.pair.qp = c->write.pair.qp = &p->qp;
	pthread_mutex_init(&c->control_lock, NULL);
	c->endpoint.broken = -ECONNRESET; /* no control connection here */
}

/* Each test is a process that ends with its connection, which there is no real device to close. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

struct provider *provider_new(void)
{
	struct provider *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);
	memset(p, 0, sizeof(*p));
	p->context.ops.poll_cq = poll_cq;
	p->context.ops.post_send = post_send;
	p->context.ops.post_recv = post_recv;
	p->context.ops.req_notify_cq = req_notify;
	p->qp.context = p->cq.context = p->mr.context = p->channel.context = &p->context;
	if (pipe2(p->pipe, O_NONBLOCK | O_CLOEXEC))
		abort();
	p->channel.fd = p->pipe[0];
	memcpy(p->pool, "\0g\0o", 5);
	p->group = (struct directory_group){ .name = 1, .slots = PROVIDER_K, .slot_bytes = PROVIDER_SLOT,
		.payload_bytes = PROVIDER_PAYLOAD, .ring_offset = RING_AT, .pulse_offset = PULSE_AT };
	p->owner = (struct directory_owner){ .name = 3, .flags = OWNER_NETWORK, .group_count = 1,
		.bank_bytes = sizeof(p->bank) };
	p->view = (struct view){ .owners = &p->owner, .groups = &p->group, .pool = p->pool,
		.owner_count = 1, .group_count = 1 };
	connect_to(p);
	return p;
}

void provider_free(struct provider *p)
{
	close(p->pipe[0]);
	close(p->pipe[1]);
	free(p);
}
