/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal comes back also from a crash: what has to be written and set for that is made
 * ready while all is well, and done in a signal handler. For screen.c. */
#ifndef PEEKER_RESTORE_H
#define PEEKER_RESTORE_H

/** Remember the settings of the terminal on `fd`, before anything changes them. -errno */
int restore_prepare(int fd);
/** One more sequence that gives the terminal back; what curses calls padding is left out. */
void restore_add(const char *sequence);
/** From now on a crash gives the terminal back. */
void restore_arm(void);
void restore_disarm(void);

#endif
