/* SPDX-License-Identifier: Apache-2.0 */
/* Where the web viewer listens, and how that is told to people. */
#include "web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK "127.0.0.1"
#define PORT_USUAL "7462"
#define BACKLOG 256
/* What a viewer has not taken may wait in the kernel, and is old by then: little of it. */
#define WAITING_BYTES (64 << 10)

/* ---- the words ---- */

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (digits == 0 || digits > 5 || text[digits])
		return false;
	for (const char *p = text; *p; p++)
		port = port * 10 + (unsigned)(*p - '0');
	return port <= 65535;
}

int place_parse(const char *text, struct place *out, char *error, size_t size)
{
	struct place place = { .host = LOOPBACK, .port = PORT_USUAL };
	const char *colon = text ? strrchr(text, ':') : NULL;

	if (text && (!colon || !is_port(colon + 1) || (size_t)(colon - text) >= sizeof place.host)) {
		snprintf(error, size, "--web %.100s: expected ADDR:PORT, as 127.0.0.1:7462, "
			"192.168.1.5:8080, [::1]:8080, *:8080 or :8080", text);
		return -EINVAL;
	}
	if (text) {
		size_t length = (size_t)(colon - text);
		snprintf(place.port, sizeof place.port, "%s", colon + 1);
		if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
			text++;
			length -= 2;
		}
		if (length)
			snprintf(place.host, sizeof place.host, "%.*s", (int)length, text);
		if (strcmp(place.host, "*") == 0)
			place.host[0] = '\0';
	}
	*out = place;
	return 0;
}

/* ---- the socket ---- */

static int open_one(const struct addrinfo *at, int *out)
{
	int on = 1, off = 0, waiting = WAITING_BYTES;
	int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &waiting, sizeof waiting); /* inherited */
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) {
		int error = -errno;
		close(fd);
		return error;
	}
	*out = fd;
	return 0;
}

int place_listen(const struct place *place, int *fd, char *error, size_t size)
{
	struct addrinfo wanted = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM }, *found = NULL;
	int fault = getaddrinfo(*place->host ? place->host : NULL, place->port, &wanted, &found);
	int result = -EADDRNOTAVAIL;

	if (fault) {
		snprintf(error, size, "--web: %s: %s", place->host, gai_strerror(fault));
		return -EADDRNOTAVAIL;
	}
	/* every address: one socket of version 6 takes both */
	for (int v6 = *place->host == '\0'; v6 >= 0 && result; v6--)
		for (struct addrinfo *at = found; at && result; at = at->ai_next)
			if (*place->host || (at->ai_family == AF_INET6) == (v6 == 1))
				result = open_one(at, fd);
	freeaddrinfo(found);
	if (result)
		snprintf(error, size, "--web: cannot listen on %s port %s: %s%s",
			*place->host ? place->host : "any address", place->port, strerror(-result),
			result == -EADDRINUSE ? "; choose another port: --web ADDR:PORT" : "");
	return result;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool is_any(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return v4->sin_addr.s_addr == INADDR_ANY;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

static unsigned own_address(int fd, struct sockaddr_storage *address)
{
	socklen_t length = sizeof *address;
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	memset(address, 0, sizeof *address);
	if (getsockname(fd, (struct sockaddr *)address, &length))
		return 0;
	return ntohs(address->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

bool place_is_open(int fd, unsigned *port)
{
	struct sockaddr_storage address;

	*port = own_address(fd, &address);
	return !is_loopback((const struct sockaddr *)&address);
}

/* ---- for people ---- */

static void format_url(const struct sockaddr *address, unsigned port, const char *token,
	char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	bool six = address->sa_family == AF_INET6;
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->sa_family, six ? (const void *)&v6->sin6_addr : &v4->sin_addr, text,
		sizeof text);
	snprintf(out, size, "http://%s%s%s:%u/%s%s", six ? "[" : "", text, six ? "]" : "", port,
		*token ? "?token=" : "", token);
}

/* All addresses of this machine at which others may reach it; the first one into best. */
static void print_all(unsigned port, const char *token, bool only_v4, char *best, size_t size)
{
	struct ifaddrs *list = NULL;
	char url[512];

	if (getifaddrs(&list))
		return;
	for (struct ifaddrs *at = list; at; at = at->ifa_next) {
		const struct sockaddr *address = at->ifa_addr;
		if (!address || !(at->ifa_flags & IFF_UP) || is_loopback(address))
			continue;
		const struct sockaddr_in6 *v6 = (const void *)address;
		bool four = address->sa_family == AF_INET;
		if (!four && (address->sa_family != AF_INET6 || only_v4 ||
			      IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)))
			continue;
		format_url(address, port, token, url, sizeof url);
		printf("  %s\n", url);
		if (!*best || (four && strchr(best, '[')))
			snprintf(best, size, "%s", url);
	}
	freeifaddrs(list);
}

void place_print(int fd, const char *token, bool utf8)
{
	struct sockaddr_storage storage;
	const struct sockaddr *address = (const void *)&storage;
	unsigned port = own_address(fd, &storage);
	char best[512] = "";

	if (is_any(address)) {
		printf("peeker: the web viewer is at\n  http://127.0.0.1:%u/%s%s\n", port,
			*token ? "?token=" : "", token);
		print_all(port, token, address->sa_family == AF_INET, best, sizeof best);
	} else {
		format_url(address, port, token, best, sizeof best);
		printf("peeker: the web viewer is at %s\n", best);
	}
	if (is_loopback(address))
		printf("It listens on this machine only; --web ADDR:PORT lets others in.\n");
	else if (*best) /* what cannot be reached by a phone is not shown to one */
		qr_print(best, utf8);
	if (!is_loopback(address) && !*token)
		printf("Who reaches this address can read every cell; --web-token asks for a token.\n");
	fflush(stdout);
}
