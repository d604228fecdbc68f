/* SPDX-License-Identifier: Apache-2.0 */
#include "core/futex.h"

#include <errno.h>

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};
#define WAITV_SIZE_U32 2u
#define SLICE_NS 20000000u

void futex_wait_two(const void *shared, uint32_t a, const _Atomic uint32_t *own, uint32_t b,
	uint64_t ns)
{
	struct waitv v[2] = {
		{ a, (uint64_t)(uintptr_t)shared, WAITV_SIZE_U32, 0 },
		/* not private: futex_wake_all() wakes by the shared key, and the two never meet */
		{ b, (uint64_t)(uintptr_t)own, WAITV_SIZE_U32, 0 },
	};
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	uint64_t end = (uint64_t)until.tv_sec * 1000000000u + (uint64_t)until.tv_nsec + ns;
	until.tv_sec = (time_t)(end / 1000000000u);
	until.tv_nsec = (long)(end % 1000000000u);
	if (syscall(SYS_futex_waitv, v, 2, 0, &until, CLOCK_MONOTONIC) >= 0 || errno != ENOSYS)
		return;
	uint64_t cut = ns < SLICE_NS ? ns : SLICE_NS;
	struct timespec slice = { 0, (long)cut };
	syscall(SYS_futex, shared, FUTEX_WAIT, a, &slice, 0, 0);
}
