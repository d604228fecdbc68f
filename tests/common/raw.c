/* SPDX-License-Identifier: Apache-2.0 */
#include "common/raw.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "transport/channel.h"

int raw_receive(int fd, void *message, size_t room)
{
	int fds[8], rc = -EAGAIN;
	uint32_t n;
	for (int i = 0; i < 500 && rc == -EAGAIN; i++) {
		struct pollfd p = { fd, POLLIN, 0 };
		poll(&p, 1, 10);
		rc = channel_recv(fd, message, room, fds, 8, &n);
		while (rc > 0 && n)
			close(fds[--n]);
	}
	return rc;
}
