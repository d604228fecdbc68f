/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: one array of objects per run (json), or one object per line (jsonl). Text goes
 * through jansson; numbers are printed here, because jansson 2.14 writes 12.3 as
 * 12.300000000000001 and has no unsigned 64-bit integer.
 */
#include "output.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct json_state {
	char **keys;       /* of the columns in force, encoded once */
	size_t n;
	bool lines;
	bool any;          /* an object was written */
};

/* A copy with U+FFFD in place of what is not UTF-8; a table may come from anywhere. */
static json_t *repaired(const char *text, size_t len)
{
	char *copy = malloc(len * 3 + 1);
	size_t n = 0;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t take = utf8_len(text + i, len - i);
		memcpy(copy + n, take ? text + i : "\xef\xbf\xbd", take ? take : 3);
		n += take ? take : 3;
		i += take ? take : 1;
	}
	json_t *string = json_stringn(copy, n);
	free(copy);
	return string;
}

static void put_json(FILE *file, const char *text, size_t len)
{
	json_t *string = json_stringn(text, len);

	if (!string)
		string = repaired(text, len);
	if (!string || json_dumpf(string, file, JSON_ENCODE_ANY) != 0)
		fputs("null", file);
	json_decref(string);
}

static void put_array(FILE *file, const struct dsm_value *value)
{
	fputc('[', file);
	for (uint32_t i = 0; i < value->len; i++) {
		if (i > 0)
			fputc(',', file);
		print_f64(file, value->f64s[i], -1, "null");
	}
	fputc(']', file);
}

static void put_field(FILE *file, const struct field *field)
{
	enum dsm_type type = field->kind == FIELD_VALUE ? field->value->type : DSM_BOOL;

	if (type == DSM_F64_ARRAY) {
		put_array(file, field->value);
	} else if (type == DSM_BYTES) {
		fputc('"', file);
		print_hex(file, field->value->bytes, field->value->len);
		fputc('"', file);
	} else {
		field_print(file, field, false, "null", put_json);
	}
}

static int open_json(struct out *out)
{
	struct json_state *state = calloc(1, sizeof *state);

	if (!state)
		return -ENOMEM;
	state->lines = out->format == &format_jsonl;
	out->state = state;
	return 0;
}

static void free_keys(struct json_state *state)
{
	for (size_t i = 0; i < state->n && state->keys; i++)
		free(state->keys[i]);
	free(state->keys);
	state->keys = NULL;
	state->n = 0;
}

static void begin_json(struct out *out)
{
	struct json_state *state = out->state;

	free_keys(state);
	state->keys = calloc(out->n, sizeof *state->keys);
	state->n = out->n;
	for (size_t i = 0; i < out->n && state->keys; i++) {
		json_t *key = json_string(out->columns[i].key);
		state->keys[i] = json_dumps(key, JSON_ENCODE_ANY);
		json_decref(key);
		if (!state->keys[i])
			out->error = -ENOMEM;
	}
	if (!state->keys)
		out->error = -ENOMEM;
}

static void row_json(struct out *out, const struct field *fields)
{
	struct json_state *state = out->state;

	if (!state->lines)
		fputs(state->any ? ",\n" : "[\n", out->file);
	state->any = true;
	fputc('{', out->file);
	for (size_t i = 0; i < out->n; i++) {
		if (i > 0)
			fputc(',', out->file);
		fputs(state->keys[i], out->file);
		fputc(':', out->file);
		put_field(out->file, &fields[i]);
	}
	fputc('}', out->file);
	if (state->lines)
		fputc('\n', out->file);
}

static void flush_json(struct out *out)
{
	(void)out;
}

static void close_json(struct out *out)
{
	struct json_state *state = out->state;

	if (!state->lines)
		fputs(state->any ? "\n]\n" : "[]\n", out->file);
	free_keys(state);
	free(state);
}

const struct format format_json = {
	.name = "json", .ordered = true,
	.open = open_json, .begin = begin_json, .row = row_json, .flush = flush_json,
	.close = close_json,
};

const struct format format_jsonl = {
	.name = "jsonl", .ordered = true,
	.open = open_json, .begin = begin_json, .row = row_json, .flush = flush_json,
	.close = close_json,
};
