/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions: begin, go on after a re-attach, end. */
#include "client/subscribe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MIN 0.001
#define RATE_MAX 1e6

static bool same_handle(const struct dsm_subscription *s)
{
	return handle_usable(s->dsm) && subscription_of(s);
}

/* Does the transport know of it? */
static bool is_known(const struct dsm_subscription *s)
{
	return s->pushed && s->links && s->links == s->dsm->links;
}

static void withdraw(struct dsm_subscription *s)
{
	for (uint32_t i = 0; is_known(s) && i < s->parts; i++)
		s->dsm->ops->unsubscribe(s->dsm->conn, &s->part[i]);
	s->links = 0;
}

/* ---- a link ---- */

/* Names, frames and what is compared, for the table that is in use now. */
static int fit_group(struct dsm_subscription *s, uint32_t i)
{
	struct dsm *dsm = s->dsm;
	struct followed *f = &s->of[i];
	const struct view *v = &dsm->link->view;
	uint32_t index = view_find_group(v, f->name);
	if (index == DSM_NONE)
		return dsm__fail(-ENODEV, "%s: the engine's new table has no such group any more: "
			"dsm_unsubscribe(), and subscribe to what is there", f->name);
	struct dsm_frame *frame = NULL;
	int rc = dsm_frame_new(dsm, (struct dsm_group){ handle_id(dsm, index) }, &frame);
	if (rc)
		return rc;
	free(f->state.values);
	f->state = (struct filter_state){ 0 };
	dsm_frame_free(&f->frame);
	f->frame = frame;
	s->wish[i].group = index;
	if (s->wish[i].rule.kind != FILTER_ANY && !(f->state.values = malloc(frame->bytes ? frame->bytes : 8)))
		return dsm__fail(-ENOMEM, "no memory to compare %s", f->name);
	return 0;
}

static int fit_table(struct dsm_subscription *s, bool again)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
		rc = fit_group(s, i);
		s->of[i].new_table = again;
	}
	s->first_id = rc ? 0 : s->dsm->first_id;
	return rc;
}

/* The engine is asked, where it can be. */
static int ask(struct dsm_subscription *s)
{
	struct dsm *dsm = s->dsm;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct filter_state *state = &s->of[i].state;
		s->wish[i].seq = state->base ? state->seq : 0;
		s->wish[i].epoch = state->epoch;
	}
	for (uint32_t i = 0; i < s->parts; i++) {
		int rc = dsm->ops->subscribe(dsm->conn, &s->part[i]);
		if (rc) {
			while (i--)
				dsm->ops->unsubscribe(dsm->conn, &s->part[i]);
			return dsm__fail(rc, "%s: this handle has all the subscriptions that it may have",
				dsm->link->uri);
		}
	}
	return 0;
}

int subscription_follow(struct dsm_subscription *s)
{
	struct dsm *dsm = s->dsm;
	if (s->links == dsm->links)
		return 0;
	s->links = 0;
	bool again = s->generation != 0;
	int rc = s->first_id == dsm->first_id ? 0 : fit_table(s, again);
	if (rc)
		return rc;
	/* seqs are of one generation */
	for (uint32_t i = 0; again && s->generation != dsm->link->welcome.generation && i < s->n; i++)
		s->of[i].state.base = s->of[i].state.sent = s->of[i].state.has_values = false;
	s->generation = dsm->link->welcome.generation;
	s->pushed = dsm->ops->subscribe != NULL;
	/* an engine over udp that does not send is an older one, which knows of one group only */
	s->near = s->n == 1 || (s->n <= TRANSPORT_WATCH && !dsm->ops->subscribe) || dsm->ops->near;
	for (uint32_t i = 0; i < s->n; i++)
		s->of[i].looked = false;
	rc = s->pushed ? ask(s) : 0;
	if (rc == 0)
		s->links = dsm->links;
	return rc;
}

static int refused(const struct dsm_subscription *s, int status)
{
	if (status == -ENOSPC || status == -ENOMEM)
		return dsm__fail(status, "%s: the engine has no room for more subscriptions of this session",
			s->dsm->link->uri);
	if (status == -EMSGSIZE)
		return dsm__fail(status, "%s: a group of more than 1 MiB cannot be read over %s", s->dsm->link->uri,
			s->dsm->ops->scheme);
	return dsm__fail(status, "%s: the engine refuses the subscription: %s", s->dsm->link->uri, strerror(-status));
}

int subscription_answered(struct dsm_subscription *s, bool *all)
{
	int status = 0;
	*all = true;
	for (uint32_t i = 0; s->pushed && i < s->parts; i++) {
		if (s->part[i].status == -EINPROGRESS)
			*all = false;
		else if (s->part[i].status)
			status = s->part[i].status;
	}
	if (!status)
		return 0;
	withdraw(s);
	*all = true;
	if (status != -ENOTSUP)
		return refused(s, status);
	s->pushed = false; /* an older engine: reads, filtered here */
	s->links = s->dsm->links;
	return 0;
}

/* ---- begin and end ---- */

static int check_options(const struct dsm_subscription_options *o)
{
	if (o->size != sizeof(*o))
		return dsm__fail(-EINVAL, "dsm_subscription_options.size is %zu: start from "
			"DSM_SUBSCRIPTION_OPTIONS_INIT", o->size);
	if (!isfinite(o->max_rate_hz) || o->max_rate_hz < 0 || o->max_rate_hz > RATE_MAX ||
	    (o->max_rate_hz > 0 && o->max_rate_hz < RATE_MIN))
		return dsm__fail(-EINVAL, "max_rate_hz is %g, expected 0 (no limit) or %g to %g", o->max_rate_hz,
			RATE_MIN, RATE_MAX);
	return 0;
}

static int check_interest(const struct dsm *dsm, const struct dsm_interest *x, uint32_t *index)
{
	int rc = handle_group(dsm, x->group, index);
	if (rc)
		return rc;
	const char *name = view_text(&dsm->link->view, dsm->link->view.groups[*index].name);
	if ((unsigned)x->kind > DSM_DEADBAND_PERCENT)
		return dsm__fail(-EINVAL, "%s: %d is no enum dsm_deadband", name, (int)x->kind);
	if (!isfinite(x->deadband) || x->deadband < 0)
		return dsm__fail(-EINVAL, "%s: a deadband of %g, expected a number from 0 on", name, x->deadband);
	return 0;
}

static int add_group(struct dsm_subscription *s, uint32_t i, const struct dsm_interest *x,
	const struct dsm_subscription_options *o)
{
	struct dsm *dsm = s->dsm;
	uint32_t index;
	int rc = check_interest(dsm, x, &index);
	if (rc)
		return rc;
	s->of[i].name = strdup(view_text(&dsm->link->view, dsm->link->view.groups[index].name));
	if (!s->of[i].name)
		return dsm__fail(-ENOMEM, "no memory for a subscription");
	s->wish[i].rule = (struct filter_rule){
		.interval_ns = o->max_rate_hz > 0 ? (uint64_t)(1e9 / o->max_rate_hz) : 0,
		.every_nth = o->every_nth ? o->every_nth : 1, .kind = (uint32_t)x->kind, .band = fabs(x->deadband) /* of -0 */ };
	rc = fit_group(s, i);
	/* seqs are of one generation */
	if (rc == 0 && x->resume.generation == dsm->link->welcome.generation && x->resume.seq)
		filter_resume(&s->of[i].state, x->resume.seq, x->resume.epoch);
	return rc;
}

/* Until the engine has answered. */
static int await(struct dsm_subscription *s)
{
	struct dsm *dsm = s->dsm;
	uint64_t deadline = deadline_after(dsm, (int)dsm->call_timeout_ms);
	bool all = false;
	for (;;) {
		uint32_t woken = atomic_load_explicit(&dsm->wake, memory_order_seq_cst);
		int rc = handle_check(dsm);
		if (rc == 0)
			rc = subscription_follow(s);
		if (rc == 0)
			rc = subscription_answered(s, &all);
		if (rc || all)
			return rc;
		uint64_t now = clock_now(dsm->clock);
		if (atomic_load_explicit(&dsm->attention, memory_order_acquire) & ATTEND_LOST)
			return dsm__fail(-ENOTCONN, "the engine was lost while subscribing");
		if (now >= deadline)
			return dsm__fail(-ETIMEDOUT, "%s: the engine does not answer the subscription", dsm->link->uri);
		if (dsm->options.flags & DSM_MANUAL && (rc = dsm_dispatch(dsm)) != 0)
			return rc;
		dsm->ops->listen(dsm->conn, &dsm->wake, woken, deadline - now < 5000000 ? deadline - now : 5000000);
	}
}

static struct dsm_subscription *make(struct dsm *dsm, uint32_t n)
{
	struct dsm_subscription *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->dsm = dsm;
	s->identity = dsm->first_id >> (32 + TAG_GENERATIONS);
	s->n = n;
	s->parts = (n + TRANSPORT_WISHES - 1) / TRANSPORT_WISHES;
	s->of = calloc(n, sizeof(*s->of));
	s->wish = calloc(n, sizeof(*s->wish));
	s->part = calloc(s->parts, sizeof(*s->part));
	for (uint32_t i = 0; s->part && i < s->parts; i++)
		s->part[i] = (struct transport_wishes){ .wish = s->wish + i * TRANSPORT_WISHES,
			.n = i + 1 < s->parts ? TRANSPORT_WISHES : n - i * TRANSPORT_WISHES };
	if (s->of && s->wish && s->part)
		return s;
	s->n = 0;
	dsm_unsubscribe(&s);
	return NULL;
}

int dsm_subscribe(struct dsm *dsm, const struct dsm_interest *interests, uint32_t n,
	const struct dsm_subscription_options *opts, struct dsm_subscription **out)
{
	static const struct dsm_subscription_options defaults = DSM_SUBSCRIPTION_OPTIONS_INIT;
	const struct dsm_subscription_options *o = opts ? opts : &defaults;
	int rc = handle_check(dsm);
	if (rc || (rc = check_options(o)) != 0)
		return rc;
	if (!interests || !out || n == 0)
		return dsm__fail(-EINVAL, "dsm_subscribe(): no group, or null pointer for the subscription");
	if (n > DSM_SUBSCRIPTION_MAX)
		return dsm__fail(-E2BIG, "%u groups; a subscription has at most %u", n, DSM_SUBSCRIPTION_MAX);
	struct dsm_subscription *s = make(dsm, n);
	if (!s)
		return dsm__fail(-ENOMEM, "no memory for a subscription");
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = add_group(s, i, &interests[i], o);
	s->first_id = dsm->first_id;
	if (rc == 0)
		rc = await(s);
	if (rc)
		dsm_unsubscribe(&s);
	else
		*out = s;
	return rc;
}

void dsm_unsubscribe(struct dsm_subscription **subscription)
{
	struct dsm_subscription *s = subscription ? *subscription : NULL;
	if (!s)
		return;
	*subscription = NULL;
	if (same_handle(s))
		withdraw(s);
	for (uint32_t i = 0; s->of && i < s->n; i++) {
		free(s->of[i].name);
		free(s->of[i].state.values);
		dsm_frame_free(&s->of[i].frame);
	}
	free(s->of);
	free(s->wish);
	free(s->part);
	free(s);
}
