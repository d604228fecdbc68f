/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on a canvas: header, rows, panes. The same for the terminal and for --batch. */
#ifndef PEEKER_DRAW_H
#define PEEKER_DRAW_H

#include "canvas.h"
#include "view.h"

/** What a frame is drawn from. */
struct scene {
	const struct model *model;   /**< what the rows show; a copy while frozen */
	const struct model *live;    /**< what the header shows */
	const struct comparison *cmp;/**< NULL: nothing to compare with */
	struct reference *reference;
	struct view *view;
	bool frozen;
	uint64_t draw_ns;            /**< what the last frame took; 0 = not measured */
	uint64_t now_ns;             /**< own clock: how old `live` is */
};

/** Columns of a row; width 0 = left out. */
struct layout {
	int name_w, value, value_w, unit, unit_w, expected, expected_w, age, age_w, rate, rate_w;
	int state, state_w, spark, spark_w, owner, owner_w, text, text_w;
	bool narrow;                 /**< age and state share a column */
};

void layout_choose(struct layout *layout, const struct scene *scene, int width);
/** Lines the header has for this scene on a screen so high. */
int header_height(const struct scene *scene, int height);
void draw_header(struct canvas *canvas, const struct scene *scene, int height);
void draw_titles(struct canvas *canvas, const struct scene *scene, const struct layout *layout,
	int y);
void draw_row(struct canvas *canvas, const struct scene *scene, const struct layout *layout,
	int y, const struct row *row);
/** The whole screen; moves view->top so that the chosen row is visible. */
void draw_screen(struct canvas *canvas, const struct scene *scene);

/* draw_header.c */
enum style style_of(enum verdict verdict);
/** One character for it: "!" stale, "x" bad, "-" never written … */
uint32_t mark_of(enum verdict verdict);
/** An owner's state as it can be known: of an engine that is not there, nothing is. */
#define OWNER_UNKNOWN ((enum dsm_owner_state)-1)
enum dsm_owner_state owner_seen(const struct model *model, uint32_t owner);
const char *owner_word(enum dsm_owner_state state);
enum style owner_style(enum dsm_owner_state state);
uint32_t owner_mark(enum dsm_owner_state state);

/* draw_detail.c */
void draw_spark(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y, int x,
	int width);
void draw_detail(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y,
	int height);

/* draw_panes.c: lines that scroll by view->pane_top */
void draw_help(struct canvas *canvas, const struct scene *scene, int y, int height);
void draw_info(struct canvas *canvas, const struct scene *scene, int y, int height);

#endif
