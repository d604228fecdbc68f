/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/siphash.h"

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline uint64_t left(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void round_of(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = left(v[1], 13) ^ v[0];
	v[3] = left(v[3], 16) ^ v[2];
	v[0] = left(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = left(v[1], 17) ^ v[2];
	v[3] = left(v[3], 21) ^ v[0];
	v[2] = left(v[2], 32);
}

static inline void take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	round_of(v);
	round_of(v);
	v[0] ^= word;
}

uint64_t siphash24(const uint8_t key[SIPHASH_KEY], const uint8_t *data, size_t n)
{
	uint64_t k0 = get64(key), k1 = get64(key + 8), last = (uint64_t)(n & 0xff) << 56;
	/* the paper's constants: "somepseudorandomlygeneratedbytes" */
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
		k1 ^ 0x7465646279746573u };
	size_t whole = n & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8)
		take(v, get64(data + i));
	for (size_t i = whole; i < n; i++)
		last |= (uint64_t)data[i] << (8 * (i - whole));
	take(v, last);
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		round_of(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
