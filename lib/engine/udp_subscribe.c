/* SPDX-License-Identifier: Apache-2.0 */
/* Who has subscribed to what over udp. */
#include "engine/udp_subscribe.h"

#include <errno.h>
#include <stdlib.h>

static struct udp_subscription **find(struct udp_subscriber *s, uint32_t id)
{
	for (uint32_t i = 0; s && i < UDP_SUBS_MAX; i++)
		if (s->sub[i] && s->sub[i]->id == id)
			return &s->sub[i];
	return NULL;
}

static void drop(struct udp_server *u, struct udp_subscriber *s, struct udp_subscription **at)
{
	s->subs--;
	s->entries -= (*at)->n;
	s->bytes -= (*at)->bytes;
	u->sub_bytes -= (*at)->bytes;
	u->subs--;
	free(*at);
	*at = NULL;
	s->at_sub = s->at_entry = 0;
}

void udp_subs_free(struct udp_server *u, struct udp_peer *p)
{
	for (uint32_t i = 0; p->subs && i < UDP_SUBS_MAX; i++)
		if (p->subs->sub[i])
			drop(u, p->subs, &p->subs->sub[i]);
	free(p->subs);
	p->subs = NULL;
}

/* Room to keep what went last, where a band asks for that and a turn can compare it. */
static size_t values_bytes(const struct region *r, const struct udp_wish *m)
{
	uint64_t payload = r->view.groups[m->group].payload_bytes;
	return m->kind == FILTER_ANY || DSM_SLOT_HEADER + payload > UDP_READ_MAX ? 0 : payload;
}

static int bytes_of(const struct region *r, const struct udp_subscribe *m, size_t *bytes)
{
	*bytes = sizeof(struct udp_subscription) + m->n * sizeof(struct udp_entry);
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->wish[i].group >= r->view.group_count)
			return -EINVAL;
		const struct ring *ring = &r->rings[m->wish[i].group];
		if (ring->flags & RING_UNCHECKED || DSM_SLOT_HEADER + ring->payload_bytes > UDP_SLOT_MAX)
			return -EMSGSIZE;
		*bytes += values_bytes(r, &m->wish[i]);
	}
	return 0;
}

static void fill(const struct region *r, const struct udp_subscribe *m, struct udp_subscription *sub)
{
	unsigned char *values = (unsigned char *)&sub->entry[m->n];
	sub->id = m->id;
	sub->n = m->n;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct udp_wish *wish = &m->wish[i];
		struct udp_entry *x = &sub->entry[i];
		size_t n = values_bytes(r, wish);
		uint64_t newest = atomic_load_explicit(r->rings[wish->group].pulse, memory_order_acquire);
		x->group = wish->group;
		x->rule = (struct filter_rule){ m->interval_us * UINT64_C(1000), m->every_nth, wish->kind, wish->band };
		x->state.values = n ? (uint64_t *)(void *)values : NULL;
		values += n;
		/* what it has of another generation, or from the future, it does not have */
		if (m->generation == r->generation && wish->seq && wish->seq <= newest)
			filter_resume(&x->state, wish->seq, wish->epoch);
	}
}

/* -ENOSPC: as many as there may be. */
static int add(struct dsm_engine *e, struct udp_peer *p, const struct udp_subscribe *m, size_t bytes)
{
	struct udp_server *u = e->udp;
	struct udp_subscriber *s = p->subs;
	uint32_t i = 0;
	if (!s)
		s = p->subs = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	while (i < UDP_SUBS_MAX && s->sub[i])
		i++;
	if (i == UDP_SUBS_MAX || bytes > UDP_SUB_BYTES - s->bytes || bytes > UDP_SUBS_BYTES - u->sub_bytes)
		return -ENOSPC;
	struct udp_subscription *sub = calloc(1, bytes);
	if (!sub)
		return -ENOMEM;
	fill(e->region, m, sub);
	sub->bytes = bytes;
	s->sub[i] = sub;
	s->subs++;
	s->entries += m->n;
	s->bytes += bytes;
	u->sub_bytes += bytes;
	u->subs++;
	return 0;
}

int udp_on_subscribe(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f, struct udp_voice *v,
	size_t *left)
{
	struct udp_subscribe m;
	size_t bytes = 0;
	if (udp_get_subscribe(f, &m))
		return -EBADMSG;
	struct udp_subscribed said = { m.id, 0 };
	if (!find(p->subs, m.id)) {
		said.status = bytes_of(e->region, &m, &bytes);
		if (!udp_may_work(p, bytes, *left)) {
			region_count(e->region, COUNTER_UDP_PUT_OFF, 1);
			return 0;
		}
		udp_worked(e->udp, p, bytes, left);
		if (!said.status)
			said.status = add(e, p, &m, bytes);
	}
	e->udp->pushing = true;
	if (!udp_put_subscribed(&v->w, &said)) {
		udp_voice_send(v);
		udp_put_subscribed(&v->w, &said);
	}
	return 0;
}

int udp_on_unsubscribe(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f)
{
	uint32_t id;
	if (udp_get_unsubscribe(f, &id))
		return -EBADMSG;
	struct udp_subscription **at = find(p->subs, id);
	if (at)
		drop(e->udp, p->subs, at);
	return 0;
}

int udp_on_updated(struct udp_peer *p, const struct udp_frame *f, uint64_t now)
{
	struct udp_updated m;
	if (udp_get_updated(f, &m))
		return -EBADMSG;
	struct udp_subscription **at = find(p->subs, m.id);
	if (!at || m.index >= (*at)->n)
		return 0;
	struct udp_entry *x = &(*at)->entry[m.index];
	p->subs->unheard = p->subs->backoff = 0;
	if (!x->unheard || m.seq < x->state.seq)
		return 0;
	if (x->sends == 1) /* else nobody knows which one it has */
		udp_rtt_take(&p->subs->rtt, now - x->state.sent_ns);
	x->unheard = false;
	return 0;
}
