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

static inline int64_t clock_stamp(const struct dsm_clock *clock)
{
	return (int64_t)clock->stamp_ns(clock->context);
}

#endif
