/* SPDX-License-Identifier: Apache-2.0 */
/* ib_read_lat of perftest: a program that others trust, on the same device in the same run. */
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

#endif
