/* SPDX-License-Identifier: Apache-2.0 */
/* Verb top: starts the peeker, which is a program of its own, in place of this one. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 8   /* words that are put before those of the user */

/* The peeker that was installed beside this program, else the one in PATH. */
static void start(char **words)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "peeker");
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

	if (slash) {
		strcpy(slash + 1, "peeker");
		execv(path, words);
	}
	execvp("peeker", words);
}

enum status verb_top(struct cli *cli)
{
	char **words = calloc((size_t)cli->n_args + OPTIONS_MAX + 1, sizeof *words);
	const char *uri = cli->set.uri ? cli->set.uri : getenv("DSM_URI");
	char interval[32], timeout[32];
	size_t n = 0;

	if (!words)
		return STATUS_REFUSED;
	words[n++] = (char *)"peeker";
	words[n++] = (char *)"--uri";
	words[n++] = (char *)(uri && *uri ? uri : "rig");
	if (cli->set.interval_s >= 0) {
		snprintf(interval, sizeof interval, "--interval=%g", cli->set.interval_s);
		words[n++] = interval;
	}
	if (cli->set.timeout_s >= 0) {
		snprintf(timeout, sizeof timeout, "--timeout=%g", cli->set.timeout_s);
		words[n++] = timeout;
	}
	memcpy(words + n, cli->args, (size_t)cli->n_args * sizeof *words);
	start(words);
	cli_say(cli, "the peeker cannot be started: %s; it comes with dsm if ncurses was there when "
		"that was built", strerror(errno));
	free(words);
	return STATUS_REFUSED;
}
