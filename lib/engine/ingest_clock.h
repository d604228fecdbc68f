/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board's clock against the engine's, from one direction only: each second the datagram that came
 * soonest (smallest arrival minus uptime) is taken, since delays only add; a straight line through the
 * last 32 of them is offset and drift, and how far they lie off it the uncertainty. What one direction
 * cannot show is the shortest way itself: it stays in the offset. Fixed size.
 */
#ifndef DSM_LIB_ENGINE_INGEST_CLOCK_H
#define DSM_LIB_ENGINE_INGEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define INGEST_CLOCK_POINTS 32u
#define INGEST_CLOCK_WINDOW_NS UINT64_C(1000000000)
#define INGEST_CLOCK_STEP_NS INT64_C(1000000000)  /* off by more: the board's clock jumped */

/* Zero = nothing known. */
struct ingest_clock {
	bool started;
	int64_t origin;             /* first arrival minus uptime, ns: all else is relative to it */
	uint64_t origin_ns;         /* its arrival */
	uint64_t window_ns;         /* when the running second began */
	int64_t best, best_at;      /* smallest difference of it, relative; its arrival, relative */
	struct { double at_s, ns; } point[INGEST_CLOCK_POINTS];
	uint32_t points, next;
	double slope, mean_s, mean_ns, error_ns, scatter_ns, slope_error; /* the line */
};

/* One accepted datagram. false: the clock jumped, and the estimate begins anew with this one. */
bool ingest_clock_take(struct ingest_clock *clock, uint64_t uptime_us, uint64_t now_ns);
/* Drift needs four seconds. */
bool ingest_clock_known(const struct ingest_clock *clock);
/* Engine's clock minus uptime at `now_ns`, in ns, and how uncertain: twice the scatter and two standard errors. */
double ingest_clock_offset_ns(const struct ingest_clock *clock, uint64_t now_ns, double *error_ns);
/* Parts in a million, > 0: the board's clock is slow. */
double ingest_clock_drift_ppm(const struct ingest_clock *clock, double *error_ppm);
/* How long before `now_ns` a datagram's values were taken, beyond the shortest way; 0 if not known. */
uint64_t ingest_clock_age_ns(const struct ingest_clock *clock, uint64_t uptime_us, uint64_t now_ns);

#endif
