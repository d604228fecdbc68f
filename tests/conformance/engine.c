/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: nobody asks the engine's processor for a value. While its process is stopped,
 * reads and commits go on, and liveness says what is so. */
#include <errno.h>
#include <unistd.h>

#include "common/packets.h"
#include "rows.h"

#define READS 200

static bool flags_become(struct dsm *dsm, struct dsm_cell cell, uint8_t mask, uint8_t flags)
{
	struct dsm_sample s;
	for (int i = 0; i < 1000; i++) {
		ok(dsm_read(dsm, cell, &s));
		if ((s.flags & mask) == flags)
			return true;
		usleep(10000);
	}
	return false;
}

CONFORMANCE(reads_need_no_engine)
{
	rig_elsewhere(rig);
	struct dsm *r = rig_attach(rig, NULL, 0);
	const struct fixture_value values[] = {
		{ "drilling.rop", { .type = DSM_F64, .len = 1, .f64 = 41 } },
		{ "drilling.wave", { .type = DSM_F64_ARRAY, .len = 4, .f64s = (double[]){ 1, 2, 3, 4 } } },
	};
	struct dsm_cell rop = rig_cell(r, "drilling.rop"), wave = rig_cell(r, "drilling.wave");
	struct dsm_sample s;
	ok(place_commit(&rig->place, 0, values, 2));
	for (int stopped = 0; stopped < 2; stopped++) { /* the same reads, first with it */
		uint64_t before = packets_sent();
		if (stopped)
			ok(place_stop(&rig->place));
		for (int i = 0; i < READS; i++) {
			cr_assert_eq(rig_read_f64(r, "drilling.rop"), 41);
			ok(dsm_read(r, wave, &s));
			cr_assert_eq(s.value.f64s[3], 4);
		}
		if (rig_is_rdma(rig)) /* a request at least went out for each */
			cr_assert_geq(packets_sent() - before, 2 * READS, "%d reads, %llu packets", 2 * READS,
				(unsigned long long)(packets_sent() - before));
	}
	cr_assert(flags_become(r, rop, DSM_STALE_ENGINE, DSM_STALE_ENGINE));
	ok(place_continue(&rig->place));
	cr_assert(flags_become(r, rop, 0xff, 0));
	struct dsm_status status;
	ok(dsm_status(r, &status));
	cr_assert_eq(status.reattached, 0, "the connection was lost: %llu",
		(unsigned long long)status.reattached);
	dsm_detach(&r);
}

/* Over udp the engine itself writes: without it a commit says so, in time, and the owner is back when
 * it is. */
static void commits_need_the_engine(struct rig *rig, struct dsm *w, struct dsm *r)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 2 };
	struct dsm_cell x = rig_cell(w, "sensors.a.x");
	int rc = -ENOTCONN;
	rig_write_f64(w, "sensors.a.x", 1);
	cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 1);
	ok(place_stop(&rig->place));
	fails(dsm_write(w, x, &v), -ENOTCONN);
	cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 1); /* what it was, and marked */
	cr_assert(flags_become(r, rig_cell(r, "sensors.a.x"), DSM_STALE_ENGINE, DSM_STALE_ENGINE));
	ok(place_continue(&rig->place));
	v.f64 = 3;
	for (int i = 0; i < 1000 && (rc = dsm_write(w, x, &v)) != 0; i++)
		usleep(10000);
	ok(rc);
	cr_assert(flags_become(r, rig_cell(r, "sensors.a.x"), 0xff, 0));
	cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 3);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(commits_need_no_engine)
{
	rig_elsewhere(rig);
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	if (rig_is_udp(rig)) {
		commits_need_the_engine(rig, w, r);
		return;
	}
	struct dsm_group groups[2] = { rig_group(r, "sensors.a"), rig_group(r, "sensors.b") };
	struct dsm_frame *frames[2];
	struct dsm_sample s;
	uint64_t step, done;
	ok(dsm_frame_new(r, groups[0], &frames[0]));
	ok(dsm_frame_new(r, groups[1], &frames[1]));
	rig_write_f64(w, "sensors.a.x", 0);
	ok(place_stop(&rig->place));
	for (int i = 1; i <= 50; i++) {
		ok(dsm_begin(w, 0));
		ok(dsm_set_f64(w, rig_cell(w, "sensors.a.x"), i));
		ok(dsm_set_f64(w, rig_cell(w, "sensors.b.y"), -i));
		ok(dsm_commit(w, &done));
		cr_assert_eq(rig_read_f64(r, "sensors.a.x"), i);
		ok(dsm_snapshot_step(r, groups, 2, frames, &step));
		cr_assert_eq(step, done);
		ok(dsm_frame_read(frames[1], rig_cell(r, "sensors.b.y"), &s));
		cr_assert_eq(s.value.f64, -i);
	}
	ok(place_continue(&rig->place));
	cr_assert(flags_become(r, rig_cell(r, "sensors.a.x"), 0xff, 0)); /* and it is owner still */
	rig_write_f64(w, "sensors.a.x", 99);
	cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 99);
	dsm_frame_free(&frames[0]);
	dsm_frame_free(&frames[1]);
	dsm_detach(&w);
	dsm_detach(&r);
}
