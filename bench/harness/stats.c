/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double bench_percentile(const double *sorted, size_t n, double percent)
{
	if (!n)
		return 0;
	size_t rank = (size_t)ceil(percent / 100 * (double)n - 1e-9);
	if (rank < 1)
		rank = 1;
	return sorted[(rank > n ? n : rank) - 1];
}

static double middle(const double *sorted, size_t n)
{
	if (!n)
		return 0;
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return middle(values, n);
}

static void add_jitter(const struct bench_series *s, struct bench_pool *pool)
{
	for (size_t i = 1; i < s->n; i++) {
		double step = fabs(s->sample[i] - s->sample[i - 1]);
		pool->jitter_sum += step;
		pool->jitter_n++;
		if (step > pool->jitter_max)
			pool->jitter_max = step;
	}
}

static void add_usage(struct bench_usage *sum, const struct bench_usage *part)
{
	sum->cpu_ns += part->cpu_ns;
	sum->voluntary_switches += part->voluntary_switches;
	sum->ops += part->ops;
}

static int append(double **to, size_t n, const double *from, size_t more)
{
	double *grown = reallocarray(*to, n + more + 1, sizeof(double));
	if (!grown)
		return -ENOMEM;
	if (more)
		memcpy(grown + n, from, more * sizeof(double));
	*to = grown;
	return 0;
}

int bench_pool_add(struct bench_pool *pool, const struct bench_series *repeat)
{
	struct bench_series *all = &pool->all;
	if (append(&all->sample, all->n, repeat->sample, repeat->n) ||
	    append(&all->service, all->n, repeat->service, repeat->n))
		return -ENOMEM;
	all->n += repeat->n;
	all->sent += repeat->sent;
	all->lost += repeat->lost;
	all->late_starts += repeat->late_starts;
	add_usage(&all->client, &repeat->client);
	add_usage(&all->server, &repeat->server);
	add_jitter(repeat, pool);
	return 0;
}

void bench_pool_free(struct bench_pool *pool)
{
	bench_series_free(&pool->all);
	memset(pool, 0, sizeof(*pool));
}

static double per(uint64_t amount, uint64_t ops)
{
	return ops ? (double)amount / (double)ops : 0;
}

static void spread_figures(const double *sorted, size_t n, struct bench_figures *out)
{
	double mean = 0, squares = 0;
	for (size_t i = 0; i < n; i++) { /* Welford: no cancellation */
		double step = sorted[i] - mean;
		mean += step / (double)(i + 1);
		squares += step * (sorted[i] - mean);
	}
	out->mean = mean;
	out->stddev = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
	out->median = middle(sorted, n);
	out->min = n ? sorted[0] : 0;
	out->max = n ? sorted[n - 1] : 0;
	out->p99 = bench_percentile(sorted, n, 99);
	out->p999 = bench_percentile(sorted, n, 99.9);
}

void bench_pool_figures(const struct bench_pool *pool, struct bench_figures *out)
{
	const struct bench_series *s = &pool->all;
	memset(out, 0, sizeof(*out));
	double *sorted = NULL;
	if (append(&sorted, 0, s->service, s->n))
		return; /* n = 0 shows that there are no figures */
	out->service_median = bench_median(sorted, s->n);
	out->service_p99 = bench_percentile(sorted, s->n, 99);
	memcpy(sorted, s->sample, s->n * sizeof(double));
	qsort(sorted, s->n, sizeof(double), by_value);
	spread_figures(sorted, s->n, out);
	free(sorted);
	out->n = (double)s->n;
	out->jitter_mean = pool->jitter_n > 0 ? pool->jitter_sum / pool->jitter_n : 0;
	out->jitter_max = pool->jitter_max;
	out->sent = (double)s->sent;
	out->lost = (double)s->lost;
	out->loss_percent = 100 * per(s->lost, s->sent);
	out->late_starts = (double)s->late_starts;
	out->client_cpu_ns = per(s->client.cpu_ns, s->client.ops);
	out->client_switches = per(s->client.voluntary_switches, s->client.ops);
	out->server_cpu_ns = per(s->server.cpu_ns, s->server.ops);
	out->server_switches = per(s->server.voluntary_switches, s->server.ops);
}

void bench_figures(const struct bench_series *series, struct bench_figures *out)
{
	struct bench_pool pool = { .all = *series };
	add_jitter(series, &pool);
	bench_pool_figures(&pool, out);
}

/* Quantile of sorted values with linear interpolation: repeats are few. */
static double quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t below = (size_t)at;
	double upper = sorted[below + 1 < n ? below + 1 : below];
	return sorted[below] + (at - (double)below) * (upper - sorted[below]);
}

void bench_compare(const double *left, const double *right, size_t n, struct bench_comparison *out)
{
	double l[BENCH_COMPARE_MAX], r[BENCH_COMPARE_MAX], d[BENCH_COMPARE_MAX];
	memset(out, 0, sizeof(*out));
	if (n > BENCH_COMPARE_MAX)
		n = BENCH_COMPARE_MAX;
	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		l[i] = left[i];
		r[i] = right[i];
		d[i] = left[i] - right[i];
	}
	out->left = bench_median(l, n);
	out->right = bench_median(r, n);
	out->ratio = out->right > 0 ? out->left / out->right : 0;
	out->difference = bench_median(d, n);
	out->spread = quantile(d, n, 0.75) - quantile(d, n, 0.25);
	if (n >= 3 && fabs(out->difference) > out->spread)
		out->verdict = out->difference < 0 ? BENCH_LESS : BENCH_MORE;
}

double bench_growth(const double *x, const double *y, size_t n)
{
	double sx = 0, sy = 0, sxx = 0, sxy = 0, m = 0;
	for (size_t i = 0; i < n; i++) {
		if (!(x[i] > 0 && y[i] > 0))
			continue;
		double lx = log(x[i]), ly = log(y[i]);
		sx += lx;
		sy += ly;
		sxx += lx * lx;
		sxy += lx * ly;
		m++;
	}
	double below = m * sxx - sx * sx;
	return below > 1e-12 ? (m * sxy - sx * sy) / below : 0;
}
