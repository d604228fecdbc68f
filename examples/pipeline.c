/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of stages that loses nothing: each stage follows the one before it commit by
 * commit with a cursor, and commits its result and the count of what it has taken as one step.
 * Back-pressure: the ring of a group holds its last SLOTS commits, so a stage commits number
 * n only when the next one has taken n - SLOTS. Stage 2 is slow now and then; the ones before
 * it wait for it, asleep.
 *
 * Run:  pipeline [ITEMS]      (default: 20000 items through 4 stages)
 */
#include <errno.h>

#include "common.h"

enum { STAGES = 4, SLOTS = 16, LAST = STAGES - 1 };

static uint64_t items;

static const char *cell_name(char *buf, size_t size, const char *group, int stage, const char *cell)
{
	snprintf(buf, size, "%s%d%s", group, stage, cell);
	return buf;
}

/* The next commit of the stage before; sleeps until there is one. */
static uint64_t take(struct dsm *dsm, struct dsm_cursor *cursor, struct dsm_group group,
	struct dsm_cell cell, struct dsm_frame *frame)
{
	struct dsm_sample sample;
	uint64_t lost = 0;
	int result;

	while ((result = dsm_next(cursor, frame, &lost)) == -EAGAIN)
		check(dsm_wait(dsm, group, dsm_cursor_seq(cursor), PATIENCE_MS, frame), "dsm_wait");
	check(result, "dsm_next");
	if (lost != 0) {
		fprintf(stderr, "%lu items were lost\n", (unsigned long)lost);
		exit(1);
	}
	check(dsm_frame_read(frame, cell, &sample), "dsm_frame_read");
	return sample.value.u64;
}

static int stage(const char *uri, int number)
{
	char text[32];
	struct dsm *dsm = play_attach(uri, cell_name(text, sizeof text, "stage", number, ""), 0);
	struct dsm_cell taken = find_cell(dsm, cell_name(text, sizeof text, "took", number, ".count"));
	struct dsm_cell out = find_cell(dsm, cell_name(text, sizeof text, "out", number, ".item"));
	struct dsm_group before = { 0 }, after = { 0 };
	struct dsm_cell in = { 0 }, room = { 0 };
	struct dsm_frame *frame = NULL, *room_frame = NULL;
	struct dsm_cursor *cursor = NULL;

	if (number > 0) {
		before = find_group(dsm, cell_name(text, sizeof text, "out", number - 1, ""));
		in = find_cell(dsm, cell_name(text, sizeof text, "out", number - 1, ".item"));
		frame = new_frame(dsm, before);
		check(dsm_cursor_open(dsm, before, 0, &cursor), "dsm_cursor_open");
	}
	if (number < LAST) {
		after = find_group(dsm, cell_name(text, sizeof text, "took", number + 1, ""));
		room = find_cell(dsm, cell_name(text, sizeof text, "took", number + 1, ".count"));
		room_frame = new_frame(dsm, after);
	}
	for (uint64_t n = 1; n <= items; n++) {
		uint64_t item = number == 0 ? n * 100 : take(dsm, cursor, before, in, frame) + 1;
		if (number == 2 && n % 256 == 0)
			usleep(2000);
		if (number < LAST && n > SLOTS)
			await_u64(dsm, after, room, n - SLOTS, room_frame);
		if (item != n * 100 + (uint64_t)number) {
			fprintf(stderr, "stage %d: item %lu came as %lu\n", number, (unsigned long)n,
				(unsigned long)item);
			return 1;
		}
		check(dsm_begin(dsm, 0), "dsm_begin");
		check(dsm_set_u64(dsm, out, item), "dsm_set_u64");
		check(dsm_set_u64(dsm, taken, n), "dsm_set_u64");
		check(dsm_commit(dsm, NULL), "dsm_commit");
	}
	dsm_cursor_close(&cursor);
	dsm_frame_free(&frame);
	dsm_frame_free(&room_frame);
	dsm_detach(&dsm);
	return 0;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table;
	char owner[32], group[32];

	items = (uint64_t)argument(argc, argv, 1, 20000, 1, 1000000000);
	play_new(&play, "pipeline");
	check(dsm_table_new("pipeline", &table), "dsm_table_new");
	for (int i = 0; i < STAGES; i++) {
		play_cast(&play, stage, i);
		add_owner(table, cell_name(owner, sizeof owner, "stage", i, ""));
		add_group(table, owner, cell_name(group, sizeof group, "out", i, ""), SLOTS);
		add_cell(table, group, "item", DSM_U64, 1);
		add_group(table, owner, cell_name(group, sizeof group, "took", i, ""), 4);
		add_cell(table, group, "count", DSM_U64, 1);
	}
	play_open(&play, &table);
	uint64_t start = monotonic_ns();
	play_start(&play);
	int failed = play_end(&play);
	printf("%lu items through %d stages in %.2f s, %s\n", (unsigned long)items, STAGES,
		(double)(monotonic_ns() - start) / 1e9,
		failed == 0 ? "in order, none lost" : "and something went wrong");
	return failed != 0;
}
