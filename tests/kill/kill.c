/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 of anything at any point: at named points of a commit and of a save, and at random
 * moments, at least 500 in all. Nobody hangs, no wrong value is read, the last complete commit
 * stays readable, nothing stays behind. Then SIGSTOP: a fenced owner's late writes reach
 * nobody, readers outlive a stopped engine. Needs -Dtest_hooks=true.
 */
#include "rig.h"

#include <dsm/dsm.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef DSM_TEST_HOOKS

static pid_t engine, readers[READERS];
static unsigned kills;
static uint64_t dice = UINT64_C(0x6b696c6c);

static unsigned random_below(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice % n);
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void sleep_us(unsigned us)
{
	struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };
	nanosleep(&t, NULL);
}

/* Waits for `condition`; a hang is a failure, and then this is false. */
#define wait_for(condition, ...) __extension__ ({ \
	uint64_t until_ = now_ms() + BOUND_MS; \
	while (!(condition) && now_ms() < until_) \
		sleep_us(100); \
	rig_check((condition), __VA_ARGS__); })

static void reap(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

static void kill_now(pid_t pid)
{
	kill(pid, SIGKILL);
	reap(pid);
	kills++;
}

/* It was told to die by itself. */
static bool died(pid_t pid, const char *what)
{
	int status = 0;
	uint64_t until = now_ms() + BOUND_MS;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > until) {
			rig_check(false, "%s: never came to the point", what);
			kill_now(pid);
			return false;
		}
		sleep_us(100);
	}
	kills++;
	return rig_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: ended by itself", what);
}

/* ---- the rig ---- */

static void start_engine(const char *point, bool saves)
{
	engine = rig_engine(point, saves);
	wait_for(atomic_load(&board->engine_up), "the engine does not start");
}

static void forget_roles(void)
{
	for (unsigned r = 0; r < ROLES; r++)
		memset(&board->roles[r], 0, sizeof(board->roles[r]));
}

static void start_readers(void)
{
	for (unsigned i = 0; i < READERS; i++) {
		memset(&board->readers[i], 0, sizeof(board->readers[i]));
		readers[i] = rig_reader(i);
	}
	for (unsigned i = 0; i < READERS; i++)
		wait_for(atomic_load(&board->readers[i].loops) > 0, "reader %u does not start", i);
}

static void readers_go_on(const char *when)
{
	for (unsigned i = 0; i < READERS; i++) {
		uint64_t before = atomic_load(&board->readers[i].loops);
		wait_for(atomic_load(&board->readers[i].loops) >= before + 2, "%s: reader %u hangs", when, i);
	}
}

static void readers_see_stale(uint32_t role, bool stale, const char *when)
{
	for (unsigned i = 0; i < READERS; i++)
		wait_for(!(atomic_load(&board->readers[i].flags[role]) & DSM_STALE_OWNER) == !stale,
			"%s: reader %u sees flags %u of %s", when, i,
			atomic_load(&board->readers[i].flags[role]), role_names[role]);
}

static void readers_are_right(const char *when)
{
	for (unsigned i = 0; i < READERS; i++) {
		struct seen_board *s = &board->readers[i];
		printf("  reader %u: %llu rounds, torn %llu, backwards %llu, failed %llu (last error %d)\n", i,
			(unsigned long long)s->loops, (unsigned long long)s->torn,
			(unsigned long long)s->backwards, (unsigned long long)s->errors, s->last_error);
		rig_check(s->torn == 0 && s->backwards == 0, "%s: reader %u: wrong values", when, i);
	}
}

static void stop_all(void)
{
	atomic_store(&board->stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		reap(readers[i]);
	reap(engine);
	atomic_store(&board->stop, 0);
}

/* A live owner that has committed at least `more` times. */
static pid_t start_owner(const struct owner_task *task, unsigned more)
{
	struct role_board *r = &board->roles[task->role];
	uint64_t before = atomic_load(&r->commits);
	pid_t pid = rig_owner(task);
	wait_for(atomic_load(&r->commits) >= before + more || atomic_load(&r->ended),
		"owner %s does not commit", role_names[task->role]);
	return pid;
}

/* ---- owners ---- */

static void check_owner_gone(uint32_t role, const char *when)
{
	uint64_t acked = VALUE_NUMBER(atomic_load(&board->roles[role].acked[0]));
	readers_see_stale(role, true, when);
	for (unsigned i = 0; i < READERS; i++)
		wait_for(atomic_load(&board->readers[i].seq[role]) >= acked, "%s: reader %u sees seq %llu of %s, "
			"%llu was reported", when, i, (unsigned long long)board->readers[i].seq[role],
			role_names[role], (unsigned long long)acked);
}

static void kill_owner_at(uint32_t role, const char *point)
{
	struct owner_task task = { .role = role };
	uint32_t epoch = atomic_load(&board->roles[role].epoch), grants = atomic_load(&board->roles[role].grants);
	snprintf(task.point, sizeof(task.point), "%s:%u", point, 1 + random_below(60));
	if (!died(rig_owner(&task), task.point))
		return;
	rig_check(board->roles[role].grants == grants + 1 && board->roles[role].epoch > epoch,
		"%s: not granted", task.point);
	check_owner_gone(role, task.point);
	/* the slot was whole and only the pulse was missing: the engine sets it */
	uint64_t whole = VALUE_NUMBER(atomic_load(&board->roles[role].acked[0])) + 1;
	for (unsigned i = 0; i < READERS && strcmp(point, "before-pulse") == 0; i++)
		wait_for(atomic_load(&board->readers[i].seq[role]) == whole, "%s: reader %u sees seq %llu of %s, "
			"not %llu", task.point, i, (unsigned long long)board->readers[i].seq[role],
			role_names[role], (unsigned long long)whole);
}

/* At any moment of its life: also while it attaches. */
static void kill_owner_at_random(uint32_t role)
{
	struct owner_task task = { .role = role };
	pid_t pid = rig_owner(&task);
	sleep_us(random_below(4) ? 2000 + random_below(6000) : random_below(2500));
	kill_now(pid);
	if (atomic_load(&board->roles[role].epoch))
		check_owner_gone(role, "random");
}

static void kill_owners(unsigned rounds)
{
	static const char *const points[] = { "after-invalidate", "mid-payload", "before-seq", "before-pulse" };
	struct debris before = { 0 }, after;
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned p = 0; p < 4; p++)
			for (uint32_t role = 0; role < ROLES; role++) {
				kill_owner_at(role, points[p]);
				if (p & 1)
					kill_owner_at_random(role);
			}
		readers_go_on("owners killed");
		if (i == 1)
			before = debris_of(engine);
	}
	for (unsigned i = 0; i < READERS; i++)
		rig_check(board->readers[i].errors == 0, "reader %u: %llu reads failed (%d) while only owners died",
			i, (unsigned long long)board->readers[i].errors, board->readers[i].last_error);
	sleep_us(3 * LEASE_MS * 1000);
	after = debris_of(engine);
	printf("  engine: descriptors %ld, then %ld; mappings %ld, then %ld; resident %ld kB, then %ld kB\n",
		before.fds, after.fds, before.memory_maps, after.memory_maps, before.resident_kb, after.resident_kb);
	rig_check(after.fds <= before.fds, "the engine leaks descriptors: %ld, then %ld", before.fds, after.fds);
	rig_check(after.memory_maps == before.memory_maps, "the engine leaks mappings");
	rig_check(after.resident_kb < before.resident_kb + 4096, "the engine leaks memory");
	readers_are_right("owners killed");
}

/* Its child has everything that was open, but not the role. */
static void child_keeps_no_role(uint32_t role)
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

/* Stopped, replaced, continued: nothing of what it still writes is ever seen (readers would see
 * an older epoch), and it learns that it was superseded. */
static void stop_owner(uint32_t role)
{
	struct role_board *r = &board->roles[role];
	struct owner_task task = { .role = role, .busy = true }, next = { .role = role, .take_over = true };
	uint64_t errors[READERS];
	pid_t old = start_owner(&task, 10);
	uint32_t epoch = atomic_load(&r->epoch);
	sleep_us(random_below(3000));
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
	wait_for(atomic_load(&r->ended) != 0, "a superseded owner goes on committing");
	rig_check(atomic_load(&r->ended) == -EOWNERDEAD, "a superseded owner gets %d", r->ended);
	reap(old);
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

/* ---- engine ---- */

static bool readers_flag(uint32_t role, uint32_t flag, bool set)
{
	for (unsigned i = 0; i < READERS; i++)
		if (!(atomic_load(&board->readers[i].flags[role]) & flag) == set)
			return false;
	return true;
}

static void stop_engine(void)
{
	struct owner_task task = { .role = 0 };
	pid_t owner = start_owner(&task, 10);
	uint32_t epoch = atomic_load(&board->roles[0].epoch);
	kill(engine, SIGSTOP);
	wait_for(readers_flag(0, DSM_STALE_ENGINE, true), "engine stopped: readers do not say stale");
	uint64_t commits = atomic_load(&board->roles[0].commits);
	readers_go_on("engine stopped");
	wait_for(atomic_load(&board->roles[0].commits) > commits, "engine stopped: the owner hangs");
	kill(engine, SIGCONT);
	wait_for(readers_flag(0, DSM_STALE_ENGINE, false), "engine continued: readers still say stale");
	sleep_us(LEASE_MS * 1000);
	rig_check(readers_flag(0, DSM_STALE_OWNER, false) && atomic_load(&board->roles[0].epoch) == epoch &&
		!atomic_load(&board->roles[0].ended), "engine continued: it took the role from a live owner");
	kill_now(owner);
	check_owner_gone(0, "engine stopped");
}

/* Readers keep what they have and say so; they and the owner come back by themselves. */
static void kill_engine(unsigned i)
{
	struct owner_task task = { .role = i % ROLES };
	uint32_t role = task.role;
	uint64_t generations[READERS];
	forget_roles();
	pid_t owner = start_owner(&task, 10);
	for (unsigned n = 0; n < READERS; n++) {
		wait_for(atomic_load(&board->readers[n].seq[role]) > 0, "reader %u sees nothing", n);
		generations[n] = atomic_load(&board->readers[n].generations);
	}
	sleep_us(random_below(5000));
	kill_now(engine);
	wait_for(readers_flag(role, DSM_STALE_ENGINE, true), "engine killed: readers do not say stale");
	for (unsigned n = 0; n < READERS; n++)
		rig_check(atomic_load(&board->readers[n].seq[role]) > 0, "engine killed: reader %u lost its value", n);
	readers_go_on("engine killed");
	start_engine(NULL, false);
	for (unsigned n = 0; n < READERS; n++)
		wait_for(atomic_load(&board->readers[n].generations) > generations[n], "reader %u does not "
			"come back", n);
	wait_for(readers_flag(role, DSM_STALE_ENGINE, false), "engine back: readers still say stale");
	readers_see_stale(role, false, "engine back: owner");
	kill_now(owner);
	readers_see_stale(role, true, "owner killed in the new generation");
}

static void kill_saves(unsigned rounds)
{
	static const char *const points[] = { "save-mid-write", "save-before-rename",
		"save-between-renames", "save-after-rename" };
	char point[48];
	atomic_store(&board->engine_up, 0);
	for (unsigned i = 0; i < rounds * 5; i++) {
		if (i % 5 == 4) {
			engine = rig_engine(NULL, true);
			sleep_us(3000 + random_below(20000));
			kill_now(engine);
			continue;
		}
		snprintf(point, sizeof(point), "%s:%u", points[i % 5], 1 + random_below(4));
		engine = rig_engine(point, true);
		died(engine, point);
	}
	printf("  saves finished: %llu\n", (unsigned long long)atomic_load(&board->saved));
	rig_check(atomic_load(&board->saved) > 0, "no save was ever finished");
}

/* ---- all ---- */

static void phase(const char *name)
{
	static uint64_t began;
	uint64_t now = now_ms();
	if (began)
		printf("  %llu ms, %u kills so far\n", (unsigned long long)(now - began), kills);
	began = now;
	if (name)
		printf("%s\n", name);
}

static void run(bool quick)
{
	phase("owners killed at named points and at random");
	start_engine(NULL, false);
	start_readers();
	kill_owners(quick ? 3 : 100);
	phase("a forked child keeps no role; a stopped owner is replaced");
	for (uint32_t i = 0; i < (quick ? 2u : 60u); i++) {
		child_keeps_no_role(i % ROLES);
		stop_owner(i % ROLES);
	}
	readers_are_right("owners replaced");
	phase("engine stopped");
	stop_engine();
	readers_are_right("engine stopped");
	phase("engine killed");
	kill_now(engine);
	start_engine(NULL, false); /* one without the commits of the phases before */
	struct debris before = { 0 }, after;
	for (unsigned i = 0; i < (quick ? 3u : 40u); i++) {
		kill_engine(i);
		if (i == 1)
			before = debris_of(readers[0]);
	}
	after = debris_of(readers[0]);
	printf("  reader: descriptors %ld, then %ld; mappings %ld, then %ld; resident %ld kB, then %ld kB\n",
		before.fds, after.fds, before.memory_maps, after.memory_maps, before.resident_kb, after.resident_kb);
	rig_check(after.fds <= before.fds && after.memory_maps <= before.memory_maps &&
		after.resident_kb < before.resident_kb + 4096, "a reader leaks over re-attaching");
	readers_are_right("engine killed");
	stop_all();
	phase("engine killed while it saves");
	kill_saves(quick ? 2 : 30);
	start_engine(NULL, false); /* and at the end everything can be started once more */
	start_readers();
	stop_all();
	phase(NULL);
}

int main(void)
{
	char folder[] = "/tmp/dsm-kill-XXXXXX", command[64];
	unsigned entries_before, entries_after;
	const char *quick = getenv("DSM_TEST_QUICK");
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(300);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || !mkdtemp(folder))
		return 1;
	snprintf(board->name, sizeof(board->name), "kill-%d", (int)getpid());
	snprintf(board->state, sizeof(board->state), "%s/state", folder);
	uint64_t shm_before = debris_folder("/dev/shm", &entries_before);
	struct debris before = debris_of(getpid()), after;
	run(quick && *quick && *quick != '0');
	after = debris_of(getpid());
	rig_check(debris_folder("/dev/shm", &entries_after) == shm_before, "/dev/shm had %u entries, now %u",
		entries_before, entries_after);
	rig_check(after.fds == before.fds, "descriptors here: %ld, then %ld", before.fds, after.fds);
	rig_check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a child is left");
	debris_folder(folder, &entries_after);
	rig_check(entries_after <= 3, "%u files beside the state file", entries_after);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	rig_check(system(command) == 0, "cannot remove %s", folder);
	rig_check(kills >= (quick ? 50 : 500), "only %u kills", kills);
	printf("%u kills\n%u passed, %u failed\n", kills, board->passed, board->failed);
	return board->failed ? 1 : 0;
}

#else

int main(void)
{
	printf("skipped: kill points need a build with -Dtest_hooks=true\n");
	return 77;
}

#endif
