/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: carried out on the engine's own groups, forwarded to other owners, refused. Exactly
 * once: a number is carried out when it is new, answered from memory when it is not, refused as
 * unknown when this engine cannot know. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/engine.h"

/* ---- records ---- */

struct record *records_find(struct dsm_engine *e, const uint8_t id[16])
{
	for (struct record *r = e->records; r; r = r->next)
		if (memcmp(r->id, id, 16) == 0)
			return r;
	return NULL;
}

static bool has_ticket(const struct dsm_engine *e, const struct record *record)
{
	for (uint32_t i = 0; i < TICKETS; i++)
		if (e->tickets[i].record == record)
			return true;
	return false;
}

/* Takes out those that have been away too long; with `force` the one away longest. */
static void records_expire(struct dsm_engine *e, bool force)
{
	uint64_t now = clock_now(e->clock);
	struct record **oldest = NULL;
	for (struct record **at = &e->records; *at;) {
		struct record *r = *at;
		bool away = !r->session && r->away_ns;
		if (away && now - r->away_ns > RECORD_KEEP_NS && !has_ticket(e, r)) {
			*at = r->next;
			free(r);
			e->record_count--;
			continue;
		}
		if (away && (!oldest || r->away_ns < (*oldest)->away_ns))
			oldest = at;
		at = &r->next;
	}
	if (force && oldest && e->record_count >= RECORDS_MAX && !has_ticket(e, *oldest)) {
		struct record *r = *oldest;
		*oldest = r->next;
		free(r);
		e->record_count--;
	}
}

struct record *records_add(struct dsm_engine *e, const uint8_t id[16])
{
	if (e->record_count >= RECORDS_MAX)
		records_expire(e, true);
	struct record *r = e->record_count < RECORDS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	memcpy(r->id, id, 16);
	r->next = e->records;
	e->records = r;
	e->record_count++;
	return r;
}

void records_attach(struct record *record, struct session *s)
{
	if (record->session && record->session != s) {
		record->session->record = NULL;
		server_drop(record->session);
	}
	record->session = s;
	record->away_ns = 0;
	s->record = record;
}

void records_free(struct dsm_engine *e)
{
	while (e->records) {
		struct record *r = e->records;
		e->records = r->next;
		free(r);
	}
	e->record_count = 0;
}

/* ---- answering ---- */

struct batch { struct session *to; struct control_writer w; };

static void batch_begin(struct dsm_engine *e, struct batch *b, struct session *to)
{
	b->to = to;
	control_begin(&b->w, e->reply, CONTROL_MAX, CONTROL_REPLY);
}

static void batch_end(struct batch *b)
{
	if (b->w.entries && b->to)
		server_send(b->to, control_end(&b->w), b->w.data);
}

static void batch_put(struct batch *b, const struct control_reply *reply)
{
	if (!b->to || control_put_reply(&b->w, reply))
		return;
	batch_end(b);
	batch_begin(b->to->engine, b, b->to);
	control_put_reply(&b->w, reply);
}

static void remember(struct record *record, uint64_t number, int status, uint64_t previous, bool in_flight)
{
	record->results[number % RESULTS] = (struct result){ number, previous, status, in_flight };
}

/* ---- carrying out ---- */

static void value_of(const struct control_request *q, struct dsm_value *v)
{
	*v = (struct dsm_value){ .type = (enum dsm_type)q->type, .len = q->len };
	if (payload_is_scalar(v->type))
		v->u64 = q->word;
	else
		v->bytes = q->data;
	if (v->type == DSM_BOOL)
		v->b = q->word != 0;
}

static int carry_out(struct dsm_engine *e, const struct control_request *q, uint64_t *previous)
{
	struct dsm_value v, old = { 0 };
	struct dsm_bounds bounds = { .flags = q->flags };
	bounds.floor.type = bounds.ceil.type = (enum dsm_type)q->type;
	bounds.floor.u64 = q->floor;
	bounds.ceil.u64 = q->ceil;
	value_of(q, &v);
	if (v.type == DSM_F64_ARRAY) { /* a message aligns nothing */
		memcpy(e->forwarded, q->data, 8ull * v.len); /* which is within a message, so this is */
		v.f64s = (const void *)e->forwarded;
	}
	int rc = writer_begin(&e->writer, clock_stamp(e->clock));
	if (rc == 0)
		rc = q->op == CONTROL_ADD ? writer_add(&e->writer, q->cell, &v, &bounds, &old) :
			writer_set(&e->writer, q->cell, &v);
	*previous = old.u64;
	if (rc == 0)
		rc = writer_commit(&e->writer, NULL);
	else
		writer_abort(&e->writer);
	return rc;
}

/* ---- forwarding ---- */

static struct ticket *ticket_new(struct dsm_engine *e, uint64_t *number)
{
	for (uint32_t i = 0; i < TICKETS; i++) {
		uint32_t at = e->next_ticket++ % TICKETS;
		struct ticket *t = &e->tickets[at];
		if (t->record)
			continue;
		/* no ticket of an engine before this one may name a request of this one */
		if (!t->generation)
			t->generation = (uint32_t)e->region->generation;
		t->generation++;
		*number = (uint64_t)t->generation << 32 | at;
		return t;
	}
	return NULL;
}

/* 0 = handed on, the answer comes later. */
static int forward(struct session *s, const struct control_request *q, uint32_t owner)
{
	struct dsm_engine *e = s->engine;
	struct holder *h = &e->holders[owner];
	const char *name = view_text(&e->region->view, e->region->view.owners[owner].name);
	if (!h->held || !h->session)
		return dsm__fail(-EOWNERDEAD, "owner \"%s\" is not there", name);
	if (!h->session->takes_requests)
		return dsm__fail(-EPERM, "owner \"%s\" takes no requests", name);
	struct control_request copy = *q;
	struct ticket *t = ticket_new(e, &copy.number);
	if (!t)
		return dsm__fail(-EBUSY, "%u requests wait for their owners already", TICKETS);
	copy.client = s->id;
	struct control_writer w;
	control_begin(&w, e->forwarded, CONTROL_MAX, CONTROL_FORWARD);
	control_put_request(&w, &copy);
	int rc = h->session->ops->send(h->session, e->forwarded, control_end(&w));
	if (rc)
		return dsm__fail(rc == -EAGAIN ? -EBUSY : -EOWNERDEAD, "owner \"%s\" does not read its requests", name);
	t->record = s->record;
	t->number = q->number;
	t->owner = owner;
	t->deadline_ns = clock_now(e->clock) + FORWARD_DEADLINE_NS;
	region_count(e->region, COUNTER_REQUESTS_FORWARDED, 1);
	return 0;
}

static void ticket_done(struct dsm_engine *e, struct ticket *t, const struct control_reply *outcome)
{
	struct control_reply reply = *outcome;
	struct batch b;
	reply.number = t->number;
	remember(t->record, t->number, reply.status, reply.previous, false);
	if (reply.status)
		region_count(e->region, COUNTER_REQUESTS_REFUSED, 1);
	batch_begin(e, &b, t->record->session);
	batch_put(&b, &reply);
	batch_end(&b);
	t->record = NULL;
}

void requests_answer(struct session *s, struct control_reader *r)
{
	struct dsm_engine *e = s->engine;
	struct control_reply reply;
	for (uint32_t i = 0; i < r->entries; i++) {
		if (control_get_reply(r, &reply)) {
			region_count(e->region, COUNTER_BAD_MESSAGES, 1);
			server_drop(s);
			return;
		}
		struct ticket *t = &e->tickets[(uint32_t)reply.number % TICKETS];
		if (t->record && t->generation == reply.number >> 32 && t->owner == s->owner)
			ticket_done(e, t, &reply);
	}
}

static void fail_ticket(struct dsm_engine *e, struct ticket *t, int status, const char *text)
{
	struct control_reply reply = { .status = status };
	snprintf(reply.text, sizeof(reply.text), "%s", text);
	ticket_done(e, t, &reply);
}

void requests_owner_gone(struct dsm_engine *e, uint32_t owner)
{
	for (uint32_t i = 0; i < TICKETS; i++)
		if (e->tickets[i].record && e->tickets[i].owner == owner)
			fail_ticket(e, &e->tickets[i], -EOWNERDEAD,
				"the owner went away before it answered: whether the request was carried out is unknown");
}

void requests_tick(struct dsm_engine *e, uint64_t now)
{
	for (uint32_t i = 0; i < TICKETS; i++)
		if (e->tickets[i].record && now > e->tickets[i].deadline_ns)
			fail_ticket(e, &e->tickets[i], -ETIMEDOUT,
				"the owner did not answer: whether the request was carried out is unknown");
	records_expire(e, false);
}

void requests_forget_tickets(struct dsm_engine *e)
{
	for (uint32_t i = 0; i < TICKETS; i++)
		if (e->tickets[i].record)
			fail_ticket(e, &e->tickets[i], -ECONNRESET,
				"the engine started a new generation: whether the request was carried out is unknown");
}

/* ---- one request ---- */

/* True: answered here, because its number is not new. */
static bool repeated(struct session *s, const struct control_request *q, struct batch *b)
{
	struct record *record = s->record;
	struct control_reply reply = { .number = q->number };
	const struct result *old = &record->results[q->number % RESULTS];
	if (q->number > record->last)
		return false;
	region_count(s->engine->region, COUNTER_REQUESTS_REPEATED, 1);
	if (old->number == q->number && old->in_flight)
		return true; /* the answer comes when the owner gives it */
	if (old->number == q->number) {
		reply.status = old->status;
		reply.previous = old->previous;
		snprintf(reply.text, sizeof(reply.text), "answered before: %s", dsm_strerror(old->status));
	} else if (q->number > record->refuse_to && q->number <= record->done_to) {
		reply.status = -EALREADY;
		snprintf(reply.text, sizeof(reply.text), "answered before the engine's restart; the "
			"answer is no longer known");
	} else {
		reply.status = -ECONNRESET;
		snprintf(reply.text, sizeof(reply.text), "whether the request was carried out is unknown");
	}
	batch_put(b, &reply);
	return true;
}

/* Nothing is remembered of who may not ask: records are few. */
static void refuse_request(struct session *s, const struct control_request *q, struct batch *b)
{
	struct control_reply reply = { .number = q->number, .status = -EPERM };
	if (s->ops->network)
		snprintf(reply.text, sizeof(reply.text), "no network may send requests: the engine's "
			"`requesters:` names users, and a network has none");
	else
		snprintf(reply.text, sizeof(reply.text), "user %u may not send requests; the engine's "
			"`requesters:` says who may", s->uid);
	region_count(s->engine->region, COUNTER_REQUESTS_REFUSED, 1);
	batch_put(b, &reply);
}

static void one_request(struct session *s, const struct control_request *q, struct batch *b)
{
	struct dsm_engine *e = s->engine;
	const struct view *v = &e->region->view;
	struct control_reply reply = { .number = q->number };
	if (!s->may_request) {
		refuse_request(s, q, b);
		return;
	}
	if (repeated(s, q, b))
		return;
	s->record->last = q->number;
	uint32_t owner = q->cell < v->cell_count ? v->groups[v->cells[q->cell].group].owner : DSM_NONE;
	if (owner == DSM_NONE)
		reply.status = dsm__fail(-EINVAL, "the table has no cell %u", q->cell);
	else if (owner == 0 && e->has_writer)
		reply.status = carry_out(e, q, &reply.previous);
	else if ((reply.status = forward(s, q, owner)) == 0) {
		remember(s->record, q->number, 0, 0, true);
		return;
	}
	region_count(e->region, reply.status ? COUNTER_REQUESTS_REFUSED : COUNTER_REQUESTS_APPLIED, 1);
	if (reply.status)
		snprintf(reply.text, sizeof(reply.text), "%s", dsm_error());
	remember(s->record, q->number, reply.status, reply.previous, false);
	batch_put(b, &reply);
}

void requests_message(struct session *s, struct control_reader *r)
{
	struct dsm_engine *e = s->engine;
	struct control_request q;
	struct batch b;
	uint64_t generation;
	bool bad = control_get_u64(r, &generation) != 0 || r->entries > CONTROL_REQUESTS;
	if (!s->record && s->may_request) {
		/* found: made by another connection under the same id since this one said HELLO */
		struct record *record = records_find(e, s->client_id);
		if (!record && (record = records_add(e, s->client_id)) != NULL)
			record->last = record->refuse_to = s->last_number;
		if (record)
			records_attach(record, s);
		else
			bad = true;
	}
	batch_begin(e, &b, s);
	for (uint32_t i = 0; !bad && i < r->entries; i++) {
		if (control_get_request(r, &q) || q.number == 0) {
			bad = true;
			break;
		}
		s->requests++;
		region_count(e->region, COUNTER_REQUESTS, 1);
		if (generation == e->region->generation) {
			one_request(s, &q, &b);
			continue;
		}
		struct control_reply stale = { .number = q.number, .status = -ESTALE };
		snprintf(stale.text, sizeof(stale.text), "the request is for an earlier table");
		batch_put(&b, &stale);
	}
	batch_end(&b);
	if (bad) {
		region_count(e->region, COUNTER_BAD_MESSAGES, 1);
		server_drop(s);
	}
}
