/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BOUND_MS 30000u
#define ATTACH_MS 10000u    /* so long may one try to come back last: well below the bound */
#define CALL_MS 3000u
#define EXCUSES_MAX 10u
#define WIDE_WORDS (8128u / 8)

const char *netdev(void)
{
	const char *name = getenv("DSM_TEST_NETDEV");
	return name ? name : "eth0";
}

const char *rdma_device(void)
{
	const char *name = getenv("GUEST_DEV");
	return name ? name : "rxe0";
}

int scene_names(struct scene *s)
{
	int rc = dsm_cell(s->r, "sensors.a.x", &s->rx);
	rc = rc ? rc : dsm_cell(s->r, "sensors.a.y", &s->ry);
	rc = rc ? rc : dsm_cell(s->w, "sensors.a.x", &s->wx);
	rc = rc ? rc : dsm_cell(s->w, "sensors.a.y", &s->wy);
	rc = rc ? rc : dsm_group(s->r, "sensors.a", &s->group);
	rc = rc ? rc : dsm_cell(s->r, "sensors.wide.data", &s->wide_r);
	rc = rc ? rc : dsm_cell(s->w, "sensors.wide.data", &s->wide_w);
	rc = rc ? rc : dsm_group(s->r, "sensors.wide", &s->wide);
	dsm_frame_free(&s->frame);
	dsm_frame_free(&s->wide_frame);
	rc = rc ? rc : dsm_frame_new(s->r, s->group, &s->frame);
	return rc ? rc : dsm_frame_new(s->r, s->wide, &s->wide_frame);
}

static bool attach(struct scene *s, const char *owner, struct dsm **out)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.attach_timeout_ms = ATTACH_MS;
	opts.call_timeout_ms = CALL_MS;
	return check(dsm_attach(s->uri, &opts, out) == 0, "attach: %s", dsm_error());
}

bool scene_begin(struct scene *s, const char *host)
{
	struct dsm_region_info info;
	memset(s, 0, sizeof(*s));
	if (!check(place_reach(&s->place, host) == 0 && place_open(&s->place, FIXTURE_NETWORK | FIXTURE_WIDE, PLACE_RDMA) == 0,
			"no engine at %s", host))
		return false;
	snprintf(s->uri, sizeof(s->uri), "rdma://%s:%u", host, s->place.port);
	if (!attach(s, NULL, &s->r) || !attach(s, "sensors", &s->w))
		return false;
	if (!check(scene_names(s) == 0, "names: %s", dsm_error()) ||
	    !check(dsm_region_info(s->r, &info) == 0 && strcmp(info.transport, "rdma") == 0, "not over rdma"))
		return false;
	scene_step(s, "at first"); /* what was read once stays readable */
	return true;
}

void scene_end(struct scene *s)
{
	dsm_frame_free(&s->frame);
	dsm_frame_free(&s->wide_frame);
	dsm_detach(&s->r);
	dsm_detach(&s->w);
	place_leave(&s->place);
}

bool scene_event(struct dsm *dsm, enum dsm_event_kind kind)
{
	struct dsm_event e;
	for (uint64_t until = plain_ms() + BOUND_MS; plain_ms() < until; plain_sleep_ms(5))
		while (dsm_next_event(dsm, &e) == 0)
			if (e.kind == kind)
				return true;
	return false;
}

void scene_events(struct scene *s)
{
	struct dsm_event e;
	while (dsm_next_event(s->r, &e) == 0)
		s->lost += e.kind == DSM_EVENT_LOST;
	while (dsm_next_event(s->w, &e) == 0)
		;
}

static uint64_t reattached(struct dsm *dsm)
{
	struct dsm_status status = { 0 };
	dsm_status(dsm, &status);
	return status.reattached;
}

uint64_t scene_reattached(const struct scene *s)
{
	return reattached(s->r) + reattached(s->w);
}

/* ---- one commit, one read ---- */

static int commit(struct scene *s)
{
	s->last++;
	int rc = dsm_begin(s->w, 0);
	if (rc)
		return rc;
	rc = dsm_set_f64(s->w, s->wx, s->last);
	if (rc == 0)
		rc = dsm_set_f64(s->w, s->wy, -s->last);
	if (rc == 0)
		rc = dsm_commit(s->w, NULL);
	else
		dsm_abort(s->w);
	if (rc == 0)
		s->acked = s->last;
	s->commits += rc == 0;
	return rc;
}

static uint64_t wide_word(uint64_t value, size_t i)
{
	return i ? value * UINT64_C(0x9e3779b97f4a7c15) + i : value;
}

static int commit_wide(struct scene *s)
{
	uint64_t words[WIDE_WORDS];
	struct dsm_value v = { .type = DSM_BYTES, .len = sizeof(words), .bytes = words };
	s->wide_last++;
	for (size_t i = 0; i < WIDE_WORDS; i++)
		words[i] = wide_word(s->wide_last, i);
	int rc = dsm_write(s->w, s->wide_w, &v);
	if (rc == 0)
		s->wide_acked = s->wide_last;
	return rc;
}

static int look_wide(struct scene *s, bool acked, const char *when)
{
	struct dsm_frame_info info;
	struct dsm_sample sample;
	uint64_t words[WIDE_WORDS], right = 0;
	int rc = dsm_snapshot(s->r, s->wide, s->wide_frame);
	if (rc || (rc = dsm_frame_info(s->wide_frame, &info)) || info.seq == 0)
		return rc;
	rc = dsm_frame_read(s->wide_frame, s->wide_r, &sample);
	if (!expect(rc == 0 && sample.value.len == sizeof(words), "%s: wide: %d, %u bytes", when, rc, sample.value.len))
		return rc;
	memcpy(words, sample.value.bytes, sizeof(words));
	for (size_t i = 0; i < WIDE_WORDS; i++)
		right += words[i] == wide_word(words[0], i);
	expect(right == WIDE_WORDS, "%s: wide: a mix", when);
	expect((words[0] >= s->wide_acked || !acked || info.flags) && words[0] <= s->wide_last, "%s: wide: read %llu, "
		"acknowledged was %llu, the last begun %llu", when, (unsigned long long)words[0],
		(unsigned long long)s->wide_acked, (unsigned long long)s->wide_last);
	s->wides += info.flags == 0;
	return 0;
}

/* What was read is one commit, not older than `atleast`, and none that was never made. */
static int look(struct scene *s, double atleast, uint8_t *flags, const char *when)
{
	struct dsm_frame_info info = { 0 };
	struct dsm_sample x, y;
	uint64_t began = plain_ms();
	int rc = dsm_snapshot(s->r, s->group, s->frame);
	expect(plain_ms() - began < CALL_MS + 2000, "%s: a read of at most %u ms took %llu", when, CALL_MS,
		(unsigned long long)(plain_ms() - began));
	if (rc || dsm_frame_info(s->frame, &info) || dsm_frame_read(s->frame, s->rx, &x) ||
	    dsm_frame_read(s->frame, s->ry, &y))
		return rc ? rc : -ENODATA;
	*flags = info.flags;
	s->seen = x.value.f64;
	expect(x.value.f64 == -y.value.f64, "%s: a mix: %g and %g", when, x.value.f64, y.value.f64);
	expect(x.value.f64 >= atleast && x.value.f64 <= s->last, "%s: read %g, acknowledged was %g, the last begun %g",
		when, x.value.f64, atleast, s->last);
	return 0;
}

static bool becomes(struct dsm *dsm, enum dsm_state state)
{
	struct dsm_status status = { 0 };
	for (uint64_t until = plain_ms() + BOUND_MS; plain_ms() < until; plain_sleep_ms(5))
		if (dsm_status(dsm, &status) == 0 && status.state == state)
			return true;
	return false;
}

/* On a machine so busy that a peer stands still for half a second a connection may be lost though nobody
 * cut it: true, and counted, a limited number of times. */
static bool was_lost(struct scene *s, uint64_t reattached_before, const char *when)
{
	struct dsm_status r = { 0 }, w = { 0 };
	dsm_status(s->r, &r);
	dsm_status(s->w, &w);
	if (r.state == DSM_ATTACHED && w.state == DSM_ATTACHED && !w.owner_lost &&
	    scene_reattached(s) == reattached_before)
		return false;
	if (s->excused++ >= EXCUSES_MAX)
		return false;
	printf("  %s: a connection was lost by itself\n", when);
	return becomes(s->r, DSM_ATTACHED) && becomes(s->w, DSM_ATTACHED);
}

void scene_step(struct scene *s, const char *when)
{
	uint8_t flags;
	uint64_t before = scene_reattached(s);
	int committed = commit(s), rc = look(s, 0, &flags, when);
	if ((committed || rc || s->seen < s->acked) && was_lost(s, before, when))
		return;
	check(committed == 0, "%s: commit: %d %s", when, committed, dsm_error());
	if (check(rc == 0, "%s: read: %d %s", when, rc, dsm_error()))
		check(s->seen >= s->acked, "%s: read %g (flags %u), acknowledged was %g", when, s->seen, flags, s->acked);
}

static bool may_fail(int rc)
{
	return rc == 0 || rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -EAGAIN;
}

static void try_wide(struct scene *s, const char *when)
{
	struct dsm_status status = { 0 };
	int rc = commit_wide(s);
	expect(may_fail(rc) || rc == -EOWNERDEAD, "%s: wide: commit: %d %s", when, rc, dsm_error());
	dsm_status(s->r, &status);
	rc = look_wide(s, status.state == DSM_ATTACHED, when);
	expect(may_fail(rc), "%s: wide: read: %d %s", when, rc, dsm_error());
}

static void count_read(struct scene *s, const char *when)
{
	uint8_t flags = 0xff;
	uint64_t began = plain_ns();
	if (look(s, 0, &flags, when) || flags)
		return;
	expect(s->seen >= s->acked, "%s: read %g, acknowledged was %g", when, s->seen, s->acked);
	s->reads++;
	s->fastest_ns = plain_ns() - began < s->fastest_ns ? plain_ns() - began : s->fastest_ns;
}

/* An acknowledged commit is there for whoever is attached; while the reader is not, it shows what it
 * had. */
void scene_try(struct scene *s, const char *when)
{
	struct dsm_status status;
	uint8_t flags;
	int rc = commit(s);
	expect(may_fail(rc) || rc == -EOWNERDEAD, "%s: commit: %d %s", when, rc, dsm_error());
	rc = look(s, 0, &flags, when);
	expect(may_fail(rc), "%s: read: %d %s", when, rc, dsm_error());
	if (rc == 0 && flags == 0 && dsm_status(s->r, &status) == 0 && status.state == DSM_ATTACHED)
		count_read(s, when);
	if (rc == 0)
		try_wide(s, when);
	else
		plain_sleep_ms(20);
	scene_events(s);
}

/* ---- lost, and back ---- */

void scene_before(struct scene *s)
{
	s->before_r = reattached(s->r);
	s->before_w = reattached(s->w);
}

/* Uses both handles: a lost one is noticed by who uses it, and by the slow path. */
void scene_is_lost(struct scene *s, const char *when)
{
	uint64_t began = plain_ms();
	uint8_t flags = 0;
	bool lost = false;
	double before = s->acked;
	struct dsm_status status;
	scene_before(s);
	while (!lost && plain_ms() - began < BOUND_MS) {
		look(s, 0, &flags, when);
		lost = dsm_status(s->r, &status) == 0 && status.state == DSM_LOST;
	}
	if (!check(lost, "%s: the reader does not say lost", when))
		return;
	printf("  lost after %llu ms\n", (unsigned long long)(plain_ms() - began));
	check(scene_event(s->r, DSM_EVENT_LOST), "%s: no event for the reader", when);
	check(becomes(s->w, DSM_LOST), "%s: the owner does not say lost", when);
	int rc = look(s, 0, &flags, when);
	check(rc == 0 && flags & DSM_STALE_ENGINE, "%s: the last value does not stay (%d, flags %u): %s", when, rc, flags,
		dsm_error());
	rc = commit(s);
	check(rc != 0 && s->acked == before, "%s: a commit that nobody gets is acknowledged", when);
}

static bool works(struct scene *s, const char *when)
{
	struct dsm_status r = { 0 }, w = { 0 };
	uint8_t flags = 0xff;
	dsm_status(s->r, &r);
	dsm_status(s->w, &w);
	if (r.state != DSM_ATTACHED || w.state != DSM_ATTACHED || w.owner_lost)
		return false;
	return commit(s) == 0 && look(s, 0, &flags, when) == 0 && flags == 0;
}

static void say_state(struct dsm *dsm, const char *who)
{
	struct dsm_status status = { 0 };
	struct dsm_event e;
	dsm_status(dsm, &status);
	printf("  %s: state %d, owner lost %d, attached again %llu times\n", who, (int)status.state, (int)status.owner_lost,
		(unsigned long long)status.reattached);
	while (dsm_next_event(dsm, &e) == 0)
		printf("  %s: event %s: %s\n", who, dsm_event_name(e.kind), e.text);
}

void scene_is_back(struct scene *s, const char *when, enum dsm_event_kind kind)
{
	uint64_t began = plain_ms();
	bool good = false;
	if (kind)
		check(scene_event(s->r, kind), "%s: no event %s", when, dsm_event_name(kind));
	while (!good && plain_ms() - began < BOUND_MS) {
		good = works(s, when);
		plain_sleep_ms(10);
	}
	if (!good) {
		say_state(s->r, "reader");
		say_state(s->w, "owner");
	}
	if (!check(good, "%s: does not work again: %s", when, dsm_error()))
		return;
	printf("  back after %llu ms\n", (unsigned long long)(plain_ms() - began));
	if (kind)
		check(reattached(s->r) > s->before_r && reattached(s->w) > s->before_w,
			"%s: re-attached, and it is not counted: reader %llu, owner %llu, as before", when,
			(unsigned long long)reattached(s->r), (unsigned long long)reattached(s->w));
	for (int i = 0; i < 20; i++)
		scene_step(s, when);
	scene_events(s);
}
