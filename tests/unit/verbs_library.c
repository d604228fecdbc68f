/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_library.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/fixture.h"
#include "core/clock.h"
#include "core/directory.h"
#include "engine/table.h"

#define ATTACH_NS UINT64_C(5000000000)
#define TOKEN 0x5a

struct library library;

/* ---- libibverbs ---- */

#undef ibv_reg_mr
struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *at, size_t bytes, int access)
{
	(void)pd, (void)at, (void)bytes, (void)access;
	return &library.provider->mr;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *at, size_t bytes, uint64_t iova, unsigned access)
{
	(void)iova;
	return ibv_reg_mr(pd, at, bytes, (int)access);
}

int ibv_dereg_mr(struct ibv_mr *mr) { (void)mr; return 0; }

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	static struct ibv_pd pd;
	pd.context = context;
	return &pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd) { (void)pd; return 0; }

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
{
	(void)context;
	return &library.provider->channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel) { (void)channel; return 0; }

struct ibv_cq *ibv_create_cq(struct ibv_context *context, int entries, void *cq_context,
	struct ibv_comp_channel *channel, int vector)
{
	(void)context, (void)entries, (void)cq_context, (void)channel, (void)vector;
	return &library.provider->cq;
}

int ibv_destroy_cq(struct ibv_cq *cq) { (void)cq; return 0; }

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	(void)pd;
	if (init->cap.max_inline_data > library.inline_max) {
		library.refused++;
		errno = EINVAL;
		return NULL;
	}
	library.pairs++;
	library.inline_given = init->cap.max_inline_data;
	return &library.provider->qp;
}

int ibv_destroy_qp(struct ibv_qp *qp) { (void)qp; return 0; }

int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	(void)qp;
	if (mask & IBV_QP_ACCESS_FLAGS)
		library.access = attr->qp_access_flags;
	if (mask & IBV_QP_MAX_QP_RD_ATOMIC)
		library.starts = attr->max_rd_atomic;
	return 0;
}

int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	(void)qp, (void)mask;
	if (library.no_query)
		return EINVAL;
	attr->qp_access_flags = library.access | library.extra_access;
	attr->path_mtu = library.mtu;
	init->cap.max_inline_data = library.inline_given;
	return 0;
}

int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	(void)context;
	*attr = library.attr;
	return library.no_attr ? EIO : 0;
}

/* ---- librdmacm ---- */

static int say(enum rdma_cm_event_type type)
{
	library.event = (struct rdma_cm_event){ .id = &library.id, .event = type };
	library.pending = true;
	return 0;
}

int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
	enum rdma_port_space ps)
{
	(void)context, (void)ps;
	library.id.channel = channel;
	library.id.verbs = &library.provider->context;
	*id = &library.id;
	return 0;
}

int rdma_destroy_id(struct rdma_cm_id *id) { (void)id; return 0; }

int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int ms)
{
	(void)id, (void)from, (void)to;
	library.looked++;
	if ((unsigned)ms > library.looked_ms)
		library.looked_ms = (unsigned)ms;
	if (!library.unfound)
		return say(RDMA_CM_EVENT_ADDR_RESOLVED);
	library.unfound--;
	say(RDMA_CM_EVENT_ADDR_ERROR);
	library.event.status = -ETIMEDOUT;
	return 0;
}

int rdma_resolve_route(struct rdma_cm_id *id, int ms)
{
	(void)id, (void)ms;
	return say(RDMA_CM_EVENT_ROUTE_RESOLVED);
}

int rdma_init_qp_attr(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int *mask)
{
	(void)id;
	*mask = IBV_QP_STATE | (attr->qp_state == IBV_QPS_RTS ? IBV_QP_MAX_QP_RD_ATOMIC : 0);
	return 0;
}

/* The engine: takes it, and serves so many READs. */
int rdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	struct verbs_request request;
	struct verbs_reply reply = { .credits = 0 };
	(void)id;
	cr_assert_eq(verbs_get_request(param->private_data, param->private_data_len, &request), 0);
	library.asked = param->initiator_depth;
	reply.kind = request.kind;
	verbs_put_reply(library.private_data, &reply);
	say(RDMA_CM_EVENT_CONNECT_RESPONSE);
	library.event.param.conn = (struct rdma_conn_param){ .private_data = library.private_data,
		.private_data_len = sizeof(library.private_data), .initiator_depth = library.serves };
	return 0;
}

int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *address)
{
	(void)id, (void)address;
	return 0;
}

int rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	(void)id, (void)param;
	return 0;
}

int rdma_establish(struct rdma_cm_id *id) { (void)id; return 0; }

int rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event)
{
	(void)channel;
	if (!library.pending) {
		errno = EAGAIN;
		return -1;
	}
	library.pending = false;
	*event = &library.event;
	return 0;
}

int rdma_ack_cm_event(struct rdma_cm_event *event) { (void)event; return 0; }

/* ---- a connection ---- */

static void start_endpoint(struct scene *s)
{
	struct endpoint *ep = &s->conn->endpoint;
	cr_assert_eq(endpoint_init(ep, s->conn->verbs, s->conn->pd, 65536, 64), 0);
	cr_assert_eq(endpoint_bind(ep, &s->provider->qp), 0);
	cr_assert_eq(endpoint_start(ep, STREAM_DEPTH), 0);
	ep->other = verbs_watched;
	ep->context = s->conn;
	s->conn->control = (struct verbs_pair){ &library.control, &s->provider->qp };
}

static void make_region(struct scene *s)
{
	struct region_params params = { .tick_ms = 10, .lease_ms = 200, .started_ns = 1 };
	struct dsm_table *table;
	cr_assert_eq(fixture_table_of(FIXTURE_NETWORK, &table), 0);
	cr_assert_eq(table_finish(table), 0);
	cr_assert_eq(region_build(table, &params, &s->region), 0);
	dsm_table_free(&table);
	const struct region_header *h = s->region->header;
	s->base = malloc(h->banks_offset);
	memcpy(s->base, s->region->base, h->banks_offset);
	s->welcome = (struct control_welcome){ .session = 1, .owner = DSM_NONE, .generation = h->generation,
		.header_bytes = h->header_bytes, .directory_bytes = h->directory_bytes };
	s->keys = (struct control_keys){ .base_addr = (uintptr_t)s->base, .base_bytes = h->banks_offset,
		.base_rkey = 7 };
	memset(s->keys.token, TOKEN, sizeof(s->keys.token));
}

void scene_new(struct scene *s)
{
	static struct rdma_event_channel channel;
	memset(s, 0, sizeof(*s));
	s->provider = provider_new();
	library = (struct library){ .provider = s->provider, .inline_max = 400, .mtu = IBV_MTU_1024, .serves = 16,
		.attr = { .max_qp_rd_atom = 16, .max_qp_init_rd_atom = 16 } };
	make_region(s);
	struct transport_conn *c = s->conn = calloc(1, sizeof(*c));
	c->pid = getpid();
	c->own_owner = DSM_NONE;
	c->notify_timer = -1;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->deadline = clock_now(&clock_system) + ATTACH_NS;
	c->cm_verbs = c->verbs = &s->provider->context;
	channel.fd = s->provider->pipe[0];
	c->events = &channel;
	c->pd = ibv_alloc_pd(c->verbs);
	pthread_mutex_init(&c->control_lock, NULL);
	start_endpoint(s);
}

void scene_free(struct scene *s)
{
	region_free(&s->region);
	free(s->base);
	close(s->conn->epoll);
	provider_free(s->provider);
}

static void arrive(struct scene *s, const unsigned char *message, size_t bytes)
{
	unsigned char frame[VERBS_FRAME_MAX];
	struct verbs_frame head = { (uint32_t)bytes, FRAME_FIRST | FRAME_LAST, 0 };
	verbs_put_frame(frame, &head);
	memcpy(frame + VERBS_FRAME_HEAD, message, bytes);
	provider_arrive(s->provider, frame, (uint32_t)(VERBS_FRAME_HEAD + bytes));
}

void scene_keys(struct scene *s)
{
	unsigned char message[256];
	struct control_writer w;
	control_begin(&w, message, sizeof(message), CONTROL_KEYS);
	control_put_keys(&w, &s->keys);
	arrive(s, message, control_end(&w));
}

int scene_attach(struct scene *s)
{
	const void *directory;
	uint64_t bytes;
	int rc = verbs_enter_region(s->conn, &s->welcome, &directory, &bytes);
	if (rc == 0) {
		const struct region_header *h = verbs_header(s->conn);
		rc = view_init(&s->view, directory, bytes, h->banks_offset, h->region_bytes, h->waiters_bytes);
	}
	return rc ? rc : verbs_ready(s->conn, &s->view);
}

int scene_mapped(struct scene *s, const struct control_map *map, const struct control_bank *banks, uint32_t n)
{
	unsigned char message[1024];
	struct control_writer w;
	struct control_reader r;
	struct control_map got;
	control_begin(&w, message, sizeof(message), CONTROL_MAPPED);
	control_put_map(&w, map);
	for (uint32_t i = 0; i < n; i++)
		control_put_bank(&w, &banks[i]);
	cr_assert_eq(control_open(&r, message, control_end(&w)), 0);
	cr_assert_eq(control_get_map(&r, &got), 0);
	return verbs_mapped(s->conn, &got, &r);
}
