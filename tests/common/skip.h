/* SPDX-License-Identifier: Apache-2.0 */
/* A Criterion test that cannot run here says so on a line of its own, which script/test counts and
 * shows: Criterion leaves such a test out of its totals without a word. */
#ifndef DSM_TESTS_COMMON_SKIP_H
#define DSM_TESTS_COMMON_SKIP_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

/* One call of fputs(): tests run beside each other. */
static inline __attribute__((format(printf, 2, 3))) void skip_said(const char *test, const char *format, ...)
{
	char why[200], line[300];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "\nskipped: %s: %s\n", test, why);
	fputs(line, stderr);
}

/* Ends the test that calls it. The reason is a format and its arguments. */
#define skip_test(...) do { \
	skip_said(criterion_current_test->name, __VA_ARGS__); \
	cr_skip_test(__VA_ARGS__); \
} while (0)

#endif
