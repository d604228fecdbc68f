/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions over udp beyond what every transport promises: what one who never reads costs, how
 * many there may be, an engine that knows none, and a filter that is the engine's. */
#include <dsm/subscribe.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define WINDOW 32u          /* of udp_push.c */
#define COMMITS 600

static struct dsm_engine *engine;
static struct dsm *writer, *local;
static char uri[64];

static _Atomic uint64_t time_ns = 1000000000000u;

static uint64_t test_now(void *context)
{
	(void)context;
	return time_ns;
}

static const struct dsm_clock standing = { test_now, test_now, NULL };
static const struct dsm_clock *clock_of_engine; /* NULL: the system's */

static void open_engine(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT;
	char name[64], address[32], near[128];
	unsigned port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", port);
	opts.udp = address;
	opts.lease_ms = 5000;
	opts.clock = clock_of_engine;
	ok(fixture_engine(&opts, name, &engine));
	fixture_uri("shm", name, near);
	own.owner = "operator";
	ok(dsm_attach(near, &own, &writer));
	ok(dsm_attach(near, NULL, &local));
}

static void close_engine(void)
{
	dsm_detach(&writer);
	dsm_detach(&local);
	ok(dsm_engine_close(&engine));
}

static struct dsm *attach(const char *fault)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	opts.fault = fault;
	opts.call_timeout_ms = opts.attach_timeout_ms = 20000;
	ok(dsm_attach(uri, &opts, &dsm));
	return dsm;
}

static void write_rop(double value)
{
	struct dsm_cell cell;
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = value };
	ok(dsm_cell(writer, "setpoints.rop", &cell));
	ok(dsm_write(writer, cell, &v));
}

static struct dsm_subscription *subscribe(struct dsm *dsm, enum dsm_deadband kind, double band)
{
	struct dsm_interest x = { .kind = kind, .deadband = band };
	struct dsm_subscription *s = NULL;
	ok(dsm_group(dsm, "setpoints", &x.group));
	ok(dsm_subscribe(dsm, &x, 1, NULL, &s));
	return s;
}

static int find_updates(const char *name, const char *what, uint64_t value, void *context)
{
	(void)what;
	if (strcmp(name, "udp_updates") == 0)
		*(uint64_t *)context = value;
	return 0;
}

static uint64_t updates(void)
{
	uint64_t n = UINT64_MAX;
	ok(dsm_foreach_counter(local, find_updates, &n));
	cr_assert_neq(n, UINT64_MAX);
	return n;
}

static double take(struct dsm *dsm, struct dsm_subscription *s, int timeout_ms)
{
	const struct dsm_frame *frame;
	struct dsm_update u;
	struct dsm_cell cell;
	struct dsm_sample sample;
	ok(dsm_cell(dsm, "setpoints.rop", &cell));
	do {
		int rc = dsm_next_update(s, timeout_ms, &frame, &u);
		if (rc == -ETIMEDOUT)
			return -1;
		ok(rc);
	} while (u.why == DSM_UPDATE_STATE);
	ok(dsm_frame_read(frame, cell, &sample));
	return sample.value.f64;
}

/* Commits, slowly enough that each could be sent alone. */
static void commit_many(struct dsm *dsm, struct dsm_subscription *reads)
{
	for (int i = 0; i < COMMITS; i++) {
		write_rop(i % 100);
		usleep(1500);
		if (reads)
			take(dsm, reads, 0);
	}
}

Test(udp_subscribe, who_never_reads_gets_a_window_and_then_a_datagram_now_and_then, .timeout = 120)
{
	open_engine();
	struct dsm *deaf = attach(NULL), *r = attach(NULL);
	struct dsm_subscription *never = subscribe(deaf, DSM_DEADBAND_NONE, 0);
	uint64_t before = updates();
	commit_many(NULL, NULL);
	uint64_t sent = updates() - before;
	/* one each 100 ms, doubled up to 1.6 s; however slow this machine is */
	cr_assert(sent >= 2 && sent <= WINDOW + 40, "%llu updates to one who never reads", (unsigned long long)sent);
	dsm_detach(&deaf); /* the subscription ends with its session */
	dsm_unsubscribe(&never);
	struct dsm_subscription *s = subscribe(r, DSM_DEADBAND_NONE, 0); /* the control: one that reads */
	take(r, s, 20000);
	before = updates();
	commit_many(r, s);
	write_rop(55.5);
	for (double value = 0; value != 55.5;)
		cr_assert_geq(value = take(r, s, 20000), 0);
	cr_assert_gt(updates() - before, WINDOW + 60, "the control: %llu updates",
		(unsigned long long)(updates() - before));
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	close_engine();
}

/* What is within the band does not leave the engine. */
Test(udp_subscribe, the_filter_is_the_engines, .timeout = 60)
{
	open_engine();
	struct dsm *r = attach(NULL);
	write_rop(50);
	struct dsm_subscription *s = subscribe(r, DSM_DEADBAND_ABSOLUTE, 10);
	cr_assert_eq(take(r, s, 20000), 50);
	usleep(200000); /* its acknowledgement is there */
	uint64_t before = updates();
	for (int i = 0; i < 100; i++) {
		write_rop(45 + i % 10);
		usleep(2000);
	}
	cr_assert_eq(take(r, s, 100), -1);
	cr_assert_eq(updates() - before, 0);
	write_rop(61);
	cr_assert_eq(take(r, s, 20000), 61);
	dsm_unsubscribe(&s);
	usleep(100000);
	before = updates();
	write_rop(99);
	usleep(200000);
	cr_assert_eq(updates() - before, 0, "sent to who has ended its subscription");
	dsm_detach(&r);
	close_engine();
}

static struct dsm_subscription *subscribe_to(struct dsm *dsm, const struct dsm_interest *like, double rate_hz,
	uint32_t every_nth)
{
	struct dsm_subscription_options opts = DSM_SUBSCRIPTION_OPTIONS_INIT;
	struct dsm_interest x = *like;
	struct dsm_subscription *s = NULL;
	opts.max_rate_hz = rate_hz;
	opts.every_nth = every_nth;
	ok(dsm_group(dsm, "setpoints", &x.group));
	ok(dsm_subscribe(dsm, &x, 1, &opts, &s));
	return s;
}

/* Nothing goes, and nothing comes. */
static void expect_silence(struct dsm *dsm, struct dsm_subscription *s, uint64_t before)
{
	cr_assert_eq(take(dsm, s, 150), -1);
	cr_assert_eq(updates() - before, 0, "%llu updates went", (unsigned long long)(updates() - before));
}

static void expect_one(struct dsm *dsm, struct dsm_subscription *s, uint64_t before, double value)
{
	cr_assert_eq(take(dsm, s, 20000), value);
	cr_assert_eq(updates() - before, 1, "%llu updates went", (unsigned long long)(updates() - before));
	usleep(50000); /* its acknowledgement is there */
}

/* By the engine's clock, which stands still meanwhile. */
Test(udp_subscribe, the_rate_is_the_engines, .timeout = 60)
{
	static const struct dsm_interest any = { .kind = DSM_DEADBAND_NONE };
	clock_of_engine = &standing;
	open_engine();
	struct dsm *r = attach(NULL);
	write_rop(50);
	uint64_t before = updates();
	struct dsm_subscription *s = subscribe_to(r, &any, 1, 1);
	expect_one(r, s, before, 50);
	for (double value = 1; value < 4; value++) {
		before = updates();
		for (int i = 0; i < 50; i++) {
			write_rop(value + i);
			usleep(1000);
		}
		expect_silence(r, s, before);
		time_ns += 900000000u;
		expect_silence(r, s, before);
		time_ns += 100000000u;
		expect_one(r, s, before, value + 49);
	}
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	close_engine();
}

Test(udp_subscribe, every_nth_and_percent_are_the_engines, .timeout = 60)
{
	static const struct dsm_interest any = { .kind = DSM_DEADBAND_NONE },
		percent = { .kind = DSM_DEADBAND_PERCENT, .deadband = 10 };
	clock_of_engine = &standing; /* nothing is sent again because this machine is slow */
	open_engine();
	struct dsm *r = attach(NULL);
	write_rop(50);
	uint64_t before = updates();
	struct dsm_subscription *s = subscribe_to(r, &any, 0, 10);
	expect_one(r, s, before, 50);
	for (int k = 0; k < 3; k++) {
		before = updates();
		for (int i = 1; i < 10; i++) {
			write_rop(i);
			usleep(2000);
		}
		expect_silence(r, s, before);
		write_rop(70 + k);
		expect_one(r, s, before, 70 + k);
	}
	dsm_unsubscribe(&s);
	write_rop(80);
	before = updates();
	s = subscribe_to(r, &percent, 0, 1);
	expect_one(r, s, before, 80);
	before = updates();
	for (int i = 0; i < 50; i++) {
		write_rop(72.5 + i % 15); /* within 8 of 80 */
		usleep(2000);
	}
	expect_silence(r, s, before);
	write_rop(88.5);
	expect_one(r, s, before, 88.5);
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	close_engine();
}

/* Who has it already is not sent it again. */
Test(udp_subscribe, resuming_is_the_engines, .timeout = 60)
{
	struct dsm_interest x = { .kind = DSM_DEADBAND_NONE };
	const struct dsm_frame *frame;
	struct dsm_update first, next;
	clock_of_engine = &standing; /* nothing is sent again because this machine is slow */
	open_engine();
	struct dsm *r = attach(NULL);
	write_rop(50);
	struct dsm_subscription *s = subscribe_to(r, &x, 0, 1);
	ok(dsm_next_update(s, 20000, &frame, &first));
	cr_assert_eq(first.why, DSM_UPDATE_SNAPSHOT);
	dsm_unsubscribe(&s);
	x.resume = first.resume;
	uint64_t before = updates();
	s = subscribe_to(r, &x, 0, 1);
	expect_silence(r, s, before);
	write_rop(51);
	ok(dsm_next_update(s, 20000, &frame, &next));
	cr_assert_eq(next.why, DSM_UPDATE_CHANGE);
	cr_assert_eq(updates() - before, 1);
	dsm_unsubscribe(&s);
	before = updates();
	s = subscribe_to(r, &x, 0, 1); /* the control: it has an older one */
	expect_one(r, s, before, 51);
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	close_engine();
}

Test(udp_subscribe, there_may_be_so_many, .timeout = 60)
{
	open_engine();
	struct dsm *r = attach(NULL);
	struct dsm_subscription *s[40] = { NULL };
	struct dsm_interest x = { .kind = DSM_DEADBAND_NONE };
	unsigned n = 0;
	int rc = 0;
	ok(dsm_group(r, "setpoints", &x.group));
	while (n < 40 && (rc = dsm_subscribe(r, &x, 1, NULL, &s[n])) == 0)
		n++;
	cr_assert(n == 32 && rc == -ENOSPC, "%u, then %d: %s", n, rc, dsm_error());
	dsm_unsubscribe(&s[7]);
	ok(dsm_subscribe(r, &x, 1, NULL, &s[7])); /* room again */
	for (unsigned i = 0; i < n; i++) {
		take(r, s[i], 20000);
		dsm_unsubscribe(&s[i]);
	}
	dsm_detach(&r);
	close_engine();
}

/* The library reads then, and filters itself. */
Test(udp_subscribe, an_engine_that_knows_no_subscriptions, .timeout = 60)
{
	open_engine();
	struct dsm *r = attach("pull=1");
	write_rop(50);
	struct dsm_subscription *s = subscribe(r, DSM_DEADBAND_ABSOLUTE, 10);
	cr_assert_eq(take(r, s, 20000), 50);
	write_rop(55);
	cr_assert_eq(take(r, s, 200), -1);
	write_rop(70);
	cr_assert_eq(take(r, s, 20000), 70);
	struct dsm_interest two[2] = { { .kind = DSM_DEADBAND_NONE }, { .kind = DSM_DEADBAND_NONE } };
	struct dsm_subscription *both = NULL;
	ok(dsm_group(r, "setpoints", &two[0].group));
	ok(dsm_group(r, "drilling", &two[1].group));
	ok(dsm_subscribe(r, two, 2, NULL, &both));
	const struct dsm_frame *frame;
	struct dsm_update u;
	ok(dsm_next_update(both, 20000, &frame, &u));
	ok(dsm_next_update(both, 20000, &frame, &u));
	write_rop(20);
	do
		ok(dsm_next_update(both, 20000, &frame, &u));
	while (u.why != DSM_UPDATE_CHANGE);
	cr_assert_eq(u.index, 0);
	cr_assert_eq(updates(), 0);
	dsm_unsubscribe(&both);
	dsm_unsubscribe(&s);
	dsm_detach(&r);
	close_engine();
}
