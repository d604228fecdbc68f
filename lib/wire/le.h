/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers, byte by byte: for codecs. The caller has looked at the length. */
#ifndef DSM_LIB_WIRE_LE_H
#define DSM_LIB_WIRE_LE_H

#include <stddef.h>
#include <stdint.h>

static inline void le_put(unsigned char *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

static inline uint64_t le_get(const unsigned char *at, size_t n)
{
	uint64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

#endif
