/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as `dsm dump` and `dsm get` write it: flat objects, one after the other or in an
 * array. Own reader, because numbers have to stay the text they are: a u64 and the last digit
 * of an f64 do not survive a double. Keys used: cell, v, q.
 */
#include "expect.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEST_MAX 16

struct reader {
	const char *at;
	int line;
	char *buf;           /* of the token just read; as long as the text */
	char *error;
	size_t error_size;
};

static int complain(struct reader *r, const char *what)
{
	snprintf(r->error, r->error_size, "line %d: %s", r->line, what);
	return -EBADMSG;
}

static void skip_blanks(struct reader *r)
{
	for (; *r->at && strchr(" \t\r\n", *r->at); r->at++)
		r->line += *r->at == '\n';
}

/* ---- strings ---- */

static int hex4(const char *text, uint32_t *out)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdefABCDEF", *digit;
		if (!text[i] || !(digit = strchr(digits, text[i])))
			return -EBADMSG;
		uint32_t n = (uint32_t)(digit - digits);
		value = value << 4 | (n > 15 ? n - 6 : n);
	}
	*out = value;
	return 0;
}

static char *put_point(char *to, uint32_t point)
{
	if (point < 0x80) {
		*to++ = (char)point;
	} else if (point < 0x800) {
		*to++ = (char)(0xc0 | point >> 6);
		*to++ = (char)(0x80 | (point & 0x3f));
	} else if (point < 0x10000) {
		*to++ = (char)(0xe0 | point >> 12);
		*to++ = (char)(0x80 | (point >> 6 & 0x3f));
		*to++ = (char)(0x80 | (point & 0x3f));
	} else {
		*to++ = (char)(0xf0 | point >> 18);
		*to++ = (char)(0x80 | (point >> 12 & 0x3f));
		*to++ = (char)(0x80 | (point >> 6 & 0x3f));
		*to++ = (char)(0x80 | (point & 0x3f));
	}
	return to;
}

/* \uXXXX, or a pair of them; r->at stands behind the u. */
static int read_point(struct reader *r, uint32_t *out)
{
	uint32_t high, low;

	if (hex4(r->at, &high))
		return complain(r, "\\u wants four hexadecimal digits");
	r->at += 4;
	*out = high;
	if (high >= 0xd800 && high < 0xdc00 && r->at[0] == '\\' && r->at[1] == 'u' &&
	    hex4(r->at + 2, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
		r->at += 6;
		*out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	if (*out == 0 || (*out >= 0xd800 && *out < 0xe000))
		return complain(r, "a character that no cell can hold");
	return 0;
}

/* A string into r->buf; r->at stands on its first quote. No escape is shorter than what it
 * stands for, so that it fits. */
static int read_string(struct reader *r)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	char *to = r->buf;

	for (r->at++; *r->at != '"'; ) {
		if ((unsigned char)*r->at < 0x20)
			return complain(r, "a string does not end");
		if (*r->at != '\\') {
			*to++ = *r->at++;
			continue;
		}
		const char *name = r->at[1] ? strchr(names, r->at[1]) : NULL;
		if (name) {
			*to++ = values[name - names];
			r->at += 2;
		} else if (r->at[1] == 'u') {
			uint32_t point;
			r->at += 2;
			int error = read_point(r, &point);
			if (error)
				return error;
			to = put_point(to, point);
		} else {
			return complain(r, "an escape that JSON does not have");
		}
	}
	r->at++;
	*to = '\0';
	return 0;
}

/* ---- values ---- */

/* An array or object as it stands, into r->buf. */
static int read_nested(struct reader *r)
{
	const char *start = r->at;
	int depth = 0;
	bool quoted = false;

	do {
		char c = *r->at++;
		if (!c)
			return complain(r, "an array or object does not end");
		r->line += c == '\n';
		if (quoted && c == '\\' && *r->at)
			r->at++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{'))
			depth++;
		else if (!quoted && (c == ']' || c == '}'))
			depth--;
		if (depth > NEST_MAX)
			return complain(r, "nested too deep");
	} while (depth > 0);
	memcpy(r->buf, start, (size_t)(r->at - start));
	r->buf[r->at - start] = '\0';
	return 0;
}

/* A value's text; *null for the word. */
static int read_value(struct reader *r, bool *null)
{
	*null = false;
	skip_blanks(r);
	if (*r->at == '"')
		return read_string(r);
	if (*r->at == '[' || *r->at == '{')
		return read_nested(r);
	size_t n = strcspn(r->at, ",}] \t\r\n");
	if (n == 0)
		return complain(r, "a value is missing");
	memcpy(r->buf, r->at, n);
	r->buf[n] = '\0';
	r->at += n;
	*null = strcmp(r->buf, "null") == 0;
	if (!*null && !strchr("-0123456789tf", r->buf[0]))
		return complain(r, "a value that JSON does not have");
	return 0;
}

struct object { char *cell, *value, *quality; bool has_value; };

static int take_member(struct reader *r, struct object *object, const char *key)
{
	bool null;
	int error = read_value(r, &null);
	char **place = strcmp(key, "cell") == 0 ? &object->cell :
		strcmp(key, "v") == 0 ? &object->value :
		strcmp(key, "q") == 0 ? &object->quality : NULL;

	if (error || !place)
		return error;
	object->has_value |= place == &object->value;
	free(*place);
	*place = null ? NULL : strdup(r->buf);
	return null || *place ? 0 : -ENOMEM;
}

static int read_members(struct reader *r, struct object *object)
{
	char key[16];

	for (;;) {
		skip_blanks(r);
		if (*r->at == '}')
			break;
		if (*r->at != '"')
			return complain(r, "a key in quotes was expected");
		int error = read_string(r);
		if (error)
			return error;
		snprintf(key, sizeof key, "%.15s", r->buf);
		skip_blanks(r);
		if (*r->at++ != ':')
			return complain(r, "a colon was expected behind the key");
		error = take_member(r, object, key);
		if (error)
			return error;
		skip_blanks(r);
		if (*r->at == ',')
			r->at++;
		else if (*r->at != '}')
			return complain(r, "a comma or } was expected behind the value");
	}
	r->at++;
	return 0;
}

static int read_object(struct reader *r, struct expectations *out)
{
	struct object object = { 0 };
	int line = r->line;

	r->at++;
	int error = read_members(r, &object);
	if (!error && (!object.cell || !object.has_value)) {
		r->line = line;
		error = complain(r, "an object without \"cell\" or \"v\"");
	}
	if (!error)
		error = expectations_add(out, object.cell, object.value, object.quality);
	free(object.cell);
	free(object.value);
	free(object.quality);
	return error;
}

int expect_json(const char *text, struct expectations *out, char *error, size_t size)
{
	struct reader r = { .at = text, .line = 1, .error = error, .error_size = size };
	int result = 0;
	bool array;

	r.buf = malloc(strlen(text) + 1);
	if (!r.buf)
		return -ENOMEM;
	skip_blanks(&r);
	array = *r.at == '[';
	r.at += array;
	while (!result) {
		skip_blanks(&r);
		if (*r.at == '{') {
			result = read_object(&r, out);
		} else if (array && *r.at == ',') {
			r.at++;
		} else if (array && *r.at == ']') {
			array = false;
			r.at++;
		} else if (!*r.at && !array) {
			break;
		} else {
			result = complain(&r, *r.at ? "an object was expected" : "the array does not end");
		}
	}
	free(r.buf);
	return result;
}
