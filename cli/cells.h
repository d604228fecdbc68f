/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells as rows: what can be said about a cell (facts), which of it a verb shows in which
 * format (view), and the cells that were asked for by names and globs (selection).
 */
#ifndef CLI_CELLS_H
#define CLI_CELLS_H

#include "cli.h"

/** What can be said about a cell; some need a sample, the others the table only. */
enum fact {
	FACT_TIME, FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_SEQ, FACT_AGE,
	FACT_STALE, FACT_EPOCH, FACT_TYPE, FACT_MIN, FACT_MAX, FACT_CLAMP, FACT_PRECISION,
	FACT_GROUP, FACT_OWNER, FACT_DESCRIPTION, FACTS
};

/** Columns of one verb in one format. */
struct view {
	size_t n;
	enum fact facts[FACTS];
	struct column columns[FACTS];
	char type[48], quality[96], stale[64];  /* texts of the row being built */
};

/** A view of the n facts. */
void view_init(struct view *view, const enum fact *facts, size_t n);
void view_begin(struct view *view, struct out *out, bool vertical);
/** One row. `sample` may be NULL when no fact needs it. */
void view_row(struct view *view, struct out *out, const struct dsm_cell_info *info,
	const struct dsm_sample *sample);

/** True when a sample is not to be taken for valid: stale, bad, never written, not a number. */
bool sample_is_doubtful(const struct dsm_sample *sample);
/** "good", "bad,stale(owner)" …, into buf. */
const char *sample_quality(const struct dsm_sample *sample, char *buf, size_t size);
/** The value as a field, none if never written; `tone` by quality. */
struct field sample_value(const struct dsm_sample *sample, int precision);

struct item {
	struct dsm_cell cell;
	uint32_t group;              /**< index in selection.groups */
	uint8_t quality, flags;      /**< as last looked at */
	bool seen;
	int64_t changed_ns;          /**< as last looked at */
};

struct picked {
	struct dsm_group group;
	struct dsm_frame *frame;     /**< newest that was read; made at the first reading */
	struct dsm_cursor *cursor;   /**< of watch; else NULL */
	size_t first, n;             /**< its items are order[first … first + n - 1] */
};

/** Cells in the order asked for, each once, and their groups. */
struct selection {
	struct dsm *dsm;
	struct item *items;
	size_t n;
	struct picked *groups;
	size_t n_groups;
	uint32_t *order;             /**< item indices, group by group */
};

/** Select cells by names, globs and group names. What is not found is said, and gives
 *  STATUS_REFUSED beside the cells that were found. */
enum status selection_make(struct cli *cli, char **words, int n, struct selection *sel);
void selection_free(struct selection *sel);
/** Copy the newest commit of group g into its frame. Negative errno as dsm_snapshot(). */
int selection_read(struct selection *sel, size_t g);
/** selection_read() of all. -ETIME: the deadline of the run passed between two groups. */
int selection_read_all(const struct cli *cli, struct selection *sel);

#endif
