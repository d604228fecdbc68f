/* SPDX-License-Identifier: Apache-2.0 */
/* Handles from attach to detach: memory that is locked, loans that are given up, what stays when the
 * engine goes, what a detached handle answers; and adding to cells of one's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/fixture.h"
#include "common/skip.h"
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

TestSuite(handles, .init = up, .fini = down, .timeout = 120);

static struct dsm *attach(const char *owner, uint32_t flags)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	opts.owner = owner;
	opts.flags = flags;
	ok(dsm_attach(uri, &opts, &dsm));
	return dsm;
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

static int write_n(struct dsm *dsm, int64_t value)
{
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = value };
	return dsm_write(dsm, cell_of(dsm, "setpoints.n"), &v);
}

/* ---- memory that is locked ---- */

static long locked_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %ld", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

static long region_kb(void)
{
	return (long)((engine->region->bytes + engine->region->waiters_bytes) / 1024);
}

static void replace(uint32_t flags)
{
	struct dsm_table *table;
	ok(fixture_table_of(flags, &table));
	ok(dsm_engine_reload(engine, table));
	dsm_table_free(&table);
}

/* The address sanitizer makes mlock() do nothing. */
#ifdef __SANITIZE_ADDRESS__
#define NEEDS_MLOCK() skip_test("under the address sanitizer nothing is locked")
#else
#define NEEDS_MLOCK()
#endif

Test(handles, what_a_client_locks_is_the_engines_memory_and_no_more)
{
	NEEDS_MLOCK();
	long before = locked_kb();
	struct dsm *plain = attach(NULL, 0), *w = attach("operator", 0);
	cr_assert_eq(locked_kb(), before);
	struct dsm *r = attach(NULL, DSM_LOCK_MEMORY | DSM_MANUAL);
	long all = locked_kb() - before;
	cr_assert_geq(all, region_kb());
	cr_assert_lt(all, region_kb() + 64, "%ld of %ld", all, region_kb());
	/* a bank that moves, and another generation, stay locked */
	uint64_t moved = engine->region->counters[COUNTER_BANKS_MOVED];
	struct dsm *next = attach("operator", DSM_TAKE_OVER);
	cr_assert_gt(engine->region->counters[COUNTER_BANKS_MOVED], moved);
	ok(write_n(next, 5));
	struct dsm_cell n = cell_of(r, "setpoints.n");
	struct dsm_sample s;
	until(dsm_dispatch(r) == 0 && dsm_read(r, n, &s) == 0 && s.value.i64 == 5);
	cr_assert_eq(locked_kb() - before, all);
	replace(0);
	until(dsm_dispatch(r) == 0 && r->reattached == 1);
	ok(dsm_read(r, n, &s));
	cr_assert_eq(locked_kb() - before, all);
	dsm_detach(&r);
	cr_assert_eq(locked_kb(), before);
	dsm_detach(&next);
	dsm_detach(&w);
	dsm_detach(&plain);
}

Test(handles, an_engine_that_locks_its_memory_goes_on_doing_so)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	NEEDS_MLOCK();
	ok(dsm_engine_close(&engine));
	long before = locked_kb();
	opts.lock_memory = true;
	opts.name = name;
	ok(fixture_engine(&opts, name, &engine));
	long all = locked_kb() - before;
	cr_assert_eq(all, region_kb());
	struct dsm *w = attach("operator", 0), *next = attach("operator", DSM_TAKE_OVER);
	cr_assert_gt(engine->region->counters[COUNTER_BANKS_MOVED], 0);
	cr_assert_eq(locked_kb() - before, all);
	replace(0);
	cr_assert_eq(locked_kb() - before, all);
	dsm_detach(&w);
	dsm_detach(&next);
	ok(dsm_engine_close(&engine));
	cr_assert_eq(locked_kb(), before);
	up();
}

Test(handles, a_limit_that_forbids_to_lock_is_an_error)
{
	NEEDS_MLOCK();
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_engine_options engine_opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *other = NULL;
	struct dsm *dsm = NULL;
	struct dsm_table *table;
	struct rlimit none = { 0, 0 };
	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0); /* root may lock what it likes */
	opts.flags = DSM_LOCK_MEMORY;
	int rc = dsm_attach(uri, &opts, &dsm);
	cr_assert(rc == -EPERM || rc == -ENOMEM, "%d", rc);
	cr_assert(strstr(dsm_error(), "LimitMEMLOCK"), "%s", dsm_error());
	opts.flags = 0;
	ok(dsm_attach(uri, &opts, &dsm));
	dsm_detach(&dsm);
	engine_opts.lock_memory = true;
	engine_opts.name = "locks-nothing";
	ok(fixture_table(&table));
	rc = dsm_engine_open(table, &engine_opts, &other);
	cr_assert(rc == -EPERM || rc == -ENOMEM, "%d", rc);
	cr_assert_null(other);
	dsm_table_free(&table);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

/* ---- loans ---- */

Test(handles, a_loan_can_be_given_up)
{
	struct dsm *w = attach("sensors", DSM_MANUAL), *r = attach(NULL, 0);
	struct dsm_cell data = cell_of(w, "big.data");
	struct dsm_group big = group_of(r, "big");
	struct dsm_frame *frame = NULL;
	struct dsm_sample s;
	uint64_t room;
	void *at;
	ok(dsm_frame_new(r, big, &frame));
	for (unsigned i = 0; i < 3; i++) { /* K is 2: each slot once at least */
		ok(dsm_loan(w, data, &at, &room));
		memcpy(at, "wrong", 5);
		fails(dsm_loan(w, data, &at, &room), -EBUSY);
		fails(dsm_begin(w, 0), -EBUSY);
		dsm_abort(w);
		fails(dsm_publish(w, 5, 0), -ENOTCONN);
		ok(dsm_loan(w, data, &at, &room));
		memcpy(at, "right", 5);
		ok(dsm_publish(w, 5, 0));
		ok(dsm_loan(w, data, &at, &room));
		memcpy(at, "wrong", 5);
		dsm_abort(w);
		ok(dsm_snapshot(r, big, frame));
		ok(dsm_frame_read(frame, cell_of(r, "big.data"), &s));
		cr_assert(s.value.len == 5 && memcmp(s.value.bytes, "right", 5) == 0);
		cr_assert_eq(s.seq, i + 1);
	}
	/* lent out, the new connection waits; given up, it is taken into use */
	ok(dsm_loan(w, data, &at, &room));
	shutdown(w->ops->fd(w->conn), SHUT_RDWR);
	until(dsm_dispatch(w) == 0 && w->reattached == 1);
	cr_assert_not_null(w->next);
	dsm_abort(w);
	ok(dsm_begin(w, 0));
	cr_assert_null(w->next);
	dsm_abort(w);
	ok(dsm_loan(w, data, &at, &room));
	memcpy(at, "again", 5);
	ok(dsm_publish(w, 5, 0));
	until(dsm_snapshot(r, big, frame) == 0 && dsm_frame_read(frame, cell_of(r, "big.data"), &s) == 0 &&
		memcmp(s.value.bytes, "again", 5) == 0);
	dsm_frame_free(&frame);
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(handles, an_array_is_lent_whole)
{
	struct dsm_table *table;
	struct dsm_owner_spec owner = { "sensors", false, "*" };
	struct dsm_group_spec spec = { "sensors", "wave", "", 2, 0, false };
	struct dsm_cell_spec cell = { "wave", "v", "", "", DSM_F64_ARRAY, 100, 0, 0, 0, -1 };
	ok(dsm_table_new("arrays", &table));
	ok(dsm_table_owner(table, &owner));
	ok(dsm_table_group(table, &spec));
	ok(dsm_table_cell(table, &cell));
	ok(dsm_engine_reload(engine, table));
	dsm_table_free(&table);
	struct dsm *w = attach("sensors", 0), *r = attach(NULL, 0);
	struct dsm_sample s;
	const void *seen;
	uint64_t bytes = 0;
	double *at;
	for (int i = 1; i <= 5; i++) {
		ok(dsm_loan(w, cell_of(w, "wave.v"), (void **)&at, &bytes));
		cr_assert_eq(bytes, 800);
		cr_assert_eq((uintptr_t)at % 64, 0);
		for (int k = 0; k < 100; k++)
			at[k] = i * 1000 + k;
		fails(dsm_publish(w, 792, 0), -EMSGSIZE);
		fails(dsm_publish(w, 808, 0), -EMSGSIZE);
		ok(dsm_publish(w, 800, 8000));
		ok(dsm_borrow(r, cell_of(r, "wave.v"), &seen, &bytes, &s));
		cr_assert(bytes == 800 && s.value.len == 100 && s.value.f64s[99] == i * 1000 + 99);
		cr_assert(s.seq == (uint64_t)i && s.changed_ns == 8000 && s.quality == DSM_GOOD);
		ok(dsm_return(r));
	}
	dsm_detach(&w);
	dsm_detach(&r);
}

/* ---- adding to cells of one's own ---- */

static struct dsm_value number(enum dsm_type type, double v)
{
	struct dsm_value out = { .type = type, .len = 1 };
	if (type == DSM_F64)
		out.f64 = v;
	else
		out.i64 = (int64_t)v; /* of a u64 cell's delta too */
	return out;
}

static void add_is(struct dsm *dsm, const char *cell_name, struct dsm_value delta, const struct dsm_bounds *bounds,
	int rc, double previous, double after)
{
	struct dsm_value old = { 0 };
	struct dsm_cell cell = cell_of(dsm, cell_name);
	double now;
	fails(dsm_add(dsm, cell, &delta, bounds, 0, &old), rc);
	if (rc == 0 || rc == -ERANGE) {
		cr_assert_eq(old.type, delta.type);
		cr_assert_eq(old.type == DSM_F64 ? old.f64 : old.type == DSM_I64 ? (double)old.i64 : (double)old.u64,
			previous);
	}
	ok(dsm_read_f64(dsm, cell, &now));
	cr_assert_eq(now, after, "%s: %g", cell_name, now);
}

static struct dsm_bounds within(enum dsm_type type, double floor, double ceil)
{
	return (struct dsm_bounds){ DSM_HAS_MIN | DSM_HAS_MAX, number(type, floor), number(type, ceil) };
}

static void add_within(struct dsm *w, const char *cell, enum dsm_type type)
{
	struct dsm_bounds b = within(type, 2, 10), wrong = within(type == DSM_I64 ? DSM_F64 : DSM_I64, 0, 100);
	add_is(w, cell, number(type, 5), NULL, 0, 0, 5);
	add_is(w, cell, number(type, 5), &b, 0, 5, 10);
	add_is(w, cell, number(type, 1), &b, -ERANGE, 10, 10);
	add_is(w, cell, number(type, -8), &b, 0, 10, 2);
	add_is(w, cell, number(type, -1), &b, -ERANGE, 2, 2);
	add_is(w, cell, number(type, 1), &wrong, -EINVAL, 0, 2);
	wrong.flags = DSM_HAS_MAX;
	add_is(w, cell, number(type, 1), &wrong, -EINVAL, 0, 2);
	wrong.flags = 0; /* bounds that are not given say nothing */
	add_is(w, cell, number(type, 1), &wrong, 0, 2, 3);
	add_is(w, cell, number(type == DSM_F64 ? DSM_I64 : DSM_F64, 1), NULL, -EINVAL, 0, 3);
}

Test(handles, adding_to_own_cells)
{
	struct dsm *op = attach("operator", 0), *s = attach("sensors", 0), *u = attach("remote", 0);
	struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = UINT64_MAX }, old;
	struct dsm_bounds nan = { DSM_HAS_MIN, number(DSM_F64, NAN), number(DSM_F64, 0) };
	add_within(op, "setpoints.n", DSM_I64);
	add_within(s, "sensors.a.x", DSM_F64);
	add_within(u, "remote.v", DSM_U64);
	add_is(s, "sensors.a.x", number(DSM_F64, 1), &nan, -EINVAL, 0, 3);
	/* the edges of each type: one further, and nothing has changed */
	ok(write_n(op, INT64_MAX));
	add_is(op, "setpoints.n", number(DSM_I64, 1), NULL, -ERANGE, (double)INT64_MAX, (double)INT64_MAX);
	ok(write_n(op, INT64_MIN));
	add_is(op, "setpoints.n", number(DSM_I64, -1), NULL, -ERANGE, (double)INT64_MIN, (double)INT64_MIN);
	ok(dsm_write(u, cell_of(u, "remote.v"), &v));
	add_is(u, "remote.v", number(DSM_U64, 1), NULL, -ERANGE, (double)UINT64_MAX, (double)UINT64_MAX);
	v.u64 = 2; /* a delta of a u64 is signed */
	ok(dsm_write(u, cell_of(u, "remote.v"), &v));
	add_is(u, "remote.v", number(DSM_U64, -3), NULL, -ERANGE, 2, 2);
	add_is(u, "remote.v", number(DSM_U64, -2), NULL, 0, 2, 0);
	v = number(DSM_F64, 1.5e308);
	ok(dsm_write(s, cell_of(s, "sensors.a.x"), &v));
	add_is(s, "sensors.a.x", v, NULL, -ERANGE, 1.5e308, 1.5e308);
	add_is(s, "sensors.a.x", number(DSM_F64, NAN), NULL, -ERANGE, 1.5e308, 1.5e308);
	/* the table's own limits */
	v = number(DSM_F64, 90);
	ok(dsm_write(op, cell_of(op, "setpoints.rop"), &v));
	add_is(op, "setpoints.rop", number(DSM_F64, 11), NULL, -ERANGE, 90, 90);
	add_is(op, "setpoints.rop", number(DSM_F64, 10), NULL, 0, 90, 100);
	v = (struct dsm_value){ .type = DSM_STRING, .len = 1, .str = "1" };
	fails(dsm_add(op, cell_of(op, "setpoints.note"), &v, NULL, 0, &old), -EINVAL);
	fails(dsm_add(op, cell_of(op, "setpoints.n"), NULL, NULL, 0, &old), -EINVAL);
	dsm_detach(&op);
	dsm_detach(&s);
	dsm_detach(&u);
}

/* ---- ends ---- */

Test(handles, a_detached_handle_is_known_for_a_while)
{
	struct dsm *gone[8], *now[9];
	struct dsm_sample s;
	for (unsigned i = 0; i < 8; i++)
		gone[i] = attach(NULL, 0);
	struct dsm_cell cell = cell_of(gone[0], "setpoints.n");
	for (unsigned i = 0; i < 8; i++) {
		struct dsm *h = gone[i];
		dsm_detach(&h);
	}
	for (unsigned i = 0; i < 9; i++)
		now[i] = attach(NULL, 0);
	for (unsigned i = 0; i < 8; i++) {
		struct dsm *h = gone[i];
		fails(dsm_read(h, cell, &s), -EBADF);
		dsm_detach(&h); /* nor does it end anybody else's */
	}
	for (unsigned i = 0; i < 9; i++) {
		ok(dsm_read(now[i], cell_of(now[i], "setpoints.n"), &s));
		dsm_detach(&now[i]);
	}
}

Test(handles, who_wants_no_re_attach_gets_none)
{
	struct dsm *r = attach(NULL, DSM_NO_REATTACH), *other = attach(NULL, 0), *w = attach("operator", 0);
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_status status, others;
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = 1 };
	struct dsm_sample s;
	ok(write_n(w, 7));
	ok(dsm_engine_close(&engine));
	opts.name = name;
	ok(fixture_engine(&opts, name, &engine));
	until(dsm_status(other, &others) == 0 && others.reattached == 1);
	until(dsm_status(r, &status) == 0 && status.state == DSM_LOST);
	cr_assert_eq(status.reattached, 0);
	ok(dsm_read(r, cell_of(r, "setpoints.n"), &s));
	cr_assert(s.value.i64 == 7 && (s.flags & DSM_STALE_ENGINE));
	fails(dsm_request(r, cell_of(r, "drilling.count"), &v, 60000), -ECONNRESET);
	ok(dsm_status(r, &status));
	cr_assert(status.state == DSM_LOST && status.reattached == 0);
	dsm_detach(&r);
	dsm_detach(&other);
	dsm_detach(&w);
}

Test(handles, a_cursor_from_now_on)
{
	struct dsm *w = attach("operator", 0), *r = attach(NULL, 0);
	struct dsm_group group = group_of(r, "setpoints");
	struct dsm_cursor *cursor = NULL;
	struct dsm_frame *frame = NULL;
	struct dsm_frame_info info;
	uint64_t lost = 9;
	ok(dsm_frame_new(r, group, &frame));
	for (int i = 1; i <= 20; i++)
		ok(write_n(w, i));
	ok(dsm_cursor_open(r, group, UINT64_MAX, &cursor));
	fails(dsm_next(cursor, frame, &lost), -EAGAIN);
	cr_assert_eq(dsm_cursor_seq(cursor), 20);
	for (int i = 21; i <= 23; i++) {
		ok(write_n(w, i));
		ok(dsm_next(cursor, frame, &lost));
		ok(dsm_frame_info(frame, &info));
		cr_assert(info.seq == (uint64_t)i && lost == 0, "%llu, %llu", (unsigned long long)info.seq,
			(unsigned long long)lost);
	}
	fails(dsm_next(cursor, frame, &lost), -EAGAIN);
	dsm_cursor_close(&cursor);
	dsm_frame_free(&frame);
	dsm_detach(&w);
	dsm_detach(&r);
}

static void *fail_otherwise(void *context)
{
	struct dsm_cell cell;
	bool *right = context;
	*right = dsm_error()[0] == 0 && dsm_cell(NULL, "x", &cell) == -EINVAL && strstr(dsm_error(), "null handle");
	return NULL;
}

Test(handles, an_error_text_is_the_threads_own)
{
	struct dsm *r = attach(NULL, 0);
	struct dsm_cell cell;
	pthread_t thread;
	bool right = false;
	fails(dsm_cell(r, "no.such.cell", &cell), -ENOENT);
	char before[512];
	snprintf(before, sizeof(before), "%s", dsm_error());
	cr_assert(strstr(before, "no.such.cell"), "%s", before);
	cr_assert_eq(pthread_create(&thread, NULL, fail_otherwise, &right), 0);
	pthread_join(thread, NULL);
	cr_assert(right);
	cr_assert_str_eq(dsm_error(), before);
	dsm_detach(&r);
}

/* Its owner away, a role changes hands in the engine's next generation. */
static void comes_back_after(bool commits)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm *w = attach("operator", DSM_MANUAL), *r, *between;
	struct dsm_sample s;
	ok(write_n(w, 61));
	ok(dsm_engine_close(&engine));
	opts.name = name;
	ok(fixture_engine(&opts, name, &engine));
	between = attach("operator", 0);
	ok(commits ? write_n(between, 7) : 0);
	dsm_detach(&between);
	until(dsm_dispatch(w) == 0 && w->reattached == 1);
	r = attach(NULL, 0);
	ok(dsm_begin(w, 0)); /* the new connection is taken into use */
	dsm_abort(w);
	ok(dsm_read(r, cell_of(r, "setpoints.n"), &s));
	cr_assert_eq(s.value.i64, commits ? 7 : 61);
	ok(write_n(w, 62));
	ok(dsm_read(r, cell_of(r, "setpoints.n"), &s));
	cr_assert_eq(s.value.i64, 62);
	dsm_detach(&r);
	dsm_detach(&w);
}

/* Whoever held it committed nothing (it may have been this handle, whose first try came back too late). */
Test(handles, an_owner_publishes_its_image_again_though_its_grant_is_not_the_first)
{
	comes_back_after(false);
}

Test(handles, an_owner_that_comes_back_leaves_what_another_has_committed)
{
	comes_back_after(true);
}
