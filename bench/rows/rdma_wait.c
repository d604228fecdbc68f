/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: what it costs to be woken by a commit over RDMA: asked of the engine, which sends one message, or
 * by looking at the pulse with a chosen period. And what goes over the wire while nothing happens.
 * The owner commits into mapped memory in the same process; engine and reader are on one machine.
 */
#include "rows/rdma_scene.h"

#include "common/packets.h"
#include "harness/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define BETWEEN_NS UINT64_C(8000000)    /* commits, so that the reader sleeps again */
#define APART_NS UINT64_C(250000)       /* and not in step with any period */
#define LIMIT_MS 5000

struct spec { const char *name, *work; uint32_t poll_us; };
static const struct spec specs[] = {
	{ "message", "dsm_wait() with the engine's message: from the begin of a local owner's dsm_commit() to its return", 0 },
	{ "poll-1ms", "the same with dsm_options.poll_us 1000: the pulse is READ each millisecond", 1000 },
	{ "poll-100us", "the same with poll_us 100", 100 },
};

enum { WAKE, ATTACHED, WAITING, COLUMNS };

struct waiter {
	pthread_t thread;
	struct dsm *dsm;
	struct dsm_group group;
	struct dsm_frame *frame;
	_Atomic uint64_t seq, woken_ns; /* of the last commit that was told; the time is stored first */
	_Atomic bool begun, over;
	_Atomic int rc;
};

static void *wait_on(void *arg)
{
	struct waiter *w = arg;
	uint64_t seq = atomic_load(&w->seq);
	while (!atomic_load(&w->over)) {
		if (!atomic_load(&w->begun)) {
			bench_sleep_ns(1000000);
			continue;
		}
		struct dsm_frame_info info;
		int rc = dsm_wait(w->dsm, w->group, seq, 500, w->frame);
		uint64_t now = bench_now_ns();
		if (rc == -ETIMEDOUT)
			continue;
		rc = rc ? rc : dsm_frame_info(w->frame, &info);
		if (rc) {
			atomic_store(&w->rc, rc);
			break;
		}
		seq = info.seq;
		atomic_store(&w->woken_ns, now);
		atomic_store(&w->seq, seq);
	}
	return NULL;
}

static double packets_a_second(uint64_t ns)
{
	uint64_t began = bench_now_ns();
	uint64_t before = packets_sent();
	bench_sleep_ns(ns);
	return (double)(packets_sent() - before) * 1e9 / (double)(bench_now_ns() - began);
}

static int attach(const struct rdma_scene *s, const struct spec *spec, struct waiter *w)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm_frame_info info;
	char uri[96];
	options.program = "dsm-bench";
	options.attach_timeout_ms = 20000;
	options.poll_us = spec->poll_us;
	snprintf(uri, sizeof(uri), "rdma://%s", s->host.rdma);
	int rc = dsm_attach(uri, &options, &w->dsm);
	rc = rc ? rc : dsm_group(w->dsm, "g0", &w->group);
	rc = rc ? rc : dsm_frame_new(w->dsm, w->group, &w->frame);
	rc = rc ? rc : dsm_snapshot(w->dsm, w->group, w->frame);
	rc = rc ? rc : dsm_frame_info(w->frame, &info);
	if (rc == 0)
		atomic_store(&w->seq, info.seq);
	return rc;
}

/* One commit; how long until the reader had it. */
static int wake_once(struct dsm *owner, struct dsm_cell cell, struct waiter *w, uint64_t i, double *ns)
{
	uint64_t seq = atomic_load(&w->seq), began, limit;
	bench_sleep_ns(BETWEEN_NS + i % 13 * APART_NS);
	int rc = dsm_begin(owner, 0);
	rc = rc ? rc : dsm_set_f64(owner, cell, (double)i);
	began = bench_now_ns();
	rc = rc ? rc : dsm_commit(owner, NULL);
	limit = began + LIMIT_MS * UINT64_C(1000000);
	while (!rc && atomic_load(&w->seq) == seq) {
		rc = atomic_load(&w->rc);
		if (!rc && bench_now_ns() > limit)
			rc = -ETIMEDOUT;
		bench_sleep_ns(100000); /* asleep: the processor is the reader's */
	}
	*ns = (double)(atomic_load(&w->woken_ns) - began);
	return rc;
}

static int wake(const struct rdma_scene *s, struct waiter *w, unsigned n, struct bench_series *out)
{
	struct dsm *owner = NULL;
	struct dsm_cell cell;
	double ns = 0;
	int rc = dsm_host_attach(s->host.name, RDMA_OWNER, &owner);
	rc = rc ? rc : dsm_cell(owner, "g0.v0", &cell);
	for (unsigned i = 0; !rc && i < n + 5; i++) {
		rc = wake_once(owner, cell, w, i, &ns);
		if (!rc && i >= 5)
			bench_series_add(out, ns);
	}
	dsm_detach(&owner);
	return rc;
}

static int measure(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	static struct waiter w;
	struct rdma_scene s;
	unsigned n = conf->quick ? 60 : 400;
	uint64_t quiet_ns = conf->quick ? 1000000000 : 3000000000;
	int rc = rdma_scene_open(&s, conf, out);
	for (int i = 0; !rc && i < COLUMNS; i++)
		rc = bench_series_reserve(&out->series[i], i == WAKE ? n : 1);
	rc = rc ? rc : attach(&s, row->arg, &w);
	bool runs = !rc && pthread_create(&w.thread, NULL, wait_on, &w) == 0;
	if (!rc && !runs)
		rc = -EAGAIN;
	if (!rc) {
		bench_sleep_ns(300000000); /* what attaching has caused is over */
		bench_series_add(&out->series[ATTACHED], packets_a_second(quiet_ns));
		atomic_store(&w.begun, true);
		bench_sleep_ns(100000000);
		bench_series_add(&out->series[WAITING], packets_a_second(quiet_ns));
		rc = wake(&s, &w, n, &out->series[WAKE]);
	}
	if (rc)
		bench_why(out, rc, "%.180s", dsm_error());
	atomic_store(&w.over, true);
	if (runs)
		pthread_join(w.thread, NULL);
	dsm_frame_free(&w.frame);
	dsm_detach(&w.dsm);
	rdma_scene_close(&s);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure);
}

void bench_rows_rdma_wait(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct bench_row row = { .family = "rdma-wait", .work = specs[i].work, .peer = "dsm", .mode = "block",
			.kind = BENCH_ONCE, .column = { "wake", "attached", "waiting" },
			.column_unit = { "ns", "packets/s", "packets/s" },
			.size_bytes = rdma_shape(1).read_bytes, .arg = &specs[i], .run = run };
		snprintf(row.name, sizeof(row.name), "rdma.wait.%s", specs[i].name);
		if (i)
			snprintf(row.base, sizeof(row.base), "rdma.wait.%s", specs[0].name);
		bench_list_add(list, &row);
	}
}
