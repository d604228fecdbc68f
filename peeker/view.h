/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a terminal viewer has chosen to see: filter, order, pins, folds, the chosen row; and
 * the rows that come of it. Knows neither curses nor the engine.
 */
#ifndef PEEKER_VIEW_H
#define PEEKER_VIEW_H

#include "compare.h"
#include "model.h"

#include <stddef.h>

#define FILTER_SIZE 128

enum sort_key { SORT_TABLE, SORT_NAME, SORT_VALUE, SORT_AGE, SORT_RATE, SORT_STATE, SORT_KEYS };

enum row_kind { ROW_NONE, ROW_PIN, ROW_GROUP, ROW_CELL };
struct row { enum row_kind kind; uint32_t index; }; /**< of the cell or group */

/** Names that outlive a table. */
struct names { char **name; size_t n; };

struct view {
	char filter[FILTER_SIZE];
	char filter_before[FILTER_SIZE]; /**< to go back to, while typing */
	bool typing;                 /**< the filter is being typed */
	enum sort_key sort;
	bool backwards;
	bool only_deviating;
	bool detail, help, info;     /**< panes */
	int pane_top;                /**< first line shown of help or info */
	struct names pins, folds;
	uint64_t table_version;
	bool *pinned, *folded;       /**< by cell, by group of that table */
	struct row *rows;            /**< pins first */
	size_t n_rows, n_pins, rows_room;
	double *keys;                /**< by cell, for sorting */
	size_t cursor, top;          /**< chosen row; first row shown below the pins */
	struct row chosen;
	size_t matching;             /**< cells that match the filter */
	bool dirty;                  /**< rows have to be made anew */
};

void view_init(struct view *view);
void view_free(struct view *view);
const char *sort_name(enum sort_key key);
/** SORT_KEYS if there is none of that name. */
enum sort_key sort_find(const char *name);
/** Remember a name to be pinned (or folded) whenever the table has it. -ENOMEM */
int view_pin(struct view *view, const char *name);
/** Bring the rows up to date with the model. -ENOMEM: as they were. */
int view_update(struct view *view, const struct model *model, const struct comparison *cmp);
/** Move the chosen row by `by`, kept within the rows. */
void view_move(struct view *view, long by);
/** Let the chosen row be visible in `height` lines below the pins. */
void view_scroll(struct view *view, size_t pins, size_t height);
void view_toggle_pin(struct view *view, const struct model *model);
/** Fold or unfold the group of the chosen row. */
void view_fold(struct view *view, const struct model *model, bool fold);
void view_fold_all(struct view *view, const struct model *model);
/** The cell of the chosen row, or UINT32_MAX. */
uint32_t view_cell(const struct view *view);
/** Does the name match: a glob if it has any of *?[, else a part of the name, any case. */
bool filter_match(const char *filter, const char *name);

#endif
