/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: what polling readers cost the engine. Its voluntary context switches while they are attached
 * and do nothing, then while they read as fast as they can; what is more is caused by reading.
 */
#include "rows/rdma_scene.h"

#include "harness/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define READERS_MAX 32u
static const unsigned counts[] = { 1, 8, READERS_MAX };

struct reader {
	pthread_t thread;
	struct dsm *dsm;
	struct dsm_cell cell;
	struct crowd *crowd;
	bool runs;
};

struct crowd {
	struct reader reader[READERS_MAX];
	_Atomic bool reading, over;
	_Atomic uint64_t reads;
	_Atomic int rc;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct dsm_sample sample;
	while (!atomic_load(&r->crowd->over)) {
		if (!atomic_load(&r->crowd->reading)) {
			bench_sleep_ns(10000000);
			continue;
		}
		int rc = dsm_read(r->dsm, r->cell, &sample);
		if (!rc && sample.value.f64 != RDMA_VALUE)
			rc = -EBADMSG;
		if (rc)
			atomic_store(&r->crowd->rc, rc);
		else
			atomic_fetch_add(&r->crowd->reads, 1);
	}
	return NULL;
}

static int gather(struct crowd *c, const struct rdma_scene *s, unsigned n, struct bench_run *out)
{
	for (unsigned i = 0; i < n; i++) {
		struct reader *r = &c->reader[i];
		r->crowd = c;
		int rc = dsm_host_attach_rdma(&s->host, NULL, &r->dsm);
		if (!rc)
			rc = dsm_cell(r->dsm, "g0.v0", &r->cell);
		if (rc)
			return bench_why(out, rc, "reader %u: %.160s", i, dsm_error());
		if (pthread_create(&r->thread, NULL, read_on, r))
			return -EAGAIN;
		r->runs = true;
	}
	return 0;
}

static void disperse(struct crowd *c)
{
	atomic_store(&c->over, true);
	for (unsigned i = 0; i < READERS_MAX; i++) {
		if (c->reader[i].runs)
			pthread_join(c->reader[i].thread, NULL);
		dsm_detach(&c->reader[i].dsm);
	}
}

/* The engine's switches in a second, from `ns` of watching. */
static double watch(pid_t engine, uint64_t ns)
{
	uint64_t began = bench_now_ns();
	struct bench_usage before = bench_usage_of(engine);
	bench_sleep_ns(ns);
	struct bench_usage spent = bench_usage_since(bench_usage_of(engine), before, 1);
	return (double)spent.voluntary_switches * 1e9 / (double)(bench_now_ns() - began);
}

enum { IDLE, READING, READS, CAUSED, COLUMNS };

static int compare(struct crowd *c, pid_t engine, uint64_t ns, struct bench_run *out)
{
	double idle = watch(engine, ns);
	uint64_t before = atomic_load(&c->reads), began = bench_now_ns();
	atomic_store(&c->reading, true);
	double reading = watch(engine, ns);
	double per_second = (double)(atomic_load(&c->reads) - before) * 1e9 / (double)(bench_now_ns() - began);
	atomic_store(&c->reading, false);
	if (atomic_load(&c->rc) || per_second <= 0)
		return bench_why(out, -EIO, "a reader failed or none came to read");
	bench_series_add(&out->series[IDLE], idle);
	bench_series_add(&out->series[READING], reading);
	bench_series_add(&out->series[READS], per_second);
	bench_series_add(&out->series[CAUSED], (reading - idle) / per_second);
	return 0;
}

static int measure(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	static struct crowd crowd;
	struct rdma_scene s;
	unsigned n = *(const unsigned *)row->arg;
	int rc = rdma_scene_open(&s, conf, out);
	for (int i = 0; !rc && i < COLUMNS; i++)
		rc = bench_series_reserve(&out->series[i], 1);
	if (!rc)
		rc = gather(&crowd, &s, n, out);
	if (!rc) {
		bench_sleep_ns(300000000); /* what attaching has caused is over */
		rc = compare(&crowd, s.host.child.pid, conf->quick ? 500000000 : 2000000000, out);
	}
	disperse(&crowd);
	rdma_scene_close(&s);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure);
}

void bench_rows_rdma_switches(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct bench_row row = { .family = "rdma-switches", .peer = "dsm", .mode = "poll", .kind = BENCH_ONCE,
			.work = "voluntary context switches of the engine while so many readers are attached and idle, while "
				"they read, and how many a dsm_read() has caused",
			.column = { "idle", "reading", "reads", "caused" },
			.column_unit = { "/s", "/s", "/s", "a read" },
			.size_bytes = rdma_shape(1).read_bytes, .arg = &counts[i], .run = run };
		snprintf(row.name, sizeof(row.name), "rdma.switches.%u", counts[i]);
		bench_list_add(list, &row);
	}
}
