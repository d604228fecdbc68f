/* SPDX-License-Identifier: Apache-2.0 */
/* One client's messages. Nothing in them is believed before it is checked; what does not parse
 * is counted and ends that client's connection, nobody else's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "engine/engine.h"
#include "engine/keys.h"
#include "transport/channel.h"

static void bad_message(struct session *s)
{
	region_count(s->engine->region, COUNTER_BAD_MESSAGES, 1);
	server_drop(s);
}

static void refuse(struct session *s, int status, enum counter counter)
{
	struct dsm_engine *e = s->engine;
	struct control_welcome w = { .status = status, .owner = DSM_NONE };
	struct control_writer out;
	snprintf(w.text, sizeof(w.text), "%s", dsm_error());
	region_count(e->region, counter, 1);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_WELCOME);
	control_put_welcome(&out, &w);
	server_send(s, control_end(&out), e->reply);
	server_drop(s);
}

static void welcome(struct session *s, uint32_t owner, uint32_t epoch)
{
	struct dsm_engine *e = s->engine;
	struct region *r = e->region;
	struct record *record = records_find(e, s->client_id);
	struct control_welcome w = { .session = s->id, .owner = owner, .epoch = epoch,
		.flags = record || s->last_number == 0 ? WELCOME_CLIENT_KNOWN : 0,
		.bank_epoch = owner == DSM_NONE ? 0 : r->banks[owner].bank_epoch,
		.generation = r->generation, .header_bytes = r->header->header_bytes,
		.directory_bytes = r->directory_bytes, .waiters_bytes = r->waiters_bytes };
	struct control_writer out;
	if (record)
		records_attach(record, s);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_WELCOME);
	control_put_welcome(&out, &w);
	server_sent(s, s->ops->welcome(s, e->reply, control_end(&out)));
}

static void hello(struct session *s, struct control_reader *r)
{
	struct dsm_engine *e = s->engine;
	struct control_hello h;
	uint32_t owner = DSM_NONE, epoch = 0;
	if (s->greeted || control_get_hello(r, &h) || !control_at_end(r)) {
		bad_message(s);
		return;
	}
	memcpy(s->client_id, h.client_id, sizeof(s->client_id));
	memcpy(s->program, h.program, sizeof(s->program));
	s->last_number = h.last_number;
	s->takes_requests = h.flags & HELLO_TAKES_REQUESTS;
	if (h.control_version != DSM_CONTROL_VERSION || h.layout_version != DSM_LAYOUT_VERSION) {
		dsm__fail(-EPROTONOSUPPORT, "the engine has layout version %d and control version %d, the "
			"client asks for %u and %u; use libraries of the same release", DSM_LAYOUT_VERSION,
			DSM_CONTROL_VERSION, h.layout_version, h.control_version);
		refuse(s, -EPROTONOSUPPORT, COUNTER_REFUSED_VERSION);
		return;
	}
	int rc = 0;
	if (!s->inproc && !access_allows(&e->readers, s->uid) && !h.owner[0])
		rc = s->ops->network ? dsm__fail(-EACCES, "no network may read here: the engine's `readers:` "
			"names users, and a network has none") :
			dsm__fail(-EACCES, "user %u may not read here; the engine's `readers:` says who may", s->uid);
	if (rc == 0 && s->ops->allows)
		rc = s->ops->allows(s, h.owner[0] ? KEY_OWNER : KEY_READ, h.owner[0] ? h.owner : NULL);
	if (rc == 0 && s->ops->admit)
		rc = s->ops->admit(s);
	if (rc == 0 && h.owner[0])
		rc = owners_claim(s, h.owner, h.flags & HELLO_TAKE_OVER, &owner, &epoch);
	if (rc) {
		refuse(s, rc, COUNTER_REFUSED_ROLE);
		return;
	}
	s->greeted = true;
	s->may_request = (s->inproc || access_allows(&e->requesters, s->uid)) &&
		(!s->ops->allows || s->ops->allows(s, KEY_REQUEST, NULL) == 0);
	region_count(e->region, COUNTER_SESSIONS_TOTAL, 1);
	welcome(s, owner, epoch);
}

static void map(struct session *s, struct control_reader *in)
{
	const struct view *v = &s->engine->region->view;
	struct control_map m;
	if (control_get_map(in, &m) || !control_at_end(in) || m.first >= v->owner_count ||
	    m.count == 0 || m.count > v->owner_count - m.first || m.count > CHANNEL_FDS_MAX)
		bad_message(s);
	else
		server_sent(s, s->ops->map(s, &m));
}

static void describe(const struct session *s, uint64_t now, struct control_client *c)
{
	const struct view *v = &s->engine->region->view;
	*c = (struct control_client){ .session = s->id, .pid = s->pid, .uid = s->uid,
		.age_ms = (now - s->since_ns) / 1000000u, .requests = s->requests, .messages = s->messages };
	memcpy(c->program, s->program, sizeof(c->program));
	snprintf(c->role, sizeof(c->role), "%s",
		s->owner == DSM_NONE ? "reader" : view_text(v, v->owners[s->owner].name));
	snprintf(c->transport, sizeof(c->transport), "%s", s->ops->transport);
	s->ops->address(s, c->address, sizeof(c->address));
}

/* As many messages as it takes; an empty list ends it. */
static void clients(struct session *s)
{
	struct dsm_engine *e = s->engine;
	struct control_writer out;
	struct control_client c;
	uint64_t now = clock_now(e->clock);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_CLIENT_LIST);
	for (struct session *i = e->sessions; i; i = i->next) {
		if (!i->greeted || i->dead)
			continue;
		describe(i, now, &c);
		if (control_put_client(&out, &c))
			continue;
		server_send(s, control_end(&out), e->reply);
		control_begin(&out, e->reply, CONTROL_MAX, CONTROL_CLIENT_LIST);
		control_put_client(&out, &c);
	}
	if (out.entries)
		server_send(s, control_end(&out), e->reply);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_CLIENT_LIST);
	server_send(s, control_end(&out), e->reply);
}

/* As the list of clients. */
static void devices(struct session *s)
{
	struct dsm_engine *e = s->engine;
	struct control_writer out;
	struct control_device d;
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_DEVICE_LIST);
	for (uint32_t i = 0; ingest_server_device(e, i, &d); i++) {
		if (control_put_device(&out, &d))
			continue;
		server_send(s, control_end(&out), e->reply);
		control_begin(&out, e->reply, CONTROL_MAX, CONTROL_DEVICE_LIST);
		control_put_device(&out, &d);
	}
	if (out.entries)
		server_send(s, control_end(&out), e->reply);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_DEVICE_LIST);
	server_send(s, control_end(&out), e->reply);
}

/* An owner of a marked bank has committed what somebody waits for. */
static void notify(struct session *s, struct control_reader *r)
{
	struct region *region = s->engine->region;
	if (s->owner != DSM_NONE && r->entries > region->view.owners[s->owner].group_count) {
		bad_message(s);
		return;
	}
	for (uint32_t i = 0; i < r->entries; i++) {
		uint32_t group;
		if (s->superseded && s->owner == DSM_NONE)
			return;
		if (control_get_u32(r, &group) || group >= region->view.group_count ||
		    s->owner == DSM_NONE || region->view.groups[group].owner != s->owner ||
		    !(region->view.owners[s->owner].flags & OWNER_NETWORK)) {
			bad_message(s);
			return;
		}
		/* not verified here, where a large ring would hold up everybody: who is woken looks himself */
		region_wake(region, &group, 1);
	}
}

/* An owner that cannot write the heartbeat of its bank. */
static void beat(struct session *s, struct control_reader *r)
{
	uint64_t tick;
	if (control_get_u64(r, &tick) || !control_at_end(r) || !s->ops->network)
		bad_message(s);
	else if (s->owner != DSM_NONE)
		s->engine->holders[s->owner].beat = tick;
	else if (!s->superseded)
		bad_message(s);
}

/* A client over rdma, whose wire is quiet until there is something. */
static void wait_for(struct session *s, struct control_reader *r)
{
	struct control_wait list;
	bool bad = control_get_wait(r, &list) || !control_at_end(r) || !s->ops->arm;
	for (uint32_t i = 0; !bad && i < list.n; i++)
		bad = list.group[i] >= s->engine->region->view.group_count;
	if (bad)
		bad_message(s);
	else
		s->ops->arm(s, &list);
}

void session_message(struct session *s, const void *message, size_t size)
{
	struct control_reader r;
	s->messages++;
	int rc = control_open(&r, message, size);
	if (rc == -EPROTONOSUPPORT) {
		dsm__fail(rc, "the client speaks another control version than the engine's %d",
			DSM_CONTROL_VERSION);
		refuse(s, rc, COUNTER_REFUSED_VERSION);
		return;
	}
	if (rc || (!s->greeted && r.type != CONTROL_HELLO)) {
		bad_message(s);
		return;
	}
	switch (r.type) {
	case CONTROL_HELLO:
		hello(s, &r);
		break;
	case CONTROL_MAP:
		map(s, &r);
		break;
	case CONTROL_REQUEST:
		requests_message(s, &r);
		break;
	case CONTROL_ANSWER:
		requests_answer(s, &r);
		break;
	case CONTROL_CLIENTS:
		clients(s);
		break;
	case CONTROL_DEVICES:
		devices(s);
		break;
	case CONTROL_NOTIFY:
		notify(s, &r);
		break;
	case CONTROL_BEAT:
		beat(s, &r);
		break;
	case CONTROL_WAIT:
		wait_for(s, &r);
		break;
	case CONTROL_BYE:
		owners_session_gone(s, true);
		server_drop(s);
		break;
	default:
		bad_message(s);
		break;
	}
}
