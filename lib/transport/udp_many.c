/* SPDX-License-Identifier: Apache-2.0 */
/* udp: slots of several groups by questions of one datagram: for a snapshot of one step, and for a batch, which
 * is asked for when it is taken. Slots that fit into one answer each; what does not, and what does not hold, is
 * read by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/step.h"
#include "transport/udp.h"

#define AHEAD TRANSPORT_BATCHES     /* the list of a snapshot; below it the batches */
#define TRIES 6u                    /* datagrams, each awaited twice as long as the one before */

/* What is wanted, in order; DSM_NONE: it was taken. */
struct wanted {
	uint32_t n, group[TRANSPORT_AHEAD];
	uint64_t step;              /* STEP_TORN: their newest */
};

struct udp_many {
	struct wanted wanted[TRANSPORT_BATCHES + 1];
	/* what came last: `n` groups of a list, from `from` on */
	const struct wanted *of;
	uint32_t from, n;
	struct udp_expect x[TRANSPORT_BATCH];
	uint64_t slot[TRANSPORT_BATCH][UDP_PIECE / 8];
};

int udp_many_init(struct transport_conn *conn)
{
	conn->many = calloc(1, sizeof(*conn->many));
	return conn->many ? 0 : -ENOMEM;
}

static void want(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n,
	uint64_t step)
{
	struct wanted *w = &conn->many->wanted[place];
	w->n = n;
	w->step = step;
	for (uint32_t i = 0; i < n; i++)
		w->group[i] = (uint32_t)groups[i].id;
	if (conn->many->of == w)
		conn->many->of = NULL; /* what came was for those before */
}

void udp_ahead(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n)
{
	want(conn, AHEAD, groups, n > 1 && n <= TRANSPORT_AHEAD ? n : 0,
		n ? conn->steps[conn->view->groups[(uint32_t)groups[0].id].owner] : STEP_TORN);
}

int udp_batch_begin(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n)
{
	want(conn, place, groups, n, STEP_TORN);
	return 0;
}

/* ---- asking ---- */

static uint64_t slot_bytes(const struct transport_conn *conn, uint32_t group)
{
	return DSM_SLOT_HEADER + conn->view->groups[group].payload_bytes;
}

static void expect(struct transport_conn *conn, struct udp_many *m, uint32_t k, uint32_t group)
{
	bool fits = group != DSM_NONE && slot_bytes(conn, group) <= UDP_PIECE &&
		!(conn->view->groups[group].flags & DSM_GROUP_UNCHECKED);
	m->x[k] = (struct udp_expect){ .id = ++conn->next_id, .ids = 1, .to = (unsigned char *)m->slot[k], .pieces = 1,
		.bytes = fits ? (uint32_t)slot_bytes(conn, group) : 0, .done = !fits, .status = fits ? 0 : -EAGAIN };
}

/* Those that were not answered yet. False: all were. */
static bool put_questions(const struct udp_many *m, struct udp_writer *w)
{
	bool any = false;
	for (uint32_t k = 0; k < m->n; k++) {
		struct udp_read q = { .id = m->x[k].id, .index = m->of->group[m->from + k], .bytes = m->x[k].bytes,
			.kind = m->of->step == STEP_TORN ? UDP_READ_NEWEST : UDP_READ_STEP,
			.arg = m->of->step == STEP_TORN ? 0 : m->of->step };
		if (m->x[k].done)
			continue;
		any = true;
		udp_put_read(w, &q);
	}
	return any;
}

static bool all_done(const struct udp_many *m)
{
	for (uint32_t k = 0; k < m->n; k++)
		if (!m->x[k].done)
			return false;
	return true;
}

/* The group at `from` of the list and those behind it, as many as one datagram asks for. */
static void fetch(struct transport_conn *conn, const struct wanted *w, uint32_t from)
{
	struct udp_many *m = conn->many;
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer out = udp_flow_begin(d);
	uint64_t timeout = udp_ask_wait(conn), now;
	m->of = w;
	m->from = from;
	m->n = w->n - from < TRANSPORT_BATCH ? w->n - from : TRANSPORT_BATCH;
	for (uint32_t k = 0; k < m->n; k++)
		expect(conn, m, k, w->group[from + k]);
	m->x[0].more = m->n - 1;
	for (uint32_t i = 0; i < TRIES && udp_there(conn) == 0 && udp_call_left(conn) &&
	     put_questions(m, &out); i++, timeout *= 2) {
		uint64_t until = clock_now(&clock_system) + timeout;
		int rc = 0;
		udp_data_send(conn, d, &out);
		while (!all_done(m) && (rc == 0 || rc == -EAGAIN) && (now = clock_now(&clock_system)) < until)
			rc = udp_data_receive(conn, until - now, m->x);
		if (rc && rc != -EAGAIN)
			return;
	}
}

/* ---- taking ---- */

/* A verified slot of the group, which is then used up. NULL: read it. */
static const uint64_t *take(struct transport_conn *conn, uint32_t place, uint32_t group, struct slot_meta *meta)
{
	struct udp_many *m = conn->many;
	struct wanted *w = &m->wanted[place];
	uint32_t i = 0;
	while (i < w->n && w->group[i] != group)
		i++;
	if (i == w->n || slot_bytes(conn, group) > UDP_PIECE)
		return NULL;
	if (m->of != w || i - m->from >= m->n)
		fetch(conn, w, i);
	const struct udp_expect *x = &m->x[i - m->from];
	const uint64_t *slot = m->slot[i - m->from];
	w->group[i] = DSM_NONE;
	if (!x->done || x->status || udp_verify(conn, group, x->seq, slot, meta))
		return NULL;
	udp_keep(conn, group, slot, meta);
	return slot;
}

int udp_many_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to, struct slot_meta *meta)
{
	if (conn->many->wanted[AHEAD].step != step || udp_there(conn))
		return -EAGAIN;
	const uint64_t *slot = take(conn, AHEAD, group, meta);
	if (!slot || meta->step == 0 || meta->step > step)
		return -EAGAIN;
	memcpy(to, slot + DSM_SLOT_HEADER / 8, conn->view->groups[group].payload_bytes);
	return 0;
}

int udp_batch_take(struct transport_conn *conn, uint32_t place, uint32_t group, uint64_t *to, struct slot_meta *meta)
{
	const uint64_t *slot = udp_there(conn) ? NULL : take(conn, place, group, meta);
	if (!slot)
		return -EAGAIN;
	memcpy(to, slot + DSM_SLOT_HEADER / 8, conn->view->groups[group].payload_bytes);
	return 0;
}
