/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile client: speaks the control messages to get at the descriptors, and tries on each
 * what the kernel offers. */
#include "isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <dsm/dsm.h>

#include "core/layout.h"
#include "transport/channel.h"
#include "wire/control.h"

#define CROWD_MS 4800u /* a dozen looks of 300 ms and what goes with them */

static unsigned char message[CONTROL_MAX];

static int receive(struct pieces *p, struct control_reader *r, enum control_type type)
{
	for (int i = 0; i < 100; i++) {
		struct pollfd pfd = { p->channel, POLLIN, 0 };
		uint32_t n = 0;
		poll(&pfd, 1, 100);
		int got = channel_recv(p->channel, message, sizeof(message), p->fds + p->count,
			PIECES_MAX - p->count, &n);
		if (got == -EAGAIN)
			continue;
		if (got <= 0)
			return got ? got : -EPIPE;
		p->count += n;
		int rc = control_open(r, message, (size_t)got);
		if (rc || r->type == type)
			return rc;
	}
	return -ETIMEDOUT;
}

static int send_hello(struct pieces *p, const char *owner)
{
	struct control_hello hello = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .pid = 1 /* a lie: the peer's credentials count */ };
	struct control_writer w;
	snprintf(hello.owner, sizeof(hello.owner), "%s", owner);
	snprintf(hello.program, sizeof(hello.program), "hostile");
	memset(hello.client_id, 0x5a, sizeof(hello.client_id));
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &hello);
	return channel_send(p->channel, message, control_end(&w), NULL, 0);
}

static int get_banks(struct pieces *p, uint32_t owners)
{
	struct control_map map = { 0, owners };
	struct control_reader r;
	struct control_writer w;
	control_begin(&w, message, sizeof(message), CONTROL_MAP);
	control_put_map(&w, &map);
	int rc = channel_send(p->channel, message, control_end(&w), NULL, 0);
	return rc ? rc : receive(p, &r, CONTROL_MAPPED);
}

int raw_attach(const char *owner, struct pieces *p)
{
	struct control_reader r;
	struct control_welcome welcome = { 0 };
	*p = (struct pieces){ .channel = channel_connect(engine_name) };
	if (p->channel < 0)
		return p->channel;
	int rc = send_hello(p, owner);
	if (rc == 0)
		rc = receive(p, &r, CONTROL_WELCOME);
	if (rc == 0)
		rc = control_get_welcome(&r, &welcome);
	if (rc || welcome.status)
		return rc ? rc : welcome.status;
	p->owner = welcome.owner;
	p->bytes[PIECE_HEADER] = welcome.header_bytes;
	p->bytes[PIECE_DIRECTORY] = welcome.directory_bytes;
	p->bytes[PIECE_WAITERS] = welcome.waiters_bytes;
	const struct region_header *h = mmap(NULL, welcome.header_bytes, PROT_READ, MAP_SHARED, p->fds[0], 0);
	if (h == MAP_FAILED)
		return -errno;
	uint32_t owners = h->owner_count;
	munmap((void *)(uintptr_t)h, welcome.header_bytes);
	return get_banks(p, owners);
}

void raw_close(struct pieces *p)
{
	for (unsigned i = 0; i < p->count; i++)
		close(p->fds[i]);
	if (p->channel >= 0)
		close(p->channel);
}

/* An engine with a place for it says nothing before a HELLO. */
static bool has_place(int fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	return poll(&pfd, 1, 300) == 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The places that are held at the end, of those that say nothing. */
static unsigned crowd_once(unsigned most, int *rc, char *why, size_t room)
{
	int fds[256];
	unsigned n = 0, held = 0;
	bool more = true;
	while (more && n < most && n < 256) {
		fds[n] = channel_connect(engine_name);
		more = fds[n] >= 0 && has_place(fds[n]);
		if (!more && fds[n] >= 0)
			close(fds[n]);
		n += more;
	}
	char uri[64], byte;
	struct dsm *dsm = NULL;
	snprintf(uri, sizeof(uri), "shm://%s", engine_name);
	*rc = dsm_attach(uri, NULL, &dsm);
	snprintf(why, room, "%s", *rc ? dsm_error() : "");
	dsm_detach(&dsm);
	for (unsigned i = 0; i < n; i++) {
		held += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
		close(fds[i]);
	}
	return held;
}

unsigned raw_crowd(unsigned most)
{
	unsigned held = 0;
	uint64_t took = UINT64_MAX;
	char why[200] = "";
	int rc = 0;
	/* who says nothing is sent away after five seconds: a try in which this machine stood still shows nothing */
	for (int i = 0; i < 5 && took > CROWD_MS; i++) {
		uint64_t began = now_ms();
		held = crowd_once(most, &rc, why, sizeof(why));
		took = now_ms() - began;
	}
	check(rc == -EUSERS && strstr(why, "places"), "no place: %d, %s", rc, why);
	return held;
}

unsigned raw_hoard(unsigned most)
{
	struct pieces p;
	struct control_map map = { 0, 6 };
	struct control_writer w;
	unsigned n = 0;
	if (!check(raw_attach("", &p) == 0, "the hoarder attaches"))
		return most;
	for (; n < most; n++) {
		control_begin(&w, message, sizeof(message), CONTROL_MAP);
		control_put_map(&w, &map);
		int rc = channel_send(p.channel, message, control_end(&w), NULL, 0);
		if (rc && rc != -EAGAIN)
			break;
		struct pollfd pfd = { p.channel, POLLRDHUP, 0 };
		if (poll(&pfd, 1, 5) == 1 && (pfd.revents & (POLLRDHUP | POLLHUP)))
			break;
	}
	raw_close(&p);
	return n;
}

/* Fails with one of two errors. */
static void refused(int rc, int one, int other, const char *what, const char *attempt)
{
	int error = errno;
	check(rc < 0 && (error == one || error == other), "%s: %s: %s", what, attempt,
		rc < 0 ? strerror(error) : "it was allowed");
}

static void reopen(int fd, int how, const char *what, const char *attempt)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = open(path, how);
	refused(again, EACCES, EPERM, what, attempt);
	if (again >= 0)
		close(again);
}

static void keep_size(int fd, const char *what, int one, int other)
{
	struct stat before, after;
	fstat(fd, &before);
	refused(ftruncate(fd, 0), one, other, what, "ftruncate to nothing");
	refused(ftruncate(fd, before.st_size + 65536), one, other, what, "ftruncate to more");
	fstat(fd, &after);
	check(before.st_size == after.st_size, "%s: its size has changed", what);
}

void raw_attack_readonly(int fd, const char *what)
{
	char bytes[8] = "hostile";
	struct stat st;
	fstat(fd, &st);
	size_t size = (size_t)st.st_size;
	check((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY, "%s: the descriptor may write", what);
	reopen(fd, O_RDWR, what, "open again to write");
	reopen(fd, O_WRONLY, what, "open again only to write");
	reopen(fd, O_RDWR | O_TRUNC, what, "open again to empty it");
	refused((int)pwrite(fd, bytes, sizeof(bytes), 0), EBADF, EPERM, what, "pwrite");
	refused(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EBADF, EPERM, what, "hole");
	refused(fchmod(fd, 0777), EPERM, EACCES, what, "fchmod");
	refused(fchown(fd, geteuid(), (gid_t)-1), EPERM, EACCES, what, "fchown");
	refused(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM, EBUSY, what, "add a seal");
	keep_size(fd, what, EINVAL, EPERM);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	refused(at == MAP_FAILED ? -1 : 0, EACCES, EPERM, what, "mmap to write");
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (!check(at != MAP_FAILED, "%s: cannot be read: %s", what, strerror(errno)))
		return;
	refused(mprotect(at, size, PROT_READ | PROT_WRITE), EACCES, EPERM, what, "mprotect to write");
	munmap(at, size);
}

void raw_attack_writable(int fd, const char *what)
{
	keep_size(fd, what, EPERM, EPERM);
	refused(fchmod(fd, 0), EPERM, EACCES, what, "fchmod");
	/* F_SEAL_FUTURE_WRITE would lock out everybody who comes later */
	refused(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), EPERM, EPERM, what, "add a seal");
}
