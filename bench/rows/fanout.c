/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: 256 viewers over udp://, each subscribed to one group that its owner commits 20 times a second,
 * all of them reading, or one that never reads. A sample is the time from a commit to its arrival at one
 * viewer; who never reads has none.
 */
#include "harness/clock.h"
#include "peers/dsm_host.h"

#include <dsm/subscribe.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEWERS 256u
#define AT_ONCE 16u
#define HZ 20u
#define EVERY_NS (1000000000u / HZ)
#define WARM_COMMITS 4u
#define COMMITS 40u
#define COMMITS_QUICK 10u
#define ROOM (COMMITS + 8u)
#define OWNER "bench"

enum { ARRIVAL, UPDATES, SERVER_CPU };
enum { COMING, WARMING, MEASURING, OVER };

struct viewer {
	struct scene *scene;
	pthread_t thread;
	bool runs, deaf;
	int rc;
	unsigned n;
	double arrival[ROOM];
	char why[BENCH_WHY_MAX];
};

struct scene {
	struct dsm_host host;
	struct viewer viewer[VIEWERS];
	atomic_uint here;
	atomic_int phase;
	bool deaf;
};

static const bool all_read = false, one_is_deaf = true;

static int define(struct dsm_table *table, const void *arg)
{
	(void)arg;
	int rc = dsm_host_owner(table, OWNER);
	if (!rc && !(rc = dsm_host_group(table, OWNER, "sensor")))
		rc = dsm_host_cell(table, "sensor", "stamp", DSM_U64, 1);
	for (unsigned i = 0; !rc && i < 9; i++) {
		char name[8];
		snprintf(name, sizeof(name), "v%u", i);
		rc = dsm_host_cell(table, "sensor", name, DSM_F64, 1);
	}
	return rc;
}

/* ---- viewers ---- */

static int view(struct viewer *v, struct dsm_subscription *s, struct dsm_cell cell)
{
	int phase, rc = 0;
	while (!rc && (phase = atomic_load(&v->scene->phase)) != OVER) {
		const struct dsm_frame *frame;
		struct dsm_update u;
		struct dsm_sample sample;
		if (v->deaf) {
			bench_sleep_ns(50000000);
			continue;
		}
		rc = dsm_next_update(s, 100, &frame, &u);
		uint64_t now = bench_now_ns();
		if (rc == -ETIMEDOUT)
			rc = 0;
		else if (!rc && !(rc = dsm_frame_read(frame, cell, &sample)) && u.why == DSM_UPDATE_CHANGE &&
			 phase == MEASURING && v->n < ROOM)
			v->arrival[v->n++] = (double)(now - sample.value.u64);
	}
	return rc;
}

/* With patience: so many at once are not what is measured. */
static int attach(const struct dsm_host *host, struct dsm **out)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	char uri[64];
	options.program = "dsm-bench";
	options.attach_timeout_ms = options.call_timeout_ms = 20000;
	snprintf(uri, sizeof(uri), "udp://%s", host->udp);
	return dsm_attach(uri, &options, out);
}

static void *viewer_main(void *arg)
{
	struct viewer *v = arg;
	struct dsm *dsm = NULL;
	struct dsm_interest interest = { .kind = DSM_DEADBAND_NONE };
	struct dsm_subscription *s = NULL;
	struct dsm_cell cell;
	v->rc = attach(&v->scene->host, &dsm);
	if (!v->rc)
		v->rc = dsm_group(dsm, "sensor", &interest.group);
	if (!v->rc)
		v->rc = dsm_cell(dsm, "sensor.stamp", &cell);
	if (!v->rc)
		v->rc = dsm_subscribe(dsm, &interest, 1, NULL, &s);
	atomic_fetch_add(&v->scene->here, 1);
	if (!v->rc)
		v->rc = view(v, s, cell);
	if (v->rc)
		snprintf(v->why, sizeof(v->why), "%.180s", dsm_error());
	dsm_unsubscribe(&s);
	dsm_detach(&dsm);
	return NULL;
}

static int gather(struct scene *scene)
{
	for (unsigned i = 0; i < VIEWERS; i++) {
		struct viewer *v = &scene->viewer[i];
		v->scene = scene;
		v->deaf = scene->deaf && i == 0;
		if (pthread_create(&v->thread, NULL, viewer_main, v))
			return -EAGAIN;
		v->runs = true;
		while (atomic_load(&scene->here) + AT_ONCE <= i && !bench_stop)
			bench_sleep_ns(1000000);
	}
	while (atomic_load(&scene->here) < VIEWERS && !bench_stop)
		bench_sleep_ns(1000000);
	return bench_stop ? -EINTR : 0;
}

static int disperse(struct scene *scene, struct bench_run *out)
{
	int rc = 0;
	atomic_store(&scene->phase, OVER);
	for (unsigned i = 0; i < VIEWERS; i++) {
		struct viewer *v = &scene->viewer[i];
		if (v->runs)
			pthread_join(v->thread, NULL);
		if (v->runs && v->rc && !rc)
			rc = bench_why(out, v->rc, "viewer %u: %.170s", i, v->why);
	}
	return rc;
}

/* ---- the owner ---- */

static int commit(struct dsm *dsm, struct dsm_cell cell)
{
	int rc = dsm_begin(dsm, 0);
	if (!rc)
		rc = dsm_set_u64(dsm, cell, bench_now_ns());
	return rc ? rc : dsm_commit(dsm, NULL);
}

static int commit_on(struct scene *scene, struct dsm *dsm, unsigned commits, struct bench_usage *server,
	uint64_t *ns)
{
	struct dsm_cell cell;
	int rc = dsm_cell(dsm, "sensor.stamp", &cell);
	uint64_t began = bench_now_ns(), next = began;
	for (unsigned i = 0; !rc && !bench_stop && i < WARM_COMMITS + commits; i++) {
		if (i == WARM_COMMITS) {
			*server = bench_usage_of(scene->host.child.pid);
			began = bench_now_ns();
			atomic_store(&scene->phase, MEASURING);
		}
		rc = commit(dsm, cell);
		next += EVERY_NS;
		uint64_t now = bench_now_ns();
		bench_sleep_ns(now < next ? next - now : 1);
	}
	*ns = bench_now_ns() - began;
	*server = bench_usage_since(bench_usage_of(scene->host.child.pid), *server, 0);
	return rc ? rc : bench_stop ? -EINTR : 0;
}

static int collect(const struct scene *scene, unsigned commits, struct bench_usage server, uint64_t ns,
	struct bench_run *out)
{
	struct bench_series *arrival = &out->series[ARRIVAL];
	unsigned readers = VIEWERS - scene->deaf;
	int rc = bench_series_reserve(arrival, (size_t)readers * ROOM);
	for (int i = UPDATES; !rc && i <= SERVER_CPU; i++)
		rc = bench_series_reserve(&out->series[i], VIEWERS);
	for (unsigned i = 0; !rc && i < VIEWERS; i++) {
		const struct viewer *v = &scene->viewer[i];
		for (unsigned k = 0; k < v->n; k++)
			bench_series_add(arrival, v->arrival[k]);
		if (!v->deaf)
			bench_series_add(&out->series[UPDATES], (double)v->n * 1e9 / (double)ns);
	}
	if (rc)
		return rc;
	arrival->sent = (uint64_t)readers * commits;
	arrival->lost = arrival->sent > arrival->n ? arrival->sent - arrival->n : 0; /* a newer one came instead */
	bench_series_add(&out->series[SERVER_CPU], (double)server.cpu_ns * 1e9 / (double)ns);
	return arrival->n ? 0 : bench_why(out, -EIO, "nothing arrived");
}

static int measure(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct bench_usage server = { 0 };
	struct dsm *dsm = NULL;
	unsigned commits = conf->quick ? COMMITS_QUICK : COMMITS;
	uint64_t ns = 1;
	if (!scene)
		return bench_why(out, -ENOMEM, "no memory for the viewers");
	scene->deaf = *(const bool *)row->arg;
	unsetenv("DSM_KEYS");
	int rc = dsm_host_start_udp(&scene->host, conf->cpu_server, false, define, NULL, out);
	if (!rc && (rc = dsm_host_attach(scene->host.name, OWNER, &dsm)) != 0)
		bench_why(out, rc, "owner: %.160s", dsm_error());
	if (!rc)
		rc = gather(scene);
	if (!rc) {
		atomic_store(&scene->phase, WARMING);
		rc = commit_on(scene, dsm, commits, &server, &ns);
	}
	int failed = disperse(scene, out);
	rc = rc ? rc : failed;
	if (!rc)
		rc = collect(scene, commits, server, ns, out);
	dsm_detach(&dsm);
	dsm_host_stop(&scene->host);
	free(scene);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure);
}

void bench_rows_fanout(struct bench_list *list)
{
	static const struct { const char *name, *mode; const bool *deaf; } rows[] = {
		{ "udp.fanout.256.all.dsm", "all read", &all_read },
		{ "udp.fanout.256.deaf.dsm", "one never reads", &one_is_deaf },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench_row row = { .family = "fanout", .peer = "dsm", .mode = rows[i].mode, .kind = BENCH_ONCE,
			.work = "an owner beside the engine commits a group of 10 cells 20 times a second; 256 viewers have "
				"subscribed to it over udp. From the commit to its arrival at one of those who read",
			.column = { "arrival", "updates", "server-cpu" }, .column_unit = { NULL, "/s", "ns/s" },
			.size_bytes = 10 * sizeof(double), .arg = rows[i].deaf, .run = run };
		snprintf(row.name, sizeof(row.name), "%s", rows[i].name);
		if (*rows[i].deaf)
			snprintf(row.base, sizeof(row.base), "%s", rows[0].name);
		bench_list_add(list, &row);
	}
}
