/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of selected cells as output: one row a cell, or side by side where the format is
 * a wide one. Remembers what was last looked at, so that changes can be told. Used by
 * get, watch and wait.
 */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include "cells.h"

struct show {
	struct cli *cli;
	struct selection *sel;
	struct view view;
	uint64_t left;              /**< rows still to print; UINT64_MAX = no limit */
	bool doubtful;              /**< something looked at was not to be taken for valid */
	bool pending;               /**< a side-by-side row is due, see SHOW_LATER */
	/* side by side only: */
	struct column *columns;     /* t, one a cell, quality */
	struct field *fields;
	struct dsm_sample *samples;
	char **units;
	char **names;
};

enum show_what {
	SHOW_NONE,      /**< look only */
	SHOW_CHANGES,   /**< what changed since it was last looked at */
	SHOW_LATER,     /**< as SHOW_CHANGES, but a side-by-side row waits for show_pending() */
	SHOW_ALL,
};

/** -ENOMEM */
int show_init(struct show *show, struct cli *cli, struct selection *sel);
void show_free(struct show *show);
/** Look at the frame of group g (all groups: SIZE_MAX) and print `what` of it; `time_ns`
 *  heads a side-by-side row. Negative errno of the library. */
int show_group(struct show *show, size_t g, enum show_what what, int64_t time_ns);
/** The row that SHOW_LATER has put off, if any. */
int show_pending(struct show *show, int64_t time_ns);

#endif
