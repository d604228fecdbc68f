/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are file descriptors: pipe, FIFO, Unix socket, TCP, UDP. */
#include "harness/clock.h"
#include "peers/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BIG (64u * 1024u) /* above this, a pipe gets the largest buffer an ordinary user may have */
#define PIPE_BYTES (1 << 20)
#define LOSS_US 100000    /* a blocking receive gives up after this */

int peer_no_descriptors(struct peer *peer)
{
	for (int side = 0; side < 2; side++)
		peer->end[side][0] = peer->end[side][1] = -1;
	return 0;
}

static void close_side(struct peer *peer, int side)
{
	int *end = peer->end[side];
	if (end[0] >= 0)
		close(end[0]);
	if (end[1] >= 0 && end[1] != end[0])
		close(end[1]);
	end[0] = end[1] = -1;
}

void peer_close_descriptors(struct peer *peer)
{
	close_side(peer, PEER_CLIENT);
	close_side(peer, PEER_SERVER);
}

static int set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) ? -errno : 0;
}

int peer_join_descriptors(struct peer *peer, enum peer_side side)
{
	peer->side = side;
	close_side(peer, !side);
	int rc = set_blocking(peer->end[side][0], !peer->spin);
	return rc ? rc : set_blocking(peer->end[side][1], !peer->spin);
}

ssize_t peer_result(const struct peer *peer, ssize_t n)
{
	if (n > 0)
		return n;
	if (n == 0)
		return -ECONNRESET; /* end of file: the other side is gone */
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return peer->spin ? -EAGAIN : -ETIMEDOUT;
	return -errno;
}

static ssize_t plain_send(struct peer *peer, const void *data, size_t size, unsigned lane)
{
	(void)lane;
	return peer_result(peer, write(peer->end[peer->side][1], data, size));
}

static ssize_t plain_recv(struct peer *peer, void *data, size_t size, unsigned lane)
{
	(void)lane;
	return peer_result(peer, read(peer->end[peer->side][0], data, size));
}

/* ---- pipe, FIFO ---- */

static void enlarge(const struct peer *peer)
{
	for (int side = 0; peer->size > BIG && side < 2; side++)
		(void)fcntl(peer->end[side][1], F_SETPIPE_SZ, PIPE_BYTES); /* else: its default size */
}

static int pipe_open(struct peer *peer)
{
	int there[2], back[2];
	if (pipe2(there, O_CLOEXEC))
		return -errno;
	peer->end[PEER_SERVER][0] = there[0];
	peer->end[PEER_CLIENT][1] = there[1];
	if (pipe2(back, O_CLOEXEC))
		return -errno;
	peer->end[PEER_CLIENT][0] = back[0];
	peer->end[PEER_SERVER][1] = back[1];
	enlarge(peer);
	return 0;
}

/* Both ends at once, then the name goes: nothing is left behind, whatever happens. */
static int fifo_pair(const char *dir, const char *name, int *in, int *out)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s.%d", dir, name, (int)getpid());
	if (mkfifo(path, 0600))
		return -errno;
	*in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	*out = *in < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	int rc = *out < 0 ? -errno : 0;
	unlink(path);
	return rc;
}

static int fifo_open(struct peer *peer)
{
	int rc = fifo_pair(peer->conf->tmpdir, "there", &peer->end[PEER_SERVER][0], &peer->end[PEER_CLIENT][1]);
	if (!rc)
		rc = fifo_pair(peer->conf->tmpdir, "back", &peer->end[PEER_CLIENT][0], &peer->end[PEER_SERVER][1]);
	if (!rc)
		enlarge(peer);
	return rc;
}

/* ---- stream sockets ---- */

static void use_both_ways(struct peer *peer, enum peer_side side, int fd)
{
	peer->end[side][0] = peer->end[side][1] = fd;
}

/* Listen, connect, accept, all here: a connection is complete before it is accepted. */
static int stream_pair(struct peer *peer, struct sockaddr *address, socklen_t length)
{
	int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;
	if (listener < 0)
		return -errno;
	if (bind(listener, address, length) || listen(listener, 1) ||
	    getsockname(listener, address, &length))
		rc = -errno;
	if (!rc)
		use_both_ways(peer, PEER_CLIENT, socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (!rc && connect(peer->end[PEER_CLIENT][0], address, length))
		rc = -errno;
	if (!rc)
		use_both_ways(peer, PEER_SERVER, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	if (!rc && peer->end[PEER_SERVER][0] < 0)
		rc = -errno;
	close(listener);
	return rc;
}

static int unix_open(struct peer *peer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/echo.%d",
		peer->conf->tmpdir, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	int rc = stream_pair(peer, (struct sockaddr *)&address, sizeof(address));
	unlink(address.sun_path);
	return rc;
}

static struct sockaddr_in loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static int tcp_open(struct peer *peer)
{
	struct sockaddr_in address = loopback();
	int rc = stream_pair(peer, (struct sockaddr *)&address, sizeof(address)), on = 1;
	for (int side = 0; !rc && side < 2; side++) {
		if (setsockopt(peer->end[side][0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
			rc = -errno;
	}
	return rc;
}

/* ---- UDP ---- */

static int udp_socket(struct sockaddr_in *address)
{
	struct timeval patience = { .tv_usec = LOSS_US };
	int bytes = 1 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*address = loopback();
	socklen_t length = sizeof(*address);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)); /* else: its default */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    bind(fd, (struct sockaddr *)address, length) ||
	    getsockname(fd, (struct sockaddr *)address, &length)) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static int udp_open(struct peer *peer)
{
	struct sockaddr_in address[2];
	for (int side = 0; side < 2; side++) {
		int fd = udp_socket(&address[side]);
		if (fd < 0)
			return fd;
		use_both_ways(peer, (enum peer_side)side, fd);
	}
	for (int side = 0; side < 2; side++) {
		if (connect(peer->end[side][0], (struct sockaddr *)&address[!side], sizeof(address[0])))
			return -errno;
	}
	return 0;
}

static bool udp_fits(size_t size, const char **why)
{
	*why = "a UDP datagram holds at most 65,507 bytes";
	return size <= 65507;
}

#define DESCRIPTORS .join = peer_join_descriptors, .send = plain_send, .recv = plain_recv, \
	.close = peer_close_descriptors

const struct peer_ops peer_pipe = { .name = "pipe", .open = pipe_open, DESCRIPTORS };
const struct peer_ops peer_fifo = { .name = "fifo", .open = fifo_open, DESCRIPTORS };
const struct peer_ops peer_unix = { .name = "unix", .open = unix_open, DESCRIPTORS };
const struct peer_ops peer_tcp = { .name = "tcp", .open = tcp_open, DESCRIPTORS };
const struct peer_ops peer_udp = { .name = "udp", .messages = true, .loses = true,
	.fits = udp_fits, .open = udp_open, DESCRIPTORS };
