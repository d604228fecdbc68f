/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp: header and directory at an attach, which are many READs. Several are under way at once: as many
 * as the path seems to bear, more with each that is answered and half of them after a loss, in the way
 * of TCP. Each is asked for again by itself, and only what has not come counts as missing.
 */
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "transport/udp.h"

#define CHUNK (4 * UDP_PIECE)
#define FLIGHT_MIN 8u               /* READs under way: together one of the longest */
#define FLIGHT_MAX 64u
#define QUESTIONS 16u               /* of one datagram: the engine answers 64 KiB of it */
#define LISTEN_NS UINT64_C(10000000) /* then the control flow has its turn, and the deadline */
#define PUMP_NS UINT64_C(5000000)
#define TELL_NS UINT64_C(100000000)
#define DRAIN 64u                   /* datagrams that have come already */
_Static_assert(FLIGHT_MIN * CHUNK <= UDP_READ_MAX, "no more at the beginning than one READ may ask for");

struct question {
	uint64_t at;                /* its first byte of what is wanted */
	uint64_t sent_ns, wait_ns;  /* last, and how long from then on; by the system's clock */
	bool again;                 /* was asked more than once */
};

struct fetch {
	struct transport_conn *conn;
	uint64_t offset, bytes;     /* what is wanted: of the region */
	unsigned char *to;
	uint64_t asked, got;        /* of `bytes` */
	uint32_t flight, active;
	uint64_t lost_ns;           /* when a loss was last taken for one */
	uint64_t pumped_ns, told_ns;
	uint32_t losses;            /* doublings of the wait since an answer came to the first question */
	struct question q[FLIGHT_MAX];
	struct udp_expect x[FLIGHT_MAX]; /* ids 0: free */
};

/* ---- questions ---- */

static uint64_t patience(const struct fetch *f)
{
	uint64_t wait = udp_ask_wait(f->conn), most = wait > UDP_RTO_MAX_NS ? wait : UDP_RTO_MAX_NS;
	uint64_t ns = wait << (f->losses < 7 ? f->losses : 7);
	return ns < most ? ns : most;
}

static void begin(struct fetch *f, uint32_t i)
{
	uint64_t left = f->bytes - f->asked;
	uint32_t bytes = left < CHUNK ? (uint32_t)left : CHUNK;
	f->q[i] = (struct question){ .at = f->asked };
	uint32_t more = f->x[i].more;
	f->x[i] = (struct udp_expect){ .id = ++f->conn->next_id, .ids = 1, .to = f->to + f->asked, .bytes = bytes,
		.pieces = (UINT32_C(1) << ((bytes + UDP_PIECE - 1) / UDP_PIECE)) - 1, .more = more };
	f->asked += bytes;
	f->active++;
}

/* One loss halves; what was under way with it belongs to it. */
static void lose(struct fetch *f, const struct question *q, uint64_t now)
{
	if (q->sent_ns <= f->lost_ns)
		return;
	f->lost_ns = now;
	f->losses++;
	f->flight = f->flight / 2 > FLIGHT_MIN ? f->flight / 2 : FLIGHT_MIN;
}

/* Sends what is new and what has waited too long. When the next is due. */
static uint64_t ask(struct fetch *f, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	uint64_t next = now + LISTEN_NS;
	uint32_t put = 0;
	for (uint32_t i = 0; i < FLIGHT_MAX; i++) {
		struct question *q = &f->q[i];
		bool fresh = !f->x[i].ids && f->active < f->flight && f->asked < f->bytes;
		if (fresh)
			begin(f, i);
		if (!f->x[i].ids)
			continue;
		if (!fresh && now - q->sent_ns >= q->wait_ns) {
			lose(f, q, now);
			q->again = fresh = true;
		}
		if (fresh) {
			struct udp_read m = { .id = f->x[i].id, .kind = UDP_READ_BASE, .arg = f->offset + q->at,
				.bytes = f->x[i].bytes };
			if (put == QUESTIONS) {
				udp_data_send(f->conn, d, &w);
				put = 0;
			}
			udp_put_read(&w, &m);
			put++;
			q->sent_ns = now;
			q->wait_ns = patience(f);
		}
		if (q->sent_ns + q->wait_ns < next)
			next = q->sent_ns + q->wait_ns;
	}
	udp_data_send(f->conn, d, &w);
	return next;
}

/* ---- answers ---- */

/* What is whole makes room for more. A status of the engine is an error. */
static int settle(struct fetch *f, uint64_t now)
{
	for (uint32_t i = 0; i < FLIGHT_MAX; i++) {
		struct udp_expect *x = &f->x[i];
		if (!x->ids || !x->done)
			continue;
		if (x->status)
			return x->status;
		if (!f->q[i].again) { /* else nobody knows which question was answered */
			udp_rtt_take(&f->conn->rtt, now - f->q[i].sent_ns);
			f->losses = 0;
		}
		f->got += x->bytes;
		f->flight += f->flight < FLIGHT_MAX;
		f->active--;
		x->ids = 0;
	}
	return 0;
}

static int listen_for(struct fetch *f, uint64_t ns)
{
	int rc = udp_data_receive(f->conn, ns, f->x);
	for (uint32_t i = 0; rc == 0 && i < DRAIN; i++)
		rc = udp_data_receive(f->conn, 0, f->x);
	return rc == -EAGAIN ? 0 : rc;
}

/* What goes on beside: the control flow; who wants to know how far it is. */
static void attend(struct fetch *f, uint64_t now, bool tell)
{
	struct transport_conn *conn = f->conn;
	if (now - f->pumped_ns >= PUMP_NS) {
		udp_pump(conn);
		f->pumped_ns = now;
	}
	if (!tell || !conn->progress || (now - f->told_ns < TELL_NS && f->got < f->bytes))
		return;
	f->told_ns = now;
	conn->progress(conn->progress_context, f->got, f->bytes);
}

int udp_fetch(struct transport_conn *conn, uint64_t offset, uint64_t bytes, unsigned char *to, bool tell)
{
	struct fetch f = { .conn = conn, .offset = offset, .bytes = bytes, .to = to, .flight = FLIGHT_MIN };
	f.told_ns = clock_now(&clock_system);
	int rc = 0;
	f.x[0].more = FLIGHT_MAX - 1;
	while (rc == 0 && f.got < bytes) {
		uint64_t now = clock_now(&clock_system), due = ask(&f, now);
		rc = listen_for(&f, due > now ? due - now : 1);
		now = clock_now(&clock_system);
		if (rc == 0)
			rc = settle(&f, now);
		bool late = f.got < bytes && clock_now(conn->clock) >= conn->deadline; /* with answers, too */
		if (rc || late)
			return dsm__fail(late ? -ETIMEDOUT : -ECONNRESET, "udp: %s: got %llu of %llu bytes "
				"of the table before the time was over or the connection lost", conn->peer,
				(unsigned long long)f.got, (unsigned long long)bytes);
		attend(&f, now, tell);
	}
	atomic_store_explicit(&conn->silent, false, memory_order_relaxed);
	return 0;
}
