/* SPDX-License-Identifier: Apache-2.0 */
/* udp: subscriptions. The engine sends what changes; it is checked, kept where reads keep what they
 * brought, and acknowledged. What is not acknowledged comes again, so nothing here asks for an
 * update; only the subscription itself is asked for until it is answered. */
#include <errno.h>
#include <string.h>

#include "transport/udp.h"

#define SLICE_NS UINT64_C(10000000)     /* then a look at `wake` */
#define UNKNOWN_MAX 3u                  /* other questions answered, this one not: it is not known there */
#define PASS 64u                        /* datagrams taken before the caller looks */

static struct transport_wishes *find(const struct transport_conn *conn, uint32_t id)
{
	for (uint32_t i = 0; i < UDP_SUBS; i++)
		if (conn->subs[i] && conn->subs[i]->id == id)
			return conn->subs[i];
	return NULL;
}

/* With a question whose answer every engine knows: one that gives that and nothing else is older. */
static void ask_for(struct transport_conn *conn, struct transport_wishes *s, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_subscribe m = { .id = s->id, .n = s->n, .generation = conn->header.generation,
		.interval_us = (uint32_t)(s->wish[0].rule.interval_ns / 1000), .every_nth = s->wish[0].rule.every_nth };
	struct udp_read probe = { .id = s->probe, .kind = UDP_READ_SEQ, .index = s->wish[0].group };
	for (uint32_t i = 0; i < s->n; i++) {
		const struct transport_wish *x = &s->wish[i];
		m.wish[i] = (struct udp_wish){ x->group, x->rule.kind, x->rule.band, x->seq, x->epoch };
	}
	udp_put_subscribe(&w, &m);
	udp_put_read(&w, &probe);
	udp_data_send(conn, d, &w);
	s->asked_ns = now;
	s->again_ns = s->again_ns ? 2 * s->again_ns : udp_rtt_timeout(&conn->rtt);
	if (s->again_ns > UDP_RTO_MAX_NS)
		s->again_ns = UDP_RTO_MAX_NS;
}

int udp_subscribe(struct transport_conn *conn, struct transport_wishes *s)
{
	uint32_t i = 0;
	while (i < UDP_SUBS && conn->subs[i])
		i++;
	if (i == UDP_SUBS || s->n == 0 || s->n > TRANSPORT_WISHES)
		return -ENOSPC;
	s->id = ++conn->next_sub;
	s->probe = ++conn->next_id;
	s->unknown = 0;
	s->again_ns = 0;
	s->status = -EINPROGRESS;
	for (uint32_t k = 0; k < s->n; k++) {
		s->wish[k].came = 0;
		s->wish[k].fresh = false;
	}
	conn->subs[i] = s;
	conn->sub_count++;
	ask_for(conn, s, clock_now(&clock_system));
	return 0;
}

static void say_unsubscribe(struct transport_conn *conn, uint32_t id)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	udp_put_unsubscribe(&w, id);
	udp_data_send(conn, d, &w);
}

/* If this is lost, the next update makes us say it again. */
void udp_unsubscribe(struct transport_conn *conn, struct transport_wishes *s)
{
	for (uint32_t i = 0; i < UDP_SUBS; i++)
		if (conn->subs[i] == s) {
			conn->subs[i] = NULL;
			conn->sub_count--;
			say_unsubscribe(conn, s->id);
		}
}

/* ---- what comes ---- */

int udp_on_subscribed(struct transport_conn *conn, const struct udp_frame *f)
{
	struct udp_subscribed m;
	int rc = udp_get_subscribed(f, &m);
	struct transport_wishes *s = rc ? NULL : find(conn, m.id);
	if (s && s->status == -EINPROGRESS) {
		s->status = m.status == -EINPROGRESS ? -EIO : m.status;
		conn->came++;
	}
	return rc;
}

void udp_on_probe(struct transport_conn *conn, uint32_t id)
{
	for (uint32_t i = 0; i < UDP_SUBS; i++) {
		struct transport_wishes *s = conn->subs[i];
		if (!s || s->probe != id || s->status != -EINPROGRESS || ++s->unknown < UNKNOWN_MAX)
			continue;
		s->status = -ENOTSUP;
		conn->came++;
	}
}

/* 0, or -EAGAIN: as if it had been lost. */
static int take_slot(struct transport_conn *conn, uint32_t group, const struct udp_update *m)
{
	uint64_t slot[UDP_PIECE / 8];
	struct slot_meta meta;
	if (m->bytes != DSM_SLOT_HEADER + conn->view->groups[group].payload_bytes)
		return -EAGAIN;
	memcpy(slot, m->data, m->bytes);
	int rc = udp_verify(conn, group, m->seq, slot, &meta);
	if (rc)
		return rc;
	udp_keep(conn, group, slot, &meta);
	if (conn->view->groups[group].owner != conn->own_owner &&
	    atomic_load_explicit(&conn->newest[group], memory_order_relaxed) < m->seq)
		atomic_store_explicit(&conn->newest[group], m->seq, memory_order_relaxed);
	return 0;
}

int udp_on_update(struct transport_conn *conn, const struct udp_frame *f)
{
	struct udp_update m;
	int rc = udp_get_update(f, &m);
	if (rc || !conn->view)
		return rc;
	struct transport_wishes *s = find(conn, m.id);
	if (!s || m.index >= s->n) {
		conn->stranger = m.id;
		return 0;
	}
	struct transport_wish *x = &s->wish[m.index];
	if (m.bytes && take_slot(conn, x->group, &m))
		return 0;
	if (m.seq >= x->came) {
		x->came = m.seq;
		x->fresh = true;
		conn->came++;
	}
	if (s->status == -EINPROGRESS)
		s->status = 0;
	if (conn->ack_count < UDP_ACKS)
		conn->acks[conn->ack_count++] = (struct udp_updated){ m.id, m.index, m.seq };
	return 0;
}

void udp_say_updated(struct transport_conn *conn)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w;
	if (conn->stranger) {
		say_unsubscribe(conn, conn->stranger);
		conn->stranger = 0;
	}
	if (!conn->ack_count)
		return;
	w = udp_flow_begin(d);
	for (uint32_t i = 0; i < conn->ack_count; i++)
		udp_put_updated(&w, &conn->acks[i]);
	conn->ack_count = 0;
	udp_data_send(conn, d, &w);
}

/* ---- operations ---- */

static void ask_again(struct transport_conn *conn, uint64_t now)
{
	for (uint32_t i = 0; i < UDP_SUBS; i++) {
		struct transport_wishes *s = conn->subs[i];
		if (s && s->status == -EINPROGRESS && now - s->asked_ns >= s->again_ns)
			ask_for(conn, s, now);
	}
}

void udp_listen(struct transport_conn *conn, const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns)
{
	uint64_t start = clock_now(&clock_system), now = start;
	uint32_t came = conn->came;
	for (;;) {
		uint64_t left = ns - (now - start), slice = left < SLICE_NS ? left : SLICE_NS;
		if (atomic_load_explicit(&conn->broken, memory_order_relaxed)) {
			if (slice)
				port_word_wait(wake, woken, slice);
		} else {
			ask_again(conn, now);
			if (udp_data_receive(conn, slice, NULL) == 0) /* and what else has come: newest wins */
				for (unsigned i = 0; i < PASS && udp_data_receive(conn, 0, NULL) == 0; i++)
					;
		}
		now = clock_now(&clock_system);
		if (conn->came != came || now - start >= ns ||
		    atomic_load_explicit(wake, memory_order_acquire) != woken)
			return;
	}
}

/* Never written: as a read of it. One that is too long for an update is read now. */
int udp_take(struct transport_conn *conn, uint32_t group, uint64_t came, uint64_t *to, struct slot_meta *meta)
{
	uint64_t bytes = conn->view->groups[group].payload_bytes;
	int rc = came ? udp_kept(conn, group, came, to, meta) : -EAGAIN;
	return rc == -EAGAIN ? udp_read(conn, group, 0, bytes, to, meta) : rc;
}
