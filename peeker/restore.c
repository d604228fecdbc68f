/* SPDX-License-Identifier: Apache-2.0 */
/* See restore.h. The handler calls nothing that is not async-signal-safe. */
#include "restore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ALTERNATE_STACK 65536

static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGSYS, SIGTRAP };

static struct termios settings;
static int terminal = -1;
static char sequences[512];
static size_t length;
static volatile sig_atomic_t armed;

int restore_prepare(int fd)
{
	if (tcgetattr(fd, &settings))
		return -errno;
	terminal = fd;
	length = 0;
	return 0;
}

void restore_add(const char *sequence)
{
	if (!sequence || sequence == (const char *)-1)
		return;
	for (const char *p = sequence; *p && length < sizeof sequences; p++) {
		if (p[0] == '$' && p[1] == '<' && strchr(p, '>')) {
			p = strchr(p, '>');
			continue;
		}
		sequences[length++] = *p;
	}
}

static void on_crash(int number)
{
	if (armed) {
		armed = 0;
		size_t done = 0;
		while (done < length) {
			ssize_t n = write(terminal, sequences + done, length - done);
			if (n <= 0)
				break;
			done += (size_t)n;
		}
		tcsetattr(terminal, TCSANOW, &settings);
	}
	signal(number, SIG_DFL);
	raise(number); /* it ends as it would have: status and core file */
}

void restore_arm(void)
{
	static char stack[ALTERNATE_STACK];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER };

	sigemptyset(&action.sa_mask);
	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
		sigaction(crashes[i], &action, NULL);
	armed = 1;
}

void restore_disarm(void)
{
	armed = 0;
}
