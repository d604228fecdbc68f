/* SPDX-License-Identifier: Apache-2.0 */
/* One client over udp: what comes in its datagrams, what goes out to it, and the operations of a
 * session. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/udp_subscribe.h"

static struct udp_peer *of(struct session *s)
{
	return (struct udp_peer *)s;
}

/* ---- what goes out ---- */

void udp_voice_begin(struct udp_voice *v, struct udp_server *u, struct udp_flow *flow,
	struct udp_route *to)
{
	*v = (struct udp_voice){ .u = u, .flow = flow, .to = to, .out = udp_out(u) };
	v->w = udp_flow_begin(v->out);
}

void udp_voice_send(struct udp_voice *v)
{
	if (v->w.size) {
		size_t bytes = udp_flow_seal(v->flow, v->out, &v->w);
		bool may = bytes && (!v->to->wanted || bytes <= v->to->credit);
		if (may && v->to->wanted)
			v->to->credit -= bytes;
		if (may) /* else it is lost, as any datagram may be */
			udp_out_done(v->u, &v->to->path, bytes);
	}
	v->out = udp_out(v->u);
	v->w = udp_flow_begin(v->out);
}

static void put_ack(struct udp_receiver *r, struct udp_voice *v)
{
	struct udp_ack ack;
	if (!r->owes)
		return;
	udp_receiver_ack(r, &ack);
	if (!udp_put_ack(&v->w, &ack)) {
		udp_voice_send(v);
		udp_put_ack(&v->w, &ack);
	}
}

void udp_speak(struct udp_server *u, struct udp_peer *p, uint64_t now)
{
	struct udp_voice v;
	p->dirty = false;
	udp_voice_begin(&v, u, &p->control, &p->control_route);
	if (p->receiver.kept)
		put_ack(&p->receiver, &v);
	while (p->sender.slots) {
		size_t before = v.w.size;
		if (udp_sender_next(&p->sender, now, &v.w))
			continue;
		if (!before || udp_sender_due(&p->sender, now) > now)
			break;
		udp_voice_send(&v); /* there is more than fits into one */
	}
	udp_voice_send(&v);
	bool unheard = p->sender.slots && !udp_sender_idle(&p->sender);
	u->unheard += unheard;
	u->unheard -= p->unheard;
	p->unheard = unheard;
	if (!p->owes_committed)
		return;
	p->owes_committed = false;
	struct udp_committed done = { p->committed, p->refused };
	udp_voice_begin(&v, u, &p->data, &p->data_route);
	if (p->may_commit)
		put_ack(&p->commits, &v);
	udp_put_committed(&v.w, &done);
	udp_voice_send(&v);
}

void udp_last_word(struct udp_server *u, struct udp_peer *p)
{
	struct udp_voice v;
	struct udp_close m = { 0 };
	if (!p->proven || !u->batch)
		return;
	udp_voice_begin(&v, u, &p->control, &p->control_route);
	udp_put_close(&v.w, &m);
	udp_voice_send(&v);
}

void udp_look(struct dsm_engine *e, struct udp_peer *p)
{
	struct udp_voice v;
	const struct region *r = e->region;
	if (p->closing)
		return;
	udp_voice_begin(&v, e->udp, &p->data, &p->data_route);
	for (uint32_t i = 0; i < p->waits; i++) {
		struct udp_newest m = { .group = p->wait[i].group };
		if (m.group >= r->view.group_count)
			continue; /* of the table before this one */
		m.seq = atomic_load_explicit(r->rings[m.group].pulse, memory_order_acquire);
		if (m.seq > p->wait[i].since)
			udp_put_notify(&v.w, &m);
	}
	if (v.w.size == 0)
		return;
	p->armed = false;
	e->udp->armed--;
	udp_voice_send(&v);
}

/* ---- operations of a session ---- */

static int remote_send(struct session *s, const void *message, size_t bytes)
{
	struct udp_peer *p = of(s);
	struct udp_server *u = s->engine->udp;
	int rc = udp_sender_put(&p->sender, NULL, 0, message, bytes);
	if (rc)
		return rc;
	if (u->in_batch) {
		udp_mark(u, p);
	} else {
		udp_speak(u, p, clock_now(s->engine->clock));
		udp_out_flush(u);
	}
	return 0;
}

/* Messages are handed on as they come in datagrams. */
static int remote_receive(struct session *s, void *message, size_t room)
{
	(void)s;
	(void)message;
	(void)room;
	return -EAGAIN;
}

static int remote_map(struct session *s, const struct control_map *m)
{
	struct dsm_engine *e = s->engine;
	struct control_writer out;
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_MAPPED);
	control_put_map(&out, m);
	for (uint32_t i = 0; i < m->count; i++)
		control_put_u32(&out, e->region->banks[m->first + i].bank_epoch);
	return remote_send(s, e->reply, control_end(&out));
}

static void remote_address(const struct session *s, char *text, size_t size)
{
	udp_path_text(&((const struct udp_peer *)s)->control_route.path, text, size);
}

static int remote_allows(const struct session *s, unsigned what, const char *owner)
{
	const struct udp_peer *p = (const void *)s;
	if (!p->has_key || key_allows(&p->key, (enum key_role)what, owner))
		return 0;
	return dsm__fail(-EACCES, "the key \"%s\" does not allow that%s%s", p->key.label,
		owner ? ": it needs one of role owner:" : "", owner ? owner : "");
}

/* Room for the longest commit: a slot, or a step of all groups. */
static int remote_grant(struct session *s, uint32_t owner)
{
	struct udp_peer *p = of(s);
	const struct view *view = &s->engine->region->view;
	const struct directory_owner *o = &view->owners[owner];
	uint64_t longest = UDP_COMMIT_HEAD + 8 + 4ull * o->group_count;
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++) {
		uint64_t n = DSM_SLOT_HEADER + view->groups[g].payload_bytes;
		if (n <= UDP_SLOT_MAX && UDP_COMMIT_HEAD + n > longest)
			longest = UDP_COMMIT_HEAD + n;
	}
	udp_receiver_free(&p->commits);
	if (udp_receiver_init(&p->commits, longest))
		return dsm__fail(-ENOMEM, "udp: the engine has no memory for another owner");
	p->may_commit = true;
	return 0;
}

/* The engine itself writes what this session sends, so nothing that comes later is written. */
static int remote_fence(struct session *s)
{
	struct udp_peer *p = of(s);
	p->may_commit = false;
	p->refused = -EOWNERDEAD;
	udp_receiver_free(&p->commits);
	return 0;
}

static int remote_tick(struct session *s, uint64_t now)
{
	struct udp_peer *p = of(s);
	uint64_t idle_ns = s->engine->udp->idle_ms * UINT64_C(1000000);
	if (now - p->ticked_ns > s->engine->options.lease_ms * UINT64_C(500000))
		p->heard_ns = now; /* we stood still, not the client */
	p->ticked_ns = now;
	if (udp_sender_stuck(&p->sender, now, idle_ns) && now - p->heard_ns < idle_ns / 2) {
		region_count(s->engine->region, COUNTER_SLOW_CLIENTS, 1);
		return -ETIMEDOUT;
	}
	return now - p->heard_ns > idle_ns ? -ETIMEDOUT : 0;
}

/* What was said last may need to be said again. */
static void remote_free(struct session *s)
{
	struct udp_peer *p = of(s);
	struct udp_server *u = s->engine->udp;
	uint64_t now = clock_now(s->engine->clock);
	remote_fence(s);
	udp_subs_free(u, p);
	u->armed -= p->armed;
	p->armed = false;
	p->closing = true;
	u->closing++;
	p->made_ns = now;
	if (u->in_batch) {
		udp_mark(u, p);
	} else {
		udp_speak(u, p, now);
		udp_out_flush(u);
	}
}

const struct session_ops udp_ops = {
	.transport = "udp", .network = true, .send = remote_send, .receive = remote_receive,
	.welcome = remote_send, .map = remote_map, .address = remote_address, .allows = remote_allows,
	.grant = remote_grant, .fence = remote_fence, .tick = remote_tick, .free = remote_free,
};

/* ---- what comes in ---- */

/* Many may have shaken hands while one place was left: the place is counted when it is taken. */
static int turn_away(struct dsm_engine *e, struct udp_peer *p)
{
	struct udp_voice v;
	struct udp_close m = { -EUSERS };
	udp_refused(e, COUNTER_REFUSED_FULL, &p->control_route.path, "the engine has all the clients it takes");
	udp_voice_begin(&v, e->udp, &p->control, &p->control_route);
	udp_put_close(&v.w, &m);
	udp_voice_send(&v);
	udp_forget(e->udp, p);
	return -EUSERS;
}

/* A sealed datagram: the client has the key, and is at this address. */
static int prove(struct dsm_engine *e, struct udp_peer *p, uint64_t now)
{
	if (udp_is_full(e))
		return turn_away(e, p);
	if (udp_sender_init(&p->sender, e->udp->queue) || udp_receiver_init(&p->receiver, CONTROL_MAX)) {
		udp_sender_free(&p->sender);
		udp_refused(e, COUNTER_REFUSED_FULL, &p->control_route.path, "no memory for another client");
		return -ENOMEM; /* it will come again */
	}
	p->session = (struct session){ .ops = &udp_ops, .engine = e, .uid = (uint32_t)-1 };
	p->proven = true;
	p->ticked_ns = now;
	e->udp->unproven--;
	server_add(e, &p->session);
	return 0;
}

static void messages(struct udp_peer *p)
{
	const void *m;
	size_t n;
	int rc = 0;
	while (!p->session.dead && (m = udp_receiver_message(&p->receiver, &n, &rc)) != NULL)
		session_message(&p->session, m, n);
	if (rc) {
		region_count(p->session.engine->region, COUNTER_BAD_MESSAGES, 1);
		server_drop(&p->session);
	}
}

static int on_control_frame(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f,
	struct udp_voice *v, uint64_t now)
{
	struct udp_segment segment;
	struct udp_ack ack;
	struct udp_ask ask;
	struct udp_close close;
	int rc;
	switch (f->type) {
	case UDP_SEGMENT:
		rc = udp_get_segment(f, &segment);
		return rc || p->closing ? rc : udp_receiver_take(&p->receiver, &segment);
	case UDP_ACK:
		rc = udp_get_ack(f, &ack);
		return rc ? rc : udp_sender_ack(&p->sender, now, &ack);
	case UDP_ASK:
		rc = udp_get_ask(f, &ask);
		if (rc || !p->session.greeted || p->closing)
			return rc;
		if (ask.beat && p->session.owner != DSM_NONE)
			e->holders[p->session.owner].beat = ask.beat;
		udp_serve_pulse(e, &ask, v);
		return 0;
	case UDP_CLOSE:
		rc = udp_get_close(f, &close);
		if (rc == 0 && !p->closing)
			server_drop(&p->session);
		return rc;
	default:
		return 0;
	}
}

/* A segment of a commit. What comes for a role that is no more is answered, and forgotten. */
static int on_commit(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f)
{
	struct udp_segment segment;
	size_t n;
	const void *m;
	int rc = udp_get_segment(f, &segment);
	p->owes_committed = e->udp->committed = true;
	if (rc)
		return rc;
	if (!p->may_commit) {
		p->refused = -EOWNERDEAD;
		return 0;
	}
	rc = udp_receiver_take(&p->commits, &segment);
	while (rc == 0 && (m = udp_receiver_message(&p->commits, &n, &rc)) != NULL && !p->refused)
		p->refused = udp_serve_commit(e, p, m, n);
	return rc;
}

/* All of one datagram are one list. It is looked at when this batch is over. */
static int on_wait(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f, bool *first)
{
	struct udp_wait m;
	int rc = udp_get_wait(f, &m);
	if (*first)
		p->waits = 0;
	*first = false;
	if (rc || m.group >= e->region->view.group_count || p->waits == UDP_WAITS_MAX)
		return -EBADMSG;
	e->udp->armed += !p->armed;
	p->armed = true;
	p->wait[p->waits++] = m;
	return 0;
}

static int on_data_frame(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f,
	struct udp_voice *v, size_t *left, bool *first_wait, uint64_t now)
{
	struct udp_read read;
	int rc;
	switch (f->type) {
	case UDP_READ:
		rc = udp_get_read(f, &read);
		if (rc == 0)
			udp_serve_read(e, p, &read, v, left);
		return rc;
	case UDP_SEGMENT:
		return on_commit(e, p, f);
	case UDP_WAIT:
		return on_wait(e, p, f, first_wait);
	case UDP_SUBSCRIBE:
		return udp_on_subscribe(e, p, f, v, left);
	case UDP_UNSUBSCRIBE:
		return udp_on_unsubscribe(e, p, f);
	case UDP_UPDATED:
		return udp_on_updated(p, f, now);
	default:
		return 0;
	}
}

/* Who has the key may come from elsewhere: answers go there, few until the host has shown that it
 * gets them. */
static void came_from(struct udp_server *u, struct udp_peer *p, bool data, const struct udp_path *from,
	size_t bytes)
{
	struct udp_route *r = data ? &p->data_route : &p->control_route;
	struct udp_voice v;
	if (!udp_same_path(&r->path, from)) {
		r->wanted = !udp_same_host(&p->home, from);
		r->credit = 0;
		randombytes_buf(&r->number, sizeof(r->number));
	}
	r->path = *from;
	if (!r->wanted)
		return;
	struct udp_prove m = { r->number };
	r->credit += bytes;
	udp_voice_begin(&v, u, data ? &p->data : &p->control, r);
	udp_put_prove(&v.w, &m);
	udp_voice_send(&v);
}

static int on_prove(struct udp_peer *p, struct udp_route *r, const struct udp_frame *f)
{
	struct udp_prove m;
	int rc = udp_get_prove(f, &m);
	if (rc || !r->wanted || m.number != r->number)
		return rc;
	r->wanted = false;
	p->home = r->path;
	return 0;
}

static void on_frames(struct dsm_engine *e, struct udp_peer *p, bool data, const unsigned char *at,
	const unsigned char *end, uint64_t now)
{
	struct udp_voice v;
	struct udp_frame f;
	size_t left = UDP_WORK;
	bool first_wait = true;
	int rc = 0;
	udp_voice_begin(&v, e->udp, data ? &p->data : &p->control, data ? &p->data_route : &p->control_route);
	while (rc == 0 && (rc = udp_next_frame(&at, end, &f)) == 1) {
		if (f.type == UDP_PROVE)
			rc = on_prove(p, v.to, &f);
		else if (!data)
			rc = on_control_frame(e, p, &f, &v, now);
		else
			rc = p->session.greeted && !p->closing ? on_data_frame(e, p, &f, &v, &left, &first_wait, now) : 0;
	}
	udp_voice_send(&v);
	if (rc && !p->closing) {
		region_count(e->region, COUNTER_BAD_MESSAGES, 1);
		server_drop(&p->session);
	}
	if (!data && !p->closing)
		messages(p);
	udp_mark(e->udp, p);
}

static void reset(struct dsm_engine *e, const struct udp_path *from, const struct udp_data *head)
{
	struct udp_reset m = { head->to, head->counter };
	region_count(e->region, COUNTER_UDP_UNKNOWN, 1);
	udp_out_done(e->udp, from, udp_put_reset(udp_out(e->udp), &m));
}

void udp_on_data(struct dsm_engine *e, const struct udp_path *from, unsigned char *datagram, size_t bytes)
{
	struct udp_data head;
	const unsigned char *at, *end;
	bool newest;
	uint64_t now = clock_now(e->clock);
	if (udp_get_data(datagram, bytes, &head)) {
		region_count(e->region, COUNTER_UDP_FOREIGN, 1);
		return;
	}
	struct udp_peer *p = udp_find(e->udp, head.to);
	if (!p) {
		reset(e, from, &head);
		return;
	}
	bool data = head.counter & UDP_FLOW_BIT;
	int rc = udp_flow_open(data ? &p->data : &p->control, datagram, bytes, &at, &end, &newest);
	if (rc == -EKEYREJECTED)
		udp_refused(e, COUNTER_UDP_BAD_SEAL, from, "a datagram whose seal does not fit its session");
	else if (rc)
		region_count(e->region, COUNTER_UDP_REPLAY, 1);
	if (rc || (e->udp->ending && !p->closing) || (!p->proven && prove(e, p, now)))
		return;
	p->heard_ns = now;
	if (newest)
		came_from(e->udp, p, data, from, bytes);
	on_frames(e, p, data, at, end, now);
}
