/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 512, ROWS_FIRST = 65536, ROWS_MAX = 50000000 };

static const char *const column_names[LOG_COLUMNS] = {
	"time", "block height", "flow out", "hookload", "rotary speed", "pump 1", "pump 2",
	"standpipe pressure", "torque", "inclination", "azimuth",
};

/* Digits, sign, point and exponent only: strtod() alone also takes "nan", "0x1p3" and leading
 * blanks. *end is set behind the number. */
static bool parse_number(const char *text, char **end, double *out)
{
	size_t length = strspn(text, "+-.0123456789eE");
	if (length == 0)
		return false;
	double value = strtod(text, end);
	if (*end != text + length || !(fabs(value) <= LOG_LARGEST))
		return false;
	*out = value;
	return true;
}

static bool at_line_end(const char *text)
{
	return strcmp(text, "") == 0 || strcmp(text, "\n") == 0 || strcmp(text, "\r\n") == 0;
}

int log_parse_row(const char *line, struct log_row *out, char *error)
{
	struct log_row row = { .state = -1 };
	const char *at = line;
	char *end;
	double value;

	for (int column = 0; column < LOG_COLUMNS; column++) {
		if (!parse_number(at, &end, &value)) {
			snprintf(error, LOG_ERROR_SIZE, "column %d (%s): a number was expected at '%.16s'",
				column + 1, column_names[column], at);
			return -EINVAL;
		}
		if (*end != ',') {
			snprintf(error, LOG_ERROR_SIZE, "column %d (%s): a comma was expected after it",
				column + 1, column_names[column]);
			return -EINVAL;
		}
		if (value == LOG_NULL)
			row.null |= (uint32_t)1 << column;
		else
			row.value[column] = value;
		at = end + 1;
	}
	if (!parse_number(at, &end, &value) || value < 1.0 || floor(value) < value) {
		snprintf(error, LOG_ERROR_SIZE, "column 12 (index): a whole number from 1 was expected "
			"at '%.16s'", at);
		return -EINVAL;
	}
	if (!at_line_end(end)) {
		snprintf(error, LOG_ERROR_SIZE, "end of line was expected after column 12, not '%.16s'",
			end);
		return -EINVAL;
	}
	row.index = (uint32_t)value;
	*out = row;
	return 0;
}

/* ---- files ------------------------------------------------------------------------- */

/* Put "FILE:LINE: " before what is in `error`. */
static int complain_at(const char *path, size_t line, char *error)
{
	char what[LOG_ERROR_SIZE];
	memcpy(what, error, sizeof what);
	snprintf(error, LOG_ERROR_SIZE, "%.100s:%zu: %.130s", path, line, what);
	return -EINVAL;
}

static int complain_file(const char *path, int number, char *error)
{
	snprintf(error, LOG_ERROR_SIZE, "%.150s: %s", path, strerror(number));
	return -number;
}

static int append(struct log *log, size_t *capacity, const struct log_row *row)
{
	if (log->count == *capacity) {
		size_t more = *capacity == 0 ? ROWS_FIRST : *capacity * 2;
		struct log_row *rows = more > ROWS_MAX ? NULL : realloc(log->rows, more * sizeof *rows);
		if (rows == NULL)
			return -ENOMEM;
		log->rows = rows;
		*capacity = more;
	}
	log->rows[log->count++] = *row;
	return 0;
}

/* One line of the file, already read, into the log. */
static int take_line(const char *line, struct log *log, size_t *capacity, char *error)
{
	struct log_row row;

	if (strchr(line, '\n') == NULL && strlen(line) == LINE_SIZE - 1) {
		snprintf(error, LOG_ERROR_SIZE, "the line is longer than %d bytes", LINE_SIZE - 2);
		return -EINVAL;
	}
	if (log_parse_row(line, &row, error) != 0)
		return -EINVAL;
	if (log->count > 0 && row.index <= log->rows[log->count - 1].index) {
		snprintf(error, LOG_ERROR_SIZE, "column 12 (index): %u does not come after %u",
			row.index, log->rows[log->count - 1].index);
		return -EINVAL;
	}
	return append(log, capacity, &row);
}

int log_load(const char *path, struct log *out, char *error)
{
	struct log log = { 0 };
	size_t capacity = 0;
	char line[LINE_SIZE];
	int result = 0;

	FILE *file = fopen(path, "re");
	if (file == NULL)
		return complain_file(path, errno, error);
	while (result == 0 && fgets(line, sizeof line, file) != NULL) {
		result = take_line(line, &log, &capacity, error);
		if (result == -EINVAL)
			complain_at(path, log.count + 1, error);
		else if (result != 0)
			complain_file(path, -result, error);
	}
	if (result == 0 && ferror(file))
		result = complain_file(path, EIO, error);
	if (result == 0 && log.count == 0) {
		snprintf(error, LOG_ERROR_SIZE, "there is no row in it");
		result = complain_at(path, 1, error);
	}
	fclose(file);
	if (result != 0)
		log_free(&log);
	else
		*out = log;
	return result;
}

/* "3\n" to 3; " \n" to -1; anything else to -2. */
static int parse_state(const char *line)
{
	while (*line == ' ')
		line++;
	if (at_line_end(line))
		return -1;
	return *line >= '0' && *line <= '9' && at_line_end(line + 1) ? *line - '0' : -2;
}

int log_load_states(const char *path, struct log *log, char *error)
{
	char line[LINE_SIZE];
	size_t count = 0, line_number = 0;
	bool ended = false;
	int result = 0;

	FILE *file = fopen(path, "re");
	if (file == NULL)
		return complain_file(path, errno, error);
	while (result == 0 && fgets(line, sizeof line, file) != NULL) {
		int state = parse_state(line);
		line_number++;
		if (state == -2 || (ended && state >= 0)) {
			snprintf(error, LOG_ERROR_SIZE, "one code from 0 to 9 was expected");
			result = complain_at(path, line_number, error);
		} else if (state >= 0 && count == log->count) {
			snprintf(error, LOG_ERROR_SIZE, "more codes than the log has rows (%zu)", log->count);
			result = complain_at(path, line_number, error);
		} else if (state >= 0) {
			log->rows[count++].state = (int8_t)state;
		} else {
			ended = true;
		}
	}
	if (result == 0 && count != log->count) {
		snprintf(error, LOG_ERROR_SIZE, "%zu codes for %zu rows", count, log->count);
		result = complain_at(path, line_number, error);
	}
	fclose(file);
	return result;
}

const char *log_state_name(int state)
{
	static const char *const names[] = {
		"undefined", "unknown", "drilling", "connection", "reaming", "unknown", "unknown",
		"circulating", "tripping in", "tripping out",
	};
	return state >= 0 && state < (int)(sizeof names / sizeof *names) ? names[state] : "unknown";
}

void log_free(struct log *log)
{
	free(log->rows);
	*log = (struct log){ 0 };
}
