/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/replay.h"

static uint64_t bit(uint64_t counter)
{
	return (uint64_t)1 << (counter % 64);
}

static uint32_t word(uint64_t counter)
{
	return (uint32_t)(counter / 64) & (REPLAY_WORDS - 1);
}

enum replay_verdict replay_check(const struct replay *r, uint64_t counter)
{
	if (counter == UINT64_MAX)
		return REPLAY_OLD;
	if (counter >= r->next)
		return REPLAY_FRESH;
	/* the word of the highest counter and those before it; the one after it is being reused */
	if (r->next - counter > REPLAY_BITS)
		return REPLAY_OLD;
	return r->seen[word(counter)] & bit(counter) ? REPLAY_SEEN : REPLAY_FRESH;
}

enum replay_verdict replay_take(struct replay *r, uint64_t counter)
{
	enum replay_verdict verdict = replay_check(r, counter);
	if (verdict != REPLAY_FRESH)
		return verdict;
	if (counter >= r->next) {
		/* forget what the words between were used for; in an empty window there is nothing */
		uint64_t from = r->next ? (r->next - 1) / 64 : 0, words = counter / 64 - from;
		if (words > REPLAY_WORDS)
			words = REPLAY_WORDS;
		for (uint64_t i = 0; i < words; i++)
			r->seen[word(counter - i * 64)] = 0;
		r->next = counter + 1;
	}
	r->seen[word(counter)] |= bit(counter);
	return REPLAY_FRESH;
}
