/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the numbers right: live cells beside a reference, which is another engine, a recorded
 * state file or expected values. Owned by one viewer's thread.
 */
#ifndef PEEKER_COMPARE_H
#define PEEKER_COMPARE_H

#include "model.h"

#include <stddef.h>

struct tolerance { const char *glob; double absolute, relative; };

enum cmp {
	CMP_NONE,        /**< the reference does not have the cell, or the cell is not read here */
	CMP_UNREAD,      /**< the reference has the cell and could not read it */
	CMP_EQUAL,
	CMP_DEVIATES,
	CMP_PENDING,     /**< differs, but not for long enough to be sure (two engines that move) */
};

/** The verdicts on one model's cells. */
struct comparison {
	uint64_t table_version;
	uint32_t cells;
	uint8_t *of;             /**< enum cmp, by cell */
	uint32_t equal, deviating, pending, none;
	uint32_t unread;         /**< of `none`: those that the reference could not read */
	uint32_t missing;        /**< in the reference, not in the table */
	char missing_name[64];   /**< one of them */
	char about[360];         /**< what the reference is */
	char problem[400];       /**< "" or why it cannot be used just now */
	bool unsure;             /**< because this process slept: it will be known shortly */
};

enum cmp comparison_of(const struct comparison *cmp, uint32_t cell);

struct reference;

struct reference_options {
	const char *what;        /**< a URI, else a path if there is '/' in it or such
	                              a file, else an engine's name */
	const struct tolerance *tolerances;
	int n_tolerances;        /**< the last whose glob matches decides; none: exact */
	double period_s, timeout_s;
	char *const *globs;      /**< only these cells are compared */
	int n_globs;
};

/** Negative errno with a text in error. An engine is attached to, as in sampler_start(). */
int reference_open(const struct reference_options *options, struct reference **out, char *error,
	size_t size);
void reference_close(struct reference **reference);
/** Compare all cells of the model; NULL when memory is out. Valid until the next call. */
const struct comparison *reference_compare(struct reference *reference, const struct model *model);
/** What is expected of the cell, "" if nothing is. Returns buf. */
char *reference_text(struct reference *reference, uint32_t cell, int precision, char *buf,
	size_t size);
/** The quality that is expected, if the cell has another; else "". */
const char *reference_quality(struct reference *reference, const struct model *model,
	uint32_t cell);
/** Longest time that a difference may be pending, ms. */
int reference_grace_ms(const struct reference *reference);

/** "0.5", "1%", "drilling.*=0.5": into *out, whose glob points into text. -EINVAL */
int tolerance_parse(char *text, struct tolerance *out);
/** Parse text to the cell's type; arrays and bytes into *kept (to be freed). -EINVAL */
int value_parse(const char *text, const struct cell_meta *meta, struct dsm_value *out,
	void **kept);
/** Is `a` the same as `b` within the tolerance? */
bool value_equal(const struct dsm_value *a, const struct dsm_value *b,
	const struct tolerance *tolerance);

#endif
