/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates to who has subscribed over udp. There is no queue: an entry knows what went last, and what
 * goes next is the newest commit, when the filter lets it. So a client that is slow costs no memory
 * and gets no backlog. What is not acknowledged goes again, newer if there is something newer; who
 * says nothing at all gets one datagram now and then.
 */
#include "engine/udp_subscribe.h"

#include <errno.h>
#include <string.h>

#define LOOKS 16384u                    /* entries looked at in a turn */
#define TURN_BYTES ((size_t)256 << 10)  /* gone through in a turn, for all clients */
#define WINDOW 32u                      /* datagrams to a client that says nothing */
#define DEAF_NS UINT64_C(100000000)     /* then one after so long, doubled */
#define DEAF_DOUBLINGS 4u
#define SENDS_DOUBLED 6u

/* Of this turn. */
struct turn { struct dsm_engine *e; struct udp_peer *p; struct udp_voice *v; uint64_t now;
	uint32_t looks; size_t left, client_left; uint32_t datagrams; };

static void speak(struct turn *t)
{
	struct udp_subscriber *s = t->p->subs;
	if (!t->v->w.size)
		return;
	udp_voice_send(t->v);
	t->datagrams++;
	if (++s->unheard < WINDOW)
		return;
	s->deaf_until = t->now + (DEAF_NS << s->backoff);
	s->backoff += s->backoff < DEAF_DOUBLINGS;
}

static bool may_send(const struct turn *t)
{
	const struct udp_subscriber *s = t->p->subs;
	return s->unheard < WINDOW || t->now >= s->deaf_until;
}

/* What went has been lost, it seems. */
static bool is_late(const struct turn *t, const struct udp_entry *x)
{
	uint32_t doubled = x->sends > SENDS_DOUBLED ? SENDS_DOUBLED : x->sends - 1;
	uint64_t ns = udp_rtt_timeout(&t->p->subs->rtt) << doubled;
	ns = ns > UDP_RTO_MAX_NS ? UDP_RTO_MAX_NS : ns;
	ns = ns < x->rule.interval_ns ? x->rule.interval_ns : ns;
	return t->now - x->state.sent_ns >= ns;
}

static bool put(struct turn *t, const struct udp_update *m)
{
	if (udp_put_update(&t->v->w, m))
		return true;
	speak(t);
	return may_send(t) && udp_put_update(&t->v->w, m);
}

/* What is to go, as it lies, in scratch: 1; 0 nothing; negative not now. `again`: what went seems lost;
 * then the same again if it is there still, for what is newer may be within the band. */
static int weigh(struct turn *t, struct udp_entry *x, bool due, bool again, uint64_t *seq)
{
	const struct region *r = t->e->region;
	const struct directory_group *g = &r->view.groups[x->group];
	const uint64_t *slot = t->e->udp->scratch;
	int rc = due ? udp_newest_slot(t->e, x->group, seq) : 0;
	if (due && rc == 0 && !(x->state.base && *seq <= x->state.seq && (uint32_t)slot[1] == x->state.epoch) &&
	    filter_counts(&x->rule, &x->state, &r->view.cells[g->first_cell], g->cell_count,
		slot + DSM_SLOT_HEADER / 8))
		return 1;
	if (rc || !again)
		return rc == -ENODATA ? 1 : rc;
	*seq = x->state.seq;
	rc = *seq ? udp_version_slot(t->e, x->group, *seq) : -ENODATA;
	if (rc == -EAGAIN)
		rc = udp_newest_slot(t->e, x->group, seq);
	return rc == 0 || rc == -ENODATA ? 1 : rc;
}

/* False: there is too much work for this turn. */
static bool may_work(struct turn *t, size_t work)
{
	if ((work > t->client_left && t->client_left != UDP_WORK) || (work > t->left && t->left != TURN_BYTES))
		return false;
	t->client_left -= work < t->client_left ? work : t->client_left;
	t->left -= work < t->left ? work : t->left;
	return true;
}

static void went(struct turn *t, struct udp_entry *x, uint64_t seq, const uint64_t *slot, bool again)
{
	uint64_t weighed = x->state.weighed;
	bool same = again && seq == x->state.seq;
	x->sends = same ? x->sends + 1 : 1;
	x->unheard = true;
	filter_went(&x->state, seq, slot ? (uint32_t)slot[1] : 0, slot ? slot + DSM_SLOT_HEADER / 8 : NULL,
		t->e->region->rings[x->group].payload_bytes, t->now);
	if (same)
		x->state.weighed = weighed;
}

/* False: no more in this turn. */
static bool push_entry(struct turn *t, const struct udp_subscription *sub, uint32_t index, struct udp_entry *x)
{
	const struct ring *ring = &t->e->region->rings[x->group];
	uint64_t newest = atomic_load_explicit(ring->pulse, memory_order_acquire), seq = newest; /* R2 */
	uint64_t size = DSM_SLOT_HEADER + ring->payload_bytes;
	bool due = filter_due(&x->rule, &x->state, newest, t->now);
	bool again = x->unheard && is_late(t, x), fits = size <= UDP_PIECE;
	const uint64_t *slot = NULL;
	if (!due && !again)
		return true;
	if (!may_send(t))
		return false;
	if (newest && (fits || x->state.values)) {
		if (!may_work(t, udp_work_of(t->e, x->group)))
			return false;
		int rc = weigh(t, x, due, again, &seq);
		if (rc == 0)
			x->state.weighed = newest;
		if (rc <= 0)
			return true;
		slot = seq ? t->e->udp->scratch : NULL;
	}
	struct udp_update m = { sub->id, index, seq, (uint16_t)(slot && fits ? size : 0), (const void *)slot };
	if (!put(t, &m))
		return false;
	went(t, x, seq, slot, again);
	region_count(t->e->region, COUNTER_UDP_UPDATES, 1);
	return true;
}

/* The entry at which this turn is, and the next one. */
static struct udp_subscription *step(struct udp_subscriber *s, uint32_t *index)
{
	while (!s->sub[s->at_sub] || s->at_entry >= s->sub[s->at_sub]->n) {
		s->at_sub = (s->at_sub + 1) % UDP_SUBS_MAX;
		s->at_entry = 0;
	}
	*index = s->at_entry;
	return s->sub[s->at_sub];
}

static void push_client(struct turn *t)
{
	struct udp_subscriber *s = t->p->subs;
	struct udp_voice v;
	if (!may_send(t))
		return;
	t->v = &v;
	t->client_left = UDP_WORK;
	t->datagrams = 0;
	udp_voice_begin(&v, t->e->udp, &t->p->data, &t->p->data_route);
	for (uint32_t n = 0; n < s->entries && t->looks; n++, t->looks--) {
		uint32_t index;
		struct udp_subscription *sub = step(s, &index);
		if (!push_entry(t, sub, index, &sub->entry[index]))
			break;
		s->at_entry++;
	}
	speak(t);
}

void udp_push(struct dsm_engine *e, uint64_t now)
{
	struct udp_server *u = e->udp;
	struct turn t = { .e = e, .now = now, .looks = LOOKS, .left = TURN_BYTES };
	u->pushing = false;
	u->pushed_ns = now;
	for (uint32_t i = 0; i < u->room && u->subs && t.looks && t.left; i++) {
		u->push_at = (u->push_at + 1) % u->room;
		t.p = u->peers[u->push_at];
		if (t.p && t.p->subs && t.p->subs->subs && !t.p->closing)
			push_client(&t);
	}
}
