/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples to figures. Samples are kept exactly (their number is bounded) and sorted:
 * no histogram, no bucket error. Percentiles are by nearest rank: the smallest sample that
 * at least p % of all samples do not exceed; the median of an even number is the mean of
 * the two in the middle.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include "harness/bench.h"

/* All in the row's unit unless said otherwise. Doubles throughout, so that one table of
 * names serves writing, reading and printing (results.h). */
struct bench_figures {
	double n, mean, median, min, max, stddev, p99, p999;
	double service_median, service_p99;   /* from the actual start: without the waiting in line */
	double jitter_mean, jitter_max;       /* of |difference of consecutive samples| */
	double sent, lost, loss_percent, late_starts;
	double client_cpu_ns, client_switches; /* per operation */
	double server_cpu_ns, server_switches;
};

/* Figures of one repeat. */
void bench_figures(const struct bench_series *series, struct bench_figures *out);

/* Samples of all repeats of a row. Jitter is not formed across the border of two repeats. */
struct bench_pool {
	struct bench_series all;
	double jitter_sum, jitter_n, jitter_max;
};
/* 0 or -ENOMEM. */
int bench_pool_add(struct bench_pool *pool, const struct bench_series *repeat);
void bench_pool_figures(const struct bench_pool *pool, struct bench_figures *out);
void bench_pool_free(struct bench_pool *pool);

/* Of n sorted values, 0 < percent <= 100. */
double bench_percentile(const double *sorted, size_t n, double percent);
/* Sorts its input. */
double bench_median(double *values, size_t n);

/* Two figures over the same repeats: differ they, and which way? Repeat i of one is compared
 * with repeat i of the other, because they ran near each other in time. */
enum bench_verdict { BENCH_INDISTINCT, BENCH_LESS, BENCH_MORE };
struct bench_comparison {
	double left, right;  /* medians over the repeats */
	double ratio;        /* left / right; 0 when right is 0 */
	double difference;   /* median of left[i] - right[i] */
	double spread;       /* interquartile range of left[i] - right[i] */
	enum bench_verdict verdict; /* of left against right */
};
/* Not distinguishable: fewer than 3 repeats, or spread >= |difference|. At most
 * BENCH_COMPARE_MAX repeats are looked at. */
#define BENCH_COMPARE_MAX 64u
void bench_compare(const double *left, const double *right, size_t n, struct bench_comparison *out);

/* Slope of log y over log x by least squares: the exponent of growth. 0 when there are not
 * two different x > 0 with y > 0. */
double bench_growth(const double *x, const double *y, size_t n);

#endif
