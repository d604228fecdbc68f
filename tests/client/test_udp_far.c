/* SPDX-License-Identifier: Apache-2.0 */
/* udp:// to an engine that is far away: every datagram takes its time, none is lost. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/fixture.h"
#include "wire/udp.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define WAY_MS 400
static struct { uint64_t due_ms; size_t bytes; int to; unsigned char data[UDP_DATAGRAM]; } way[4096];
static struct { int front, back[2]; struct sockaddr_in client[2]; } ends;
static _Atomic bool way_ends;

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Which of the client's two sockets it is; the first two that come are. */
static int client_of(const struct sockaddr_in *from)
{
	for (int i = 0; i < 2; i++) {
		if (!ends.client[i].sin_port)
			ends.client[i] = *from;
		if (ends.client[i].sin_port == from->sin_port)
			return i;
	}
	return -1;
}

/* Every datagram arrives, in order, WAY_MS late. */
static void *long_way(void *context)
{
	size_t put = 0, got = 0, n = sizeof(way) / sizeof(way[0]);
	for (; !way_ends; usleep(1000)) {
		for (int i = 0; i < 3; i++) {
			struct sockaddr_in from = { 0 };
			socklen_t bytes = sizeof(from);
			ssize_t len;
			int fd = i == 2 ? ends.front : ends.back[i];
			while (put - got < n && (len = recvfrom(fd, way[put % n].data, UDP_DATAGRAM, MSG_DONTWAIT,
					(void *)&from, &bytes)) > 0) {
				way[put % n].to = i == 2 ? client_of(&from) : 2 + i;
				way[put % n].bytes = (size_t)len;
				way[put++ % n].due_ms = now_ms() + WAY_MS;
			}
		}
		for (; got != put && way[got % n].due_ms <= now_ms(); got++) {
			int to = way[got % n].to;
			if (to >= 2)
				sendto(ends.front, way[got % n].data, way[got % n].bytes, 0,
					(void *)&ends.client[to - 2], sizeof(ends.client[0]));
			else if (to >= 0)
				send(ends.back[to], way[got % n].data, way[got % n].bytes, 0);
		}
	}
	return context;
}

static int socket_at(unsigned port, bool theirs)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(theirs ? connect(fd, (void *)&at, sizeof(at)) : bind(fd, (void *)&at, sizeof(at)));
	return fd;
}

static int find_expired(const char *name, const char *what, uint64_t value, void *context)
{
	(void)what;
	if (strcmp(name, "leases_expired") == 0)
		*(uint64_t *)context = value;
	return 0;
}

/* The attach takes longer than a lease; the role that it was granted early on lives meanwhile. */
Test(udp_far, a_role_lives_while_its_attach_goes_on, .timeout = 120)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options as = DSM_OPTIONS_INIT, here = DSM_OPTIONS_INIT;
	unsigned port = 20000 + (unsigned)getpid() % 20000;
	char address[32], uri[64], name[64];
	uint64_t expired = UINT64_MAX;
	struct dsm_engine *engine;
	struct dsm *dsm, *inside;
	pthread_t thread;
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", port + 1);
	opts.udp = address;
	opts.lease_ms = 2000;
	here.flags = DSM_MANUAL;
	as.owner = "sensors";
	as.attach_timeout_ms = 60000;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	for (int i = 0; i < 2; i++)
		ends.back[i] = socket_at(port, true);
	ends.front = socket_at(port + 1, false);
	ok(pthread_create(&thread, NULL, long_way, NULL));
	ok(dsm_attach(uri, &as, &dsm));
	ok(dsm_engine_attach(engine, &here, &inside));
	ok(dsm_foreach_counter(inside, find_expired, &expired));
	dsm_detach(&inside);
	cr_assert_eq(expired, 0);
	dsm_detach(&dsm);
	way_ends = true;
	pthread_join(thread, NULL);
	ok(dsm_engine_close(&engine));
}
