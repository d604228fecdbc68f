/* SPDX-License-Identifier: Apache-2.0 */
/* Making a connection usable: choice of transport, HELLO and WELCOME, directory, banks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "port/port.h"
#ifdef DSM_SHM
#include "transport/shm.h"
#endif

#define BANKS_A_MESSAGE 200u
#ifdef _WIN32
#define NOT_TRIED " shm and rdma are not available on Windows."
#else
#define NOT_TRIED " rdma is not in this build."
#endif
#define EARLY_MAX (1u << 20)
#define SLICE_NS 50000000u /* whether the handle is being detached is looked at so often */
#define CROWDED_NS 20000000u /* and as much again at most: before asking again an engine that has too many at once */

/* One message, waiting for it until the deadline. */
static int receive(struct link *link, const struct dsm *dsm, uint64_t deadline, void *message)
{
	for (;;) {
		int rc = link->ops->recv(link->conn, message, CONTROL_MAX);
		if (rc != -EAGAIN)
			return rc == -ETIMEDOUT ? -ECONNRESET : rc; /* the engine's silence; our own has a text */
		uint64_t now = clock_now(dsm->clock);
		if (now >= deadline)
			return dsm__fail(-ETIMEDOUT, "%s: the engine does not answer", link->uri);
		if (atomic_load_explicit(&dsm->leaving, memory_order_relaxed))
			return dsm__fail(-ECANCELED, "the handle is being detached");
		int fd = link->ops->fd(link->conn);
		port_wait(&fd, 1, deadline - now > SLICE_NS ? SLICE_NS : deadline - now);
	}
}

static int cut_off(const struct link *link, int rc)
{
	return dsm__fail(rc, "%s: the connection was lost while attaching: %s", link->uri, dsm_strerror(rc));
}

static int send_hello(struct link *link, struct dsm *dsm)
{
	unsigned char message[512];
	struct control_writer w;
	struct control_hello hello = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .pid = (uint32_t)getpid(),
		.flags = dsm->options.flags & DSM_TAKES_REQUESTS ? HELLO_TAKES_REQUESTS : 0u };
	pthread_mutex_lock(&dsm->lock);
	hello.last_number = dsm->next_number - 1;
	if ((dsm->options.flags & DSM_TAKE_OVER) && !dsm->attached_once)
		hello.flags |= HELLO_TAKE_OVER;
	memcpy(hello.client_id, dsm->client_id, sizeof(hello.client_id));
	if (dsm->owner_name && !dsm->deposed) /* who lost the role comes back as a reader */
		snprintf(hello.owner, sizeof(hello.owner), "%s", dsm->owner_name);
	pthread_mutex_unlock(&dsm->lock);
	snprintf(hello.program, sizeof(hello.program), "%s", dsm->program);
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &hello);
	int rc = link->ops->send(link->conn, message, control_end(&w));
	return rc ? cut_off(link, rc) : 0;
}

static int get_welcome(struct link *link, struct dsm *dsm, uint64_t deadline, void *message)
{
	struct control_reader r;
	int n = receive(link, dsm, deadline, message);
	if (n == -ECONNRESET) /* ended with our HELLO unread; what it said before that comes now */
		n = receive(link, dsm, deadline, message);
	if (n < 0)
		return n == -EPIPE || n == -ECONNRESET ? dsm__fail(-ECONNRESET,
			"%s: the engine closed the connection; is it full, or ending?", link->uri) : n;
	int rc = control_open(&r, message, (size_t)n);
	if (rc == -EPROTONOSUPPORT)
		return dsm__fail(rc, "%s: the engine speaks another control version than %d; "
			"use libraries of the same release", link->uri, DSM_CONTROL_VERSION);
	if (rc == 0 && r.type == CONTROL_WELCOME)
		rc = control_get_welcome(&r, &link->welcome);
	else
		rc = -EBADMSG;
	if (rc)
		return dsm__fail(-EBADMSG, "%s: what answers is no dsm engine", link->uri);
	if (link->welcome.status)
		return dsm__fail(link->welcome.status, "%s: %s", link->uri, link->welcome.text);
	return 0;
}

/* What is not for us to read yet (a forwarded request, an event) is kept, not lost. */
static int keep_early(struct link *link, const void *message, uint32_t bytes)
{
	size_t room = link->early_bytes + sizeof(bytes) + bytes;
	unsigned char *more = room <= EARLY_MAX ? realloc(link->early, room) : NULL;
	if (!more)
		return dsm__fail(-ENOBUFS, "%s: the engine sends too much before the attach is done", link->uri);
	memcpy(more + link->early_bytes, &bytes, sizeof(bytes));
	memcpy(more + link->early_bytes + sizeof(bytes), message, bytes);
	link->early = more;
	link->early_bytes = room;
	return 0;
}

static int get_banks(struct link *link, struct dsm *dsm, uint64_t deadline, void *message)
{
	struct control_map map;
	/* an answer may have fewer than were asked for; the rest is asked for again */
	for (uint32_t first = 0; first < link->view.owner_count; first += map.count) {
		uint32_t left = link->view.owner_count - first;
		uint32_t ask = left < BANKS_A_MESSAGE ? left : BANKS_A_MESSAGE;
		struct control_writer w;
		struct control_reader r;
		map = (struct control_map){ first, ask };
		control_begin(&w, message, CONTROL_MAX, CONTROL_MAP);
		control_put_map(&w, &map);
		int rc = link->ops->send(link->conn, message, control_end(&w));
		if (rc)
			return cut_off(link, rc);
		while (rc == 0) {
			int n = receive(link, dsm, deadline, message);
			rc = n == -EPIPE || n == -ECONNRESET ? cut_off(link, n) : n < 0 ? n : control_open(&r, message, (size_t)n);
			if (rc == 0 && r.type == CONTROL_MAPPED) {
				rc = control_get_map(&r, &map);
				if (rc == 0 && (map.first != first || map.count == 0 || map.count > ask))
					rc = dsm__fail(-EBADMSG, "%s: the engine's banks do not match what was "
						"asked for", link->uri);
				if (rc == 0)
					rc = link->ops->mapped(link->conn, &map, &r);
				break;
			}
			if (rc == 0)
				rc = keep_early(link, message, (uint32_t)n);
		}
		if (rc)
			return rc;
	}
	return link->ops->adopt(link->conn);
}

static int shake_hands(struct link *link, struct dsm *dsm, uint64_t deadline)
{
	const void *directory;
	uint64_t bytes;
	unsigned char *message = malloc(CONTROL_MAX);
	if (!message)
		return dsm__fail(-ENOMEM, "no memory for a message");
	int rc = send_hello(link, dsm);
	if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET) /* it may have said why before it hung up */
		rc = get_welcome(link, dsm, deadline, message);
	if (rc == 0)
		rc = link->ops->open(link->conn, &link->welcome, &directory, &bytes);
	if (rc == 0) {
		const struct region_header *h = link->ops->header(link->conn);
		rc = view_init(&link->view, directory, bytes, h->banks_offset, h->region_bytes,
			h->waiters_bytes);
		link->layout_hash = h->layout_hash;
	}
	if (rc == 0)
		rc = link->ops->ready(link->conn, &link->view);
	if (rc == 0 && link->welcome.owner != DSM_NONE)
		rc = link->ops->granted(link->conn, link->welcome.owner);
	if (rc == 0)
		rc = get_banks(link, dsm, deadline, message);
	if (rc == 0 && (dsm->options.flags & DSM_LOCK_MEMORY) && link->ops->lock)
		rc = link->ops->lock(link->conn);
	free(message);
	return rc;
}

/* As somebody would write it who wants exactly this one. */
static void name_link(struct link *link, const struct uri *uri)
{
	bool six = strchr(uri->host, ':') != NULL;
	int n = snprintf(link->uri, sizeof(link->uri), "%s://%s%s%s", link->ops->scheme, six ? "[" : "",
		uri->host, six ? "]" : "");
	if (uri->port && n > 0 && (size_t)n < sizeof(link->uri))
		snprintf(link->uri + n, sizeof(link->uri) - (size_t)n, ":%u", uri->port);
}

/* The channel that the engine of this process gives. */
static int adopt_channel(struct dsm *dsm, struct link *link)
{
#ifdef DSM_SHM
	int fd = dsm->inproc->channel(dsm->inproc->context);
	return fd < 0 ? fd : shm_adopt_channel(fd, dsm->inproc->own_memory, dsm->inproc->context, &link->conn);
#else
	(void)dsm;
	return dsm__fail(-ENOTSUP, "%s: this build has no engine", link->uri);
#endif
}

/* The engine's channel. -EAGAIN: it is there, but not at this moment, so that is no answer yet. */
static int connect_to(const struct dsm *dsm, const struct transport_identity *as, uint64_t deadline,
	struct link *link)
{
	for (;;) {
		uint16_t dice = 0;
		uint64_t now = clock_now(dsm->clock);
		int rc = link->ops->connect(&dsm->uri, as, now < deadline ? (uint32_t)((deadline - now) / 1000000u) : 0,
			&link->conn);
		if (rc != -EAGAIN || clock_now(dsm->clock) >= deadline)
			return rc;
		if (atomic_load_explicit(&dsm->leaving, memory_order_relaxed))
			return dsm__fail(-ECANCELED, "the handle is being detached");
		port_random(&dice, sizeof(dice));
		port_wait(NULL, 0, CROWDED_NS + (uint64_t)CROWDED_NS * dice / 65536);
	}
}

/* One transport, one try. */
static int try_transport(struct dsm *dsm, const struct transport_ops *ops, uint64_t deadline,
	struct link **out)
{
	struct link *link = calloc(1, sizeof(*link));
	int rc;
	if (!link)
		return dsm__fail(-ENOMEM, "no memory for a connection");
	link->ops = ops;
	name_link(link, &dsm->uri);
	if (dsm->inproc) {
		rc = adopt_channel(dsm, link);
	} else {
		struct transport_identity as = { .owner = dsm->deposed ? NULL : dsm->owner_name,
			.key_file = dsm->key_file, .spin_us = dsm->options.spin_us,
			.no_key = dsm->options.flags & DSM_NO_KEY, .poll_us = dsm->options.poll_us, .clock = dsm->clock,
			.progress = dsm->attached_once ? NULL : dsm->options.progress,
			.progress_context = dsm->options.progress_context };
		rc = connect_to(dsm, &as, deadline, link);
	}
	if (rc == 0 && dsm->fault)
		rc = transport_faulty(dsm->fault, &link->ops, &link->conn);
	if (rc == 0)
		rc = shake_hands(link, dsm, deadline);
	if (rc)
		link_close(&link);
	else
		*out = link;
	return rc;
}

/* Without a scheme: each in turn, and the text says what each answered. */
static int try_all(struct dsm *dsm, uint64_t deadline, struct link **out)
{
	char tried[360] = "";
	size_t used = 0;
	int first = 0;
	const struct transport_ops *ops;
	for (unsigned i = 0; (ops = transport_at(i)) != NULL; i++) {
		int rc = try_transport(dsm, ops, deadline, out);
		if (rc == 0) {
			snprintf((*out)->reason, sizeof((*out)->reason), "best that works%s%s",
				used ? "; before it " : "", tried);
			return 0;
		}
		/* of "not here" and "no such device" the first says what is meant */
		if (!first || (first == -ENOENT && rc != -ENODEV))
			first = rc;
		int n = snprintf(tried + used, sizeof(tried) - used, "%s%s", used ? "; " : "", dsm_error());
		used += n > 0 && (size_t)n < sizeof(tried) - used ? (size_t)n : 0;
	}
	return dsm__fail(first, "no engine at \"%s\": %s.%s Is dsmd running? See `dsm --help`",
		dsm->uri.host, tried, transport_find("rdma") ? "" : NOT_TRIED);
}

static int no_transport(const struct uri *uri)
{
	bool shm = strcmp(uri->scheme, "shm") == 0, rdma = strcmp(uri->scheme, "rdma") == 0;
#ifdef _WIN32
	if (shm || rdma)
		return dsm__fail(-ENOTSUP, "%s://%s: not available on Windows; use udp://HOST", uri->scheme,
			uri->host);
#endif
	if (rdma)
		return dsm__fail(-ENOTSUP, "rdma://%s: this build has no rdma", uri->host);
	return dsm__fail(-ENOTSUP, "%s://: no such transport in this build; it has %s%s udp://", uri->scheme,
		transport_find("shm") && !shm ? "shm://," : "", transport_find("rdma") ? " rdma://," : "");
}

int link_open(struct dsm *dsm, uint32_t timeout_ms, struct link **out)
{
	uint64_t deadline = clock_now(dsm->clock) + timeout_ms * UINT64_C(1000000);
	if (dsm->any_scheme && !dsm->inproc)
		return try_all(dsm, deadline, out);
	const struct transport_ops *ops = transport_find(dsm->inproc ? "shm" : dsm->uri.scheme);
	if (!ops)
		return no_transport(&dsm->uri);
	int rc = try_transport(dsm, ops, deadline, out);
	if (rc == 0)
		snprintf((*out)->reason, sizeof((*out)->reason), "%s",
			dsm->inproc ? "the engine is this process" : "named in the address");
	return rc;
}

void link_close(struct link **link)
{
	if (*link && (*link)->conn)
		(*link)->ops->close((*link)->conn);
	if (*link)
		free((*link)->early);
	free(*link);
	*link = NULL;
}
