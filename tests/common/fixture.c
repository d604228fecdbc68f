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

int fixture_table(struct dsm_table **out)
{
	struct dsm_table *t;
	int rc = dsm_table_new("test", &t);
	for (size_t i = 0; rc == 0 && i < sizeof(owners) / sizeof(owners[0]); i++)
		rc = dsm_table_owner(t, &owners[i]);
	for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		rc = dsm_table_group(t, &groups[i]);
	for (size_t i = 0; rc == 0 && i < sizeof(cells) / sizeof(cells[0]); i++)
		rc = dsm_table_cell(t, &cells[i]);
	if (rc == 0)
		*out = t;
	else
		fprintf(stderr, "fixture: %s\n", dsm_error());
	return rc;
}

int fixture_other_table(struct dsm_table **out)
{
	struct dsm_group_spec group = { "engine", "extra", "", 0, 0, false };
	struct dsm_cell_spec cell = NUMBER("extra", "v", DSM_F64);
	int rc = fixture_table(out);
	if (rc == 0)
		rc = dsm_table_group(*out, &group);
	return rc ? rc : dsm_table_cell(*out, &cell);
}

static void log_line(const char *text, void *context)
{
	(void)context;
	if (getenv("DSM_TEST_LOG"))
		fprintf(stderr, "engine: %s\n", text);
}

int fixture_engine(const struct dsm_engine_options *opts, char name[64], struct dsm_engine **out)
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
		o.lease_ms = 200;
	int rc = fixture_table(&table);
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
