/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 of clients that own nothing: a reader in the midst of reading, one that waits, one with
 * requests on their way. The engine gets everything back, nobody else notices, and each add that was
 * answered is there once. Needs no kill points. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common/fixture.h"
#include "engine/engine.h"
#include "stress/plain.h"

#define ROUNDS 40
#define BOUND_MS 30000u
#define VICTIMS 3

static struct dsm_engine *engine;
static char uri[128];

/* Shared with the victims. */
static struct { atomic_ullong loops[VICTIMS], answered; } *board;

static struct dsm *attach(const char *owner)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	opts.owner = owner;
	if (dsm_attach(uri, &opts, &dsm))
		_exit(9);
	return dsm;
}

/* ---- victims; they end by being killed ---- */

static void read_on(struct dsm *dsm)
{
	struct dsm_cell cell = { 0 };
	struct dsm_sample s;
	dsm_cell(dsm, "setpoints.n", &cell);
	for (;; atomic_fetch_add(&board->loops[0], 1))
		if (dsm_read(dsm, cell, &s))
			_exit(1);
}

static void wait_on(struct dsm *dsm)
{
	struct dsm_group group = { 0 };
	struct dsm_frame *frame = NULL;
	struct dsm_frame_info info = { .seq = 0 };
	if (dsm_group(dsm, "setpoints", &group) || dsm_frame_new(dsm, group, &frame))
		_exit(1);
	for (;; atomic_fetch_add(&board->loops[1], 1))
		if (dsm_wait(dsm, group, info.seq, -1, frame) || dsm_frame_info(frame, &info))
			_exit(1);
}

static void ask_on(struct dsm *dsm)
{
	struct dsm_cell cell = { 0 };
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 };
	uint64_t tickets[16];
	dsm_cell(dsm, "drilling.count", &cell);
	for (;; atomic_fetch_add(&board->loops[2], 1)) {
		for (int i = 0; i < 16; i++)
			if (dsm_add_begin(dsm, cell, &one, NULL, &tickets[i]))
				_exit(1);
		for (int i = 0; i < 16; i++) {
			if (dsm_add_end(dsm, tickets[i], BOUND_MS, NULL))
				_exit(1);
			atomic_fetch_add(&board->answered, 1);
		}
	}
}

static pid_t start(int which)
{
	static void (*const what[VICTIMS])(struct dsm *) = { read_on, wait_on, ask_on };
	pid_t pid = fork();
	if (pid == 0) {
		what[which](attach(NULL));
		_exit(2);
	}
	return pid;
}

/* ---- what has to be so ---- */

static uint64_t counter(unsigned which)
{
	return atomic_load(&engine->region->counters[which]);
}

static bool becomes(bool (*so)(void))
{
	uint64_t end = plain_ms() + BOUND_MS;
	while (!so() && plain_ms() < end)
		plain_sleep_ms(1);
	return so();
}

static uint64_t loops_before[VICTIMS];

static bool all_have_moved(void)
{
	bool moved = true;
	for (int i = 0; i < VICTIMS; i++)
		moved &= atomic_load(&board->loops[i]) > loops_before[i];
	return moved;
}

static bool only_we_are_left(void)
{
	return counter(COUNTER_SESSIONS) == 2;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static int64_t value_of(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell = { 0 };
	struct dsm_sample s = { 0 };
	expect(dsm_cell(dsm, name, &cell) == 0 && dsm_read(dsm, cell, &s) == 0, "%s: %s", name, dsm_error());
	return s.value.i64;
}

static int64_t committed;

static void commit(struct dsm *w)
{
	struct dsm_cell cell = { 0 };
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = ++committed };
	expect(dsm_cell(w, "setpoints.n", &cell) == 0 && dsm_write(w, cell, &v) == 0, "commit: %s", dsm_error());
}

/* All three at once, at any moment: the owner goes on committing while they die. */
static void round_of(struct dsm *w, struct dsm *r, unsigned at)
{
	pid_t pids[VICTIMS];
	for (int i = 0; i < VICTIMS; i++) {
		loops_before[i] = atomic_load(&board->loops[i]);
		pids[i] = start(i);
	}
	uint64_t end = plain_ms() + BOUND_MS;
	while (!all_have_moved() && plain_ms() < end)
		commit(w);
	expect(all_have_moved(), "round %u: somebody does not begin", at);
	for (unsigned i = 0; i < at * 7 % 50; i++)
		commit(w);
	for (int i = 0; i < VICTIMS; i++) {
		int status = 0;
		kill(pids[i], SIGKILL);
		commit(w);
		waitpid(pids[i], &status, 0);
		expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "victim %d ended by itself: %x", i, status);
	}
	expect(becomes(only_we_are_left), "round %u: %llu sessions are left", at,
		(unsigned long long)counter(COUNTER_SESSIONS));
	expect(value_of(r, "setpoints.n") == committed, "round %u: a commit is missing", at);
	int64_t count = value_of(r, "drilling.count");
	int64_t answered = (int64_t)atomic_load(&board->answered);
	/* what was on its way when it died may have been carried out, 16 at most each time */
	expect(count >= answered && count <= answered + 17 * (int64_t)(at + 1), "round %u: %lld adds were answered, "
		"%lld are there", at, (long long)answered, (long long)count);
}

int main(void)
{
	char name[64];
	struct dsm_stats stats = { 0 };
	plain_begin(200);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!check(board != MAP_FAILED && fixture_engine(NULL, name, &engine) == 0, "engine: %s", dsm_error()))
		return plain_end();
	fixture_uri("shm", name, uri);
	struct dsm *w = attach("operator"), *r = attach(NULL);
	commit(w);
	round_of(w, r, 0);
	unsigned before = open_descriptors();
	for (unsigned i = 1; i < ROUNDS; i++)
		round_of(w, r, i);
	check(open_descriptors() == before, "%u descriptors are open, %u were", open_descriptors(), before);
	check(dsm_stats(w, &stats) == 0 && stats.commits == (uint64_t)committed, "commits that failed");
	check(counter(COUNTER_SLOW_CLIENTS) == 0 && counter(COUNTER_BAD_MESSAGES) == 0, "the engine complains");
	printf("%d clients killed, %lld commits, %llu adds answered\n", ROUNDS * VICTIMS, (long long)committed,
		(unsigned long long)atomic_load(&board->answered));
	dsm_detach(&w);
	dsm_detach(&r);
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
	return plain_end();
}
