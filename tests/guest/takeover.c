/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takeover of a remote owner, with the engine on one host and owners and readers on another:
 *   takeover engine ADDRESS[:PORT]      the engine, until SIGTERM
 *   takeover owners ADDRESS[:PORT] [--rounds N]
 *   takeover shm [--rounds N]           both here over mapped memory: a trial of this program
 * Owners die at named points of a commit (its WRITEs half done, done without the pulse, the pulse
 * landed before the slot) and at random ones; are replaced while they commit; are stopped, replaced
 * and woken up; leave a forked child that holds all they had open. A commit that was acknowledged
 * is never lost or reverted, no reader sees a mix. The points need -Dtest_hooks=true.
 * In guests the host of the owners loses its power at the end, while they commit; the engine's host then
 * looks whether their roles and places are free.
 */
#include "kill/owners.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/packets.h"

/* A place in the transport's commit where an owner dies; whole: its slots have landed, so that the
 * engine makes that commit readable. Else the successor finds it whole or not at all. */
#define REPLACED 3u /* take-overs from a busy owner, a role and round */

struct point { const char *name; bool whole; };

static const struct point remote_points[] = {
	{ "verbs-before-post", false },     /* nothing was sent */
	{ "verbs-half-slot", false },       /* half of the slot landed, no pulse */
	{ "verbs-slot-only", true },        /* the slot landed whole, the pulse is missing */
	{ "verbs-pulse-only", false },      /* the pulse landed, and the slot did not */
	{ "verbs-after-post", false },      /* all is on its way */
};
static const struct point local_points[] = {
	{ "after-invalidate", false }, { "mid-payload", false }, { "before-pulse", true },
};

static volatile sig_atomic_t told;

static void end_engine(int number)
{
	(void)number;
	told = 1;
}

/* ---- the engine's host ---- */

static int note_client(const struct dsm_client_info *info, void *context)
{
	*(unsigned *)context += strcmp(info->transport, "rdma") == 0;
	return 0;
}

/* Clients of the other host, and roles that somebody has. */
struct there { unsigned clients, alive; };

static struct there look(struct dsm *dsm)
{
	struct there t = { 0 };
	struct dsm_owner_info info;
	int rc = dsm_foreach_client(dsm, (int)BOUND_MS, note_client, &t.clients);
	if (rc)
		rig_check(false, "clients: %d %s", rc, dsm_error());
	for (uint32_t i = 0; dsm_owner_info(dsm, i, &info) == 0; i++)
		for (unsigned r = 0; r < ROLES; r++)
			t.alive += strcmp(info.name, role_names[r]) == 0 && info.state == DSM_ALIVE;
	return t;
}

/* All that came from the other host, which has no power any more, is gone; its roles can be had. */
static void judge_power_off(struct dsm *dsm, const struct there *most)
{
	struct there t = look(dsm);
	printf("the other host is off: %u clients of it (at most %u before), %u roles alive\n", t.clients, most->clients,
		t.alive);
	rig_check(most->clients >= ROLES + READERS && most->alive == ROLES, "at most %u clients and %u live owners "
		"were ever seen", most->clients, most->alive);
	for (uint64_t until = now_ms() + BOUND_MS; (t.clients || t.alive) && now_ms() < until; rig_sleep_us(50000))
		t = look(dsm);
	rig_check(t.clients == 0, "%u clients are left of a host without power", t.clients);
	rig_check(t.alive == 0, "%u roles of a host without power are alive", t.alive);
	for (unsigned r = 0; r < ROLES; r++) {
		struct dsm_options opts = DSM_OPTIONS_INIT;
		struct dsm *owner = NULL;
		opts.owner = role_names[r];
		rig_check(dsm_attach(board->uri, &opts, &owner) == 0, "role %s of a host without power: %s", role_names[r],
			dsm_error());
		dsm_detach(&owner);
	}
}

static bool in_guests(void)
{
	const char *hosts = getenv("GUEST_HOSTS"), *native = getenv("GUEST_NATIVE");
	return hosts && strcmp(hosts, "2") == 0 && !(native && *native);
}

static void serve_engine(void)
{
	struct there most = { 0 };
	struct dsm *dsm = NULL;
	pid_t engine = rig_engine(NULL, false); /* forks, so before there is a handle */
	wait_for(atomic_load(&board->engine_up), "the engine does not start");
	snprintf(board->uri, sizeof(board->uri), "shm://%s", board->name);
	if (rig_check(dsm_attach(board->uri, NULL, &dsm) == 0, "shm: %s", dsm_error())) {
		for (; !told; rig_sleep_us(100000)) {
			struct there t = look(dsm);
			most.clients = t.clients > most.clients ? t.clients : most.clients;
			most.alive = t.alive > most.alive ? t.alive : most.alive;
		}
		if (in_guests())
			judge_power_off(dsm, &most);
	}
	dsm_detach(&dsm);
	atomic_store(&board->stop, 1);
	reap(engine);
}

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

#ifdef DSM_TEST_HOOKS
static void kill_at_points(const struct point *points, unsigned n, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned p = 0; p < n; p++) {
			kill_owner_at((i + p) % ROLES, points[p].name, points[p].whole);
			readers_go_on(points[p].name);
		}
}
#endif

/* How long an owner needs until it commits decides where random deaths hit it. */
static void measure_attach(void)
{
	struct owner_task task = { .role = 0 };
	uint64_t began = now_ms();
	kill_now(start_owner(&task, 3));
	board->slow = (uint32_t)(now_ms() - began) / 4 + 1;
	printf("an owner commits after %llu ms\n", (unsigned long long)(now_ms() - began));
	readers_see_stale(0, true, "first owner");
}

/* The engine's host may be starting still. In a child: this process forks, and has no handle. */
static void await_engine(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct dsm *dsm = NULL;
		int rc = -ENOENT;
		for (uint64_t until = now_ms() + BOUND_MS; rc && now_ms() < until; rig_sleep_us(100000))
			rc = dsm_attach(board->uri, NULL, &dsm);
		rig_check(rc == 0, "no engine: %d %s", rc, dsm_error());
		dsm_detach(&dsm);
		_exit(0);
	}
	reap(pid);
}

static void run(bool remote, unsigned rounds)
{
	await_engine();
	start_readers();
	measure_attach();
#ifdef DSM_TEST_HOOKS
	phase("owners die at named points of a commit");
	if (remote)
		kill_at_points(remote_points, sizeof(remote_points) / sizeof(remote_points[0]), rounds);
	else
		kill_at_points(local_points, sizeof(local_points) / sizeof(local_points[0]), rounds);
	readers_are_right("named points");
#else
	(void)remote_points, (void)local_points;
	printf("skipped: named points need a build with -Dtest_hooks=true\n");
#endif
	phase("owners die at random");
	for (unsigned i = 0; i < 3 * rounds; i++)
		kill_owner_at_random(i % ROLES);
	readers_are_right("random");
	phase("replaced while it commits");
	for (unsigned i = 0; i < ROLES; i++)
		replace_busy_owners(i, REPLACED * rounds);
	readers_are_right("replaced");
	phase("stopped, replaced, woken up");
	for (unsigned i = 0; i < rounds; i++)
		stop_owner(i % ROLES);
	readers_are_right("stopped");
	phase("its forked child lives on");
	for (unsigned i = 0; i < rounds; i++)
		child_keeps_no_role(i % ROLES);
	readers_are_right("forked child");
	phase(NULL);
	stop_readers();
	for (unsigned i = 0; i < READERS; i++)
		rig_check(board->readers[i].errors == 0 || (remote && board->readers[i].last_error == -ENOTCONN), "reader %u: %llu reads failed (%d) while only owners died", i,
			(unsigned long long)board->readers[i].errors, board->readers[i].last_error);
}

/* Owners of all roles commit, readers read; then there is no power. Does not return in a guest. */
static void power_off(void)
{
	struct owner_task task = { .busy = true };
	char command[64];
	atomic_store(&board->stop, 0);
	start_readers();
	for (task.role = 0; task.role < ROLES; task.role++) {
		start_owner(&task, 10);
		rig_check(atomic_load(&board->roles[task.role].ended) == 0, "power: owner %s ended", role_names[task.role]);
	}
	rig_sleep_us(500000); /* the other host looks each 100 ms */
	printf("power off\n%u passed, %u failed\n", board->passed, board->failed);
	fflush(stdout);
	snprintf(command, sizeof(command), "guest-poweroff %d", board->failed || !board->passed ? 1 : 0);
	rig_check(system(command) == 0, "%s", command);
}

static int report(void)
{
	printf("%u kills, %u connections lost\n%u passed, %u failed\n", kills, board->losses, board->passed, board->failed);
	return board->failed || !board->passed ? 1 : 0;
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s engine|owners ADDRESS[:PORT] [--rounds N]\n       %s shm [--rounds N]\n", name, name);
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool shm = strcmp(mode, "shm") == 0, serve = strcmp(mode, "engine") == 0;
	unsigned rounds = argc > 3 && strcmp(argv[argc - 2], "--rounds") == 0 ? (unsigned)atoi(argv[argc - 1]) : 4;
	if (!shm && (argc < 3 || (!serve && strcmp(mode, "owners"))))
		return usage(argv[0]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(600);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	snprintf(board->name, sizeof(board->name), "takeover-%d", (int)getpid());
	snprintf(board->uri, sizeof(board->uri), shm ? "shm://%s" : "rdma://%s", shm ? board->name : argv[2]);
	snprintf(board->rdma, sizeof(board->rdma), "%s", shm ? "" : argv[2]);
	board->lease_ms = shm ? 300 : 1500;
	board->bound_ms = shm ? 10000 : 30000;
	board->slow = 1;
	if (serve) {
		signal(SIGTERM, end_engine);
		serve_engine();
		return report();
	}
	pid_t engine = shm ? rig_engine(NULL, false) : 0;
	if (shm)
		wait_for(atomic_load(&board->engine_up), "the engine does not start");
	uint64_t packets = packets_sent();
	run(!shm, rounds);
	rig_check(shm || packets_sent() > packets + 1000, "the device has sent next to nothing");
	if (engine)
		reap(engine);
	if (!shm && in_guests())
		power_off();
	return report();
}
