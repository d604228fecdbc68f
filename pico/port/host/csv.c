/* SPDX-License-Identifier: Apache-2.0 */
/* A recording in the place of knobs: rows of a CSV file, each held until the next one. */
#include "adc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 4000000u
#define COLUMNS_MAX 64u

struct columns { unsigned count; int what[COLUMNS_MAX]; };   /* -1 time, 0.. channel, 100.. input */

static char *next_field(char **rest)
{
	char *field = strsep(rest, ",;\t");
	if (!field)
		return NULL;
	field += strspn(field, " \"");
	field[strcspn(field, " \"\r\n")] = '\0';
	return field;
}

static bool column_of(const char *name, int *what)
{
	char *end;
	unsigned long n = name[0] ? strtoul(name + 1, &end, 10) : 0;
	if (strcmp(name, "t") == 0)
		*what = -1;
	else if (name[0] == 'c' && name[1] && !*end && n < PICO_CHANNELS)
		*what = (int)n;
	else if (name[0] == 'b' && name[1] && !*end && n < PICO_INPUTS)
		*what = 100 + (int)n;
	else
		return false;
	return true;
}

static int read_head(const char *path, char *line, struct columns *columns, unsigned *channels)
{
	bool time = false;
	char *field, *rest = line;
	columns->count = 0;
	*channels = 0;
	while ((field = next_field(&rest))) {
		int what;
		if (columns->count == COLUMNS_MAX || !column_of(field, &what))
			return complain("%s:1: column \"%s\": expected t, c0 to c7 or b0 to b31", path, field);
		time = time || what == -1;
		if (what >= 0 && what < 100 && (unsigned)what >= *channels)
			*channels = (unsigned)what + 1;
		columns->what[columns->count++] = what;
	}
	return time ? 0 : complain("%s:1: no column t (seconds since the start)", path);
}

/* A missing value stays as it was in the row before. */
static int read_row(const char *path, size_t number, char *line, const struct columns *columns, struct csv_row *row)
{
	char *field, *rest = line, *end;
	double last = row->t_s;
	for (unsigned i = 0; i < columns->count && (field = next_field(&rest)); i++) {
		double v = strtod(field, &end);
		if (!*field)
			continue;
		int what = columns->what[i];
		if (*end || !isfinite(v) || (what >= 0 && !(v >= 0 && v <= 1)))
			return complain("%s:%zu: \"%s\": expected %s", path, number, field,
				what < 0 ? "seconds" : "a number from 0 to 1");
		if (what < 0)
			row->t_s = v;
		else if (what < 100)
			row->value[what] = v;
		else if (v >= 0.5)
			row->levels |= 1u << (what - 100);
		else
			row->levels &= ~(1u << (what - 100));
	}
	return row->t_s >= last ? 0 : complain("%s:%zu: t goes back", path, number);
}

static int read_rows(const char *path, FILE *file, struct csv *csv)
{
	char *line = NULL;
	size_t size = 0, room = 0, number = 1;
	struct columns columns = { 0 };
	struct csv_row row = { 0 };
	int error = getline(&line, &size, file) < 0 ? complain("%s: it is empty", path) :
		read_head(path, line, &columns, &csv->channels);
	while (!error && getline(&line, &size, file) >= 0) {
		number++;
		if (!line[strspn(line, " \r\n")])
			continue;
		error = csv->count == ROWS_MAX ? complain("%s: more than %u rows", path, ROWS_MAX) :
			read_row(path, number, line, &columns, &row);
		if (!error && csv->count == room) {
			room = room ? 2 * room : 256;
			struct csv_row *more = realloc(csv->rows, room * sizeof(*more));
			if (!more) {
				error = complain("%s: no memory for its rows", path);
				break;
			}
			csv->rows = more;
		}
		if (!error)
			csv->rows[csv->count++] = row;
	}
	free(line);
	return error || csv->count ? error : complain("%s: it has no rows", path);
}

int csv_load(const char *path, struct csv *csv)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return complain("%s: %s", path, strerror(errno));
	int error = read_rows(path, file, csv);
	fclose(file);
	if (error)
		csv_free(csv);
	return error;
}

void csv_free(struct csv *csv)
{
	free(csv->rows);
	csv->rows = NULL;
	csv->count = csv->at = 0;
}

const struct csv_row *csv_at(struct csv *csv, double t_s)
{
	double length = csv->rows[csv->count - 1].t_s;
	if (csv->loop && length > 0) {
		t_s = fmod(t_s, length);
		if (t_s < csv->rows[csv->at].t_s)
			csv->at = 0;
	}
	while (csv->at + 1 < csv->count && csv->rows[csv->at + 1].t_s <= t_s)
		csv->at++;
	return &csv->rows[csv->at];
}
