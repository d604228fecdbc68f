/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: a table of 10 to 1,000,000 f64 cells, in groups of at most 100: what it costs to have
 * it, to open it, to attach, to find a cell, to write all of it and to read all of it. */
#include "peers/dsm_host.h"

#include "harness/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP_CELLS 100u
#define LOOKUPS 1000u

enum { MEMORY, OPEN, ATTACH, LOOKUP, COMMIT, SNAPSHOT, COLUMNS };
_Static_assert(COLUMNS <= BENCH_SERIES_MAX, "more columns than a row can have");

static const unsigned sizes[] = { 10, 100, 1000, 10000, 100000, 1000000 };

struct scale {
	struct dsm_host host;
	struct dsm *owner, *reader;
	unsigned cells, groups;
	struct dsm_group *group;
	struct dsm_frame **frame;
	double *column; /* what was measured */
};

static unsigned group_size(unsigned cells)
{
	return cells < GROUP_CELLS ? cells : GROUP_CELLS;
}

static void cell_name(char *name, size_t size, unsigned cell, unsigned cells)
{
	snprintf(name, size, "g%u.c%u", cell / group_size(cells), cell % group_size(cells));
}

static int define(struct dsm_table *table, const void *arg)
{
	unsigned cells = *(const unsigned *)arg, each = group_size(cells);
	char group[16], cell[16];
	int rc = dsm_host_owner(table, "bench");
	for (unsigned i = 0; !rc && i < cells; i++) {
		snprintf(group, sizeof(group), "g%u", i / each);
		snprintf(cell, sizeof(cell), "c%u", i % each);
		if (i % each == 0)
			rc = dsm_host_group(table, "bench", group);
		if (!rc)
			rc = dsm_host_cell(table, group, cell, DSM_F64, 1);
	}
	return rc;
}

static int measure_attach(struct scale *s)
{
	struct dsm_region_info info;
	uint64_t began = bench_now_ns();
	int rc = dsm_host_attach(s->host.name, NULL, &s->reader);
	s->column[ATTACH] = (double)(bench_now_ns() - began);
	s->column[OPEN] = (double)s->host.open_ns;
	if (!rc)
		rc = dsm_region_info(s->reader, &info);
	if (!rc)
		s->column[MEMORY] = (double)info.bytes / s->cells;
	return rc;
}

static int measure_lookup(struct scale *s)
{
	char name[LOOKUPS][24];
	struct dsm_cell cell;
	int rc = 0;
	for (unsigned i = 0; i < LOOKUPS; i++) /* far apart: 7919 is prime */
		cell_name(name[i], sizeof(name[i]), (unsigned)((uint64_t)i * 7919u % s->cells), s->cells);
	uint64_t began = bench_now_ns();
	for (unsigned i = 0; i < LOOKUPS; i++)
		rc |= dsm_cell(s->reader, name[i], &cell);
	s->column[LOOKUP] = (double)(bench_now_ns() - began) / LOOKUPS;
	return rc;
}

/* All cells as one step. */
static int measure_commit(struct scale *s)
{
	char name[24];
	int rc = dsm_host_attach(s->host.name, "bench", &s->owner);
	struct dsm_cell *cell = calloc(s->cells, sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < s->cells; i++) {
		cell_name(name, sizeof(name), i, s->cells);
		rc = dsm_cell(s->owner, name, &cell[i]);
	}
	for (unsigned round = 0; !rc && round < 2; round++) { /* the first touches the memory */
		uint64_t began = bench_now_ns();
		rc = dsm_begin(s->owner, 0);
		for (unsigned i = 0; !rc && i < s->cells; i++)
			rc = dsm_set_f64(s->owner, cell[i], i + round);
		if (!rc)
			rc = dsm_commit(s->owner, NULL);
		s->column[COMMIT] = (double)(bench_now_ns() - began);
	}
	free(cell);
	return rc;
}

static int measure_snapshot(struct scale *s)
{
	char name[24];
	int rc = 0;
	for (unsigned g = 0; !rc && g < s->groups; g++) {
		snprintf(name, sizeof(name), "g%u", g);
		rc = dsm_group(s->reader, name, &s->group[g]);
		if (!rc)
			rc = dsm_frame_new(s->reader, s->group[g], &s->frame[g]);
	}
	for (int round = 0; !rc && round < 2; round++) {
		uint64_t began = bench_now_ns();
		for (unsigned g = 0; !rc && g < s->groups; g++)
			rc = dsm_snapshot(s->reader, s->group[g], s->frame[g]);
		s->column[SNAPSHOT] = (double)(bench_now_ns() - began);
	}
	return rc;
}

static int measure(struct scale *s, struct bench_run *out)
{
	int rc = dsm_host_start(&s->host, define, &s->cells, out);
	if (!rc)
		rc = measure_attach(s);
	if (!rc)
		rc = measure_lookup(s);
	if (!rc)
		rc = measure_commit(s);
	if (!rc)
		rc = measure_snapshot(s);
	if (rc && !out->why[0])
		bench_why(out, rc, "%.180s", dsm_error());
	for (unsigned g = 0; g < s->groups; g++)
		dsm_frame_free(&s->frame[g]);
	dsm_detach(&s->owner);
	dsm_detach(&s->reader);
	dsm_host_stop(&s->host);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	double column[COLUMNS] = { 0 };
	struct scale s = { .cells = *(const unsigned *)row->arg, .column = column };
	(void)conf;
	s.groups = s.cells / group_size(s.cells);
	s.group = calloc(s.groups, sizeof(*s.group));
	s.frame = calloc(s.groups, sizeof(*s.frame));
	int rc = s.group && s.frame ? measure(&s, out) : -ENOMEM;
	for (int c = 0; !rc && c < COLUMNS; c++) {
		rc = bench_series_reserve(&out->series[c], 1);
		bench_series_add(&out->series[c], column[c]);
		out->series[c].sent = 1;
	}
	free(s.group);
	free(s.frame);
	return rc;
}

void bench_rows_scale(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench_row row = { .family = "scale", .peer = "dsm", .mode = "once",
			.work = "a table of so many f64 cells in groups of at most 100",
			.column = { "memory-per-cell", "engine-open", "attach", "lookup", "commit-all", "snapshot-all" },
			.column_unit = { "bytes" }, .kind = BENCH_ONCE, .size_bytes = 8,
			.max_repeats = sizes[i] >= 100000 ? 3 : 0, .param = sizes[i], .arg = &sizes[i], .run = run };
		snprintf(row.name, sizeof(row.name), "scale.%u", sizes[i]);
		bench_list_add(list, &row);
	}
}
