/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching with one point to go back to. When a later '*' has been reached, the earlier ones
 * need never be tried again: whatever they could take more, the later one can take as well.
 * So only the last '*' is remembered, and no pattern costs more than pattern x text steps.
 */
#include "core/glob.h"

#include <stddef.h>

/* Matches c against the set at p ('['). Returns what follows the set, NULL if it has no end. */
static const char *set_match(const char *p, unsigned char c, bool *hit)
{
	bool negated = p[1] == '!';
	const char *first = p + 1 + negated, *at = first;
	bool found = false;
	while (*at && (*at != ']' || at == first)) {
		unsigned char low = (unsigned char)*at, high = low;
		if (at[1] == '-' && at[2] && at[2] != ']') {
			high = (unsigned char)at[2];
			at += 2;
		}
		if (low <= c && c <= high)
			found = true;
		at++;
	}
	if (!*at)
		return NULL;
	*hit = found != negated;
	return at + 1;
}

/* Matches one character; returns what follows in the pattern, NULL = no match. */
static const char *one_match(const char *p, unsigned char c)
{
	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		bool hit = false;
		const char *next = set_match(p, c, &hit);
		if (next)
			return hit ? next : NULL;
	}
	return *p && (unsigned char)*p == c ? p + 1 : NULL;
}

bool glob_match(const char *pattern, const char *text)
{
	const char *after_star = NULL, *resume = NULL;
	while (*text) {
		if (*pattern == '*') {
			after_star = ++pattern;
			resume = text;
			continue;
		}
		const char *next = one_match(pattern, (unsigned char)*text);
		if (next) {
			pattern = next;
			text++;
		} else if (after_star) {
			pattern = after_star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
