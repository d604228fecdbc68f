/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/verbs.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/error.h"
#include "core/uri.h"

#define EVENTS_A_TURN 16    /* then others have their turn */
#define BACKLOG 256         /* what is beyond is refused by the kernel, without a word */
#define RETRY_NS UINT64_C(1000000000)
#define HALF_OPEN_MAX 64u   /* connected, but no HELLO yet; and no more than half of all places */
#define GOODBYE_MS 50

void verbs_trouble(struct dsm_engine *e)
{
	region_count(e->region, COUNTER_NETWORK_ERRORS, 1);
	if (strncmp(e->verbs->said, dsm_error(), sizeof(e->verbs->said) - 1) == 0)
		return;
	snprintf(e->verbs->said, sizeof(e->verbs->said), "%s", dsm_error());
	engine_log(e, "%s", e->verbs->said);
}

/* ---- listening ---- */

int verbs_address(const char *text, char *host, size_t room, uint16_t *port)
{
	char address[300];
	struct uri uri;
	/* "*" is no host of an address */
	bool any = text[0] == '*';
	int n = snprintf(address, sizeof(address), "rdma://%s%s", any ? "any" : text, any ? text + 1 : "");
	if (n < 0 || (size_t)n >= sizeof(address) || uri_parse(address, &uri) ||
	    (any && strcmp(uri.host, "any") != 0))
		return dsm__fail(-EINVAL, "rdma: \"%.80s\": expected an address of this machine, or *, and "
			"perhaps a port: 10.0.0.1, [fd00::1]:%d, *", text, DSM_PORT);
	snprintf(host, room, "%s", any ? "*" : uri.host);
	*port = uri.port ? uri.port : DSM_PORT;
	return 0;
}

/* One try for one address. */
static int listen_at(struct dsm_engine *e, struct sockaddr *address)
{
	struct verbs *v = e->verbs;
	struct rdma_cm_id *id;
	if (rdma_create_id(v->channel, &id, NULL, RDMA_PS_TCP))
		return -errno;
	if (rdma_bind_addr(id, address) || rdma_listen(id, BACKLOG)) {
		int error = errno;
		rdma_destroy_id(id);
		return -error;
	}
	v->listener = id;
	v->listener_held = id->verbs && dsm__rdma_hold(id->verbs) == 0;
	return 0;
}

static int listen_anywhere(struct dsm_engine *e)
{
	/* one of IPv6 takes IPv4 too, where the machine has IPv6 */
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(e->verbs->port),
		.sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(e->verbs->port) };
	int rc = listen_at(e, (struct sockaddr *)&six);
	if (rc && rc != -EADDRINUSE && rc != -EADDRNOTAVAIL)
		rc = listen_at(e, (struct sockaddr *)&four);
	/* that is how the CM says that somebody has this port at one address */
	return rc == -EADDRNOTAVAIL ? -EADDRINUSE : rc;
}

static int listen_named(struct dsm_engine *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	struct addrinfo *list = NULL;
	char port[8];
	snprintf(port, sizeof(port), "%u", e->verbs->port);
	if (getaddrinfo(e->verbs->host, port, &hints, &list))
		return -EADDRNOTAVAIL;
	int rc = listen_at(e, list->ai_addr);
	freeaddrinfo(list);
	return rc;
}

static int open_channel(struct dsm_engine *e)
{
	struct verbs *v = e->verbs;
	if (v->channel)
		return 0;
	int rc = rc_channel(&v->channel);
	if (rc)
		return rc;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = SERVER_TAG_VERBS };
	if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, v->channel->fd, &ev) == 0)
		return 0;
	rc = dsm__fail(-errno, "rdma: cannot watch for connections: %s", strerror(errno));
	rdma_destroy_event_channel(v->channel);
	v->channel = NULL;
	return rc;
}

/* 0 listening; else why not, with a text. */
static int try_listen(struct dsm_engine *e)
{
	struct verbs *v = e->verbs;
	int rc = open_channel(e);
	if (rc)
		return rc;
	rc = v->host[0] == '*' ? listen_anywhere(e) : listen_named(e);
	if (rc == -EADDRINUSE)
		return dsm__fail(rc, "rdma: port %u is taken by another process", v->port);
	if (rc)
		return dsm__fail(rc, "rdma: cannot listen at %s port %u: %s", v->host, v->port,
			rc == -ENODEV || rc == -EADDRNOTAVAIL ?
			"no RDMA device of this machine has that address, or the port is taken at all "
			"addresses" : strerror(-rc));
	v->said[0] = 0;
	engine_log(e, "rdma: listening at %s port %u, auth %s", v->host, v->port, v->auth_none ?
		"none: whoever reaches it may read" : "keys");
	return 0;
}

/* A machine may get its device later, or again. */
static void keep_listening(struct dsm_engine *e, uint64_t now)
{
	struct verbs *v = e->verbs;
	if (v->listener || now < v->try_ns)
		return;
	v->try_ns = now + RETRY_NS;
	if (try_listen(e) == 0 || strncmp(v->said, dsm_error(), sizeof(v->said) - 1) == 0)
		return;
	snprintf(v->said, sizeof(v->said), "%s", dsm_error());
	engine_log(e, "%s; trying again each second", v->said);
}

int verbs_start(struct dsm_engine *e)
{
	if (!e->options.rdma)
		return 0;
	e->verbs = calloc(1, sizeof(*e->verbs));
	if (!e->verbs)
		return dsm__fail(-ENOMEM, "no memory for rdma");
	e->verbs->timer_fd = -1;
	int rc = verbs_address(e->options.rdma, e->verbs->host, sizeof(e->verbs->host), &e->verbs->port);
	if (rc == 0)
		rc = verbs_auth_start(e);
	if (rc)
		return rc;
	rc = try_listen(e);
	/* no device yet is no reason not to start; a port that is taken, or a wrong address, is */
	if (rc == 0 || rc == -EADDRINUSE || rc == -EACCES || rc == -EPERM)
		return rc;
	snprintf(e->verbs->said, sizeof(e->verbs->said), "%s", dsm_error());
	engine_log(e, "%s; trying again each second", e->verbs->said);
	return 0;
}

/* ---- what the CM brings ---- */

static void close_listener(struct verbs *v, bool removed)
{
	if (!v->listener)
		return;
	struct ibv_context *verbs = v->listener->verbs;
	rdma_destroy_id(v->listener);
	v->listener = NULL;
	if (v->listener_held)
		dsm__rdma_release(verbs, removed);
	v->listener_held = false;
}

static bool too_many(struct dsm_engine *e)
{
	uint32_t half_open = 0, network = 0, half = e->options.max_clients / 2;
	uint32_t limit = half < HALF_OPEN_MAX ? half + 1 : HALF_OPEN_MAX;
	for (struct session *s = e->sessions; s; s = s->next)
		half_open += s->ops->network && !s->greeted, network += s->ops->network;
	/* a network has no users to count by, so it leaves places for those of this machine */
	if (e->session_count < e->options.max_clients && half_open < limit &&
	    network < e->options.max_clients - e->options.max_clients / 4)
		return false;
	region_count(e->region, COUNTER_REFUSED_FULL, 1);
	dsm__fail(-EUSERS, "the engine has all the clients it takes (max_clients %u)", e->options.max_clients);
	return true;
}

/* The address is what the peer's packets say: the limit for all holds whatever they say. */
static bool too_fast(struct dsm_engine *e, struct rdma_cm_id *id)
{
	uint8_t host[SOURCE_BYTES];
	sources_host(rdma_get_peer_addr(id), host);
	if (sources_take(&e->verbs->opens, host, VERBS_OPENS_MAX, VERBS_OPENS_SOURCE))
		return false;
	region_count(e->region, COUNTER_REFUSED_RATE, 1);
	dsm__fail(-EAGAIN, "too many connect at once; try again in a moment");
	return true;
}

static int answer(struct dsm_engine *e, const struct rdma_cm_event *event)
{
	const struct rdma_conn_param *asked = &event->param.conn;
	struct verbs_request request;
	int rc = verbs_get_request(asked->private_data, asked->private_data_len, &request);
	if (rc == -EPROTONOSUPPORT) {
		region_count(e->region, COUNTER_REFUSED_VERSION, 1);
		return dsm__fail(rc, "the engine speaks rdma version %u", VERBS_VERSION);
	}
	if (rc) {
		region_count(e->region, COUNTER_BAD_MESSAGES, 1);
		return dsm__fail(rc, "that is no dsm client");
	}
	if (request.kind != VERBS_CONTROL)
		return remote_join(e, event->id, asked, &request);
	if (too_many(e))
		return -EUSERS;
	const struct key *key;
	rc = verbs_find_key(e, event->id, &request, &key);
	if (rc == 0 && too_fast(e, event->id))
		return -EAGAIN;
	return rc ? rc : remote_open(e, event->id, asked, &request, key);
}

static void on_request(struct dsm_engine *e, const struct rdma_cm_event *event)
{
	int rc = answer(e, event);
	if (rc == 0)
		return;
	if (rc == -EIO || rc == -ENOMEM || rc == -EPROTO)
		verbs_trouble(e);
	rc_reject(event->id, rc, dsm_error());
	rdma_destroy_id(event->id);
}

static void on_established(struct dsm_engine *e, struct pair *p)
{
	if (p->qp && rc_check_access(p->qp, p->access)) {
		verbs_trouble(e);
		server_drop(&p->remote->session);
	}
}

static void forget_lingering(struct verbs *v, const struct device *of, const struct remote *one)
{
	for (struct remote **at = &v->lingering; *at;) {
		struct remote *r = *at;
		if ((of && r->device != of) || (one && r != one)) {
			at = &r->next_lingering;
			continue;
		}
		*at = r->next_lingering;
		v->lingering_count--;
		remote_destroy(r);
	}
}

static bool lingers(const struct verbs *v, const struct remote *r)
{
	const struct remote *at = v->lingering;
	while (at && at != r)
		at = at->next_lingering;
	return at != NULL;
}

static void on_end(struct dsm_engine *e, struct pair *p)
{
	struct remote *r = p->remote;
	if (lingers(e->verbs, r)) {
		forget_lingering(e->verbs, NULL, r);
	} else if (p == &r->pairs[VERBS_CONTROL - 1]) {
		server_drop(&r->session);
	} else {
		pair_close(p);
		endpoint_flush(&r->ep); /* what the pair leaves in the queue is thrown away now */
	}
}

/* Everything on it goes at once: `rdma link del` waits for us. */
static void on_removal(struct dsm_engine *e, struct ibv_context *verbs)
{
	struct verbs *v = e->verbs;
	struct device *d = v->devices;
	while (d && d->verbs != verbs)
		d = d->next;
	if (v->listener && v->listener->verbs == verbs)
		close_listener(v, true);
	if (!d)
		return;
	engine_log(e, "rdma: device %s is being removed; its clients are cut off",
		ibv_get_device_name(verbs->device));
	d->gone = true;
	for (struct session *s = e->sessions; s; s = s->next)
		if (s->ops == &remote_ops && ((struct remote *)s)->device == d)
			server_drop(s);
	server_sweep(e);
	forget_lingering(v, d, NULL);
	device_close(e, d, true);
	v->said[0] = 0;
}

/* Acknowledged before it is acted upon: destroying an id waits for its acknowledgements. */
static void on_event(struct dsm_engine *e, struct rdma_cm_event *event)
{
	enum rdma_cm_event_type type = event->event;
	struct rdma_cm_id *id = event->id;
	if (type == RDMA_CM_EVENT_CONNECT_REQUEST)
		on_request(e, event); /* of a new id; the event counts for the listener */
	rdma_ack_cm_event(event);
	struct pair *p = type == RDMA_CM_EVENT_CONNECT_REQUEST ? NULL : id->context;
	if (type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
		on_removal(e, id->verbs);
	} else if (p && p->id == id && type == RDMA_CM_EVENT_ESTABLISHED) {
		on_established(e, p);
	} else if (p && p->id == id && (type == RDMA_CM_EVENT_DISCONNECTED ||
		   type == RDMA_CM_EVENT_CONNECT_ERROR || type == RDMA_CM_EVENT_UNREACHABLE ||
		   type == RDMA_CM_EVENT_REJECTED)) {
		on_end(e, p);
	}
}

void verbs_events(struct dsm_engine *e)
{
	struct rdma_cm_event *event;
	for (int i = 0; i < EVENTS_A_TURN && rdma_get_cm_event(e->verbs->channel, &event) == 0; i++)
		on_event(e, event);
}

void verbs_tick(struct dsm_engine *e, uint64_t now)
{
	struct verbs *v = e->verbs;
	if (!v)
		return;
	sources_forget(&v->opens);
	if (now) /* 0: the engine is ending */
		keep_listening(e, now);
	for (struct remote *r = v->lingering, *next; r; r = next) {
		next = r->next_lingering;
		endpoint_flush(&r->ep);
		if (remote_settled(r) || now > r->linger_until_ns)
			forget_lingering(v, NULL, r);
	}
	for (struct device *d = v->devices; d && now; d = d->next)
		device_byes(d, now, false);
}

/* ---- the region changes ---- */

void verbs_bank_leaves(struct dsm_engine *e, uint32_t owner)
{
	for (struct device *d = e->verbs ? e->verbs->devices : NULL; d; d = d->next)
		device_bank_leaves(d, owner);
}

void verbs_region_leaves(struct dsm_engine *e)
{
	for (struct device *d = e->verbs ? e->verbs->devices : NULL; d; d = d->next)
		device_forget_region(d);
}

void verbs_stop(struct dsm_engine *e)
{
	struct verbs *v = e->verbs;
	if (!v)
		return;
	/* the good-bye of the engine, acknowledged or not */
	for (int ms = 0; v->lingering && ms < GOODBYE_MS; ms++) {
		verbs_tick(e, 0);
		usleep(1000);
	}
	forget_lingering(v, NULL, NULL);
	close_listener(v, false);
	while (v->devices)
		device_close(e, v->devices, false);
	if (v->channel)
		rdma_destroy_event_channel(v->channel);
	verbs_auth_stop(v);
	if (v->timer_fd >= 0)
		close(v->timer_fd);
	free(v);
	e->verbs = NULL;
}
