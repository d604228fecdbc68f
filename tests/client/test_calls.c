/* SPDX-License-Identifier: Apache-2.0 */
/* What a call does when it cannot have what it wants: it ends, in time, with the error that dsm.h
 * names. The fault decorator, loans that are given up, handles that were detached, memory that is locked. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/fixture.h"
#include "engine/engine.h"

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)
/* Bounded for hangs only. */
#define until(condition) do { bool met_ = (condition); \
	for (int i_ = 0; !met_ && i_ < 3000; i_++) { usleep(10000); met_ = (condition); } \
	cr_assert(met_, "%s", #condition); } while (0)

static struct dsm_engine *engine;
static char name[64], uri[128];

static void up(void)
{
	ok(fixture_engine(NULL, name, &engine));
	fixture_uri("shm", name, uri);
}

static void down(void)
{
	ok(dsm_engine_close(&engine));
}

TestSuite(calls, .init = up, .fini = down, .timeout = 120);

static struct dsm *attach_as(const struct dsm_options *opts)
{
	struct dsm *dsm = NULL;
	ok(dsm_attach(uri, opts, &dsm));
	return dsm;
}

static struct dsm *attach(const char *owner, uint32_t flags)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.flags = flags;
	return attach_as(&opts);
}

static struct dsm *attach_faulty(const char *owner, const char *fault)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.fault = fault;
	return attach_as(&opts);
}

static struct dsm_cell cell_of(struct dsm *dsm, const char *cell_name)
{
	struct dsm_cell cell = { 0 };
	ok(dsm_cell(dsm, cell_name, &cell));
	return cell;
}

static struct dsm_group group_of(struct dsm *dsm, const char *group_name)
{
	struct dsm_group group = { 0 };
	ok(dsm_group(dsm, group_name, &group));
	return group;
}

static int write_f64(struct dsm *dsm, const char *cell_name, double value)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = value };
	return dsm_write(dsm, cell_of(dsm, cell_name), &v);
}

static int write_big(struct dsm *dsm, const char *text)
{
	struct dsm_value v = { .type = DSM_BYTES, .len = (uint32_t)strlen(text), .bytes = text };
	return dsm_write(dsm, cell_of(dsm, "big.data"), &v);
}

/* A clock that goes on by a millisecond whenever somebody looks. */
static uint64_t stepping_now(void *context)
{
	return atomic_fetch_add((_Atomic uint64_t *)context, 1000000);
}

/* ---- bounds in tries and time ---- */

static void every_read_fails(struct dsm *r, int error)
{
	struct dsm_sample s;
	struct dsm_frame *frame = NULL, *frames[1];
	struct dsm_group drilling = group_of(r, "drilling");
	double number;
	ok(dsm_frame_new(r, drilling, &frame));
	frames[0] = frame;
	fails(dsm_read(r, cell_of(r, "drilling.rop"), &s), error);
	fails(dsm_read(r, cell_of(r, "drilling.mode"), &s), error);
	fails(dsm_read_f64(r, cell_of(r, "drilling.rop"), &number), error);
	fails(dsm_snapshot(r, drilling, frame), error);
	fails(dsm_frame_read(frame, cell_of(r, "drilling.rop"), &s), -ENODATA);
	fails(dsm_snapshot_step(r, &drilling, 1, frames, NULL), -EAGAIN); /* in time or not */
	dsm_frame_free(&frame);
}

Test(calls, so_many_tries_and_no_more)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_stats before, after;
	struct dsm_sample s;
	opts.fault = "tear=1";
	opts.tries = 5;
	opts.call_timeout_ms = 3600000;
	struct dsm *r = attach_as(&opts);
	every_read_fails(r, -EAGAIN);
	ok(dsm_stats(r, &before));
	fails(dsm_read(r, cell_of(r, "drilling.rop"), &s), -EAGAIN);
	ok(dsm_stats(r, &after));
	cr_assert_eq(after.retries, before.retries + 4);
	cr_assert_eq(after.torn, before.torn + 4);
	dsm_detach(&r);
}

Test(calls, so_long_and_no_longer)
{
	_Atomic uint64_t now = 1000000000;
	struct dsm_clock clock = { stepping_now, stepping_now, &now };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.fault = "tear=1";
	opts.tries = UINT32_MAX;
	opts.call_timeout_ms = 50;
	opts.clock = &clock;
	opts.flags = DSM_MANUAL;
	struct dsm *r = attach_as(&opts);
	every_read_fails(r, -ETIMEDOUT);
	dsm_detach(&r);
}

/* The pulse names a commit that never comes, so neither tries nor the handle's own deadline help. */
Test(calls, a_wait_and_a_borrow_end_in_their_own_time)
{
	_Atomic uint64_t now = 1000000000;
	struct dsm_clock clock = { stepping_now, stepping_now, &now };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *w = attach("sensors", 0), *r, *hurried;
	struct dsm_frame *frame = NULL;
	struct dsm_sample s;
	const void *data;
	uint64_t bytes;
	opts.tries = UINT32_MAX;
	opts.call_timeout_ms = 3600000;
	r = attach_as(&opts);
	opts.call_timeout_ms = 50;
	opts.clock = &clock;
	opts.flags = DSM_MANUAL;
	hurried = attach_as(&opts);
	struct dsm_group big = group_of(r, "big");
	ok(dsm_frame_new(r, big, &frame));
	fails(dsm_borrow(r, cell_of(r, "big.data"), &data, &bytes, &s), -ENODATA);
	ok(write_big(w, "x"));
	ok(dsm_wait(r, big, 0, 0, frame));
	_Atomic uint64_t *pulse = engine->region->rings[(uint32_t)big.id].pulse;
	atomic_store(pulse, 1000);
	fails(dsm_wait(r, big, 1, 0, frame), -ETIMEDOUT);
	fails(dsm_wait(r, big, 1, 20, frame), -ETIMEDOUT);
	fails(dsm_borrow(hurried, cell_of(hurried, "big.data"), &data, &bytes, &s), -ETIMEDOUT);
	atomic_store(pulse, 1);
	ok(dsm_borrow(hurried, cell_of(hurried, "big.data"), &data, &bytes, &s));
	ok(dsm_return(hurried));
	dsm_frame_free(&frame);
	dsm_detach(&hurried);
	dsm_detach(&r);
	dsm_detach(&w);
}

Test(calls, an_engine_that_says_nothing)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char silent[128];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "dsm/silent-%d", (int)getpid());
	cr_assert_eq(bind(fd, (void *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	snprintf(silent, sizeof(silent), "shm://silent-%d", (int)getpid());
	opts.attach_timeout_ms = 30;
	fails(dsm_attach(silent, &opts, &dsm), -ETIMEDOUT);
	cr_assert(strstr(dsm_error(), silent), "%s", dsm_error());
	cr_assert_null(dsm);
	close(fd);
}

/* ---- the fault decorator ---- */

Test(calls, each_fault_does_what_it_says)
{
	struct timespec from, to;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *r = attach_faulty(NULL, "delay=2000"), *w, *none = NULL;
	struct dsm_sample s;
	struct dsm_cell rop = cell_of(r, "drilling.rop");
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 5; i++)
		ok(dsm_read(r, rop, &s));
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert_geq((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec, 10000000);
	dsm_detach(&r);

	opts.fault = "mute=1"; /* the engine never hears of us */
	opts.attach_timeout_ms = 30;
	fails(dsm_attach(uri, &opts, &none), -ETIMEDOUT);

	w = attach_faulty("operator", "fail=3");
	r = attach(NULL, 0);
	for (int i = 1; i <= 9; i++) {
		fails(write_f64(w, "setpoints.rop", i), i % 3 ? 0 : -EIO);
		ok(dsm_read(r, cell_of(r, "setpoints.rop"), &s));
		cr_assert_eq(s.value.f64, i % 3 ? i : i - 1);
	}
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(calls, a_fault_that_is_none_is_refused)
{
	static const char *const bad[] = { "tear", "tear=", "tear=2", "tear=-1", "tear=x", "tear=nan", "drop=1.5",
		"mute=7", "delay=1e9", "fail=nan", "fail=inf", "fail=1e300", "seed=-1", "=1", "rust=1", "tear=0.1;drop=1",
		"averyveryverylongname=1" };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		opts.fault = bad[i];
		fails(dsm_attach(uri, &opts, &dsm), -EINVAL);
		cr_assert(strstr(dsm_error(), bad[i]), "%s", dsm_error());
		cr_assert_null(dsm);
	}
}

/* ---- wake-ups ---- */

struct waiting { struct dsm *dsm; const char *group; uint64_t since; _Atomic int rc; _Atomic bool done; };

static void *wait_once(void *context)
{
	struct waiting *w = context;
	struct dsm_frame *frame = NULL;
	struct dsm_group group = { 0 };
	int rc = dsm_group(w->dsm, w->group, &group);
	if (rc == 0)
		rc = dsm_frame_new(w->dsm, group, &frame);
	if (rc == 0)
		rc = dsm_wait(w->dsm, group, w->since, 60000, frame);
	dsm_frame_free(&frame);
	atomic_store(&w->rc, rc);
	atomic_store(&w->done, true);
	return NULL;
}

static uint64_t wakes_of(struct dsm *dsm)
{
	struct dsm_stats stats;
	ok(dsm_stats(dsm, &stats));
	return stats.wakes;
}

static uint32_t waiters(uint32_t group)
{
	const struct region *r = engine->region;
	const struct directory_owner *o = &r->view.owners[r->view.groups[group].owner];
	return ((_Atomic uint32_t *)(void *)(r->waiters + o->waiters_offset))[group - o->first_group];
}

static void wakes_only_who_waits(const char *owner, const char *cell, enum dsm_type type, const char *group)
{
	struct dsm *w = attach(owner, 0);
	struct dsm_value v = { .type = type, .len = 1, .u64 = 0 };
	struct dsm_cell id = cell_of(w, cell);
	for (int i = 0; i < 1000; i++, v.u64++)
		ok(dsm_write(w, id, &v));
	cr_assert_eq(wakes_of(w), 0, "%s: nobody waited", owner);
	struct waiting waiting = { .dsm = attach(NULL, 0), .group = group, .since = 1000 };
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, wait_once, &waiting), 0);
	until(waiters((uint32_t)group_of(w, group).id) == 1);
	ok(dsm_write(w, id, &v));
	pthread_join(thread, NULL);
	cr_assert_eq(waiting.rc, 0);
	cr_assert_eq(wakes_of(w), 1, "%s: %llu", owner, (unsigned long long)wakes_of(w));
	ok(dsm_write(w, id, &v));
	cr_assert_eq(wakes_of(w), 1);
	dsm_detach(&waiting.dsm);
	dsm_detach(&w);
}

Test(calls, a_commit_wakes_only_who_waits)
{
	wakes_only_who_waits("sensors", "sensors.a.x", DSM_F64, "sensors.a");
	wakes_only_who_waits("remote", "remote.v", DSM_U64, "remote");
}
