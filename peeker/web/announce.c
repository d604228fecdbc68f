/* SPDX-License-Identifier: Apache-2.0 */
/* Announcement by mDNS: avahi's own program does it, where it is installed, for as long as the
 * viewer runs. A viewer that only this machine can reach is not announced. */
#include "web.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long the announcer may take to end when it is asked to, before it is killed. */
#define END_MS 2000
#define END_STEP_MS 20

/* In the child of a program that has threads: nothing here but what is async-signal-safe. No
 * signal is let through before its handler is the usual one: the parent's would swallow it. */
static void become(char *const words[], pid_t parent)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	int nowhere = open("/dev/null", O_RDWR);
	sigset_t none;

	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		signal(caught[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* it ends with this program, however that ends */
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
		dup2(nowhere, fd);
	execvp(words[0], words);
	_exit(127); /* no avahi: nothing is announced */
}

int announce_begin(const char *name, unsigned port)
{
	char label[64], number[16];
	/* -f: a daemon that is not there, or is restarted, is waited for */
	char *const words[] = { (char *)"avahi-publish", (char *)"-f", (char *)"-s", label,
		(char *)"_http._tcp", number, (char *)"path=/", NULL };
	sigset_t all, before;

	/* a label of DNS has 63 bytes at most */
	snprintf(label, sizeof label, "dsm peeker %.48s", name);
	snprintf(number, sizeof number, "%u", port);
	pid_t self = getpid();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();
	if (child == 0)
		become(words, self);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return child > 0 ? (int)child : 0;
}

void announce_end(int process)
{
	const struct timespec step = { .tv_nsec = END_STEP_MS * 1000000L };

	if (process <= 0)
		return;
	kill(process, SIGTERM);
	for (int waited_ms = 0; waited_ms < END_MS; waited_ms += END_STEP_MS) {
		if (waitpid(process, NULL, WNOHANG) != 0)
			return;
		nanosleep(&step, NULL);
	}
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
}
