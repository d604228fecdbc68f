/* SPDX-License-Identifier: Apache-2.0 */
/* What plain test programs share: counting checks, bounded time. Criterion forks a process for
 * each test and aborts under TSan; these programs are one process, or fork by themselves. */
#ifndef DSM_TESTS_PLAIN_H
#define DSM_TESTS_PLAIN_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#ifdef PLAIN_SHARED /* a program of several files, one of which has the counters */
extern atomic_uint plain_passed, plain_failed;
#else
static atomic_uint plain_passed, plain_failed;
#endif

/* Counts; says what was wrong. Any thread. */
__attribute__((format(printf, 2, 3), unused))
static bool check(bool good, const char *what, ...)
{
	if (good) {
		atomic_fetch_add(&plain_passed, 1);
		return true;
	}
	char text[300];
	va_list args;
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	if (atomic_fetch_add(&plain_failed, 1) < 50)
		printf("FAILED: %s\n", text);
	return false;
}

/* For what is looked at a million times: only failures count. */
#define expect(good, ...) __extension__ ({ \
	bool expected_ = (good); \
	if (!expected_) \
		check(false, __VA_ARGS__); \
	expected_; })

/* The last line; the exit status of main(). */
static inline int plain_end(void)
{
	printf("%u passed, %u failed\n", atomic_load(&plain_passed), atomic_load(&plain_failed));
	fflush(stdout);
	return atomic_load(&plain_failed) || !atomic_load(&plain_passed) ? 1 : 0;
}

/* A hang is a failure: SIGALRM ends the program. */
static inline void plain_begin(unsigned bound_seconds)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(bound_seconds);
}

static inline uint64_t plain_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline uint64_t plain_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void plain_sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&t, NULL);
}

#endif
