/* SPDX-License-Identifier: Apache-2.0 */
/* udp: the control flow, what the slow path sees of the engine, and the table of operations. */
#include "transport/udp.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

#define SENDS 512u                      /* segments of the control flow */
#define DATAGRAMS_A_PASS 256
#define BYE_NS UINT64_C(100000000)      /* for the last message to leave */
#define BYE_SLICE_NS UINT64_C(200000)
#define FENCED_NS UINT64_C(500000000)   /* for the news that a role was given away */
#define SUSPECT_NS UINT64_C(100000000)  /* a RESET that nothing contradicts for so long, and for */
#define SUSPECT_TICKS 3u                /* so many ticks, is true */
#define FIRST_ASK_MS 50u
#define FIRST_BEATS (UINT64_C(1) << 63) /* no beat of a handle is one of these */

int udp_lost(struct transport_conn *conn, int error)
{
	int none = 0;
	atomic_compare_exchange_strong(&conn->broken, &none, error);
	return -ENOTCONN;
}

static uint64_t ask_every_ns(const struct transport_conn *conn)
{
	return (conn->view ? conn->header.tick_ms : FIRST_ASK_MS) * UINT64_C(1000000);
}

/* Somebody says that the session is no more, and anybody may. The engine is asked at once. */
static void suspect(struct transport_conn *conn)
{
	uint64_t now = clock_now(conn->clock);
	if (conn->suspect_ns)
		return;
	conn->suspect_ns = now ? now : 1;
	conn->asked_ns = clock_now(&clock_system) - ask_every_ns(conn);
}

/* ---- what comes ---- */

static void take_pulse(struct transport_conn *conn, const struct udp_pulse *p)
{
	if (!conn->view || p->generation != conn->header.generation)
		return;
	if (p->heartbeat > atomic_load_explicit(&conn->header.heartbeat, memory_order_relaxed))
		atomic_store_explicit(&conn->header.heartbeat, p->heartbeat, memory_order_relaxed);
	atomic_store_explicit(&conn->header.state, p->state, memory_order_relaxed);
	for (uint32_t i = 0; i < p->owners && i + p->first_owner < conn->view->owner_count; i++) {
		struct owner_line *line = &conn->lines[p->first_owner + i];
		atomic_store_explicit(&line->epoch, p->line[i].epoch, memory_order_relaxed);
		atomic_store_explicit(&line->pid, p->line[i].pid, memory_order_relaxed);
		atomic_store_explicit(&line->bank_state, p->line[i].bank_state, memory_order_relaxed);
	}
	conn->next_owner = p->first_owner + p->owners < conn->view->owner_count ?
		p->first_owner + p->owners : 0;
	for (uint32_t i = 0; i < p->counters; i++)
		atomic_store_explicit(&conn->counters[i], p->counter[i], memory_order_relaxed);
	for (uint32_t i = 0; i < p->groups; i++) {
		uint32_t group = p->newest[i].group;
		if (group < conn->view->group_count && conn->view->groups[group].owner != conn->own_owner)
			atomic_store_explicit(&conn->newest[group], p->newest[i].seq, memory_order_relaxed);
	}
}

static int on_frame(struct transport_conn *conn, const struct udp_frame *f, bool newest, uint64_t now)
{
	struct udp_segment segment;
	struct udp_ack ack;
	struct udp_pulse pulse;
	struct udp_close close;
	int rc = 0;
	switch (f->type) {
	case UDP_SEGMENT:
		rc = udp_get_segment(f, &segment);
		return rc ? rc : udp_receiver_take(&conn->receiver, &segment);
	case UDP_ACK:
		rc = udp_get_ack(f, &ack);
		return rc ? rc : udp_sender_ack(&conn->sender, now, &ack);
	case UDP_PULSE:
		rc = udp_get_pulse(f, &pulse);
		if (rc == 0 && newest) /* one that was overtaken on the way would set things back */
			take_pulse(conn, &pulse);
		return rc;
	case UDP_PROVE:
		rc = udp_get_prove(f, &conn->prove);
		conn->owes_prove = rc == 0;
		return rc;
	case UDP_CLOSE:
		conn->ended = true; /* after what it said before */
		if (udp_get_close(f, &close) == 0 && close.status == -EUSERS)
			conn->full = true;
		return 0;
	default:
		return 0;
	}
}

static void on_datagram(struct transport_conn *conn, unsigned char *d, size_t n, uint64_t now)
{
	const unsigned char *at, *end;
	struct udp_frame f;
	struct udp_reset reset;
	bool newest;
	if (udp_get_reset(d, n, &reset) == 0) {
		if (reset.session == conn->control.flow.to && reset.counter < conn->control.flow.counter)
			suspect(conn);
		return;
	}
	if (udp_flow_open(&conn->control.flow, d, n, &at, &end, &newest))
		return;
	conn->heard_ns = clock_now(conn->clock);
	conn->suspect_ns = 0;
	atomic_store_explicit(&conn->silent, false, memory_order_relaxed);
	int rc = 0;
	while (rc == 0 && (rc = udp_next_frame(&at, end, &f)) == 1)
		rc = on_frame(conn, &f, newest, now);
	if (rc)
		udp_lost(conn, rc);
}

static void receive_all(struct transport_conn *conn, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM + 1];
	for (int i = 0; i < DATAGRAMS_A_PASS; i++) {
		ssize_t n = port_recv(conn->control.fd, d, sizeof(d));
		if (n >= 0)
			on_datagram(conn, d, (size_t)n, now);
		else if (n == -ECONNREFUSED)
			suspect(conn); /* an ICMP message, which anybody can make */
		else if (n == -EAGAIN)
			return;
	}
}

/* ---- what goes ---- */

static void send_control(struct transport_conn *conn, unsigned char *d, struct udp_writer *w)
{
	size_t n = w->size ? udp_flow_seal(&conn->control.flow, d, w) : 0;
	if (n && port_send(conn->control.fd, d, n) == -ECONNREFUSED)
		suspect(conn);
	*w = udp_flow_begin(d);
}

static void put_ask(struct transport_conn *conn, struct udp_writer *w, uint64_t now)
{
	struct udp_ask m = { .beat = conn->beat, .first_owner = conn->next_owner };
	if (now - conn->asked_ns < ask_every_ns(conn))
		return;
	conn->asked_ns = now;
	if (!m.beat && conn->welcome.header_bytes && conn->welcome.owner != DSM_NONE)
		m.beat = FIRST_BEATS | ++conn->first_beats;
	for (uint32_t i = 0; i < conn->age_count && m.groups < UDP_AGES_MAX; i++)
		m.group[m.groups++] = conn->ages[(conn->age_next + i) % conn->age_count];
	if (conn->age_count)
		conn->age_next = (conn->age_next + m.groups) % conn->age_count;
	udp_put_ask(w, &m);
}

static void set_timer(struct transport_conn *conn, uint64_t now)
{
	uint64_t due = udp_sender_due(&conn->sender, now), ask = conn->asked_ns + ask_every_ns(conn);
	uint64_t ns = due < ask ? due : ask;
	port_alarm_at(&conn->alarm, ns > now ? ns - now : 1);
}

static void speak(struct transport_conn *conn, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_ack ack;
	if (conn->owes_prove)
		udp_put_prove(&w, &conn->prove);
	conn->owes_prove = false;
	if (conn->receiver.owes) {
		udp_receiver_ack(&conn->receiver, &ack);
		udp_put_ack(&w, &ack);
	}
	put_ask(conn, &w, now);
	for (;;) {
		if (udp_sender_next(&conn->sender, now, &w))
			continue;
		bool more = w.size && udp_sender_due(&conn->sender, now) <= now;
		send_control(conn, d, &w);
		if (!more)
			break;
	}
	set_timer(conn, now);
}

void udp_pump(struct transport_conn *conn)
{
	uint64_t now = clock_now(&clock_system);
	receive_all(conn, now);
	speak(conn, now);
	conn->pumped_ns = clock_now(conn->clock);
}

/* What time says: negative when the session is lost. */
static int judge(struct transport_conn *conn)
{
	uint64_t now = clock_now(conn->clock);
	uint64_t lease_ns = (conn->view ? conn->header.lease_ms : conn->idle_ms) * UINT64_C(1000000);
	if (now - conn->pumped_ns > lease_ns / 2)
		conn->heard_ns = now; /* we stood still, not the engine */
	conn->pumped_ns = now;
	if (now - conn->heard_ns > lease_ns)
		atomic_store_explicit(&conn->silent, true, memory_order_relaxed);
	uint64_t ticks_ns = SUSPECT_TICKS * ask_every_ns(conn);
	if (conn->suspect_ns && now - conn->suspect_ns > (ticks_ns > SUSPECT_NS ? ticks_ns : SUSPECT_NS))
		return udp_lost(conn, -ECONNRESET);
	if (now - conn->heard_ns > conn->idle_ms * UINT64_C(1000000))
		return udp_lost(conn, -ETIMEDOUT);
	/* a role that ends by a fence is announced; if it is not, the session is made anew */
	if (!atomic_load(&conn->write_broken) || conn->superseded)
		return 0;
	if (!conn->write_lost_ns)
		conn->write_lost_ns = now ? now : 1;
	return now - conn->write_lost_ns > FENCED_NS ? udp_lost(conn, -ECONNRESET) : 0;
}

/* ---- operations ---- */

static int udp_fd(const struct transport_conn *conn)
{
	return conn->alarm.poll;
}

static int udp_data_fd(const struct transport_conn *conn)
{
	return conn->data.fd;
}

static int udp_send(struct transport_conn *conn, const void *message, size_t bytes)
{
	if (atomic_load(&conn->broken))
		return -EPIPE;
	int rc = udp_sender_put(&conn->sender, NULL, 0, message, bytes);
	if (rc == 0)
		speak(conn, clock_now(&clock_system));
	return rc;
}

static void look_into(struct transport_conn *conn, const void *message, size_t bytes)
{
	struct control_reader r;
	struct control_event e;
	if (conn->own_owner != DSM_NONE && control_open(&r, message, bytes) == 0 &&
	    r.type == CONTROL_EVENT && control_get_event(&r, &e) == 0 &&
	    e.kind == CONTROL_SUPERSEDED && e.owner == conn->own_owner) {
		conn->superseded = true;
		atomic_store(&conn->write_broken, -EOWNERDEAD);
	}
}

static int udp_recv(struct transport_conn *conn, void *message, size_t room)
{
	uint64_t now = clock_now(&clock_system);
	size_t n;
	int rc = port_alarm_clear(&conn->alarm);
	if (rc)
		return udp_lost(conn, rc);
	receive_all(conn, now);
	const void *m = udp_receiver_message(&conn->receiver, &n, &rc);
	speak(conn, now);
	if (rc || (m && n > room))
		return udp_lost(conn, -EBADMSG), -EBADMSG;
	if (m) {
		memcpy(message, m, n);
		look_into(conn, message, n);
		return (int)n;
	}
	if (conn->full && !conn->view)
		return udp_lost(conn, -EUSERS), dsm__fail(-EUSERS, "udp: the engine at %s has all the "
			"clients it takes", conn->peer);
	if (conn->ended)
		udp_lost(conn, -ECONNRESET);
	judge(conn);
	rc = atomic_load(&conn->broken);
	return rc ? rc : -EAGAIN;
}

static void udp_close(struct transport_conn *conn);

static int set_up(struct transport_conn *conn, const struct uri *uri, const struct transport_identity *as)
{
	if (udp_sender_init(&conn->sender, SENDS) || udp_receiver_init(&conn->receiver, CONTROL_MAX))
		return dsm__fail(-ENOMEM, "no memory for a connection");
	int rc = udp_dial(conn, uri, as);
	if (rc)
		return rc;
	rc = port_alarm_open(&conn->alarm, conn->control.fd);
	return rc ? dsm__fail(rc, "cannot make a descriptor to poll: %s", port_strerror(-rc)) : 0;
}

static int udp_connect(const struct uri *uri, const struct transport_identity *as, uint32_t timeout_ms,
	struct transport_conn **out)
{
	struct transport_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return dsm__fail(-ENOMEM, "no memory for a connection");
	conn->pid = getpid();
	conn->own_owner = conn->staged = DSM_NONE;
	conn->alarm = (struct port_alarm){ -1, -1 };
	conn->control.fd = conn->data.fd = -1;
	conn->spin_ns = as->spin_us * UINT64_C(1000);
	conn->clock = as->clock;
	conn->progress = as->progress;
	conn->progress_context = as->progress_context;
	conn->deadline = clock_now(conn->clock) + timeout_ms * UINT64_C(1000000);
	int rc = set_up(conn, uri, as);
	conn->heard_ns = conn->pumped_ns = clock_now(conn->clock);
	conn->asked_ns = clock_now(&clock_system);
	if (rc)
		udp_close(conn);
	else
		*out = conn;
	return rc;
}

/* A BYE that has just been queued should still get there; then CLOSE, which needs no answer. */
static void say_last_words(struct transport_conn *conn)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_close m = { 0 };
	uint64_t now = clock_now(&clock_system), until = now + BYE_NS;
	if (conn->control.fd < 0)
		return;
	while (!atomic_load(&conn->broken) && !conn->ended && !conn->suspect_ns &&
	       !udp_sender_idle(&conn->sender) && now < until) {
		port_sleep(BYE_SLICE_NS);
		now = clock_now(&clock_system);
		receive_all(conn, now);
		speak(conn, now);
	}
	udp_put_close(&w, &m);
	send_control(conn, d, &w);
}

static void udp_close(struct transport_conn *conn)
{
	if (!conn)
		return;
	if (conn->pid == getpid())
		say_last_words(conn);
	port_alarm_close(&conn->alarm);
	port_socket_close(conn->control.fd);
	port_socket_close(conn->data.fd);
	udp_sender_free(&conn->sender);
	udp_sender_free(&conn->commits);
	udp_receiver_free(&conn->receiver);
	port_release(conn->directory, conn->directory_room);
	port_release(conn->slot, conn->slot_room);
	port_release(conn->last, conn->last_room);
	port_release(conn->stage, conn->stage_room);
	free(conn->last_at);
	free(conn->lines);
	free((void *)conn->newest);
	free(conn->ages);
	free(conn->many);
	free(conn->steps);
	free(conn->seqs);
	sodium_memzero(conn, sizeof(*conn));
	free(conn);
}

/* The sockets stay until close: nobody waits for them. From here on a read answers from what is known. */
static void udp_gone(struct transport_conn *conn)
{
	udp_lost(conn, -ECONNRESET);
}

static void udp_pulse(const struct transport_conn *conn, struct transport_pulse *out)
{
	out->heartbeat = atomic_load_explicit(&conn->header.heartbeat, memory_order_relaxed);
	out->ended = atomic_load_explicit(&conn->header.state, memory_order_relaxed) == REGION_ENDED;
}

static const struct region_header *udp_header(const struct transport_conn *conn)
{
	return &conn->header;
}

static uint64_t udp_owner_line(const struct transport_conn *conn, uint32_t owner, uint32_t *epoch,
	uint32_t *pid, uint64_t *step)
{
	const struct owner_line *line = &conn->lines[owner];
	if (epoch)
		*epoch = atomic_load_explicit(&line->epoch, memory_order_relaxed);
	if (pid)
		*pid = atomic_load_explicit(&line->pid, memory_order_relaxed);
	if (step) /* asked by the handle's thread only */
		*step = udp_step_complete(conn, owner);
	return atomic_load_explicit(&line->bank_state, memory_order_relaxed);
}

static uint64_t udp_counter(const struct transport_conn *conn, uint32_t index)
{
	return index < DSM_COUNTERS ?
		atomic_load_explicit(&conn->counters[index], memory_order_relaxed) : 0;
}

/* It goes with the next ASK. */
static void udp_beat(struct transport_conn *conn, uint32_t owner, uint64_t tick)
{
	if (owner == conn->own_owner)
		conn->beat = tick;
}

static uint64_t udp_newest(const struct transport_conn *conn, uint32_t group)
{
	const struct directory_group *g = &conn->view->groups[group];
	if (g->flags & DSM_GROUP_UNCHECKED || DSM_SLOT_HEADER + g->payload_bytes > UDP_SLOT_MAX)
		return UINT64_MAX; /* nobody waits for what cannot be read here: the read says why */
	return atomic_load_explicit(&conn->newest[group], memory_order_relaxed);
}

static void udp_begin(struct transport_conn *conn, uint64_t deadline_ns)
{
	conn->call_deadline = deadline_ns;
}

const struct transport_ops transport_udp = {
	.size = sizeof(struct transport_ops),
	.scheme = "udp",
	.attach_ms = 5000,
	.connect = udp_connect,
	.close = udp_close,
	.fd = udp_fd,
	.send = udp_send,
	.recv = udp_recv,
	.open = udp_open,
	.ready = udp_ready,
	.inherit = udp_inherit,
	.mapped = udp_mapped,
	.adopt = udp_adopt,
	.gone = udp_gone,
	.pulse = udp_pulse,
	.header = udp_header,
	.owner_line = udp_owner_line,
	.counter = udp_counter,
	.beat = udp_beat,
	.newest = udp_newest,
	.begin = udp_begin,
	.subscribe = udp_subscribe,
	.unsubscribe = udp_unsubscribe,
	.listen = udp_listen,
	.take = udp_take,
	.read = udp_read,
	.read_at = udp_read_at,
	.read_step = udp_read_step,
	.ahead = udp_ahead,
	.batch_begin = udp_batch_begin,
	.batch_take = udp_batch_take,
	.step_complete = udp_step_complete,
	.wait = udp_wait,
	.told = udp_told,
	.data_fd = udp_data_fd,
	.borrow = udp_borrow,
	.borrow_end = udp_borrow_end,
	.granted = udp_granted,
	.publish = udp_publish,
	.complete = udp_complete,
	.loan = udp_loan,
	.loan_end = udp_loan_end,
};
