/* SPDX-License-Identifier: Apache-2.0 */
/* The check word of a slot: XXH3-64 over the header fields, then over the payload with that as
 * seed; the first seed comes from generation and group. It decides wherever a NIC or a network
 * wrote or read the bytes. */
#ifndef DSM_LIB_CORE_CHECK_H
#define DSM_LIB_CORE_CHECK_H

#include <stdint.h>

#define XXH_INLINE_ALL
#define XXH_STATIC_LINKING_ONLY
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wconversion"
#pragma clang diagnostic ignored "-Wshadow"
#pragma clang diagnostic ignored "-Wsign-conversion"
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#include <xxhash.h>
#if defined(__clang__)
#pragma clang diagnostic pop
#else
#pragma GCC diagnostic pop
#endif

/* What of a slot's header the check covers, in this order. */
struct check_fields {
	uint64_t seq, epoch_length, time, step;
};

static inline uint64_t check_seed(uint64_t generation, uint32_t group)
{
	return generation ^ ((uint64_t)(group + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

#ifdef DSM_XXH_DISPATCH
/* The library's, which takes the widest registers that the processor has: the same word, sooner for
 * a long payload. A short one is done before the call would be. */
#define CHECK_LONG 1024u
uint64_t XXH3_64bits_withSeed_dispatch(const void *data, size_t bytes, uint64_t seed);
#endif

static inline uint64_t check_word(uint64_t seed, const struct check_fields *fields,
	const void *payload, uint64_t bytes)
{
	uint64_t head = XXH3_64bits_withSeed(fields, sizeof(*fields), seed);
#ifdef DSM_XXH_DISPATCH
	if (bytes >= CHECK_LONG)
		return XXH3_64bits_withSeed_dispatch(payload, bytes, head);
#endif
	return XXH3_64bits_withSeed(payload, bytes, head);
}

#endif
