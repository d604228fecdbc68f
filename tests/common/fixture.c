/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct dsm_owner_spec owners[] = {
	{ "sensors", false, "*" }, { "operator", false, "*" }, { "remote", true, "*" },
};

static const struct dsm_group_spec groups[] = {
	{ "engine", "drilling", "what the engine computes", 0, 0, false },
	{ "sensors", "sensors.a", "", 0, 0, false },
	{ "sensors", "sensors.b", "", 0, 0, false },
	{ "operator", "setpoints", "", 8, 0, false },
	{ "remote", "remote", "", 0, 0, false },
	{ "sensors", "big", "", 2, 0, true },
	{ "sensors", "aging", "", 0, 100, false },
};

#define NUMBER(group, name, type) { group, name, "", "", type, 0, 0, 0, 0, -1 }
static const struct dsm_cell_spec cells[] = {
	{ "drilling", "rop", "m/h", "rate of penetration", DSM_F64, 0, DSM_HAS_MIN | DSM_HAS_MAX, 0, 150, 1 },
	{ "drilling", "wob", "t", "weight on bit", DSM_F64, 0, DSM_HAS_MIN | DSM_HAS_MAX | DSM_CLAMP, 0, 50, 2 },
	NUMBER("drilling", "on", DSM_BOOL),
	{ "drilling", "mode", "", "", DSM_STRING, 16, 0, 0, 0, -1 },
	NUMBER("drilling", "count", DSM_I64),
	NUMBER("drilling", "ticks", DSM_U64),
	{ "drilling", "raw", "", "", DSM_BYTES, 8, 0, 0, 0, -1 },
	{ "drilling", "wave", "V", "", DSM_F64_ARRAY, 4, 0, 0, 0, -1 },
	NUMBER("sensors.a", "x", DSM_F64), NUMBER("sensors.a", "y", DSM_F64),
	NUMBER("sensors.b", "x", DSM_F64), NUMBER("sensors.b", "y", DSM_F64),
	{ "setpoints", "rop", "m/h", "", DSM_F64, 0, DSM_HAS_MIN | DSM_HAS_MAX, 0, 100, -1 },
	{ "setpoints", "note", "", "", DSM_STRING, 32, 0, 0, 0, -1 },
	NUMBER("setpoints", "n", DSM_I64),
	NUMBER("remote", "v", DSM_U64), NUMBER("remote", "w", DSM_U64),
	{ "big", "data", "", "", DSM_BYTES, 1u << 20, 0, 0, 0, -1 },
	NUMBER("aging", "v", DSM_F64),
};

static int add_other(struct dsm_table *t)
{
	struct dsm_group_spec group = { "engine", "extra", "", 0, 0, false };
	struct dsm_cell_spec cell = NUMBER("extra", "v", DSM_F64);
	int rc = dsm_table_group(t, &group);
	return rc ? rc : dsm_table_cell(t, &cell);
}

static int add_wide(struct dsm_table *t)
{
	struct dsm_group_spec group = { "sensors", "sensors.wide", "", 2, 0, false };
	struct dsm_cell_spec cell = { "sensors.wide", "data", "", "", DSM_BYTES, 8128, 0, 0, 0, -1 };
	int rc = dsm_table_group(t, &group);
	return rc ? rc : dsm_table_cell(t, &cell);
}

int fixture_table_of(unsigned flags, struct dsm_table **out)
{
	struct dsm_table *t;
	int rc = dsm_table_new("test", &t);
	for (size_t i = 0; rc == 0 && i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct dsm_owner_spec owner = owners[i];
		owner.network |= (flags & FIXTURE_NETWORK) != 0;
		rc = dsm_table_owner(t, &owner);
	}
	for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		rc = dsm_table_group(t, &groups[i]);
	for (size_t i = 0; rc == 0 && i < sizeof(cells) / sizeof(cells[0]); i++)
		rc = dsm_table_cell(t, &cells[i]);
	if (rc == 0 && flags & FIXTURE_OTHER)
		rc = add_other(t);
	if (rc == 0 && flags & FIXTURE_WIDE)
		rc = add_wide(t);
	if (rc == 0)
		*out = t;
	else
		fprintf(stderr, "fixture: %s\n", dsm_error());
	return rc;
}

int fixture_table(struct dsm_table **out)
{
	return fixture_table_of(0, out);
}

int fixture_other_table(struct dsm_table **out)
{
	return fixture_table_of(FIXTURE_OTHER, out);
}

static void log_line(const char *text, void *context)
{
	(void)context;
	if (getenv("DSM_TEST_LOG"))
		fprintf(stderr, "engine: %s\n", text);
}

int fixture_engine(const struct dsm_engine_options *opts, char name[64], struct dsm_engine **out)
{
	return fixture_engine_of(0, opts, name, out);
}

int fixture_engine_of(unsigned flags, const struct dsm_engine_options *opts, char name[64],
	struct dsm_engine **out)
{
	static unsigned n;
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	if (opts)
		o = *opts;
	if (!o.name) {
		snprintf(name, 64, "test-%d-%u", (int)getpid(), n++);
		o.name = name;
	}
	if (!o.log)
		o.log = log_line;
	if (!o.tick_ms)
		o.tick_ms = 10;
	if (!o.lease_ms)
		o.lease_ms = 5000; /* who asks what a lease does gives it; a busy machine ends no other one */
	int rc = fixture_table_of(flags, &table);
	if (rc == 0)
		rc = dsm_engine_open(table, &o, out);
	dsm_table_free(&table);
	if (rc)
		fprintf(stderr, "fixture: %s\n", dsm_error());
	return rc;
}

void fixture_uri(const char *scheme, const char *name, char uri[128])
{
	snprintf(uri, 128, "%s://%s", scheme, name);
}

int fixture_commit(struct dsm_engine *engine, int64_t time_ns, const struct fixture_value *values,
	unsigned n)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_cell cell;
	opts.owner = "engine";
	int rc = dsm_engine_attach(engine, &opts, &dsm);
	if (rc == 0)
		rc = dsm_begin(dsm, time_ns);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = dsm_cell(dsm, values[i].cell, &cell);
		if (rc == 0)
			rc = dsm_set(dsm, cell, &values[i].value);
	}
	if (rc == 0)
		rc = dsm_commit(dsm, NULL);
	dsm_detach(&dsm);
	return rc;
}
