/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock: the system's unless somebody injects another. Never called on the read path. */
#ifndef DSM_LIB_CORE_CLOCK_H
#define DSM_LIB_CORE_CLOCK_H

#include <dsm/dsm.h>

extern const struct dsm_clock clock_system;

static inline uint64_t clock_now(const struct dsm_clock *clock)
{
	return clock->now_ns(clock->context);
}

/* What has passed since *looked, for a thread that waits and looks again within milliseconds. Beyond
 * CLOCK_STILL_NS it stood still itself, and that is nobody else's silence. */
#define CLOCK_STILL_NS UINT64_C(200000000)
static inline uint64_t clock_heard(const struct dsm_clock *clock, uint64_t *looked)
{
	uint64_t now = clock_now(clock), ns = now - *looked;
	*looked = now;
	return ns < CLOCK_STILL_NS ? ns : CLOCK_STILL_NS;
}

static inline int64_t clock_stamp(const struct dsm_clock *clock)
{
	return (int64_t)clock->stamp_ns(clock->context);
}

#endif
