/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal, through curses: begun, shown a canvas, asked for keys, and given back as it
 * was, also when a signal or a crash ends the program. The only file that knows curses.
 */
#ifndef PEEKER_SCREEN_H
#define PEEKER_SCREEN_H

#include "canvas.h"

enum input {
	INPUT_NO = 0,              /**< none waits */
	/* 1 … 0x10ffff: a character */
	INPUT_SIZE = 0x200000, INPUT_ROW_UP, INPUT_ROW_DOWN, INPUT_PAGE_UP, INPUT_PAGE_DOWN, INPUT_FIRST, INPUT_LAST,
	INPUT_TO_LEFT, INPUT_TO_RIGHT, INPUT_ACCEPT, INPUT_RUB_OUT, INPUT_OTHER
};

/** Take the terminal over. -ENOTTY: standard input or output is none; -ENXIO: a terminal
 *  type that is not known. */
int screen_begin(bool colour);
/** Give it back; also without screen_begin(), and twice. */
void screen_end(void);
/** Make the canvas as large as the screen, and blank. -ENOMEM */
int screen_fit(struct canvas *canvas);
/** Show what has changed since the last time. */
void screen_show(const struct canvas *canvas);
/** Show everything anew. */
void screen_redraw(void);
/** Sleep until a key waits, a signal comes, or timeout_ms is over. False: the terminal is
 *  gone. */
bool screen_wait(int timeout_ms);
/** The next key, INPUT_NO if none waits. */
int screen_key(void);

#endif
