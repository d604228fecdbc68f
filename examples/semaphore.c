/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded semaphore in one cell: "free" counts the free places. To enter: dsm_add(-1) with
 * floor 0; to leave: dsm_add(+1). The floor makes it a semaphore: the engine applies an add
 * whole or, below the floor, not at all (-ERANGE). Who finds no place sleeps in dsm_wait()
 * until the group is committed again.
 *
 * Run:  semaphore [ROUNDS [WORKERS [PLACES]]]      (default: 300 rounds, 6 workers, 2 places)
 */
#include <errno.h>
#include <stdatomic.h>

#include "common.h"

struct book {
	atomic_int inside, most;
	atomic_long entries;
};

static long rounds, places;
static struct book *book; /* the judge's: what really happened */

struct semaphore {
	struct dsm *dsm;
	struct dsm_group group;
	struct dsm_cell free;
	struct dsm_frame *frame;
};

static void enter(struct semaphore *semaphore)
{
	const struct dsm_value minus_one = { .type = DSM_I64, .len = 1, .i64 = -1 };
	const struct dsm_bounds bounds = { .flags = DSM_HAS_MIN,
		.floor = { .type = DSM_I64, .len = 1, .i64 = 0 } };
	struct dsm_frame_info seen;
	struct dsm_value before;

	for (;;) {
		/* first look, then try: a place freed in between ends the wait at once */
		check(dsm_snapshot(semaphore->dsm, semaphore->group, semaphore->frame), "dsm_snapshot");
		check(dsm_frame_info(semaphore->frame, &seen), "dsm_frame_info");
		int result = dsm_add(semaphore->dsm, semaphore->free, &minus_one, &bounds,
			PATIENCE_MS, &before);
		if (result != -ERANGE) {
			check(result, "dsm_add");
			return;
		}
		check(dsm_wait(semaphore->dsm, semaphore->group, seen.seq, PATIENCE_MS,
			semaphore->frame), "dsm_wait");
	}
}

static void leave(struct semaphore *semaphore)
{
	const struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 };
	struct dsm_value before;

	check(dsm_add(semaphore->dsm, semaphore->free, &one, NULL, PATIENCE_MS, &before), "dsm_add");
}

static int worker(const char *uri, int number)
{
	struct semaphore semaphore = { .dsm = play_attach(uri, NULL, 0) };

	semaphore.group = find_group(semaphore.dsm, "gate");
	semaphore.free = find_cell(semaphore.dsm, "gate.free");
	semaphore.frame = new_frame(semaphore.dsm, semaphore.group);
	for (long i = 0; i < rounds; i++) {
		enter(&semaphore);
		int inside = atomic_fetch_add(&book->inside, 1) + 1;
		int most = atomic_load(&book->most);
		while (inside > most && !atomic_compare_exchange_weak(&book->most, &most, inside))
			;
		atomic_fetch_add(&book->entries, 1);
		usleep((unsigned)(number * 37 % 100)); /* the work that needs a place */
		atomic_fetch_sub(&book->inside, 1);
		leave(&semaphore);
	}
	dsm_frame_free(&semaphore.frame);
	dsm_detach(&semaphore.dsm);
	return 0;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table;
	struct dsm_value before;

	rounds = argument(argc, argv, 1, 300, 1, 1000000);
	long workers = argument(argc, argv, 2, 6, 1, PLAYERS_MAX);
	places = argument(argc, argv, 3, 2, 1, 1000000);
	book = judges_book(sizeof *book);
	play_new(&play, "semaphore");
	for (int i = 0; i < workers; i++)
		play_cast(&play, worker, i);
	check(dsm_table_new("semaphore", &table), "dsm_table_new");
	add_group(table, "engine", "gate", 4);
	add_cell(table, "gate", "free", DSM_I64, 1);
	play_open(&play, &table);

	struct dsm *dsm = play_attach(play.uri, NULL, 0);
	const struct dsm_value all = { .type = DSM_I64, .len = 1, .i64 = places };
	check(dsm_add(dsm, find_cell(dsm, "gate.free"), &all, NULL, PATIENCE_MS, &before), "dsm_add");
	dsm_detach(&dsm);
	play_start(&play);
	int failed = play_end(&play);
	printf("%ld entries by %ld workers, at most %d inside at once of %ld places\n",
		atomic_load(&book->entries), workers, atomic_load(&book->most), places);
	return failed != 0 || atomic_load(&book->most) > places ||
		atomic_load(&book->entries) != rounds * workers;
}
