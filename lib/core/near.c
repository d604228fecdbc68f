/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearest names by edit distance (optimal string alignment), computed only in the band of
 * cells that can still be within the limit: at most 7 per letter. A million names are looked
 * through in a fraction of a second, most of them by their letters alone.
 */
#include "core/near.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BAND (2 * NEAR_DISTANCE_MAX + 1)
#define FAR (NEAR_DISTANCE_MAX + 1)

static unsigned char fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static uint64_t letters_of(const char *text, size_t length)
{
	uint64_t letters = 0;
	for (size_t i = 0; i < length; i++)
		letters |= (uint64_t)1 << (fold(text[i]) & 63);
	return letters;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Distance of a and b, or FAR if it is above NEAR_DISTANCE_MAX. Rows run over a; column k of
 * a row stands for position i + k - NEAR_DISTANCE_MAX in b. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][BAND + 2]; /* one FAR column at either side */
	for (unsigned r = 0; r < 3; r++)
		for (unsigned k = 0; k < BAND + 2; k++)
			rows[r][k] = FAR;
	for (size_t i = 0; i <= a_length; i++) {
		unsigned *row = rows[i % 3] + 1;
		const unsigned *above = rows[(i + 2) % 3] + 1, *above2 = rows[(i + 1) % 3] + 1;
		unsigned row_least = FAR;
		for (size_t k = 0; k < BAND; k++) {
			unsigned d = FAR;
			size_t j = i + k - NEAR_DISTANCE_MAX;
			if (i + k < NEAR_DISTANCE_MAX || j > b_length) {
				row[k] = FAR;
				continue;
			}
			if (i == 0)
				d = (unsigned)j;
			else if (j == 0)
				d = (unsigned)least((unsigned)i, FAR);
			if (i > 0)
				d = least(d, above[k + 1] + 1);
			if (j > 0 && k > 0)
				d = least(d, row[k - 1] + 1);
			if (i > 0 && j > 0)
				d = least(d, above[k] + (fold(a[i - 1]) != fold(b[j - 1])));
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				d = least(d, above2[k] + 1);
			row[k] = least(d, FAR);
			row_least = least(row_least, row[k]);
		}
		if (row_least == FAR && i > 0)
			return FAR; /* a swap spans two rows, but costs 1 upon a row that was FAR - 1 at most */
	}
	return rows[a_length % 3][1 + b_length + NEAR_DISTANCE_MAX - a_length];
}

void near_begin(struct near *near, const char *wanted)
{
	memset(near, 0, sizeof(*near));
	near->wanted = wanted;
	near->length = strlen(wanted);
	near->letters = letters_of(wanted, near->length < NEAR_NAME_MAX ? near->length : NEAR_NAME_MAX);
	near->limit = near->length <= 3 ? 1 : near->length <= 6 ? 2 : NEAR_DISTANCE_MAX;
}

static void keep(struct near *near, const char *name, unsigned d)
{
	unsigned at = near->count;
	while (at > 0 && near->best[at - 1].distance > d)
		at--;
	if (at >= NEAR_BEST_MAX)
		return;
	if (near->count < NEAR_BEST_MAX)
		near->count++;
	for (unsigned i = near->count - 1; i > at; i--)
		near->best[i] = near->best[i - 1];
	near->best[at].name = name;
	near->best[at].distance = d;
}

void near_offer(struct near *near, const char *name)
{
	size_t length = strlen(name);
	if (length > NEAR_NAME_MAX || near->length == 0 || near->length > NEAR_NAME_MAX)
		return;
	if (length > near->length + 1 && name[length - near->length - 1] == '.' &&
	    memcmp(name + length - near->length, near->wanted, near->length) == 0) {
		keep(near, name, 1);
		return;
	}
	size_t difference = length > near->length ? length - near->length : near->length - length;
	if (difference > near->limit)
		return;
	/* one edit changes the set of letters by two at most */
	uint64_t odd = near->letters ^ letters_of(name, length);
	if ((unsigned)__builtin_popcountll(odd) > 2 * near->limit)
		return;
	unsigned d = distance(near->wanted, near->length, name, length);
	if (d <= near->limit)
		keep(near, name, d);
}

char *near_text(const struct near *near, char *buf, size_t size)
{
	if (size == 0)
		return buf;
	buf[0] = '\0';
	size_t at = 0;
	for (unsigned i = 0; i < near->count; i++) {
		const char *before = i == 0 ? "; did you mean " : i + 1 == near->count ? " or " : ", ";
		int n = snprintf(buf + at, size - at, "%s%s%s", before, near->best[i].name,
			i + 1 == near->count ? "?" : "");
		if (n < 0 || (size_t)n >= size - at)
			break; /* buf stays terminated, the last name cut */
		at += (size_t)n;
	}
	return buf;
}
