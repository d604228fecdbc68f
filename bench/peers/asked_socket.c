/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bare servers over UDP and TCP on loopback: so many bytes in, so many out, the number of the question
 * in both. One socket and one thread for UDP, one thread and epoll for TCP's connections, as dsm's
 * engine has one thread for all. They sleep in the kernel, or try again and never do.
 */
#include "peers/asked.h"

#include "harness/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOKS 1024u                 /* attempts between two looks at the clock */
#define SERVER_SLEEP_MS 100         /* then a look whether it is to end; a signal ends it, too */

struct place {
	int fd;                         /* the server's: bound, or listening */
	struct sockaddr_in address;
};
struct talk { int fd; };

static int is_tcp(const struct asked *a)
{
	return a->ops == &asked_tcp;
}

/* Nothing is lost over TCP; what takes so long is a failure. */
static uint64_t patience(const struct asked *a)
{
	return is_tcp(a) ? 10 * UINT64_C(1000000000) : ASKED_LOST_NS;
}

static int set_patience(int fd, uint64_t ns)
{
	struct timeval t = { (time_t)(ns / 1000000000u), (suseconds_t)(ns % 1000000000u / 1000) };
	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) ? -errno : 0;
}

static bool over(const struct bench_shared *shared)
{
	return bench_stop || atomic_load_explicit(&shared->stop, memory_order_relaxed);
}

/* ---- server ---- */

static int serve_udp(struct bench_shared *shared, const struct asked *a, int fd)
{
	unsigned char buffer[ASKED_BYTES_MAX] = { 0 };
	int flags = a->spin ? MSG_DONTWAIT : 0, rc = set_patience(fd, SERVER_SLEEP_MS * 1000000u);
	atomic_store(&shared->ready, rc == 0);
	while (!rc && !over(shared)) {
		struct sockaddr_in from;
		socklen_t bytes = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), flags, (struct sockaddr *)&from, &bytes);
		if (n > 0 && sendto(fd, buffer, a->reply, flags, (struct sockaddr *)&from, bytes) < 0 && errno != EAGAIN)
			rc = -errno;
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			rc = -errno;
		if (n < 0 && a->spin)
			bench_relax();
	}
	return rc;
}

/* All of a short message that has begun to come. */
static int take_all(int fd, unsigned char *to, size_t bytes)
{
	for (size_t have = 0; have < bytes;) {
		ssize_t n = recv(fd, to + have, bytes - have, 0);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n < 0 && bench_stop)
			return -EINTR;
		have += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void tcp_event(const struct asked *a, int epoll, int listener, int fd)
{
	unsigned char buffer[ASKED_BYTES_MAX] = { 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int on = 1;
	if (fd == listener) {
		ev.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (ev.data.fd >= 0 && (setsockopt(ev.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
				epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev)))
			close(ev.data.fd);
		return;
	}
	if (take_all(fd, buffer, a->request) || send(fd, buffer, a->reply, MSG_NOSIGNAL) != (ssize_t)a->reply)
		close(fd);
}

static int serve_tcp(struct bench_shared *shared, const struct asked *a, int listener)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[ASKED_CLIENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int rc = epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) ? -errno : 0;
	atomic_store(&shared->ready, rc == 0);
	while (!rc && !over(shared)) {
		int n = epoll_wait(epoll, got, ASKED_CLIENTS_MAX, a->spin ? 0 : SERVER_SLEEP_MS);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		for (int i = 0; i < n; i++)
			tcp_event(a, epoll, listener, got[i].data.fd);
	}
	return rc;
}

static int serve(struct bench_shared *shared, void *arg)
{
	const struct asked *a = arg;
	const struct place *place = a->own;
	return is_tcp(a) ? serve_tcp(shared, a, place->fd) : serve_udp(shared, a, place->fd);
}

static int open_server(struct asked *a, struct bench_run *out)
{
	struct place *p = malloc(sizeof(*p));
	socklen_t bytes = sizeof(p->address);
	int rc = 0;
	a->own = p;
	if (!p)
		return -ENOMEM;
	p->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	p->fd = socket(AF_INET, (is_tcp(a) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&p->address, bytes) ||
			getsockname(p->fd, (struct sockaddr *)&p->address, &bytes) ||
			(is_tcp(a) && listen(p->fd, ASKED_CLIENTS_MAX)))
		rc = -errno;
	if (!rc)
		rc = bench_child_start(&a->child, a->conf->cpu_server, serve, a);
	a->server = a->child.pid;
	return rc ? bench_why(out, rc, "the server did not start: %s", strerror(-rc)) : 0;
}

static void close_server(struct asked *a)
{
	struct place *p = a->own;
	bench_child_stop(&a->child, NULL);
	if (p && p->fd >= 0)
		close(p->fd);
	free(p);
	a->own = NULL;
}

/* ---- client ---- */

static int join(struct asked *a, unsigned client, void **own, char why[BENCH_WHY_MAX])
{
	const struct place *p = a->own;
	struct talk *t = malloc(sizeof(*t));
	int on = 1;
	(void)client;
	*own = t;
	if (!t)
		return -ENOMEM;
	t->fd = socket(AF_INET, (is_tcp(a) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (t->fd < 0 || connect(t->fd, (const struct sockaddr *)&p->address, sizeof(p->address)) ||
			(is_tcp(a) && setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))) ||
			set_patience(t->fd, patience(a))) {
		int rc = -errno;
		strncpy(why, "no connection to the server", BENCH_WHY_MAX - 1);
		return rc;
	}
	return 0;
}

/* One datagram, or what of the stream is there. -ETIMEDOUT. */
static ssize_t take(const struct asked *a, int fd, unsigned char *to, size_t bytes)
{
	uint64_t since = 0;
	for (unsigned i = 1;; i++) {
		ssize_t n = recv(fd, to, bytes, a->spin ? MSG_DONTWAIT : 0);
		if (n >= 0)
			return n ? n : -ECONNRESET;
		if (errno == EINTR && !bench_stop)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (!a->spin)
			return -ETIMEDOUT;
		bench_relax();
		if (i % LOOKS)
			continue;
		uint64_t now = bench_now_ns();
		since = since ? since : now;
		if (now - since > patience(a) || bench_stop)
			return -ETIMEDOUT;
	}
}

static int ask(struct asked *a, void *own, uint64_t number, char why[BENCH_WHY_MAX])
{
	const struct talk *t = own;
	unsigned char out[ASKED_BYTES_MAX] = { 0 }, in[ASKED_BYTES_MAX];
	uint64_t got = 0;
	(void)why;
	memcpy(out, &number, sizeof(number));
	if (send(t->fd, out, a->request, MSG_NOSIGNAL) != (ssize_t)a->request)
		return -errno;
	do {
		for (size_t have = 0; have < a->reply;) {
			ssize_t n = take(a, t->fd, in + have, a->reply - have);
			if (n < 0)
				return is_tcp(a) && n == -ETIMEDOUT ? -ETIME : (int)n;
			have += (size_t)n;
			if (!is_tcp(a) && have != a->reply)
				return -EBADMSG;
		}
		memcpy(&got, in, sizeof(got));
	} while (got < number); /* the answer to one that was given up */
	return got == number ? 0 : -EBADMSG;
}

static void leave(struct asked *a, void *own)
{
	struct talk *t = own;
	(void)a;
	if (t && t->fd >= 0)
		close(t->fd);
	free(t);
}

const struct asked_ops asked_udp = { "udp", open_server, join, ask, leave, close_server };
const struct asked_ops asked_tcp = { "tcp", open_server, join, ask, leave, close_server };
