/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: control channel, loss, and the table of operations. */
#include "transport/verbs.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

#define BYE_NS UINT64_C(500000000)  /* for the last message to leave; a dead peer is known by then */
#define FENCED_NS UINT64_C(500000000) /* for the news that a role was given away */
#define PROBE_NS UINT64_C(500000000)
#define EVENTS_A_PASS 64
#define CLIENT_QUEUE ((size_t)256 << 10)

int verbs_lost(struct transport_conn *conn, int error)
{
	int none = 0;
	atomic_compare_exchange_strong(&conn->broken, &none, error);
	return -ENOTCONN;
}

int verbs_noted(struct transport_conn *conn, int rc)
{
	if (rc != -ESHUTDOWN)
		return rc;
	conn->removed = true;
	return -ECONNRESET;
}

/* ---- connecting ---- */

static int watch_fds(struct transport_conn *conn)
{
	struct epoll_event e = { .events = EPOLLIN };
	if (epoll_ctl(conn->epoll, EPOLL_CTL_ADD, conn->events->fd, &e) ||
	    epoll_ctl(conn->epoll, EPOLL_CTL_ADD, endpoint_fd(&conn->endpoint), &e))
		return dsm__fail(-errno, "cannot make a descriptor to poll: %s", strerror(errno));
	return 0;
}

static int open_control(struct transport_conn *conn, const struct uri *uri, struct verbs_dial *dial)
{
	uint32_t reads;
	uint16_t port = uri->port ? uri->port : DSM_PORT;
	uint64_t now = clock_now(&clock_system);
	int rc = rc_channel(&conn->events);
	if (rc == 0)
		rc = rc_resolve(conn->events, uri->host, port, rc_ms_left(now, conn->deadline),
			&conn->control.id);
	if (rc)
		return verbs_noted(conn, rc);
	conn->cm_verbs = conn->control.id->verbs;
	conn->port = conn->control.id->port_num;
	rc = dsm__rdma_open(conn->cm_verbs, &conn->verbs);
	conn->held = rc == 0;
	if (rc == 0 && !(conn->pd = ibv_alloc_pd(conn->verbs)))
		rc = dsm__fail(-errno, "rdma: no protection domain: %s", strerror(errno));
	if (rc == 0)
		rc = endpoint_init(&conn->endpoint, conn->verbs, conn->pd, CLIENT_QUEUE, VERBS_CHAIN + VERBS_AGES);
	if (rc)
		return rc;
	conn->endpoint.other = verbs_watched;
	conn->endpoint.context = conn;
	struct rc_shape shape = { conn->pd, conn->endpoint.cq, conn->endpoint.cq,
		ENDPOINT_SENDS + VERBS_CHAIN + VERBS_AGES, ENDPOINT_RECVS, 0, 0 };
	rc = rc_make(conn->control.id, &shape, &conn->control.qp);
	if (rc == 0)
		rc = endpoint_bind(&conn->endpoint, conn->control.qp);
	now = clock_now(&clock_system);
	if (rc == 0)
		rc = rc_connect(conn->control.id, conn->control.qp, &dial->request,
			rc_ms_left(now, conn->deadline), &dial->reply, &reads);
	if (rc == -ECONNREFUSED)
		rc = dsm__fail(-ENOENT, "rdma: no engine listens at %s:%u", uri->host, port);
	if (rc == 0 && endpoint_start(&conn->endpoint, dial->reply.credits))
		rc = dsm__fail(-EBADMSG, "rdma: what answers is no dsm engine");
	if (rc == 0)
		rc = watch_fds(conn);
	conn->probed_ns = clock_now(&clock_system);
	return verbs_noted(conn, rc ? rc : verbs_shake_hands(conn, dial));
}

static void verbs_close(struct transport_conn *conn);

/* Until its caller closes it: also when this fails. */
static int open_conn(struct transport_conn *conn, const struct uri *uri, struct verbs_dial *dial,
	uint32_t poll_us, uint32_t timeout_ms)
{
	conn->pid = getpid();
	conn->own_owner = DSM_NONE;
	conn->notify_timer = -1;
	conn->poll_ns = poll_us * UINT64_C(1000);
	conn->deadline = clock_now(&clock_system) + timeout_ms * UINT64_C(1000000);
	pthread_mutex_init(&conn->control_lock, NULL);
	conn->epoll = epoll_create1(EPOLL_CLOEXEC);
	return conn->epoll < 0 ? dsm__fail(-errno, "cannot make a descriptor to poll: %s",
		strerror(errno)) : open_control(conn, uri, dial);
}

static int verbs_connect(const struct uri *uri, const struct transport_identity *as, uint32_t timeout_ms,
	struct transport_conn **out)
{
	struct verbs_dial dial = { .request = { .kind = VERBS_CONTROL, .credits = STREAM_DEPTH } };
	int rc = transport_secret_find(as, &dial.secret);
	if (rc)
		return rc;
	memcpy(dial.request.key_id, dial.secret.id, KEY_ID_BYTES);
	struct transport_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		rc = dsm__fail(-ENOMEM, "no memory for a connection");
	else
		rc = open_conn(conn, uri, &dial, as->poll_us, timeout_ms);
	sodium_memzero(&dial, sizeof(dial));
	if (rc)
		verbs_close(conn);
	else
		*out = conn;
	return rc;
}

/* ---- letting go ---- */

static void pair_close(struct verbs_pair *pair)
{
	rc_destroy(&pair->qp);
	if (pair->id)
		rdma_destroy_id(pair->id);
	pair->id = NULL;
}

/* Everything of the device, in this order: pairs, so that nothing arrives any more; then what they
 * worked on. What was read stays. */
static void release(struct transport_conn *conn)
{
	if (conn->released)
		return;
	conn->released = true;
	for (int i = 0; i < EVENTS_A_PASS && verbs_cm_events(conn); i++)
		; /* one of them may be the device's removal */
	pair_close(&conn->control);
	pair_close(&conn->read.pair);
	pair_close(&conn->write.pair);
	pages_unregister(&conn->source); /* a loan may point into it: freed at close */
	pages_free(&conn->watch_pages);
	pages_free(&conn->ring_pages);
	verbs_batch_release(conn);
	pages_free(&conn->bounce);
	endpoint_free(&conn->endpoint);
	verbs_queue_close(&conn->read);
	verbs_queue_close(&conn->write);
	if (conn->write.pd)
		ibv_dealloc_pd(conn->write.pd);
	if (conn->pd)
		ibv_dealloc_pd(conn->pd);
	if (conn->events)
		rdma_destroy_event_channel(conn->events);
	conn->events = NULL;
	if (conn->held)
		dsm__rdma_release(conn->cm_verbs, conn->removed);
	conn->held = false;
}

/* What was lost is given back when good-bye can be said, see rc_may_speak(). */
static bool may_release(struct transport_conn *conn)
{
	uint64_t now = clock_now(&clock_system);
	if (!conn->trouble_ns)
		conn->trouble_ns = now;
	verbs_cm_events(conn); /* among them the device's removal, which does not wait for a port */
	return conn->removed || rc_may_speak(conn->verbs, conn->port, now, &conn->trouble_ns);
}

static void verbs_gone(struct transport_conn *conn)
{
	atomic_store_explicit(&conn->gone, 1, memory_order_seq_cst);
	/* pairs with verbs_enter(): either it sees gone, or this sees that it is in. Then the next pass
	 * looks again; it leaves soon, because it looks at gone too */
	if (atomic_load_explicit(&conn->in_use, memory_order_seq_cst))
		return;
	pthread_mutex_lock(&conn->control_lock);
	if (!conn->released && may_release(conn))
		release(conn);
	pthread_mutex_unlock(&conn->control_lock);
}

/* A BYE that has just been queued should still get there. */
static void let_last_words_out(struct transport_conn *conn)
{
	uint64_t until = clock_now(&clock_system) + BYE_NS;
	struct endpoint *ep = &conn->endpoint;
	if (conn->released || !ep->cq || !conn->control.qp || atomic_load(&conn->broken))
		return;
	while (endpoint_flush(ep) == 0 && (!stream_idle(&ep->stream) || ~ep->sends_free) &&
	       clock_now(&clock_system) < until)
		usleep(100);
}

static void verbs_close(struct transport_conn *conn)
{
	if (!conn)
		return;
	if (conn->pid == getpid()) {
		let_last_words_out(conn);
		release(conn);
		pages_free(&conn->source);
		pthread_mutex_destroy(&conn->control_lock);
	} else {
		/* a forked child: the pairs are the parent's, and its work goes on */
		stream_free(&conn->endpoint.stream);
	}
	if (conn->epoll >= 0)
		close(conn->epoll);
	if (conn->notify_timer >= 0)
		close(conn->notify_timer);
	if (conn->directory)
		munmap(conn->directory, conn->directory_room);
	if (conn->large)
		munmap(conn->large, conn->large_room);
	if (conn->last)
		munmap(conn->last, conn->last_room);
	free(conn->last_at);
	free(conn->lines);
	free((void *)conn->newest);
	free(conn->ages);
	free(conn->banks);
	free(conn->moved);
	free(conn->batches);
	free(conn->steps);
	free(conn->source_at);
	free(conn->chain);
	free(conn->chain_sge);
	free((void *)conn->notify);
	free(conn->sealed);
	verbs_auth_wipe(&conn->auth);
	free(conn);
}

/* ---- messages ---- */

static int verbs_fd(const struct transport_conn *conn)
{
	return conn->epoll;
}

static int verbs_send(struct transport_conn *conn, const void *message, size_t bytes)
{
	pthread_mutex_lock(&conn->control_lock);
	int rc = conn->released ? -EPIPE : verbs_say(conn, message, bytes);
	pthread_mutex_unlock(&conn->control_lock);
	return rc == -ECONNRESET || rc == -ETIMEDOUT ? -EPIPE : rc;
}

/* What the CM has to say. The end of the write pair alone is the fence of a takeover, and the
 * session goes on. */
int verbs_cm_events(struct transport_conn *conn)
{
	struct rdma_cm_id *id;
	int rc;
	for (int i = 0; conn->events && i < EVENTS_A_PASS && (rc = rc_event(conn->events, &id)) != -EAGAIN; i++) {
		if (rc == -ESHUTDOWN)
			return verbs_noted(conn, rc);
		if (rc == -ECONNRESET && conn->write.pair.id && id == conn->write.pair.id)
			atomic_store(&conn->write_broken, rc);
		else if (rc)
			return rc;
	}
	return 0;
}

/* A role that ends by a fence is announced; if it is not, the connection is made anew. */
static bool write_is_lost(struct transport_conn *conn)
{
	if (!atomic_load(&conn->write_broken) || conn->superseded)
		return false;
	uint64_t now = clock_now(&clock_system);
	if (!conn->write_lost_ns)
		conn->write_lost_ns = now;
	return now - conn->write_lost_ns > FENCED_NS;
}

static void look_into(struct transport_conn *conn, const void *message, size_t bytes)
{
	struct control_reader r;
	struct control_event e;
	if (control_open(&r, message, bytes) || r.type != CONTROL_EVENT || control_get_event(&r, &e))
		return;
	if (e.kind == CONTROL_NEWER)
		verbs_told(conn, e.owner, e.value);
	if (e.kind == CONTROL_SUPERSEDED && conn->own_owner != DSM_NONE && e.owner == conn->own_owner) {
		conn->superseded = true;
		atomic_store(&conn->write_broken, -EOWNERDEAD);
	}
}

static int is_lost(struct transport_conn *conn)
{
	int lost = atomic_load_explicit(&conn->broken, memory_order_relaxed);
	if (!lost)
		lost = verbs_cm_events(conn);
	return !lost && write_is_lost(conn) ? -ECONNRESET : lost;
}

/* While an attach waits for words nothing else is sent: that the engine let go without one, because its
 * good-bye was lost or could not be sent, would not be noticed. */
void verbs_probe(struct transport_conn *conn, uint64_t now)
{
	if (now - conn->probed_ns < PROBE_NS)
		return;
	conn->probed_ns = now;
	endpoint_probe(&conn->endpoint);
}

static int verbs_recv(struct transport_conn *conn, void *message, size_t room)
{
	pthread_mutex_lock(&conn->control_lock);
	int rc = conn->released ? -EPIPE : verbs_hear(conn, message, room);
	int lost = rc == -EAGAIN ? is_lost(conn) : 0;
	if (lost) {
		/* the peer's last words have arrived before the news that it hung up */
		verbs_lost(conn, lost);
		rc = verbs_hear(conn, message, room);
		rc = rc == -EAGAIN ? lost : rc;
	} else if (rc == -EAGAIN && conn->view) {
		verbs_watch(conn);
		verbs_notify(conn);
	} else if (rc == -EAGAIN) {
		verbs_probe(conn, clock_now(&clock_system));
	}
	if (rc > 0)
		look_into(conn, message, (size_t)rc);
	if (rc < 0 && rc != -EAGAIN && rc != -EMSGSIZE)
		verbs_lost(conn, rc);
	pthread_mutex_unlock(&conn->control_lock);
	return rc;
}

const struct transport_ops transport_verbs = {
	.size = sizeof(struct transport_ops),
	.scheme = "rdma",
	.attach_ms = 10000, /* the CM says again what was lost only after four seconds */
	.connect = verbs_connect,
	.close = verbs_close,
	.fd = verbs_fd,
	.send = verbs_send,
	.recv = verbs_recv,
	.open = verbs_enter_region,
	.ready = verbs_ready,
	.inherit = verbs_inherit,
	.mapped = verbs_mapped,
	.adopt = verbs_adopt,
	.gone = verbs_gone,
	.pulse = verbs_pulse,
	.header = verbs_header,
	.owner_line = verbs_owner_line,
	.counter = verbs_counter,
	.beat = verbs_beat,
	.newest = verbs_newest,
	.read = verbs_read,
	.read_at = verbs_read_at,
	.read_step = verbs_read_step,
	.step_complete = verbs_step_complete,
	.ahead = verbs_ahead,
	.batch_begin = verbs_batch_begin,
	.batch_take = verbs_batch_take,
	.wait = verbs_wait,
	.told = verbs_told_times,
	.borrow = verbs_borrow,
	.borrow_end = verbs_borrow_end,
	.granted = verbs_granted,
	.publish = verbs_publish,
	.complete = verbs_complete,
	.loan = verbs_loan,
	.loan_end = verbs_loan_end,
};
