/* SPDX-License-Identifier: Apache-2.0 */
/* ib_read_lat and ib_read_bw of perftest: programs that others trust, on the same device in the same run. */
#ifndef BENCH_PERFTEST_H
#define BENCH_PERFTEST_H

#include "harness/bench.h"

#include <stdio.h>

/* Latencies in ns, unsorted, from what `ib_read_lat --report-unsorted` prints; at most `room`.
 * How many; 0 when it printed none. Units other than microseconds are refused (0),
 * and so are figures that are none. */
size_t perftest_samples(FILE *from, double *out, size_t room);

/* READs of `bytes` bytes, `n` of them after `warm` that do not count. -ENOTSUP no such program. */
int perftest_read_lat(const struct bench_conf *conf, uint32_t bytes, unsigned warm, unsigned n,
	struct bench_run *out);

/* Messages a second, from what `ib_read_bw` prints at its end; 0 none. */
double perftest_rate(FILE *from);
/* One sample: ns a READ, over `n` of them with `depth` outstanding. -ENOTSUP no such program. */
int perftest_read_rate(const struct bench_conf *conf, uint32_t bytes, unsigned depth, unsigned n,
	struct bench_run *out);

#endif
