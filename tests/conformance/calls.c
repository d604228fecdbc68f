/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: what the calls of the hot paths do not do. */
#include <dsm/batch.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/allocations.h"
#include "rows.h"

#define ROUNDS 200
#define TRIES 5

struct hands {
	struct dsm *reader, *owner;
	struct dsm_cell rop, count, v;
	struct dsm_group groups[2];
	struct dsm_frame *frames[2], *followed;
	uint64_t since[2];
	struct dsm_cursor *cursor;
};

static void take_hands(struct rig *rig, struct hands *h)
{
	h->reader = rig_attach(rig, NULL, 0);
	h->owner = rig_attach(rig, "remote", 0);
	h->rop = rig_cell(h->reader, "drilling.rop");
	h->count = rig_cell(h->reader, "drilling.count");
	h->v = rig_cell(h->owner, "remote.v");
	h->groups[0] = rig_group(h->reader, "sensors.a");
	h->groups[1] = rig_group(h->reader, "sensors.b");
	for (int i = 0; i < 2; i++)
		ok(dsm_frame_new(h->reader, h->groups[i], &h->frames[i]));
	ok(dsm_frame_new(h->reader, rig_group(h->reader, "remote"), &h->followed));
	ok(dsm_cursor_open(h->reader, rig_group(h->reader, "remote"), 0, &h->cursor));
}

/* An injected fault may make each of them fail; that must allocate nothing, too. */
static void call_all(struct hands *h, uint64_t i)
{
	struct dsm_sample sample;
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, previous;
	uint64_t step, lost, ticket, changed;
	dsm_read(h->reader, h->rop, &sample);
	for (int g = 0; g < 2; g++)
		dsm_snapshot(h->reader, h->groups[g], h->frames[g]);
	dsm_snapshot_step(h->reader, h->groups, 2, h->frames, &step);
	if (dsm_read_begin(h->reader, h->groups, h->frames, 2, &ticket) == 0)
		dsm_read_end(h->reader, ticket);
	if (dsm_begin(h->owner, 0) == 0) {
		dsm_set_u64(h->owner, h->v, i);
		dsm_commit(h->owner, NULL);
	}
	dsm_next(h->cursor, h->followed, &lost);
	dsm_wait(h->reader, h->groups[0], 0, 0, h->frames[0]);
	dsm_wait_any(h->reader, h->groups, h->since, 2, i % 8 == 0, &changed);
	dsm_add(h->reader, h->count, &one, NULL, 5000, &previous);
}

/* The library's thread runs, and has its name: to start it allocates, in a sanitized build in the thread itself. */
static bool thread_runs(void)
{
	DIR *tasks = opendir("/proc/self/task");
	bool runs = false;
	for (struct dirent *e; tasks && !runs && (e = readdir(tasks)) != NULL;) {
		char path[300], name[17] = "";
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "r");
		runs = f && fscanf(f, "%16s", name) == 1 && strcmp(name, "dsm") == 0;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return runs;
}

static uint64_t reattached(const struct hands *h)
{
	struct dsm_stats reader = { 0 }, owner = { 0 };
	dsm_stats(h->reader, &reader);
	dsm_stats(h->owner, &owner);
	return reader.reattaches + owner.reattaches;
}

CONFORMANCE(no_call_after_the_attach_allocates)
{
	struct hands h = { 0 };
	rig_elsewhere(rig); /* the engine's own are no business of this */
	take_hands(rig, &h);
	uint64_t before, during, renewed;
	unsigned tries = 0;
	for (int i = 0; i < 2000 && !thread_runs(); i++)
		usleep(10000);
	cr_assert(thread_runs());
	do { /* a busy machine may lose a connection; the attach that follows allocates */
		renewed = reattached(&h);
		before = allocations();
		for (uint64_t i = 1; i <= ROUNDS; i++)
			call_all(&h, i);
		during = allocations() - before;
	} while (during && reattached(&h) != renewed && ++tries < TRIES);
	cr_expect_eq(during, 0u, "%llu allocations in %d rounds", (unsigned long long)during, ROUNDS);
	/* the counter counts: an attach does allocate */
	before = allocations();
	struct dsm *another = rig_attach(rig, NULL, 0);
	cr_expect_gt(allocations(), before);
	dsm_detach(&another);
	dsm_cursor_close(&h.cursor);
	dsm_frame_free(&h.followed);
	for (int i = 0; i < 2; i++)
		dsm_frame_free(&h.frames[i]);
	dsm_detach(&h.owner);
	dsm_detach(&h.reader);
}
