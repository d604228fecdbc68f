/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of this machine: the listening Unix socket, the peer's credentials, and the table's
 * memory as descriptors. Called by the server thread; a handle inside the engine's own process
 * has such a session too. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"
#include "transport/channel.h"

#define ACCEPTS_A_TURN 32
#define QUEUE_BYTES (1 << 20)

struct local {
	struct session session;     /* first: they are cast into each other */
	int fd;
};

static struct local *of(struct session *s)
{
	return (struct local *)s;
}

static int local_send(struct session *s, const void *message, size_t bytes)
{
	return channel_send(of(s)->fd, message, bytes, NULL, 0);
}

/* Header, directory, waiter counts, and for an owner its bank. */
static int local_welcome(struct session *s, const void *message, size_t bytes)
{
	const struct region *r = s->engine->region;
	int fds[4] = { r->header_fd, r->directory_fd, r->waiters_fd };
	uint32_t n = 3;
	if (s->owner != DSM_NONE && !s->inproc)
		fds[n++] = r->banks[s->owner].fd;
	return channel_send(of(s)->fd, message, bytes, fds, n);
}

static int local_map(struct session *s, const struct control_map *m)
{
	struct dsm_engine *e = s->engine;
	struct control_writer out;
	int fds[CHANNEL_FDS_MAX];
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_MAPPED);
	control_put_map(&out, m);
	for (uint32_t i = 0; i < m->count; i++) {
		control_put_u32(&out, e->region->banks[m->first + i].bank_epoch);
		fds[i] = e->region->banks[m->first + i].read_fd;
	}
	return channel_send(of(s)->fd, e->reply, control_end(&out), fds, m->count);
}

static void local_address(const struct session *s, char *text, size_t size)
{
	snprintf(text, size, s->inproc ? "engine's process" : "pid %u", s->pid);
}

static int local_receive(struct session *s, void *message, size_t room)
{
	uint32_t n;
	int rc = channel_recv(of(s)->fd, message, room, NULL, 0, &n);
	return rc == 0 ? -ECONNRESET : rc;
}

static void local_free(struct session *s)
{
	/* a forked child may hold the socket open: close() alone would leave `s` in the epoll set */
	epoll_ctl(s->engine->epoll_fd, EPOLL_CTL_DEL, of(s)->fd, NULL);
	close(of(s)->fd);
	free(of(s));
}

static const struct session_ops local_ops = {
	.transport = "shm", .send = local_send, .receive = local_receive, .welcome = local_welcome,
	.map = local_map, .address = local_address, .free = local_free,
};

struct session *local_adopt(struct dsm_engine *e, int fd, bool inproc)
{
	struct ucred peer = { 0, (uid_t)-1, (gid_t)-1 };
	socklen_t size = sizeof(peer);
	struct local *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	l->fd = fd;
	l->session = (struct session){ .ops = &local_ops, .inproc = inproc,
		.pid = (uint32_t)peer.pid, .uid = peer.uid };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = &l->session };
	if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		free(l);
		return NULL;
	}
	server_add(e, &l->session);
	return &l->session;
}

/* ---- listening ---- */

/* Out of descriptors: without one in reserve the listener would stay ready and we would spin. */
static void turn_away(struct dsm_engine *e)
{
	close(e->spare_fd);
	int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	e->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	region_count(e->region, COUNTER_REFUSED_FULL, 1);
}

void local_accept(struct dsm_engine *e)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && e->spare_fd >= 0)
			turn_away(e);
		if (fd < 0)
			return;
		int bytes = QUEUE_BYTES;
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		if (e->session_count >= e->options.max_clients || !local_adopt(e, fd, false)) {
			region_count(e->region, COUNTER_REFUSED_FULL, 1);
			close(fd);
		}
	}
}

int local_listen(struct dsm_engine *e)
{
	e->listen_fd = channel_listen(e->name);
	if (e->listen_fd == -EADDRINUSE) {
		int fd = channel_connect(e->name);
		struct ucred peer = { 0 };
		socklen_t size = sizeof(peer);
		if (fd >= 0) {
			getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
			close(fd);
		}
		return dsm__fail(-EADDRINUSE, "an engine named \"%s\" runs already (process %d); end it or "
			"take another name", e->name, (int)peer.pid);
	}
	return e->listen_fd < 0 ? dsm__fail(e->listen_fd, "cannot listen as \"%s\": %s", e->name,
		strerror(-e->listen_fd)) : 0;
}
