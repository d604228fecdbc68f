/* SPDX-License-Identifier: Apache-2.0 */
/* How often this program, all of its threads and libraries, has asked for memory. */
#ifndef DSM_TESTS_ALLOCATIONS_H
#define DSM_TESTS_ALLOCATIONS_H

#include <stdint.h>

/* malloc, calloc, realloc, aligned_alloc and mmap since it began. */
uint64_t allocations(void);

#endif
