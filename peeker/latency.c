/* SPDX-License-Identifier: Apache-2.0 */
/* See latency.h. */
#include "latency.h"

#include <string.h>

#define WINDOW_NS (10 * (uint64_t)NS_PER_S)

/* Below LATENCY_STEPS one bucket a nanosecond, above it LATENCY_STEPS an octave. */
static uint32_t bucket_of(uint64_t ns)
{
	if (ns < LATENCY_STEPS)
		return (uint32_t)ns;
	uint32_t octave = 63u - (uint32_t)__builtin_clzll(ns) - 4u;
	uint32_t at = octave * LATENCY_STEPS + (uint32_t)(ns >> octave);
	return at < LATENCY_BUCKETS ? at : LATENCY_BUCKETS - 1;
}

static uint64_t middle_of(uint32_t bucket)
{
	if (bucket < 2 * LATENCY_STEPS)
		return bucket;
	uint32_t octave = bucket / LATENCY_STEPS - 1;
	uint64_t low = (uint64_t)(bucket - octave * LATENCY_STEPS) << octave;
	return low + ((uint64_t)1 << octave) / 2;
}

void latency_add(struct latency_log *log, uint64_t now_ns, uint64_t took_ns)
{
	if (now_ns - log->began_ns >= WINDOW_NS) {
		log->now ^= 1;
		memset(log->counts[log->now], 0, sizeof log->counts[0]);
		log->max_ns[log->now] = 0;
		log->began_ns = now_ns;
	}
	log->counts[log->now][bucket_of(took_ns)]++;
	if (took_ns > log->max_ns[log->now])
		log->max_ns[log->now] = took_ns;
}

struct latency latency_read(const struct latency_log *log)
{
	struct latency out = { 0 };
	const uint64_t max_ns = log->max_ns[log->max_ns[1] > log->max_ns[0]];
	uint64_t passed = 0;

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		out.reads += (uint64_t)log->counts[0][i] + log->counts[1][i];
	out.max_ns = max_ns;
	out.p50_ns = out.p99_ns = out.p999_ns = max_ns;
	const struct { uint64_t rank; uint64_t *to; } wanted[] = {
		{ out.reads / 2, &out.p50_ns }, { out.reads * 99 / 100, &out.p99_ns },
		{ out.reads * 999 / 1000, &out.p999_ns },
	};
	uint32_t next = 0;
	for (uint32_t i = 0; i < LATENCY_BUCKETS && next < 3; i++) {
		passed += (uint64_t)log->counts[0][i] + log->counts[1][i];
		while (next < 3 && passed > wanted[next].rank) {
			uint64_t ns = middle_of(i);
			*wanted[next++].to = ns < max_ns ? ns : max_ns;
		}
	}
	return out;
}
