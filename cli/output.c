/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: choice of the format, printing of single fields. The formats themselves are in
 * format_text.c and format_json.c.
 */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct format *const formats[] = {
	&format_table, &format_json, &format_jsonl, &format_csv, &format_raw,
};

/* Elements of an array that people are shown. */
#define ARRAY_SHOWN 8u

const char *out_format_name(size_t index)
{
	return index < sizeof formats / sizeof formats[0] ? formats[index]->name : NULL;
}

static const struct format *find_format(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

static bool wants_colour(FILE *file)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no_color && *no_color)
		return false;
	return isatty(fileno(file)) && term && strcmp(term, "dumb") != 0;
}

int out_open(const char *name, FILE *file, struct out **result)
{
	if (!name)
		name = isatty(fileno(file)) ? "table" : "raw";
	const struct format *format = find_format(name);
	if (!format)
		return -EINVAL;
	struct out *out = calloc(1, sizeof *out);
	if (!out)
		return -ENOMEM;
	out->file = file;
	out->format = format;
	out->colour = wants_colour(file);
	int error = format->open(out);
	if (error) {
		free(out);
		return error;
	}
	*result = out;
	return 0;
}

static void note_failure(struct out *out)
{
	if (!out->error && ferror(out->file))
		out->error = errno == EPIPE ? -EPIPE : errno ? -errno : -EIO;
}

void out_begin(struct out *out, const struct column *columns, size_t n, bool vertical)
{
	if (out->columns == columns && out->n == n && out->vertical == vertical && !vertical)
		return;
	out->format->flush(out);
	out->columns = columns;
	out->n = n;
	out->vertical = vertical;
	out->format->begin(out);
}

void out_row(struct out *out, const struct field *fields)
{
	if (out->error)
		return;
	out->format->row(out, fields);
	note_failure(out);
}

void out_flush(struct out *out)
{
	if (out->error)
		return;
	errno = 0;
	out->format->flush(out);
	fflush(out->file);
	note_failure(out);
}

void out_end(struct out *out)
{
	out_flush(out);
	out->columns = NULL;
}

int out_close(struct out **out)
{
	if (!*out)
		return 0;
	out_flush(*out);
	(*out)->format->close(*out);
	errno = 0;
	fflush((*out)->file);
	note_failure(*out);
	int error = (*out)->error;
	free(*out);
	*out = NULL;
	return error;
}

/* ---- fields ---- */

bool field_is_none(const struct field *field)
{
	switch (field->kind) {
	case FIELD_NONE:
		return true;
	case FIELD_F64:
		return !isfinite(field->f64);
	case FIELD_VALUE:
		return field->value->type == DSM_F64 && !isfinite(field->value->f64);
	default:
		return false;
	}
}

void print_f64(FILE *file, double value, int precision, const char *none)
{
	struct dsm_value number = { .type = DSM_F64, .len = 1, .f64 = value };
	char text[400];

	if (!isfinite(value)) {
		fputs(none, file);
		return;
	}
	dsm_value_format(&number, precision, text, sizeof text);
	fputs(text, file);
}

void print_hex(FILE *file, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < len; i++)
		fprintf(file, "%02x", byte[i]);
}

size_t utf8_len(const char *string, size_t len)
{
	static const struct { unsigned char mask, lead; size_t len; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 1, 0 }, { 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 },
		{ 0xf8, 0xf0, 4, 0x10000 },
	};
	const unsigned char *text = (const unsigned char *)string;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if ((text[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (forms[i].len > len)
			return 0;
		uint32_t point = text[0] & (unsigned char)~forms[i].mask;
		for (size_t k = 1; k < forms[i].len; k++) {
			if ((text[k] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (text[k] & 0x3f);
		}
		if (point < forms[i].least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
			return 0;
		return forms[i].len;
	}
	return 0;
}

/* Seconds with all their digits: exact, and a number in every format. */
static void print_seconds(FILE *file, int64_t ns)
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t magnitude = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

	char text[40];
	int len = snprintf(text, sizeof text, "%s%" PRIu64 ".%09" PRIu64, sign,
		magnitude / 1000000000u, magnitude % 1000000000u);

	while (text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	fwrite(text, 1, (size_t)len, file);
}

static void print_date(FILE *file, int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm local;
	char text[64];

	if (ns < 0 || !localtime_r(&seconds, &local)) {
		print_seconds(file, ns);
		return;
	}
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
	fprintf(file, "%s.%03d", text, (int)(ns / 1000000 % 1000));
}

static void print_array(FILE *file, const struct field *field, bool people, const char *none)
{
	const struct dsm_value *value = field->value;
	uint32_t shown = value->len;

	if (people) {
		fprintf(file, "[%" PRIu32 "]", value->len);
		if (shown > ARRAY_SHOWN)
			shown = ARRAY_SHOWN;
	}
	for (uint32_t i = 0; i < shown; i++) {
		if (i > 0 || people)
			fputc(' ', file);
		print_f64(file, value->f64s[i], people ? field->precision : -1,
			*none ? none : "null");
	}
	if (shown < value->len)
		fputs(" …", file);
}

static void print_value(FILE *file, const struct field *field, bool people, const char *none,
	put_text_fn *put)
{
	const struct dsm_value *value = field->value;
	char text[400];

	switch (value->type) {
	case DSM_STRING:
		put(file, value->str, value->len);
		break;
	case DSM_BYTES:
		print_hex(file, value->bytes, value->len);
		break;
	case DSM_F64_ARRAY:
		print_array(file, field, people, none);
		break;
	default:
		dsm_value_format(value, people ? field->precision : -1, text, sizeof text);
		fputs(text, file);
	}
}

void field_print(FILE *file, const struct field *field, bool people, const char *none,
	put_text_fn *put)
{
	if (field_is_none(field)) {
		fputs(none, file);
		return;
	}
	switch (field->kind) {
	case FIELD_NONE:
		break;
	case FIELD_TEXT:
		put(file, field->text, strlen(field->text));
		break;
	case FIELD_U64:
		fprintf(file, "%" PRIu64, field->u64);
		break;
	case FIELD_I64:
		fprintf(file, "%" PRId64, field->i64);
		break;
	case FIELD_F64:
		print_f64(file, field->f64, people ? field->precision : -1, none);
		break;
	case FIELD_BOOL:
		fputs(field->b ? "true" : "false", file);
		break;
	case FIELD_HEX: {
		char text[24];
		int len = snprintf(text, sizeof text, "0x%016" PRIx64, field->u64);
		put(file, text, (size_t)len);
		break;
	}
	case FIELD_TIME:
		(people ? print_date : print_seconds)(file, field->i64);
		break;
	case FIELD_VALUE:
		print_value(file, field, people, none, put);
	}
}
