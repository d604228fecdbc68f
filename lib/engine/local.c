/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of this machine: the listening Unix socket, the peer's credentials, and the table's
 * memory as descriptors. Called by the server thread; a handle inside the engine's own process
 * has such a session too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"
#include "transport/channel.h"

#define ACCEPTS_A_TURN 32
#define QUEUE_BYTES (1 << 20)
/* Descriptors on their way to one client. The kernel counts all that this user has sent and nobody has
 * taken, and beyond its limit nobody gets any: who does not take his own is cut off before that. */
#define UNREAD_FDS_MAX 512u

struct local {
	struct session session;     /* first: they are cast into each other */
	int fd;
	uint32_t unread_fds;        /* at most; exact when the queue is empty */
};

static struct local *of(struct session *s)
{
	return (struct local *)s;
}

static int local_send(struct session *s, const void *message, size_t bytes)
{
	return channel_send(of(s)->fd, message, bytes, NULL, 0);
}

/* -EAGAIN: does not take what it was sent. */
static int send_fds(struct local *l, const void *message, size_t bytes, const int *fds, uint32_t n)
{
	int queued = 0;
	if (l->unread_fds && ioctl(l->fd, SIOCOUTQ, &queued) == 0 && queued == 0)
		l->unread_fds = 0;
	if (l->unread_fds + n > UNREAD_FDS_MAX)
		return -EAGAIN;
	int rc = channel_send(l->fd, message, bytes, fds, n);
	if (rc == 0)
		l->unread_fds += n;
	return rc;
}

/* Header, directory, waiter counts, and for an owner its bank. */
static int local_welcome(struct session *s, const void *message, size_t bytes)
{
	const struct region *r = s->engine->region;
	int fds[4] = { r->header_fd, r->directory_fd, r->waiters_fd };
	uint32_t n = 3;
	if (s->owner != DSM_NONE && !s->inproc)
		fds[n++] = r->banks[s->owner].fd;
	return send_fds(of(s), message, bytes, fds, n);
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
	return send_fds(of(s), e->reply, control_end(&out), fds, m->count);
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

/* The answer to a HELLO that is not waited for. */
static void refuse(struct dsm_engine *e, int fd, const char *why, uint32_t n)
{
	struct control_welcome w = { .status = -EUSERS, .owner = DSM_NONE };
	struct control_writer out;
	snprintf(w.text, sizeof(w.text), "%s (%u)", why, n);
	control_begin(&out, e->reply, CONTROL_MAX, CONTROL_WELCOME);
	control_put_welcome(&out, &w);
	channel_send(fd, e->reply, control_end(&out), NULL, 0);
	region_count(e->region, COUNTER_REFUSED_FULL, 1);
	close(fd);
}

static uint32_t places_of_user(const struct dsm_engine *e)
{
	return e->options.max_clients > 1 ? e->options.max_clients / 2 : 1;
}

/* Half of all places is for one user, so that none can take them all; root and the engine's own
 * user, who could end the engine anyway, may. */
static bool user_is_full(const struct dsm_engine *e, int fd)
{
	struct ucred peer = { 0, (uid_t)-1, (gid_t)-1 };
	socklen_t size = sizeof(peer);
	uint32_t n = 0;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (peer.uid == 0 || peer.uid == geteuid())
		return false;
	for (const struct session *s = e->sessions; s; s = s->next)
		n += !s->ops->network && s->uid == peer.uid;
	return n >= places_of_user(e);
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
		if (e->session_count >= e->options.max_clients)
			refuse(e, fd, "the engine has all the clients it takes",
				e->options.max_clients);
		else if (user_is_full(e, fd))
			refuse(e, fd, "this user has all the places that one user gets",
				places_of_user(e));
		else if (!local_adopt(e, fd, false))
			refuse(e, fd, "the engine has no memory for another client",
				e->session_count);
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
