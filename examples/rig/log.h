/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of the rig log in data/: comma-separated, 12 columns, one row a second, no header.
 * Owns the format: column order, the null number, the state codes. Knows nothing of dsm.
 * A row that is not exactly in the format is refused with "FILE:LINE: what is wrong".
 */
#ifndef DSM_RIG_LOG_H
#define DSM_RIG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_NULL (-999.25) /* what the log writes where it has no value */
#define LOG_LARGEST 1e9    /* a larger number is no reading of a rig */

/** Measured columns, in the order of the file. The twelfth column is log_row.index. */
enum log_column {
	LOG_TIME_S,          /**< made up from the index: not used, see data/README.md */
	LOG_BLOCK_HEIGHT_FT,
	LOG_FLOW_OUT_PCT,
	LOG_HOOKLOAD_KLBF,
	LOG_ROTARY_SPEED_RPM,
	LOG_PUMP1_SPM,
	LOG_PUMP2_SPM,
	LOG_STANDPIPE_PRESSURE_PSI,
	LOG_TORQUE_FTLBF,
	LOG_INCLINATION_DEG,
	LOG_AZIMUTH_DEG,
	LOG_COLUMNS
};

struct log_row {
	double value[LOG_COLUMNS]; /**< at most LOG_LARGEST either way; 0 where null */
	uint32_t null;             /**< bit c set: column c has no value */
	uint32_t index;            /**< seconds from the start, the true 1 Hz index; from 1 */
	int8_t state;              /**< WITS0 activity code 0..9, -1 = none known */
};

/** A log in memory. */
struct log {
	struct log_row *rows;
	size_t count;
};

enum { LOG_ERROR_SIZE = 256 };

static inline bool log_has(const struct log_row *row, enum log_column column)
{
	return (row->null >> column & 1) == 0;
}

/** Parse one row. `line` may end in a line break. Returns 0, or -EINVAL with what is wrong in
 *  `error` (LOG_ERROR_SIZE bytes); *out is then untouched. */
int log_parse_row(const char *line, struct log_row *out, char *error);

/** Read a whole file; indices must rise. 0; -EINVAL a malformed row, none at all, or a line
 *  too long; -errno of the system; `error` (LOG_ERROR_SIZE bytes) says where. On success to
 *  be ended by log_free(). */
int log_load(const char *path, struct log *out, char *error);

/** Read the state codes that belong to a loaded log: one number a line, one for each row;
 *  empty lines at the end are allowed. Errors as log_load(), and -EINVAL when the numbers of
 *  rows differ. */
int log_load_states(const char *path, struct log *log, char *error);

/** What a state code says: "drilling", …; "unknown" for -1 and others. */
const char *log_state_name(int state);

void log_free(struct log *log);

#endif
