/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a cell lies in a group's payload. One record a cell, in table order, 8-byte words:
 *
 *   word 0        when it last changed, engine time in ns; the low 3 bits carry the quality
 *   word 1 …      bool, i64, u64, f64: the value
 *                 string(n), bytes(n): length in bytes, then n bytes, zero-padded to 8
 *                 f64[n]: n doubles
 *
 * An array or bytes cell that stands alone in its group is moved so that its data begins on a
 * 64-byte boundary (PAYLOAD_LONE_*), because dsm_loan() hands that memory out.
 */
#ifndef DSM_LIB_CORE_PAYLOAD_H
#define DSM_LIB_CORE_PAYLOAD_H

#include <dsm/dsm.h>

#define PAYLOAD_QUALITY_BITS 7u        /* low bits of word 0 */
#define PAYLOAD_LONE_ARRAY_OFFSET 16u  /* slot header 40 + 16 + word 0 = 64 */
#define PAYLOAD_LONE_BYTES_OFFSET 8u   /* slot header 40 + 8 + word 0 + length = 64 */

static inline bool payload_is_scalar(enum dsm_type type)
{
	return type >= DSM_BOOL && type <= DSM_F64;
}

/* Bytes of the record of one cell, a multiple of 8. */
static inline uint64_t payload_record_bytes(enum dsm_type type, uint32_t capacity)
{
	uint64_t n = capacity;
	switch (type) {
	case DSM_STRING:
	case DSM_BYTES:
		return 16 + ((n + 7) & ~(uint64_t)7);
	case DSM_F64_ARRAY:
		return 8 + n * 8;
	default:
		return 16;
	}
}

#endif
