/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which counters have been seen: a window of bits below the highest one (the method of RFC 6479:
 * the window moves by whole words, nothing is shifted). One for each direction of a session, and
 * one for each ADC device. Freestanding.
 */
#ifndef DSM_LIB_WIRE_REPLAY_H
#define DSM_LIB_WIRE_REPLAY_H

#include <stdint.h>

#define REPLAY_WORDS 32u                          /* a power of two */
#define REPLAY_BITS ((REPLAY_WORDS - 1) * 64u)    /* counters below the highest that are known: 1984 */

/* Zero = nothing seen. */
struct replay {
	uint64_t next;          /* highest counter seen, plus one */
	uint64_t seen[REPLAY_WORDS];
};

enum replay_verdict {
	REPLAY_FRESH = 0,       /* never seen */
	REPLAY_SEEN = 1,
	REPLAY_OLD = 2,         /* below the window: cannot be told, so refused */
};

/* Looks only. Call it before the (dear) authentication. UINT64_MAX is never fresh: it is no counter. */
enum replay_verdict replay_check(const struct replay *replay, uint64_t counter);
/* Marks a counter as seen, and moves the window if it is the highest. Only after authentication: who
 * has no key must not move it. The verdict is that of before. */
enum replay_verdict replay_take(struct replay *replay, uint64_t counter);

#endif
