/* SPDX-License-Identifier: Apache-2.0 */
/* system.h on Linux. */
#include "system.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int system_begin(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

void system_catch_signals(void (*on_signal)(int number))
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* seen as EPIPE by the output instead */
}

bool system_reader_gone(FILE *file)
{
	struct pollfd end = { .fd = fileno(file) };

	return poll(&end, 1, 0) == 1 && end.revents & (POLLERR | POLLNVAL);
}

int memory_open(struct memory *memory)
{
	memory->file = open_memstream(&memory->text, &memory->size);
	return memory->file ? 0 : -ENOMEM;
}

char *memory_take(struct memory *memory)
{
	fputc('\0', memory->file);
	fflush(memory->file);
	rewind(memory->file);
	return memory->text ? strdup(memory->text) : NULL;
}

void memory_close(struct memory *memory)
{
	if (memory->file)
		fclose(memory->file);
	free(memory->text);
}
