/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row of the benchmark is, and what running it once yields. Every file in rows/
 * includes this; harness/run.c calls the rows, harness/stats.c turns samples into figures.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_NAME_MAX 80
#define BENCH_WHY_MAX 200
#define BENCH_SERIES_MAX 8
#define BENCH_SAMPLES_MAX 100000u /* of one series in one repeat */

/* How the samples of a row come about. */
enum bench_kind {
	BENCH_PACED, /* operations at intended start times; latency counts from there */
	BENCH_BATCH, /* many operations between two looks at the clock; sample = ns per operation */
	BENCH_ONCE,  /* one operation, timed alone */
};

/* Settings of a whole run. */
struct bench_conf {
	const char *tmpdir;  /* private, exists, removed by who made it */
	int cpu_client, cpu_server;
	bool quick;          /* few samples: for a look, not for a table */
	unsigned repeats;
	const char *rdma;    /* address of an RDMA device of this machine; NULL = none is measured */
};

/* What a process has spent on `ops` operations. */
struct bench_usage {
	uint64_t cpu_ns, voluntary_switches, involuntary_switches, ops;
};

/* One repeat's samples, in the row's unit, in the order they were taken. */
struct bench_series {
	double *sample;
	double *service;     /* paced: from the actual start, for comparison; else as sample */
	size_t n, room;
	uint64_t sent, lost, late_starts;
	struct bench_usage client, server;
};

struct bench_run {
	struct bench_series series[BENCH_SERIES_MAX];
	char why[BENCH_WHY_MAX]; /* set when run() fails */
};

struct bench_row {
	char name[BENCH_NAME_MAX]; /* family.peer.mode.size: unique */
	char base[BENCH_NAME_MAX]; /* row it is compared with in the report; "" none */
	const char *family;        /* rows of one family stand in one table */
	const char *work;          /* what one operation is, for a reader */
	const char *peer, *mode, *unit; /* unit NULL = ns */
	const char *column[BENCH_SERIES_MAX];      /* names of several series; column[0] NULL = one */
	const char *column_unit[BENCH_SERIES_MAX]; /* where it is not `unit` */
	enum bench_kind kind;
	uint64_t size_bytes, interval_ns;
	uint32_t ops_per_batch;
	unsigned max_repeats;      /* 0 = as asked */
	double param;              /* x of a growth fit; 0 none */
	const void *arg;           /* the row's own, outlives the list */
	/* 0; -ENOTSUP: cannot be had here (why: n/a); -EINTR: stopped; other: failed (why). */
	int (*run)(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out);
};

struct bench_list {
	struct bench_row *row;
	size_t n, room;
};

/* Append a copy of *row. Exits on lack of memory: there is nothing to save. */
void bench_list_add(struct bench_list *list, const struct bench_row *row);
void bench_list_free(struct bench_list *list);

/* Make room for n samples (at most BENCH_SAMPLES_MAX) and touch it. 0 or -errno. */
int bench_series_reserve(struct bench_series *series, size_t n);
/* Append; beyond the room it is dropped (the row reserved too little). */
void bench_series_add(struct bench_series *series, double value);
void bench_series_free(struct bench_series *series);
void bench_run_clear(struct bench_run *run);
void bench_run_free(struct bench_run *run);

/* Note why a run failed and hand the error on. */
int bench_why(struct bench_run *run, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Paced operations. ------------------------------------------------------------------ */

struct bench_pace {
	uint64_t interval_ns; /* 0: one after the other, the control that omits waiting; timed from end to end */
	unsigned warm, n;     /* operations before and while measuring */
};
/* Do operation number i: 0, -ETIMEDOUT = lost, other = stop with this error. */
typedef int (*bench_operation)(void *context, uint64_t i);
/* Start operation i at t0 + i * interval, never earlier; when it could not begin in time,
 * the waiting counts. Fills samples, sent, lost, late_starts and the client's usage
 * without the time spent waiting for a start. */
int bench_paced(const struct bench_pace *pace, bench_operation operation, void *context,
	struct bench_series *out);

/* Timed batches. --------------------------------------------------------------------- */

struct bench_batch {
	uint32_t ops;         /* per batch */
	unsigned warm, n;     /* batches */
};
/* Do `ops` operations. 0 or -errno. */
typedef int (*bench_batch_operation)(void *context, uint32_t ops);
int bench_batches(const struct bench_batch *batch, bench_batch_operation operation,
	void *context, struct bench_series *out);

/* The compiler must assume that *p is used and changed here. */
static inline void bench_keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* What a family of rows exports: appends its rows. */
void bench_rows_copy(struct bench_list *list);
void bench_rows_floor(struct bench_list *list);
void bench_rows_echo(struct bench_list *list);
void bench_rows_segment(struct bench_list *list);
void bench_rows_redis(struct bench_list *list);
void bench_rows_udp(struct bench_list *list);
void bench_rows_fanout(struct bench_list *list);
void bench_rows_adc(struct bench_list *list);
void bench_rows_observer(struct bench_list *list);
void bench_rows_handover(struct bench_list *list);
void bench_rows_dsm(struct bench_list *list);
void bench_rows_wires(struct bench_list *list);
void bench_rows_scale(struct bench_list *list);
/* A list of their own: they need an RDMA device, and nothing else runs where that is emulated. */
void bench_rows_rdma(struct bench_list *list);
void bench_rows_rdma_batch(struct bench_list *list);
void bench_rows_rdma_load(struct bench_list *list);
void bench_rows_rdma_switches(struct bench_list *list);
void bench_rows_rdma_wait(struct bench_list *list);
void bench_rows_rdma_observer(struct bench_list *list);

#endif
