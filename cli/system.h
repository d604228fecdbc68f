/* SPDX-License-Identifier: Apache-2.0 */
/* What the command needs of the system and POSIX and Windows do differently: system_posix.c and
 * system_windows.c. */
#ifndef CLI_SYSTEM_H
#define CLI_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What GCC checks texts against; on Windows the C library's own printf() would be another one. */
#ifdef _WIN32
#define PRINTF_FORMAT gnu_printf
#else
#define PRINTF_FORMAT printf
#endif

/** First of all. Arguments become UTF-8, and so does what is printed, with '\n' alone at an end of
 *  line. Where the system does that by itself: nothing. Negative errno. */
int system_begin(int *argc, char ***argv);
/** Signals that ask the program to end call `on_signal`; nobody reading our output is no signal. */
void system_catch_signals(void (*on_signal)(int number));
/** Has who reads this gone? Not known on Windows: the next write fails then. */
bool system_reader_gone(FILE *file);

/** A stream into memory. */
struct memory { FILE *file; char *text; size_t size; };
int memory_open(struct memory *memory);
/** What was written since it was opened or taken last; to free(). NULL: no memory. */
char *memory_take(struct memory *memory);
void memory_close(struct memory *memory);

#endif
