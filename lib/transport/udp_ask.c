/* SPDX-License-Identifier: Apache-2.0 */
/* udp: questions of the handle's thread and their answers. A datagram that is lost is asked for
 * again within the attempt; an answer to an earlier question is passed over by its id. */
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "port/port.h"
#include "transport/udp.h"

#define ASKS_MAX 6u                 /* of one attempt, each waiting twice as long as the one before */
/* At least so long for an answer: a wait that is shorter than a tick of the kernel (4 ms by default)
 * made each read slower in a virtual machine, see docs/performance.md. */
#define ASK_MIN_NS UINT64_C(5000000)
#define ALL_PIECES(n) ((n) >= 32 ? UINT32_MAX : (UINT32_C(1) << (n)) - 1)

void udp_data_send(struct transport_conn *conn, unsigned char *d, struct udp_writer *w)
{
	size_t n = w->size ? udp_flow_seal(&conn->data.flow, d, w) : 0;
	if (n && port_send(conn->data.fd, d, n) < 0)
		n = 0; /* as if it was lost on the way; the slow path finds out why */
	*w = udp_flow_begin(d);
}

/* ---- what comes ---- */

static void take_seq(struct udp_expect *x, const struct udp_answer *m)
{
	uint32_t i = m->id - x->id;
	x->seqs[i] = m->status ? 0 : m->seq;
	x->seqs_missing &= ~(UINT32_C(1) << i);
	x->done = x->seqs_missing == 0;
}

static void take_answer_of(struct udp_expect *x, const struct udp_answer *m)
{
	if (m->id - x->id >= x->ids || x->done)
		return;
	if (x->ids > 1) {
		take_seq(x, m);
		return;
	}
	if (m->status || x->bytes == 0) {
		x->status = m->status;
		x->seq = m->seq;
		x->done = true;
		return;
	}
	uint32_t at = m->offset - x->offset, piece = at / UDP_PIECE;
	if (m->offset < x->offset || at % UDP_PIECE || at >= x->bytes ||
	    m->bytes != (x->bytes - at < UDP_PIECE ? x->bytes - at : UDP_PIECE) ||
	    (x->any && m->seq != x->seq) || !(x->pieces & UINT32_C(1) << piece))
		return;
	memcpy(x->to + at, m->data, m->bytes);
	x->any = true;
	x->seq = m->seq;
	x->pieces &= ~(UINT32_C(1) << piece);
	x->done = x->pieces == 0;
}

static void take_answer(struct udp_expect *x, const struct udp_answer *m)
{
	for (uint32_t i = 0; i <= x->more; i++)
		take_answer_of(x + i, m);
}

static void take_notify(struct transport_conn *conn, const struct udp_newest *m)
{
	if (!conn->view || m->group >= conn->view->group_count ||
	    conn->view->groups[m->group].owner == conn->own_owner)
		return;
	atomic_store_explicit(&conn->newest[m->group], m->seq, memory_order_relaxed);
	conn->told++;
	conn->wait_count = 0; /* it says so once */
}

/* The engine wants to know that what it sends here comes to who asked for it. */
static void say_back(struct transport_conn *conn, const struct udp_prove *m)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	udp_put_prove(&w, m);
	udp_data_send(conn, d, &w);
}

static int take_frame(struct transport_conn *conn, const struct udp_frame *f, struct udp_expect *x)
{
	struct udp_answer answer;
	struct udp_newest newest;
	struct udp_ack ack;
	struct udp_committed committed;
	struct udp_prove prove;
	int rc = 0;
	switch (f->type) {
	case UDP_ANSWER:
		rc = udp_get_answer(f, &answer);
		if (rc == 0 && x)
			take_answer(x, &answer);
		if (rc == 0 && conn->sub_count)
			udp_on_probe(conn, answer.id);
		return rc;
	case UDP_NOTIFY:
		rc = udp_get_notify(f, &newest);
		if (rc == 0)
			take_notify(conn, &newest);
		return rc;
	case UDP_PROVE:
		rc = udp_get_prove(f, &prove);
		if (rc == 0)
			say_back(conn, &prove);
		return rc;
	case UDP_SUBSCRIBED:
		return udp_on_subscribed(conn, f);
	case UDP_UPDATE:
		return udp_on_update(conn, f);
	case UDP_ACK:
		rc = udp_get_ack(f, &ack);
		return rc || !conn->commits.slots ? rc :
			udp_sender_ack(&conn->commits, clock_now(&clock_system), &ack);
	case UDP_COMMITTED:
		rc = udp_get_committed(f, &committed);
		if (rc == 0 && committed.number <= conn->number && committed.number >= conn->committed)
			conn->committed = committed.number;
		if (rc == 0 && committed.status && committed.number < conn->number)
			conn->refused = committed.status;
		return rc;
	default:
		return 0;
	}
}

/* Polls if that was asked for, then sleeps. Bytes; negative: none came. */
static ssize_t next_datagram(struct transport_conn *conn, uint64_t ns, unsigned char *d)
{
	uint64_t start = conn->spin_ns && ns ? clock_now(&clock_system) : 0;
	ssize_t n = -1;
	while (start && n < 0 && clock_now(&clock_system) - start < (conn->spin_ns < ns ? conn->spin_ns : ns))
		n = port_recv(conn->data.fd, d, UDP_DATAGRAM + 1);
	if (n >= 0 || (ns && !port_wait(&conn->data.fd, 1, ns)))
		return n;
	return port_recv(conn->data.fd, d, UDP_DATAGRAM + 1);
}

int udp_data_receive(struct transport_conn *conn, uint64_t ns, struct udp_expect *x)
{
	unsigned char d[UDP_DATAGRAM + 1];
	const unsigned char *at, *end;
	struct udp_frame f;
	bool newest;
	if (atomic_load_explicit(&conn->broken, memory_order_relaxed))
		return -ENOTCONN;
	ssize_t n = next_datagram(conn, ns, d);
	if (n < 0)
		return -EAGAIN;
	if (udp_flow_open(&conn->data.flow, d, (size_t)n, &at, &end, &newest))
		return 0;
	int rc = 0;
	while (rc == 0 && (rc = udp_next_frame(&at, end, &f)) == 1)
		rc = take_frame(conn, &f, x);
	udp_say_updated(conn);
	return rc ? udp_lost(conn, rc) : 0;
}

/* ---- asking ---- */

/* Until it is answered or the time is over. -EAGAIN. */
static int wait_for(struct transport_conn *conn, struct udp_expect *x, uint64_t until)
{
	uint64_t now;
	do { /* one look in any case: this thread may have stood still since it asked */
		now = clock_now(&clock_system);
		int rc = udp_data_receive(conn, now < until ? until - now : 0, x);
		if (rc && rc != -EAGAIN)
			return rc;
	} while (!x->done && now < until);
	return x->done ? 0 : -EAGAIN;
}

uint64_t udp_ask_wait(const struct transport_conn *conn)
{
	uint64_t ns = udp_rtt_timeout(&conn->rtt), far = conn->rtt.smooth_ns + conn->rtt.smooth_ns / 2;
	ns = ns < far ? far : ns; /* the longest timeout is shorter than some ways are */
	return ns < ASK_MIN_NS ? ASK_MIN_NS : ns;
}

static uint64_t twice(uint64_t ns)
{
	uint64_t most = ns > UDP_RTO_MAX_NS ? ns : UDP_RTO_MAX_NS;
	return 2 * ns < most ? 2 * ns : most;
}

/* What is missing, from the first to the last missing piece, of the version that has come. */
static void put_question(struct udp_writer *w, const struct udp_read *m, const struct udp_expect *x)
{
	struct udp_read again = *m;
	if (x->any && x->pieces) {
		uint32_t first = (uint32_t)__builtin_ctz(x->pieces);
		uint32_t end = (32 - (uint32_t)__builtin_clz(x->pieces)) * UDP_PIECE;
		uint32_t skip = first * UDP_PIECE;
		again.bytes = (end < x->bytes ? end : x->bytes) - skip;
		if (m->kind == UDP_READ_BASE) { /* offsets of its answers are from its argument */
			again = *m;
		} else {
			again.kind = UDP_READ_VERSION;
			again.arg = x->seq;
			again.offset = m->offset + skip;
		}
	}
	udp_put_read(w, &again);
}

uint64_t udp_call_left(const struct transport_conn *conn)
{
	uint64_t now = conn->call_deadline ? clock_now(conn->clock) : 0;
	return !conn->call_deadline ? UINT64_MAX : now < conn->call_deadline ? conn->call_deadline - now : 0;
}

int udp_ask(struct transport_conn *conn, struct udp_read *m, unsigned char *to, uint64_t *seq)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_expect x = { .id = ++conn->next_id, .ids = 1, .to = to, .offset = m->offset,
		.bytes = m->bytes, .pieces = ALL_PIECES((m->bytes + UDP_PIECE - 1) / UDP_PIECE) };
	uint64_t timeout = udp_ask_wait(conn);
	int rc = -EAGAIN;
	m->id = x.id;
	for (uint32_t i = 0; rc == -EAGAIN && i < ASKS_MAX; i++) {
		uint64_t now = clock_now(&clock_system), left = udp_call_left(conn);
		if (left == 0)
			return dsm__fail(-ETIMEDOUT, "udp: %s: no answer within the time of the call", conn->peer);
		put_question(&w, m, &x);
		udp_data_send(conn, d, &w);
		rc = wait_for(conn, &x, now + (timeout < left ? timeout : left));
		if (rc == 0 && i == 0) /* else nobody knows which question was answered */
			udp_rtt_take(&conn->rtt, clock_now(&clock_system) - now);
		timeout = twice(timeout);
		if (rc == -EAGAIN && udp_there(conn))
			return -ENOTCONN;
	}
	if (rc)
		return rc;
	*seq = x.seq;
	return x.status;
}

int udp_ask_seqs(struct transport_conn *conn, uint32_t first, uint32_t n)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_expect x = { .id = conn->next_id + 1, .ids = n > 1 ? n : 2, .seqs = conn->seqs,
		.seqs_missing = ALL_PIECES(n) };
	uint64_t timeout = udp_ask_wait(conn);
	int rc = -EAGAIN;
	conn->next_id += n + 1;
	for (uint32_t i = 0; rc == -EAGAIN && i < ASKS_MAX; i++) {
		for (uint32_t g = 0; g < n; g++) {
			struct udp_read m = { .id = x.id + g, .kind = UDP_READ_SEQ, .index = first + g };
			if (x.seqs_missing & UINT32_C(1) << g)
				udp_put_read(&w, &m);
		}
		udp_data_send(conn, d, &w);
		rc = wait_for(conn, &x, clock_now(&clock_system) + timeout);
		timeout = twice(timeout);
	}
	return rc;
}
