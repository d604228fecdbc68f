/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: single calls of the public API on one machine, in batches; no other process takes part
 * unless the row says so. */
#include "peers/dsm_host.h"

#include "harness/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TEN 10u
#define WINDOW 64u
#define STAMP 1700000000000000000 /* a commit time given by the caller: no clock is read */

/* One handle and its ids of the cells: the context of every operation. */
struct handle {
	struct dsm *dsm;
	struct dsm_cell one, count, shared, ten[TEN];
	struct dsm_group ten_group;
	struct dsm_frame *frame;
	int64_t time_ns;
	double value;
};

struct fixture {
	struct dsm_host host;
	struct handle owner, reader, second;
};

static int define(struct dsm_table *table, const void *arg)
{
	char cell[16];
	(void)arg;
	int rc = dsm_host_owner(table, "bench");
	if (!rc && !(rc = dsm_host_group(table, "bench", "one")))
		rc = dsm_host_cell(table, "one", "v", DSM_F64, 1);
	if (!rc && !(rc = dsm_host_group(table, "bench", "count")))
		rc = dsm_host_cell(table, "count", "v", DSM_I64, 1);
	if (!rc && !(rc = dsm_host_group(table, "engine", "shared")))
		rc = dsm_host_cell(table, "shared", "v", DSM_I64, 1);
	if (!rc)
		rc = dsm_host_group(table, "bench", "ten");
	for (unsigned k = 0; !rc && k < TEN; k++) {
		snprintf(cell, sizeof(cell), "v%u", k);
		rc = dsm_host_cell(table, "ten", cell, DSM_F64, 1);
	}
	return rc;
}

static int open_handle(const struct dsm_host *host, const char *owner, struct handle *h)
{
	char name[24];
	int rc = dsm_host_attach(host->name, owner, &h->dsm);
	if (!rc)
		rc = dsm_cell(h->dsm, "one.v", &h->one);
	if (!rc)
		rc = dsm_cell(h->dsm, "count.v", &h->count);
	if (!rc)
		rc = dsm_cell(h->dsm, "shared.v", &h->shared);
	if (!rc)
		rc = dsm_group(h->dsm, "ten", &h->ten_group);
	for (unsigned k = 0; !rc && k < TEN; k++) {
		snprintf(name, sizeof(name), "ten.v%u", k);
		rc = dsm_cell(h->dsm, name, &h->ten[k]);
	}
	if (!rc)
		rc = dsm_frame_new(h->dsm, h->ten_group, &h->frame);
	return rc;
}

/* ---- what is measured ---- */

static int read_cell(void *context, uint32_t ops)
{
	struct handle *h = context;
	struct dsm_sample sample;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= dsm_read(h->dsm, h->one, &sample);
		bench_keep(&sample);
	}
	return rc;
}

static int read_f64(void *context, uint32_t ops)
{
	struct handle *h = context;
	double value;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= dsm_read_f64(h->dsm, h->one, &value);
		bench_keep(&value);
	}
	return rc;
}

static int commit_one(void *context, uint32_t ops)
{
	struct handle *h = context;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= dsm_begin(h->dsm, h->time_ns);
		rc |= dsm_set_f64(h->dsm, h->one, h->value += 1);
		rc |= dsm_commit(h->dsm, NULL);
	}
	return rc;
}

static int commit_ten(void *context, uint32_t ops)
{
	struct handle *h = context;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= dsm_begin(h->dsm, h->time_ns);
		for (unsigned k = 0; k < TEN; k++)
			rc |= dsm_set_f64(h->dsm, h->ten[k], h->value += 1);
		rc |= dsm_commit(h->dsm, NULL);
	}
	return rc;
}

static int snapshot_ten(void *context, uint32_t ops)
{
	struct handle *h = context;
	struct dsm_sample sample;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= dsm_snapshot(h->dsm, h->ten_group, h->frame);
		for (unsigned k = 0; k < TEN; k++) {
			rc |= dsm_frame_read(h->frame, h->ten[k], &sample);
			bench_keep(&sample);
		}
	}
	return rc;
}

static const struct dsm_value plus_one = { .type = DSM_I64, .len = 1, .i64 = 1 };

static int add_own(void *context, uint32_t ops)
{
	struct handle *h = context;
	struct dsm_value previous;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++)
		rc |= dsm_add(h->dsm, h->count, &plus_one, NULL, 1000, &previous);
	return rc;
}

static int add_others(void *context, uint32_t ops)
{
	struct handle *h = context;
	struct dsm_value previous;
	int rc = 0;
	for (uint32_t i = 0; !rc && i < ops; i++)
		rc = dsm_add(h->dsm, h->shared, &plus_one, NULL, 1000, &previous);
	return rc;
}

static int add_pipelined(void *context, uint32_t ops)
{
	struct handle *h = context;
	struct dsm_value previous;
	uint64_t ticket[WINDOW];
	int rc = 0;
	for (uint32_t i = 0; !rc && i < ops + WINDOW; i++) {
		if (i >= WINDOW)
			rc = dsm_add_end(h->dsm, ticket[i % WINDOW], 1000, &previous);
		if (!rc && i < ops)
			rc = dsm_add_begin(h->dsm, h->shared, &plus_one, NULL, &ticket[i % WINDOW]);
	}
	return rc;
}

/* ---- a second thread that does the same ---- */

struct companion {
	pthread_t thread;
	struct handle *handle;
	_Atomic bool stop;
	_Atomic uint64_t done;
	_Atomic int rc;
	int cpu;
};

static void *accompany(void *arg)
{
	struct companion *c = arg;
	bench_pin(c->cpu);
	while (!atomic_load(&c->stop)) {
		int rc = read_cell(c->handle, 10000);
		if (rc) {
			atomic_store(&c->rc, rc);
			break;
		}
		atomic_fetch_add(&c->done, 10000);
	}
	return NULL;
}

static int measure_pair(struct fixture *f, const struct bench_conf *conf, const struct bench_batch *batch,
	struct bench_series *series)
{
	struct companion c = { .handle = &f->second, .cpu = conf->cpu_server };
	if (pthread_create(&c.thread, NULL, accompany, &c))
		return -EAGAIN;
	while (!atomic_load(&c.done) && !atomic_load(&c.rc))
		bench_sleep_ns(100000);
	uint64_t before = atomic_load(&c.done);
	int rc = bench_batches(batch, read_cell, &f->reader, series);
	series->server.ops = atomic_load(&c.done) - before;
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	return rc ? rc : atomic_load(&c.rc);
}

/* ---- rows ---- */

struct call {
	const char *name, *work;
	bench_batch_operation operation;
	uint32_t ops;
	int64_t time_ns;
	bool reads, pair;
};

static const struct call calls[] = {
	{ "read", "dsm_read() of an f64 cell, nobody writing", read_cell, 20000, 0, true, false },
	{ "read_f64", "dsm_read_f64() of the same cell", read_f64, 20000, 0, true, false },
	{ "read2", "dsm_read() while a second thread on the other CPU reads the same cell by its own handle; "
		"per thread", read_cell, 20000, 0, true, true },
	{ "commit", "begin, set one f64, commit; time given by the caller", commit_one, 10000, STAMP, false, false },
	{ "commit-clock", "begin, set one f64, commit; time from the clock", commit_one, 10000, 0, false, false },
	{ "commit.10", "begin, set 10 f64 of a group, commit; time from the clock", commit_ten, 2000, 0, false, false },
	{ "snapshot.10", "dsm_snapshot() of 10 f64, each then read from the frame", snapshot_ten, 2000, 0, true, false },
	{ "add-own", "dsm_add() to an own i64 cell, previous value returned", add_own, 10000, 0, false, false },
	{ "add-engine", "dsm_add() to a cell of the engine (another process), one at a time", add_others, 50, 0, false, false },
	{ "add-engine-pipelined", "the same, 64 in flight", add_pipelined, 2000, 0, false, false },
};

static int open_fixture(struct fixture *f, bool pair, struct bench_run *out)
{
	int rc = dsm_host_start(&f->host, define, NULL, out);
	if (!rc)
		rc = open_handle(&f->host, "bench", &f->owner);
	if (!rc)
		rc = open_handle(&f->host, NULL, &f->reader);
	if (!rc && pair)
		rc = open_handle(&f->host, NULL, &f->second);
	if (!rc) /* no cell is without a value */
		rc = commit_one(&f->owner, 1) | commit_ten(&f->owner, 1);
	return rc;
}

static void close_handle(struct handle *h)
{
	dsm_frame_free(&h->frame);
	dsm_detach(&h->dsm);
}

static int measure(struct fixture *f, const struct call *call, const struct bench_conf *conf,
	struct bench_series *series)
{
	struct bench_batch batch = { .ops = call->ops, .warm = 5, .n = conf->quick ? 60 : 400 };
	f->owner.time_ns = call->time_ns;
	if (call->pair)
		return measure_pair(f, conf, &batch, series);
	return bench_batches(&batch, call->operation, call->reads ? &f->reader : &f->owner, series);
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct fixture f = { 0 };
	const struct call *call = row->arg;
	int rc = open_fixture(&f, call->pair, out);
	if (!rc)
		rc = measure(&f, call, conf, &out->series[0]);
	if (rc && !out->why[0])
		bench_why(out, rc, "%.180s", dsm_error());
	close_handle(&f.second);
	close_handle(&f.reader);
	close_handle(&f.owner);
	dsm_host_stop(&f.host);
	return rc;
}

void bench_rows_dsm(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct bench_row row = { .family = "dsm", .work = calls[i].work, .peer = "dsm", .mode = "call",
			.kind = BENCH_BATCH, .size_bytes = 8, .ops_per_batch = calls[i].ops, .arg = &calls[i], .run = run };
		snprintf(row.name, sizeof(row.name), "dsm.%s", calls[i].name);
		bench_list_add(list, &row);
	}
}
