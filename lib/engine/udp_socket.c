/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of udp: opened, and datagrams many a system call. No policy. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/uri.h"
#include "engine/udp.h"

#define BUFFER (4 << 20)
#define ROOM (UDP_DATAGRAM + 1)     /* a longer one has the wrong length, too */

/* In which struct in_pktinfo or in6_pktinfo goes along. */
union udp_note {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_batch {
	union udp_note in_note[UDP_BATCH], out_note[UDP_BATCH];
	struct mmsghdr in[UDP_BATCH], out[UDP_BATCH];
	struct iovec in_piece[UDP_BATCH], out_piece[UDP_BATCH];
	struct udp_path from[UDP_BATCH], to[UDP_BATCH];
	unsigned ready;             /* to be sent */
	unsigned char in_data[UDP_BATCH][ROOM], out_data[UDP_BATCH][UDP_DATAGRAM];
};

/* ---- address ---- */

int udp_address(const char *text, char *host, size_t room, uint16_t *port)
{
	struct uri uri;
	char whole[300];
	bool any = text[0] == '*' && (text[1] == '\0' || text[1] == ':');
	snprintf(whole, sizeof(whole), "udp://%s%s", any ? "any" : text, any ? text + 1 : "");
	if (strlen(text) > 270 || uri_parse(whole, &uri))
		return dsm__fail(-EINVAL, "udp: \"%.80s\": expected ADDR[:PORT], [ADDR6][:PORT] or *[:PORT]", text);
	snprintf(host, room, "%s", any ? "*" : uri.host);
	*port = uri.port ? uri.port : DSM_PORT;
	return 0;
}

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
	return a->sa_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static int open_one(const struct addrinfo *a, const char *address, int *out)
{
	int off = 0, on = 1, bytes = BUFFER;
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return dsm__fail(-errno, "udp: no socket: %s", strerror(errno));
	if (a->ai_family == AF_INET6) /* "*": IPv4 as well */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	/* of a machine with several addresses: which one was meant */
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	/* beyond the system's limit only for root; less is no error */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0) {
		*out = fd;
		return 0;
	}
	int error = errno;
	close(fd);
	return dsm__fail(-error, "udp: cannot listen at %s: %s", address, strerror(error));
}

int udp_socket_open(const char *address, int *fd, bool *loopback, char *bound, size_t bound_bytes)
{
	char host[256], service[8];
	uint16_t port;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	int rc = udp_address(address, host, sizeof(host), &port);
	if (rc)
		return rc;
	bool any = strcmp(host, "*") == 0;
	snprintf(service, sizeof(service), "%u", port);
	int error = getaddrinfo(any ? NULL : host, service, &hints, &list);
	if (error)
		return dsm__fail(-EADDRNOTAVAIL, "udp: %s: %s", address, gai_strerror(error));
	rc = -EADDRNOTAVAIL;
	/* of "*" the IPv6 socket, which takes both; only without IPv6 the other */
	for (int pass = any ? 0 : 1; rc && pass < 2; pass++)
		for (const struct addrinfo *a = list; rc && a; a = a->ai_next)
			if (pass == 1 || a->ai_family == AF_INET6) {
				rc = open_one(a, address, fd);
				*loopback = !any && is_loopback(a->ai_addr);
			}
	freeaddrinfo(list);
	struct udp_path own = { .bytes = sizeof(own.address) };
	if (rc == 0 && getsockname(*fd, (struct sockaddr *)&own.address, &own.bytes) == 0)
		udp_path_text(&own, bound, bound_bytes);
	return rc;
}

bool udp_same_host(const struct udp_path *a, const struct udp_path *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->address, *b4 = (const void *)&b->address;
	const struct sockaddr_in6 *a6 = (const void *)&a->address, *b6 = (const void *)&b->address;
	if (a->address.ss_family != b->address.ss_family)
		return false;
	if (a->address.ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_scope_id == b6->sin6_scope_id &&
		memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

void udp_host_of(const struct udp_path *path, uint8_t host[16])
{
	sources_host((const struct sockaddr *)&path->address, host);
}

bool udp_same_path(const struct udp_path *a, const struct udp_path *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->address, *b4 = (const void *)&b->address;
	const struct sockaddr_in6 *a6 = (const void *)&a->address, *b6 = (const void *)&b->address;
	return udp_same_host(a, b) && (a->address.ss_family == AF_INET ? a4->sin_port == b4->sin_port :
		a6->sin6_port == b6->sin6_port);
}

void udp_path_text(const struct udp_path *path, char *text, size_t size)
{
	const struct sockaddr_in *in = (const void *)&path->address;
	const struct sockaddr_in6 *in6 = (const void *)&path->address;
	char host[INET6_ADDRSTRLEN] = "?";
	bool four = path->address.ss_family == AF_INET;
	const void *at = four ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr;
	if (!four && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) { /* IPv4 at the socket for both */
		four = true;
		at = in6->sin6_addr.s6_addr + 12;
	}
	inet_ntop(four ? AF_INET : AF_INET6, at, host, sizeof(host));
	snprintf(text, size, four ? "%s:%u" : "[%s]:%u", host, ntohs(in->sin_port));
}

/* ---- datagrams ---- */

int udp_batch_new(struct udp_batch **out)
{
	struct udp_batch *b = calloc(1, sizeof(*b));
	if (!b)
		return dsm__fail(-ENOMEM, "udp: no memory for datagrams");
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		b->in_piece[i] = (struct iovec){ b->in_data[i], ROOM };
		b->in[i].msg_hdr = (struct msghdr){ .msg_name = &b->from[i].address,
			.msg_iov = &b->in_piece[i], .msg_iovlen = 1 };
		b->out[i].msg_hdr = (struct msghdr){ .msg_name = &b->to[i].address,
			.msg_iov = &b->out_piece[i], .msg_iovlen = 1 };
	}
	*out = b;
	return 0;
}

void udp_batch_free(struct udp_batch **batch)
{
	free(*batch);
	*batch = NULL;
}

/* Which address of this machine it came to; zeros if the kernel does not say. */
static void take_note(struct msghdr *msg, struct udp_path *from)
{
	memset(&from->at, 0, sizeof(from->at));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct in6_pktinfo six;
		struct in_pktinfo four;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			from->at = six.ipi6_addr;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			memcpy(&from->at, &four.ipi_addr, sizeof(four.ipi_addr));
		}
	}
}

/* It is to leave from there. Which interface is for the routes to say. */
static void put_note(struct msghdr *msg, union udp_note *note, const struct udp_path *to)
{
	static const struct in6_addr unknown;
	struct in6_pktinfo six = { .ipi6_addr = to->at };
	struct in_pktinfo four = { 0 };
	bool is_four = to->address.ss_family == AF_INET;
	size_t bytes = is_four ? sizeof(four) : sizeof(six);
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	if (memcmp(&to->at, &unknown, sizeof(unknown)) == 0)
		return;
	memcpy(&four.ipi_spec_dst, &to->at, sizeof(four.ipi_spec_dst));
	memset(note, 0, sizeof(*note));
	note->head.cmsg_level = is_four ? IPPROTO_IP : IPPROTO_IPV6;
	note->head.cmsg_type = is_four ? IP_PKTINFO : IPV6_PKTINFO;
	note->head.cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(&note->head), is_four ? (const void *)&four : (const void *)&six, bytes);
	msg->msg_control = note;
	msg->msg_controllen = CMSG_SPACE(bytes);
}

unsigned udp_batch_receive(struct udp_server *u)
{
	struct udp_batch *b = u->batch;
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		struct msghdr *msg = &b->in[i].msg_hdr;
		msg->msg_namelen = sizeof(b->from[i].address);
		msg->msg_control = &b->in_note[i];
		msg->msg_controllen = sizeof(b->in_note[i]);
	}
	int n = recvmmsg(u->fd, b->in, UDP_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		b->from[i].bytes = b->in[i].msg_hdr.msg_namelen;
		take_note(&b->in[i].msg_hdr, &b->from[i]);
	}
	return n > 0 ? (unsigned)n : 0;
}

unsigned char *udp_batch_get(struct udp_server *u, unsigned i, size_t *bytes, const struct udp_path **from)
{
	*bytes = u->batch->in[i].msg_len;
	*from = &u->batch->from[i];
	return u->batch->in_data[i];
}

unsigned char *udp_out(struct udp_server *u)
{
	if (u->batch->ready == UDP_BATCH)
		udp_out_flush(u);
	return u->batch->out_data[u->batch->ready];
}

void udp_out_done(struct udp_server *u, const struct udp_path *to, size_t bytes)
{
	struct udp_batch *b = u->batch;
	b->to[b->ready] = *to;
	b->out_piece[b->ready] = (struct iovec){ b->out_data[b->ready], bytes };
	b->out[b->ready].msg_hdr.msg_namelen = to->bytes;
	put_note(&b->out[b->ready].msg_hdr, &b->out_note[b->ready], to);
	b->ready++;
}

/* What cannot leave now is lost, as any datagram may be. One that is refused (an ICMP error of an
 * earlier one, an address without a route) must not keep the others. */
void udp_out_flush(struct udp_server *u)
{
	struct udp_batch *b = u->batch;
	for (unsigned at = 0; at < b->ready;) {
		int n = sendmmsg(u->fd, b->out + at, b->ready - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		at += n > 0 ? (unsigned)n : 1;
	}
	b->ready = 0;
}
