/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions: which group has something new. Where the engine sends, what came is taken; elsewhere
 * the newest commit is read when the filter lets it, and weighed here. */
#include "client/subscribe.h"

#include <errno.h>

#include "port/port.h"

#define SLICE_NS UINT64_C(50000000)     /* then a look at what no commit tells: owners, the engine */
#define LOOK_NS UINT64_C(1000000)       /* more groups than can be waited for: commits are looked for */
#define READ_NS UINT64_C(10000000)      /* and where that is a read */

/* What cannot be had just now may be had later. */
static bool later(int rc)
{
	return rc == -EAGAIN || rc == -ETIMEDOUT || rc == -ENOTCONN || rc == -ESTALE || rc == -EXDEV;
}

static struct dsm_group group_id(const struct dsm_subscription *s, uint32_t i)
{
	return (struct dsm_group){ handle_id(s->dsm, s->wish[i].group) };
}

/* A commit that was read: newer than the owner line known here means a living owner. */
static uint32_t owner_state(const struct dsm *dsm, uint32_t group, uint32_t epoch)
{
	uint32_t granted = 0;
	uint64_t word = dsm->ops->owner_line(dsm->conn, dsm->link->view.groups[group].owner, &granted, NULL, NULL);
	return epoch > granted ? DSM_ALIVE : (uint32_t)(word >> 32);
}

static bool is_same(const struct filter_state *state, const struct slot_meta *meta)
{
	return state->base && meta->seq == state->seq && (meta->epoch == state->epoch || meta->seq == 0);
}

/* ---- pushed ---- */

static int run_take(struct dsm *dsm, struct attempt *a, struct slot_meta *meta)
{
	return dsm->ops->take(dsm->conn, a->group, a->seq, a->to, meta);
}

/* 1 the frame has something new, 0 not. */
static int look_pushed(struct dsm_subscription *s, uint32_t i)
{
	struct transport_wish *w = &s->wish[i];
	struct followed *f = &s->of[i];
	if (!w->fresh)
		return 0;
	struct attempt a = { .run = run_take, .group = w->group, .seq = w->came, .to = f->frame->payload };
	f->frame->full = false;
	int rc = read_attempts(s->dsm, &a, &f->frame->meta);
	if (rc || s->links != s->dsm->links)
		return later(rc) ? 0 : rc;
	f->frame->full = true;
	w->fresh = false;
	return !is_same(&f->state, &f->frame->meta);
}

/* ---- filtered here ---- */

static int read_here(struct dsm_subscription *s, uint32_t i, uint64_t newest, uint64_t now)
{
	struct followed *f = &s->of[i];
	const struct filter_rule *rule = &s->wish[i].rule;
	int rc = dsm_snapshot(s->dsm, group_id(s, i), f->frame);
	if (rc || s->links != s->dsm->links)
		return later(rc) ? 0 : rc;
	f->looked = true;
	f->looked_ns = now;
	f->state.weighed = newest;
	if (is_same(&f->state, &f->frame->meta))
		return 0;
	uint64_t seq = f->frame->meta.seq;
	if (f->state.base && seq > f->state.seq && seq - f->state.seq < rule->every_nth)
		return 0;
	return filter_counts(rule, &f->state, f->frame->layout, f->frame->cells, f->frame->payload);
}

static int look_here(struct dsm_subscription *s, uint32_t i, uint64_t now, uint64_t *when)
{
	struct followed *f = &s->of[i];
	const struct filter_rule *rule = &s->wish[i].rule;
	uint64_t newest = s->dsm->ops->newest(s->dsm->conn, s->wish[i].group), at = 0;
	if (f->looked && s->near) {
		at = filter_when(rule, &f->state, newest);
	} else if (f->looked) {
		newest = 0; /* not known: nothing is too light before it is read */
		at = f->looked_ns + (rule->interval_ns > READ_NS ? rule->interval_ns : READ_NS);
		if (f->state.sent && at < f->state.sent_ns + rule->interval_ns)
			at = f->state.sent_ns + rule->interval_ns;
	}
	if (now >= at && at != UINT64_MAX)
		return read_here(s, i, newest, now);
	if (at < *when)
		*when = at;
	return 0;
}

/* ---- both ---- */

/* Is the owner gone, or back, or the engine? 1: the frame says so. */
static int look_at_state(struct dsm_subscription *s, uint32_t i)
{
	struct dsm *dsm = s->dsm;
	struct followed *f = &s->of[i];
	struct slot_meta *meta = &f->frame->meta;
	if (!f->state.base)
		return 0;
	struct slot_meta now = f->frame->full ? *meta : (struct slot_meta){ .epoch = f->state.epoch };
	now.owner_state = owner_state(dsm, s->wish[i].group, now.epoch);
	if (read_flags(dsm, s->wish[i].group, &now) == f->flags)
		return 0;
	if (!f->frame->full) { /* it went on with what it had, so there is nothing to show yet */
		int rc = dsm_snapshot(dsm, group_id(s, i), f->frame);
		if (rc || s->links != dsm->links)
			return later(rc) ? 0 : rc;
	}
	meta->owner_state = now.owner_state;
	return 1;
}

static void deliver(struct dsm_subscription *s, uint32_t i, uint64_t now, const struct dsm_frame **frame,
	struct dsm_update *info)
{
	struct followed *f = &s->of[i];
	struct filter_state *state = &f->state;
	const struct slot_meta *meta = &f->frame->meta;
	*info = (struct dsm_update){ .index = i, .group = group_id(s, i), .new_table = f->new_table,
		.resume = { s->generation, meta->seq, meta->epoch } };
	info->why = !state->base || meta->seq < state->seq ? DSM_UPDATE_SNAPSHOT :
		is_same(state, meta) ? DSM_UPDATE_STATE : DSM_UPDATE_CHANGE;
	if (info->why == DSM_UPDATE_CHANGE && meta->seq > state->seq)
		info->skipped = meta->seq - state->seq - 1;
	f->frame->flags = f->flags = read_flags(s->dsm, s->wish[i].group, meta);
	f->frame->full = true;
	f->new_table = false;
	if (info->why != DSM_UPDATE_STATE)
		filter_went(state, meta->seq, meta->epoch, s->pushed ? NULL : f->frame->payload, f->frame->bytes, now);
	*frame = f->frame;
	s->next = (i + 1) % s->n;
}

static int look(struct dsm_subscription *s, uint64_t now, uint64_t *when, const struct dsm_frame **frame,
	struct dsm_update *info)
{
	for (uint32_t k = 0; k < s->n; k++) {
		uint32_t i = (s->next + k) % s->n;
		int rc = s->pushed ? look_pushed(s, i) : look_here(s, i, now, when);
		if (rc == 0 && s->links == s->dsm->links)
			rc = look_at_state(s, i);
		if (s->links != s->dsm->links)
			return 0; /* another link meanwhile: it is taken into account first */
		if (rc > 0)
			deliver(s, i, now, frame, info);
		if (rc)
			return rc;
	}
	return 0;
}

/* What only a commit can end; n is 0 if time will. False: not all have been read, or there are too many. */
static bool awaited(const struct dsm_subscription *s, uint32_t *group, uint64_t *since, struct transport_watch *watch)
{
	*watch = (struct transport_watch){ 0, group, since };
	if (!s->near || s->n > TRANSPORT_WATCH)
		return false;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct filter_state *state = &s->of[i].state;
		const struct filter_rule *rule = &s->wish[i].rule;
		uint64_t newest = s->dsm->ops->newest(s->dsm->conn, s->wish[i].group);
		if (!s->of[i].looked || !state->base) {
			watch->n = 0;
			return false;
		}
		if (filter_when(rule, state, newest) != UINT64_MAX)
			continue; /* its time will come */
		uint64_t after = state->seq + rule->every_nth - 1;
		group[watch->n] = s->wish[i].group;
		since[watch->n++] = after > state->weighed ? after : state->weighed;
	}
	return true;
}

static void rest(struct dsm_subscription *s, uint32_t woken, uint64_t now, uint64_t when, uint64_t deadline)
{
	struct dsm *dsm = s->dsm;
	uint32_t group[TRANSPORT_WATCH];
	uint64_t since[TRANSPORT_WATCH];
	struct transport_watch watch = { 0 };
	uint64_t until = when < deadline ? when : deadline;
	uint64_t ns = until <= now ? 1 : until - now < SLICE_NS ? until - now : SLICE_NS;
	bool lost = atomic_load_explicit(&dsm->attention, memory_order_acquire) & ATTEND_LOST;
	if (dsm->options.flags & DSM_MANUAL && ns > 5 * LOOK_NS)
		ns = 5 * LOOK_NS; /* nobody else runs the slow path */
	dsm->stats.waits++;
	bool known = !s->pushed && !lost && awaited(s, group, since, &watch);
	if (s->pushed)
		dsm->ops->listen(dsm->conn, &dsm->wake, woken, ns);
	else if (watch.n)
		dsm->ops->wait(dsm->conn, &watch, &dsm->wake, woken, ns);
	else
		port_word_wait(&dsm->wake, woken, !known && !lost && s->near && ns > LOOK_NS ? LOOK_NS : ns);
}

static int prepare(struct dsm_subscription *s)
{
	struct dsm *dsm = s->dsm;
	bool all;
	int rc = handle_check(dsm);
	if (rc == 0 && !subscription_of(s))
		return dsm__fail(-EBADF, "the subscription's handle was detached");
	if (rc == 0)
		rc = subscription_follow(s);
	if (rc == 0)
		rc = subscription_answered(s, &all);
	return rc;
}

int dsm_next_update(struct dsm_subscription *s, int timeout_ms, const struct dsm_frame **frame,
	struct dsm_update *info)
{
	if (!s || !frame || !info)
		return dsm__fail(-EINVAL, "dsm_next_update(): null pointer");
	struct dsm *dsm = s->dsm;
	uint64_t deadline = 0;
	for (bool first = true;; first = false) {
		uint32_t woken = atomic_load_explicit(&dsm->wake, memory_order_seq_cst);
		int rc = prepare(s);
		if (rc)
			return rc;
		if (first)
			deadline = deadline_after(dsm, timeout_ms);
		uint64_t when = UINT64_MAX, now = clock_now(dsm->clock);
		if (s->pushed)
			dsm->ops->listen(dsm->conn, &dsm->wake, woken, 0);
		rc = look(s, now, &when, frame, info);
		if (rc)
			return rc < 0 ? rc : 0;
		if (dsm->options.flags & DSM_NO_REATTACH &&
		    atomic_load_explicit(&dsm->attention, memory_order_acquire) & ATTEND_LOST)
			return dsm__fail(-ENOTCONN, "the engine was lost");
		now = clock_now(dsm->clock);
		if (now >= deadline)
			return dsm__fail(-ETIMEDOUT, "nothing new in time");
		if (dsm->options.flags & DSM_MANUAL && (rc = dsm_dispatch(dsm)) != 0)
			return rc;
		if (s->links == dsm->links)
			rest(s, woken, now, when, deadline);
	}
}
