/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text: aligned table for people, raw (tab-separated, one record a line) and CSV
 * (RFC 4180, a row of names and a row of units) for programs.
 */
#include "output.h"
#include "system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are measured together before they are printed: a table of any length streams. */
#define BLOCK_ROWS 1024u
/* A field wider than this is cut: one long string must not push the others off the screen. */
#define FIELD_WIDTH_MAX 60u
#define HEADING_SIZE 64

static const char *title_of(const struct column *column)
{
	return column->title ? column->title : column->key;
}

static const char *unit_of(const struct column *column)
{
	return column->unit ? column->unit : "";
}

/* C0 and C1 control characters, as far as they are no sequence of their own. */
static bool is_control(const char *text, size_t len)
{
	unsigned char c = (unsigned char)text[0];

	return c < 0x20 || c == 0x7f || (len == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* One line, no tabs, nothing a terminal would obey, nothing but UTF-8. */
static void put_escaped(FILE *file, const char *text, size_t len)
{
	size_t take;

	for (size_t i = 0; i < len; i += take) {
		size_t valid = utf8_len(text + i, len - i);
		take = valid ? valid : 1;
		if (text[i] == '\\')
			fputs("\\\\", file);
		else if (text[i] == '\n')
			fputs("\\n", file);
		else if (text[i] == '\t')
			fputs("\\t", file);
		else if (!valid || is_control(text + i, take))
			for (size_t k = 0; k < take; k++)
				fprintf(file, "\\x%02x", (unsigned char)text[i + k]);
		else
			fwrite(text + i, 1, take, file);
	}
}

/* ---- table ---- */

struct table_state {
	struct memory scratch; /* that fields are printed to before measuring */
	char **fields;         /* BLOCK_ROWS × n */
	enum tone *tones;
	unsigned *widths;
	size_t rows, sets;
	bool header_due;
};

static int open_table(struct out *out)
{
	struct table_state *state = calloc(1, sizeof *state);

	if (!state)
		return -ENOMEM;
	int error = memory_open(&state->scratch);
	if (error) {
		free(state);
		return error;
	}
	out->state = state;
	return 0;
}

/* Code points, which is columns for the letters that units and names are made of. */
static unsigned width_of(const char *text)
{
	unsigned width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void cut(char *text)
{
	unsigned width = 0;

	if (strlen(text) <= FIELD_WIDTH_MAX)
		return;
	for (char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		if (++width == FIELD_WIDTH_MAX && strlen(p) > 3) {
			memcpy(p, "…", sizeof "…");
			return;
		}
	}
}

static char *table_text(struct table_state *state, const struct field *field)
{
	field_print(state->scratch.file, field, true, "-", put_escaped);
	return memory_take(&state->scratch);
}

static void forget_fields(struct table_state *state, size_t n)
{
	for (size_t i = 0; i < state->rows * n; i++)
		free(state->fields[i]);
	state->rows = 0;
}

static void free_arrays(struct table_state *state)
{
	free(state->fields);
	free(state->tones);
	free(state->widths);
	state->fields = NULL;
	state->tones = NULL;
	state->widths = NULL;
}

/* Title, with the unit where the numbers do not carry it. */
static const char *heading(const struct column *column, char text[HEADING_SIZE])
{
	if (!column->right || !*unit_of(column))
		return title_of(column);
	snprintf(text, HEADING_SIZE, "%s %s", title_of(column), unit_of(column));
	return text;
}

static void begin_table(struct out *out)
{
	struct table_state *state = out->state;
	char text[HEADING_SIZE];

	if (state->sets++ > 0)
		fputc('\n', out->file);
	free_arrays(state);
	state->header_due = !out->vertical;
	state->fields = calloc(BLOCK_ROWS * out->n, sizeof *state->fields);
	state->tones = calloc(BLOCK_ROWS * out->n, sizeof *state->tones);
	state->widths = calloc(out->n, sizeof *state->widths);
	if (!state->fields || !state->tones || !state->widths)
		out->error = -ENOMEM;
	else if (!out->vertical)
		for (size_t i = 0; i < out->n; i++)
			state->widths[i] = width_of(heading(&out->columns[i], text));
}

static void put_padded(struct out *out, const char *text, unsigned width, bool right,
	bool last, const char *colour)
{
	unsigned pad = width > width_of(text) ? width - width_of(text) : 0;

	if (right)
		fprintf(out->file, "%*s", (int)pad, "");
	if (out->colour && *colour)
		fprintf(out->file, "%s%s\033[0m", colour, text);
	else
		fputs(text, out->file);
	if (!right && !last)
		fprintf(out->file, "%*s", (int)pad, "");
	fputs(last ? "\n" : "  ", out->file);
}

static const char *colour_of(enum tone tone)
{
	static const char *const colours[] = {
		[TONE_PLAIN] = "", [TONE_DIM] = "\033[2m", [TONE_WARN] = "\033[33m",
		[TONE_BAD] = "\033[31m",
	};

	return colours[tone];
}

static void print_vertical(struct out *out, const struct field *fields)
{
	struct table_state *state = out->state;
	unsigned width = 0;

	for (size_t i = 0; i < out->n; i++) {
		unsigned w = width_of(title_of(&out->columns[i]));
		width = w > width ? w : width;
	}
	for (size_t i = 0; i < out->n; i++) {
		bool bare = fields[i].kind == FIELD_TIME || field_is_none(&fields[i]);
		const char *unit = bare ? "" : unit_of(&out->columns[i]);
		char *text = table_text(state, &fields[i]);
		put_padded(out, title_of(&out->columns[i]), width, false, false, colour_of(TONE_DIM));
		fprintf(out->file, "%s%s%s\n", text ? text : "", *unit ? " " : "", unit);
		free(text);
	}
}

static void flush_table(struct out *out)
{
	struct table_state *state = out->state;
	char heads[HEADING_SIZE];

	if (!state->fields || out->vertical)
		return;
	if (state->header_due && state->rows > 0) {
		for (size_t i = 0; i < out->n; i++)
			put_padded(out, heading(&out->columns[i], heads), state->widths[i],
				out->columns[i].right, i + 1 == out->n, colour_of(TONE_DIM));
		state->header_due = false;
	}
	for (size_t r = 0; r < state->rows; r++) {
		for (size_t i = 0; i < out->n; i++) {
			const char *text = state->fields[r * out->n + i];
			put_padded(out, text ? text : "", state->widths[i], out->columns[i].right,
				i + 1 == out->n, colour_of(state->tones[r * out->n + i]));
		}
	}
	forget_fields(state, out->n);
}

static void row_table(struct out *out, const struct field *fields)
{
	struct table_state *state = out->state;

	if (out->vertical) {
		print_vertical(out, fields);
		return;
	}
	if (state->rows == BLOCK_ROWS)
		flush_table(out);
	for (size_t i = 0; i < out->n; i++) {
		char *text = table_text(state, &fields[i]);
		if (text) {
			if (i + 1 < out->n)
				cut(text);
			unsigned width = width_of(text);
			if (width > state->widths[i])
				state->widths[i] = width;
		}
		state->fields[state->rows * out->n + i] = text;
		state->tones[state->rows * out->n + i] = fields[i].tone;
	}
	state->rows++;
}

static void close_table(struct out *out)
{
	struct table_state *state = out->state;

	forget_fields(state, out->n);
	free_arrays(state);
	memory_close(&state->scratch);
	free(state);
}

const struct format format_table = {
	.name = "table", .for_people = true,
	.open = open_table, .begin = begin_table, .row = row_table, .flush = flush_table,
	.close = close_table,
};

/* ---- raw ---- */

static int open_plain(struct out *out)
{
	(void)out;
	return 0;
}

static void nothing(struct out *out)
{
	(void)out;
}

static void row_raw(struct out *out, const struct field *fields)
{
	for (size_t i = 0; i < out->n; i++) {
		if (out->vertical)
			fprintf(out->file, "%s\t", out->columns[i].key);
		field_print(out->file, &fields[i], false, "null", put_escaped);
		fputc(out->vertical || i + 1 == out->n ? '\n' : '\t', out->file);
	}
}

const struct format format_raw = {
	.name = "raw",
	.open = open_plain, .begin = nothing, .row = row_raw, .flush = nothing, .close = nothing,
};

/* ---- csv ---- */

static void put_csv(FILE *file, const char *text, size_t len)
{
	bool quote = false;

	for (size_t i = 0; i < len; i++)
		quote |= text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
	if (!quote) {
		fwrite(text, 1, len, file);
		return;
	}
	fputc('"', file);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			fputc('"', file);
		fputc(text[i], file);
	}
	fputc('"', file);
}

static void csv_heads(struct out *out, const char *(*head)(const struct column *column))
{
	for (size_t i = 0; i < out->n; i++) {
		const char *text = head(&out->columns[i]);
		put_csv(out->file, text, strlen(text));
		fputc(i + 1 == out->n ? '\n' : ',', out->file);
	}
}

static const char *key_of(const struct column *column)
{
	return column->key;
}

static void begin_csv(struct out *out)
{
	csv_heads(out, key_of);
	csv_heads(out, unit_of);
}

static void row_csv(struct out *out, const struct field *fields)
{
	for (size_t i = 0; i < out->n; i++) {
		field_print(out->file, &fields[i], false, "", put_csv);
		fputc(i + 1 == out->n ? '\n' : ',', out->file);
	}
}

const struct format format_csv = {
	.name = "csv", .wide = true,
	.open = open_plain, .begin = begin_csv, .row = row_csv, .flush = nothing, .close = nothing,
};
