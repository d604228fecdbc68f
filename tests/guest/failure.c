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
	check(place_open(&s->place, s->place.flags, PLACE_RDMA) == 0, "open again");
	scene_is_back(s, "engine killed, started again", DSM_EVENT_GENERATION);
}

static void engine_restarted(struct scene *s)
{
	check(place_close(&s->place) == 0, "close");
	scene_is_lost(s, "engine closed");
	check(place_open(&s->place, s->place.flags, PLACE_RDMA) == 0, "open again");
	scene_is_back(s, "engine closed, opened again", DSM_EVENT_GENERATION);
}

static void engine_has_another_table(struct scene *s)
{
	check(place_close(&s->place) == 0, "close");
	scene_is_lost(s, "engine closed");
	check(place_open(&s->place, s->place.flags ^ FIXTURE_OTHER, PLACE_RDMA) == 0, "open another");
	check(scene_event(s->r, DSM_EVENT_TABLE_CHANGED), "another table: the reader gets no event");
	check(scene_event(s->w, DSM_EVENT_TABLE_CHANGED), "another table: the owner gets no event");
	struct dsm_sample sample;
	check(dsm_read(s->r, s->rx, &sample) == -ESTALE, "an id of the old table is taken");
	check(scene_names(s) == 0, "names of the new table: %s", dsm_error());
	scene_is_back(s, "engine with another table", 0);
}

/* As SIGHUP does: a new generation that carries over what was acknowledged. */
static void engine_reloaded(struct scene *s)
{
	scene_before(s);
	check(place_reload(&s->place, s->place.flags) == 0, "reload");
	scene_is_back(s, "engine reloaded", DSM_EVENT_GENERATION);
}

/* The same while packets get lost both ways. */
static void engine_reloaded_at_loss(struct scene *s)
{
	impair("loss 2%");
	check(place_netem(&s->place, "loss 2%") == 0, "loss: not at the engine's host");
	scene_before(s);
	check(place_reload(&s->place, s->place.flags) == 0, "reload");
	scene_is_back(s, "engine reloaded at a loss of 2 %", DSM_EVENT_GENERATION);
	clear();
	check(place_netem(&s->place, NULL) == 0, "loss: stays at the engine's host");
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

/* Neither what is sent nor what comes arrives. */
static void cable_cut(struct scene *s)
{
	impair("loss 100%");
	check(run("nft 'add table inet cut; add chain inet cut in { type filter hook prerouting priority -300; "
		"policy drop; }'") == 0, "what comes is not dropped");
	scene_is_lost(s, "cable cut");
	clear();
	check(run("nft delete table inet cut") == 0, "what comes stays dropped");
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

/* ---- a bad wire ---- */

/* What a wire did between two looks; doubled_there is of what the engine's host sent, its answers to READs. */
struct harm { long long dropped_here, dropped_there, doubled_there, again, early; };

static void look_at(struct scene *s, struct wire wires[2])
{
	wire_count(&wires[0]);
	check(place_wire(&s->place, &wires[1]) == 0, "what the wire did at the engine's host is not known");
}

static struct harm harm_between(const struct wire from[2], const struct wire to[2])
{
	return (struct harm){
		.dropped_here = to[0].dropped - from[0].dropped,
		.dropped_there = to[1].dropped - from[1].dropped,
		.doubled_there = to[1].left - from[1].left - (to[1].made - from[1].made),
		.again = to[1].again - from[1].again,
		.early = to[1].early - from[1].early,
	};
}

/* Both hosts do it to what leaves them, so READs and what answers them suffer alike. As long as it takes
 * to see GOOD_MIN of everything and `enough` of the harm. */
#define GOOD_MIN 30u
#define IMPAIRED_MS 60000u

static void impaired(struct scene *s, const char *netem, bool (*enough)(const struct harm *))
{
	struct dsm_stats before, after;
	struct wire from[2], to[2];
	struct harm harm = { 0 };
	uint64_t reattached = scene_reattached(s), until = plain_ms() + IMPAIRED_MS;
	unsigned steps = 0;
	scene_events(s);
	s->commits = s->reads = s->wides = s->lost = 0;
	s->fastest_ns = UINT64_MAX;
	dsm_stats(s->r, &before);
	look_at(s, from);
	impair(netem);
	check(place_netem(&s->place, netem) == 0, "%s: not at the engine's host", netem);
	do {
		for (unsigned i = 0; i < 10; i++, steps++)
			scene_try(s, netem);
		look_at(s, to);
		harm = harm_between(from, to);
	} while ((s->commits < GOOD_MIN || s->reads < GOOD_MIN || s->wides < GOOD_MIN || !enough(&harm)) &&
		 plain_ms() < until);
	clear();
	check(place_netem(&s->place, NULL) == 0, "%s: stays at the engine's host", netem);
	dsm_stats(s->r, &after);
	printf("  %s: %u steps; %u commits, %u reads and %u of wide were good; %llu attempts more\n", netem, steps,
		s->commits, s->reads, s->wides, (unsigned long long)(after.retries - before.retries));
	printf("  dropped here %lld, there %lld; doubled there %lld; requests that came twice %lld, too early %lld\n",
		harm.dropped_here, harm.dropped_there, harm.doubled_there, harm.again, harm.early);
	check(s->commits >= GOOD_MIN && s->reads >= GOOD_MIN && s->wides >= GOOD_MIN, "%s: %u of each are wanted",
		netem, GOOD_MIN);
	check(enough(&harm), "%s: it did not do what it is here for", netem);
	scene_is_back(s, netem, 0);
	uint64_t again = scene_reattached(s) - reattached;
	printf("  re-attached %llu times, %u losses of the reader\n", (unsigned long long)again, s->lost);
	check(again >= s->lost, "%s: the reader was lost %u times, and %llu re-attaches are counted", netem, s->lost,
		(unsigned long long)again);
}

static bool loses(const struct harm *h) { return h->dropped_here > 0 && h->dropped_there > 0; }
static bool doubles(const struct harm *h) { return h->doubled_there > 10 && h->again > 0; }
static bool reorders(const struct harm *h) { return h->early > 0; }
static bool any(const struct harm *h) { return h != NULL; }

static void loss_1(struct scene *s) { impaired(s, "loss 1%", loses); }
static void loss_5(struct scene *s) { impaired(s, "loss 5%", loses); }
static void reordered(struct scene *s) { impaired(s, "delay 2ms reorder 25% 50%", reorders); }
static void duplicated(struct scene *s) { impaired(s, "duplicate 10%", doubles); }

/* 20 ms each way: a read that took less has not been on the wire. */
static void delay_20(struct scene *s)
{
	impaired(s, "delay 20ms", any);
	check(s->fastest_ns >= 40 * UINT64_C(1000000), "delay 20ms: a read took %llu us",
		(unsigned long long)(s->fastest_ns / 1000));
}

/* Silence, then an engine's host that knows nothing of its connections. */
static void power_back(struct scene *s)
{
	check(place_power_cycle(&s->place) == 0, "power off and on");
	scene_is_lost(s, "power off");
	check(place_open(&s->place, s->place.flags, PLACE_RDMA) == 0, "open again");
	scene_is_back(s, "power off and on", DSM_EVENT_GENERATION);
}

/* Last: there is nobody afterwards. */
static void power_cut(struct scene *s)
{
	check(place_power_off(&s->place) == 0, "power off");
	scene_is_lost(s, "power cut");
}

static const struct { const char *name; void (*run)(struct scene *s); } cases[] = {
	{ "engine_killed", engine_killed },
	{ "engine_restarted", engine_restarted },
	{ "engine_reloaded", engine_reloaded },
	{ "engine_reloaded_at_loss", engine_reloaded_at_loss },
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
	{ "power_back", power_back },
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
