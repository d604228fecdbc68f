/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 by the table of well-formed byte sequences (Unicode 15, table 3-7). */
#include "core/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed sequence at `p`, of which `left` bytes are there; 0 = none. */
static size_t sequence(const unsigned char *p, size_t left)
{
	unsigned char lead = p[0];
	if (lead < 0x80)
		return lead != 0;
	size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (lead < 0xc2 || lead > 0xf4 || length > left)
		return 0;
	unsigned char low = 0x80, high = 0xbf; /* of the second byte */
	if (lead == 0xe0)
		low = 0xa0;  /* below: overlong */
	else if (lead == 0xed)
		high = 0x9f; /* above: surrogates */
	else if (lead == 0xf0)
		low = 0x90;  /* below: overlong */
	else if (lead == 0xf4)
		high = 0x8f; /* above: beyond U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* Eight bytes of ASCII without NUL? (No byte has its top bit, none borrows when 1 is taken.) */
static bool eight_plain(const unsigned char *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	return ((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) == 0;
}

bool utf8_valid(const char *text, size_t bytes)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t at = 0;
	while (at < bytes) {
		if (bytes - at >= 8 && eight_plain(p + at)) {
			at += 8;
			continue;
		}
		size_t length = sequence(p + at, bytes - at);
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}
