/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and values as short text for people. No unit is left out, no number is cut
 * silently. All return buf. */
#ifndef PEEKER_TEXT_H
#define PEEKER_TEXT_H

#include "model.h"

#include <stddef.h>

/** "0.4 s", "12 s", "3 min", "5 h", "2 d". */
char *text_age(double seconds, char *buf, size_t size);
/** Age of a cell as above, ">12 s" if only that is known, "-" if never, "?" if unknown. */
char *text_cell_age(const struct model *model, uint32_t cell, char *buf, size_t size);
/** "310 ns", "1.2 us" (the micro sign if utf8), "3.4 ms", "1.1 s". */
char *text_duration(uint64_t ns, bool utf8, char *buf, size_t size);
/** "850", "12k", "3.1M". */
char *text_count(uint64_t count, char *buf, size_t size);
/** "0", "0.2", "12", "1.2k" a second. */
char *text_rate(double rate, char *buf, size_t size);
/** "48 B", "1.5 MiB". */
char *text_bytes(uint64_t bytes, char *buf, size_t size);
/** Time of day of a wall-clock time, "12:31:07". */
char *text_clock(int64_t wall_ns, char *buf, size_t size);
/** A double in at most `width` columns: with its precision if that fits, else with fewer
 *  digits, else "####". */
char *text_number(double value, int precision, size_t width, char *buf, size_t size);
/** The value of a cell in at most `width` columns; in brackets if it is not valid. */
char *text_value(const struct model *model, uint32_t cell, size_t width, char *buf, size_t size);
/** The value in full, whatever its length, without brackets. */
char *text_whole_value(const struct cell_state *state, int precision, char *buf, size_t size);
/** One or two words for what the cell is: "good", "stale owner", "never written" … */
const char *text_verdict(const struct model *model, uint32_t cell);
/** One of them, for counting: "good", "stale" … */
const char *verdict_name(enum verdict verdict);
/** "RUNNING", "LOST" … */
const char *engine_state_name(enum engine_state state);
/** "f64", "string(16)", "f64[4]". */
char *text_type(const struct cell_meta *meta, char *buf, size_t size);

#endif
