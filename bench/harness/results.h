/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results of a run: what the harness fills, the JSON file holds and the report prints.
 * The schema is described in bench/README.md; SCHEMA changes with any change of meaning.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "harness/bench.h"
#include "harness/stats.h"

#include <stdio.h>

#define BENCH_SCHEMA "dsm-bench/2"
#define BENCH_REPEATS_MAX 50u
#define BENCH_FIT_MAX 12

struct bench_result {
	char name[BENCH_NAME_MAX], base[BENCH_NAME_MAX];
	char family[32], work[240], peer[32], mode[32], unit[16];
	char kind[16];                 /* "paced", "batch", "once" */
	char status[16];               /* "ok", "n/a", "failed" */
	char why[BENCH_WHY_MAX];       /* when not ok */
	double size_bytes, interval_ns, ops_per_batch, param;
	struct bench_figures all;      /* over the samples of all repeats */
	size_t repeats;
	struct bench_figures repeat[BENCH_REPEATS_MAX];
};

/* left <= factor * right + offset, in the rows' unit; right "" = offset alone. Compared are the
 * medians, or another figure of the two rows (bench_figure_fields). */
struct bench_aim {
	char text[160], figure[16];
	char left[BENCH_NAME_MAX], right[BENCH_NAME_MAX];
	double factor, offset;
	double left_median, limit_median, spread; /* of the figure; filled by bench_aims() */
	char verdict[32]; /* "met", "not met", "not distinguishable", "not measured" */
};

/* Growth of a family of rows over their param. */
struct bench_fit {
	char name[64], unit[16];
	size_t points;
	double x[BENCH_FIT_MAX], y[BENCH_FIT_MAX], exponent;
};

struct bench_machine {
	char cpu[96], kernel[96], os[96], compiler[64];
	double cpus, memory_mib, load_start, load_end, cpu_client, cpu_server;
	double clock_step_ns;         /* median cost of one look at the clock */
};

struct bench_results {
	char date[32], revision[64];
	double repeats, quick;
	struct bench_machine machine;
	struct bench_result *row;
	size_t rows, rows_room;
	struct bench_aim *aim;
	size_t aims;
	struct bench_fit *fit;
	size_t fits;
};

/* A new, zeroed row at the end; NULL on lack of memory. */
struct bench_result *bench_results_row(struct bench_results *results);
const struct bench_result *bench_results_find(const struct bench_results *results, const char *name);
void bench_results_free(struct bench_results *results);

/* Names of the figures and where they are: used by the writer, the reader, the report. */
struct bench_figure_field {
	const char *key;
	size_t offset;
};
extern const struct bench_figure_field bench_figure_fields[];
extern const size_t bench_figure_count;

/* Does the name match the glob (NULL: every name does)? */
bool bench_name_matches(const char *name, const char *glob);

/* Describe machine and time. */
void bench_describe(struct bench_results *results);

/* Run the rows of the list whose name matches the glob, interleaved, and fill results.
 * progress may be NULL. 0, -EINTR stopped (what was measured is there), -ENOMEM. */
int bench_harness(const struct bench_list *list, const char *glob, const struct bench_conf *conf,
	FILE *progress, struct bench_results *results);

/* Compare two rows repeat by repeat, by one of their figures (its offset in struct
 * bench_figures). False when one is not there. */
bool bench_compare_rows(const struct bench_result *left, const struct bench_result *right,
	size_t figure, struct bench_comparison *out);
/* Evaluate the aims (aims.c) and fits on what was measured; over RDMA the aims are others. 0 or
 * -ENOMEM. */
int bench_aims(struct bench_results *results, bool rdma);
void bench_aim_evaluate(const struct bench_results *results, struct bench_aim *aim);
int bench_fits(struct bench_results *results);

/* JSON file. 0 or -errno; -EBADMSG: not JSON or not this schema, text on stderr. */
int bench_results_write(const struct bench_results *results, const char *path);
int bench_results_read(const char *path, struct bench_results *out);

#endif
