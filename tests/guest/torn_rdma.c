/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torn_rdma [--scheme rdma|shm] [--seconds S] [--accepted N] [--control]: no torn read over the
 * network. Slots of 64 B to 64 KiB, K = 2 and 4, an owner in local memory and one across the
 * transport, saturating and paced. Wants N accepted reads, none torn, some refused; and where K
 * satisfies the rule K >= 1 + ceil(p99 of a read / commit interval), 99 % at the first try. Every
 * combination has its share of N.
 * --control (test_hooks build): the reader ignores the check word, and a torn read of either owner
 * must show.
 */
#include "torn_rdma.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/packets.h"
#include "stress/plain.h"

#define SAMPLES 20000u
#define TRIES 16u        /* of one read; a saturating writer may outrun a ring for ever */
#define CONTROL_SECONDS 60.0
#define JUDGED_MIN 200u  /* reads below which 99 % is not a number */
#define SHARES 64.0      /* all rows together */

/* By size: accepted reads that each combination has to bring, and its share of the time: where a read
 * takes longest, tearing is likeliest. */
static const uint64_t accepted_min[SIZES] = { 1000, 1000, 1000, 1000, 300, 200 };
static const double share_of[SIZES] = { 1, 1, 1, 1, 1.5, 2.5 };

struct tally { uint64_t accepted, refused, torn, backwards, first, reads, failed; };

struct reader {
	struct dsm *dsm;
	struct torn_board *board;
	uint64_t floor[OWNERS][SIZES][2];
	double *samples, p99;
	unsigned sampled;
	/* from one commit to the next: a quarter of the times are shorter. Not the mean, which an owner that stands
	 * still once makes long for all its other commits too */
	double *gaps, gap;
	unsigned gap_count;
};

static struct torn_board *board;
static double seconds = 60;
static uint64_t wanted = 200000;
static bool rdma = true, control;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one read ---- */

static bool whole(struct dsm_frame *frame, struct dsm_cell cell, const struct dsm_frame_info *info)
{
	struct dsm_sample s;
	if (dsm_frame_read(frame, cell, &s))
		return false;
	if (info->seq == 0)
		return s.quality == DSM_NEVER_WRITTEN;
	bool good = info->time_ns == torn_time(info->seq) && s.changed_ns == torn_time(info->seq) &&
		s.quality == DSM_GOOD;
	if (s.value.type == DSM_U64)
		return good && s.value.u64 == torn_word(info->seq, 0);
	const uint64_t *words = s.value.bytes;
	for (uint32_t i = 0; i < s.value.len / 8; i++)
		good &= words[i] == torn_word(info->seq, i);
	return good;
}

static void read_once(struct reader *r, const struct row *row, struct dsm_group group,
	struct dsm_cell cell, struct dsm_frame *frame, struct tally *t)
{
	struct dsm_stats before, after;
	struct dsm_frame_info info;
	dsm_stats(r->dsm, &before);
	double began = now_s();
	int rc = dsm_snapshot(r->dsm, group, frame);
	double took = now_s() - began;
	dsm_stats(r->dsm, &after);
	t->reads++;
	t->refused += after.retries - before.retries;
	if (r->sampled < SAMPLES && rc == 0)
		r->samples[r->sampled++] = took;
	if (rc) {
		t->refused++;
		t->failed += rc != -EAGAIN && rc != -ETIMEDOUT;
		if (rc != -EAGAIN && rc != -ETIMEDOUT && t->failed == 1)
			printf("read: %d %s\n", rc, dsm_error());
		return;
	}
	dsm_frame_info(frame, &info);
	t->accepted++;
	t->first += after.retries == before.retries;
	t->torn += !whole(frame, cell, &info);
	uint64_t *floor = &r->floor[row->owner][row->size][row->slots == 4];
	t->backwards += info.seq < *floor;
	*floor = info.seq > *floor ? info.seq : *floor;
}

/* ---- one row ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double percentile(double *samples, unsigned n, double p)
{
	qsort(samples, n, sizeof(*samples), by_value);
	return n ? samples[(unsigned)(p * (n - 1))] : 0;
}

/* The owner begins (turn becomes odd) or ends; waits until it has taken notice. */
static bool order(const struct row *row, uint64_t pace_ns)
{
	struct orders *o = &board->owner[row->owner];
	o->size = row->size;
	o->slots = row->slots;
	o->pace_ns = pace_ns;
	uint32_t turn = atomic_fetch_add(&o->turn, 1) + 1;
	for (int i = 0; i < 20000 && atomic_load(&o->seen) != turn && !atomic_load(&o->error); i++)
		plain_sleep_ms(1);
	return atomic_load(&o->seen) == turn;
}

/* What a read of this size costs while nobody writes: the pace is made from it. */
static double quiet_p99(struct reader *r, const struct row *row, struct dsm_group group,
	struct dsm_cell cell, struct dsm_frame *frame)
{
	struct tally t = { 0 };
	r->sampled = 0;
	for (int i = 0; i < 60; i++)
		read_once(r, row, group, cell, frame, &t);
	return percentile(r->samples, r->sampled, 0.99);
}

/* The time that each of the owner's commits took since the last that was seen. */
static void look_at_commits(struct reader *r, const struct row *row, uint64_t *commits, double *since)
{
	uint64_t n = atomic_load(&board->owner[row->owner].commits) - *commits;
	double now = now_s();
	if (n == 0)
		return;
	if (r->gap_count < SAMPLES)
		r->gaps[r->gap_count++] = (now - *since) / (double)n;
	*commits += n;
	*since = now;
}

static bool run_row(struct reader *r, const struct row *row, double share, uint64_t more, struct tally *t)
{
	char name[80];
	struct dsm_group group;
	struct dsm_cell cell;
	struct dsm_frame *frame = NULL;
	torn_group_name(row, name);
	int rc = dsm_group(r->dsm, name, &group);
	strcat(name, ".v");
	if (rc || dsm_cell(r->dsm, name, &cell) || dsm_frame_new(r->dsm, group, &frame))
		return check(false, "%s: %s", name, dsm_error());
	double quiet = row->paced ? quiet_p99(r, row, group, cell, frame) : 0;
	uint64_t pace_ns = row->paced ? (uint64_t)(quiet * 2e9 / (row->slots - 1)) + 1000 : 0;
	uint64_t commits = atomic_load(&board->owner[row->owner].commits);
	bool good = check(order(row, pace_ns), "%s: the owner does not commit", name);
	double began = now_s(), since = began;
	r->sampled = r->gap_count = 0;
	while (good && (now_s() - began < share || (t->accepted < more && now_s() - began < 90))) {
		for (int i = 0; i < 8; i++)
			read_once(r, row, group, cell, frame, t);
		look_at_commits(r, row, &commits, &since);
		if (control && t->torn)
			break;
	}
	good &= check(order(row, 0), "%s: the owner does not stop", name);
	r->p99 = percentile(r->samples, r->sampled, 0.99);
	r->gap = percentile(r->gaps, r->gap_count, 0.25);
	dsm_frame_free(&frame);
	return good;
}

static void print_row(const struct row *row, const struct reader *r, const struct tally *t, const char *judged)
{
	printf("%6u B K=%u %-4s %-10s accepted %7llu refused %7llu first try %6.2f%% p99 %8.0f us "
		"a commit each %8.0f us torn %llu backwards %llu%s\n", torn_sizes[row->size], row->slots,
		row->owner == NEAR ? "near" : "far", row->paced ? "paced" : "saturating",
		(unsigned long long)t->accepted, (unsigned long long)t->refused,
		t->reads ? 100.0 * (double)t->first / (double)t->reads : 0, r->p99 * 1e6,
		r->gap * 1e6, (unsigned long long)t->torn,
		(unsigned long long)t->backwards, judged);
}

/* ---- all rows ---- */

static unsigned make_rows(struct row *rows)
{
	unsigned n = 0;
	for (unsigned size = 0; size < SIZES; size++)
		for (unsigned owner = 0; owner < OWNERS; owner++)
			for (uint32_t slots = 2; slots <= 4; slots *= 2)
				for (unsigned paced = 0; paced < 2; paced++)
					rows[n++] = (struct row){ size, owner, slots, paced };
	return n;
}

static void add(struct tally *sum, const struct tally *t)
{
	sum->accepted += t->accepted;
	sum->refused += t->refused;
	sum->torn += t->torn;
	sum->backwards += t->backwards;
}

/* Rows on which the rule holds by what was measured in the row itself. */
static bool rule_holds(const struct row *row, const struct reader *r, const struct tally *t)
{
	return r->gap > 0 && row->slots >= 1 + ceil(r->p99 / r->gap) && t->reads >= JUDGED_MIN;
}

static bool judge(const struct row *row, const struct reader *r, const struct tally *t, unsigned *ruled)
{
	bool rule = rule_holds(row, r, t), first = (double)t->first >= 0.99 * (double)t->reads;
	*ruled += rule;
	print_row(row, r, t, rule ? "  K satisfies the rule" : "");
	check(t->torn == 0, "%llu torn reads accepted", (unsigned long long)t->torn);
	check(t->backwards == 0, "%llu reads ran backwards", (unsigned long long)t->backwards);
	check(t->failed == 0, "%llu reads failed", (unsigned long long)t->failed);
	check(!rdma || t->accepted >= accepted_min[row->size], "%llu accepted reads are wanted here",
		(unsigned long long)accepted_min[row->size]);
	/* of a row that is over in milliseconds too little is seen for that; rows over rdma last for seconds */
	return check(!rdma || !rule || first, "K satisfies the rule, and only %llu of %llu came at the first try",
		(unsigned long long)t->first, (unsigned long long)t->reads);
}

static void run_all(struct reader *r)
{
	struct row rows[64], bulk = { 1, NEAR, 4, false };
	unsigned n = make_rows(rows), ruled = 0;
	struct tally sum[OWNERS] = { 0 };
	uint64_t packets = packets_sent();
	for (unsigned i = 0; i < n; i++) {
		struct tally t = { 0 };
		uint64_t least = rdma ? accepted_min[rows[i].size] : 0;
		if (run_row(r, &rows[i], seconds / SHARES * share_of[rows[i].size], least, &t))
			judge(&rows[i], r, &t, &ruled);
		add(&sum[rows[i].owner], &t);
	}
	for (bulk.owner = NEAR; bulk.owner < OWNERS; bulk.owner++) { /* what is missing of the number */
		struct tally t = { 0 };
		uint64_t have = sum[NEAR].accepted + sum[FAR].accepted, missing = have < wanted ? wanted - have : 0;
		if (!missing)
			break;
		if (run_row(r, &bulk, 0, bulk.owner == NEAR ? missing / 2 : missing, &t))
			judge(&bulk, r, &t, &ruled);
		add(&sum[bulk.owner], &t);
	}
	uint64_t accepted = sum[NEAR].accepted + sum[FAR].accepted;
	printf("accepted %llu (near %llu, far %llu), refused %llu and %llu, torn %llu; K satisfied the rule in "
		"%u rows\n", (unsigned long long)accepted, (unsigned long long)sum[NEAR].accepted,
		(unsigned long long)sum[FAR].accepted, (unsigned long long)sum[NEAR].refused,
		(unsigned long long)sum[FAR].refused, (unsigned long long)(sum[NEAR].torn + sum[FAR].torn), ruled);
	check(accepted >= wanted, "%llu accepted reads are wanted", (unsigned long long)wanted);
	if (!rdma)
		return; /* tests/stress/torn is for mapped memory; this run only tries the program out */
	check(ruled >= 4, "K satisfied the rule in %u rows only", ruled);
	check(sum[NEAR].refused > 0, "nothing of the near owner was refused: this stress sees no overlap");
	check(sum[FAR].refused > 0, "nothing of the far owner was refused: this stress sees no overlap");
	check(packets_sent() - packets >= accepted, "fewer packets than reads: not over this device");
}

/* The same reader without the check: it must accept a torn read. */
static void run_control(struct reader *r)
{
#ifdef DSM_TEST_HOOKS
	struct row rows[64];
	unsigned n = make_rows(rows);
	struct tally sum[OWNERS] = { 0 };
	double began = now_s();
	if (!rdma)
		sum[NEAR].torn = 1; /* mapped memory of its own machine is not verified */
	dsm__ignore_check(true);
	while ((!sum[NEAR].torn || !sum[FAR].torn) && now_s() - began < CONTROL_SECONDS)
		for (unsigned i = n; i-- > 0 && now_s() - began < CONTROL_SECONDS;) { /* large ones first */
			struct tally t = { 0 }, *of = &sum[rows[i].owner];
			if (of->torn || !run_row(r, &rows[i], 0.5, 0, &t))
				continue;
			add(of, &t);
			if (t.torn)
				print_row(&rows[i], r, &t, "");
		}
	for (unsigned owner = rdma ? NEAR : FAR; owner < OWNERS; owner++) {
		printf("control, no check, %s owner: %llu torn of %llu accepted\n", owner == NEAR ? "near" : "far",
			(unsigned long long)sum[owner].torn, (unsigned long long)sum[owner].accepted);
		check(sum[owner].torn > 0, "without the check no torn read was accepted: this stress would not see "
			"the fault");
	}
#else
	(void)r;
#endif
}

/* ---- processes ---- */

static pid_t start(int (*run)(void *), void *argument)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(argument) ? 1 : 0);
	}
	return pid;
}

static int start_engine(void *argument) { (void)argument; return torn_engine(board, rdma); }
static int start_owner(void *argument) { return torn_owner(board, *(const enum torn_owner *)argument); }

static bool becomes_ready(const _Atomic int *word)
{
	for (int i = 0; i < 2000 && atomic_load(word) == 0; i++)
		plain_sleep_ms(10);
	return atomic_load(word) == 1;
}

static int make_addresses(void)
{
	char address[64];
	snprintf(board->name, sizeof(board->name), "torn-%d", (int)getpid());
	snprintf(board->near_uri, sizeof(board->near_uri), "shm://%s", board->name);
	snprintf(board->uri, sizeof(board->uri), "shm://%s", board->name);
	if (rdma && device_address(address))
		return -ENODEV;
	if (rdma)
		snprintf(board->uri, sizeof(board->uri), "rdma://%s:%d", address, 7463);
	return 0;
}

static void attach_and_run(void)
{
	static const enum torn_owner both[OWNERS] = { NEAR, FAR };
	struct reader r = { .board = board, .samples = calloc(SAMPLES, sizeof(double)),
		.gaps = calloc(SAMPLES, sizeof(double)) };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_region_info info;
	pid_t engine = start(start_engine, NULL), owners[OWNERS] = { 0 };
	bool good = check(becomes_ready(&board->engine_ready), "the engine does not start");
	for (unsigned i = 0; good && i < OWNERS; i++) {
		owners[i] = start(start_owner, (void *)(uintptr_t)&both[i]);
		good = check(becomes_ready(&board->owner[i].ready), "owner %u does not attach", i);
	}
	opts.attach_timeout_ms = 15000;
	opts.tries = TRIES;
	good = good && check(r.samples && r.gaps && dsm_attach(board->uri, &opts, &r.dsm) == 0, "attach: %s", dsm_error());
	if (good && dsm_region_info(r.dsm, &info) == 0 &&
	    check(strcmp(info.transport, rdma ? "rdma" : "shm") == 0, "it is %s", info.transport)) {
		if (control)
			run_control(&r);
		else
			run_all(&r);
	}
	dsm_detach(&r.dsm);
	free(r.samples);
	free(r.gaps);
	atomic_store(&board->stop, 1);
	for (unsigned i = 0; i < OWNERS; i++)
		if (owners[i] > 0)
			waitpid(owners[i], NULL, 0);
	waitpid(engine, NULL, 0);
}

static bool take_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;
		if (strcmp(argv[i], "--control") == 0)
			control = true;
		else if (strcmp(argv[i], "--scheme") == 0 && more)
			rdma = strcmp(argv[++i], "rdma") == 0;
		else if (strcmp(argv[i], "--seconds") == 0 && more)
			seconds = atof(argv[++i]);
		else if (strcmp(argv[i], "--accepted") == 0 && more)
			wanted = strtoull(argv[++i], NULL, 10);
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	if (!take_options(argc, argv)) {
		fprintf(stderr, "usage: %s [--scheme rdma|shm] [--seconds S] [--accepted N] [--control]\n", argv[0]);
		return 2;
	}
#ifndef DSM_TEST_HOOKS
	if (control) {
		printf("skipped: the control needs a build with -Dtest_hooks=true\n");
		return 77;
	}
#endif
	plain_begin((unsigned)seconds + 300);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	if (make_addresses()) {
		printf("skipped: no RDMA device with an IPv4 address here\n");
		return 77;
	}
	attach_and_run();
	return plain_end();
}
