/* SPDX-License-Identifier: Apache-2.0 */
/* The replay window against a plain list of what was seen. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "wire/replay.h"

Test(replay, edges)
{
	struct replay r = { 0 };
	cr_expect_eq(replay_check(&r, 0), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, 0), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, 0), REPLAY_SEEN);
	cr_expect_eq(replay_take(&r, REPLAY_BITS), REPLAY_FRESH);
	cr_expect_eq(replay_check(&r, 0), REPLAY_OLD, "0 is %u below the highest", REPLAY_BITS);
	cr_expect_eq(replay_check(&r, 1), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, 1), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, 1), REPLAY_SEEN);
	/* looking changes nothing */
	cr_expect_eq(replay_check(&r, 1000000), REPLAY_FRESH);
	cr_expect_eq(replay_check(&r, 2), REPLAY_FRESH);
	/* a jump far beyond the window forgets everything, and nothing before it is fresh */
	cr_expect_eq(replay_take(&r, (uint64_t)1 << 40), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, 2), REPLAY_OLD);
	cr_expect_eq(replay_take(&r, ((uint64_t)1 << 40) - 1), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, ((uint64_t)1 << 40) - REPLAY_BITS + 1), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, ((uint64_t)1 << 40) - REPLAY_BITS), REPLAY_OLD);
	cr_expect_eq(replay_take(&r, UINT64_MAX - 1), REPLAY_FRESH);
	cr_expect_eq(replay_take(&r, UINT64_MAX - 1), REPLAY_SEEN);
	cr_expect_eq(replay_take(&r, UINT64_MAX), REPLAY_OLD);
	cr_assert_geq(REPLAY_BITS, 1024u);
}

/* Random walks forwards with reordering, repetition and jumps; every verdict compared. */
Test(replay, like_a_plain_list)
{
	enum { SPACE = 1 << 16 };
	static unsigned char seen[SPACE];
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct replay r = { 0 };
		uint64_t highest = 0, front = 0;
		bool any = false;
		memset(seen, 0, sizeof(seen));
		srand(seed);
		for (int i = 0; i < 40000; i++) {
			int kind = rand() % 100;
			uint64_t back = (uint64_t)rand() % (kind < 5 ? 4000 : 130);
			if (kind >= 98)
				front += (uint64_t)rand() % 2500;
			else if (kind >= 40)
				front++;
			if (front >= SPACE)
				break;
			uint64_t c = kind >= 40 ? front : front > back ? front - back : 0;
			enum replay_verdict expected = any && highest + 1 > c + REPLAY_BITS ? REPLAY_OLD :
				seen[c] ? REPLAY_SEEN : REPLAY_FRESH;
			cr_assert_eq(replay_check(&r, c), expected, "seed %u step %d: %lu under %lu", seed, i,
				(unsigned long)c, (unsigned long)highest);
			cr_assert_eq(replay_take(&r, c), expected);
			seen[c] = 1;
			if (!any || c > highest)
				highest = c;
			any = true;
		}
	}
}
