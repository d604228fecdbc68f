/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client over RDMA. It has a control pair (messages, and READs of the header once HELLO was
 * accepted), a read pair and, as owner, a write pair in a protection domain of its own. Every
 * number that comes in is a stranger's; the keys that go out open what the directory says and no more.
 */
#include <errno.h>
#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "core/error.h"
#include "engine/verbs.h"

#define SIDE_WORK 8u        /* completions of read and write pairs, old ones of closed pairs included */

static struct remote *of(struct session *s)
{
	return (struct remote *)s;
}

static struct pair *pair_of(struct remote *r, enum verbs_kind kind)
{
	return &r->pairs[kind - 1];
}

void pair_close(struct pair *p)
{
	struct remote *r = p->remote;
	rc_destroy(&p->qp);
	if (p->id)
		device_bye(r->session.engine, r->device, p->id, r->ep.broken);
	p->id = NULL;
}

/* ---- operations of a session ---- */

static int remote_send(struct session *s, const void *message, size_t bytes)
{
	return remote_say(of(s), message, bytes);
}

/* The RECV on a read or write pair is there to be flushed when the pair fails: nothing is ever
 * sent on these. What a closed pair left in the queue carries another number. */
static void side_completion(void *context, const struct ibv_wc *wc)
{
	struct remote *r = context;
	for (unsigned kind = VERBS_READ; kind <= VERBS_WRITE; kind++) {
		const struct pair *p = pair_of(r, kind);
		r->violated |= p->qp && p->qp->qp_num == wc->qp_num;
	}
}

/* By any of its pairs. A device that goes away flushes everything. */
static bool has_violated(const struct remote *r)
{
	return !r->device->gone && (r->violated || r->ep.refused);
}

/* The counter has them all; one host that goes on and on must not keep the others out of the log. */
static int violation(struct remote *r)
{
	struct dsm_engine *e = r->session.engine;
	struct verbs *v = e->verbs;
	uint64_t now = clock_now(e->clock);
	region_count(e->region, COUNTER_PROTECTION_ERRORS, 1);
	if (now - v->accused_ns > VERBS_ACCUSE_NS) {
		sources_forget(&v->accused);
		v->accused_ns = now;
	}
	if (sources_take(&v->accused, r->host, VERBS_ACCUSE_MAX, VERBS_ACCUSE_SOURCE))
		engine_log(e, "rdma: client %s (%s) was cut off: it reached where it may not", r->address, r->session.program);
	return -EACCES;
}

static int remote_receive(struct session *s, void *message, size_t room)
{
	struct remote *r = of(s);
	int rc = remote_hear(r, message, room);
	if (has_violated(r))
		return violation(r);
	if (rc == -EBADMSG || rc == -EMSGSIZE)
		region_count(s->engine->region, COUNTER_BAD_MESSAGES, 1);
	return rc;
}

static void remote_address(const struct session *s, char *text, size_t size)
{
	snprintf(text, size, "%s", ((const struct remote *)s)->address);
}

static int remote_admit(struct session *s)
{
	return device_base(s->engine, of(s)->device);
}

static int remote_grant(struct session *s, uint32_t owner)
{
	struct remote *r = of(s);
	struct region *region = s->engine->region;
	const struct directory_owner *o = &region->view.owners[owner];
	r->own_pd = ibv_alloc_pd(r->device->verbs);
	if (r->own_pd)
		r->own = ibv_reg_mr(r->own_pd, region->base + o->bank_offset, o->bank_bytes,
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (r->own)
		return 0;
	int error = errno ? errno : ENOMEM;
	if (r->own_pd)
		ibv_dealloc_pd(r->own_pd);
	r->own_pd = NULL;
	dsm__fail(-error, "rdma: the engine's device does not take the bank of owner \"%s\" for writing: %s",
		view_text(&region->view, o->name), strerror(error));
	verbs_trouble(s->engine);
	return -error;
}

/* A domain can be given back only when no pair and no registration is left in it: that is the
 * proof. Without it the caller takes new memory. */
static int remote_fence(struct session *s)
{
	struct remote *r = of(s);
	int rc = 0;
	pair_close(pair_of(r, VERBS_WRITE));
	if (r->own)
		rc = ibv_dereg_mr(r->own);
	if (rc == 0 && r->own_pd)
		rc = ibv_dealloc_pd(r->own_pd);
	r->own = NULL;
	r->own_pd = NULL;
	if (rc == 0)
		return 0;
	dsm__fail(-EIO, "rdma: an owner's write access could not be ended: %s; its bank moves",
		strerror(rc < 0 ? errno : rc));
	verbs_trouble(s->engine);
	return -EIO;
}

static int remote_welcome(struct session *s, const void *message, size_t bytes)
{
	struct remote *r = of(s);
	struct region *region = s->engine->region;
	struct pair *control = pair_of(r, VERBS_CONTROL);
	struct control_writer out;
	unsigned char keys[128];
	if (getrandom(r->token, sizeof(r->token), 0) != sizeof(r->token))
		return -EIO;
	struct control_keys k = { .base_addr = (uintptr_t)region->base,
		.base_bytes = region->header->banks_offset, .base_rkey = r->device->base->rkey };
	memcpy(k.token, r->token, sizeof(k.token));
	if (s->owner != DSM_NONE) {
		const struct directory_owner *o = &region->view.owners[s->owner];
		k.own_addr = (uintptr_t)(region->base + o->bank_offset);
		k.own_bytes = o->bank_bytes;
		k.own_rkey = r->own->rkey;
	}
	control->access = IBV_ACCESS_REMOTE_READ;
	int rc = rc_set_access(control->qp, control->access);
	if (rc) {
		verbs_trouble(s->engine);
		return rc;
	}
	control_begin(&out, keys, sizeof(keys), CONTROL_KEYS);
	control_put_keys(&out, &k);
	rc = remote_say(r, message, bytes);
	return rc ? rc : remote_say(r, keys, control_end(&out));
}

/* Registering pins memory, which takes time, and everybody waits for this thread: what is new in
 * one answer is limited. Who asked asks for the rest. */
static int remote_map(struct session *s, const struct control_map *m)
{
	struct dsm_engine *e = s->engine;
	struct device *d = of(s)->device;
	struct control_map some = { m->first, 0 };
	struct control_writer out;
	struct control_bank bank;
	uint64_t fresh = 0;
	for (; some.count < m->count && fresh < VERBS_FRESH_BYTES; some.count++)
		fresh += device_take_bank(e, d, m->first + some.count);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_MAPPED);
	control_put_map(&out, &some);
	for (uint32_t i = 0; i < some.count; i++) {
		device_bank(e, d, m->first + i, &bank);
		control_put_bank(&out, &bank);
	}
	return remote_say(of(s), e->reply, control_end(&out));
}

/* A host that lost its power says nothing: whoever has nothing unacknowledged gets a message each
 * lease, and what it does not acknowledge breaks the connection. */
static int remote_tick(struct session *s, uint64_t now)
{
	struct remote *r = of(s);
	int rc = endpoint_flush(&r->ep);
	if (has_violated(r))
		return violation(r);
	if (rc)
		return rc;
	if (remote_dawdles(r, now))
		return -ETIMEDOUT;
	if (now - r->ticked_ns > s->engine->options.lease_ms * UINT64_C(500000))
		r->taken_ns = now; /* we stood still, not the client */
	r->ticked_ns = now;
	if (r->ep.arrived_count)
		return 1; /* sent so that nobody was woken */
	if (remote_settled(r)) {
		r->taken_ns = now;
		if (s->greeted && now - r->probed_ns > s->engine->options.lease_ms * UINT64_C(1000000)) {
			r->probed_ns = now;
			server_tell(s, CONTROL_PROBE, DSM_NONE, 0);
		}
	} else if (now - r->taken_ns > VERBS_STUCK_NS) {
		region_count(s->engine->region, COUNTER_SLOW_CLIENTS, 1);
		return -ETIMEDOUT;
	}
	return 0;
}

bool remote_settled(struct remote *r)
{
	return r->ep.broken || (stream_idle(&r->ep.stream) && r->ep.sends_free == UINT64_MAX);
}

void remote_destroy(struct remote *r)
{
	for (unsigned kind = VERBS_CONTROL; kind <= VERBS_WRITE; kind++)
		pair_close(pair_of(r, kind));
	endpoint_free(&r->ep);
	verbs_auth_wipe(&r->auth);
	r->device->remotes--;
	free(r);
}

/* The session ends here; a refusal or a good-bye still on its way may take a moment longer. */
static void remote_free(struct session *s)
{
	struct remote *r = of(s);
	struct verbs *v = s->engine->verbs;
	epoll_ctl(s->engine->epoll_fd, EPOLL_CTL_DEL, endpoint_fd(&r->ep), NULL);
	remote_disarm(r);
	remote_fence(s);
	pair_close(pair_of(r, VERBS_READ));
	if (r->cut || endpoint_flush(&r->ep) || remote_settled(r) || r->device->gone ||
	    v->lingering_count >= VERBS_LINGERING_MAX) {
		remote_destroy(r);
		return;
	}
	r->linger_until_ns = clock_now(s->engine->clock) + VERBS_LINGER_NS;
	r->next_lingering = v->lingering;
	v->lingering = r;
	v->lingering_count++;
}

const struct session_ops remote_ops = {
	.transport = "rdma", .network = true, .send = remote_send, .receive = remote_receive,
	.welcome = remote_welcome, .map = remote_map, .address = remote_address, .allows = remote_allows,
	.admit = remote_admit, .grant = remote_grant, .arm = remote_arm, .fence = remote_fence, .tick = remote_tick, .free = remote_free,
};

/* ---- connections ---- */

void verbs_peer(struct rdma_cm_id *id, char *text, size_t size)
{
	char host[48], port[8];
	struct sockaddr *peer = rdma_get_peer_addr(id);
	socklen_t bytes = peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
		sizeof(struct sockaddr_in);
	if (getnameinfo(peer, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(text, size, peer->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
			host, port);
}

static int connect_control(struct remote *r, struct rdma_cm_id *id, const struct rdma_conn_param *asked,
	const struct verbs_request *request, const struct key *key)
{
	struct dsm_engine *e = r->session.engine;
	struct pair *p = pair_of(r, VERBS_CONTROL);
	struct verbs_reply reply = { .kind = VERBS_CONTROL, .credits = ENDPOINT_RECVS };
	struct rc_shape shape = { r->device->pd, r->ep.cq, r->ep.cq, ENDPOINT_SENDS, ENDPOINT_RECVS, 0, 0 };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &r->session };
	int rc = remote_await(r, key, request, &reply);
	if (rc == 0)
		rc = rc_make(id, &shape, &p->qp);
	if (rc == 0)
		rc = endpoint_bind(&r->ep, p->qp);
	if (rc == 0 && (rc = endpoint_start(&r->ep, request->credits)))
		dsm__fail(rc, "rdma: impossible credits");
	if (rc == 0 && epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, endpoint_fd(&r->ep), &ev))
		rc = dsm__fail(-errno, "cannot watch a connection: %s", strerror(errno));
	if (rc == 0) {
		rc = rc_accept(id, p->qp, asked, RC_READS_MAX, &reply);
		if (rc)
			epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, endpoint_fd(&r->ep), NULL);
	}
	if (rc)
		rc_destroy(&p->qp);
	return rc;
}

int remote_open(struct dsm_engine *e, struct rdma_cm_id *id, const struct rdma_conn_param *asked,
	const struct verbs_request *request, const struct key *key)
{
	struct device *d;
	int rc = device_get(e, id, &d);
	if (rc)
		return rc;
	struct remote *r = calloc(1, sizeof(*r));
	if (!r)
		return dsm__fail(-ENOMEM, "the engine has no memory for another client");
	r->session = (struct session){ .ops = &remote_ops, .engine = e, .uid = (uint32_t)-1 };
	r->device = d;
	for (unsigned i = 0; i < VERBS_WRITE; i++)
		r->pairs[i].remote = r;
	rc = endpoint_init(&r->ep, d->verbs, d->pd, STREAM_QUEUE, SIDE_WORK);
	if (rc) {
		free(r);
		return rc;
	}
	r->ep.other = side_completion;
	r->ep.context = r;
	rc = connect_control(r, id, asked, request, key);
	if (rc) {
		endpoint_free(&r->ep);
		verbs_auth_wipe(&r->auth);
		free(r);
		return rc;
	}
	struct pair *p = pair_of(r, VERBS_CONTROL);
	p->id = id;
	id->context = p;
	d->remotes++;
	verbs_peer(id, r->address, sizeof(r->address));
	sources_host(rdma_get_peer_addr(id), r->host);
	r->probed_ns = r->taken_ns = r->ticked_ns = clock_now(e->clock);
	server_add(e, &r->session);
	return 0;
}

/* Whoever shows that he knows the token, for this very queue pair. */
static struct remote *find(struct dsm_engine *e, const struct verbs_request *request, uint32_t qp_num)
{
	uint8_t proof[VERBS_PROOF_BYTES];
	for (struct session *s = e->sessions; s; s = s->next)
		if (s->ops == &remote_ops && s->id == request->session && s->greeted && !s->dead) {
			verbs_proof(of(s)->token, request->kind, request->session, qp_num, proof);
			return sodium_memcmp(proof, request->proof, sizeof(proof)) == 0 ? of(s) : NULL;
		}
	return NULL;
}

/* Whose pair it is to be, or why not, counted by cause. */
static int may_join(struct dsm_engine *e, struct rdma_cm_id *id, uint32_t qp_num,
	const struct verbs_request *request, struct remote **out)
{
	struct remote *r = find(e, request, qp_num);
	if (!r || r->device->verbs != id->verbs) {
		region_count(e->region, COUNTER_REFUSED_TOKEN, 1);
		return dsm__fail(-EACCES, "rdma: no such session, or not its token");
	}
	bool there = pair_of(r, request->kind)->qp;
	if (there || (request->kind == VERBS_WRITE && !r->own)) {
		region_count(e->region, COUNTER_REFUSED_PAIR, 1);
		return there ? dsm__fail(-EBUSY, "rdma: the session has such a connection already") :
			dsm__fail(-EOWNERDEAD, "rdma: the session holds no role any more");
	}
	*out = r;
	return 0;
}

int remote_join(struct dsm_engine *e, struct rdma_cm_id *id, const struct rdma_conn_param *asked,
	const struct verbs_request *request)
{
	struct remote *r = NULL;
	bool write = request->kind == VERBS_WRITE;
	int rc = may_join(e, id, asked->qp_num, request, &r);
	if (rc)
		return rc;
	struct pair *p = pair_of(r, request->kind);
	struct rc_shape shape = { write ? r->own_pd : r->device->pd, r->ep.cq, r->ep.cq, 1, 1,
		write ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ, 0 };
	struct verbs_reply reply = { .kind = request->kind };
	struct ibv_recv_wr recv = { .wr_id = request->kind }, *bad;
	rc = rc_make(id, &shape, &p->qp);
	if (rc == 0 && ibv_post_recv(p->qp, &recv, &bad))
		rc = dsm__fail(-EIO, "rdma: cannot prepare a connection");
	if (rc == 0)
		rc = rc_accept(id, p->qp, asked, write ? 0 : RC_READS_MAX, &reply);
	if (rc) {
		rc_destroy(&p->qp);
		return rc;
	}
	p->access = shape.access;
	p->id = id;
	id->context = p;
	return 0;
}
