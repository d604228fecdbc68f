/* SPDX-License-Identifier: Apache-2.0 */
/* Lines over a stream, bounded in length and in time; both sides of place.h use them. */
#include "common/place.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Byte by byte: lines are short and few, and so nothing of the next one is taken. */
int line_get(int fd, char line[PLACE_LINE], int timeout_ms)
{
	for (size_t n = 0; n < PLACE_LINE; n++) {
		struct pollfd p = { fd, POLLIN, 0 };
		int rc = poll(&p, 1, timeout_ms);
		if (rc == 0)
			return -ETIMEDOUT;
		if (rc < 0 || read(fd, line + n, 1) != 1)
			return -EPIPE;
		if (line[n] == '\n') {
			line[n] = '\0';
			return 0;
		}
	}
	return -EMSGSIZE;
}

int line_put(int fd, const char *line)
{
	size_t n = strlen(line);
	char copy[PLACE_LINE];
	if (n + 1 > sizeof(copy))
		return -EMSGSIZE;
	memcpy(copy, line, n);
	copy[n++] = '\n';
	for (size_t done = 0; done < n;) {
		ssize_t rc = send(fd, copy + done, n - done, MSG_NOSIGNAL);
		if (rc <= 0)
			return -EPIPE;
		done += (size_t)rc;
	}
	return 0;
}
