/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of measuring (paced, in batches) and the samples they fill. */
#include "harness/bench.h"
#include "harness/child.h"
#include "harness/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_NS 2000u /* a start later than this after its time counts as late */

void bench_list_add(struct bench_list *list, const struct bench_row *row)
{
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->row = reallocarray(list->row, list->room, sizeof(*list->row));
		if (!list->row) {
			perror("bench: row list");
			exit(1);
		}
	}
	list->row[list->n++] = *row;
}

void bench_list_free(struct bench_list *list)
{
	free(list->row);
	*list = (struct bench_list){ 0 };
}

int bench_series_reserve(struct bench_series *series, size_t n)
{
	if (n > BENCH_SAMPLES_MAX)
		return -E2BIG;
	if (n <= series->room)
		return 0;
	double *sample = calloc(n, sizeof(double)), *service = calloc(n, sizeof(double));
	if (!sample || !service) {
		free(sample);
		free(service);
		return -ENOMEM;
	}
	/* page faults belong here, not between samples */
	memset(sample, 0xff, n * sizeof(double));
	memset(service, 0xff, n * sizeof(double));
	bench_series_free(series);
	series->sample = sample;
	series->service = service;
	series->room = n;
	return 0;
}

void bench_series_add(struct bench_series *series, double value)
{
	if (series->n == series->room)
		return;
	series->service[series->n] = value;
	series->sample[series->n++] = value;
}

void bench_series_free(struct bench_series *series)
{
	free(series->sample);
	free(series->service);
	series->sample = series->service = NULL;
	series->n = series->room = 0;
}

void bench_run_clear(struct bench_run *run)
{
	for (int i = 0; i < BENCH_SERIES_MAX; i++) {
		struct bench_series *s = &run->series[i];
		*s = (struct bench_series){ .sample = s->sample, .service = s->service, .room = s->room };
	}
	run->why[0] = '\0';
}

void bench_run_free(struct bench_run *run)
{
	for (int i = 0; i < BENCH_SERIES_MAX; i++)
		bench_series_free(&run->series[i]);
	memset(run, 0, sizeof(*run));
}

int bench_why(struct bench_run *run, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(run->why, sizeof(run->why), format, args);
	va_end(args);
	return error;
}

/* Wait for a start time; returns how long that took, which is no part of the work. */
static uint64_t wait_for(uint64_t due)
{
	uint64_t began = bench_now_ns(), now = began;
	while (now < due) {
		bench_relax();
		now = bench_now_ns();
	}
	return now - began;
}

int bench_paced(const struct bench_pace *pace, bench_operation operation, void *context,
	struct bench_series *out)
{
	int rc = bench_series_reserve(out, pace->n);
	for (uint64_t i = 0; !rc && i < pace->warm; i++) {
		rc = operation(context, i);
		if (rc == -ETIMEDOUT)
			rc = 0;
	}
	struct bench_usage before = bench_usage_self();
	uint64_t t0 = bench_now_ns() + pace->interval_ns, waited_ns = 0;
	uint64_t end = bench_now_ns();
	for (uint64_t i = 0; !rc && i < pace->n; i++) {
		uint64_t due = t0 + i * pace->interval_ns;
		if (pace->interval_ns)
			waited_ns += wait_for(due);
		/* one after the other: one look at the clock each, from the end of the one before */
		uint64_t begin = pace->interval_ns ? bench_now_ns() : end;
		rc = operation(context, pace->warm + i);
		end = bench_now_ns();
		out->sent++;
		if (rc == -ETIMEDOUT) {
			out->lost++;
			rc = 0;
			continue;
		}
		if (pace->interval_ns && begin > due + LATE_NS)
			out->late_starts++;
		bench_series_add(out, (double)(end - (pace->interval_ns ? due : begin)));
		out->service[out->n - 1] = (double)(end - begin);
		if (bench_stop)
			rc = -EINTR;
	}
	before.cpu_ns += waited_ns;
	out->client = bench_usage_since(bench_usage_self(), before, out->sent);
	return rc;
}

int bench_batches(const struct bench_batch *batch, bench_batch_operation operation,
	void *context, struct bench_series *out)
{
	int rc = bench_series_reserve(out, batch->n);
	struct bench_usage before = bench_usage_self();
	for (unsigned i = 0; !rc && i < batch->warm + batch->n; i++) {
		if (i == batch->warm)
			before = bench_usage_self();
		uint64_t begin = bench_now_ns();
		rc = operation(context, batch->ops);
		uint64_t end = bench_now_ns();
		if (rc || i < batch->warm)
			continue;
		out->sent += batch->ops;
		bench_series_add(out, (double)(end - begin) / batch->ops);
		if (bench_stop)
			rc = -EINTR;
	}
	out->client = bench_usage_since(bench_usage_self(), before, out->sent);
	return rc;
}
