/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

struct row rows[] = {
	{ "shm", "" },
	{ "shm", "tear=0.3,drop=0.2,seed=7" },
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);

void rig_up(struct rig *rig, const struct row *row)
{
	memset(rig, 0, sizeof(*rig));
	rig->row = *row;
	ok(fixture_engine(NULL, rig->name, &rig->engine));
	fixture_uri(row->scheme, rig->name, rig->uri);
}

void rig_down(struct rig *rig)
{
	ok(dsm_engine_close(&rig->engine));
	cr_assert_null(rig->engine);
}

struct dsm *rig_attach(struct rig *rig, const char *owner, uint32_t flags)
{
	struct dsm *dsm = NULL;
	struct dsm_region_info info;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.flags = flags;
	opts.fault = rig->row.fault[0] ? rig->row.fault : NULL;
	ok(dsm_attach(rig->uri, &opts, &dsm));
	ok(dsm_region_info(dsm, &info));
	cr_assert_str_eq(info.transport, rig->row.scheme);
	return dsm;
}

struct dsm_cell rig_cell(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell = { 0 };
	ok(dsm_cell(dsm, name, &cell));
	return cell;
}

struct dsm_group rig_group(struct dsm *dsm, const char *name)
{
	struct dsm_group group = { 0 };
	ok(dsm_group(dsm, name, &group));
	return group;
}

void rig_write_f64(struct dsm *dsm, const char *name, double value)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = value };
	ok(dsm_write(dsm, rig_cell(dsm, name), &v));
}

double rig_read_f64(struct dsm *dsm, const char *name)
{
	struct dsm_sample s;
	ok(dsm_read(dsm, rig_cell(dsm, name), &s));
	return s.value.f64;
}
