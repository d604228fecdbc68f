/* SPDX-License-Identifier: Apache-2.0 */
/* Many handles in the threads of one process, beside the engine's own threads and the library's:
 * an owner commits two groups a step, others read, follow, wait, add, come and go. Must be
 * silent under TSan; and what is read must be whole, in order, and add up. */
#include <dsm/batch.h>
#include <dsm/engine.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "plain.h"

#define CELLS 8u
#define SECONDS 4u

static char uri[80];
static atomic_bool stop;
static atomic_ullong counted[8], commits, added;
enum { READS, SNAPSHOTS, STEPS, FOLLOWED, LOST, WAITS, COMINGS };

static int make_table(struct dsm_table **out)
{
	static const struct dsm_owner_spec owners[] = { { "plant", false, "*" }, { "far", true, "*" } };
	static const struct dsm_group_spec groups[] = {
		{ "plant", "a", "", 4, 0, false }, { "plant", "b", "", 2, 0, false },
		{ "engine", "shop", "", 0, 0, false }, { "far", "f", "", 4, 0, false },
	};
	char name[16];
	int rc = dsm_table_new("tsan", out);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = dsm_table_owner(*out, &owners[i]);
	for (unsigned g = 0; rc == 0 && g < 4; g++) {
		rc = dsm_table_group(*out, &groups[g]);
		for (unsigned c = 0; rc == 0 && c < CELLS; c++) {
			snprintf(name, sizeof(name), "c%u", c);
			struct dsm_cell_spec cell = { .group = groups[g].name, .name = name, .type = DSM_U64,
				.unit = "", .description = "", .precision = -1 };
			rc = dsm_table_cell(*out, &cell);
		}
	}
	return rc;
}

static struct dsm *attach(const char *owner)
{
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	o.owner = owner;
	o.attach_timeout_ms = 20000;
	o.call_timeout_ms = 20000;
	o.tries = 1000000;
	return expect(dsm_attach(uri, &o, &dsm) == 0, "attach: %s", dsm_error()) ? dsm : NULL;
}

static void cells_of(struct dsm *dsm, const char *group, struct dsm_cell *out)
{
	char name[32];
	for (unsigned i = 0; i < CELLS; i++) {
		snprintf(name, sizeof(name), "%s.c%u", group, i);
		expect(dsm_cell(dsm, name, &out[i]) == 0, "%s: %s", name, dsm_error());
	}
}

/* ---- owners ---- */

static void *run_owner(void *role)
{
	struct dsm *dsm = attach(role);
	struct dsm_cell a[CELLS], b[CELLS];
	bool far = *(const char *)role == 'f';
	if (!dsm)
		return NULL;
	cells_of(dsm, far ? "f" : "a", a);
	cells_of(dsm, far ? "f" : "b", b);
	for (uint64_t n = 1; !atomic_load(&stop); n++) {
		int rc = dsm_begin(dsm, 0);
		for (unsigned i = 0; rc == 0 && i < CELLS; i++)
			rc = dsm_set_u64(dsm, a[i], n);
		for (unsigned i = 0; rc == 0 && !far && i < CELLS; i++)
			rc = dsm_set_u64(dsm, b[i], n);
		if (rc == 0)
			rc = dsm_commit(dsm, NULL);
		if (!expect(rc == 0, "commit: %s", dsm_error()))
			break;
		atomic_fetch_add(&commits, 1);
		if (n % 64 == 0)
			plain_sleep_ms(1);
	}
	dsm_detach(&dsm);
	return NULL;
}

/* ---- readers ---- */

/* All cells of a frame are equal; returns their value. */
static uint64_t value_of(const struct dsm_frame *frame, const struct dsm_cell *cells)
{
	struct dsm_sample s;
	uint64_t first = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		if (!expect(dsm_frame_read(frame, cells[i], &s) == 0, "frame: %s", dsm_error()))
			return 0;
		if (i == 0)
			first = s.value.u64;
		else
			expect(s.value.u64 == first, "torn: %llu beside %llu",
				(unsigned long long)s.value.u64, (unsigned long long)first);
	}
	return first;
}

static void *run_reader(void *group)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cells[CELLS];
	struct dsm_group g;
	struct dsm_frame *frame = NULL;
	struct dsm_event event;
	uint64_t floor = 0;
	if (!dsm)
		return NULL;
	cells_of(dsm, group, cells);
	if (!expect(dsm_group(dsm, group, &g) == 0 && dsm_frame_new(dsm, g, &frame) == 0, "%s", dsm_error()))
		return NULL;
	while (!atomic_load(&stop)) {
		struct dsm_sample s;
		int rc = dsm_read(dsm, cells[floor % CELLS], &s);
		if (expect(rc == 0, "read: %s", dsm_error()))
			expect(s.value.u64 >= floor, "backwards");
		rc = dsm_snapshot(dsm, g, frame);
		if (expect(rc == 0, "snapshot: %s", dsm_error())) {
			uint64_t value = value_of(frame, cells);
			expect(value >= floor, "backwards: %llu after %llu", (unsigned long long)value,
				(unsigned long long)floor);
			floor = value;
		}
		while (dsm_next_event(dsm, &event) == 0)
			;
		atomic_fetch_add(&counted[READS], 1);
		atomic_fetch_add(&counted[SNAPSHOTS], 1);
	}
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return NULL;
}

static void *run_steps(void *unused)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell a[CELLS], b[CELLS];
	struct dsm_group g[2];
	struct dsm_frame *frames[2] = { 0 };
	(void)unused;
	if (!dsm)
		return NULL;
	cells_of(dsm, "a", a);
	cells_of(dsm, "b", b);
	dsm_group(dsm, "a", &g[0]);
	dsm_group(dsm, "b", &g[1]);
	if (!expect(!dsm_frame_new(dsm, g[0], &frames[0]) && !dsm_frame_new(dsm, g[1], &frames[1]), "frames"))
		return NULL;
	while (!atomic_load(&stop)) {
		uint64_t step;
		int rc = dsm_snapshot_step(dsm, g, 2, frames, &step);
		if (rc == -EAGAIN)
			continue;
		if (!expect(rc == 0, "step: %s", dsm_error()))
			break;
		expect(value_of(frames[0], a) == value_of(frames[1], b), "two steps in one snapshot");
		atomic_fetch_add(&counted[STEPS], 1);
	}
	dsm_frame_free(&frames[0]);
	dsm_frame_free(&frames[1]);
	dsm_detach(&dsm);
	return NULL;
}

static void *run_cursor(void *unused)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cells[CELLS];
	struct dsm_group g;
	struct dsm_frame *frame = NULL;
	struct dsm_cursor *cursor = NULL;
	uint64_t last = 0;
	(void)unused;
	if (!dsm)
		return NULL;
	cells_of(dsm, "a", cells);
	if (!expect(!dsm_group(dsm, "a", &g) && !dsm_frame_new(dsm, g, &frame) &&
			!dsm_cursor_open(dsm, g, 0, &cursor), "cursor: %s", dsm_error()))
		return NULL;
	while (!atomic_load(&stop)) {
		uint64_t lost = 0;
		struct dsm_frame_info info;
		int rc = dsm_next(cursor, frame, &lost);
		if (rc == -EAGAIN) {
			rc = dsm_wait(dsm, g, dsm_cursor_seq(cursor), 20, frame);
			expect(rc == 0 || rc == -ETIMEDOUT, "wait: %s", dsm_error());
			atomic_fetch_add(&counted[WAITS], 1);
			continue;
		}
		if (!expect(rc == 0, "next: %s", dsm_error()) || dsm_frame_info(frame, &info))
			break;
		expect(last == 0 || info.seq == last + 1 + lost, "commit %llu after %llu, %llu lost",
			(unsigned long long)info.seq, (unsigned long long)last, (unsigned long long)lost);
		last = info.seq;
		value_of(frame, cells);
		atomic_fetch_add(&counted[FOLLOWED], 1);
		atomic_fetch_add(&counted[LOST], lost);
	}
	dsm_cursor_close(&cursor);
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return NULL;
}

static void *run_waiter(void *group)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_group g;
	struct dsm_frame *frame = NULL;
	uint64_t since = 0;
	if (!dsm || !expect(!dsm_group(dsm, group, &g) && !dsm_frame_new(dsm, g, &frame), "waiter"))
		return NULL;
	while (!atomic_load(&stop)) {
		struct dsm_frame_info info;
		struct dsm_group twice[2] = { g, g };
		uint64_t sinces[2] = { since, UINT64_MAX }, changed;
		int rc = dsm_wait_any(dsm, twice, sinces, 2, 25, &changed);
		expect(rc || changed == 1, "a wait for a commit that is none");
		if (rc == 0 || rc == -ETIMEDOUT)
			rc = dsm_wait(dsm, g, since, 25, frame);
		if (!expect(rc == 0 || rc == -ETIMEDOUT, "wait: %s", dsm_error()))
			break;
		if (rc == 0 && dsm_frame_info(frame, &info) == 0) {
			expect(info.seq > since, "a wait for > %llu gave %llu", (unsigned long long)since,
				(unsigned long long)info.seq);
			since = info.seq;
		}
		atomic_fetch_add(&counted[WAITS], 1);
	}
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return NULL;
}

/* ---- adds, comings and goings ---- */

static void *run_adder(void *unused)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cell;
	struct dsm_value one = { .type = DSM_U64, .len = 1, .u64 = 1 }, before;
	(void)unused;
	if (!dsm || !expect(dsm_cell(dsm, "shop.c0", &cell) == 0, "%s", dsm_error()))
		return NULL;
	while (!atomic_load(&stop)) {
		if (!expect(dsm_add(dsm, cell, &one, NULL, 20000, &before) == 0, "add: %s", dsm_error()))
			break;
		atomic_fetch_add(&added, 1);
	}
	dsm_detach(&dsm);
	return NULL;
}

static void *run_visitor(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		struct dsm *dsm = attach(NULL);
		struct dsm_status status;
		if (!dsm)
			break;
		expect(dsm_status(dsm, &status) == 0 && status.state == DSM_ATTACHED, "visitor's status");
		dsm_detach(&dsm);
		atomic_fetch_add(&counted[COMINGS], 1);
	}
	return NULL;
}

static void check_sum(void)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cell;
	struct dsm_sample s;
	if (!dsm || !check(!dsm_cell(dsm, "shop.c0", &cell) && !dsm_read(dsm, cell, &s), "%s", dsm_error()))
		return;
	check(s.value.u64 == atomic_load(&added), "%llu adds, the cell says %llu",
		(unsigned long long)atomic_load(&added), (unsigned long long)s.value.u64);
	dsm_detach(&dsm);
}

static void run_threads(void)
{
	static const struct { void *(*run)(void *); void *argument; } jobs[] = {
		{ run_owner, "plant" }, { run_owner, "far" }, { run_reader, "a" }, { run_reader, "b" },
		{ run_reader, "f" }, { run_steps, NULL }, { run_cursor, NULL }, { run_waiter, "a" },
		{ run_waiter, "f" }, { run_adder, NULL }, { run_adder, NULL }, { run_visitor, NULL },
	};
	enum { N = sizeof(jobs) / sizeof(jobs[0]) };
	pthread_t threads[N];
	for (unsigned i = 0; i < N; i++)
		pthread_create(&threads[i], NULL, jobs[i].run, jobs[i].argument);
	plain_sleep_ms(SECONDS * 1000);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	struct dsm_table *table = NULL;
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	char name[40];
	plain_begin(150);
	snprintf(name, sizeof(name), "tsan-%d", (int)getpid());
	snprintf(uri, sizeof(uri), "shm://%s", name);
	o.name = name;
	o.lease_ms = 5000; /* a sanitizer on a busy machine is slow, not dead */
	if (!check(make_table(&table) == 0, "table: %s", dsm_error()) ||
	    !check(dsm_engine_open(table, &o, &engine) == 0, "engine: %s", dsm_error()))
		return plain_end();
	dsm_table_free(&table);
	run_threads();
	check_sum();
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
	printf("commits %llu, reads %llu, step snapshots %llu, followed %llu (lost %llu), waits %llu, "
		"adds %llu, comings %llu\n", atomic_load(&commits), atomic_load(&counted[READS]),
		atomic_load(&counted[STEPS]), atomic_load(&counted[FOLLOWED]), atomic_load(&counted[LOST]),
		atomic_load(&counted[WAITS]), atomic_load(&added), atomic_load(&counted[COMINGS]));
	for (unsigned i = READS; i <= COMINGS; i++)
		check(i == LOST || atomic_load(&counted[i]) > 0, "nothing counted of kind %u", i);
	check(atomic_load(&commits) > 0 && atomic_load(&added) > 0, "nothing was written");
	return plain_end();
}
