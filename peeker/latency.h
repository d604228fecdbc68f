/* SPDX-License-Identifier: Apache-2.0 */
/* Percentiles of durations in constant room: logarithmic buckets, the last ten to twenty
 * seconds. Used by the sampler. */
#ifndef PEEKER_LATENCY_H
#define PEEKER_LATENCY_H

#include "model.h"

#define LATENCY_STEPS 16u            /* buckets an octave: at most 6 % off */
#define LATENCY_BUCKETS (44u * LATENCY_STEPS)

struct latency_log {
	uint32_t counts[2][LATENCY_BUCKETS]; /* the running ten seconds and the ten before */
	uint64_t max_ns[2], began_ns;
	uint32_t now;
};

void latency_add(struct latency_log *log, uint64_t now_ns, uint64_t took_ns);
struct latency latency_read(const struct latency_log *log);

#endif
