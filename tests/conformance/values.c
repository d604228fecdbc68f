/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: values of every type, quality, ranges, and what wrong use gets. */
#include <errno.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/skip.h"
#include "rows.h"

CONFORMANCE(every_type_round_trips)
{
	struct dsm *out = rig_attach(rig, NULL, 0);
	struct dsm_sample s;
	const double wave[4] = { 1, -2.5, 1e300, 0 };
	const unsigned char raw[3] = { 0, 255, 7 };
	const struct fixture_value values[] = {
		{ "drilling.rop", { .type = DSM_F64, .len = 1, .f64 = 12.25 } },
		{ "drilling.on", { .type = DSM_BOOL, .len = 1, .b = true } },
		{ "drilling.mode", { .type = DSM_STRING, .len = 6, .str = "slidé" } },
		{ "drilling.count", { .type = DSM_I64, .len = 1, .i64 = INT64_MIN } },
		{ "drilling.ticks", { .type = DSM_U64, .len = 1, .u64 = UINT64_MAX } },
		{ "drilling.raw", { .type = DSM_BYTES, .len = 3, .bytes = raw } },
		{ "drilling.wave", { .type = DSM_F64_ARRAY, .len = 4, .f64s = wave } },
	};
	ok(place_commit(&rig->place, 1700000000000000000, values, sizeof(values) / sizeof(values[0])));
	ok(dsm_read(out, rig_cell(out, "drilling.rop"), &s));
	cr_assert_eq(s.value.f64, 12.25);
	cr_assert_eq(s.quality, DSM_GOOD);
	cr_assert_eq(s.flags, 0);
	cr_assert_eq(s.changed_ns, 1700000000000000000);
	ok(dsm_read(out, rig_cell(out, "drilling.on"), &s));
	cr_assert(s.value.b && s.value.type == DSM_BOOL);
	ok(dsm_read(out, rig_cell(out, "drilling.mode"), &s));
	cr_assert_str_eq(s.value.str, "slidé");
	ok(dsm_read(out, rig_cell(out, "drilling.count"), &s));
	cr_assert_eq(s.value.i64, INT64_MIN);
	ok(dsm_read(out, rig_cell(out, "drilling.ticks"), &s));
	cr_assert_eq(s.value.u64, UINT64_MAX);
	ok(dsm_read(out, rig_cell(out, "drilling.raw"), &s));
	cr_assert(s.value.len == 3 && memcmp(s.value.bytes, raw, 3) == 0);
	ok(dsm_read(out, rig_cell(out, "drilling.wave"), &s));
	cr_assert(s.value.len == 4 && memcmp(s.value.f64s, wave, sizeof(wave)) == 0);
	dsm_detach(&out);
}

CONFORMANCE(never_written_is_a_state_not_an_error)
{
	struct dsm *dsm = rig_attach(rig, NULL, 0);
	struct dsm_sample s;
	double v = 4;
	ok(dsm_read(dsm, rig_cell(dsm, "sensors.a.x"), &s));
	cr_assert_eq(s.quality, DSM_NEVER_WRITTEN);
	cr_assert_eq(s.seq, 0);
	cr_assert(s.flags & DSM_STALE_OWNER);
	fails(dsm_read_f64(dsm, rig_cell(dsm, "sensors.a.x"), &v), -ENODATA);
	cr_assert_eq(v, 4);
	dsm_detach(&dsm);
	cr_assert_null(dsm);
}

CONFORMANCE(what_a_cell_refuses)
{
	struct dsm *op = rig_attach(rig, "operator", 0);
	struct dsm_cell rop = rig_cell(op, "setpoints.rop"), note = rig_cell(op, "setpoints.note");
	fails(dsm_set_f64(op, rop, 1), -ENOTCONN);
	ok(dsm_begin(op, 0));
	fails(dsm_begin(op, 0), -EBUSY);
	fails(dsm_set_i64(op, rop, 1), -EINVAL);
	fails(dsm_set_f64(op, rop, NAN), -EDOM);
	fails(dsm_set_f64(op, rop, INFINITY), -EDOM);
	fails(dsm_set_f64(op, rop, 100.5), -ERANGE);
	cr_assert(strstr(dsm_error(), "setpoints.rop") && strstr(dsm_error(), "100"), "%s", dsm_error());
	fails(dsm_set_f64(op, rop, -1), -ERANGE);
	fails(dsm_set_string(op, note, "123456789012345678901234567890123"), -EMSGSIZE);
	fails(dsm_set_string(op, note, "\xc3\x28"), -EILSEQ);
	fails(dsm_set_quality(op, note, (enum dsm_quality)77), -EINVAL);
	fails(dsm_set_f64(op, rig_cell(op, "drilling.rop"), 1), -EPERM);
	cr_assert(strstr(dsm_error(), "engine"), "%s", dsm_error());
	ok(dsm_set_string(op, note, "12345678901234567890123456789012"));
	ok(dsm_set_f64(op, rop, 55));
	ok(dsm_commit(op, NULL));
	cr_assert_eq(rig_read_f64(op, "setpoints.rop"), 55);
	dsm_detach(&op);
}

CONFORMANCE(clamped_where_the_table_says)
{
	struct dsm *dsm = rig_attach(rig, NULL, 0);
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 60 };
	ok(dsm_request(dsm, rig_cell(dsm, "drilling.wob"), &v, 2000));
	cr_assert_eq(rig_read_f64(dsm, "drilling.wob"), 50);
	v.f64 = -3;
	ok(dsm_request(dsm, rig_cell(dsm, "drilling.wob"), &v, 2000));
	cr_assert_eq(rig_read_f64(dsm, "drilling.wob"), 0);
	v.f64 = 151;
	fails(dsm_request(dsm, rig_cell(dsm, "drilling.rop"), &v, 2000), -ERANGE);
	dsm_detach(&dsm);
}

CONFORMANCE(quality_and_time_of_change)
{
	struct dsm *op = rig_attach(rig, "operator", 0);
	struct dsm_cell n = rig_cell(op, "setpoints.n");
	struct dsm_sample s;
	ok(dsm_begin(op, 800));
	ok(dsm_set_i64(op, n, 5));
	ok(dsm_commit(op, NULL));
	ok(dsm_begin(op, 1600));
	ok(dsm_set_i64(op, n, 5)); /* unchanged: the time of change stays */
	ok(dsm_commit(op, NULL));
	ok(dsm_read(op, n, &s));
	cr_assert_eq(s.changed_ns, 800);
	cr_assert_eq(s.seq, 2);
	ok(dsm_begin(op, 2400));
	ok(dsm_set_quality(op, n, DSM_BAD));
	ok(dsm_commit(op, NULL));
	ok(dsm_read(op, n, &s));
	cr_assert_eq(s.quality, DSM_BAD);
	cr_assert_eq(s.changed_ns, 2400);
	cr_assert_eq(s.value.i64, 5);
	dsm_detach(&op);
}

CONFORMANCE(abort_forgets)
{
	struct dsm *op = rig_attach(rig, "operator", 0);
	uint64_t step = 9;
	rig_write_f64(op, "setpoints.rop", 10);
	ok(dsm_begin(op, 0));
	ok(dsm_set_f64(op, rig_cell(op, "setpoints.rop"), 20));
	dsm_abort(op);
	cr_assert_eq(rig_read_f64(op, "setpoints.rop"), 10);
	ok(dsm_begin(op, 0));
	ok(dsm_commit(op, &step)); /* nothing touched: nothing published */
	cr_assert_eq(step, 1);
	rig_write_f64(op, "setpoints.rop", 30);
	cr_assert_eq(rig_read_f64(op, "setpoints.rop"), 30);
	dsm_detach(&op);
}

CONFORMANCE(wrong_handles_and_ids)
{
	struct dsm *a = rig_attach(rig, NULL, 0), *b = rig_attach(rig, NULL, 0), *gone;
	struct dsm_sample s;
	struct dsm_frame *frame;
	struct dsm_cell cell = rig_cell(a, "drilling.rop"), none = { 0 };
	fails(dsm_read(NULL, cell, &s), -EINVAL);
	fails(dsm_read(b, cell, &s), -EXDEV);
	fails(dsm_read(a, none, &s), -EINVAL);
	fails(dsm_read(a, cell, NULL), -EINVAL);
	fails(dsm_cell(a, "drilling.rob", &cell), -ENOENT);
	cr_assert(strstr(dsm_error(), "drilling.rop"), "%s", dsm_error());
	fails(dsm_begin(a, 0), -EPERM);
	fails(dsm_fd(a), -EINVAL);
	ok(dsm_frame_new(a, rig_group(a, "drilling"), &frame));
	fails(dsm_snapshot(a, rig_group(a, "sensors.a"), frame), -EINVAL);
	fails(dsm_frame_read(frame, cell, &s), -ENODATA);
	dsm_frame_free(&frame);
	dsm_frame_free(&frame);
	gone = a;
	dsm_detach(&a);
	fails(dsm_read(gone, cell, &s), -EBADF);
	dsm_detach(&a);
	dsm_detach(NULL);
	dsm_detach(&b);
}

CONFORMANCE(a_forked_child_must_attach_itself)
{
#if defined(__SANITIZE_ADDRESS__)
	skip_test("gcc's ASan can fork with its allocator's lock held, and the child then hangs in it");
#endif
	struct dsm *dsm = rig_attach(rig, NULL, 0);
	struct dsm_cell cell = rig_cell(dsm, "drilling.rop");
	struct dsm_sample s;
	int status;
	pid_t child = fork();
	if (child == 0) {
		int rc = dsm_read(dsm, cell, &s);
		if (rc != -ECHILD)
			_exit(1);
		dsm_detach(&dsm); /* must not disturb the parent */
		struct dsm *own = NULL;
		if (dsm_attach(rig->uri, NULL, &own)) {
			fprintf(stderr, "in the child: %s\n", dsm_error());
			_exit(2);
		}
		if (dsm_cell(own, "drilling.rop", &cell) || dsm_read(own, cell, &s))
			_exit(3);
		dsm_detach(&own);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", WEXITSTATUS(status));
	ok(dsm_read(dsm, cell, &s));
	dsm_detach(&dsm);
}
