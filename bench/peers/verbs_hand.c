/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/verbs_hand.h"

#include "harness/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* As dsm connects (lib/rdma/rc.h), so that nothing but the program differs. */
#define ACK_TIMEOUT 14
#define RETRIES 4
#define RNR_RETRIES 6
#define READS_MAX 16
#define PATIENCE_NS UINT64_C(5000000000)
#define POLLS 4096u /* between two looks at the clock */

struct hand_ends { struct hand_end end[2]; }; /* 0: who reads and writes, 1: who sleeps */

/* ---- device ---- */

static bool port_has(struct ibv_context *context, uint8_t port, const union ibv_gid *want, int *index)
{
	struct ibv_port_attr attr;
	struct ibv_gid_entry entry;
	if (ibv_query_port(context, port, &attr))
		return false;
	for (int i = 0; i < attr.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(context, port, (uint32_t)i, &entry, 0) ||
		    memcmp(&entry.gid, want, sizeof(*want)) || entry.gid_type != IBV_GID_TYPE_ROCE_V2)
			continue;
		*index = i;
		return true;
	}
	return false;
}

static bool device_has(struct ibv_device *device, const union ibv_gid *want, struct hand_place *out)
{
	struct ibv_device_attr attr;
	struct ibv_context *context = ibv_open_device(device);
	bool found = false;
	if (!context)
		return false;
	if (!ibv_query_device(context, &attr)) {
		for (unsigned port = 1; !found && port <= attr.phys_port_cnt; port++) {
			found = port_has(context, (uint8_t)port, want, &out->gid_index);
			out->port = (uint8_t)port;
		}
	}
	snprintf(out->device, sizeof(out->device), "%s", ibv_get_device_name(device));
	ibv_close_device(context);
	return found;
}

/* ::ffff:a.b.c.d */
static int mapped(const char *address, union ibv_gid *gid)
{
	memset(gid, 0, sizeof(*gid));
	gid->raw[10] = gid->raw[11] = 0xff;
	return inet_pton(AF_INET, address, &gid->raw[12]) == 1 ? 0 : -EINVAL;
}

int hand_find(const char *address, struct hand_place *out)
{
	union ibv_gid want;
	int n = 0, rc = mapped(address, &want);
	if (rc)
		return rc;
	struct ibv_device **list = ibv_get_device_list(&n);
	rc = -ENODEV;
	for (int i = 0; list && rc && i < n; i++)
		rc = device_has(list[i], &want, out) ? 0 : -ENODEV;
	ibv_free_device_list(list);
	return rc;
}

static struct ibv_context *open_device(const char *name)
{
	int n = 0;
	struct ibv_context *context = NULL;
	struct ibv_device **list = ibv_get_device_list(&n);
	for (int i = 0; list && i < n; i++) {
		if (!strcmp(ibv_get_device_name(list[i]), name))
			context = ibv_open_device(list[i]);
	}
	ibv_free_device_list(list);
	return context;
}

/* ---- one end ---- */

static int make_memory(struct hand *h)
{
	h->memory = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->memory == MAP_FAILED) {
		h->memory = NULL;
		return -errno;
	}
	memset(h->memory, 0x5a, h->bytes);
	madvise(h->memory, h->bytes, MADV_DONTFORK);
	h->mr = ibv_reg_mr(h->pd, h->memory, h->bytes,
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	return h->mr ? 0 : -errno;
}

static int make_end(struct hand *h, const struct hand_place *place, struct hand_end *end)
{
	h->context = open_device(place->device);
	h->pd = h->context ? ibv_alloc_pd(h->context) : NULL;
	h->cq = h->pd ? ibv_create_cq(h->context, 4 * HAND_CHAIN, NULL, NULL, 0) : NULL;
	if (!h->cq)
		return errno ? -errno : -ENODEV;
	struct ibv_qp_init_attr init = { .send_cq = h->cq, .recv_cq = h->cq, .qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 2 * HAND_CHAIN, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 } };
	init.cap.max_inline_data = HAND_INLINE;
	h->qp = ibv_create_qp(h->pd, &init);
	h->inline_bytes = h->qp ? init.cap.max_inline_data : 0;
	if (!h->qp) { /* the device does not take so many */
		init.cap.max_inline_data = 0;
		h->qp = ibv_create_qp(h->pd, &init);
	}
	int rc = h->qp ? make_memory(h) : -errno;
	if (rc)
		return rc;
	if (ibv_query_gid(h->context, place->port, place->gid_index, &end->gid))
		return -EIO;
	end->qpn = h->qp->qp_num;
	end->rkey = h->mr->rkey;
	end->addr = (uintptr_t)h->memory;
	atomic_store(&end->ready, 1);
	return 0;
}

static int to_init(struct hand *h, uint8_t port)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = port,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE };
	return -ibv_modify_qp(h->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
		IBV_QP_ACCESS_FLAGS);
}

static int connect_end(struct hand *h, const struct hand_place *place, const struct hand_end *other)
{
	struct ibv_port_attr port;
	struct ibv_device_attr device;
	int rc = to_init(h, place->port);
	if (rc || ibv_query_port(h->context, place->port, &port) || ibv_query_device(h->context, &device))
		return rc ? rc : -EIO;
	uint8_t reads = (uint8_t)(device.max_qp_rd_atom < READS_MAX ? device.max_qp_rd_atom : READS_MAX);
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTR, .path_mtu = port.active_mtu,
		.dest_qp_num = other->qpn, .max_dest_rd_atomic = reads, .min_rnr_timer = 16,
		.ah_attr = { .is_global = 1, .port_num = place->port,
			.grh = { .dgid = other->gid, .sgid_index = (uint8_t)place->gid_index, .hop_limit = 64 } } };
	rc = ibv_modify_qp(h->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (rc)
		return -rc;
	attr = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS, .timeout = ACK_TIMEOUT, .retry_cnt = RETRIES,
		.rnr_retry = RNR_RETRIES, .max_rd_atomic = reads };
	return -ibv_modify_qp(h->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
		IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

static void free_end(struct hand *h)
{
	if (h->qp)
		ibv_destroy_qp(h->qp);
	if (h->mr)
		ibv_dereg_mr(h->mr);
	if (h->cq)
		ibv_destroy_cq(h->cq);
	if (h->pd)
		ibv_dealloc_pd(h->pd);
	if (h->context)
		ibv_close_device(h->context);
	if (h->memory)
		munmap(h->memory, h->bytes);
}

/* ---- the two processes ---- */

static int await_end(const struct hand_end *end)
{
	uint64_t deadline = bench_now_ns() + PATIENCE_NS;
	while (!atomic_load(&end->ready)) {
		if (bench_stop || bench_now_ns() > deadline)
			return bench_stop ? -EINTR : -ETIMEDOUT;
		bench_sleep_ns(1000000);
	}
	return 0;
}

static int sleeper(struct bench_shared *shared, void *arg)
{
	struct hand *h = arg;
	struct hand_place place;
	int rc = hand_find(h->address, &place);
	if (!rc)
		rc = make_end(h, &place, &h->ends->end[1]);
	if (!rc)
		rc = await_end(&h->ends->end[0]);
	if (!rc)
		rc = connect_end(h, &place, &h->ends->end[0]);
	atomic_store(&shared->ready, rc == 0);
	while (!rc && !bench_stop && !atomic_load(&shared->stop))
		bench_sleep_ns(50000000);
	free_end(h);
	return rc;
}

int hand_open(struct hand *h, const char *address, size_t bytes, int cpu, struct bench_run *out)
{
	struct hand_place place;
	memset(h, 0, sizeof(*h));
	h->bytes = bytes;
	h->address = address;
	h->ends = mmap(NULL, sizeof(*h->ends), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->ends == MAP_FAILED) {
		h->ends = NULL;
		return -errno;
	}
	struct hand there = *h; /* before anything of the device is here */
	int rc = hand_find(address, &place);
	if (!rc)
		rc = make_end(h, &place, &h->ends->end[0]);
	if (!rc)
		rc = bench_child_start(&h->child, cpu, sleeper, &there);
	if (!rc)
		rc = connect_end(h, &place, &h->ends->end[1]);
	return rc ? bench_why(out, rc, "a pair made by hand at %s: %s", address, strerror(-rc)) : 0;
}

void hand_close(struct hand *h)
{
	bench_child_stop(&h->child, NULL);
	free_end(h);
	if (h->ends)
		munmap(h->ends, sizeof(*h->ends));
	memset(h, 0, sizeof(*h));
}

/* ---- work ---- */

int hand_await(struct hand *h)
{
	struct ibv_wc wc;
	uint64_t deadline = 0;
	for (uint32_t i = 1;; i++) {
		int n = ibv_poll_cq(h->cq, 1, &wc);
		if (n)
			return n > 0 && wc.status == IBV_WC_SUCCESS ? 0 : -EIO;
		if (i % POLLS)
			continue;
		uint64_t now = bench_now_ns();
		deadline = deadline ? deadline : now + PATIENCE_NS;
		if (bench_stop || now > deadline)
			return bench_stop ? -EINTR : -EIO;
	}
}

int hand_post(struct hand *h, enum ibv_wr_opcode opcode, const struct hand_piece *pieces, unsigned n)
{
	struct ibv_send_wr wr[HAND_CHAIN], *bad;
	struct ibv_sge sge[HAND_CHAIN];
	const struct hand_end *there = &h->ends->end[1];
	for (unsigned i = 0; i < n; i++) {
		sge[i] = (struct ibv_sge){ (uintptr_t)h->memory + pieces[i].at, pieces[i].bytes, h->mr->lkey };
		wr[i] = (struct ibv_send_wr){ .next = i + 1 < n ? &wr[i + 1] : NULL, .sg_list = &sge[i],
			.num_sge = 1, .opcode = opcode, .send_flags = i + 1 < n ? 0 : IBV_SEND_SIGNALED,
			.wr.rdma = { there->addr + pieces[i].at, there->rkey } };
		if (opcode == IBV_WR_RDMA_WRITE && pieces[i].bytes <= h->inline_bytes)
			wr[i].send_flags |= IBV_SEND_INLINE; /* as the library does */
	}
	return ibv_post_send(h->qp, wr, &bad) ? -EIO : 0;
}

int hand_move(struct hand *h, enum ibv_wr_opcode opcode, const struct hand_piece *pieces, unsigned n)
{
	int rc = hand_post(h, opcode, pieces, n);
	return rc ? rc : hand_await(h);
}
