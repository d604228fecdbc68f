/* SPDX-License-Identifier: Apache-2.0 */
#include "core/futex.h"

#include <errno.h>

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};
#define WAITV_SIZE_U32 2u
#define SLICE_NS 20000000u
#define LOOK_NS 1000000u

static void wait_one(const void *word, uint32_t value, uint64_t ns)
{
	struct timespec slice = { 0, (long)ns };
	syscall(SYS_futex, word, FUTEX_WAIT, value, &slice, 0, 0);
}

void futex_wait_any(const struct futex_word *words, uint32_t n, const _Atomic uint32_t *own, uint32_t b,
	uint64_t ns)
{
	struct waitv v[FUTEX_WORDS + 1];
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct waitv){ words[i].value, (uint64_t)(uintptr_t)words[i].at, WAITV_SIZE_U32, 0 };
	/* not private: futex_wake_all() wakes by the shared key, and the two never meet */
	v[n] = (struct waitv){ b, (uint64_t)(uintptr_t)own, WAITV_SIZE_U32, 0 };
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	uint64_t end = (uint64_t)until.tv_sec * 1000000000u + (uint64_t)until.tv_nsec + ns;
	until.tv_sec = (time_t)(end / 1000000000u);
	until.tv_nsec = (long)(end % 1000000000u);
	if (syscall(SYS_futex_waitv, v, n + 1, 0, &until, CLOCK_MONOTONIC) >= 0 || errno != ENOSYS)
		return;
	if (n == 1)
		wait_one(words[0].at, words[0].value, ns < SLICE_NS ? ns : SLICE_NS);
	else
		wait_one((const void *)own, b, ns < LOOK_NS ? ns : LOOK_NS);
}
