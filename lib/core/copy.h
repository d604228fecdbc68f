/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between private memory and memory that another thread may be writing. Each 8-byte
 * word goes by one relaxed atomic access, so a race is defined behaviour and TSan sees it so.
 * On x86-64 blocks of 64 bytes go by SSE2 instructions written out (outside the C memory
 * model; loads and stores of one core stay in program order there, each 8-byte half is whole).
 */
#ifndef DSM_LIB_CORE_COPY_H
#define DSM_LIB_CORE_COPY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define COPY_PORTABLE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define COPY_PORTABLE 1
#endif
#endif
#if !defined(__x86_64__) && !defined(COPY_PORTABLE)
#define COPY_PORTABLE 1
#endif

#ifndef COPY_PORTABLE
/* 64 bytes; memory clobber keeps the compiler from moving other accesses across. */
static inline void copy_block64(void *to, const void *from)
{
	__asm__ volatile("movdqu   (%1), %%xmm0\n\tmovdqu 16(%1), %%xmm1\n\t"
			 "movdqu 32(%1), %%xmm2\n\tmovdqu 48(%1), %%xmm3\n\t"
			 "movdqu %%xmm0,   (%0)\n\tmovdqu %%xmm1, 16(%0)\n\t"
			 "movdqu %%xmm2, 32(%0)\n\tmovdqu %%xmm3, 48(%0)\n\t"
			 : : "r"(to), "r"(from) : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
}
#endif

/* Shared to private; `bytes` a multiple of 8. */
static inline void copy_from_shared(uint64_t *to, const _Atomic uint64_t *from, uint64_t bytes)
{
	uint64_t i = 0, words = bytes / 8;
#ifndef COPY_PORTABLE
	for (; i + 8 <= words; i += 8)
		copy_block64(to + i, (const void *)(from + i));
#endif
	for (; i < words; i++)
		to[i] = atomic_load_explicit(from + i, memory_order_relaxed);
}

/* Private to shared; `bytes` a multiple of 8. */
static inline void copy_to_shared(_Atomic uint64_t *to, const uint64_t *from, uint64_t bytes)
{
	uint64_t i = 0, words = bytes / 8;
#ifndef COPY_PORTABLE
	for (; i + 8 <= words; i += 8)
		copy_block64((void *)(to + i), from + i);
#endif
	for (; i < words; i++)
		atomic_store_explicit(to + i, from[i], memory_order_relaxed);
}

#endif
