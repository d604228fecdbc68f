/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ingest_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "wire/adc.h"

/* 8 boards at 1 kHz for half a second, as the kernel counts them (about 768 bytes each). */
#define RECEIVE_BUFFER (4 << 20)
/* the kernel doubles it, and counts no datagram below half a kilobyte */
_Static_assert(2 * RECEIVE_BUFFER / 512 <= INGEST_QUEUE_MAX, "more may lie in the queue than silence waits for");
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

/* One byte more than the longest: a longer datagram has the wrong length, too. */
#define ROOM (ADC_BYTES_MAX + 1)

struct ingest_batch {
	struct mmsghdr messages[INGEST_BATCH];
	struct iovec pieces[INGEST_BATCH];
	struct sockaddr_storage from[INGEST_BATCH];
	uint8_t data[INGEST_BATCH][ROOM];
};

/* ---- address --------------------------------------------------------------------------- */

static int bad_address(const char *text, const char *what)
{
	return dsm__fail(-EINVAL, "adc: \"%.80s\": %s: expected ADDR[:PORT], [ADDR6][:PORT] or *[:PORT]", text, what);
}

static bool take_port(const char *text, char port[6])
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n > 65535 || strlen(text) > 5)
		return false;
	snprintf(port, 6, "%lu", n);
	return true;
}

int ingest_address(const char *text, char host[256], char port[6])
{
	const char *begin = text, *end, *rest;
	if (*text == '[') {
		begin = text + 1;
		end = strchr(begin, ']');
		if (!end)
			return bad_address(text, "']' is missing");
		rest = end + 1;
	} else {
		end = text + strcspn(text, ":");
		rest = end;
		if (*rest && strchr(rest + 1, ':'))
			return bad_address(text, "an IPv6 address stands in brackets");
	}
	if (end == begin || end - begin > 255)
		return bad_address(text, "no address");
	snprintf(port, 6, "%u", DSM_ADC_PORT);
	if (*rest && (*rest != ':' || !take_port(rest + 1, port)))
		return bad_address(text, "bad port");
	snprintf(host, 256, "%.*s", (int)(end - begin), begin);
	return 0;
}

static int describe(int fd, char *bound, size_t size)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	char host[64], port[8];
	if (getsockname(fd, (struct sockaddr *)&a, &n) ||
	    getnameinfo((struct sockaddr *)&a, n, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM))
		return dsm__fail(-EIO, "adc: the socket's address cannot be read");
	snprintf(bound, size, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static int open_one(const struct addrinfo *a, const char *address, int *out)
{
	int off = 0, bytes = RECEIVE_BUFFER;
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return dsm__fail(-errno, "adc: no socket: %s", strerror(errno));
	if (a->ai_family == AF_INET6) /* "*": IPv4 as well */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	/* beyond the system's limit only for root; less is no error, drops are counted */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0) {
		*out = fd;
		return 0;
	}
	int error = errno;
	close(fd);
	return dsm__fail(-error, "adc: cannot listen at %s: %s", address, strerror(error));
}

int ingest_socket_open(const char *address, int *fd, char *bound, size_t bound_size)
{
	char host[256], port[6];
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	int rc = ingest_address(address, host, port);
	if (rc)
		return rc;
	bool any = strcmp(host, "*") == 0;
	int error = getaddrinfo(any ? NULL : host, port, &hints, &list);
	if (error)
		return dsm__fail(-EADDRNOTAVAIL, "adc: %s: %s", address, gai_strerror(error));
	rc = -EADDRNOTAVAIL;
	/* of "*" the IPv6 socket, which takes both; only without IPv6 the other */
	for (int pass = any ? 0 : 1; rc && pass < 2; pass++)
		for (const struct addrinfo *a = list; rc && a; a = a->ai_next)
			if (pass == 1 || a->ai_family == AF_INET6)
				rc = open_one(a, address, fd);
	freeaddrinfo(list);
	if (rc == 0 && (rc = describe(*fd, bound, bound_size)) != 0)
		close(*fd);
	return rc;
}

/* ---- datagrams ------------------------------------------------------------------------- */

int ingest_batch_new(struct ingest_batch **out)
{
	struct ingest_batch *b = calloc(1, sizeof(*b));
	if (!b)
		return dsm__fail(-ENOMEM, "adc: no memory for datagrams");
	for (unsigned i = 0; i < INGEST_BATCH; i++) {
		b->pieces[i] = (struct iovec){ b->data[i], ROOM };
		b->messages[i].msg_hdr = (struct msghdr){ .msg_name = &b->from[i], .msg_iov = &b->pieces[i],
			.msg_iovlen = 1 };
	}
	*out = b;
	return 0;
}

void ingest_batch_free(struct ingest_batch **batch)
{
	free(*batch);
	*batch = NULL;
}

/* Family, port and address: what makes a sender another one. */
static void take_source(const struct sockaddr_storage *from, struct ingest_source *to)
{
	to->bytes[0] = (uint8_t)from->ss_family;
	to->n = 1;
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from;
		memcpy(to->bytes + 1, &in->sin_port, 2);
		memcpy(to->bytes + 3, &in->sin_addr, 4);
		to->n = 7;
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)from;
		memcpy(to->bytes + 1, &in6->sin6_port, 2);
		memcpy(to->bytes + 3, &in6->sin6_addr, 16);
		memcpy(to->bytes + 19, &in6->sin6_scope_id, 4);
		to->n = 23;
	}
}

void ingest_source_text(const struct ingest_source *source, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	int family = source->n ? source->bytes[0] : AF_UNSPEC;
	unsigned port = source->n >= 3 ? source->bytes[1] * 256u + source->bytes[2] : 0;
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool four = family == AF_INET, six = family == AF_INET6;
	const uint8_t *at = source->bytes + 3;
	if (six && memcmp(at, mapped, sizeof(mapped)) == 0) { /* IPv4 at the socket for both */
		four = true;
		six = false;
		at += sizeof(mapped);
	}
	if (four || six)
		inet_ntop(six ? AF_INET6 : AF_INET, at, host, sizeof(host));
	snprintf(buf, size, six ? "[%s]:%u" : "%s:%u", host, port);
}

unsigned ingest_socket_drain(int fd, struct ingest_batch *b, struct ingest *ingest, uint64_t now_ns)
{
	for (unsigned i = 0; i < INGEST_BATCH; i++)
		b->messages[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
	int n = recvmmsg(fd, b->messages, INGEST_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct ingest_source source;
		take_source(&b->from[i], &source);
		ingest_datagram(ingest, &source, b->data[i], b->messages[i].msg_len, now_ns);
	}
	return n > 0 ? (unsigned)n : 0;
}

uint32_t ingest_socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t n = sizeof(info);
	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &n) ? 0 : info[SK_MEMINFO_DROPS];
}
