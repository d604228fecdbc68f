/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX "dsm/"
#define QUEUE_BYTES (1 << 20)

uint32_t channel_address(const char *name, struct sockaddr_un *out)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	int n = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, PREFIX "%s", name);
	return (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int socket_new(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int bytes = QUEUE_BYTES;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return fd;
}

int channel_connect(const char *name)
{
	struct sockaddr_un address;
	uint32_t size = channel_address(name, &address);
	int fd = socket_new();
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, size)) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int channel_listen(const char *name)
{
	struct sockaddr_un address;
	uint32_t size = channel_address(name, &address);
	int fd = socket_new();
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 128)) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int channel_send(int fd, const void *message, size_t bytes, const int *fds, uint32_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	struct iovec iov = { (void *)(uintptr_t)message, bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n > CHANNEL_FDS_MAX)
		return -E2BIG;
	if (n) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * n);
	}
	ssize_t sent;
	do {
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Takes the descriptors out of one control message. */
static void take_fds(struct cmsghdr *c, int *fds, uint32_t room, uint32_t *n)
{
	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < count; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (*n < room)
			fds[(*n)++] = fd;
		else
			close(fd);
	}
}

int channel_recv(int fd, void *message, size_t room, int *fds, uint32_t room_fds, uint32_t *n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	struct iovec iov = { message, room };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control) };
	*n = 0;
	ssize_t got;
	do {
		got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		take_fds(c, fds, room_fds, n);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (*n)
			close(fds[--*n]);
		return -EMSGSIZE;
	}
	return (int)got;
}

void channel_list(char *buf, size_t size)
{
	size_t used = 0;
	char line[512];
	buf[0] = 0;
	FILE *f = fopen("/proc/net/unix", "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, " @" PREFIX);
		/* listening sockets only: flag 00010000 is the fourth word */
		if (!at || !strstr(line, " 00010000 "))
			continue;
		at += 2 + sizeof(PREFIX) - 1;
		at[strcspn(at, "\n")] = 0;
		int n = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", at);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	if (f)
		fclose(f);
}
