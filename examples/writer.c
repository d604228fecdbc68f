/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner that commits cells of two groups as one step, ten times a second, and, in the same
 * program, the engine that holds them: a simulation that is its own engine.
 * A reader sees both groups of one step, or of the step before; never a mix.
 *
 * Run:  writer [NAME [STEPS]]       (default: a private name, 50 steps: 5 s)
 * and, while it runs:  attach_read NAME pump.pressure
 */
#include <math.h>

#include "common.h"

#define STEP_NS 100000000L

static struct dsm_table *make_table(void)
{
	struct dsm_table *table;
	check(dsm_table_new("writer", &table), "dsm_table_new");
	add_owner(table, "plant");
	add_group(table, "plant", "pump", 4);
	add_cell(table, "pump", "strokes", DSM_F64, 1);
	add_cell(table, "pump", "pressure", DSM_F64, 1);
	add_cell(table, "pump", "running", DSM_BOOL, 1);
	add_group(table, "plant", "flow", 4);
	add_cell(table, "flow", "out", DSM_F64, 1);
	add_cell(table, "flow", "step", DSM_U64, 1);
	return table;
}

/* One step of the plant: begin, set what changed, commit. */
static void write_step(struct dsm *dsm, uint64_t step)
{
	double strokes = 60.0 + 5.0 * sin((double)step / 10.0);

	check(dsm_begin(dsm, 0), "dsm_begin");
	check(dsm_set_f64(dsm, find_cell(dsm, "pump.strokes"), strokes), "pump.strokes");
	check(dsm_set_f64(dsm, find_cell(dsm, "pump.pressure"), strokes * strokes / 12.0),
		"pump.pressure");
	check(dsm_set_bool(dsm, find_cell(dsm, "pump.running"), true), "pump.running");
	check(dsm_set_f64(dsm, find_cell(dsm, "flow.out"), strokes * 7.0), "flow.out");
	check(dsm_set_u64(dsm, find_cell(dsm, "flow.step"), step), "flow.step");
	check(dsm_commit(dsm, NULL), "dsm_commit");
}

/* What a reader sees of both groups must be of one step: flow.out = 7 pump.strokes. */
static bool reads_one_step(struct dsm *dsm, struct dsm_frame *const frames[2])
{
	const struct dsm_group groups[2] = { find_group(dsm, "pump"), find_group(dsm, "flow") };
	struct dsm_sample strokes, out;

	check(dsm_snapshot_step(dsm, groups, 2, frames, NULL), "dsm_snapshot_step");
	check(dsm_frame_read(frames[0], find_cell(dsm, "pump.strokes"), &strokes), "strokes");
	check(dsm_frame_read(frames[1], find_cell(dsm, "flow.out"), &out), "flow.out");
	return fabs(out.value.f64 - 7.0 * strokes.value.f64) < 1e-9;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table = make_table();
	struct timespec next;
	long steps = argument(argc, argv, 2, 50, 1, 1000000000);
	long mixed = 0;

	play_new(&play, "writer");
	if (argc > 1)
		snprintf(play.uri, sizeof play.uri, "shm://%s", argv[1]);
	play_open(&play, &table);
	struct dsm *plant = play_attach(play.uri, "plant", 0);
	struct dsm *reader = play_attach(play.uri, NULL, 0);
	struct dsm_frame *frames[2] = { new_frame(reader, find_group(reader, "pump")),
		new_frame(reader, find_group(reader, "flow")) };

	printf("engine %s: %ld steps, 10 a second\n", play.uri, steps);
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long step = 1; step <= steps; step++) {
		write_step(plant, (uint64_t)step);
		mixed += !reads_one_step(reader, frames);
		next.tv_sec += (next.tv_nsec + STEP_NS) / 1000000000L;
		next.tv_nsec = (next.tv_nsec + STEP_NS) % 1000000000L;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	printf("%ld steps written and read back, %ld of them mixed\n", steps, mixed);
	dsm_frame_free(&frames[0]);
	dsm_frame_free(&frames[1]);
	dsm_detach(&reader);
	dsm_detach(&plant);
	play_end(&play);
	return mixed != 0;
}
