/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rig's programs share: ending in order on SIGINT and SIGTERM, and reading numbers
 * from the command line.
 */
#ifndef DSM_RIG_STOP_H
#define DSM_RIG_STOP_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static volatile sig_atomic_t stop_asked;

static inline void stop_handler(int number)
{
	(void)number;
	stop_asked = 1;
}

/** From now on Ctrl-C and SIGTERM set stop_asked and interrupt what sleeps. */
static inline void stop_prepare(void)
{
	struct sigaction action = { .sa_handler = stop_handler };
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/** The whole of `text` as a number in low..high. */
static inline bool option_number(const char *text, double low, double high, double *out)
{
	char *end;
	double value = strtod(text, &end);
	if (*text == '\0' || *end != '\0' || !isfinite(value) || value < low || value > high)
		return false;
	*out = value;
	return true;
}

#endif
