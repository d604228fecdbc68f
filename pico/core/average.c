/* SPDX-License-Identifier: Apache-2.0 */
#include "average.h"

uint16_t pico_average(const uint16_t *samples, unsigned log2)
{
	uint32_t sum = 0;
	for (unsigned i = 0; i < 1u << log2; i++)
		sum += samples[i] & 0xfff;
	/* the sum has 12 + log2 bits: move them to the top of 16, fill below with the topmost again */
	return (uint16_t)((sum << (4 - log2)) + (sum >> (8 + log2)));
}
