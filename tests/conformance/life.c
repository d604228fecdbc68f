/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: owners, requests, adds, restart and reload, staleness. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <dsm/devices.h>

#include "rows.h"

/* Waits, bounded, for an event of that kind; others are passed over. */
static bool event(struct dsm *dsm, enum dsm_event_kind kind)
{
	struct dsm_event e;
	for (int i = 0; i < 1000; i++) {
		while (dsm_next_event(dsm, &e) == 0)
			if (e.kind == kind)
				return true;
		usleep(10000);
	}
	return false;
}

static enum dsm_owner_state owner_state(struct dsm *dsm, const char *name)
{
	struct dsm_owner_info info;
	for (uint32_t i = 0; dsm_owner_info(dsm, i, &info) == 0; i++)
		if (strcmp(info.name, name) == 0)
			return info.state;
	return (enum dsm_owner_state)99;
}

CONFORMANCE(a_second_claimant_is_refused)
{
	struct dsm *a = rig_attach(rig, "operator", 0), *b = NULL;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = "operator";
	fails(dsm_attach(rig->uri, &opts, &b), -EBUSY);
	cr_assert(strstr(dsm_error(), "operator") && strstr(dsm_error(), "held by"), "%s", dsm_error());
	opts.owner = "nobody";
	fails(dsm_attach(rig->uri, &opts, &b), -ENODEV);
	opts.owner = "engine";
	fails(dsm_attach(rig->uri, &opts, &b), -EBUSY);
	cr_assert_null(b);
	dsm_detach(&a);
	opts.owner = "operator";
	ok(dsm_attach(rig->uri, &opts, &b)); /* given back at once */
	dsm_detach(&b);
}

CONFORMANCE(a_superseded_owner_reaches_nobody)
{
	struct dsm *a = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_sample s;
	rig_write_f64(a, "setpoints.rop", 1);
	cr_assert_eq(rig_read_f64(r, "setpoints.rop"), 1);
	ok(dsm_begin(a, 0));
	ok(dsm_set_f64(a, rig_cell(a, "setpoints.rop"), 2));
	struct dsm *b = rig_attach(rig, "operator", DSM_TAKE_OVER);
	fails(dsm_commit(a, NULL), -EOWNERDEAD);
	cr_assert_eq(rig_read_f64(r, "setpoints.rop"), 1);
	cr_assert(event(a, DSM_EVENT_SUPERSEDED));
	fails(dsm_begin(a, 0), -EOWNERDEAD);
	rig_write_f64(b, "setpoints.rop", 3);
	ok(dsm_read(r, rig_cell(r, "setpoints.rop"), &s));
	cr_assert_eq(s.value.f64, 3);
	cr_assert_eq(s.epoch, 2);
	cr_assert_eq(s.seq, 2);
	cr_assert_eq(s.flags, 0, "flags %u", s.flags);
	dsm_detach(&a); /* must not take the role from b */
	rig_write_f64(b, "setpoints.rop", 4);
	cr_assert_eq(rig_read_f64(r, "setpoints.rop"), 4);
	dsm_detach(&b);
	dsm_detach(&r);
}

CONFORMANCE(an_owner_that_leaves_makes_only_its_groups_stale)
{
	struct dsm *a = rig_attach(rig, "operator", 0), *s = rig_attach(rig, "sensors", 0);
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct dsm_sample sample;
	rig_write_f64(a, "setpoints.rop", 1);
	rig_write_f64(s, "sensors.a.x", 2);
	cr_assert_eq(owner_state(r, "operator"), DSM_ALIVE);
	dsm_detach(&a);
	for (int i = 0; i < 500 && owner_state(r, "operator") == DSM_ALIVE; i++)
		usleep(10000);
	ok(dsm_read(r, rig_cell(r, "setpoints.rop"), &sample));
	cr_assert_eq(sample.value.f64, 1);
	cr_assert_eq(sample.flags, DSM_STALE_OWNER);
	cr_assert_eq(sample.quality, DSM_GOOD);
	ok(dsm_read(r, rig_cell(r, "sensors.a.x"), &sample));
	cr_assert_eq(sample.flags, 0);
	dsm_detach(&s);
	dsm_detach(&r);
}

CONFORMANCE(requests_and_adds_on_the_engines_groups)
{
	struct dsm *a = rig_attach(rig, NULL, 0);
	struct dsm_cell count = rig_cell(a, "drilling.count");
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, previous;
	struct dsm_bounds bounds = { .flags = DSM_HAS_MAX, .ceil = { .type = DSM_I64, .len = 1, .i64 = 12 } };
	struct dsm_sample s;
	uint64_t tickets[10];
	for (int i = 0; i < 10; i++)
		ok(dsm_add_begin(a, count, &one, NULL, &tickets[i]));
	for (int i = 9; i >= 0; i--) { /* any order */
		ok(dsm_add_end(a, tickets[i], 5000, &previous));
		cr_assert_eq(previous.i64, i);
	}
	fails(dsm_add_end(a, tickets[3], 100, &previous), -EINVAL);
	ok(dsm_add(a, count, &one, &bounds, 5000, &previous));
	ok(dsm_add(a, count, &one, &bounds, 5000, &previous));
	fails(dsm_add(a, count, &one, &bounds, 5000, &previous), -ERANGE);
	cr_assert_eq(previous.i64, 12);
	one.type = DSM_F64;
	fails(dsm_add(a, count, &one, NULL, 5000, &previous), -EINVAL);
	ok(dsm_read(a, count, &s));
	cr_assert_eq(s.value.i64, 12);
	ok(dsm_request(a, rig_cell(a, "drilling.mode"),
		&(struct dsm_value){ .type = DSM_STRING, .len = 5, .str = "slide" }, 5000));
	ok(dsm_request(a, rig_cell(a, "drilling.wave"),
		&(struct dsm_value){ .type = DSM_F64_ARRAY, .len = 4, .f64s = (double[]){ 1, 2, 3, 4 } }, 5000));
	ok(dsm_read(a, rig_cell(a, "drilling.wave"), &s));
	cr_assert_eq(s.value.f64s[3], 4);
	dsm_detach(&a);
}

CONFORMANCE(the_window_of_adds_is_bounded)
{
	struct dsm *a = rig_attach(rig, NULL, 0);
	struct dsm_cell count = rig_cell(a, "drilling.count");
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 };
	uint64_t tickets[257];
	for (int i = 0; i < 256; i++)
		ok(dsm_add_begin(a, count, &one, NULL, &tickets[i]));
	fails(dsm_add_begin(a, count, &one, NULL, &tickets[256]), -EAGAIN);
	for (int i = 0; i < 256; i++)
		ok(dsm_add_end(a, tickets[i], 5000, NULL));
	dsm_detach(&a);
}

struct server { struct rig *rig; struct dsm *owner; int to_serve; };

static void *serve_requests(void *context)
{
	struct server *s = context;
	struct dsm_request_info q;
	for (int i = 0; s->to_serve && i < 2000; i++) {
		if (dsm_next_request(s->owner, &q)) {
			usleep(5000);
			continue;
		}
		if (--s->to_serve == 0)
			dsm_request_refuse(s->owner, &q, -EACCES);
		else
			dsm_request_apply(s->owner, &q);
	}
	return NULL;
}

CONFORMANCE(requests_are_forwarded_to_their_owner)
{
	struct dsm *a = rig_attach(rig, NULL, 0), *plain = rig_attach(rig, "operator", 0);
	struct dsm_cell rop = rig_cell(a, "setpoints.rop"), n = rig_cell(a, "setpoints.n");
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 33 };
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 2 }, previous;
	pthread_t thread;
	fails(dsm_request(a, rop, &v, 5000), -EPERM); /* takes none */
	dsm_detach(&plain);
	for (int i = 0; i < 500 && owner_state(a, "operator") == DSM_ALIVE; i++)
		usleep(10000);
	fails(dsm_request(a, rop, &v, 5000), -EOWNERDEAD);
	struct server server = { rig, rig_attach(rig, "operator", DSM_TAKES_REQUESTS), 4 };
	pthread_create(&thread, NULL, serve_requests, &server);
	ok(dsm_request(a, rop, &v, 5000));
	cr_assert_eq(rig_read_f64(a, "setpoints.rop"), 33);
	ok(dsm_add(a, n, &one, NULL, 5000, &previous));
	cr_assert_eq(previous.i64, 0);
	ok(dsm_add(a, n, &one, NULL, 5000, &previous));
	cr_assert_eq(previous.i64, 2);
	fails(dsm_request(a, rop, &v, 5000), -EACCES);
	pthread_join(thread, NULL);
	dsm_detach(&server.owner);
	dsm_detach(&a);
}

CONFORMANCE(an_engine_restart_is_an_event_and_no_crash)
{
	struct dsm *r = rig_attach(rig, NULL, 0), *w = rig_attach(rig, "operator", 0);
	struct dsm_sample s;
	struct dsm_cell rop = rig_cell(r, "setpoints.rop");
	rig_write_f64(w, "setpoints.rop", 61);
	cr_assert_eq(rig_read_f64(r, "setpoints.rop"), 61);
	ok(place_close(&rig->place));
	cr_assert(event(r, DSM_EVENT_LOST));
	ok(dsm_read(r, rop, &s)); /* the last value stays */
	cr_assert_eq(s.value.f64, 61);
	cr_assert(s.flags & DSM_STALE_ENGINE);
	ok(place_open(&rig->place, rig->place.flags, rig_serve(rig)));
	cr_assert(event(r, DSM_EVENT_GENERATION));
	cr_assert(event(w, DSM_EVENT_ATTACHED) && event(w, DSM_EVENT_ATTACHED)); /* at first, and again */
	/* the owner republishes its image, the old id goes on working */
	ok(dsm_begin(w, 0));
	dsm_abort(w);
	for (int i = 0; i < 500 && (dsm_read(r, rop, &s) || s.flags); i++)
		usleep(10000); /* over a network liveness is learned a tick later */
	ok(dsm_read(r, rop, &s));
	cr_assert_eq(s.value.f64, 61);
	cr_assert_eq(s.flags, 0, "flags %u", s.flags);
	struct dsm_status status;
	ok(dsm_status(r, &status));
	cr_assert_eq(status.state, DSM_ATTACHED);
	cr_assert_eq(status.reattached, 1);
	dsm_detach(&r);
	dsm_detach(&w);
}

CONFORMANCE(a_reload_carries_values_and_changes_the_table)
{
	struct dsm *r = rig_attach(rig, NULL, 0), *w = rig_attach(rig, "operator", 0);
	struct dsm_sample s;
	struct dsm_cell old = rig_cell(r, "setpoints.rop");
	rig_write_f64(w, "setpoints.rop", 17);
	ok(place_reload(&rig->place, rig->place.flags | FIXTURE_OTHER));
	cr_assert(event(r, DSM_EVENT_TABLE_CHANGED));
	fails(dsm_read(r, old, &s), -ESTALE);
	cr_assert(event(w, DSM_EVENT_ATTACHED) && event(w, DSM_EVENT_ATTACHED));
	ok(dsm_read(r, rig_cell(r, "setpoints.rop"), &s));
	cr_assert_eq(s.value.f64, 17);
	cr_assert_eq(s.quality, DSM_GOOD);
	ok(dsm_read(r, rig_cell(r, "extra.v"), &s));
	cr_assert_eq(s.quality, DSM_NEVER_WRITTEN);
	rig_write_f64(w, "setpoints.rop", 18);
	cr_assert_eq(rig_read_f64(r, "setpoints.rop"), 18);
	dsm_detach(&r);
	dsm_detach(&w);
}

CONFORMANCE(without_an_engine_the_error_says_where_it_looked)
{
	struct dsm *dsm = NULL;
	char uri[128];
	rig_uri(rig, "no-such-engine", 9, uri); /* port 9: discard; nobody has it */
	fails(dsm_attach(uri, NULL, &dsm), -ENOENT);
	cr_assert(strstr(dsm_error(), strstr(uri, "://") + 3), "%s", dsm_error());
	fails(dsm_attach("no-such-engine", NULL, &dsm), -ENOENT);
	cr_assert(strstr(dsm_error(), "shm"), "%s", dsm_error());
	fails(dsm_attach("nothing://host", NULL, &dsm), -ENOTSUP);
	snprintf(uri, sizeof(uri), "%s://", rig->row.scheme);
	fails(dsm_attach(uri, NULL, &dsm), -EINVAL);
	ok(dsm_attach(strstr(rig->uri, "://") + 3, NULL, &dsm)); /* without a scheme */
	struct dsm_region_info info;
	ok(dsm_region_info(dsm, &info));
	cr_assert(strstr(info.reason, "best"), "%s", info.reason);
	cr_assert_str_eq(info.transport, rig->row.scheme);
	dsm_detach(&dsm);
}

static int count_client(const struct dsm_client_info *info, void *context)
{
	*(int *)context += strcmp(info->role, "operator") == 0 ? 100 : 1;
	return 0;
}

CONFORMANCE(clients_are_listed)
{
	struct dsm *a = rig_attach(rig, NULL, 0), *b = rig_attach(rig, "operator", 0);
	int n = 0;
	ok(dsm_foreach_client(a, 5000, count_client, &n));
	cr_assert_eq(n, 101);
	dsm_detach(&b);
	dsm_detach(&a);
}

static int no_device(const struct dsm_device_info *info, void *context)
{
	(void)context;
	cr_assert(0, "a device \"%s\" of a table without any", info->name);
	return 1;
}

/* With boards: tests/pico/host.sh. */
CONFORMANCE(devices_are_asked_for)
{
	struct dsm *a = rig_attach(rig, NULL, 0);
	ok(dsm_foreach_device(a, 5000, no_device, NULL));
	ok(dsm_foreach_device(a, 5000, no_device, NULL));
	cr_expect_eq(dsm_foreach_device(a, 5000, NULL, NULL), -EINVAL);
	dsm_detach(&a);
}
