/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: request and reply between two processes, one pinned to each CPU; like with like:
 * every peer at every size, sleeping while it waits and polling while it waits. And the
 * work of the published table: numeric cells out in segments, a value back.
 */
#include "peers/peer.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SEGMENTS 8u

struct size_class {
	const char *name;
	size_t size;
	uint64_t interval_ns;
	unsigned n, n_quick;
};
/* The pace leaves every peer time to answer, so that waiting in line is no part of the figure
 * unless a peer stalls. */
static const struct size_class sizes[] = {
	{ "8B", 8, 100000, 2000, 200 },
	{ "64B", 64, 100000, 2000, 200 },
	{ "4KiB", 4096, 100000, 2000, 200 },
	{ "1MiB", 1 << 20, 4000000, 60, 12 },
};
static const struct peer_ops *const echo_peers[] = {
	&peer_dsm, &peer_pipe, &peer_fifo, &peer_unix, &peer_tcp, &peer_udp, &peer_mq,
};
static const struct peer_ops *const segment_peers[] = {
	&peer_dsm, &peer_udp, &peer_tcp, &peer_redis_tcp, &peer_redis_unix, &peer_redis_tcp_persist,
	&peer_redis_unix_persist,
};
static const char *const mode_names[] = { "block", "poll" };

static struct echo_spec echo_specs[COUNT(echo_peers)][2][COUNT(sizes)];
static struct echo_spec segment_specs[COUNT(segment_peers)][2];

static void add_echo(struct bench_list *list, size_t peer, size_t spin, size_t size)
{
	const struct size_class *c = &sizes[size];
	struct echo_spec *spec = &echo_specs[peer][spin][size];
	*spec = (struct echo_spec){ .ops = echo_peers[peer], .spin = spin, .size = c->size,
		.interval_ns = c->interval_ns, .n = c->n, .n_quick = c->n_quick };
	struct bench_row row = { .family = "echo", .peer = spec->ops->name, .mode = mode_names[spin],
		.work = "a message to the other process, the same message back",
		.kind = BENCH_PACED, .size_bytes = c->size, .interval_ns = c->interval_ns,
		.arg = spec, .run = echo_run };
	snprintf(row.name, sizeof(row.name), "echo.%s.%s.%s", row.peer, row.mode, c->name);
	snprintf(row.base, sizeof(row.base), "echo.%s.%s.%s", peer_dsm.name, row.mode, c->name);
	bench_list_add(list, &row);
}

void bench_rows_echo(struct bench_list *list)
{
	for (size_t size = 0; size < COUNT(sizes); size++) {
		for (size_t spin = 0; spin < 2; spin++) {
			for (size_t peer = 0; peer < COUNT(echo_peers); peer++)
				add_echo(list, peer, spin, size);
		}
	}
}

static void add_segment(struct bench_list *list, size_t peer, size_t spin)
{
	struct echo_spec *spec = &segment_specs[peer][spin];
	*spec = (struct echo_spec){ .ops = segment_peers[peer], .spin = spin,
		.size = sizeof(struct echo_segment), .segments = SEGMENTS,
		.interval_ns = 3000000, .n = 200, .n_quick = 30 };
	struct bench_row row = { .family = "segment", .peer = spec->ops->name, .mode = mode_names[spin],
		.work = "64 numeric cells out in 8 segments; the other side has seen all, adds them up, "
			"writes the sum back; it is checked",
		.kind = BENCH_PACED, .size_bytes = SEGMENTS * sizeof(struct echo_segment),
		.interval_ns = spec->interval_ns, .arg = spec, .run = echo_run };
	snprintf(row.name, sizeof(row.name), "segment.%s.%s", row.peer, row.mode);
	snprintf(row.base, sizeof(row.base), "segment.%s.%s", peer_dsm.name, row.mode);
	bench_list_add(list, &row);
}

void bench_rows_segment(struct bench_list *list)
{
	for (size_t spin = 0; spin < 2; spin++) {
		for (size_t peer = 0; peer < COUNT(segment_peers); peer++) {
			if (!segment_peers[peer]->broker || !spin) /* hiredis waits asleep for each answer; there is no polling client */
				add_segment(list, peer, spin);
		}
	}
}
