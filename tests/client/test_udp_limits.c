/* SPDX-License-Identifier: Apache-2.0 */
/* What one host, and time, may do to others at the engine's udp: half-open handshakes, memory that
 * fails, and everything that ends by the clock, which is the test's own. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "common/udp_hand.h"
#include "engine/udp_subscribe.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define SECOND UINT64_C(1000000000)
#define HALF 32u                    /* half-open handshakes of one host */

static _Atomic uint64_t time_ns = 1000 * SECOND;
static struct dsm_engine *engine;
static unsigned port;
static char uri[64];

static atomic_bool running;         /* else the clock stands still */

static uint64_t test_now(void *context)
{
	struct timespec t = { 0 };
	(void)context;
	if (atomic_load(&running))
		clock_gettime(CLOCK_MONOTONIC, &t);
	return atomic_load(&time_ns) + (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static const struct dsm_clock test_clock = { test_now, test_now, NULL };

static void set_up(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	static char name[64], address[32];
	unsetenv("DSM_KEYS");
	port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://%s", address);
	opts.udp = address;
	opts.clock = &test_clock;
	opts.tick_ms = 10;
	opts.lease_ms = 1000;
	opts.max_clients = 6000;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
}

static void tear_down(void)
{
	ok(dsm_engine_close(&engine));
}

TestSuite(udp_limits, .init = set_up, .fini = tear_down, .timeout = 120);

static uint32_t half_open(void)
{
	pthread_mutex_lock(&engine->lock);
	uint32_t n = engine->udp->unproven;
	pthread_mutex_unlock(&engine->lock);
	return n;
}

/* ---- half-open handshakes ---- */

/* As many handshakes of one host, which never go on; the engine hears 32 of a host a tick. */
static void open_many(in_addr_t host, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct client c;
		connect_from(&c, host, port);
		close(c.fd);
	}
}

static void comes_in(struct client *c)
{
	say_hello(c, "");
	cr_assert(c->message_bytes && !c->closed, "its half-open handshake is gone");
	close(c->fd);
}

Test(udp_limits, one_host_has_half_of_the_half_open_handshakes)
{
	struct client honest;
	connect_from(&honest, INADDR_LOOPBACK, port); /* its first DATA is still on its way */
	open_many(INADDR_LOOPBACK + 1, 96);
	cr_assert_eq(half_open(), HALF + 1);
	comes_in(&honest);
	cr_assert_eq(half_open(), HALF);
}

Test(udp_limits, of_all_of_them_the_one_who_has_most_loses_his_oldest)
{
	struct client honest;
	connect_from(&honest, INADDR_LOOPBACK, port);
	open_many(INADDR_LOOPBACK + 1, 40);
	open_many(INADDR_LOOPBACK + 2, 40);
	cr_assert_eq(half_open(), UDP_UNPROVEN_MAX);
	open_many(INADDR_LOOPBACK + 3, 40);
	cr_assert_eq(half_open(), UDP_UNPROVEN_MAX);
	comes_in(&honest);
}

/* ---- many sessions ---- */

#define MANY 4000u

static int take_nothing(struct session *x, const void *message, size_t bytes)
{
	(void)x, (void)message, (void)bytes;
	return 0;
}

static void long_address(const struct session *x, char *text, size_t size)
{
	(void)x;
	memset(text, 'a', size - 1);
	text[size - 1] = '\0';
}

static void free_one(struct session *x)
{
	free(x);
}

static const struct session_ops made_up = { .transport = "made-up", .send = take_nothing, .address = long_address,
	.free = free_one };

static int count_one(const struct dsm_client_info *info, void *context)
{
	*(unsigned *)context += strcmp(info->transport, "made-up") == 0;
	return 0;
}

/* The list of them is longer than what is kept for a client of an ordinary engine. */
Test(udp_limits, a_long_list_of_clients_ends_nobodys_session)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct dsm_status status;
	struct dsm *dsm = NULL;
	unsigned n = 0;
	atomic_store(&running, true);
	as.attach_timeout_ms = as.call_timeout_ms = 20000;
	ok(dsm_attach(uri, &as, &dsm));
	pthread_mutex_lock(&engine->lock);
	for (unsigned i = 0; i < MANY; i++) {
		struct session *x = calloc(1, sizeof(*x));
		x->ops = &made_up;
		x->greeted = true;
		memset(x->program, 'p', sizeof(x->program) - 1);
		server_add(engine, x);
	}
	pthread_mutex_unlock(&engine->lock);
	int rc = dsm_foreach_client(dsm, 20000, count_one, &n);
	pthread_mutex_lock(&engine->lock);
	for (struct session *x = engine->sessions; x; x = x->next)
		x->dead |= x->ops == &made_up;
	server_sweep(engine);
	pthread_mutex_unlock(&engine->lock);
	ok(rc);
	cr_assert_eq(n, MANY);
	ok(dsm_status(dsm, &status));
	cr_assert_eq(status.reattached, 0);
	dsm_detach(&dsm);
}

/* ---- memory that fails ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_CALLOC 0            /* theirs cannot be replaced */
#elif defined(__has_feature)
#define HAS_OWN_CALLOC !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define HAS_OWN_CALLOC 1
#endif

#if HAS_OWN_CALLOC
void *__libc_calloc(size_t n, size_t size);
static _Atomic unsigned failures;
static atomic_bool failing;

/* No memory for what a receiver keeps. */
void *calloc(size_t n, size_t size)
{
	if (n == UDP_WINDOW && size == sizeof(struct udp_kept) && atomic_load(&failing)) {
		failures++;
		return NULL;
	}
	return __libc_calloc(n, size);
}

Test(udp_limits, a_session_without_memory_costs_none_and_comes_again)
{
	struct client c;
	connect_from(&c, INADDR_LOOPBACK, port);
	atomic_store(&failing, true);
	struct mallinfo2 before = mallinfo2();
	for (unsigned i = 0; i < 20; i++) {
		unsigned char d[UDP_DATAGRAM];
		struct udp_writer w = udp_flow_begin(d);
		udp_put_prove(&w, &(struct udp_prove){ 1 });
		say(&c, &c.control, &w, d);
	}
	for (int i = 0; i < 2000 && failures < 20; i++)
		usleep(10000);
	cr_assert_eq(failures, 20);
	struct mallinfo2 after = mallinfo2();
	cr_assert_lt(after.hblkhd + after.uordblks, before.hblkhd + before.uordblks + (1u << 20), "a sender has 270 KB");
	atomic_store(&failing, false);
	comes_in(&c);
}
#endif
