/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller does to owners, and what has to be so afterwards. */
#include "owners.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

pid_t readers[READERS];
unsigned kills;

static uint64_t dice = UINT64_C(0x6b696c6c);

unsigned random_below(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice % n);
}

uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void reap(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

void kill_now(pid_t pid)
{
	kill(pid, SIGKILL);
	reap(pid);
	kills++;
}

/* It was told to die by itself. */
bool died(pid_t pid, const char *what)
{
	int status = 0;
	uint64_t until = now_ms() + BOUND_MS;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > until) {
			rig_check(false, "%s: never came to the point", what);
			kill_now(pid);
			return false;
		}
		rig_sleep_us(100);
	}
	kills++;
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return rig_check(killed || rig_lost(what), "%s: ended by itself", what) && killed;
}

/* ---- readers ---- */

void forget_roles(void)
{
	for (unsigned r = 0; r < ROLES; r++)
		memset(&board->roles[r], 0, sizeof(board->roles[r]));
}

void start_readers(void)
{
	for (unsigned i = 0; i < READERS; i++) {
		memset(&board->readers[i], 0, sizeof(board->readers[i]));
		readers[i] = rig_reader(i);
	}
	for (unsigned i = 0; i < READERS; i++)
		wait_for(atomic_load(&board->readers[i].loops) > 0, "reader %u does not start", i);
}

void readers_go_on(const char *when)
{
	for (unsigned i = 0; i < READERS; i++) {
		uint64_t before = atomic_load(&board->readers[i].loops);
		wait_for(atomic_load(&board->readers[i].loops) >= before + 2, "%s: reader %u hangs", when, i);
	}
}

void readers_see_stale(uint32_t role, bool stale, const char *when)
{
	for (unsigned i = 0; i < READERS; i++)
		wait_for(!(atomic_load(&board->readers[i].flags[role]) & DSM_STALE_OWNER) == !stale,
			"%s: reader %u sees flags %u of %s", when, i,
			atomic_load(&board->readers[i].flags[role]), role_names[role]);
}

void readers_are_right(const char *when)
{
	for (unsigned i = 0; i < READERS; i++) {
		struct seen_board *s = &board->readers[i];
		printf("  reader %u: %llu rounds, torn %llu, backwards %llu, failed %llu (last error %d)\n", i,
			(unsigned long long)s->loops, (unsigned long long)s->torn,
			(unsigned long long)s->backwards, (unsigned long long)s->errors, s->last_error);
		rig_check(s->torn == 0 && s->backwards == 0, "%s: reader %u: wrong values", when, i);
	}
}

void stop_readers(void)
{
	atomic_store(&board->stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		reap(readers[i]);
}

/* ---- owners ---- */

/* A live owner that has committed at least `more` times. */
pid_t start_owner(const struct owner_task *task, unsigned more)
{
	struct role_board *r = &board->roles[task->role];
	uint64_t before = atomic_load(&r->commits);
	pid_t pid = rig_owner(task);
	wait_for(atomic_load(&r->commits) >= before + more || atomic_load(&r->ended),
		"owner %s does not commit", role_names[task->role]);
	return pid;
}

void check_owner_gone(uint32_t role, const char *when)
{
	uint64_t acked = VALUE_NUMBER(atomic_load(&board->roles[role].acked[0]));
	/* first its last commit: a reader that has not seen that may show its predecessor's staleness */
	for (unsigned i = 0; i < READERS; i++)
		wait_for(atomic_load(&board->readers[i].seq[role]) >= acked, "%s: reader %u sees seq %llu of %s, "
			"%llu was reported", when, i, (unsigned long long)board->readers[i].seq[role],
			role_names[role], (unsigned long long)acked);
	readers_see_stale(role, true, when);
}

void kill_owner_at(uint32_t role, const char *point, bool whole)
{
	struct owner_task task = { .role = role };
	uint32_t epoch = 0, grants = 0;
	bool there = false;
	snprintf(task.point, sizeof(task.point), "%s:%u", point, 1 + random_below(60));
	for (int i = 0; i < 3 && !there; i++) { /* a network may lose an owner before it gets there */
		epoch = atomic_load(&board->roles[role].epoch);
		grants = atomic_load(&board->roles[role].grants);
		there = died(rig_owner(&task), task.point);
		if (!there && !board->rdma[0])
			return;
	}
	if (!rig_check(there, "%s: not reached", task.point))
		return;
	rig_check(board->roles[role].grants == grants + 1 && board->roles[role].epoch > epoch,
		"%s: not granted", task.point);
	check_owner_gone(role, task.point);
	/* the slot was whole and only the pulse was missing: the engine sets it */
	uint64_t newest = VALUE_NUMBER(atomic_load(&board->roles[role].acked[0])) + 1;
	for (unsigned i = 0; i < READERS && whole; i++)
		wait_for(atomic_load(&board->readers[i].seq[role]) == newest, "%s: reader %u sees seq %llu of %s, "
			"not %llu", task.point, i, (unsigned long long)board->readers[i].seq[role],
			role_names[role], (unsigned long long)newest);
}

/* At any moment of its life: also while it attaches. */
void kill_owner_at_random(uint32_t role)
{
	struct owner_task task = { .role = role };
	pid_t pid = rig_owner(&task);
	rig_sleep_us((random_below(4) ? 2000 + random_below(6000) : random_below(2500)) * board->slow);
	kill_now(pid);
	if (atomic_load(&board->roles[role].epoch))
		check_owner_gone(role, "random");
}

/* Its child has everything that was open, but not the role. */
void child_keeps_no_role(uint32_t role)
{
	struct owner_task task = { .role = role, .fork_child = true };
	pid_t pid = start_owner(&task, 3);
	pid_t child = atomic_load(&board->roles[role].child);
	kill_now(pid);
	check_owner_gone(role, "owner with a child");
	rig_check(kill(child, 0) == 0, "the child is gone too");
	task.fork_child = false;
	pid = start_owner(&task, 3);
	rig_check(atomic_load(&board->roles[role].ended) == 0, "a forked child keeps the role alive");
	kill_now(pid);
	kill(child, SIGKILL); /* init reaps it */
}

/* What it was told is done, its successor has found; and it learns that it was superseded. */
static void check_superseded(uint32_t role, pid_t old, uint64_t found)
{
	struct role_board *r = &board->roles[role];
	wait_for(atomic_load(&r->ended) != 0, "a superseded owner goes on committing");
	int why = atomic_load(&r->ended);
	rig_check(why == -EOWNERDEAD || (why == -ENOTCONN && rig_lost("a superseded owner")), "a superseded owner gets %d", r->ended);
	rig_check(atomic_load(&r->ended_seq) <= found, "seq %llu of %s was acknowledged to the superseded owner, its "
		"successor found %llu", (unsigned long long)r->ended_seq, role_names[role], (unsigned long long)found);
	reap(old);
}

/* Each successor is the next one's victim: a take-over costs one attach. */
void replace_busy_owners(uint32_t role, unsigned times)
{
	struct role_board *r = &board->roles[role];
	struct owner_task task = { .role = role, .busy = true };
	pid_t old = start_owner(&task, 10);
	task.take_over = true;
	for (unsigned i = 0; i < times; i++) {
		uint32_t epoch = atomic_load(&r->epoch);
		rig_sleep_us(random_below(1000) * board->slow);
		atomic_store(&r->found_seq, UINT64_MAX);
		uint64_t before = atomic_load(&r->commits);
		pid_t fresh = rig_owner(&task);
		wait_for(atomic_load(&r->found_seq) != UINT64_MAX, "take-over: the successor finds nothing");
		rig_check(atomic_load(&r->epoch) == epoch + 1, "take-over: epoch %u after %u", r->epoch, epoch);
		check_superseded(role, old, atomic_load(&r->found_seq));
		wait_for(atomic_load(&r->commits) >= before + 10, "take-over: the successor does not commit");
		readers_see_stale(role, false, "after take-over");
		old = fresh;
	}
	kill_now(old);
	check_owner_gone(role, "successor of a busy one");
}

/* Stopped, replaced, continued: nothing of what it still writes is ever seen (readers would see
 * an older epoch), and it learns that it was superseded. */
void stop_owner(uint32_t role)
{
	struct role_board *r = &board->roles[role];
	struct owner_task task = { .role = role, .busy = true }, next = { .role = role, .take_over = true };
	uint64_t errors[READERS];
	pid_t old = start_owner(&task, 10);
	uint32_t epoch = atomic_load(&r->epoch);
	rig_sleep_us(random_below(3000) * board->slow);
	kill(old, SIGSTOP);
	pid_t fresh = start_owner(&next, 3);
	rig_check(atomic_load(&r->epoch) == epoch + 1, "take-over: epoch %u after %u", r->epoch, epoch);
	for (unsigned i = 0; i < READERS; i++)
		wait_for(atomic_load(&board->readers[i].epoch[role]) == epoch + 1, "reader %u does not see "
			"the successor", i);
	readers_see_stale(role, false, "after take-over");
	/* the successor is quiet now, so a late write would stay to be seen */
	kill(fresh, SIGSTOP);
	readers_go_on("quiet successor");
	for (unsigned i = 0; i < READERS; i++)
		errors[i] = atomic_load(&board->readers[i].errors);
	atomic_store(&r->ended, 0);
	kill(old, SIGCONT);
	check_superseded(role, old, atomic_load(&r->found_seq));
	readers_go_on("superseded owner");
	for (unsigned i = 0; i < READERS; i++) {
		rig_check(atomic_load(&board->readers[i].epoch[role]) == epoch + 1, "reader %u sees epoch %u", i,
			board->readers[i].epoch[role]);
		rig_check(atomic_load(&board->readers[i].errors) == errors[i], "reader %u cannot read after late "
			"writes (%d)", i, board->readers[i].last_error);
	}
	kill(fresh, SIGCONT);
	kill_now(fresh);
	check_owner_gone(role, "successor");
}
