/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BOUND_MS 30000u
#define CALL_MS 3000u

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
	dsm_frame_free(&s->frame);
	return rc ? rc : dsm_frame_new(s->r, s->group, &s->frame);
}

static bool attach(struct scene *s, const char *owner, struct dsm **out)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.attach_timeout_ms = BOUND_MS;
	opts.call_timeout_ms = CALL_MS;
	return check(dsm_attach(s->uri, &opts, out) == 0, "attach: %s", dsm_error());
}

bool scene_begin(struct scene *s, const char *host)
{
	struct dsm_region_info info;
	memset(s, 0, sizeof(*s));
	if (!check(place_reach(&s->place, host) == 0 && place_open(&s->place, FIXTURE_NETWORK, true) == 0,
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

static void forget_events(struct dsm *dsm)
{
	struct dsm_event e;
	while (dsm_next_event(dsm, &e) == 0)
		;
}

uint64_t scene_reattached(const struct scene *s)
{
	struct dsm_status r = { 0 }, w = { 0 };
	dsm_status(s->r, &r);
	dsm_status(s->w, &w);
	return r.reattached + w.reattached;
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
	return rc;
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
	expect(x.value.f64 == -y.value.f64, "%s: a mix: %g and %g", when, x.value.f64, y.value.f64);
	expect(x.value.f64 >= atleast && x.value.f64 <= s->last, "%s: read %g, acknowledged was %g, the last begun %g",
		when, x.value.f64, atleast, s->last);
	return 0;
}

void scene_step(struct scene *s, const char *when)
{
	uint8_t flags;
	int rc = commit(s);
	if (check(rc == 0, "%s: commit: %d %s", when, rc, dsm_error())) {
		rc = look(s, s->acked, &flags, when);
		check(rc == 0, "%s: read: %d %s", when, rc, dsm_error());
	}
}

/* An acknowledged commit is there for whoever is attached; while the reader is not, it shows what it
 * had. */
void scene_try(struct scene *s, const char *when)
{
	struct dsm_status status;
	uint8_t flags;
	int rc = commit(s);
	expect(rc == 0 || rc == -ENOTCONN || rc == -EOWNERDEAD || rc == -ETIMEDOUT || rc == -EAGAIN,
		"%s: commit: %d %s", when, rc, dsm_error());
	rc = look(s, 0, &flags, when);
	expect(rc == 0 || rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -EAGAIN, "%s: read: %d %s", when, rc,
		dsm_error());
	if (rc == 0 && flags == 0 && dsm_status(s->r, &status) == 0 && status.state == DSM_ATTACHED)
		look(s, s->acked, &flags, when);
	if (rc)
		plain_sleep_ms(20);
}

/* ---- lost, and back ---- */

static bool becomes(struct dsm *dsm, enum dsm_state state)
{
	struct dsm_status status = { 0 };
	for (uint64_t until = plain_ms() + BOUND_MS; plain_ms() < until; plain_sleep_ms(5))
		if (dsm_status(dsm, &status) == 0 && status.state == state)
			return true;
	return false;
}

/* Uses both handles: a lost one is noticed by who uses it, and by the slow path. */
void scene_is_lost(struct scene *s, const char *when)
{
	uint64_t began = plain_ms();
	uint8_t flags = 0;
	bool lost = false;
	double before = s->acked;
	struct dsm_status status;
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
	if (!check(good, "%s: does not work again: %s", when, dsm_error()))
		return;
	printf("  back after %llu ms\n", (unsigned long long)(plain_ms() - began));
	for (int i = 0; i < 20; i++)
		scene_step(s, when);
	forget_events(s->r);
	forget_events(s->w);
}
