/* SPDX-License-Identifier: Apache-2.0 */
/* Announcement by mDNS: avahi's own program does it, where it is installed, for as long as the
 * viewer runs. A viewer that only this machine can reach is not announced. */
#include "web.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child. It dies with this program, however that ends, and its words go nowhere. */
static void become(const char *label, const char *port)
{
	int nowhere = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
		dup2(nowhere, fd);
	execlp("avahi-publish", "avahi-publish", "-s", label, "_http._tcp", port, "path=/",
		(char *)NULL);
	_exit(127); /* no avahi: nothing is announced */
}

int announce_begin(const char *name, unsigned port)
{
	char label[80], number[16];

	snprintf(label, sizeof label, "dsm peeker %.48s", name);
	snprintf(number, sizeof number, "%u", port);
	pid_t child = fork();
	if (child == 0)
		become(label, number);
	return child > 0 ? (int)child : 0;
}

void announce_end(int process)
{
	if (process <= 0)
		return;
	kill(process, SIGTERM);
	waitpid(process, NULL, 0);
}
