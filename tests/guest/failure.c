/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure HOST [CASE...]: what a network does to handles, in the second of two guests; on HOST runs
 * engine_host. Each case ends in the documented events and, when its cause is gone, in a working
 * handle: the right values, the owner's commits, re-attaches counted.
 */
#include "failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/packets.h"

atomic_uint plain_passed, plain_failed;

static int run(const char *command)
{
	int status = system(command);
	if (status)
		printf("  `%s`: status %d\n", command, status);
	return status;
}

static void impair(const char *netem)
{
	char command[200];
	snprintf(command, sizeof(command), "tc qdisc replace dev %s root netem limit 10000 %s", netdev(), netem);
	check(run(command) == 0, "%s", command);
}

static void clear(void)
{
	char command[100];
	snprintf(command, sizeof(command), "tc qdisc del dev %s root", netdev());
	check(run(command) == 0, "%s", command);
}

/* ---- the engine goes ---- */

static void engine_killed(struct scene *s)
{
	check(place_kill(&s->place) == 0, "kill");
	scene_is_lost(s, "engine killed");
	check(place_open(&s->place, s->place.flags, true) == 0, "open again");
	scene_is_back(s, "engine killed, started again", DSM_EVENT_GENERATION);
}

static void engine_restarted(struct scene *s)
{
	check(place_close(&s->place) == 0, "close");
	scene_is_lost(s, "engine closed");
	check(place_open(&s->place, s->place.flags, true) == 0, "open again");
	scene_is_back(s, "engine closed, opened again", DSM_EVENT_GENERATION);
}

static void engine_has_another_table(struct scene *s)
{
	check(place_close(&s->place) == 0, "close");
	scene_is_lost(s, "engine closed");
	check(place_open(&s->place, s->place.flags ^ FIXTURE_OTHER, true) == 0, "open another");
	check(scene_event(s->r, DSM_EVENT_TABLE_CHANGED), "another table: the reader gets no event");
	check(scene_event(s->w, DSM_EVENT_TABLE_CHANGED), "another table: the owner gets no event");
	struct dsm_sample sample;
	check(dsm_read(s->r, s->rx, &sample) == -ESTALE, "an id of the old table is taken");
	check(scene_names(s) == 0, "names of the new table: %s", dsm_error());
	scene_is_back(s, "engine with another table", 0);
}

static void engine_stopped(struct scene *s)
{
	check(place_stop(&s->place) == 0, "stop");
	check(scene_event(s->r, DSM_EVENT_STALE), "engine stopped: no event");
	for (int i = 0; i < 20; i++)
		scene_step(s, "engine stopped");
	check(place_continue(&s->place) == 0, "continue");
	check(scene_event(s->r, DSM_EVENT_LIVE), "engine continued: no event");
	scene_is_back(s, "engine continued", 0);
}

/* ---- the wire ---- */

static void cable_cut(struct scene *s)
{
	impair("loss 100%");
	scene_is_lost(s, "cable cut");
	clear();
	scene_is_back(s, "cable cut and mended", DSM_EVENT_ATTACHED);
}

static void cable_cut_shortly(struct scene *s)
{
	uint64_t reattached = scene_reattached(s);
	impair("loss 100%");
	plain_sleep_ms(40);
	clear();
	scene_is_back(s, "cable cut for 40 ms", 0);
	printf("  re-attached %llu times\n", (unsigned long long)(scene_reattached(s) - reattached));
}

static void link_down(struct scene *s)
{
	char command[100];
	snprintf(command, sizeof(command), "ip link set %s down", netdev());
	check(run(command) == 0, "%s", command);
	scene_is_lost(s, "link down");
	snprintf(command, sizeof(command), "ip link set %s up", netdev());
	check(run(command) == 0, "%s", command);
	scene_is_back(s, "link down and up", DSM_EVENT_ATTACHED);
}

/* The same on the engine's host. */
static void link_down_there(struct scene *s)
{
	check(place_flap(&s->place) == 0, "link of the engine's host: not taken down");
	scene_is_lost(s, "link of the engine's host down");
	scene_is_back(s, "link of the engine's host down and up", DSM_EVENT_ATTACHED);
}

static void device_removed(struct scene *s)
{
	char command[200];
	uint64_t began = plain_ms();
	snprintf(command, sizeof(command), "timeout 20 rdma link del %s", rdma_device());
	check(run(command) == 0, "%s: somebody still holds it", command);
	printf("  the device was gone after %llu ms\n", (unsigned long long)(plain_ms() - began));
	scene_is_lost(s, "device removed");
	snprintf(command, sizeof(command), "rdma link add %s type rxe netdev %s", rdma_device(), netdev());
	check(run(command) == 0, "%s", command);
	scene_is_back(s, "device removed and added", DSM_EVENT_ATTACHED);
}

/* The same on the engine's host. */
static void device_removed_there(struct scene *s)
{
	check(place_device(&s->place, false) == 0, "device of the engine's host: not removed");
	scene_is_lost(s, "device of the engine removed");
	check(place_device(&s->place, true) == 0, "device of the engine's host: not added");
	scene_is_back(s, "device of the engine removed and added", DSM_EVENT_ATTACHED);
}

static void impaired(struct scene *s, const char *netem)
{
	struct dsm_stats before, after;
	uint64_t reattached = scene_reattached(s), until = plain_ms() + 6000;
	unsigned steps = 0;
	dsm_stats(s->r, &before);
	impair(netem);
	for (; steps < 300 && plain_ms() < until; steps++)
		scene_try(s, netem);
	clear();
	dsm_stats(s->r, &after);
	scene_is_back(s, netem, 0);
	printf("  %s: %u steps, %llu reads, %llu attempts more, re-attached %llu times\n", netem, steps,
		(unsigned long long)(after.reads - before.reads), (unsigned long long)(after.retries - before.retries),
		(unsigned long long)(scene_reattached(s) - reattached));
}

static void loss_1(struct scene *s) { impaired(s, "loss 1%"); }
static void loss_5(struct scene *s) { impaired(s, "loss 5%"); }
static void delay_20(struct scene *s) { impaired(s, "delay 20ms"); }
static void reordered(struct scene *s) { impaired(s, "delay 2ms reorder 25% 50%"); }
static void duplicated(struct scene *s) { impaired(s, "duplicate 10%"); }

/* Last: there is nobody afterwards. */
static void power_cut(struct scene *s)
{
	check(place_power_off(&s->place) == 0, "power off");
	scene_is_lost(s, "power cut");
}

static const struct { const char *name; void (*run)(struct scene *s); } cases[] = {
	{ "engine_killed", engine_killed },
	{ "engine_restarted", engine_restarted },
	{ "engine_stopped", engine_stopped },
	{ "cable_cut", cable_cut },
	{ "cable_cut_shortly", cable_cut_shortly },
	{ "link_down", link_down },
	{ "link_down_there", link_down_there },
	{ "loss_1", loss_1 },
	{ "loss_5", loss_5 },
	{ "delay_20", delay_20 },
	{ "reordered", reordered },
	{ "duplicated", duplicated },
	{ "device_removed", device_removed },
	{ "device_removed_there", device_removed_there },
	{ "engine_has_another_table", engine_has_another_table },
	{ "power_cut", power_cut },
};

static bool chosen(int argc, char **argv, const char *name)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	struct scene scene;
	if (argc < 2) {
		fprintf(stderr, "usage: %s HOST [CASE...]\n", argv[0]);
		return 2;
	}
	if (!getenv("GUEST_ID") || (getenv("GUEST_NATIVE") && *getenv("GUEST_NATIVE"))) {
		printf("skipped: cuts the network of the machine it runs on: for a guest only (script/guest --hosts 2)\n");
		return 77;
	}
	plain_begin(400);
	if (!scene_begin(&scene, argv[1]))
		return plain_end();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!chosen(argc, argv, cases[i].name))
			continue;
		uint64_t began = plain_ms();
		printf("%s\n", cases[i].name);
		cases[i].run(&scene);
		printf("  %llu ms\n", (unsigned long long)(plain_ms() - began));
	}
	scene_end(&scene);
	return plain_end();
}
