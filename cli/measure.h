/* SPDX-License-Identifier: Apache-2.0 */
/* Measures what the rule for K needs: how long a read takes, how often a group commits. */
#ifndef CLI_MEASURE_H
#define CLI_MEASURE_H

#include "cli.h"

struct measured {
	double seconds;
	uint64_t commits, reads;
	double commit_interval_ns;   /**< 0 = no commit was seen */
	double read_p50_ns, read_p99_ns;
	uint64_t slots_needed;       /**< 1 + ceil(p99 of a read / commit interval), at least 2 */
};

/** Watch the group for `seconds`, or until the deadline. Negative errno. */
int measure_group(const struct cli *cli, struct dsm_group group, double seconds,
	struct measured *out);

#endif
