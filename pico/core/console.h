/* SPDX-License-Identifier: Apache-2.0 */
/* Lines over the console: help, show, set NAME VALUE, epoch N, save, reset, status. Never waits: what is
 * printed goes out a character at a time, and what finds no room is left out. Freestanding. */
#ifndef DSM_PICO_CONSOLE_H
#define DSM_PICO_CONSOLE_H

#include "hal.h"

#define CONSOLE_LINE 80u
#define CONSOLE_OUT 2048u       /* a power of two */
#define CONSOLE_EPOCH_MAX 4000000000u   /* and room for 294 million starts above it */

enum console_verb { CONSOLE_NONE, CONSOLE_SAVE, CONSOLE_EPOCH, CONSOLE_RESET, CONSOLE_STATUS };

struct console {
	struct pico_settings *settings;         /* the copy that is edited */
	char line[CONSOLE_LINE];
	unsigned length;
	bool too_long;
	uint32_t epoch;                         /* of CONSOLE_EPOCH */
	unsigned put, got;
	char out[CONSOLE_OUT];
};

void console_start(struct console *console, struct pico_settings *settings);
/* Takes and puts what there is. What is asked of the board is returned: at most one a call. */
enum console_verb console_poll(struct console *console);
void console_print(struct console *console, const char *text);
void console_number(struct console *console, uint32_t number);

#endif
