/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and adds to other owners' cells, exactly once: a window of numbered requests, sent
 * in batches, sent again under the same numbers after a re-attach, failed as "outcome unknown"
 * when the engine does not know this client any more. And the other end: requests to us. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "port/port.h"

static struct pending *slot_of(struct dsm *dsm, uint64_t number)
{
	return &dsm->window[number % WINDOW];
}

static uint64_t value_bytes(const struct control_request *r)
{
	return r->type == DSM_F64_ARRAY ? 8ull * r->len : r->type >= DSM_STRING ? r->len : 0;
}

void request_new_identity(struct dsm *dsm)
{
	uint64_t other[2] = { clock_now(&clock_system), (uint64_t)getpid() << 32 ^ dsm->first_id };
	static_assert(sizeof(other) == sizeof(dsm->client_id), "client id");
	if (port_random(dsm->client_id, sizeof(dsm->client_id)))
		memcpy(dsm->client_id, other, sizeof(other));
}

void request_free(struct dsm *dsm)
{
	for (uint32_t i = 0; i < WINDOW; i++)
		free(dsm->window[i].copy);
	for (uint32_t i = 0; i < FORWARDS; i++)
		free(dsm->forwards[i].copy);
}

/* Sends what is unsent, in number order, as many a message as fit. */
void request_flush(struct dsm *dsm)
{
	struct link *link = slow_link(dsm);
	unsigned char *message = dsm->requests;
	struct control_writer w;
	uint64_t number = dsm->next_number > WINDOW ? dsm->next_number - WINDOW : 1;
	bool blocked = false;
	while (dsm->unsent && !blocked) {
		uint64_t first = number;
		control_begin(&w, message, CONTROL_MAX, CONTROL_REQUEST);
		control_put_u64(&w, link->welcome.generation);
		for (; number < dsm->next_number; number++) {
			struct pending *p = slot_of(dsm, number);
			if (p->state == UNSENT && p->request.number == number &&
			    !control_put_request(&w, &p->request))
				break;
		}
		if (w.entries == 0 || link->ops->send(link->conn, message, control_end(&w)))
			blocked = true;
		for (uint64_t n = first; !blocked && n < number; n++)
			if (slot_of(dsm, n)->state == UNSENT && slot_of(dsm, n)->request.number == n) {
				slot_of(dsm, n)->state = SENT;
				dsm->unsent--;
			}
	}
}

void request_reply(struct dsm *dsm, struct control_reader *r)
{
	struct control_reply reply;
	for (uint32_t i = 0; i < r->entries && control_get_reply(r, &reply) == 0; i++) {
		struct pending *p = slot_of(dsm, reply.number);
		if (p->state != SENT || p->request.number != reply.number)
			continue;
		p->state = p->abandoned ? FREE : DONE;
		p->status = reply.status;
		p->previous = reply.previous;
		snprintf(p->text, sizeof(p->text), "%.*s", (int)sizeof(p->text) - 1, reply.text);
	}
}

static void fail_pending(struct pending *p, int status, const char *text)
{
	p->state = p->abandoned ? FREE : DONE;
	p->status = status;
	snprintf(p->text, sizeof(p->text), "%s", text);
}

/* May a request that was sent to `before` be sent again to `now`? The engine's numbers and its own
 * groups come back together from the state file; another owner's table outlives the engine, so a
 * request that was forwarded may have been carried out although this engine's numbers do not know
 * it. Another table: the cell's number means something else. */
static bool may_resend(const struct pending *p, const struct link *before, const struct link *now)
{
	if (!before || before->layout_hash != now->layout_hash ||
	    !(now->welcome.flags & WELCOME_CLIENT_KNOWN))
		return false;
	const struct view *v = &now->view;
	return before->welcome.generation == now->welcome.generation ||
		(p->request.cell < v->cell_count && v->groups[v->cells[p->request.cell].group].owner == 0);
}

void request_resume(struct dsm *dsm, const struct link *before, const struct link *now)
{
	bool known = now->welcome.flags & WELCOME_CLIENT_KNOWN, fresh = false;
	/* their tickets ended with the connection: whoever asked has been told so */
	dsm->forward_count = 0;
	for (uint32_t i = 0; i < WINDOW; i++) {
		struct pending *p = &dsm->window[i];
		if (p->state == SENT && may_resend(p, before, now)) {
			p->state = UNSENT;
			dsm->unsent++;
		} else if (p->state == SENT) {
			fail_pending(p, -ECONNRESET, "the engine was lost meanwhile: whether the request was "
				"carried out is unknown");
			fresh |= !known;
		} else if (p->state == UNSENT && before && before->layout_hash != now->layout_hash) {
			fail_pending(p, -ESTALE, "the engine has another table now; nothing was sent");
			dsm->unsent--;
		}
	}
	if (fresh)
		request_new_identity(dsm); /* the engine must not take old numbers for known ones */
}

/* Puts one request into the window; under lock. */
static int enqueue(struct dsm *dsm, const struct control_request *request, uint64_t *number)
{
	struct pending *p = slot_of(dsm, dsm->next_number);
	if (p->state != FREE)
		return dsm__fail(-EAGAIN, "%u requests are outstanding: end some of them first", WINDOW);
	uint64_t bytes = value_bytes(request);
	if (bytes > CONTROL_MAX - 256)
		return dsm__fail(-EMSGSIZE, "a request carries at most %u bytes", CONTROL_MAX - 256);
	free(p->copy);
	*p = (struct pending){ .request = *request };
	if (bytes) {
		p->copy = malloc(bytes);
		if (!p->copy)
			return dsm__fail(-ENOMEM, "no memory for a request of %llu bytes",
				(unsigned long long)bytes);
		memcpy(p->copy, request->data, bytes);
		p->request.data = p->copy;
	}
	*number = p->request.number = dsm->next_number++;
	p->state = UNSENT;
	dsm->unsent++;
	dsm->stats.requests++;
	return 0;
}

/* Waits for the answer and frees the place; under lock. */
static int collect(struct dsm *dsm, uint64_t number, uint64_t deadline, bool abandon,
	uint64_t *previous)
{
	struct pending *p = slot_of(dsm, number);
	if (p->state == FREE || p->request.number != number)
		return dsm__fail(-EINVAL, "no request with ticket %llu is outstanding",
			(unsigned long long)number);
	if (dsm->unsent && !dsm->lost)
		request_flush(dsm);
	while (p->state != DONE) {
		if (dsm->lost && (dsm->options.flags & DSM_NO_REATTACH)) {
			p->state = FREE;
			return dsm__fail(-ECONNRESET, "the engine was lost: whether the request was carried "
				"out is unknown");
		}
		if (!slow_wait(dsm, deadline)) {
			p->abandoned = abandon;
			return dsm__fail(-ETIMEDOUT, "no answer in time; the request may still be carried out");
		}
	}
	*previous = p->previous;
	p->state = FREE;
	return p->status ? dsm__fail(p->status, "%s", p->text) : 0;
}

static void to_wire(const struct dsm_value *v, uint32_t cell, uint8_t op, struct control_request *r)
{
	*r = (struct control_request){ .cell = cell, .op = op, .type = (uint8_t)v->type, .len = v->len };
	if (payload_is_scalar(v->type)) {
		r->word = v->type == DSM_BOOL ? v->b : v->u64;
		r->len = 1;
	} else {
		r->data = v->bytes;
	}
}

int dsm_request(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *value, int timeout_ms)
{
	uint32_t index = 0;
	uint64_t number, previous;
	struct control_request request;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &index)) != 0)
		return rc;
	if (!value)
		return dsm__fail(-EINVAL, "dsm_request(): null pointer for the value");
	struct dsm_value v = *value;
	if ((rc = value_admit(&dsm->link->view, index, &v)) != 0)
		return rc;
	if (dsm->has_writer && writer_owns(&dsm->writer, dsm->cells[index].group))
		return dsm_write(dsm, cell, &v);
	uint64_t deadline = deadline_after(dsm, timeout_ms);
	to_wire(&v, index, CONTROL_SET, &request);
	pthread_mutex_lock(&dsm->lock);
	rc = enqueue(dsm, &request, &number);
	if (rc == 0)
		rc = collect(dsm, number, deadline, true, &previous);
	pthread_mutex_unlock(&dsm->lock);
	return rc;
}

/* ---- adds ---- */

static bool bound_fits(const struct directory_cell *c, uint32_t given, const struct dsm_value *bound)
{
	return !given || ((uint32_t)bound->type == c->type && (c->type != DSM_F64 || !isnan(bound->f64)));
}

static int add_request(struct dsm *dsm, uint32_t index, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, struct control_request *r)
{
	const struct directory_cell *c = &dsm->cells[index];
	if (!delta || (uint32_t)delta->type != c->type || c->type < DSM_I64 || c->type > DSM_F64)
		return dsm__fail(-EINVAL, "%s: is of type %s; only i64, u64 and f64 can be added to, by a "
			"delta of the same type", view_text(&dsm->link->view, c->name),
			dsm_type_name((enum dsm_type)c->type));
	to_wire(delta, index, CONTROL_ADD, r);
	if (bounds && !(bound_fits(c, bounds->flags & DSM_HAS_MIN, &bounds->floor) &&
			bound_fits(c, bounds->flags & DSM_HAS_MAX, &bounds->ceil)))
		return dsm__fail(-EINVAL, "%s: is of type %s; floor and ceiling must be of the same, and numbers",
			view_text(&dsm->link->view, c->name), dsm_type_name((enum dsm_type)c->type));
	if (bounds) {
		r->flags = (uint16_t)(bounds->flags & (DSM_HAS_MIN | DSM_HAS_MAX));
		r->floor = bounds->floor.u64;
		r->ceil = bounds->ceil.u64;
	}
	return 0;
}

static int add_own(struct dsm *dsm, uint32_t index, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, struct dsm_value *previous)
{
	int rc = dsm_begin(dsm, 0);
	if (rc)
		return rc;
	struct dsm_value old;
	rc = writer_add(&dsm->writer, index, delta, bounds, &old);
	if ((rc == 0 || rc == -ERANGE) && previous)
		*previous = old;
	if (rc) {
		dsm_abort(dsm);
		return rc;
	}
	return dsm_commit(dsm, NULL);
}

/* Carried out here and now; the ticket only keeps the outcome. Sent to the engine it would come
 * back to this very thread, which waits for it in dsm_add_end(). */
static int add_begin_own(struct dsm *dsm, uint32_t index, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, const struct control_request *request, uint64_t *ticket)
{
	struct dsm_value previous = { 0 };
	pthread_mutex_lock(&dsm->lock);
	struct pending *p = slot_of(dsm, dsm->next_number);
	int rc = enqueue(dsm, request, ticket);
	if (rc == 0) {
		p->state = DONE; /* never sent */
		dsm->unsent--;
	}
	pthread_mutex_unlock(&dsm->lock);
	if (rc)
		return rc;
	p->status = add_own(dsm, index, delta, bounds, &previous);
	p->previous = previous.u64;
	if (p->status)
		snprintf(p->text, sizeof(p->text), "%s", dsm_error());
	return 0;
}

int dsm_add_begin(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, uint64_t *ticket)
{
	uint32_t index = 0;
	struct control_request request;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &index)) != 0 ||
	    (rc = add_request(dsm, index, delta, bounds, &request)) != 0)
		return rc;
	if (!ticket)
		return dsm__fail(-EINVAL, "dsm_add_begin(): null pointer for the ticket");
	if (dsm->has_writer && writer_owns(&dsm->writer, dsm->cells[index].group))
		return add_begin_own(dsm, index, delta, bounds, &request, ticket);
	pthread_mutex_lock(&dsm->lock);
	rc = enqueue(dsm, &request, ticket);
	if (rc == 0 && dsm->unsent >= WINDOW / 4 && !dsm->lost)
		request_flush(dsm);
	pthread_mutex_unlock(&dsm->lock);
	return rc;
}

static int add_end(struct dsm *dsm, uint64_t ticket, int timeout_ms, bool abandon,
	struct dsm_value *previous)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	uint64_t old = 0, deadline = deadline_after(dsm, timeout_ms);
	pthread_mutex_lock(&dsm->lock);
	uint8_t type = slot_of(dsm, ticket)->request.type;
	rc = collect(dsm, ticket, deadline, abandon, &old);
	pthread_mutex_unlock(&dsm->lock);
	if ((rc == 0 || rc == -ERANGE) && previous) {
		*previous = (struct dsm_value){ .type = (enum dsm_type)type, .len = 1 };
		previous->u64 = old;
	}
	return rc;
}

int dsm_add_end(struct dsm *dsm, uint64_t ticket, int timeout_ms, struct dsm_value *previous)
{
	return add_end(dsm, ticket, timeout_ms, false, previous);
}

int dsm_add(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, int timeout_ms, struct dsm_value *previous)
{
	uint32_t index = 0;
	uint64_t ticket;
	struct control_request check;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &index)) != 0 ||
	    (rc = add_request(dsm, index, delta, bounds, &check)) != 0)
		return rc;
	if (dsm->has_writer && writer_owns(&dsm->writer, dsm->cells[index].group))
		return add_own(dsm, index, delta, bounds, previous);
	rc = dsm_add_begin(dsm, cell, delta, bounds, &ticket);
	return rc ? rc : add_end(dsm, ticket, timeout_ms, true, previous);
}

/* ---- requests to this owner ---- */

void request_forward(struct dsm *dsm, struct control_reader *r)
{
	struct control_request q;
	for (uint32_t i = 0; i < r->entries && control_get_request(r, &q) == 0; i++) {
		/* one place stays free: the caller of dsm_next_request() still looks at the last one's value */
		if (dsm->forward_count == FORWARDS - 1)
			break; /* the engine answers for us when its deadline is over */
		struct forward *f = &dsm->forwards[(dsm->forward_head + dsm->forward_count) % FORWARDS];
		uint64_t bytes = value_bytes(&q);
		free(f->copy);
		*f = (struct forward){ .request = q };
		if (bytes && !(f->copy = malloc(bytes + 1)))
			break;
		if (bytes)
			memcpy(f->copy, q.data, bytes);
		f->request.data = f->copy;
		if (dsm->forward_count++ == 0)
			slow_event(dsm, DSM_EVENT_REQUEST, 0, "requests wait: dsm_next_request()");
	}
}

static void bounds_of(const struct control_request *q, struct dsm_bounds *out)
{
	enum dsm_type type = (enum dsm_type)q->type;
	*out = (struct dsm_bounds){ .flags = q->flags, .floor = { .type = type, .len = 1 },
		.ceil = { .type = type, .len = 1 } };
	out->floor.u64 = q->floor;
	out->ceil.u64 = q->ceil;
}

int dsm_next_request(struct dsm *dsm, struct dsm_request_info *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_next_request(): null pointer");
	pthread_mutex_lock(&dsm->lock);
	bool any = dsm->forward_count > 0;
	struct forward *f = &dsm->forwards[dsm->forward_head];
	if (any) {
		dsm->forward_head = (dsm->forward_head + 1) % FORWARDS;
		dsm->forward_count--;
		const struct control_request *q = &f->request;
		*out = (struct dsm_request_info){ .ticket = q->number, .cell = { handle_id(dsm, q->cell) },
			.is_add = q->op == CONTROL_ADD, .client = q->client,
			.value = { .type = (enum dsm_type)q->type, .len = q->len } };
		if (payload_is_scalar(out->value.type))
			out->value.u64 = q->word;
		else
			out->value.bytes = q->data;
		bounds_of(q, &out->bounds);
	}
	pthread_mutex_unlock(&dsm->lock);
	return any ? 0 : dsm__fail(-EAGAIN, "no request waits");
}

static int answer(struct dsm *dsm, uint64_t ticket, int status, uint64_t previous)
{
	unsigned char message[CONTROL_HEAD + 32 + CONTROL_TEXT_MAX];
	struct control_writer w;
	struct control_reply reply = { .number = ticket, .status = status, .previous = previous };
	if (status)
		snprintf(reply.text, sizeof(reply.text), "%s", dsm_error());
	control_begin(&w, message, sizeof(message), CONTROL_ANSWER);
	control_put_reply(&w, &reply);
	pthread_mutex_lock(&dsm->lock); /* the library's thread speaks, too */
	int rc = dsm->ops->send(dsm->conn, message, control_end(&w));
	pthread_mutex_unlock(&dsm->lock);
	return rc ? dsm__fail(rc, "the answer could not be sent: %s", dsm_strerror(rc)) : 0;
}

int dsm_request_apply(struct dsm *dsm, const struct dsm_request_info *request)
{
	struct dsm_value previous = { 0 };
	if (handle_usable(dsm) && !request)
		return dsm__fail(-EINVAL, "dsm_request_apply(): null pointer");
	if (!handle_usable(dsm))
		return handle_bad(dsm);
	int rc = request->is_add ?
		dsm_add(dsm, request->cell, &request->value, &request->bounds, 0, &previous) :
		dsm_write(dsm, request->cell, &request->value);
	int sent = answer(dsm, request->ticket, rc, previous.u64);
	return rc ? rc : sent;
}

int dsm_request_refuse(struct dsm *dsm, const struct dsm_request_info *request, int error)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!request)
		return dsm__fail(-EINVAL, "dsm_request_refuse(): null pointer");
	if (error >= 0)
		return dsm__fail(-EINVAL, "dsm_request_refuse(): %d is no negative errno", error);
	dsm__fail(error, "refused by the owner: %s", dsm_strerror(error));
	return answer(dsm, request->ticket, error, 0);
}
