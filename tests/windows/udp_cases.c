/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance subset for a client that has nothing but udp: a plain program over the public
 * interface, so that it runs where Criterion does not. windows.sh starts engine and program.
 *
 * Usage: udp-cases URI KEYFILE. Prints "ok NAME" or "not ok NAME" and "N passed, N failed" last.
 */
#include "udp_cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 10000
#define PAIRS 300u
#define ADDS 40u
#define ADDERS 3
#define ROW 20000u

const char *case_uri, *case_keys;
static unsigned failures;

bool case_check(bool holds, const char *text, const char *file, int line)
{
	if (!holds) {
		printf("# %s:%d: %s; %s\n", file, line, text, dsm_error());
		failures++;
	}
	return holds;
}

struct dsm *case_attach(const char *owner, const char *fault)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	options.owner = owner;
	options.fault = fault;
	options.key_file = case_keys;
	options.attach_timeout_ms = options.call_timeout_ms = PATIENCE_MS;
	CHECK(dsm_attach(case_uri, &options, &dsm) == 0);
	return dsm;
}

struct dsm_cell case_cell(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell = { 0 };
	CHECK(dsm_cell(dsm, name, &cell) == 0);
	return cell;
}

struct dsm_group case_group(struct dsm *dsm, const char *name)
{
	struct dsm_group group = { 0 };
	CHECK(dsm_group(dsm, name, &group) == 0);
	return group;
}

/* ---- the cases ---- */

static int count_cell(const struct dsm_cell_info *info, void *context)
{
	(void)info;
	++*(unsigned *)context;
	return 0;
}

static void case_table(void)
{
	struct dsm *dsm = case_attach(NULL, NULL);
	struct dsm_region_info region;
	struct dsm_status status;
	unsigned cells = 0;
	if (!dsm)
		return;
	CHECK(dsm_region_info(dsm, &region) == 0 && strcmp(region.transport, "udp") == 0);
	CHECK(dsm_foreach_cell(dsm, NULL, count_cell, &cells) == 0 && cells == region.cells && cells == 11);
	CHECK(dsm_status(dsm, &status) == 0 && status.state == DSM_ATTACHED);
	dsm_detach(&dsm);
	CHECK(!dsm);
}

static void set_all(struct dsm *robot)
{
	struct dsm_value raw = { .type = DSM_BYTES, .len = 3, .bytes = "\1\0\2" };
	CHECK(dsm_begin(robot, 0) == 0);
	CHECK(dsm_set_bool(robot, case_cell(robot, "all.flag"), true) == 0);
	CHECK(dsm_set_i64(robot, case_cell(robot, "all.whole"), INT64_MIN) == 0);
	CHECK(dsm_set_u64(robot, case_cell(robot, "all.count"), UINT64_MAX) == 0);
	CHECK(dsm_set_f64(robot, case_cell(robot, "all.real"), -0.1) == 0);
	CHECK(dsm_set_string(robot, case_cell(robot, "all.words"), "gr\xc3\xbc\xc3\x9f""e") == 0);
	CHECK(dsm_set(robot, case_cell(robot, "all.raw"), &raw) == 0);
	CHECK(dsm_commit(robot, NULL) == 0);
}

/* What one process commits the other reads, of every type. */
static void case_values(void)
{
	struct dsm *robot = case_attach("robot", NULL), *reader = case_attach(NULL, NULL);
	struct dsm_sample s;
	if (robot && reader) {
		set_all(robot);
		CHECK(dsm_read(reader, case_cell(reader, "all.flag"), &s) == 0 && s.value.b && s.quality == DSM_GOOD);
		CHECK(dsm_read(reader, case_cell(reader, "all.whole"), &s) == 0 && s.value.i64 == INT64_MIN);
		CHECK(dsm_read(reader, case_cell(reader, "all.count"), &s) == 0 && s.value.u64 == UINT64_MAX);
		CHECK(dsm_read(reader, case_cell(reader, "all.real"), &s) == 0 && s.value.f64 + 0.1 == 0);
		CHECK(dsm_read(reader, case_cell(reader, "all.words"), &s) == 0 && s.value.len == 7 &&
			strcmp(s.value.str, "gr\xc3\xbc\xc3\x9f""e") == 0);
		CHECK(dsm_read(reader, case_cell(reader, "all.raw"), &s) == 0 && s.value.len == 3 &&
			memcmp(s.value.bytes, "\1\0\2", 3) == 0);
	}
	dsm_detach(&robot);
	dsm_detach(&reader);
}

/* 160 kB: a group of many datagrams. */
static void case_large(void)
{
	static double row[ROW];
	struct dsm *robot = case_attach("robot", NULL), *reader = case_attach(NULL, NULL);
	struct dsm_value value = { .type = DSM_F64_ARRAY, .len = ROW, .f64s = row };
	struct dsm_sample s;
	for (unsigned i = 0; i < ROW; i++)
		row[i] = i;
	if (robot && reader) {
		CHECK(dsm_write(robot, case_cell(robot, "wide.row"), &value) == 0);
		CHECK(dsm_read(reader, case_cell(reader, "wide.row"), &s) == 0 && s.value.len == ROW &&
			memcmp(s.value.f64s, row, sizeof(row)) == 0);
	}
	dsm_detach(&robot);
	dsm_detach(&reader);
}

static void *commit_pairs(void *context)
{
	struct dsm *robot = context;
	struct dsm_cell a = case_cell(robot, "pair.a"), b = case_cell(robot, "pair.b");
	bool committed = true;
	for (uint64_t i = 1; committed && i <= PAIRS; i++) {
		committed = dsm_begin(robot, 0) == 0 && dsm_set_u64(robot, a, i) == 0 &&
			dsm_set_u64(robot, b, ~i) == 0 && dsm_commit(robot, NULL) == 0;
		if (!committed)
			CHECK(committed);
	}
	return NULL;
}

/* Never a mix, never backwards, to the last; `fault` on the reader's side. */
static void follow(const char *fault)
{
	struct dsm *robot = case_attach("robot", NULL), *reader = case_attach(NULL, fault);
	struct dsm_frame *frame = NULL;
	struct dsm_sample a, b;
	pthread_t thread;
	uint64_t seen = 0, seq = 0;
	if (!robot || !reader)
		goto detach;
	struct dsm_group pair = case_group(reader, "pair");
	struct dsm_frame_info info;
	CHECK(dsm_frame_new(reader, pair, &frame) == 0);
	if (dsm_snapshot(reader, pair, frame) == 0 && dsm_frame_info(frame, &info) == 0)
		seq = info.seq;
	CHECK(pthread_create(&thread, NULL, commit_pairs, robot) == 0);
	while (seen < PAIRS && CHECK(dsm_wait(reader, pair, seq, PATIENCE_MS, frame) == 0)) {
		CHECK(dsm_frame_info(frame, &info) == 0 && info.seq > seq);
		seq = info.seq;
		if (!CHECK(dsm_frame_read(frame, case_cell(reader, "pair.a"), &a) == 0 &&
			dsm_frame_read(frame, case_cell(reader, "pair.b"), &b) == 0 &&
			a.value.u64 == ~b.value.u64 && a.value.u64 > seen))
			break;
		seen = a.value.u64;
	}
	CHECK(seen == PAIRS);
	pthread_join(thread, NULL);
detach:
	dsm_frame_free(&frame);
	dsm_detach(&robot);
	dsm_detach(&reader);
}

static void case_follow(void)
{
	follow(NULL);
}

static void case_follow_faulty(void)
{
	follow("tear=0.2,drop=0.1,seed=7");
}

static void case_wait_times_out(void)
{
	struct dsm *reader = case_attach(NULL, NULL);
	struct dsm_frame *frame = NULL;
	struct dsm_frame_info info = { 0 };
	if (!reader)
		return;
	struct dsm_group desk = case_group(reader, "desk");
	CHECK(dsm_frame_new(reader, desk, &frame) == 0);
	if (dsm_snapshot(reader, desk, frame) == 0)
		CHECK(dsm_frame_info(frame, &info) == 0);
	CHECK(dsm_wait(reader, desk, info.seq, 100, frame) == -ETIMEDOUT);
	dsm_frame_free(&frame);
	dsm_detach(&reader);
}

static void case_request(void)
{
	struct dsm *dsm = case_attach(NULL, NULL);
	struct dsm_value value = { .type = DSM_F64, .len = 1, .f64 = 62.5 };
	double now = 0;
	if (!dsm)
		return;
	struct dsm_cell setpoint = case_cell(dsm, "desk.setpoint");
	CHECK(dsm_request(dsm, setpoint, &value, PATIENCE_MS) == 0);
	CHECK(dsm_read_f64(dsm, setpoint, &now) == 0 && now - 62.5 == 0);
	dsm_detach(&dsm);
}

/* Each ticket once, over all that take them; bit i of `taken` is ticket i. */
static uint8_t taken[ADDERS * ADDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *take_tickets(void *context)
{
	struct dsm *dsm = case_attach(NULL, NULL);
	struct dsm_value one = { .type = DSM_U64, .len = 1, .u64 = 1 }, before;
	uint64_t first = *(uint64_t *)context;
	for (unsigned i = 0; dsm && i < ADDS; i++) {
		if (!CHECK(dsm_add(dsm, case_cell(dsm, "desk.ticket"), &one, NULL, PATIENCE_MS, &before) == 0))
			break;
		pthread_mutex_lock(&lock);
		CHECK(before.u64 - first < sizeof(taken) && taken[before.u64 - first]++ == 0);
		pthread_mutex_unlock(&lock);
	}
	dsm_detach(&dsm);
	return NULL;
}

static void case_adds(void)
{
	struct dsm *dsm = case_attach(NULL, NULL);
	struct dsm_value none = { .type = DSM_U64, .len = 1 }, first = { 0 }, last = { 0 };
	pthread_t threads[ADDERS];
	if (!dsm)
		return;
	CHECK(dsm_add(dsm, case_cell(dsm, "desk.ticket"), &none, NULL, PATIENCE_MS, &first) == 0);
	for (int i = 0; i < ADDERS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_tickets, &first.u64) == 0);
	for (int i = 0; i < ADDERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(dsm_add(dsm, case_cell(dsm, "desk.ticket"), &none, NULL, PATIENCE_MS, &last) == 0);
	CHECK(last.u64 == first.u64 + sizeof(taken));
	dsm_detach(&dsm);
}

static void case_manual(void)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	options.flags = DSM_MANUAL;
	options.key_file = case_keys;
	if (!CHECK(dsm_attach(case_uri, &options, &dsm) == 0))
		return;
	CHECK(dsm_dispatch(dsm) == 0);
#ifdef _WIN32
	CHECK(dsm_fd(dsm) == -ENOTSUP && strstr(dsm_error(), "dsm_dispatch()"));
#else
	CHECK(dsm_fd(dsm) >= 0);
#endif
	dsm_detach(&dsm);
}

static const struct { const char *name; void (*run)(void); } cases[] = {
	{ "table", case_table }, { "values", case_values }, { "large", case_large },
	{ "follow", case_follow }, { "follow-faulty", case_follow_faulty },
	{ "wait-times-out", case_wait_times_out }, { "request", case_request }, { "adds", case_adds },
	{ "manual", case_manual }, { "refusals", case_refusals }, { "keys-refused", case_keys_refused },
	{ "other-schemes", case_other_schemes },
};

int main(int argc, char **argv)
{
	unsigned passed = 0, n = sizeof(cases) / sizeof(cases[0]);
	if (argc != 3) {
		fprintf(stderr, "usage: udp-cases URI KEYFILE\n");
		return 2;
	}
	case_uri = argv[1];
	case_keys = argv[2];
	for (unsigned i = 0; i < n; i++) {
		failures = 0;
		cases[i].run();
		passed += failures == 0;
		printf("%s %s\n", failures ? "not ok" : "ok", cases[i].name);
		fflush(stdout);
	}
	printf("%u passed, %u failed\n", passed, n - passed);
	return passed == n ? 0 : 1;
}
