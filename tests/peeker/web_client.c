/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that a web viewer must bear: crowds of streams, some of which never read; connections
 * that send a request a byte at a time; requests that are none. Run by web.sh.
 *
 * Usage: web_client PORT crowd N SECONDS   N streams for so long, and 8 that never read; 0 if then
 *                                          each gets 10 events more within 30 s
 *        web_client PORT limits N M        N streams are served, one more is refused with 503; with
 *                                          M connections open, silent ones besides the streams, one
 *                                          more is served all the same: 0 if so
 *        web_client PORT loris N SECONDS   N connections, a byte each in every half second; prints
 *                                          how many the server has shut
 *        web_client PORT fuzz N SEED       N requests made of pieces and noise; 0 if it survives
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NEVER_READ 8
#define EVENTS_WANTED 10u
#define CLIENTS_MAX 600

struct client { int fd; uint64_t bytes, events; bool gone; };

static struct client clients[CLIENTS_MAX];
static uint16_t port;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int dial(int receive_bytes)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static void ask_stream(int fd)
{
	static const char request[] = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";

	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
		perror("send");
}

/* Take what has come for one client, and count the events in it. */
static void take(struct client *c)
{
	char text[65536];
	ssize_t n = recv(c->fd, text, sizeof text, MSG_DONTWAIT);

	if (n <= 0) {
		c->gone = n == 0 || (errno != EAGAIN && errno != EINTR);
		return;
	}
	c->bytes += (uint64_t)n;
	for (ssize_t i = 0; i + 6 < n; i++)
		c->events += memcmp(text + i, "event:", 6) == 0;
}

static void read_all(int n, uint64_t until_ms)
{
	static struct pollfd ends[CLIENTS_MAX];

	while (now_ms() < until_ms) {
		for (int i = 0; i < n; i++)
			ends[i] = (struct pollfd){ .fd = clients[i].gone ? -1 : clients[i].fd,
				.events = POLLIN };
		poll(ends, (nfds_t)n, 50);
		for (int i = 0; i < n; i++)
			if (ends[i].revents)
				take(&clients[i]);
	}
}

static uint64_t least_events(int n)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < n; i++)
		least = clients[i].events < least ? clients[i].events : least;
	return least;
}

/* Until each of them has had so many events; false: 30 s were not enough. */
static bool read_events(int n, uint64_t wanted)
{
	uint64_t end_ms = now_ms() + 30000;

	while (least_events(n) < wanted && now_ms() < end_ms)
		read_all(n, now_ms() + 100);
	return least_events(n) >= wanted;
}

static void open_streams(int n)
{
	for (int i = 0; i < n; i++) {
		clients[i].fd = dial(0);
		clients[i].gone = clients[i].fd < 0;
		if (!clients[i].gone)
			ask_stream(clients[i].fd);
	}
}

static int crowd(int n, int seconds)
{
	for (int i = 0; i < NEVER_READ; i++)
		ask_stream(dial(2048));
	open_streams(n);
	read_all(n, now_ms() + (uint64_t)seconds * 1000);
	for (int i = 0; i < n; i++)
		clients[i].events = 0;
	uint64_t began_ms = now_ms();
	bool good = read_events(n, EVENTS_WANTED);
	printf("%d streams: each %llu events more after %llu ms\n", n,
		(unsigned long long)least_events(n), (unsigned long long)(now_ms() - began_ms));
	return good ? 0 : 1;
}

/* The status of a GET, 0 if there is none within 30 s. */
static int status_of(const char *path)
{
	char text[256], reply[64] = "";
	int fd = dial(0), status = 0;
	struct pollfd end = { .fd = fd, .events = POLLIN };

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	if (fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && poll(&end, 1, 30000) > 0 &&
	    recv(fd, reply, sizeof reply - 1, 0) > 0 && strncmp(reply, "HTTP/1.1 ", 9) == 0)
		status = atoi(reply + 9);
	close(fd);
	return status;
}

static int limits(int n, int most)
{
	open_streams(n);
	bool all = read_events(n, 1);
	int refused = status_of("/api/v1/stream");
	for (int i = n; i < most; i++)
		clients[i].fd = dial(0);
	int served = status_of("/api/v1/health");
	read_all(n, now_ms() + 100);
	for (int i = 0; i < n; i++)
		all &= !clients[i].gone;
	printf("%d streams%s, one more: %d; beyond %d connections: %d\n", n,
		all ? "" : " (not all served)", refused, most, served);
	return all && refused == 503 && served == 200 ? 0 : 1;
}

static int loris(int n, int seconds)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
	int shut = 0;

	for (int i = 0; i < n; i++)
		clients[i].fd = dial(0);
	for (int beat = 0; beat < seconds * 2; beat++) {
		char byte = beat < (int)sizeof request - 1 ? request[beat] : 'x';
		for (int i = 0; i < n; i++) {
			struct client *c = &clients[i];
			if (!c->gone && send(c->fd, &byte, 1, MSG_NOSIGNAL) < 0)
				c->gone = true;
			take(c);
		}
		poll(NULL, 0, 500);
	}
	for (int i = 0; i < n; i++)
		shut += clients[i].gone;
	printf("%d of %d slow connections were shut\n", shut, n);
	return shut == n ? 0 : 1;
}

/* ---- rubbish ---- */

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static size_t compose(char *out, size_t room)
{
	static const char *const pieces[] = { "GET ", "HEAD ", "POST ", "PRI * ", "/", "/api/v1/cells",
		"/api/v1/stream", "/api/v1/cells/", "?match=", "?match=%2a%00%ff", "&rate=", "nan", "-1",
		"1e999", "%", "%%%", "../../etc/passwd", " HTTP/1.1", " HTTP/1.0", " HTTP/9.9", "\r\n",
		"\n", "\r\n\r\n", "Host: localhost\r\n", "Host:\r\n", "Host: [::1\r\n", "Origin: null\r\n",
		"Cookie: peeker-1=;;=;\r\n", "Content-Length: -1\r\n",
		"Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n",
		"ffffffffffffffff\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", ": \r\n", " ",
		"\t", "If-None-Match: *\r\n", "Authorization: Bearer \r\n" };
	size_t n = 0;
	uint32_t count = 1 + draw(24);

	for (uint32_t i = 0; i < count && n < room - 300; i++) {
		if (draw(6) == 0) {
			for (uint32_t noise = draw(200); noise > 0; noise--)
				out[n++] = (char)draw(256);
			continue;
		}
		const char *piece = pieces[draw(sizeof pieces / sizeof pieces[0])];
		memcpy(out + n, piece, strlen(piece));
		n += strlen(piece);
	}
	return n;
}

static int fuzz(int n)
{
	char text[16384], reply[4096];

	for (int i = 0; i < n; i++) {
		int fd = dial(0);
		if (fd < 0) {
			printf("request %d: the server does not listen any more\n", i);
			return 1;
		}
		size_t length = compose(text, sizeof text);
		bool whole = send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
		struct pollfd end = { .fd = fd, .events = POLLIN };
		if (whole && poll(&end, 1, 5) > 0 && recv(fd, reply, sizeof reply, MSG_DONTWAIT) < 0)
			whole = false; /* shut: as good an answer as any */
		close(fd);
	}
	printf("%d requests\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	port = (uint16_t)atoi(argv[1]);
	int n = atoi(argv[3]), last = atoi(argv[4]);
	state = (uint64_t)last;
	if (strcmp(argv[2], "fuzz") == 0)
		return fuzz(n);
	if (n < 1 || n > CLIENTS_MAX)
		return 2;
	if (strcmp(argv[2], "limits") == 0)
		return last > CLIENTS_MAX ? 2 : limits(n, last);
	return strcmp(argv[2], "crowd") == 0 ? crowd(n, last) : loris(n, last);
}
