/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify [--control]: who sleeps on the engine's machine is woken by a commit that an owner made from
 * afar with one-sided WRITEs: the owner tells the engine on its second connection, the engine wakes.
 * The wait is the transport's own, which nothing else ends (dsm_wait looks each second by itself, so it
 * would hide a lost message). Bursts: woken for the last one, and by far fewer messages than commits.
 * --control (test_hooks build): the owner says nothing, and the wait must end by its time limit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "client/handle.h"
#include "core/hooks.h"
#include "guest/own_engine.h"
#define PLAIN_SHARED
#include "stress/plain.h"

#define BURST 400u
#define BURSTS 5u
#define SINGLES 5u
#define NS_PER_MS UINT64_C(1000000)
#define WAIT_MS 40000u      /* of a message that comes: milliseconds */
#define MUTED_MS 4000u

static struct board {
	_Atomic uint32_t wanted, done;  /* commits: told to the owner; made by it */
	_Atomic int owner;              /* 1 ready, else a negative errno */
	_Atomic uint32_t stop;
	bool muted;
} *board;

atomic_uint plain_passed, plain_failed;

/* ---- engine, owner ---- */

static int make_table(struct dsm_table **out)
{
	struct dsm_owner_spec owner = { "far", true, "*" };
	struct dsm_group_spec group = { "far", "far.g", "", 0, 0, false };
	struct dsm_cell_spec cell = { .group = "far.g", .name = "n", .unit = "", .description = "",
		.type = DSM_U64, .precision = -1 };
	int rc = dsm_table_new("notify", out);
	rc = rc ? rc : dsm_table_owner(*out, &owner);
	rc = rc ? rc : dsm_table_group(*out, &group);
	return rc ? rc : dsm_table_cell(*out, &cell);
}

static const struct own_engine_kind kind = { "notify", 7466, 0, make_table, NULL };
static struct own_engine engine;

static int run_owner(void)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_cell cell;
	opts.owner = "far";
	opts.attach_timeout_ms = 15000;
#ifdef DSM_TEST_HOOKS
	dsm__mute_notify(board->muted);
#endif
	int rc = dsm_attach(engine.far, &opts, &dsm);
	rc = rc ? rc : dsm_cell(dsm, "far.g.n", &cell);
	if (rc)
		printf("owner: %s\n", dsm_error());
	atomic_store(&board->owner, rc ? rc : 1);
	while (rc == 0 && !atomic_load(&board->stop)) {
		uint32_t n = atomic_load(&board->done);
		if (n == atomic_load(&board->wanted)) {
			plain_sleep_ms(1);
			continue;
		}
		struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = n + 1 };
		rc = dsm_write(dsm, cell, &v);
		if (rc)
			printf("owner: commit %u: %s\n", n + 1, dsm_error());
		else
			atomic_store(&board->done, n + 1);
	}
	atomic_store(&board->owner, rc ? rc : 1);
	dsm_detach(&dsm);
	return rc;
}

/* ---- the waiter ---- */

struct waiter { struct dsm *dsm; struct dsm_group group; uint32_t index; };

static int note_notified(const char *name, const char *what, uint64_t value, void *context)
{
	(void)what;
	if (strcmp(name, "notified") == 0)
		*(uint64_t *)context = value;
	return 0;
}

static uint64_t notified(struct waiter *w)
{
	uint64_t n = 0;
	dsm_foreach_counter(w->dsm, note_notified, &n);
	return n;
}

static uint64_t newest(struct waiter *w)
{
	return w->dsm->ops->newest(w->dsm->conn, w->index);
}

/* Sleeps until `seq` is there; each sleep is ended by a wake-up or takes limit_ms. How many were not. */
static unsigned sleep_until(struct waiter *w, uint64_t seq, unsigned limit_ms, unsigned *sleeps)
{
	static const _Atomic uint32_t never;
	unsigned unwoken = 0;
	uint64_t since;
	struct transport_watch watch = { 1, &w->index, &since };
	for (*sleeps = 0; newest(w) < seq && *sleeps < 10 * BURST && !unwoken; ++*sleeps) {
		uint64_t began = plain_ms();
		since = newest(w);
		w->dsm->ops->wait(w->dsm->conn, &watch, &never, 0, limit_ms * NS_PER_MS);
		unwoken += plain_ms() - began >= limit_ms;
	}
	return unwoken;
}

/* One order of `n` commits while this thread sleeps. */
static void order(struct waiter *w, unsigned n, unsigned limit_ms, unsigned *woken, uint64_t *messages)
{
	uint64_t before = notified(w), seq = newest(w);
	unsigned sleeps;
	atomic_fetch_add(&board->wanted, n);
	unsigned unwoken = sleep_until(w, seq + n, limit_ms, &sleeps);
	for (int i = 0; i < 20000 && atomic_load(&board->owner) == 1 &&
	     atomic_load(&board->done) != atomic_load(&board->wanted); i++)
		plain_sleep_ms(1);
	check(newest(w) == seq + n, "%u commits were ordered, %llu are there", n, (unsigned long long)(newest(w) - seq));
	*woken = unwoken == 0;
	*messages = notified(w) - before;
	printf("  %u commits: %u sleeps, %u not ended by a wake-up; the engine was told %llu times\n", n, sleeps, unwoken,
		(unsigned long long)*messages);
}

static void run_all(struct waiter *w)
{
	uint64_t messages, sum = 0;
	unsigned woken;
	for (unsigned i = 0; i < SINGLES; i++) {
		order(w, 1, WAIT_MS, &woken, &messages);
		check(woken, "one commit: nobody woke who waited for it");
	}
	for (unsigned i = 0; i < BURSTS; i++) {
		order(w, BURST, WAIT_MS, &woken, &messages);
		check(woken, "a burst: nobody woke who waited for its last commit");
		sum += messages;
	}
	check(sum > 0 && sum < BURSTS * BURST, "%u commits in bursts, and the engine was told %llu times",
		BURSTS * BURST, (unsigned long long)sum);
}

/* The same, muted: it must show. */
static void run_control(struct waiter *w)
{
	uint64_t messages;
	unsigned woken;
	order(w, 1, MUTED_MS, &woken, &messages);
	check(!woken && messages == 0, "no message was sent, and who waited woke: this test would not see the fault");
}

static bool becomes_ready(const _Atomic int *word)
{
	for (int i = 0; i < 3000 && atomic_load(word) == 0; i++)
		plain_sleep_ms(10);
	return atomic_load(word) == 1;
}

static void attach_and_run(void)
{
	struct waiter w = { 0 };
	struct dsm_region_info info;
	pid_t owner = own_process(run_owner);
	bool good = check(becomes_ready(&board->owner), "the owner does not attach");
	good = good && check(dsm_attach(engine.near, NULL, &w.dsm) == 0 && dsm_group(w.dsm, "far.g", &w.group) == 0 &&
		handle_group(w.dsm, w.group, &w.index) == 0, "attach: %s", dsm_error());
	if (good && check(dsm_region_info(w.dsm, &info) == 0 && strcmp(info.transport, "shm") == 0, "not over shm")) {
		if (board->muted)
			run_control(&w);
		else
			run_all(&w);
	}
	dsm_detach(&w.dsm);
	atomic_store(&board->stop, 1);
	if (owner > 0)
		waitpid(owner, NULL, 0);
}

int main(int argc, char **argv)
{
	bool control = argc == 2 && strcmp(argv[1], "--control") == 0;
	if (argc > 1 && !control) {
		fprintf(stderr, "usage: %s [--control]\n", argv[0]);
		return 2;
	}
#ifndef DSM_TEST_HOOKS
	if (control) {
		printf("skipped: the control needs a build with -Dtest_hooks=true\n");
		return 77;
	}
#endif
	plain_begin(600);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	board->muted = control;
	int rc = own_engine_start(&kind, &engine);
	if (rc == 77)
		return rc;
	if (rc == 0)
		attach_and_run();
	own_engine_end(&engine);
	return plain_end();
}
