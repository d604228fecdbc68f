/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rectangle of styled characters that frames are drawn on. The terminal shows it through
 * curses (screen.c), --batch prints it as text. Text put here may come from anywhere: what a
 * terminal would obey, and what is no UTF-8, never gets through.
 */
#ifndef PEEKER_CANVAS_H
#define PEEKER_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum style {
	STYLE_PLAIN, STYLE_DIM, STYLE_BOLD, STYLE_TITLE, STYLE_GROUP, STYLE_KEY, STYLE_SPARK,
	STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_NEVER, STYLE_FORCED, STYLE_SIMULATED,
	STYLE_ON_GOOD, STYLE_ON_WARN, STYLE_ON_BAD, STYLE_ON_INFO, /* banners: text on a field */
	STYLES
};
#define STYLE_CURSOR 0x80u   /**< beside a style: the row that is chosen */

struct glyph {
	uint32_t point;      /**< Unicode; 0 = second half of a wide one */
	uint8_t style;       /**< enum style, with STYLE_CURSOR */
};

struct canvas {
	int height, width;
	bool utf8;           /**< else ASCII only */
	struct glyph *glyphs;
	size_t room;
};

/** Blank, of that size. -ENOMEM: it stays as it was. */
int canvas_resize(struct canvas *canvas, int height, int width);
void canvas_clear(struct canvas *canvas);
void canvas_free(struct canvas *canvas);

/** Put text at (y, x), at most `width` columns of it; what does not fit is cut, with an
 *  ellipsis in its last column. Places outside are left out. Returns the columns used. */
int canvas_put(struct canvas *canvas, int y, int x, int width, unsigned style, const char *text);
/** The same, but its beginning is what is cut: of long names the end tells more. */
int canvas_put_end(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *text);
/** The same, right-aligned in `width`. */
void canvas_put_right(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *text);
/** printf() to (y, x). */
int canvas_print(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void canvas_point(struct canvas *canvas, int y, int x, unsigned style, uint32_t point);
/** Columns that the text takes. */
int canvas_width(const struct canvas *canvas, const char *text);
/** Give `width` places from (y, x) this style, whatever they show. */
void canvas_restyle(struct canvas *canvas, int y, int x, int width, unsigned style);
/** Add STYLE_CURSOR to a row. */
void canvas_mark_row(struct canvas *canvas, int y);
/** A row as text without blanks at its end, and a newline. */
void canvas_write_row(const struct canvas *canvas, int y, FILE *file);
/** The point as UTF-8 into out (at least 5 bytes, NUL-terminated). */
size_t utf8_of(uint32_t point, char *out);

#endif
