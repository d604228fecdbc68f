/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp:// through a network that does everything it may and some people who do what they may not. Behind
 * the relay: a reader, an owner, two that add, one that requests, one that waits, one that reads a
 * megabyte, one that subscribes and takes nothing. Beside it, at the same engine: clients that come straight and must notice
 * nothing. Whatever happens, reads are right and never torn or older than before (udp_clients.c looks);
 * when it is over, the sum is what was added and the last commit is the last one that was acknowledged:
 * exactly once.
 * Usage: net_udp RELAY CAPTURE [--namespaces]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_SHARED
#include "../stress/plain.h"
#include "net/udp_rig.h"

#define SUFFER_MS 600u
#define WITHIN_MS 10000u
#define STRAIGHT 2u
#define GROWTH_KIB (32l << 10)      /* of the engine under a flood; ten times what it sends in that time */

atomic_uint plain_passed, plain_failed;

static struct udp_place place;
static struct client far[CLIENT_KINDS], straight[STRAIGHT];
static struct dsm *watcher;         /* straight */

#define ALL (((1u << CLIENT_KINDS) - 1) & ~(1u << CLIENT_IDLER)) /* it does nothing */
#define NOT_BIG (ALL & ~(1u << CLIENT_BIG))
#define SMALL (NOT_BIG & ~(1u << CLIENT_PIPELINE))  /* what goes in short datagrams */
#define SLOW (NOT_BIG & ~(1u << CLIENT_STEP))       /* rings do not reach back for a round trip */

/* What a network does, and which clients must get something done all the same. */
static const struct harm {
	const char *settings;
	unsigned going_on;          /* bits by kind */
} harms[] = {
	{ "loss 0.1", ALL },
	{ "loss 0.2", SLOW },
	{ "delay 10 jitter 10", SLOW },
	{ "reorder 0.3", SLOW },
	{ "duplicate 0.3", ALL },
	{ "corrupt 0.2", SLOW },
	{ "truncate 0.2", SLOW },
	{ "spoof 0.3", ALL },
	{ "replay 0.3", ALL },
	{ "reflect 0.3", ALL },
	{ "rebind 40", NOT_BIG },
	{ "mtu 900", SMALL },   /* a black hole for what is longer */
	{ "mtu 30", 0 },        /* and one for all */
	{ "flood 4000", NOT_BIG },
	{ "loss 0.05 duplicate 0.05 reorder 0.05 corrupt 0.05 truncate 0.05 spoof 0.05 replay 0.05 jitter 3", SLOW },
};

static bool all_got_on(const uint64_t before[CLIENT_KINDS], unsigned kinds)
{
	for (unsigned k = 0; k < CLIENT_KINDS; k++)
		if (kinds >> k & 1 && atomic_load(&far[k].done) <= before[k])
			return false;
	return true;
}

/* These get something done, within a generous time. */
static void expect_progress(const char *when, unsigned kinds)
{
	uint64_t before[CLIENT_KINDS], until = plain_ms() + WITHIN_MS * udp_patience();
	for (unsigned k = 0; k < CLIENT_KINDS; k++)
		before[k] = atomic_load(&far[k].done);
	while (!all_got_on(before, kinds) && plain_ms() < until)
		plain_sleep_ms(5);
	for (unsigned k = 0; k < CLIENT_KINDS; k++)
		check(!(kinds >> k & 1) || atomic_load(&far[k].done) > before[k], "%s: the %s gets nothing done", when,
			client_names[k]);
}

static int count_client(const struct dsm_client_info *info, void *context)
{
	(void)info;
	*(unsigned *)context += 1;
	return 0;
}

static unsigned sessions(void)
{
	unsigned n = 0;
	check(dsm_foreach_client(watcher, 10000, count_client, &n) == 0, "sessions: %s", dsm_error());
	return n;
}

struct straight_state { uint64_t done, failed, reattached; };
static struct straight_state straight_now(void)
{
	struct straight_state s = { 0 };
	for (unsigned i = 0; i < STRAIGHT; i++) {
		s.done += atomic_load(&straight[i].done);
		s.failed += atomic_load(&straight[i].failed);
		s.reattached += atomic_load(&straight[i].reattached);
		atomic_store(&straight[i].slowest_ms, 0);
	}
	return s;
}

/* Else the test shows nothing. */
static void expect_harm(const char *settings, const struct relay_stats *a, const struct relay_stats *b)
{
	uint64_t done = b->lost + b->duplicated + b->corrupted + b->truncated + b->reordered + b->oversize + b->spoofed +
		b->replayed + b->reflected + b->rebinds + b->flooded, before = a->lost + a->duplicated + a->corrupted +
		a->truncated + a->reordered + a->oversize + a->spoofed + a->replayed + a->reflected + a->rebinds + a->flooded;
	check(done > before + 5 || strncmp(settings, "delay", 5) == 0, "%s: the relay did next to nothing", settings);
}

static void suffer(const struct harm *harm)
{
	struct straight_state before = straight_now();
	long resident = udp_place_resident(&place);
	struct relay_stats from = relays_stats(&place.relays);
	uint64_t start = plain_ms();
	relays_set(&place.relays, harm->settings);
	expect_progress(harm->settings, harm->going_on);
	while (plain_ms() < start + SUFFER_MS)
		plain_sleep_ms(10);
	struct relay_stats to = relays_stats(&place.relays);
	relays_set(&place.relays, "");
	expect_harm(harm->settings, &from, &to);
	uint64_t slowest = 0;
	for (unsigned i = 0; i < STRAIGHT; i++)
		if (atomic_load(&straight[i].slowest_ms) > slowest)
			slowest = atomic_load(&straight[i].slowest_ms);
	struct straight_state after = straight_now();
	check(after.done > before.done && after.failed == before.failed && after.reattached == before.reattached,
		"%s: who comes straight is disturbed: %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " reattached",
		harm->settings, after.done - before.done, after.failed - before.failed,
		after.reattached - before.reattached);
	check(to.answer_bytes - from.answer_bytes <= to.flooded_bytes - from.flooded_bytes,
		"%s: the engine answers with more than it is sent", harm->settings);
	check(udp_place_resident(&place) - resident < GROWTH_KIB, "%s: the engine grows by %ld KiB", harm->settings,
		udp_place_resident(&place) - resident);
	expect_progress("after it", ALL);
	printf("%-20.20s %6" PRIu64 " datagrams, slowest straight call %" PRIu64 " ms, %" PRIu64 " ms in all\n",
		harm->settings, to.received - from.received, slowest, plain_ms() - start);
	for (unsigned k = 0; k < CLIENT_KINDS; k++)
		check(far[k].reattached == 0 && far[k].failed == 0, "%s: the %s lost its session or an operation: %" PRIu64
			" failed, %" PRIu64 " reattached", harm->settings, client_names[k], far[k].failed, far[k].reattached);
}

/* What was captured so far, once more and from elsewhere. */
static void replay_capture(const char *capture)
{
	unsigned before = sessions();
	relays_flush(&place.relays);
	int n = relays_inject(&place.relays, capture);
	check(n > 1000, "a capture of %d datagrams", n);
	plain_sleep_ms(200);
	unsigned after = sessions();
	check(after <= before, "a replayed capture makes sessions: %u, before %u", after, before);
	expect_progress("after a replayed capture", ALL);
}

/* The kernel's own bad network, on the way out of the clients' namespace; those who come straight are
 * behind it, too. */
static void suffer_netem(void)
{
	static const char *const rows[] = { "loss 10%", "delay 5ms 5ms", "delay 4ms reorder 30% 50%",
		"duplicate 20% corrupt 5%", "rate 4mbit" };
	char command[200];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t start = plain_ms();
		snprintf(command, sizeof(command), "tc qdisc replace dev eth0 root netem limit 10000 %s 2>/dev/null", rows[i]);
		if (system(command)) {
			puts("skipped: netem: this kernel has none, or there is no tc (script/guest has both)");
			return;
		}
		expect_progress(rows[i], SLOW);
		plain_sleep_ms(SUFFER_MS);
		check(system("tc qdisc del dev eth0 root") == 0, "netem stays");
		expect_progress("after netem", ALL);
		printf("netem %-24s %" PRIu64 " ms in all\n", rows[i], plain_ms() - start);
	}
}

/* ---- exactly once ---- */

static void expect_sum(void)
{
	struct dsm_cell cell;
	struct dsm_sample s = { 0 };
	uint64_t sum = 0, unknown = 0;
	for (unsigned k = CLIENT_ADDER; k <= CLIENT_PIPELINE; k++) {
		sum += far[k].done;
		unknown += far[k].unknown;
	}
	for (unsigned i = 0; i < STRAIGHT; i++)
		sum += straight[i].kind == CLIENT_ADDER ? straight[i].done : 0;
	check(dsm_cell(watcher, "drilling.count", &cell) == 0 && dsm_read(watcher, cell, &s) == 0, "%s", dsm_error());
	check(unknown == 0, "%" PRIu64 " adds whose outcome is not known", unknown);
	check(s.value.i64 >= (int64_t)sum && s.value.i64 <= (int64_t)(sum + unknown),
		"exactly once: %" PRIu64 " adds (and %" PRIu64 " unknown) make %" PRId64, sum, unknown, s.value.i64);
}

static void expect_commits(void)
{
	struct dsm_cell v;
	struct dsm_sample s = { 0 };
	uint64_t done = far[CLIENT_WRITER].done, failed = far[CLIENT_WRITER].failed;
	check(dsm_cell(watcher, "remote.v", &v) == 0 && dsm_read(watcher, v, &s) == 0, "%s", dsm_error());
	check(failed == 0, "%" PRIu64 " commits failed", failed);
	check(s.value.u64 == done && s.seq == done, "exactly once: %" PRIu64 " commits make value %" PRIu64
		" and seq %" PRIu64, done, s.value.u64, s.seq);
}

static void end_clients(void)
{
	for (unsigned k = 0; k < CLIENT_KINDS; k++) {
		client_stop(&far[k]);
		printf("%-8s %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " times reattached\n", client_names[k],
			far[k].done, far[k].failed, far[k].reattached);
		check(far[k].failed == 0 && far[k].reattached == 0, "the %s lost its session or an operation: %" PRIu64
			" failed, %" PRIu64 " reattached", client_names[k], far[k].failed, far[k].reattached);
	}
	for (unsigned i = 0; i < STRAIGHT; i++)
		client_stop(&straight[i]);
}

static void run_all(const char *capture, bool namespaces)
{
	bool quick = getenv("DSM_TEST_QUICK") != NULL;
	const char *only = getenv("NET_UDP_ONLY"); /* the beginning of a row; none of them: netem alone */
	check(dsm_attach(place.direct, NULL, &watcher) == 0, "%s: %s", place.direct, dsm_error());
	bool good = watcher && requests_start(place.direct) && client_start(&straight[0], CLIENT_READER, place.direct) &&
		client_start(&straight[1], CLIENT_ADDER, place.direct);
	for (unsigned k = 0; good && k < CLIENT_KINDS; k++)
		good = client_start(&far[k], k, place.through);
	if (!good)
		exit(plain_end()); /* threads may run */
	expect_progress("on a good network", ALL);
	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i += quick ? 2 : 1)
		if (!only || strncmp(harms[i].settings, only, strlen(only)) == 0)
			suffer(&harms[i]);
	if (namespaces)
		suffer_netem();
	if (!only)
		replay_capture(capture);
	end_clients();
	expect_sum();
	expect_commits();
	requests_end();
	dsm_detach(&watcher);
}

int main(int argc, char **argv)
{
	char why[200] = "";
	bool namespaces = argc > 3 && strcmp(argv[3], "--namespaces") == 0;
	if (argc < 3) {
		fputs("Usage: net_udp RELAY CAPTURE [--namespaces]\n", stderr);
		return 2;
	}
	plain_begin(280 * udp_patience());
	bool possible = udp_place_open(&place, argv[1], argv[2], namespaces, why);
	if (possible && place.through[0])
		run_all(argv[2], namespaces);
	udp_place_close(&place);
	if (!possible) {
		printf("skipped: %s\n", why);
		return 77;
	}
	return plain_end();
}
