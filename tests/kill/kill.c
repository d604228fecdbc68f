/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 of anything at any point: at named points of a commit and of a save, and at random
 * moments, at least 500 in all. Nobody hangs, no wrong value is read, the last complete commit
 * stays readable, nothing stays behind. Then SIGSTOP: a fenced owner's late writes reach
 * nobody, readers outlive a stopped engine. Needs -Dtest_hooks=true.
 */
#include "owners.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef DSM_TEST_HOOKS

static pid_t engine;

static void start_engine(const char *point, bool saves)
{
	engine = rig_engine(point, saves);
	wait_for(atomic_load(&board->engine_up), "the engine does not start");
}

static void stop_all(void)
{
	stop_readers();
	reap(engine);
	atomic_store(&board->stop, 0);
}

/* ---- owners ---- */

static void kill_owners(unsigned rounds)
{
	static const char *const points[] = { "after-invalidate", "mid-payload", "before-seq", "before-pulse" };
	struct debris before = { 0 }, after;
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned p = 0; p < 4; p++)
			for (uint32_t role = 0; role < ROLES; role++) {
				kill_owner_at(role, points[p], p == 3);
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
	rig_sleep_us(3 * LEASE_MS * 1000);
	after = debris_of(engine);
	printf("  engine: descriptors %ld, then %ld; mappings %ld, then %ld; resident %ld kB, then %ld kB\n",
		before.fds, after.fds, before.memory_maps, after.memory_maps, before.resident_kb, after.resident_kb);
	rig_check(after.fds <= before.fds, "the engine leaks descriptors: %ld, then %ld", before.fds, after.fds);
	rig_check(after.memory_maps == before.memory_maps, "the engine leaks mappings");
	rig_check(after.resident_kb < before.resident_kb + 4096, "the engine leaks memory");
	readers_are_right("owners killed");
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
	rig_sleep_us(LEASE_MS * 1000);
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
	rig_sleep_us(random_below(5000));
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
			rig_sleep_us(3000 + random_below(20000));
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
		replace_busy_owners(i % ROLES, 2);
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
	snprintf(board->uri, sizeof(board->uri), "shm://%s", board->name);
	board->lease_ms = 300;
	board->bound_ms = 10000;
	board->slow = 1;
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
