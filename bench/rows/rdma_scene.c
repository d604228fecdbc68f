/* SPDX-License-Identifier: Apache-2.0 */
#include "rows/rdma_scene.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTS 18000u

static int define_group(struct dsm_table *table, const char *group, unsigned cells)
{
	char cell[16];
	int rc = dsm_table_group(table, &(struct dsm_group_spec){ .owner = RDMA_OWNER, .name = group,
		.description = "", .slots = RDMA_SLOTS });
	for (unsigned k = 0; !rc && k < cells; k++) {
		snprintf(cell, sizeof(cell), "v%u", k);
		rc = dsm_host_cell(table, group, cell, DSM_F64, 1);
	}
	return rc;
}

static int define(struct dsm_table *table, const void *arg)
{
	char group[16];
	(void)arg;
	int rc = dsm_table_owner(table, &(struct dsm_owner_spec){ .name = RDMA_OWNER, .network = true,
		.users = "" });
	for (unsigned i = 0; !rc && i < RDMA_GROUPS; i++) {
		snprintf(group, sizeof(group), "g%u", i);
		rc = define_group(table, group, 1);
	}
	return rc ? rc : define_group(table, "wide", RDMA_WIDE_CELLS);
}

static int find_ids(struct rdma_scene *s)
{
	char name[16];
	int rc = dsm_cell(s->dsm, "wide.v0", &s->wide);
	for (unsigned i = 0; !rc && i < RDMA_GROUPS; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		rc = dsm_group(s->dsm, name, &s->group[i]);
		snprintf(name, sizeof(name), "g%u.v0", i);
		if (!rc)
			rc = dsm_cell(s->dsm, name, &s->cell[i]);
		if (!rc)
			rc = dsm_frame_new(s->dsm, s->group[i], &s->frame[i]);
	}
	return rc;
}

static void let_go(struct rdma_scene *s)
{
	for (unsigned i = 0; i < RDMA_GROUPS; i++)
		dsm_frame_free(&s->frame[i]);
	dsm_detach(&s->dsm);
}

/* By mapped memory, so that nothing of a device is in use yet. */
static int fill(struct rdma_scene *s)
{
	int rc = dsm_host_attach(s->host.name, RDMA_OWNER, &s->dsm);
	if (!rc)
		rc = find_ids(s);
	if (!rc)
		rc = dsm_begin(s->dsm, 0);
	for (unsigned i = 0; !rc && i < RDMA_GROUPS; i++)
		rc = dsm_set_f64(s->dsm, s->cell[i], RDMA_VALUE);
	if (!rc)
		rc = dsm_set_f64(s->dsm, s->wide, RDMA_VALUE);
	if (!rc)
		rc = dsm_commit(s->dsm, NULL);
	return rc;
}

int rdma_scene_open(struct rdma_scene *s, const struct bench_conf *conf, struct bench_run *out)
{
	memset(s, 0, sizeof(*s));
	s->value = RDMA_VALUE;
	snprintf(s->place, sizeof(s->place), "%.48s:%u", conf->rdma, PORTS + (unsigned)getpid() % 1000);
	int rc = dsm_host_start_rdma(&s->host, s->place, conf->cpu_server, define, NULL, out);
	if (rc)
		return rc;
	rc = fill(s);
	if (rc)
		bench_why(out, rc, "first values: %.160s", dsm_error());
	let_go(s);
	return rc;
}

int rdma_scene_attach(struct rdma_scene *s, const char *owner, struct bench_run *out)
{
	int rc = dsm_host_attach_rdma(&s->host, owner, &s->dsm);
	if (!rc)
		rc = find_ids(s);
	return rc ? bench_why(out, rc, "attach: %.160s", dsm_error()) : 0;
}

void rdma_scene_close(struct rdma_scene *s)
{
	let_go(s);
	dsm_host_stop(&s->host);
}
