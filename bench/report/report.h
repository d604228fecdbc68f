/* SPDX-License-Identifier: Apache-2.0 */
/* Pages made from results: each writes one file from what the JSON holds and measures nothing. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness/results.h"

#include <stdio.h>

void report_markdown(const struct bench_results *results, FILE *out);
void report_svg(const struct bench_results *results, FILE *out);

/* 1234.5, "ns" -> "1.23 µs"; other units are left as they are. Returns buf. */
char *report_amount(double value, const char *unit, char *buf, size_t size);
/* The unit of what an aim compares. */
const char *report_aim_unit(const struct bench_results *results, const struct bench_aim *aim);
/* "2.31 ×" of its base row by one figure (offset in struct bench_figures), "not distinguishable" or "". Returns buf. */
char *report_ratio(const struct bench_results *results, const struct bench_result *row,
	size_t figure, char *buf, size_t size);

#endif
