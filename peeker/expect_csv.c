/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV as `dsm dump --format csv` writes it (RFC 4180): a row of names, then rows; a row
 * without a cell, such as that of the units, is left out. Columns used: cell, v, q.
 */
#include "expect.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_CELL, COLUMN_VALUE, COLUMN_QUALITY, COLUMNS };

struct reader {
	const char *at;
	int line;
	char *buf;               /* the row's wanted fields, one behind the other */
	char *field[COLUMNS];    /* into buf; NULL = the row has none */
	bool quoted[COLUMNS];
	int place[COLUMNS];      /* which column is which; -1 = not there */
	char *error;
	size_t error_size;
};

static int complain(struct reader *r, const char *what)
{
	snprintf(r->error, r->error_size, "line %d: %s", r->line, what);
	return -EBADMSG;
}

/* One field to `to`, with its NUL; returns where that ends, or NULL if quotes do not. */
static char *read_field(struct reader *r, char *to, bool *quoted)
{
	*quoted = *r->at == '"';
	if (!*quoted) {
		size_t n = strcspn(r->at, ",\r\n");
		memcpy(to, r->at, n);
		to += n;
		r->at += n;
	} else {
		for (r->at++; *r->at != '"' || r->at[1] == '"'; ) {
			if (!*r->at)
				return NULL;
			r->line += *r->at == '\n';
			r->at += *r->at == '"';
			*to++ = *r->at++;
		}
		r->at++;
	}
	*to++ = '\0';
	return to;
}

/* A row; `take` is told each field's column and text. -ENODATA at the end. */
static int read_row(struct reader *r, void (*take)(struct reader *r, int column, char *text,
	bool quoted))
{
	char *to = r->buf;

	if (!*r->at)
		return -ENODATA;
	memset(r->field, 0, sizeof r->field);
	for (int column = 0; ; column++) {
		bool quoted;
		char *text = to;
		to = read_field(r, to, &quoted);
		if (!to)
			return complain(r, "quotes do not end");
		take(r, column, text, quoted);
		if (*r->at != ',')
			break;
		r->at++;
	}
	if (*r->at && *r->at != '\r' && *r->at != '\n')
		return complain(r, "text behind the closing quote");
	r->at += *r->at == '\r';
	r->at += *r->at == '\n';
	return 0;
}

static void take_name(struct reader *r, int column, char *text, bool quoted)
{
	static const char *const names[COLUMNS] = { "cell", "v", "q" };

	(void)quoted;
	for (int i = 0; i < COLUMNS; i++)
		if (strcmp(text, names[i]) == 0)
			r->place[i] = column;
}

static void take_field(struct reader *r, int column, char *text, bool quoted)
{
	for (int i = 0; i < COLUMNS; i++) {
		if (r->place[i] != column)
			continue;
		r->field[i] = text;
		r->quoted[i] = quoted;
	}
}

int expect_csv(const char *text, struct expectations *out, char *error, size_t size)
{
	struct reader r = { .at = text, .line = 1, .place = { -1, -1, -1 }, .error = error,
		.error_size = size };

	r.buf = malloc(strlen(text) * 2 + 2);
	if (!r.buf)
		return -ENOMEM;
	int result = read_row(&r, take_name);
	if (!result && (r.place[COLUMN_CELL] < 0 || r.place[COLUMN_VALUE] < 0))
		result = complain(&r, "columns \"cell\" and \"v\" were expected, as `dsm dump --format csv` has");
	while (!result) {
		r.line++;
		result = read_row(&r, take_field);
		char *cell = r.field[COLUMN_CELL], *value = r.field[COLUMN_VALUE];
		if (result || !cell || !*cell)
			continue;
		if (!value) {
			result = complain(&r, "the row ends before its value");
			continue;
		}
		/* an empty field is no value; an empty text has its quality beside it */
		bool none = !*value && !r.quoted[COLUMN_VALUE];
		result = expectations_add(out, cell, none ? NULL : value, r.field[COLUMN_QUALITY]);
	}
	free(r.buf);
	return result == -ENODATA ? 0 : result;
}
