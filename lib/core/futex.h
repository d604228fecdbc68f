/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on words of shared memory. */
#ifndef DSM_LIB_CORE_FUTEX_H
#define DSM_LIB_CORE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* Wakes everybody that sleeps on the word; a read-only mapping suffices. */
static inline void futex_wake_all(const void *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* A word of shared memory and what it was. */
struct futex_word { const void *at; uint32_t value; };
#define FUTEX_WORDS 64u

/* Sleeps while each of n <= FUTEX_WORDS words, and *own, still has its value, at most `ns`. Spurious
 * returns are the caller's to handle. Without futex_waitv (before Linux 5.16) a thread sleeps on one
 * word: of a single one, the shared, for 20 ms at most; of several, its own, for 1 ms at most. */
void futex_wait_any(const struct futex_word *words, uint32_t n, const _Atomic uint32_t *own, uint32_t b,
	uint64_t ns);

#endif
