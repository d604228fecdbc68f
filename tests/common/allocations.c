/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of the C library's allocator and hands on to it. A sanitizer has taken that place
 * already, and offers to be asked. */
#include "allocations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint64_t count;

uint64_t allocations(void)
{
	return atomic_load(&count);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#if SANITIZED
/* in the sanitizers' own header, which gcc does not bring */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
	void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p, (void)n;
	atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

static void on_free(const volatile void *p)
{
	(void)p;
}

__attribute__((constructor)) static void be_told(void)
{
	__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static void one_more(void)
{
	atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

void *malloc(size_t n)
{
	one_more();
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	one_more();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	one_more();
	return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	one_more();
	return __libc_memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	one_more();
	*out = __libc_memalign(alignment, n);
	return *out ? 0 : ENOMEM;
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	one_more();
	return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}
#endif
