/* SPDX-License-Identifier: Apache-2.0 */
/* Reads all groups of the rig's sensors as of one step, again and again while a log is replayed: each
 * time they are of one row. Usage: rig_frames URI ROWS. Ends with 0 once ROWS rows were seen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <dsm/dsm.h>

#define GROUPS 6u
#define ROUNDS 20000u /* of a millisecond */

static const char *const names[GROUPS] = { "status", "hoisting", "rotary", "mud", "survey", "drilling" };

static int fail(const char *what)
{
	fprintf(stderr, "rig_frames: %s: %s\n", what, dsm_error());
	return 1;
}

/* 0, or what was wrong with this step. */
static const char *look(struct dsm_frame *const *frames, uint64_t step)
{
	struct dsm_frame_info info[GROUPS];
	for (unsigned i = 0; i < GROUPS; i++)
		if (dsm_frame_info(frames[i], &info[i]))
			return "an empty frame";
	for (unsigned i = 0; i < GROUPS; i++)
		if (info[i].step != step || info[i].time_ns != info[0].time_ns)
			return "groups of two rows in one step";
	return NULL;
}

int main(int argc, char **argv)
{
	struct dsm *dsm = NULL;
	struct dsm_group groups[GROUPS];
	struct dsm_frame *frames[GROUPS] = { 0 };
	uint64_t last = 0, step = 0;
	unsigned rows = 0, wanted = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	if (wanted == 0 || dsm_attach(argv[1], NULL, &dsm))
		return fail("attach");
	for (unsigned i = 0; i < GROUPS; i++)
		if (dsm_group(dsm, names[i], &groups[i]) || dsm_frame_new(dsm, groups[i], &frames[i]))
			return fail(names[i]);
	for (unsigned i = 0; i < ROUNDS && rows < wanted; i++, usleep(1000)) {
		int rc = dsm_snapshot_step(dsm, groups, GROUPS, frames, &step);
		if (rc == -EAGAIN)
			continue;
		if (rc)
			return fail("snapshot");
		if (step == 0 || step == last)
			continue;
		const char *wrong = look(frames, step);
		if (wrong) {
			fprintf(stderr, "rig_frames: step %llu: %s\n", (unsigned long long)step, wrong);
			return 1;
		}
		last = step;
		rows++;
	}
	printf("%u rows, each of one step in %u groups\n", rows, GROUPS);
	for (unsigned i = 0; i < GROUPS; i++)
		dsm_frame_free(&frames[i]);
	dsm_detach(&dsm);
	return rows == wanted ? 0 : 1;
}
