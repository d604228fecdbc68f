/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroed arrays whose 64-byte elements lie each in one cache line. Pages of a large one that are
 * never touched cost nothing, which is why this is not aligned_alloc() and memset(). */
#ifndef DSM_LIB_CORE_LINES_H
#define DSM_LIB_CORE_LINES_H

#include <stdint.h>
#include <stdlib.h>

#include "core/layout.h"

/* `n` elements; NULL if there is no memory. *memory is what to free(). */
static inline void *lines_new(uint64_t n, void **memory)
{
	*memory = calloc(n + 1, DSM_LINE);
	return *memory ? (void *)round_up((uintptr_t)*memory, DSM_LINE) : NULL;
}

#endif
