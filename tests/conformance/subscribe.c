/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: subscriptions. Snapshot first, then what changes, as often as was asked for; the newest
 * and never a backlog; they go on over what an engine goes through. */
#include <dsm/subscribe.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

#define SOON_MS 20000       /* for what comes; no test waits so long if all is well */
#define NOTHING_MS 150      /* for what must not come: longer than it takes */

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct dsm_subscription *subscribe(struct dsm *dsm, struct dsm_interest interest, double rate_hz,
	uint32_t every_nth)
{
	struct dsm_subscription_options opts = DSM_SUBSCRIPTION_OPTIONS_INIT;
	struct dsm_subscription *s = NULL;
	opts.max_rate_hz = rate_hz;
	opts.every_nth = every_nth;
	ok(dsm_subscribe(dsm, &interest, 1, &opts, &s));
	return s;
}

/* The next that is not about flags alone. */
static int next(struct dsm_subscription *s, int timeout_ms, const struct dsm_frame **f, struct dsm_update *u)
{
	uint64_t until = now_ms() + (uint64_t)timeout_ms;
	int rc;
	do {
		uint64_t now = now_ms();
		rc = dsm_next_update(s, now < until ? (int)(until - now) : 0, f, u);
	} while (rc == 0 && u->why == DSM_UPDATE_STATE);
	return rc;
}

static struct dsm_sample sample_of(struct dsm *dsm, const struct dsm_frame *f, const char *name)
{
	struct dsm_sample s;
	ok(dsm_frame_read(f, rig_cell(dsm, name), &s));
	return s;
}

static double f64_of(struct dsm *dsm, const struct dsm_frame *f, const char *name)
{
	return sample_of(dsm, f, name).value.f64;
}

/* A change with that value comes. */
static void comes(struct dsm *dsm, struct dsm_subscription *s, const char *name, double value)
{
	const struct dsm_frame *f;
	struct dsm_update u;
	ok(next(s, SOON_MS, &f, &u));
	cr_assert_eq(u.why, DSM_UPDATE_CHANGE);
	cr_assert_eq(f64_of(dsm, f, name), value, "%s: %g, expected %g", name, f64_of(dsm, f, name), value);
}

static void nothing_comes(struct dsm_subscription *s)
{
	const struct dsm_frame *f;
	struct dsm_update u;
	int rc = next(s, NOTHING_MS, &f, &u);
	struct dsm_frame_info info = { 0 };
	if (rc == 0)
		ok(dsm_frame_info(f, &info));
	cr_assert_eq(rc, -ETIMEDOUT, "%d; why %d, seq %llu, flags %#x, skipped %llu, %llu", rc, u.why,
		(unsigned long long)info.seq, info.flags, (unsigned long long)u.skipped,
		(unsigned long long)u.resume.seq);
}

static void first_comes(struct dsm_subscription *s)
{
	const struct dsm_frame *f;
	struct dsm_update u;
	ok(next(s, SOON_MS, &f, &u));
	cr_assert_eq(u.why, DSM_UPDATE_SNAPSHOT);
	cr_assert_eq(u.skipped, 0);
}

CONFORMANCE(a_subscription_brings_a_snapshot_first_and_then_changes)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_interest both[2] = { { .group = rig_group(r, "setpoints") }, { .group = rig_group(r, "sensors.a") } };
	struct dsm_subscription *s = NULL;
	const struct dsm_frame *f;
	struct dsm_update u;
	unsigned seen = 0;
	rig_write_f64(w, "setpoints.rop", 11);
	ok(dsm_subscribe(r, both, 2, NULL, &s));
	for (unsigned i = 0; i < 2; i++) {
		struct dsm_frame_info info;
		ok(next(s, SOON_MS, &f, &u));
		cr_assert_eq(u.why, DSM_UPDATE_SNAPSHOT);
		cr_assert_eq(u.group.id, both[u.index].group.id);
		ok(dsm_frame_info(f, &info));
		cr_assert_eq(info.seq, u.index ? 0 : 1);
		cr_assert_eq(u.resume.seq, info.seq);
		if (u.index == 0)
			cr_assert_eq(f64_of(r, f, "setpoints.rop"), 11);
		else
			cr_assert_eq(sample_of(r, f, "sensors.a.x").quality, DSM_NEVER_WRITTEN);
		seen |= 1u << u.index;
	}
	cr_assert_eq(seen, 3);
	nothing_comes(s);
	for (int i = 0; i < 20; i++) {
		rig_write_f64(w, "setpoints.rop", i);
		comes(r, s, "setpoints.rop", i);
	}
	struct dsm *o = rig_attach(rig, "sensors", 0); /* the first commit of a group */
	rig_write_f64(o, "sensors.a.x", 5);
	comes(r, s, "sensors.a.x", 5);
	dsm_unsubscribe(&s);
	dsm_unsubscribe(&s);
	cr_assert_null(s);
	dsm_detach(&o);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_rate_limit_thins_out_and_the_last_change_comes)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 20, 0);
	const struct dsm_frame *f;
	struct dsm_update u;
	uint64_t updates = 0, skipped = 0, start = now_ms();
	double value = 0;
	first_comes(s);
	for (int i = 1; i <= 100; i++) {
		rig_write_f64(w, "setpoints.rop", i);
		if (next(s, 4, &f, &u) == 0) {
			updates++;
			skipped += u.skipped;
			value = f64_of(r, f, "setpoints.rop");
		}
	}
	while (value < 100) {
		ok(next(s, SOON_MS, &f, &u));
		updates++;
		skipped += u.skipped;
		value = f64_of(r, f, "setpoints.rop");
	}
	uint64_t most = (now_ms() - start) / 50 + 2;
	cr_assert_eq(updates + skipped, 100, "%llu updates and %llu skipped", (unsigned long long)updates,
		(unsigned long long)skipped);
	cr_assert_leq(updates, most, "%llu updates, %llu expected at most", (unsigned long long)updates,
		(unsigned long long)most);
	nothing_comes(s);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(every_nth_commit)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 0, 5);
	const struct dsm_frame *f;
	struct dsm_update u;
	first_comes(s);
	for (int i = 1; i <= 4; i++)
		rig_write_f64(w, "setpoints.rop", i);
	nothing_comes(s);
	rig_write_f64(w, "setpoints.rop", 5);
	comes(r, s, "setpoints.rop", 5);
	uint64_t last = 5;
	for (int i = 6; i <= 40; i++) {
		rig_write_f64(w, "setpoints.rop", i);
		while (next(s, 5, &f, &u) == 0) {
			cr_assert(u.resume.seq >= last + 5 && u.skipped >= 4);
			last = u.resume.seq;
		}
	}
	while (next(s, NOTHING_MS, &f, &u) == 0)
		last = u.resume.seq;
	cr_assert(last > 35, "the last was %llu of 40", (unsigned long long)last);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_deadband_lets_through_what_leaves_it)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_group g = rig_group(r, "setpoints");
	struct dsm_subscription *absolute = subscribe(r,
		(struct dsm_interest){ .group = g, .kind = DSM_DEADBAND_ABSOLUTE, .deadband = 1 }, 0, 0);
	struct dsm_subscription *percent = subscribe(r,
		(struct dsm_interest){ .group = g, .kind = DSM_DEADBAND_PERCENT, .deadband = 10 }, 0, 0);
	struct dsm_value note = { .type = DSM_STRING, .len = 2, .str = "up" };
	first_comes(absolute);
	first_comes(percent);
	rig_write_f64(w, "setpoints.rop", 50); /* never written becomes good */
	comes(r, absolute, "setpoints.rop", 50);
	comes(r, percent, "setpoints.rop", 50);
	rig_write_f64(w, "setpoints.rop", 50.9);
	nothing_comes(absolute);
	rig_write_f64(w, "setpoints.rop", 51.1); /* from 50, what was sent last */
	comes(r, absolute, "setpoints.rop", 51.1);
	nothing_comes(percent);
	rig_write_f64(w, "setpoints.rop", 44.9);
	comes(r, absolute, "setpoints.rop", 44.9);
	comes(r, percent, "setpoints.rop", 44.9);
	ok(dsm_write(w, rig_cell(w, "setpoints.note"), &note)); /* no number: each change counts */
	comes(r, absolute, "setpoints.rop", 44.9);
	comes(r, percent, "setpoints.rop", 44.9);
	ok(dsm_write(w, rig_cell(w, "setpoints.note"), &note)); /* the same again is none */
	nothing_comes(absolute);
	ok(dsm_begin(w, 0));
	ok(dsm_set_quality(w, rig_cell(w, "setpoints.rop"), DSM_BAD));
	ok(dsm_commit(w, NULL));
	comes(r, absolute, "setpoints.rop", 44.9);
	comes(r, percent, "setpoints.rop", 44.9);
	dsm_unsubscribe(&absolute);
	dsm_unsubscribe(&percent);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_subscription_goes_on_where_another_ended)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_interest of = { .group = rig_group(r, "setpoints") };
	const struct dsm_frame *f;
	struct dsm_update u;
	rig_write_f64(w, "setpoints.rop", 1);
	struct dsm_subscription *s = subscribe(r, of, 0, 0);
	ok(next(s, SOON_MS, &f, &u));
	cr_assert_eq(u.why, DSM_UPDATE_SNAPSHOT);
	dsm_unsubscribe(&s);
	of.resume = u.resume;
	struct dsm *other = rig_attach(rig, NULL, 0);
	of.group = rig_group(other, "setpoints");
	s = subscribe(other, of, 0, 0);
	nothing_comes(s); /* it has that */
	rig_write_f64(w, "setpoints.rop", 2);
	comes(other, s, "setpoints.rop", 2);
	dsm_unsubscribe(&s);
	rig_write_f64(w, "setpoints.rop", 3);
	rig_write_f64(w, "setpoints.rop", 4);
	s = subscribe(other, of, 0, 0);
	ok(next(s, SOON_MS, &f, &u));
	cr_assert(u.why == DSM_UPDATE_CHANGE && u.skipped == 2, "%d, %llu skipped", u.why,
		(unsigned long long)u.skipped);
	cr_assert_eq(f64_of(other, f, "setpoints.rop"), 4);
	dsm_unsubscribe(&s);
	of.resume.generation ^= 1; /* of another generation: nothing is there */
	s = subscribe(other, of, 0, 0);
	first_comes(s);
	dsm_detach(&other); /* and with its handle gone */
	fails(dsm_next_update(s, 0, &f, &u), -EBADF);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_slow_subscriber_gets_the_newest_and_holds_nobody_up)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *slow = rig_attach(rig, NULL, 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_subscription *never = subscribe(slow, (struct dsm_interest){ .group = rig_group(slow, "setpoints") }, 0, 0);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 0, 0);
	const struct dsm_frame *f;
	struct dsm_update u;
	unsigned updates = 0;
	first_comes(s);
	for (int i = 1; i <= 300; i++) {
		rig_write_f64(w, "setpoints.rop", i % 100);
		updates += next(s, 2, &f, &u) == 0;
	}
	rig_write_f64(w, "setpoints.rop", 77.5);
	do {
		ok(next(s, SOON_MS, &f, &u));
		updates++;
	} while (u.resume.seq < 301);
	cr_assert_eq(f64_of(r, f, "setpoints.rop"), 77.5);
	cr_assert_gt(updates, 20, "only %u updates beside one who never reads", updates);
	/* now it reads: no backlog. Over a network one that was underway may come first */
	ok(next(never, SOON_MS, &f, &u));
	for (unsigned i = 0; u.resume.seq < 301; i++) {
		cr_assert_lt(i, 3, "the backlog comes: %llu", (unsigned long long)u.resume.seq);
		ok(next(never, SOON_MS, &f, &u));
	}
	cr_assert_eq(f64_of(slow, f, "setpoints.rop"), 77.5);
	nothing_comes(never);
	dsm_unsubscribe(&never);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&slow);
	dsm_detach(&r);
}

/* Until an update about flags shows `flags`. */
static void state_comes(struct dsm_subscription *s, uint8_t mask, uint8_t flags)
{
	const struct dsm_frame *f;
	struct dsm_frame_info info;
	struct dsm_update u;
	do {
		ok(dsm_next_update(s, SOON_MS, &f, &u));
		ok(dsm_frame_info(f, &info));
	} while (u.why != DSM_UPDATE_STATE || (info.flags & mask) != flags);
}

CONFORMANCE(who_subscribes_is_told_when_the_owner_goes)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	rig_write_f64(w, "setpoints.rop", 9);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 0, 0);
	first_comes(s);
	dsm_detach(&w);
	state_comes(s, DSM_STALE_OWNER, DSM_STALE_OWNER);
	w = rig_attach(rig, "operator", 0);
	rig_write_f64(w, "setpoints.rop", 10);
	comes(r, s, "setpoints.rop", 10);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_subscription_outlives_the_engine)
{
	struct dsm *r = rig_attach(rig, NULL, 0), *w = rig_attach(rig, "operator", 0);
	const struct dsm_frame *f;
	struct dsm_update u;
	rig_write_f64(w, "setpoints.rop", 21);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 0, 0);
	ok(next(s, SOON_MS, &f, &u));
	uint64_t generation = u.resume.generation;
	ok(place_close(&rig->place));
	state_comes(s, DSM_STALE_ENGINE, DSM_STALE_ENGINE); /* what was there, marked */
	ok(place_open(&rig->place, rig->place.flags, rig_serve(rig)));
	struct dsm_status status = { 0 };
	for (int i = 0; i < 2000 && !status.reattached; i++, usleep(10000))
		ok(dsm_status(w, &status));
	ok(dsm_begin(w, 0)); /* the owner is back, and says again what it said */
	dsm_abort(w);
	do
		ok(next(s, SOON_MS, &f, &u));
	while (u.resume.seq == 0); /* it may be here before its owner is */
	cr_assert_neq(u.resume.generation, generation);
	cr_assert(!u.new_table);
	cr_assert_eq(f64_of(r, f, "setpoints.rop"), 21);
	rig_write_f64(w, "setpoints.rop", 22);
	do
		ok(next(s, SOON_MS, &f, &u));
	while (f64_of(r, f, "setpoints.rop") == 21);
	cr_assert_eq(f64_of(r, f, "setpoints.rop"), 22);
	cr_assert_eq(u.why, DSM_UPDATE_CHANGE);
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	dsm_detach(&w);
}

CONFORMANCE(a_subscription_finds_its_groups_in_another_table)
{
	struct dsm *r = rig_attach(rig, NULL, 0), *w = rig_attach(rig, "operator", 0);
	const struct dsm_frame *f;
	struct dsm_update u;
	unsigned flags = rig->place.flags;
	rig_write_f64(w, "setpoints.rop", 31);
	struct dsm_subscription *s = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "setpoints") }, 0, 0);
	first_comes(s);
	ok(place_reload(&rig->place, flags | FIXTURE_OTHER));
	do
		ok(next(s, SOON_MS, &f, &u));
	while (!u.new_table);
	cr_assert_eq(u.why, DSM_UPDATE_SNAPSHOT);
	cr_assert_eq(u.group.id, rig_group(r, "setpoints").id);
	cr_assert_eq(f64_of(r, f, "setpoints.rop"), 31);
	struct dsm_subscription *extra = subscribe(r, (struct dsm_interest){ .group = rig_group(r, "extra") }, 0, 0);
	first_comes(extra);
	ok(place_reload(&rig->place, flags));
	int rc;
	do
		rc = next(extra, SOON_MS, &f, &u);
	while (rc == 0);
	cr_assert_eq(rc, -ENODEV, "%d: %s", rc, dsm_error());
	cr_assert(strstr(dsm_error(), "extra"), "%s", dsm_error());
	do
		ok(next(s, SOON_MS, &f, &u));
	while (!u.new_table);
	cr_assert_eq(f64_of(r, f, "setpoints.rop"), 31);
	dsm_unsubscribe(&extra);
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	dsm_detach(&w);
}

CONFORMANCE(a_large_group_and_many_groups)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_interest many[70];
	struct dsm_subscription *s = NULL;
	const struct dsm_frame *f;
	struct dsm_update u;
	unsigned seen = 0;
	static unsigned char bytes[1 << 16];
	struct dsm_value v = { .type = DSM_BYTES, .len = sizeof(bytes), .bytes = bytes };
	for (unsigned i = 0; i < 70; i++) /* the same group in several places counts in each */
		many[i] = (struct dsm_interest){ .group = rig_group(r, i == 69 ? "big" : i % 2 ? "sensors.a" : "sensors.b") };
	ok(dsm_subscribe(r, many, 70, NULL, &s));
	for (; seen < 70; seen++) {
		ok(next(s, SOON_MS, &f, &u));
		cr_assert_eq(u.why, DSM_UPDATE_SNAPSHOT);
	}
	memset(bytes, 42, sizeof(bytes));
	ok(dsm_write(w, rig_cell(w, "big.data"), &v));
	ok(next(s, SOON_MS, &f, &u));
	cr_assert_eq(u.index, 69);
	struct dsm_sample sample = sample_of(r, f, "big.data");
	cr_assert(sample.value.len == sizeof(bytes) && memcmp(sample.value.bytes, bytes, sizeof(bytes)) == 0);
	rig_write_f64(w, "sensors.a.x", 6);
	for (seen = 0; seen < 34; seen++)
		comes(r, s, "sensors.a.x", 6);
	nothing_comes(s);
	dsm_unsubscribe(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(wrong_subscriptions_are_refused)
{
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct dsm_subscription_options opts = DSM_SUBSCRIPTION_OPTIONS_INIT;
	struct dsm_interest x = { .group = rig_group(r, "setpoints") };
	struct dsm_subscription *s = NULL;
	const struct dsm_frame *f;
	struct dsm_update u;
	fails(dsm_subscribe(NULL, &x, 1, NULL, &s), -EINVAL);
	fails(dsm_subscribe(r, NULL, 1, NULL, &s), -EINVAL);
	fails(dsm_subscribe(r, &x, 0, NULL, &s), -EINVAL);
	fails(dsm_subscribe(r, &x, 1, NULL, NULL), -EINVAL);
	fails(dsm_subscribe(r, &x, DSM_SUBSCRIPTION_MAX + 1, NULL, &s), -E2BIG);
	static const double rates[] = { -1, 1e7, 1e-9, 0.0 / 0.0, 1.0 / 0.0 };
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		opts.max_rate_hz = rates[i];
		fails(dsm_subscribe(r, &x, 1, &opts, &s), -EINVAL);
	}
	opts.max_rate_hz = 0;
	opts.size--;
	fails(dsm_subscribe(r, &x, 1, &opts, &s), -EINVAL);
	x.deadband = -1;
	fails(dsm_subscribe(r, &x, 1, NULL, &s), -EINVAL);
	x.deadband = 0;
	x.kind = (enum dsm_deadband)3;
	fails(dsm_subscribe(r, &x, 1, NULL, &s), -EINVAL);
	x = (struct dsm_interest){ .group = { 0 } };
	fails(dsm_subscribe(r, &x, 1, NULL, &s), -EINVAL);
	fails(dsm_next_update(NULL, 0, &f, &u), -EINVAL);
	cr_assert_null(s);
	dsm_unsubscribe(NULL);
	dsm_detach(&r);
}
