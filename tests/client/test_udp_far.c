/* SPDX-License-Identifier: Apache-2.0 */
/* udp:// to an engine that is far away: every datagram takes its time, none is lost but where a test
 * says so. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "wire/udp.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
static struct { uint64_t due_ms; size_t bytes; int to; unsigned char data[UDP_DATAGRAM]; } way[4096];
static struct { int front, back[2]; struct sockaddr_in client[2]; } ends;
static _Atomic bool way_ends;
static uint64_t way_ms;
static _Atomic bool lost_now;          /* questions of the data flow are lost, */
static _Atomic uint32_t lost_questions; /* so many so far; with the first the handle's clock jumps, by */
static _Atomic uint64_t jump_ms, jumped_ms;
static uint32_t answers, most_answers; /* of the data flow, on their way now; ever */

/* Of the way's near end; processes beside this one have the ports beside the engine's. */
static unsigned beside(unsigned port)
{
	return 5000 + port % 15000;
}

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

/* Every datagram arrives, in order, way_ms late. */
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
				if (lost_now && way[put % n].to == 1) {
					lost_questions++;
					jumped_ms = jump_ms;
					continue;
				}
				way[put % n].bytes = (size_t)len;
				answers += way[put % n].to == 3;
				most_answers = answers > most_answers ? answers : most_answers;
				way[put++ % n].due_ms = now_ms() + way_ms;
			}
		}
		for (; got != put && way[got % n].due_ms <= now_ms(); got++) {
			int to = way[got % n].to;
			answers -= to == 3;
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

static pthread_t begin_way(unsigned port, uint64_t ms)
{
	pthread_t thread;
	way_ms = ms;
	for (int i = 0; i < 2; i++)
		ends.back[i] = socket_at(port, true);
	ends.front = socket_at(beside(port), false);
	ok(pthread_create(&thread, NULL, long_way, NULL));
	return thread;
}

static void end_way(pthread_t thread)
{
	way_ends = true;
	pthread_join(thread, NULL);
}

/* The attach takes longer than a lease; the role that it was granted early on lives meanwhile. What the
 * role holds is read in the attach's time, though that is more than a call's. */
Test(udp_far, a_role_lives_while_its_attach_goes_on, .timeout = 120)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options as = DSM_OPTIONS_INIT, here = DSM_OPTIONS_INIT;
	unsigned port = test_port();
	char address[32], uri[64], name[64];
	uint64_t expired = UINT64_MAX;
	struct dsm_engine *engine;
	struct dsm *dsm, *inside;
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", beside(port));
	opts.udp = address;
	opts.lease_ms = 2000;
	here.flags = DSM_MANUAL;
	as.owner = "sensors";
	as.attach_timeout_ms = 60000;
	as.call_timeout_ms = 200;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	pthread_t thread = begin_way(port, 400);
	ok(dsm_attach(uri, &as, &dsm));
	ok(dsm_engine_attach(engine, &here, &inside));
	ok(dsm_foreach_counter(inside, find_expired, &expired));
	dsm_detach(&inside);
	cr_assert_eq(expired, 0);
	dsm_detach(&dsm);
	end_way(thread);
	ok(dsm_engine_close(&engine));
}

#define GROUPS 90u
#define CELLS 100u
static struct dsm_engine *large_engine(const char *address)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table;
	struct dsm_engine *engine;
	char name[32];
	snprintf(name, sizeof(name), "far-%d", (int)getpid());
	ok(dsm_table_new(name, &table));
	for (unsigned i = 0; i < GROUPS * CELLS; i++) {
		char group[16], cell[16];
		snprintf(group, sizeof(group), "g%u", i / CELLS);
		snprintf(cell, sizeof(cell), "c%u", i % CELLS);
		if (i % CELLS == 0)
			ok(dsm_table_group(table, &(struct dsm_group_spec){ .owner = "engine", .name = group,
				.description = "" }));
		ok(dsm_table_cell(table, &(struct dsm_cell_spec){ .group = group, .name = cell, .unit = "",
			.description = "far away", .type = DSM_F64, .capacity = 1, .precision = -1 }));
	}
	opts.udp = address;
	opts.auth_none = true;
	opts.lease_ms = 60000; /* longer than any standstill here */
	ok(dsm_engine_open(table, &opts, &engine));
	dsm_table_free(&table);
	return engine;
}

static struct { uint64_t calls, done, total; bool backwards; } told;

static void tell(void *context, uint64_t done, uint64_t total)
{
	cr_assert_eq(context, &told);
	told.backwards |= done < told.done || done > total || (told.calls && total != told.total);
	told.done = done;
	told.total = total;
	told.calls++;
}

/* Of a large table more is under way than one question asks for, and not without limit. */
Test(udp_far, a_large_table_comes_by_many_questions_at_once, .timeout = 120)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	unsigned port = test_port();
	char address[32], uri[64];
	struct dsm_region_info info;
	struct dsm_cell cell;
	struct dsm *dsm;
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", beside(port));
	struct dsm_engine *engine = large_engine(address);
	pthread_t thread = begin_way(port, 100);
	as.attach_timeout_ms = 60000;
	as.progress = tell;
	as.progress_context = &told;
	ok(dsm_attach(uri, &as, &dsm));
	ok(dsm_region_info(dsm, &info));
	cr_assert_eq(info.cells, GROUPS * CELLS);
	ok(dsm_cell(dsm, "g89.c99", &cell));
	cr_assert(told.calls >= 2 && !told.backwards, "%llu calls", (unsigned long long)told.calls);
	cr_assert(told.total > 100000 && told.done == told.total);
	dsm_detach(&dsm);
	end_way(thread);
	cr_assert(most_answers > 100, "%u", most_answers);
	cr_assert(most_answers <= 3 * 256, "%u", most_answers);
	ok(dsm_engine_close(&engine));
}

static uint64_t jumping_now(void *context)
{
	(void)context;
	return (now_ms() + jumped_ms) * 1000000;
}

/* The time of a call is for all of its questions together, and goes by the handle's clock. */
Test(udp_far, a_call_ends_at_its_time_however_often_it_asks, .timeout = 120)
{
	static const struct dsm_clock clock = { jumping_now, jumping_now, NULL };
	struct dsm_options as = DSM_OPTIONS_INIT;
	unsigned port = test_port();
	char address[32], uri[64];
	struct dsm_sample sample;
	struct dsm_cell cell;
	struct dsm *dsm;
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", beside(port));
	struct dsm_engine *engine = large_engine(address);
	pthread_t thread = begin_way(port, 1);
	as.attach_timeout_ms = 60000;
	as.call_timeout_ms = 20000;
	as.clock = &clock;
	ok(dsm_attach(uri, &as, &dsm));
	ok(dsm_cell(dsm, "g3.c5", &cell));
	ok(dsm_read(dsm, cell, &sample));
	jump_ms = 21000;
	lost_now = true;
	cr_assert_eq(dsm_read(dsm, cell, &sample), -ETIMEDOUT, "%s", dsm_error());
	cr_assert(lost_questions >= 1 && lost_questions <= 2, "%u", lost_questions);
	lost_now = false;
	ok(dsm_read(dsm, cell, &sample)); /* a new call has its own time */
	dsm_detach(&dsm);
	end_way(thread);
	ok(dsm_engine_close(&engine));
}
