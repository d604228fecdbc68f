/* SPDX-License-Identifier: Apache-2.0 */
/* The names nearest to one that was not found, for error texts. The caller offers every name
 * it has; nothing is allocated or copied, so the names must outlive near_text(). */
#ifndef DSM_LIB_CORE_NEAR_H
#define DSM_LIB_CORE_NEAR_H

#include <stddef.h>
#include <stdint.h>

#define NEAR_NAME_MAX 200   /* longer names are never near */
#define NEAR_BEST_MAX 3
#define NEAR_DISTANCE_MAX 3 /* edits; fewer for short names */

struct near {
	const char *wanted;
	size_t length;
	uint64_t letters;       /* which letters it has: rules out most names without a comparison */
	unsigned limit, count;
	struct { const char *name; unsigned distance; } best[NEAR_BEST_MAX]; /* nearest first */
};

void near_begin(struct near *near, const char *wanted);
/* Considers one name: insertions, deletions, changed letters and swapped neighbours count one
 * each, capitals nothing. A name that ends in ".WANTED" is taken for near as well. */
void near_offer(struct near *near, const char *name);
/* "; did you mean a, b or c?", or "" if nothing is near. Returns buf. */
char *near_text(const struct near *near, char *buf, size_t size);

#endif
