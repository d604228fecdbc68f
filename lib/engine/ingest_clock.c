/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ingest_clock.h"

#include <math.h>
#include <string.h>

/* Least squares through the points, and the standard errors that belong to it. */
static void fit(struct ingest_clock *c)
{
	double n = c->points, sum_s = 0, sum_ns = 0, xx = 0, xy = 0, residual = 0;
	for (uint32_t i = 0; i < c->points; i++) {
		sum_s += c->point[i].at_s;
		sum_ns += c->point[i].ns;
	}
	c->mean_s = sum_s / n;
	c->mean_ns = sum_ns / n;
	for (uint32_t i = 0; i < c->points; i++) {
		double x = c->point[i].at_s - c->mean_s;
		xx += x * x;
		xy += x * (c->point[i].ns - c->mean_ns);
	}
	c->slope = xx > 0 ? xy / xx : 0;
	for (uint32_t i = 0; i < c->points; i++) {
		double off = c->point[i].ns - c->mean_ns - c->slope * (c->point[i].at_s - c->mean_s);
		residual += off * off;
	}
	/* a microsecond is what uptime is counted in: no line is better known than that */
	double variance = (c->points > 2 ? residual / (n - 2) : 0) + 1e6 / 12;
	c->scatter_ns = sqrt(variance);
	c->error_ns = sqrt(variance / n);
	c->slope_error = xx > 0 ? sqrt(variance / xx) : 0;
}

static void close_window(struct ingest_clock *c, uint64_t now_ns)
{
	c->point[c->next].at_s = (double)c->best_at / 1e9;
	c->point[c->next].ns = (double)c->best;
	c->next = (c->next + 1) % INGEST_CLOCK_POINTS;
	if (c->points < INGEST_CLOCK_POINTS)
		c->points++;
	fit(c);
	c->window_ns = now_ns;
	c->best = INT64_MAX;
}

static double line_ns(const struct ingest_clock *c, uint64_t now_ns)
{
	return c->mean_ns + c->slope * ((double)(now_ns - c->origin_ns) / 1e9 - c->mean_s);
}

bool ingest_clock_take(struct ingest_clock *c, uint64_t uptime_us, uint64_t now_ns)
{
	/* modulo 2^64 on both sides: an uptime that is nonsense is a jump, no overflow */
	int64_t difference = (int64_t)(now_ns - uptime_us * 1000), off;
	bool jumped = false;
	if (c->started) {
		off = (int64_t)((uint64_t)difference - (uint64_t)c->origin);
		double expected = ingest_clock_known(c) ? line_ns(c, now_ns) : 0;
		double limit = (double)INGEST_CLOCK_STEP_NS;
		jumped = (double)off > expected + limit || (double)off < expected - limit;
	}
	if (!c->started || jumped) {
		memset(c, 0, sizeof(*c));
		c->started = true;
		c->origin = difference;
		c->origin_ns = c->window_ns = now_ns;
		return !jumped;
	}
	if (now_ns - c->window_ns >= INGEST_CLOCK_WINDOW_NS)
		close_window(c, now_ns);
	if (off < c->best) {
		c->best = off;
		c->best_at = (int64_t)(now_ns - c->origin_ns);
	}
	return true;
}

bool ingest_clock_known(const struct ingest_clock *c)
{
	return c->points >= 4;
}

double ingest_clock_offset_ns(const struct ingest_clock *c, uint64_t now_ns, double *error_ns)
{
	double x = (double)(now_ns - c->origin_ns) / 1e9 - c->mean_s;
	/* the soonest of a second still came late by something, always to one side: its scatter shows how much */
	*error_ns = 2 * c->scatter_ns +
		2 * sqrt(c->error_ns * c->error_ns + c->slope_error * c->slope_error * x * x);
	return (double)c->origin + line_ns(c, now_ns);
}

double ingest_clock_drift_ppm(const struct ingest_clock *c, double *error_ppm)
{
	*error_ppm = 2 * c->slope_error / 1e3; /* ns a second to parts in a million */
	return c->slope / 1e3;
}

uint64_t ingest_clock_age_ns(const struct ingest_clock *c, uint64_t uptime_us, uint64_t now_ns)
{
	if (!ingest_clock_known(c))
		return 0;
	int64_t off = (int64_t)(now_ns - uptime_us * 1000 - (uint64_t)c->origin);
	double age = (double)off - line_ns(c, now_ns);
	return age > 0 ? (uint64_t)fmin(age, (double)INGEST_CLOCK_STEP_NS) : 0;
}
