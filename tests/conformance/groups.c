/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: groups, steps, waiting, cursors, loans. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <stdio.h>

#include "rows.h"

static void write_pair(struct dsm *s, const char *group, double x)
{
	char name[64];
	snprintf(name, sizeof(name), "%s.x", group);
	ok(dsm_set_f64(s, rig_cell(s, name), x));
	snprintf(name, sizeof(name), "%s.y", group);
	ok(dsm_set_f64(s, rig_cell(s, name), -x));
}

static double frame_f64(struct dsm *dsm, struct dsm_frame *frame, const char *name)
{
	struct dsm_sample s;
	ok(dsm_frame_read(frame, rig_cell(dsm, name), &s));
	return s.value.f64;
}

CONFORMANCE(a_group_is_read_whole)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_frame *frame;
	struct dsm_frame_info info;
	ok(dsm_frame_new(r, rig_group(r, "sensors.a"), &frame));
	for (int i = 1; i <= 50; i++) {
		ok(dsm_begin(w, 1000 + i));
		write_pair(w, "sensors.a", i);
		ok(dsm_commit(w, NULL));
		ok(dsm_snapshot(r, rig_group(r, "sensors.a"), frame));
		ok(dsm_frame_info(frame, &info));
		cr_assert_eq(info.seq, (uint64_t)i);
		cr_assert_eq(info.time_ns, 1000 + i);
		cr_assert_eq(frame_f64(r, frame, "sensors.a.x"), i);
		cr_assert_eq(frame_f64(r, frame, "sensors.a.y"), -i);
	}
	dsm_detach(&r);
	cr_assert_eq(info.cells, 2); /* frames outlive their handle */
	dsm_frame_free(&frame);
	dsm_detach(&w);
}

CONFORMANCE(groups_of_one_step)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_group g[2] = { rig_group(r, "sensors.a"), rig_group(r, "sensors.b") };
	struct dsm_group wrong[2] = { g[0], rig_group(r, "drilling") };
	struct dsm_frame *f[2], *other;
	uint64_t step;
	ok(dsm_frame_new(r, g[0], &f[0]));
	ok(dsm_frame_new(r, g[1], &f[1]));
	ok(dsm_frame_new(r, wrong[1], &other));
	ok(dsm_snapshot_step(r, g, 2, f, &step));
	cr_assert_eq(step, 0);
	for (int i = 1; i <= 20; i++) {
		ok(dsm_begin(w, 0));
		write_pair(w, "sensors.a", i);
		if (i % 5 == 0) /* unchanged groups count as they were */
			write_pair(w, "sensors.b", i);
		ok(dsm_commit(w, NULL));
		ok(dsm_snapshot_step(r, g, 2, f, &step));
		cr_assert_eq(step, (uint64_t)i);
		cr_assert_eq(frame_f64(r, f[0], "sensors.a.x"), i);
		cr_assert_eq(frame_f64(r, f[1], "sensors.b.x"), i / 5 * 5);
	}
	struct dsm_frame *mixed[2] = { f[0], other };
	fails(dsm_snapshot_step(r, wrong, 2, mixed, &step), -EINVAL);
	dsm_frame_free(&f[0]);
	dsm_frame_free(&f[1]);
	dsm_frame_free(&other);
	dsm_detach(&w);
	dsm_detach(&r);
}

static void *write_later(void *context)
{
	struct dsm *w = context;
	usleep(50000);
	rig_write_f64(w, "setpoints.rop", 77);
	return NULL;
}

CONFORMANCE(waiting_for_a_commit)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_group g = rig_group(r, "setpoints");
	struct dsm_frame *frame;
	struct dsm_stats stats;
	pthread_t thread;
	ok(dsm_frame_new(r, g, &frame));
	fails(dsm_wait(r, g, 0, 0, frame), -ETIMEDOUT);
	fails(dsm_wait(r, g, 0, 30, frame), -ETIMEDOUT);
	pthread_create(&thread, NULL, write_later, w);
	ok(dsm_wait(r, g, 0, 20000, frame));
	pthread_join(thread, NULL);
	cr_assert_eq(frame_f64(r, frame, "setpoints.rop"), 77);
	ok(dsm_stats(r, &stats));
	cr_assert(stats.waits > 0 && stats.waits < 100, "waits: %llu", (unsigned long long)stats.waits);
	dsm_frame_free(&frame);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(waiting_on_a_bank_that_a_network_may_write)
{
	struct dsm *w = rig_attach(rig, "remote", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_group g = rig_group(r, "remote");
	struct dsm_frame *frame;
	ok(dsm_frame_new(r, g, &frame));
	for (uint64_t i = 1; i <= 20; i++) {
		ok(dsm_begin(w, 0));
		ok(dsm_set_u64(w, rig_cell(w, "remote.v"), i));
		ok(dsm_set_u64(w, rig_cell(w, "remote.w"), ~i));
		ok(dsm_commit(w, NULL));
		struct dsm_sample v, inverse;
		ok(dsm_wait(r, g, i - 1, 5000, frame));
		ok(dsm_frame_read(frame, rig_cell(r, "remote.v"), &v));
		ok(dsm_frame_read(frame, rig_cell(r, "remote.w"), &inverse));
		cr_assert_eq(v.value.u64, i);
		cr_assert_eq(inverse.value.u64, ~i);
	}
	dsm_frame_free(&frame);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(a_cursor_sees_every_commit_or_says_how_many_not)
{
	struct dsm *w = rig_attach(rig, "operator", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_group g = rig_group(r, "setpoints"); /* K = 8 */
	struct dsm_cursor *c;
	struct dsm_frame *frame;
	uint64_t lost = 1;
	ok(dsm_frame_new(r, g, &frame));
	ok(dsm_cursor_open(r, g, 0, &c));
	fails(dsm_next(c, frame, &lost), -EAGAIN);
	for (int i = 1; i <= 6; i++)
		rig_write_f64(w, "setpoints.rop", i);
	for (int i = 1; i <= 6; i++) {
		ok(dsm_next(c, frame, &lost));
		cr_assert_eq(lost, 0);
		cr_assert_eq(frame_f64(r, frame, "setpoints.rop"), i);
		cr_assert_eq(dsm_cursor_seq(c), (uint64_t)i);
	}
	fails(dsm_next(c, frame, &lost), -EAGAIN);
	for (int i = 7; i <= 30; i++)
		rig_write_f64(w, "setpoints.rop", i);
	ok(dsm_next(c, frame, &lost));
	cr_assert(lost >= 16 && lost <= 17, "lost %llu", (unsigned long long)lost);
	cr_assert_eq(frame_f64(r, frame, "setpoints.rop"), (double)(7 + lost));
	uint64_t seen = 1;
	while (dsm_next(c, frame, &lost) == 0) {
		seen++;
		cr_assert_eq(lost, 0);
	}
	cr_assert(seen >= 7 && seen <= 8);
	dsm_cursor_close(&c);
	dsm_cursor_close(&c);
	dsm_frame_free(&frame);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(lending_and_borrowing)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct dsm_cell in = rig_cell(w, "big.data"), out = rig_cell(r, "big.data");
	struct dsm_sample s;
	uint64_t capacity, bytes;
	void *data;
	const void *seen;
	fails(dsm_loan(w, rig_cell(w, "sensors.a.x"), &data, &capacity), -EINVAL);
	fails(dsm_publish(w, 1, 0), -ENOTCONN);
	fails(dsm_borrow(r, out, &seen, &bytes, &s), -ENODATA);
	for (int i = 1; i <= 5; i++) {
		ok(dsm_loan(w, in, &data, &capacity));
		cr_assert_eq(capacity, 1u << 20);
		cr_assert_eq((uintptr_t)data % 64, 0);
		fails(dsm_begin(w, 0), -EBUSY);
		fails(dsm_publish(w, capacity + 1, 0), -EMSGSIZE);
		memset(data, i, 1000);
		ok(dsm_publish(w, 1000, 0));
		ok(dsm_borrow(r, out, &seen, &bytes, &s));
		cr_assert_eq(s.flags, 0);
		cr_assert_eq(bytes, 1000);
		cr_assert_eq(((const unsigned char *)seen)[999], i);
		fails(dsm_borrow(r, out, &seen, &bytes, &s), -EBUSY);
		ok(dsm_return(r));
	}
	ok(dsm_borrow(r, out, &seen, &bytes, &s)); /* K = 2: two commits later it is overwritten */
	for (int i = 0; i < 2; i++) {
		ok(dsm_loan(w, in, &data, &capacity));
		memset(data, 77, 1000);
		ok(dsm_publish(w, 1000, 0));
	}
	/* in place: it says so; a copy that was fetched is still what it was */
	int rc = dsm_return(r);
	cr_assert(rc == (rig_is_network(rig) ? 0 : -EAGAIN), "%d: %s", rc, dsm_error());
	if (rc == 0)
		cr_assert_eq(((const unsigned char *)seen)[999], 5);
	dsm_detach(&w);
	dsm_detach(&r);
}
