/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as text and back. Always in the "C" locale, whatever the program has set: a comma
 * for the decimal point would make numbers unreadable to every other program.
 */
#include <dsm/dsm.h>

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "port/port.h"

#define PRECISION_MAX 40
/* a double with all its digits: sign, 309 before the point, the point, PRECISION_MAX, NUL */
#define F64_TEXT_MAX (1 + 309 + 1 + PRECISION_MAX + 1)
#define SHOWN_MAX 60

/* ---- value to text --------------------------------------------------------------- */

/* Appends to a buffer that may be too small: `length` counts on, as snprintf does. */
struct sink {
	char *buf;
	size_t size, length;
};

static void put(struct sink *sink, const char *text, size_t bytes)
{
	if (sink->length < sink->size) {
		size_t room = sink->size - sink->length;
		memcpy(sink->buf + sink->length, text, bytes < room ? bytes : room);
	}
	sink->length += bytes;
}

/* Any decimal of at most 15 digits survives the way through a normal double, so "%.15g" is
 * the shortest text where it reads back; 17 digits always do. Of subnormal numbers every
 * length is tried. (A few powers of two get 17 digits where 16 would do.) */
static void f64_shortest(double value, char *text, size_t size)
{
	int digits = fabs(value) < DBL_MIN ? 1 : 15;
	for (; digits <= 17; digits++) {
		snprintf(text, size, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			return;
	}
}

/* In the "C" locale. */
static void put_f64(struct sink *sink, double value, int precision)
{
	char text[F64_TEXT_MAX];
	if (isnan(value))
		memcpy(text, "nan", 4);
	else if (isinf(value))
		memcpy(text, value < 0 ? "-inf" : "inf", value < 0 ? 5 : 4);
	else if (precision < 0)
		f64_shortest(value, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%.*f", precision < PRECISION_MAX ? precision : PRECISION_MAX, value);
	put(sink, text, strlen(text));
}

static void put_bytes(struct sink *sink, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		const char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
		put(sink, pair, 2);
	}
}

static void put_array(struct sink *sink, const double *values, size_t n, int precision)
{
	put(sink, "[", 1);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			put(sink, ",", 1);
		put_f64(sink, values[i], precision);
	}
	put(sink, "]", 1);
}

static int put_value(struct sink *sink, const struct dsm_value *value, int precision)
{
	char text[32];
	switch (value->type) {
	case DSM_BOOL:
		put(sink, value->b ? "true" : "false", value->b ? 4 : 5);
		return 0;
	case DSM_I64:
		put(sink, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value->i64));
		return 0;
	case DSM_U64:
		put(sink, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, value->u64));
		return 0;
	case DSM_F64:
		put_f64(sink, value->f64, precision);
		return 0;
	case DSM_STRING:
		put(sink, value->len ? value->str : "", value->len);
		return 0;
	case DSM_BYTES:
		put_bytes(sink, value->bytes, value->len);
		return 0;
	case DSM_F64_ARRAY:
		put_array(sink, value->f64s, value->len, precision);
		return 0;
	}
	return dsm__fail(-EINVAL, "value: type %d is none; set dsm_value.type", (int)value->type);
}

int dsm_value_format(const struct dsm_value *value, int precision, char *buf, size_t size)
{
	if (!value || (!buf && size > 0))
		return dsm__fail(-EINVAL, "dsm_value_format: no value or no buffer given");
	struct sink sink = { buf, size, 0 };
	struct port_locale before;
	port_locale_c(&before);
	int rc = put_value(&sink, value, precision);
	port_locale_back(&before);
	if (size > 0)
		buf[sink.length < size ? sink.length : size - 1] = '\0';
	if (rc < 0)
		return rc;
	return sink.length > INT_MAX ? INT_MAX : (int)sink.length;
}

/* ---- text to value --------------------------------------------------------------- */

static int refuse(int error, const char *text, const char *type, const char *expected)
{
	return dsm__fail(error, "'%.*s%s' is no %s: %s", SHOWN_MAX, text,
		strlen(text) > SHOWN_MAX ? "..." : "", type, expected);
}

/* ASCII letters only: strcasecmp() follows the locale. */
static bool same_word(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char c = (char)(*a >= 'A' && *a <= 'Z' ? *a - 'A' + 'a' : *a);
		if (c != *b)
			return false;
	}
	return *a == *b;
}

static int parse_bool(const char *text, struct dsm_value *out)
{
	static const char *const yes[] = { "true", "1", "on", "yes" };
	static const char *const no[] = { "false", "0", "off", "no" };
	for (size_t i = 0; i < 4; i++) {
		if (same_word(text, yes[i]) || same_word(text, no[i])) {
			out->b = same_word(text, yes[i]);
			return 0;
		}
	}
	return refuse(-EINVAL, text, "bool", "write true or false (or 1, 0, on, off, yes, no)");
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Digits, or "0x" and hexadecimal ones, to the end. -EINVAL, -ERANGE without a text. */
static int parse_magnitude(const char *digits, uint64_t *out)
{
	unsigned base = 10;
	uint64_t value = 0;
	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
		base = 16;
		digits += 2;
	}
	if (!*digits)
		return -EINVAL;
	bool over = false;
	for (; *digits; digits++) {
		unsigned digit = (unsigned)digit_of(*digits);
		if (digit >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			over = true;
	}
	*out = value;
	return over ? -ERANGE : 0;
}

static int parse_i64(const char *text, struct dsm_value *out)
{
	bool negative = text[0] == '-';
	uint64_t magnitude = 0;
	int rc = parse_magnitude(text + (negative || text[0] == '+'), &magnitude);
	if (rc == -EINVAL)
		return refuse(rc, text, "i64", "write a whole number, -12 or 0x1f");
	if (rc == -ERANGE || magnitude > (uint64_t)INT64_MAX + negative)
		return refuse(-ERANGE, text, "i64", "the range is -9223372036854775808 to 9223372036854775807");
	if (!negative)
		out->i64 = (int64_t)magnitude;
	else
		out->i64 = magnitude == 0 ? 0 : -(int64_t)(magnitude - 1) - 1;
	return 0;
}

static int parse_u64(const char *text, struct dsm_value *out)
{
	uint64_t magnitude = 0;
	int rc = parse_magnitude(text + (text[0] == '-' || text[0] == '+'), &magnitude);
	if (rc == -EINVAL)
		return refuse(rc, text, "u64", "write a whole number that is not negative, 12 or 0x1f");
	if (rc == -ERANGE || (text[0] == '-' && magnitude > 0))
		return refuse(-ERANGE, text, "u64", "the range is 0 to 18446744073709551615");
	out->u64 = magnitude;
	return 0;
}

/* [+-] digits [. digits] [e [+-] digits], with at least one digit before the e: what
 * strtod() takes besides (blanks, hexadecimal, "nan(1)") is refused. */
static bool is_decimal(const char *text)
{
	text += *text == '+' || *text == '-';
	size_t whole = strspn(text, "0123456789");
	text += whole;
	size_t fraction = 0;
	if (*text == '.') {
		fraction = strspn(text + 1, "0123456789");
		text += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '+' || *text == '-';
		size_t exponent = strspn(text, "0123456789");
		if (exponent == 0)
			return false;
		text += exponent;
	}
	return *text == '\0';
}

static int parse_f64(const char *text, struct dsm_value *out)
{
	const char *word = text + (*text == '-' || *text == '+');
	if (same_word(word, "nan")) {
		out->f64 = (double)NAN;
		return 0;
	}
	if (same_word(word, "inf") || same_word(word, "infinity")) {
		out->f64 = *text == '-' ? -HUGE_VAL : HUGE_VAL;
		return 0;
	}
	if (!is_decimal(text))
		return refuse(-EINVAL, text, "f64", "write a number with a decimal point, -1.5 or 2e-3");
	struct port_locale before;
	port_locale_c(&before);
	double value = strtod(text, NULL);
	port_locale_back(&before);
	if (isinf(value))
		return refuse(-ERANGE, text, "f64", "the range is about -1.8e308 to 1.8e308");
	out->f64 = value;
	return 0;
}

static int parse_string(const char *text, struct dsm_value *out)
{
	size_t bytes = strlen(text);
	if (bytes > UINT32_MAX)
		return dsm__fail(-ERANGE, "string: %zu bytes are more than any cell can hold", bytes);
	out->str = text;
	out->len = (uint32_t)bytes;
	return 0;
}

static int parse_bytes(const char *text, struct dsm_value *out, void *scratch, size_t scratch_size)
{
	unsigned char *to = scratch;
	size_t digits = strlen(text), bytes = digits / 2;
	for (size_t i = 0; i < digits; i++)
		if (digit_of(text[i]) > 15)
			return refuse(-EINVAL, text, "bytes", "write hexadecimal digits without blanks, 00ff1a");
	if (digits % 2 != 0)
		return refuse(-EINVAL, text, "bytes", "write two hexadecimal digits for each byte");
	if (bytes > scratch_size || bytes > UINT32_MAX || (bytes > 0 && !scratch))
		return dsm__fail(-ERANGE, "bytes: %zu bytes, but there is room for %zu; write less", bytes,
			scratch ? scratch_size : 0);
	for (size_t i = 0; i < bytes; i++)
		to[i] = (unsigned char)(digit_of(text[2 * i]) * 16 + digit_of(text[2 * i + 1]));
	out->bytes = scratch;
	out->len = (uint32_t)bytes;
	return 0;
}

int dsm_value_parse(const char *text, enum dsm_type type, struct dsm_value *out, void *scratch,
	size_t scratch_size)
{
	struct dsm_value value = { .type = type, .len = 1 };
	int rc;
	if (!text || !out)
		return dsm__fail(-EINVAL, "dsm_value_parse: no text or no value given");
	switch (type) {
	case DSM_BOOL: rc = parse_bool(text, &value); break;
	case DSM_I64: rc = parse_i64(text, &value); break;
	case DSM_U64: rc = parse_u64(text, &value); break;
	case DSM_F64: rc = parse_f64(text, &value); break;
	case DSM_STRING: rc = parse_string(text, &value); break;
	case DSM_BYTES: rc = parse_bytes(text, &value, scratch, scratch_size); break;
	case DSM_F64_ARRAY:
		return dsm__fail(-ENOTSUP, "an array cannot be given as text; write it with dsm_loan()");
	default:
		return dsm__fail(-EINVAL, "type %d is none; see enum dsm_type", (int)type);
	}
	if (rc == 0)
		*out = value;
	return rc;
}
