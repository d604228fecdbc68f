/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: many independent wires, each a group of its own; at most ten owners share them, or one
 * owner has them all. One operation commits a number into one wire, reads it back by another handle
 * and checks it; the wires take turns. Wires that hold each other up would show as ns per operation
 * growing. All handles are one thread's: with ten owners it goes through ten times the memory of a
 * handle (pages, lines), which is what it then measures; with one owner only the wires grow.
 */
#include "peers/dsm_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OWNERS_MAX 10u
#define STAMP 1700000000000000000

struct wires_spec {
	unsigned wires, owners;
	const char *name;
};
static const struct wires_spec specs[] = { { 1, 1, "1" }, { 10, 10, "10" }, { 1000, 10, "1000" },
	{ 10, 1, "10.one-owner" }, { 1000, 1, "1000.one-owner" } };

struct wire {
	struct dsm *owner;
	struct dsm_cell out, in;
};

struct wires {
	struct dsm_host host;
	struct dsm *owner[OWNERS_MAX], *reader;
	struct wire *wire;
	unsigned n, owners, next;
	double value;
};

static void name_owner(char *name, size_t size, unsigned wire, unsigned owners)
{
	snprintf(name, size, "owner%u", wire % owners);
}

static int define(struct dsm_table *table, const void *arg)
{
	const struct wires_spec *spec = arg;
	char owner[16], group[16];
	int rc = 0;
	for (unsigned i = 0; !rc && i < spec->wires; i++) {
		name_owner(owner, sizeof(owner), i, spec->owners);
		if (i < spec->owners)
			rc = dsm_host_owner(table, owner);
		snprintf(group, sizeof(group), "wire%u", i);
		if (!rc)
			rc = dsm_host_group(table, owner, group);
		if (!rc)
			rc = dsm_host_cell(table, group, "v", DSM_F64, 1);
	}
	return rc;
}

static int attach(struct wires *w)
{
	char name[24];
	int rc = dsm_host_attach(w->host.name, NULL, &w->reader);
	for (unsigned i = 0; !rc && i < w->owners; i++) {
		name_owner(name, sizeof(name), i, w->owners);
		rc = dsm_host_attach(w->host.name, name, &w->owner[i]);
	}
	for (unsigned i = 0; !rc && i < w->n; i++) {
		struct wire *wire = &w->wire[i];
		wire->owner = w->owner[i % w->owners];
		snprintf(name, sizeof(name), "wire%u.v", i);
		rc = dsm_cell(wire->owner, name, &wire->out);
		if (!rc)
			rc = dsm_cell(w->reader, name, &wire->in);
	}
	return rc;
}

static int pass(void *context, uint32_t ops)
{
	struct wires *w = context;
	double seen = 0;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		const struct wire *wire = &w->wire[w->next];
		w->next = w->next + 1 == w->n ? 0 : w->next + 1;
		w->value += 1;
		rc |= dsm_begin(wire->owner, STAMP);
		rc |= dsm_set_f64(wire->owner, wire->out, w->value);
		rc |= dsm_commit(wire->owner, NULL);
		rc |= dsm_read_f64(w->reader, wire->in, &seen);
		if (rc || seen != w->value)
			return rc ? rc : -EBADMSG;
	}
	return 0;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct wires_spec *spec = row->arg;
	struct wires w = { .n = spec->wires, .owners = spec->owners };
	w.wire = calloc(spec->wires, sizeof(*w.wire));
	int rc = w.wire ? dsm_host_start(&w.host, define, spec, out) : -ENOMEM;
	if (!rc)
		rc = attach(&w);
	if (!rc)
		rc = bench_batches(&(struct bench_batch){ .ops = row->ops_per_batch, .warm = 5,
			.n = conf->quick ? 60 : 400 }, pass, &w, &out->series[0]);
	if (rc && !out->why[0])
		bench_why(out, rc, "%.180s", rc == -EBADMSG ? "a wire gave back another value" : dsm_error());
	dsm_detach(&w.reader);
	for (unsigned i = 0; i < OWNERS_MAX; i++)
		dsm_detach(&w.owner[i]);
	dsm_host_stop(&w.host);
	free(w.wire);
	return rc;
}

void bench_rows_wires(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct bench_row row = { .family = "wires", .peer = "dsm", .mode = specs[i].name,
			.work = "commit into one of so many wires, read back by another handle, compare; wires in turn",
			.kind = BENCH_BATCH, .size_bytes = 8, .ops_per_batch = 10000, .arg = &specs[i], .run = run };
		snprintf(row.name, sizeof(row.name), "wires.%s", specs[i].name);
		snprintf(row.base, sizeof(row.base), "wires.1");
		bench_list_add(list, &row);
	}
}
