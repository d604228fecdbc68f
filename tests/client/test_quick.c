/* SPDX-License-Identifier: Apache-2.0 */
/* The short way of dsm_read(): it is open only where nothing that it leaves out can matter, says
 * what the long way says, and is shut when a bank moves, an owner or the engine goes, the table
 * changes, the process forks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/fixture.h"
#include "common/skip.h"

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)

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

TestSuite(quick, .init = up, .fini = down, .timeout = 60);

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

static void write_f64(struct dsm *dsm, const char *cell_name, double value)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = value };
	ok(dsm_write(dsm, cell_of(dsm, cell_name), &v));
}

static bool is_open(struct dsm *dsm, const char *cell_name)
{
	return dsm->quick[(uint32_t)cell_of(dsm, cell_name).id].pulse != NULL;
}

/* Reads it, by whichever way, and by the frame of its group; both must say the same. */
static struct dsm_sample read_both(struct dsm *dsm, const char *cell_name)
{
	struct dsm_cell cell = cell_of(dsm, cell_name);
	struct dsm_cell_info info;
	struct dsm_frame *frame = NULL;
	struct dsm_sample a, b;
	memset(&a, 0xa5, sizeof(a));
	ok(dsm_cell_info(dsm, cell, &info));
	ok(dsm_read(dsm, cell, &a));
	ok(dsm_frame_new(dsm, info.group, &frame));
	ok(dsm_snapshot(dsm, info.group, frame));
	ok(dsm_frame_read(frame, cell, &b));
	dsm_frame_free(&frame);
	cr_assert_eq(a.value.type, b.value.type);
	cr_assert_eq(a.value.len, b.value.len);
	cr_assert_eq(a.value.u64, b.value.u64);
	cr_assert_eq(a.changed_ns, b.changed_ns);
	cr_assert_eq(a.seq, b.seq);
	cr_assert_eq(a.epoch, b.epoch);
	cr_assert_eq(a.quality, b.quality);
	cr_assert_eq(a.flags, b.flags, "flags %u, by the group %u", a.flags, b.flags);
	return a;
}

static void wait_for_flags(struct dsm *dsm, const char *cell_name, uint8_t flags)
{
	struct dsm_sample s = { 0 };
	for (int i = 0; i < 1000; i++) {
		ok(dsm_read(dsm, cell_of(dsm, cell_name), &s));
		if (s.flags == flags)
			return;
		usleep(10000);
	}
	cr_assert_eq(s.flags, flags, "flags %u", s.flags);
}

Test(quick, says_what_the_long_way_says)
{
	struct dsm *w = attach("sensors", 0), *r = attach(NULL, 0);
	double value = 0;
	struct dsm_sample s = read_both(r, "sensors.a.y");
	cr_assert_eq(s.quality, DSM_NEVER_WRITTEN);
	cr_assert_eq(s.seq, 0);
	for (int i = 1; i <= 12; i++) {
		write_f64(w, "sensors.a.y", i);
		s = read_both(r, "sensors.a.y");
		cr_assert_eq(s.value.f64, i);
		cr_assert_eq(s.seq, (uint64_t)i);
		cr_assert_eq(s.flags, 0);
		ok(dsm_read_f64(r, cell_of(r, "sensors.a.y"), &value));
		cr_assert_eq(value, i);
	}
	cr_assert(is_open(r, "sensors.a.y"));
	struct dsm_stats before, after;
	ok(dsm_stats(r, &before));
	ok(dsm_read(r, cell_of(r, "sensors.a.y"), &s));
	ok(dsm_stats(r, &after));
	cr_assert_eq(after.reads, before.reads + 1);
	/* the other cell of the group, never written itself */
	ok(dsm_read(r, cell_of(r, "sensors.a.x"), &s));
	cr_assert_eq(read_both(r, "sensors.a.x").quality, DSM_NEVER_WRITTEN);
	value = 77;
	fails(dsm_read_f64(r, cell_of(r, "sensors.a.x"), &value), -ENODATA);
	cr_assert_eq(value, 77);
	ok(dsm_begin(w, 0));
	ok(dsm_set_quality(w, cell_of(w, "sensors.a.y"), DSM_BAD));
	ok(dsm_commit(w, NULL));
	fails(dsm_read_f64(r, cell_of(r, "sensors.a.y"), &value), -ENODATA);
	cr_assert_eq(value, 77);
	cr_assert_eq(read_both(r, "sensors.a.y").quality, DSM_BAD);
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(quick, is_shut_where_it_would_leave_something_out)
{
	static const char *const never[] = { "drilling.on", "drilling.mode", "drilling.wave", "remote.v",
		"aging.v" };
	struct dsm *w = attach("sensors", 0), *far = attach("remote", 0), *r = attach(NULL, 0);
	struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = 5 };
	struct dsm_sample s;
	write_f64(w, "aging.v", 3);
	ok(dsm_write(far, cell_of(far, "remote.v"), &v));
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++) {
			ok(dsm_read(r, cell_of(r, never[k]), &s));
			cr_assert(!is_open(r, never[k]), "%s", never[k]);
		}
	wait_for_flags(r, "aging.v", DSM_STALE_AGE);
	read_both(r, "aging.v");
	cr_assert_eq(read_both(r, "remote.v").value.u64, 5);
	fails(dsm_read(r, cell_of(r, "remote.v"), NULL), -EINVAL);
	fails(dsm_read(NULL, cell_of(r, "remote.v"), &s), -EINVAL);
	dsm_detach(&far);
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(quick, follows_a_bank_that_moves)
{
	struct dsm *a = attach("sensors", 0), *r = attach(NULL, 0), *b = NULL;
	for (int i = 0; i < 5; i++) {
		write_f64(a, "sensors.a.x", i);
		read_both(r, "sensors.a.x");
	}
	cr_assert(is_open(r, "sensors.a.x"));
	for (int turn = 1; turn <= 3; turn++) {
		b = attach("sensors", DSM_TAKE_OVER); /* from one that lives: new memory */
		/* the old one writes on, where nobody looks any more */
		dsm_begin(a, 0);
		dsm_abort(a);
		cr_assert_eq(read_both(r, "sensors.a.x").value.f64, turn == 1 ? 4 : 100 * (turn - 1) + 3);
		for (int i = 0; i < 4; i++) {
			write_f64(b, "sensors.a.x", 100 * turn + i);
			struct dsm_sample s = read_both(r, "sensors.a.x");
			cr_assert_eq(s.value.f64, 100 * turn + i);
			cr_assert_eq(s.epoch, (uint32_t)turn + 1);
			cr_assert_eq(s.flags, 0);
		}
		cr_assert(is_open(r, "sensors.a.x"));
		dsm_detach(&a);
		a = b;
	}
	dsm_detach(&a);
	wait_for_flags(r, "sensors.a.x", DSM_STALE_OWNER);
	read_both(r, "sensors.a.x");
	dsm_detach(&r);
}

Test(quick, ends_with_the_engine_and_begins_with_the_next)
{
	struct dsm *w = attach("operator", 0), *r = attach(NULL, 0);
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *other;
	struct dsm_sample s;
	write_f64(w, "setpoints.rop", 61);
	read_both(r, "setpoints.rop");
	cr_assert(is_open(r, "setpoints.rop"));
	ok(dsm_engine_close(&engine));
	for (int i = 0; i < 1000 && !(read_both(r, "setpoints.rop").flags & DSM_STALE_ENGINE); i++)
		usleep(10000);
	s = read_both(r, "setpoints.rop");
	cr_assert_eq(s.flags & DSM_STALE_ENGINE, DSM_STALE_ENGINE);
	cr_assert_eq(s.value.f64, 61);
	opts.name = name;
	ok(fixture_engine(&opts, name, &engine));
	for (int i = 0; i < 1000 && dsm_begin(w, 0) == 0; i++) { /* publishes its image again */
		dsm_abort(w);
		s = read_both(r, "setpoints.rop");
		if (s.flags == 0 && s.value.f64 == 61)
			break;
		usleep(10000);
	}
	s = read_both(r, "setpoints.rop");
	cr_assert_eq(s.value.f64, 61);
	cr_assert_eq(s.flags, 0);
	cr_assert(is_open(r, "setpoints.rop"));
	struct dsm_cell old = cell_of(r, "setpoints.rop");
	ok(fixture_other_table(&other));
	ok(dsm_engine_reload(engine, other));
	dsm_table_free(&other);
	int rc = 0;
	for (int i = 0; i < 1000 && (rc = dsm_read(r, old, &s)) == 0; i++)
		usleep(10000);
	cr_assert_eq(rc, -ESTALE);
	cr_assert_eq(read_both(r, "setpoints.rop").value.f64, 61);
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(quick, misuse_is_still_seen)
{
	struct dsm *w = attach("operator", 0), *r = attach(NULL, 0), *other = attach(NULL, 0);
	struct dsm_sample s;
	write_f64(w, "setpoints.rop", 1);
	struct dsm_cell cell = cell_of(r, "setpoints.rop");
	ok(dsm_read(r, cell, &s));
	ok(dsm_read(r, cell, &s));
	cr_assert(is_open(r, "setpoints.rop"));
#if defined(__SANITIZE_ADDRESS__)
	skip_test("gcc's ASan can fork with its allocator's lock held, and the child then hangs in it");
#endif
	fails(dsm_read(other, cell, &s), -EXDEV);
	fails(dsm_read(r, (struct dsm_cell){ cell.id + 1000 }, &s), -ESTALE);
	fails(dsm_read(r, (struct dsm_cell){ 0 }, &s), -EINVAL);
	pid_t pid = fork();
	if (pid == 0) {
		struct dsm *copy = r;
		int bad = dsm_read(r, cell, &s) != -ECHILD;
		dsm_detach(&copy);
		_exit(bad);
	}
	int status = -1;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	ok(dsm_read(r, cell, &s));
	struct dsm *gone = r;
	dsm_detach(&r);
	fails(dsm_read(gone, cell, &s), -EBADF);
	dsm_detach(&other);
	dsm_detach(&w);
}

/* ---- the short ways of an owner ---- */

static uint64_t commit(struct dsm *dsm)
{
	uint64_t step = 0;
	ok(dsm_commit(dsm, &step));
	return step;
}

Test(quick, an_owner_is_checked_as_ever)
{
	struct dsm *w = attach("operator", 0), *r = attach(NULL, 0);
	struct dsm_cell rop = cell_of(w, "setpoints.rop"), n = cell_of(w, "setpoints.n");
	for (int i = 0; i < 2; i++) { /* the second time the image is there */
		fails(dsm_set_i64(w, n, 1), -ENOTCONN);
		fails(dsm_commit(w, NULL), -ENOTCONN);
		ok(dsm_begin(w, 1000 + 8 * i));
		fails(dsm_begin(w, 1), -EBUSY);
		fails(dsm_set_f64(w, rop, 101), -ERANGE);
		fails(dsm_set_f64(w, rop, 0.0 / 0.0), -EDOM);
		fails(dsm_set_f64(w, n, 1), -EINVAL);
		fails(dsm_set_u64(w, n, 1), -EINVAL);
		fails(dsm_set_i64(w, cell_of(w, "drilling.count"), 1), -EPERM);
		fails(dsm_set_i64(r, cell_of(r, "setpoints.n"), 1), -EPERM);
		ok(dsm_set_i64(w, n, 7));
		cr_assert_eq(commit(w), (uint64_t)i + 1);
		struct dsm_sample s = read_both(r, "setpoints.n");
		cr_assert_eq(s.value.i64, 7);
		cr_assert_eq(s.changed_ns, 1000); /* the same value again is no change */
		cr_assert_eq(s.seq, (uint64_t)i + 1);
	}
	ok(dsm_begin(w, 2000));
	ok(dsm_set_i64(w, n, 8));
	dsm_abort(w);
	ok(dsm_begin(w, 2000));
	cr_assert_eq(commit(w), 2); /* nothing touched: still the second step */
	cr_assert_eq(read_both(r, "setpoints.n").value.i64, 7);
	struct dsm_stats stats;
	ok(dsm_stats(w, &stats));
	cr_assert_eq(stats.commits, 3);
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(quick, small_and_large_groups_of_one_step)
{
	struct dsm *w = attach("sensors", 0), *r = attach(NULL, 0);
	static const char bytes[2][100] = { "one", "two" };
	for (int i = 0; i < 6; i++) {
		ok(dsm_begin(w, 0));
		ok(dsm_set_f64(w, cell_of(w, "sensors.a.x"), i));
		ok(dsm_set_f64(w, cell_of(w, "sensors.a.y"), 2 * i));
		if (i % 2)
			ok(dsm_set(w, cell_of(w, "big.data"), &(struct dsm_value){ .type = DSM_BYTES, .len = 100,
				.bytes = bytes[i / 2 % 2] }));
		cr_assert_eq(commit(w), (uint64_t)i + 1);
		cr_assert_eq(read_both(r, "sensors.a.x").value.f64, i);
		cr_assert_eq(read_both(r, "sensors.a.y").value.f64, 2 * i);
		cr_assert_eq(read_both(r, "sensors.a.x").seq, (uint64_t)i + 1);
	}
	dsm_detach(&w);
	dsm_detach(&r);
}

Test(quick, a_superseded_owner_commits_no_more)
{
	struct dsm *a = attach("sensors", 0), *r = attach(NULL, 0);
	write_f64(a, "sensors.a.x", 1);
	ok(dsm_begin(a, 0));
	ok(dsm_set_f64(a, cell_of(a, "sensors.a.x"), 2));
	struct dsm *b = attach("sensors", DSM_TAKE_OVER);
	fails(dsm_commit(a, NULL), -EOWNERDEAD);
	cr_assert_eq(read_both(r, "sensors.a.x").value.f64, 1);
	write_f64(b, "sensors.a.x", 3);
	cr_assert_eq(read_both(r, "sensors.a.x").value.f64, 3);
	dsm_detach(&a);
	dsm_detach(&b);
	dsm_detach(&r);
}
