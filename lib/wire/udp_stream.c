/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/udp_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENDS_MAX 255u

/* ---- round trip ---- */

void udp_rtt_take(struct udp_rtt *rtt, uint64_t ns)
{
	if (!rtt->smooth_ns) {
		rtt->smooth_ns = ns ? ns : 1;
		rtt->vary_ns = ns / 2;
		return;
	}
	uint64_t off = ns > rtt->smooth_ns ? ns - rtt->smooth_ns : rtt->smooth_ns - ns;
	rtt->vary_ns = (3 * rtt->vary_ns + off) / 4;
	rtt->smooth_ns = (7 * rtt->smooth_ns + ns) / 8 + 1;
}

uint64_t udp_rtt_timeout(const struct udp_rtt *rtt)
{
	uint64_t ns = rtt->smooth_ns ? rtt->smooth_ns + 4 * rtt->vary_ns : UDP_RTO_FIRST_NS;
	if (ns < 2 * rtt->smooth_ns)
		ns = 2 * rtt->smooth_ns;
	return ns < UDP_RTO_MIN_NS ? UDP_RTO_MIN_NS : ns > UDP_RTO_MAX_NS ? UDP_RTO_MAX_NS : ns;
}

/* ---- sender ---- */

int udp_sender_init(struct udp_sender *s, uint32_t slots)
{
	*s = (struct udp_sender){ .room = slots, .flight = UDP_WINDOW / 2 };
	s->slots = calloc(slots, sizeof(*s->slots)); /* not touched before it is used */
	return s->slots ? 0 : -ENOMEM;
}

void udp_sender_free(struct udp_sender *s)
{
	free(s->slots);
	*s = (struct udp_sender){ 0 };
}

static struct udp_slot *slot_of(const struct udp_sender *s, uint32_t seq)
{
	return &s->slots[seq & (s->room - 1)];
}

uint32_t udp_sender_room(const struct udp_sender *s)
{
	return s->room - (s->next - s->first);
}

int udp_sender_put(struct udp_sender *s, const void *head, size_t head_bytes, const void *message,
	size_t bytes)
{
	size_t all = head_bytes + bytes, at = 0;
	size_t n = (all + UDP_PIECE - 1) / UDP_PIECE;
	if (all == 0 || n > s->room)
		return -EMSGSIZE;
	if (n > udp_sender_room(s))
		return -EAGAIN;
	while (at < all) {
		struct udp_slot *slot = slot_of(s, s->next++);
		size_t piece = all - at < UDP_PIECE ? all - at : UDP_PIECE;
		size_t from_head = at < head_bytes ? head_bytes - at : 0;
		if (from_head > piece)
			from_head = piece;
		if (from_head)
			memcpy(slot->data, (const char *)head + at, from_head);
		if (piece > from_head)
			memcpy(slot->data + from_head, (const char *)message + at + from_head - head_bytes,
				piece - from_head);
		slot->flags = (uint16_t)((at == 0 ? UDP_FIRST : 0) | (at + piece == all ? UDP_LAST : 0));
		slot->bytes = (uint16_t)piece;
		slot->sent_ns = slot->first_ns = 0;
		slot->acked = slot->sends = slot->again = 0;
		at += piece;
	}
	return 0;
}

static uint64_t timeout_of(const struct udp_sender *s)
{
	uint64_t ns = udp_rtt_timeout(&s->rtt) << (s->backoff < 8 ? s->backoff : 8);
	return ns > UDP_RTO_MAX_NS ? UDP_RTO_MAX_NS : ns;
}

/* The window: what the receiver keeps, and what the path seems to bear. */
static uint32_t end_of_flight(const struct udp_sender *s)
{
	uint32_t n = s->next - s->first;
	return s->first + (n < s->flight ? n : s->flight);
}

static bool is_due(const struct udp_sender *s, const struct udp_slot *slot, uint64_t now)
{
	return !slot->acked && (!slot->sends || slot->again || now - slot->sent_ns >= timeout_of(s));
}

bool udp_sender_next(struct udp_sender *s, uint64_t now, struct udp_writer *w)
{
	uint32_t end = end_of_flight(s);
	for (uint32_t seq = s->first; seq != end; seq++) {
		struct udp_slot *slot = slot_of(s, seq);
		if (!is_due(s, slot, now))
			continue;
		struct udp_segment m = { seq, slot->flags, slot->bytes, slot->data };
		if (!udp_put_segment(w, &m))
			return false;
		if (slot->sends && !slot->again && seq == s->first) { /* lost, it seems: more slowly */
			s->backoff += s->backoff < 8;
			s->flight = s->flight / 2 < UDP_FLIGHT_MIN ? UDP_FLIGHT_MIN : s->flight / 2;
		}
		slot->sent_ns = now;
		slot->again = 0;
		slot->first_ns = slot->sends ? slot->first_ns : now;
		if (slot->sends < SENDS_MAX)
			slot->sends++;
		return true;
	}
	return false;
}

uint64_t udp_sender_due(const struct udp_sender *s, uint64_t now)
{
	uint64_t due = UINT64_MAX, timeout = timeout_of(s);
	uint32_t end = end_of_flight(s);
	for (uint32_t seq = s->first; seq != end; seq++) {
		const struct udp_slot *slot = slot_of(s, seq);
		if (slot->acked)
			continue;
		uint64_t at = slot->sends && !slot->again ? slot->sent_ns + timeout : now;
		due = at < due ? at : due;
	}
	return due;
}

/* What was sent before something that has come is lost, or will be late: again at once. */
static void hurry(struct udp_sender *s, uint32_t newest, uint64_t newest_sent)
{
	for (uint32_t seq = s->first; seq != newest; seq++) {
		struct udp_slot *slot = slot_of(s, seq);
		if (!slot->acked && slot->sends && slot->sent_ns < newest_sent)
			slot->again = 1;
	}
}

static void acknowledge(struct udp_sender *s, struct udp_slot *slot, uint64_t now)
{
	if (slot->acked)
		return;
	slot->acked = 1;
	s->backoff = 0;
	if (slot->sends == 1) /* else nobody knows which one was answered */
		udp_rtt_take(&s->rtt, now - slot->sent_ns);
	s->flight += s->flight < UDP_WINDOW;
}

int udp_sender_ack(struct udp_sender *s, uint64_t now, const struct udp_ack *ack)
{
	uint32_t under_way = s->next - s->first, done = ack->next - s->first;
	if (done > under_way) /* an old one, and that may be as old as the replay window; or nonsense */
		return (int32_t)(ack->next - s->first) < 0 ? 0 : -EBADMSG;
	for (; s->first != ack->next; s->first++) {
		if (!slot_of(s, s->first)->sends)
			return -EBADMSG;
		acknowledge(s, slot_of(s, s->first), now);
	}
	uint32_t newest = s->first;
	uint64_t newest_sent = 0;
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t seq = ack->next + 1 + i;
		if (!(ack->beyond >> i & 1))
			continue;
		if (seq - s->first >= s->next - s->first || !slot_of(s, seq)->sends)
			return -EBADMSG;
		acknowledge(s, slot_of(s, seq), now);
		newest = seq;
		newest_sent = slot_of(s, seq)->sent_ns;
	}
	if (newest != s->first)
		hurry(s, newest, newest_sent);
	return 0;
}

bool udp_sender_stuck(const struct udp_sender *s, uint64_t now, uint64_t ns)
{
	const struct udp_slot *oldest = slot_of(s, s->first);
	return s->first != s->next && oldest->sends && now - oldest->first_ns > ns;
}

/* ---- receiver ---- */

int udp_receiver_init(struct udp_receiver *r, size_t longest)
{
	*r = (struct udp_receiver){ .room = longest };
	r->kept = calloc(UDP_WINDOW, sizeof(*r->kept));
	r->message = calloc(1, longest);
	if (r->kept && r->message)
		return 0;
	udp_receiver_free(r);
	return -ENOMEM;
}

void udp_receiver_free(struct udp_receiver *r)
{
	free(r->kept);
	free(r->message);
	*r = (struct udp_receiver){ 0 };
}

int udp_receiver_take(struct udp_receiver *r, const struct udp_segment *m)
{
	uint32_t ahead = m->seq - r->next;
	r->owes = true;
	if (ahead >= UDP_WINDOW) /* seen before, or sent though nobody waits for it: not kept */
		return 0;
	struct udp_kept *k = &r->kept[m->seq % UDP_WINDOW];
	if (k->there)
		return 0;
	k->there = 1;
	k->bytes = m->bytes;
	k->flags = m->flags;
	memcpy(k->data, m->data, m->bytes);
	return 0;
}

const void *udp_receiver_message(struct udp_receiver *r, size_t *bytes, int *rc)
{
	*rc = 0;
	if (r->whole) {
		r->whole = r->assembling = false;
		r->size = 0;
	}
	for (;;) {
		struct udp_kept *k = &r->kept[r->next % UDP_WINDOW];
		if (!k->there)
			return NULL;
		bool first = k->flags & UDP_FIRST;
		if (first == r->assembling || k->bytes > r->room - r->size) {
			*rc = -EBADMSG;
			return NULL;
		}
		memcpy(r->message + r->size, k->data, k->bytes);
		r->size += k->bytes;
		r->assembling = true;
		k->there = 0;
		r->next++;
		if (k->flags & UDP_LAST) {
			r->whole = true;
			*bytes = r->size;
			return r->message;
		}
	}
}

void udp_receiver_ack(struct udp_receiver *r, struct udp_ack *ack)
{
	*ack = (struct udp_ack){ r->next, 0 };
	for (uint32_t i = 0; i + 1 < UDP_WINDOW; i++)
		if (r->kept[(r->next + 1 + i) % UDP_WINDOW].there)
			ack->beyond |= UINT64_C(1) << i;
	r->owes = false;
}
