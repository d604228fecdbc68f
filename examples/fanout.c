/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-out: each task goes to exactly one worker. A worker draws a ticket by dsm_add() on a
 * counter cell; ticket t is task t, which stands in place t mod PLACES of a board of cells.
 * Back-pressure: a place is written again only when its last task was taken, which its worker
 * says by adding to a counter of the place. No worker knows of another; nobody polls.
 *
 * Run:  fanout [TASKS [WORKERS]]      (default: 2000 tasks, 4 workers)
 */
#include <errno.h>
#include <stdatomic.h>

#include "common.h"

enum { PLACES = 16 };

static long tasks;
static atomic_uint *runs; /* the judge's book: how often each task was run */

static struct dsm_cell place_cell(struct dsm *dsm, const char *group, uint64_t task)
{
	char name[32];
	snprintf(name, sizeof name, "%s.place%u", group, (unsigned)(task % PLACES));
	return find_cell(dsm, name);
}

static int producer(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, "producer", 0);
	struct dsm_group taken = find_group(dsm, "taken");
	struct dsm_frame *frame = new_frame(dsm, taken);

	for (uint64_t task = 0; task < (uint64_t)tasks; task++) {
		struct dsm_value value = u64_value(task + 1);
		await_u64(dsm, taken, place_cell(dsm, "taken", task), task / PLACES, frame);
		check(dsm_write(dsm, place_cell(dsm, "board", task), &value), "dsm_write");
	}
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return number;
}

static int worker(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, NULL, 0);
	struct dsm_group board = find_group(dsm, "board");
	struct dsm_cell next = find_cell(dsm, "desk.next");
	struct dsm_frame *frame = new_frame(dsm, board);
	const struct dsm_value one = u64_value(1);
	const struct dsm_bounds bounds = { .flags = DSM_HAS_MAX, .ceil = u64_value((uint64_t)tasks) };
	struct dsm_value ticket, before;
	long done = 0;

	for (;;) {
		int result = dsm_add(dsm, next, &one, &bounds, PATIENCE_MS, &ticket);
		if (result == -ERANGE)
			break; /* all tickets are gone */
		check(result, "dsm_add");
		await_u64(dsm, board, place_cell(dsm, "board", ticket.u64), ticket.u64 + 1, frame);
		check(dsm_add(dsm, place_cell(dsm, "taken", ticket.u64), &one, NULL, PATIENCE_MS,
			&before), "dsm_add");
		atomic_fetch_add(&runs[ticket.u64], 1); /* the task itself */
		done++;
	}
	printf("worker %d ran %ld tasks\n", number, done);
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return 0;
}

static struct dsm_table *make_table(void)
{
	struct dsm_table *table;
	char name[32];

	check(dsm_table_new("fanout", &table), "dsm_table_new");
	add_owner(table, "producer");
	add_group(table, "producer", "board", 4);
	add_group(table, "engine", "taken", 4); /* the engine applies adds to its own groups */
	add_group(table, "engine", "desk", 4);
	add_cell(table, "desk", "next", DSM_U64, 1);
	for (int place = 0; place < PLACES; place++) {
		snprintf(name, sizeof name, "place%d", place);
		add_cell(table, "board", name, DSM_U64, 1);
		add_cell(table, "taken", name, DSM_U64, 1);
	}
	return table;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table = make_table();
	long lost = 0, twice = 0;

	tasks = argument(argc, argv, 1, 2000, 1, 10000000);
	long workers = argument(argc, argv, 2, 4, 1, PLAYERS_MAX - 1);
	runs = judges_book((size_t)tasks * sizeof *runs);
	play_new(&play, "fanout");
	play_cast(&play, producer, 0);
	for (int i = 1; i <= workers; i++)
		play_cast(&play, worker, i);
	play_open(&play, &table);
	play_start(&play);
	int failed = play_end(&play);
	for (long task = 0; task < tasks; task++) {
		lost += atomic_load(&runs[task]) == 0;
		twice += atomic_load(&runs[task]) > 1;
	}
	printf("%ld tasks, %ld workers: %ld lost, %ld run twice\n", tasks, workers, lost, twice);
	return failed != 0 || lost != 0 || twice != 0;
}
