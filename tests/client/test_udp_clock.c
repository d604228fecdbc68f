/* SPDX-License-Identifier: Apache-2.0 */
/* What ends by time over udp, by a clock that the test moves: nothing here waits for time to pass, only
 * for the engine's thread to look at it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "common/udp_hand.h"
#include "engine/udp_subscribe.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
/* Bounded for hangs only. */
#define until(condition) do { bool met_ = (condition); \
	for (int i_ = 0; !met_ && i_ < 3000; i_++) { usleep(10000); met_ = (condition); } \
	cr_assert(met_, "%s", #condition); } while (0)
#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define LEASE 1000u                 /* ms; a silent session lives four times as long */
#define STEP 400u                   /* below half a lease: more is a thread that stood still */

static _Atomic uint64_t time_ns = 1000 * SECOND;
static struct dsm_engine *engine;
static unsigned port;
static char uri[64];

static uint64_t test_now(void *context)
{
	(void)context;
	return atomic_load(&time_ns);
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
	opts.tick_ms = 5;
	opts.lease_ms = LEASE;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
}

static void tear_down(void)
{
	ok(dsm_engine_close(&engine));
}

TestSuite(udp_clock, .init = set_up, .fini = tear_down, .timeout = 120);

static uint64_t heartbeat(void)
{
	return atomic_load(&engine->region->header->heartbeat);
}

/* The clock goes on, and the engine has looked at it. */
static void pass(uint64_t ms)
{
	atomic_fetch_add(&time_ns, ms * MS);
	uint64_t before = heartbeat();
	until(heartbeat() > before + 1);
}

static uint64_t counted(enum counter counter)
{
	return atomic_load(&engine->region->counters[counter]);
}

static uint32_t half_open(void)
{
	pthread_mutex_lock(&engine->lock);
	uint32_t n = engine->udp->unproven;
	pthread_mutex_unlock(&engine->lock);
	return n;
}

/* ---- handshakes ---- */

Test(udp_clock, who_has_not_proved_himself_is_forgotten_after_five_seconds)
{
	struct client c;
	connect_from(&c, INADDR_LOOPBACK, port);
	pass(5000);
	cr_assert_eq(half_open(), 1);
	pass(1);
	cr_assert_eq(half_open(), 0);
	uint64_t unknown = counted(COUNTER_UDP_UNKNOWN);
	say_hello(&c, "");
	cr_assert(c.closed && !c.message_bytes);
	cr_assert_gt(counted(COUNTER_UDP_UNKNOWN), unknown);
	close(c.fd);
}

/* An INIT with a cookie: is it heard? It is refused then, for its message is none. */
static bool cookie_holds(int fd, const struct udp_init *init)
{
	unsigned char d[UDP_DATAGRAM], in[UDP_DATAGRAM];
	uint8_t version;
	udp_put_init(d, init);
	size_t n = exchange(fd, d, UDP_COOKIE_IS, in, 200);
	cr_assert(n == 24 || (n == 0 && udp_type_of(in, 12, &version) == UDP_REFUSE));
	return n == 0;
}

Test(udp_clock, a_cookie_ends_when_its_secret_has_changed_twice)
{
	unsigned char d[UDP_DATAGRAM], in[UDP_DATAGRAM];
	struct udp_init init = { .client = 77 };
	struct udp_cookie cookie;
	int fd = socket_from(INADDR_LOOPBACK, port);
	udp_put_init(d, &init);
	cr_assert_eq(exchange(fd, d, UDP_COOKIE_IS, in, 200), 24);
	ok(udp_get_cookie(in, 24, &cookie));
	memcpy(init.cookie, cookie.cookie, UDP_COOKIE);
	memset(init.message, 7, sizeof(init.message));
	cr_assert(cookie_holds(fd, &init));
	pass(30000);
	cr_assert(cookie_holds(fd, &init), "a secret counts for one change more");
	pass(29999);
	cr_assert(cookie_holds(fd, &init));
	pass(1);
	cr_assert_not(cookie_holds(fd, &init));
	close(fd);
}

/* ---- silent clients ---- */

static void ask(struct client *c)
{
	static uint32_t id;
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_read m = { .id = ++id, .kind = UDP_READ_SEQ };
	udp_put_read(&w, &m);
	say(c, &c->data, &w, d);
	for (int i = 0; i < 600 && c->answer.id != m.id; i++)
		listen_for(c, 50);
	cr_assert_eq(c->answer.id, m.id);
}

Test(udp_clock, a_silent_session_lives_for_four_leases)
{
	struct client silent, other;
	connect_from(&silent, INADDR_LOOPBACK, port);
	say_hello(&silent, "");
	connect_from(&other, INADDR_LOOPBACK, port);
	say_hello(&other, "");
	cr_assert(silent.message_bytes && other.message_bytes);
	ask(&silent); /* and all is acknowledged */
	for (unsigned ms = 0; ms < 4 * LEASE; ms += STEP) {
		pass(STEP);
		ask(&other);
	}
	cr_assert_eq(counted(COUNTER_SESSIONS), 2);
	pass(STEP);
	until(counted(COUNTER_SESSIONS) == 1);
	ask(&other);
	cr_assert_not(other.closed);
	close(silent.fd);
	close(other.fd);
}

/* The engine was not run for that long: it could not hear. */
Test(udp_clock, an_engine_that_stood_still_ends_nobodys_session)
{
	struct client c;
	connect_from(&c, INADDR_LOOPBACK, port);
	say_hello(&c, "");
	cr_assert(c.message_bytes);
	pass(60000);
	pass(1);
	cr_assert_eq(counted(COUNTER_SESSIONS), 1);
	ask(&c);
	cr_assert_not(c.closed);
	close(c.fd);
}

static void beat(struct client *c, uint64_t n)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	udp_put_ask(&w, &(struct udp_ask){ .beat = n });
	say(c, &c->control, &w, d);
	ask(c); /* behind it */
}

/* An owner whose session lives and whose heart does not. */
Test(udp_clock, an_owner_that_does_not_beat_loses_its_lease)
{
	struct client c;
	connect_from(&c, INADDR_LOOPBACK, port);
	say_hello(&c, "sensors");
	cr_assert(c.message_bytes);
	for (uint64_t n = 1; n <= 10; n++) {
		beat(&c, n);
		pass(STEP);
	}
	cr_assert_eq(counted(COUNTER_LEASES_EXPIRED), 0);
	beat(&c, 11);
	pass(1);
	pass(STEP);
	beat(&c, 11);
	pass(STEP);
	cr_assert_eq(counted(COUNTER_LEASES_EXPIRED), 0);
	beat(&c, 11);
	pass(STEP);
	until(counted(COUNTER_LEASES_EXPIRED) == 1);
	close(c.fd);
}

/* ---- a silent engine ---- */

static struct dsm_status status_of(struct dsm *dsm)
{
	struct dsm_status status;
	ok(dsm_dispatch(dsm));
	ok(dsm_status(dsm, &status));
	return status;
}

/* By the handle's clock. The engine's thread is held by its lock, so nothing comes. */
Test(udp_clock, a_client_misses_a_silent_engine_after_a_lease_and_leaves_it_after_four)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	as.flags = DSM_MANUAL;
	as.clock = &test_clock;
	ok(dsm_attach(uri, &as, &dsm));
	for (unsigned ms = 0; ms < 6 * LEASE; ms += STEP) { /* the control */
		pass(STEP);
		until(status_of(dsm).heartbeat_age_ms == 0);
		cr_assert_eq(status_of(dsm).state, DSM_ATTACHED);
	}
	pthread_mutex_lock(&engine->lock);
	for (int i = 0; i < 20; i++) { /* what is on its way */
		status_of(dsm);
		usleep(1000);
	}
	enum dsm_state at_first = 0, then = 0, at_last = 0;
	unsigned lost_ms = 0;
	for (unsigned ms = STEP; ms <= 5 * LEASE && at_last != DSM_LOST; ms += STEP) {
		atomic_fetch_add(&time_ns, STEP * MS);
		at_last = status_of(dsm).state;
		at_first = ms == 2 * STEP ? at_last : at_first;
		then = ms == 4 * STEP ? at_last : then;
		lost_ms = ms;
	}
	pthread_mutex_unlock(&engine->lock);
	cr_assert_eq(at_first, DSM_ATTACHED);
	cr_assert_eq(then, DSM_ENGINE_STALE);
	cr_assert(at_last == DSM_LOST && lost_ms > 4 * LEASE, "after %u ms", lost_ms);
	for (int i = 0; i < 3000 && status_of(dsm).state != DSM_ATTACHED; i++) {
		atomic_fetch_add(&time_ns, 100 * MS); /* it tries again by the clock, too */
		usleep(10000);
	}
	cr_assert_eq(status_of(dsm).state, DSM_ATTACHED);
	cr_assert_eq(status_of(dsm).reattached, 1);
	dsm_detach(&dsm);
}

/* ---- an engine that does not acknowledge ---- */

static _Atomic uint64_t leap_ns, leapt_ns = 1000 * SECOND;

/* At each look it is later. */
static uint64_t leaping_now(void *context)
{
	(void)context;
	return atomic_fetch_add(&leapt_ns, atomic_load(&leap_ns));
}

static const struct dsm_clock leaping_clock = { leaping_now, leaping_now, NULL };

/* Of a commit that is not acknowledged, what counts is the time in which that could have been heard. */
Test(udp_clock, a_commit_is_given_up_for_what_the_engine_does_and_not_for_its_own_standstill)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_cell x;
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 1 };
	as.flags = DSM_MANUAL;
	as.clock = &leaping_clock;
	as.owner = "sensors";
	ok(dsm_attach(uri, &as, &dsm));
	ok(dsm_cell(dsm, "sensors.a.x", &x));
	ok(dsm_write(dsm, x, &v)); /* the first one reads the group, within the time of a call */
	atomic_store(&leap_ns, 3 * SECOND);
	for (int i = 0; i < 100; i++)
		ok(dsm_write(dsm, x, &v));
	atomic_store(&leap_ns, 100 * MS);
	pthread_mutex_lock(&engine->lock);
	uint64_t began = atomic_load(&leapt_ns);
	int rc = dsm_write(dsm, x, &v);
	uint64_t took = atomic_load(&leapt_ns) - began;
	pthread_mutex_unlock(&engine->lock);
	cr_assert_eq(rc, -ENOTCONN, "%d (%s)", rc, dsm_error());
	cr_assert(took > 2 * SECOND && took < 4 * SECOND, "given up after %llu ms", (unsigned long long)(took / MS));
	dsm_detach(&dsm);
}
