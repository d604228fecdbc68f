/* SPDX-License-Identifier: Apache-2.0 */
/* What a turn of the engine's udp may cost: one client with a key can neither stop the engine nor keep
 * others waiting by questions that go through much memory. The turns are run by hand where it counts. */
#include <criterion/criterion.h>
#include <pthread.h>
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
#define FLOOD 128u                  /* datagrams */
#define SLOTS 32u
#define HIST_BYTES ((1u << 20) - 64)    /* 32 MiB to go through */
#define MID_BYTES 12000u            /* 4 slots: 48 KB, less than UDP_WORK */

static struct dsm_engine *engine;
static struct client greedy, other;
static uint32_t hist, mid;

static void fill(struct dsm *w, const char *name, uint32_t bytes, uint32_t commits, uint32_t *group)
{
	struct dsm_value v = { .type = DSM_BYTES, .len = bytes, .bytes = calloc(1, bytes) };
	struct dsm_cell cell;
	struct dsm_group g;
	char path[32];
	snprintf(path, sizeof(path), "%s.data", name);
	ok(dsm_cell(w, path, &cell));
	ok(dsm_group(w, name, &g));
	for (uint32_t i = 0; i < commits; i++)
		ok(dsm_write(w, cell, &v));
	*group = (uint32_t)g.id;
	free((void *)(uintptr_t)v.bytes);
}

static void set_up(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT;
	struct dsm_group_spec groups[2] = { { "engine", "hist", "", SLOTS, 0, false }, { "engine", "mid", "", 4, 0, false } };
	struct dsm_cell_spec cells[2] = { { "hist", "data", "", "", DSM_BYTES, HIST_BYTES, 0, 0, 0, -1 },
		{ "mid", "data", "", "", DSM_BYTES, MID_BYTES, 0, 0, 0, -1 } };
	struct dsm_table *table;
	struct dsm *w = NULL;
	char name[64], address[32];
	unsigned port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(name, sizeof(name), "turns-%d", (int)getpid());
	unsetenv("DSM_KEYS");
	opts.udp = address;
	opts.name = name;
	ok(fixture_table_of(FIXTURE_NETWORK, &table));
	for (int i = 0; i < 2; i++) {
		ok(dsm_table_group(table, &groups[i]));
		ok(dsm_table_cell(table, &cells[i]));
	}
	ok(dsm_engine_open(table, &opts, &engine));
	dsm_table_free(&table);
	own.owner = "engine";
	ok(dsm_engine_attach(engine, &own, &w));
	fill(w, "hist", HIST_BYTES, SLOTS + 4, &hist);
	fill(w, "mid", MID_BYTES, 8, &mid);
	dsm_detach(&w);
	connect_from(&greedy, INADDR_LOOPBACK, port);
	say_hello(&greedy, "");
	connect_from(&other, INADDR_LOOPBACK, port);
	say_hello(&other, "");
	cr_assert(greedy.message_bytes && other.message_bytes);
}

static void tear_down(void)
{
	close(greedy.fd);
	close(other.fd);
	ok(dsm_engine_close(&engine));
}

TestSuite(udp_turns, .init = set_up, .fini = tear_down, .timeout = 120);

static void ask(struct client *c, uint32_t id, enum udp_read_kind kind, uint32_t group)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_read m = { .id = id, .kind = (uint8_t)kind, .index = group };
	udp_put_read(&w, &m);
	say(c, &c->data, &w, d);
}

/* No slot has step 0: all are looked at. */
static void flood(uint32_t group)
{
	greedy.answers = 0;
	for (uint32_t i = 1; i <= FLOOD; i++)
		ask(&greedy, i, UDP_READ_STEP, group);
}

Test(udp_turns, a_question_of_much_work_ends_the_turn)
{
	pthread_mutex_lock(&engine->lock);
	flood(hist);
	udp_events(engine);
	bool more = udp_has_more(engine);
	listen_for(&greedy, 100);
	pthread_mutex_unlock(&engine->lock);
	cr_assert_eq(greedy.answers, 1, "%u of %u in one turn", greedy.answers, FLOOD);
	cr_assert(more);
}

Test(udp_turns, little_questions_share_a_turn_and_the_rest_waits)
{
	unsigned turns = 1, first;
	pthread_mutex_lock(&engine->lock);
	flood(mid);
	udp_events(engine);
	listen_for(&greedy, 100);
	first = greedy.answers;
	for (; greedy.answers < FLOOD && turns < FLOOD; turns++) {
		udp_events(engine);
		listen_for(&greedy, 20);
	}
	pthread_mutex_unlock(&engine->lock);
	cr_assert(first > 8 && first <= 30, "%u of %u in one turn", first, FLOOD);
	cr_assert_eq(greedy.answers, FLOOD, "%u: some were lost", greedy.answers);
	cr_assert_gt(turns, 4);
}

/* The engine's own thread: it comes back to what is left, also if nothing more comes. */
Test(udp_turns, what_waits_is_answered_when_nothing_more_comes)
{
	flood(mid);
	for (int i = 0; i < 400 && greedy.answers < FLOOD; i++)
		listen_for(&greedy, 50);
	cr_assert_eq(greedy.answers, FLOOD, "%u", greedy.answers);
}

/* Of the questions of much work few are answered; those of others, and little ones, are. */
Test(udp_turns, who_asks_much_has_to_wait_and_others_have_not)
{
	pthread_mutex_lock(&engine->lock);
	flood(hist);
	ask(&other, 7, UDP_READ_STEP, hist);
	pthread_mutex_unlock(&engine->lock);
	for (int i = 0; i < 400 && !other.answers; i++)
		listen_for(&other, 50);
	cr_assert_eq(other.answers, 1);
	ask(&greedy, 1000, UDP_READ_SEQ, hist);
	for (int i = 0; i < 400 && greedy.answer.id != 1000; i++)
		listen_for(&greedy, 50);
	cr_assert_eq(greedy.answer.id, 1000);
	/* one, and one more each 32 ms that the machine stood still meanwhile */
	cr_assert(greedy.answers >= 2 && greedy.answers < FLOOD / 2, "%u of %u", greedy.answers, FLOOD);
	usleep(100000);
	greedy.answers = 0;
	ask(&greedy, 2000, UDP_READ_STEP, hist); /* a while later it may again */
	for (int i = 0; i < 400 && !greedy.answers; i++)
		listen_for(&greedy, 50);
	cr_assert_eq(greedy.answers, 1);
}

/* ---- what one question costs ---- */

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cost(struct udp_peer *p, uint64_t step)
{
	struct udp_read m = { .id = 1, .kind = UDP_READ_STEP, .index = hist, .arg = step, .bytes = 8 };
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 5; i++) {
		struct udp_voice v;
		size_t left = UDP_WORK;
		p->busy_until = 0;
		udp_voice_begin(&v, engine->udp, &p->data, &p->data_route);
		uint64_t began = cpu_ns();
		udp_serve_read(engine, p, &m, &v, &left);
		uint64_t ns = cpu_ns() - began;
		best = ns < best ? ns : best;
		udp_voice_send(&v);
	}
	udp_out_flush(engine->udp);
	return best;
}

/* A step that has left the ring is found missing by one walk through it, as the oldest is found. Time
 * of the processor, the best of five, and a factor between 1 and the four walks that it once took. */
Test(udp_turns, what_is_not_in_the_ring_is_looked_for_once)
{
	struct slot_meta meta;
	struct udp_peer *p = NULL;
	pthread_mutex_lock(&engine->lock);
	const struct region *r = engine->region;
	for (uint32_t i = 0; !p && i < engine->udp->room; i++)
		p = engine->udp->peers[i];
	int rc = ring_read_at(&r->rings[hist], 5, r->scratch, &meta); /* of 5 to 36 */
	uint64_t found = rc || !p ? 0 : cost(p, meta.step), missing = rc || !p ? 0 : cost(p, 0);
	pthread_mutex_unlock(&engine->lock);
	cr_assert(rc == 0 && p);
	cr_assert_lt(missing, found * 5 / 2, "%llu us, and the oldest is found in %llu", (unsigned long long)missing / 1000,
		(unsigned long long)found / 1000);
}
