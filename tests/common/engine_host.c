/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_host [ADDRESS]: holds the fixture's engine for tests on another host (place.h), one keeper
 * a connection. Ends when it is told to, or when nobody has connected for ten minutes. Whoever
 * reaches the port may start engines: for loopback or a test network only.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/place.h"

#define IDLE_MS 600000

static int listen_at(const char *address)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
	char port[16];
	int one = 1, fd = -1;
	snprintf(port, sizeof(port), "%d", PLACE_PORT);
	if (getaddrinfo(address, port, &hints, &list))
		return -EINVAL;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 32)) {
		int rc = -errno;
		freeaddrinfo(list);
		return rc;
	}
	freeaddrinfo(list);
	return fd;
}

int main(int argc, char **argv)
{
	int fd = listen_at(argc > 1 ? argv[1] : "0.0.0.0");
	if (fd < 0) {
		fprintf(stderr, "engine_host: cannot listen: %s\n", strerror(-fd));
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	printf("engine_host: TCP port %d\n", PLACE_PORT);
	fflush(stdout);
	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		if (poll(&p, 1, IDLE_MS) == 0) {
			fprintf(stderr, "engine_host: nobody came for %d s\n", IDLE_MS / 1000);
			return 1;
		}
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (peer < 0)
			continue;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGCHLD, SIG_DFL);
			close(fd);
			keeper_serve(peer);
			_exit(0);
		}
		close(peer);
	}
}
