/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator is the engine: one process, whose main thread commits and whose engine's thread serves.
 * An observer makes the calls of one look of the peeker (peeker/sample.c), and shows nothing.
 */
#include "peers/dsm_host.h"
#include "peers/observed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RDMA_PORTS 19000u

struct table {
	struct dsm *dsm;
	struct dsm_group group[OBSERVED_GROUPS];
	struct dsm_cell cell[OBSERVED_GROUPS][OBSERVED_CELLS];
	struct dsm_frame *frame[OBSERVED_GROUPS];
};

struct place {
	struct dsm_host host;
	char rdma[64];
};

static int define(struct dsm_table *table, const void *arg)
{
	char group[16], cell[16];
	int rc = 0;
	(void)arg;
	for (unsigned g = 0; !rc && g < OBSERVED_GROUPS; g++) {
		snprintf(group, sizeof(group), "g%u", g);
		rc = dsm_host_group(table, "engine", group);
		for (unsigned c = 0; !rc && c < OBSERVED_CELLS; c++) {
			snprintf(cell, sizeof(cell), "c%u", c);
			rc = dsm_host_cell(table, group, cell, DSM_F64, 1);
		}
	}
	return rc;
}

static int find_ids(struct table *t)
{
	char name[32];
	int rc = 0;
	for (unsigned g = 0; !rc && g < OBSERVED_GROUPS; g++) {
		snprintf(name, sizeof(name), "g%u", g);
		rc = dsm_group(t->dsm, name, &t->group[g]);
		for (unsigned c = 0; !rc && c < OBSERVED_CELLS; c++) {
			snprintf(name, sizeof(name), "g%u.c%u", g, c);
			rc = dsm_cell(t->dsm, name, &t->cell[g][c]);
		}
	}
	return rc;
}

/* ---- the engine ---- */

static int step(void *own, uint64_t number)
{
	struct table *t = own;
	unsigned g = (unsigned)(number % OBSERVED_GROUPS);
	int rc = dsm_begin(t->dsm, 0);
	for (unsigned c = 0; !rc && c < OBSERVED_CELLS; c++)
		rc = dsm_set_f64(t->dsm, t->cell[g][c], (double)(number + c));
	return rc ? rc : dsm_commit(t->dsm, NULL);
}

static int simulate(struct dsm_engine *engine, struct bench_shared *shared, void *arg)
{
	static struct table t;
	struct dsm_options options = DSM_OPTIONS_INIT;
	options.owner = "engine";
	int rc = dsm_engine_attach(engine, &options, &t.dsm);
	if (!rc)
		rc = find_ids(&t);
	if (!rc)
		rc = observed_step(arg, shared, step, &t);
	if (rc)
		snprintf(shared->why, sizeof(shared->why), "step: %.180s", dsm_error());
	dsm_detach(&t.dsm);
	return rc;
}

static int open_engine(struct observed *o, struct bench_run *out)
{
	struct place *p = calloc(1, sizeof(*p));
	o->own = p;
	if (!p)
		return -ENOMEM;
	unsetenv("DSM_KEYS"); /* no keys: any client may, on this machine's own address */
	if (o->way == OBSERVED_RDMA)
		snprintf(p->rdma, sizeof(p->rdma), "%.48s:%u", o->conf->rdma, RDMA_PORTS + (unsigned)getpid() % 1000);
	int rc = dsm_host_start_working(&p->host, o->conf->cpu_server, p->rdma[0] ? p->rdma : NULL,
		o->way == OBSERVED_UDP, define, simulate, o->log, out);
	o->simulator = p->host.child.pid;
	const char *scheme = o->way == OBSERVED_SHM ? "shm" : o->way == OBSERVED_UDP ? "udp" : "rdma";
	snprintf(o->uri, sizeof(o->uri), "%s://%.64s", scheme, o->way == OBSERVED_SHM ? p->host.name :
		o->way == OBSERVED_UDP ? p->host.udp : p->rdma);
	return rc;
}

static int close_engine(struct observed *o, struct bench_run *out)
{
	struct place *p = o->own;
	int rc = 0;
	if (p && p->host.child.shared) {
		char why[BENCH_WHY_MAX];
		memcpy(why, p->host.child.shared->why, sizeof(why));
		rc = bench_child_stop(&p->host.child, NULL);
		if (rc && !out->why[0])
			bench_why(out, rc, "%.190s", why[0] ? why : strerror(-rc));
	}
	free(p);
	o->own = NULL;
	return rc;
}

/* ---- observers ---- */

static int say(int rc, char why[BENCH_WHY_MAX])
{
	if (rc)
		snprintf(why, BENCH_WHY_MAX, "%.180s", rc == -EBADMSG ? "a look saw a mix of two steps" : dsm_error());
	return rc;
}

static int join(struct observed *o, void **own, char why[BENCH_WHY_MAX])
{
	struct place *p = o->own;
	struct table *t = calloc(1, sizeof(*t));
	*own = t;
	if (!t)
		return -ENOMEM;
	int rc = o->way == OBSERVED_SHM ? dsm_host_attach(p->host.name, NULL, &t->dsm) :
		o->way == OBSERVED_UDP ? dsm_host_attach_udp(&p->host, NULL, &t->dsm) :
		dsm_host_attach_rdma(&p->host, NULL, &t->dsm);
	if (!rc)
		rc = find_ids(t);
	for (unsigned g = 0; !rc && g < OBSERVED_GROUPS; g++)
		rc = dsm_frame_new(t->dsm, t->group[g], &t->frame[g]);
	return say(rc, why);
}

static int look_at(struct table *t, unsigned g)
{
	double value[OBSERVED_CELLS];
	struct dsm_frame_info info;
	struct dsm_sample sample;
	int rc = dsm_snapshot(t->dsm, t->group[g], t->frame[g]);
	if (!rc)
		rc = dsm_frame_info(t->frame[g], &info);
	for (unsigned c = 0; !rc && c < OBSERVED_CELLS; c++) {
		rc = dsm_frame_read(t->frame[g], t->cell[g][c], &sample);
		value[c] = sample.value.f64;
	}
	return rc ? rc : observed_whole(value) ? 0 : -EBADMSG;
}

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	(void)name, (void)what;
	*(uint64_t *)context += value;
	return 0;
}

static int look(void *own, char why[BENCH_WHY_MAX])
{
	struct table *t = own;
	struct dsm_event event;
	struct dsm_region_info region;
	struct dsm_status status;
	struct dsm_stats stats;
	struct dsm_owner_info owner;
	uint64_t sum = 0;
	int rc = 0;
	for (unsigned g = 0; !rc && g < OBSERVED_GROUPS; g++)
		rc = look_at(t, g);
	while (!rc && dsm_next_event(t->dsm, &event) == 0)
		;
	if (!rc)
		rc = dsm_region_info(t->dsm, &region);
	if (!rc)
		rc = dsm_status(t->dsm, &status);
	if (!rc)
		rc = dsm_stats(t->dsm, &stats);
	if (!rc)
		rc = dsm_foreach_counter(t->dsm, take_counter, &sum);
	if (!rc)
		rc = dsm_owner_info(t->dsm, 0, &owner);
	return say(rc, why);
}

static void leave(void *own)
{
	struct table *t = own;
	if (t) {
		for (unsigned g = 0; g < OBSERVED_GROUPS; g++)
			dsm_frame_free(&t->frame[g]);
		dsm_detach(&t->dsm);
	}
	free(t);
}

const struct observed_ops observed_dsm = { "dsm", open_engine, join, look, leave, close_engine };
