/* SPDX-License-Identifier: Apache-2.0 */
/* See buffer.h. */
#include "buffer.h"

#include <dsm/dsm.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024u

static bool has_room(struct buffer *b, size_t n)
{
	size_t room = b->room ? b->room : ROOM_FIRST;

	if (b->failed || n > SIZE_MAX / 4 - b->length) {
		b->failed = true;
		return false;
	}
	if (b->length + n <= b->room)
		return true;
	while (room < b->length + n)
		room *= 2;
	char *text = realloc(b->text, room);
	if (!text) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->room = room;
	return true;
}

void put_bytes(struct buffer *b, const void *bytes, size_t n)
{
	if (n == 0 || !has_room(b, n))
		return;
	memcpy(b->text + b->length, bytes, n);
	b->length += n;
}

void put(struct buffer *b, const char *text)
{
	put_bytes(b, text, strlen(text));
}

void put_char(struct buffer *b, char c)
{
	put_bytes(b, &c, 1);
}

void put_u64(struct buffer *b, uint64_t number)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRIu64, number);

	put_bytes(b, text, (size_t)n);
}

void put_i64(struct buffer *b, int64_t number)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRId64, number);

	put_bytes(b, text, (size_t)n);
}

void put_f64(struct buffer *b, double number)
{
	const struct dsm_value value = { .type = DSM_F64, .len = 1, .f64 = number };
	char text[64];

	if (!isfinite(number)) {
		put(b, "null");
		return;
	}
	dsm_value_format(&value, -1, text, sizeof text);
	put(b, text);
}

void put_rounded(struct buffer *b, double number, int digits)
{
	char text[400];

	if (!isfinite(number)) {
		put(b, "null");
		return;
	}
	snprintf(text, sizeof text, "%.*f", digits, number);
	put(b, text);
}

/* Bytes of the UTF-8 character that begins there, 0 if none does. */
static size_t character(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 && *p < 0xf0 ? 3 :
		*p >= 0xc2 && *p < 0xe0 ? 2 : 0;
	uint32_t point = n == 1 ? *p : n ? *p & (0x7fu >> n) : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3fu);
	}
	if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0;
	return n;
}

void put_string_n(struct buffer *b, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;

	put_char(b, '"');
	for (size_t i = 0; i < length;) {
		size_t n = character(p + i, length - i);
		if (n == 0) {
			put(b, "\\ufffd");
			n = 1;
		} else if (n == 1 && (p[i] < ' ' || strchr("\"\\<>&\x7f", p[i]))) {
			char escape[8];
			snprintf(escape, sizeof escape, "\\u%04x", (unsigned)p[i]);
			put(b, escape);
		} else {
			put_bytes(b, p + i, n);
		}
		i += n;
	}
	put_char(b, '"');
}

void put_string(struct buffer *b, const char *text)
{
	put_string_n(b, text, strlen(text));
}

void put_comma(struct buffer *b)
{
	if (b->length && b->text[b->length - 1] != '{' && b->text[b->length - 1] != '[')
		put_char(b, ',');
}

void put_key(struct buffer *b, const char *key)
{
	put_comma(b);
	put_string(b, key);
	put_char(b, ':');
}
