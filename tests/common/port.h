/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP port for a test: free when it was looked at, below those that the kernel gives out by itself, and
 * another one in each process, so that tests beside each other seldom ask for the same. */
#ifndef DSM_TESTS_PORT_H
#define DSM_TESTS_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static inline bool port_is_free(int family, unsigned port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true; /* a machine without such addresses */
	bool is_free = bind(fd, family == AF_INET6 ? (void *)&six : (void *)&four,
		family == AF_INET6 ? sizeof(six) : sizeof(four)) == 0;
	close(fd);
	return is_free;
}

static inline unsigned test_port(void)
{
	static unsigned tried;
	unsigned port = 0;
	for (unsigned i = 0; i < 1000; i++) {
		port = 10000 + ((unsigned)getpid() * 7 + tried++ * 131) % 20000;
		if (port_is_free(AF_INET, port) && port_is_free(AF_INET6, port))
			break;
	}
	return port;
}

#endif
