/* SPDX-License-Identifier: Apache-2.0 */
/* Verb info: the region, a group, a cell or an owner in full. */
#include "cells.h"
#include "measure.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RULE "K >= 1 + ceil(p99 of a read / commit interval)"

/* Columns and fields put together one by one, then printed as one vertical row. */
#define FACTS_MAX 32
struct sheet {
	struct column columns[FACTS_MAX];
	struct field fields[FACTS_MAX];
	size_t n;
};

static void put(struct sheet *sheet, const char *key, const char *unit, struct field field)
{
	if (sheet->n == FACTS_MAX)
		return;
	sheet->columns[sheet->n] = (struct column){ .key = key, .unit = unit };
	sheet->fields[sheet->n++] = field;
}

static void print_sheet(struct cli *cli, const struct sheet *sheet)
{
	out_begin(cli->out, sheet->columns, sheet->n, true);
	out_row(cli->out, sheet->fields);
	out_end(cli->out);
}

static enum status info_region(struct cli *cli)
{
	struct dsm_region_info info;
	struct sheet sheet = { .n = 0 };
	int error = dsm_region_info(cli->dsm, &info);

	if (error)
		return cli_fail(cli, error);
	put(&sheet, "region", "", field_text(info.name));
	put(&sheet, "uri", "", field_text(info.uri));
	put(&sheet, "transport", "", field_text(info.transport));
	put(&sheet, "reason", "", field_text(info.reason));
	put(&sheet, "owners", "", field_u64(info.owners));
	put(&sheet, "groups", "", field_u64(info.groups));
	put(&sheet, "cells", "", field_u64(info.cells));
	put(&sheet, "bytes", "B", field_u64(info.bytes));
	put(&sheet, "generation", "", field_hex(info.generation));
	put(&sheet, "layout_hash", "", field_hex(info.layout_hash));
	put(&sheet, "layout_version", "", field_u64(info.layout_version));
	put(&sheet, "engine_pid", "", field_u64(info.engine_pid));
	put(&sheet, "engine_uid", "", field_u64(info.engine_uid));
	put(&sheet, "started", "s", field_time(info.started_ns));
	put(&sheet, "heartbeat", "", field_u64(info.heartbeat));
	put(&sheet, "heartbeat_age", "ms", field_u64(info.heartbeat_age_ms));
	put(&sheet, "tick", "ms", field_u64(info.tick_ms));
	put(&sheet, "lease", "ms", field_u64(info.lease_ms));
	put(&sheet, "rule_for_slots", "", field_text(RULE));
	print_sheet(cli, &sheet);
	return STATUS_OK;
}

static const char *group_flags(uint32_t flags)
{
	if (flags & DSM_GROUP_UNCHECKED && flags & DSM_GROUP_NO_SAVE)
		return "unchecked,no_save";
	if (flags & DSM_GROUP_UNCHECKED)
		return "unchecked";
	return flags & DSM_GROUP_NO_SAVE ? "no_save" : "";
}

static void put_measured(struct sheet *sheet, const struct measured *m)
{
	put(sheet, "measured_for", "s", field_f64(m->seconds, 2));
	put(sheet, "commits", "", field_u64(m->commits));
	put(sheet, "commit_interval", "ns",
		m->commits ? field_f64(m->commit_interval_ns, 0) : field_none());
	put(sheet, "reads", "", field_u64(m->reads));
	put(sheet, "read_p50", "ns", field_f64(m->read_p50_ns, 0));
	put(sheet, "read_p99", "ns", field_f64(m->read_p99_ns, 0));
	put(sheet, "slots_needed", "", m->commits ? field_u64(m->slots_needed) : field_none());
}

static enum status info_group(struct cli *cli, struct dsm_group group)
{
	struct dsm_group_info info;
	struct measured measured;
	struct sheet sheet = { .n = 0 };
	double seconds = cli->set.interval_s > 0 ? cli->set.interval_s : 1;
	int error = dsm_group_info(cli->dsm, group, &info);

	if (error)
		return cli_fail(cli, error);
	put(&sheet, "group", "", field_text(info.name));
	put(&sheet, "owner", "", field_text(info.owner_name));
	put(&sheet, "description", "", field_text(info.description));
	put(&sheet, "cells", "", field_u64(info.cells));
	put(&sheet, "slots", "", field_u64(info.slots));
	put(&sheet, "payload", "B", field_u64(info.payload_bytes));
	put(&sheet, "slot", "B", field_u64(info.slot_bytes));
	put(&sheet, "seq", "", field_u64(info.seq));
	put(&sheet, "max_age", "ms", info.max_age_ms ? field_u64(info.max_age_ms) : field_none());
	put(&sheet, "flags", "", field_text(group_flags(info.flags)));
	put(&sheet, "rule_for_slots", "", field_text(RULE));
	if (cli->set.measure) {
		error = measure_group(cli, group, seconds, &measured);
		if (error)
			return cli_fail(cli, error);
		put_measured(&sheet, &measured);
		if (measured.commits && measured.slots_needed > info.slots)
			cli_say(cli, "%s has %u slots, fewer than the %llu that this rate asks for; "
				"set slots in the table", info.name, info.slots,
				(unsigned long long)measured.slots_needed);
	}
	print_sheet(cli, &sheet);
	return STATUS_OK;
}

static enum status info_owner(struct cli *cli, const struct dsm_owner_info *info)
{
	struct sheet sheet = { .n = 0 };

	put(&sheet, "owner", "", field_text(info->name));
	put(&sheet, "index", "", field_u64(info->index));
	put(&sheet, "state", "", field_text(dsm_owner_state_name(info->state)));
	put(&sheet, "groups", "", field_u64(info->groups));
	put(&sheet, "epoch", "", field_u64(info->epoch));
	put(&sheet, "pid", "", info->pid ? field_u64(info->pid) : field_none());
	put(&sheet, "network", "", field_bool(info->network));
	put(&sheet, "step", "", field_u64(info->step));
	print_sheet(cli, &sheet);
	return STATUS_OK;
}

static enum status info_cell(struct cli *cli, struct dsm_cell cell)
{
	static const enum fact facts[] = {
		FACT_CELL, FACT_TYPE, FACT_UNIT, FACT_DESCRIPTION, FACT_MIN, FACT_MAX, FACT_CLAMP,
		FACT_PRECISION, FACT_GROUP, FACT_OWNER, FACT_VALUE, FACT_QUALITY, FACT_STALE, FACT_TIME,
		FACT_AGE, FACT_SEQ, FACT_EPOCH,
	};
	struct dsm_cell_info info;
	struct dsm_sample sample;
	struct view view;
	int error = dsm_cell_info(cli->dsm, cell, &info);

	if (!error)
		error = dsm_read(cli->dsm, cell, &sample);
	if (error)
		return cli_fail(cli, error);
	view_init(&view, facts, COUNT(facts));
	view_begin(&view, cli->out, true);
	view_row(&view, cli->out, &info, &sample);
	out_end(cli->out);
	return STATUS_OK;
}

static enum status info_name(struct cli *cli, const char *name)
{
	struct dsm_owner_info owner;
	struct dsm_group group;
	struct dsm_cell cell;
	bool found = false;
	enum status status = STATUS_OK;

	if (dsm_cell(cli->dsm, name, &cell) == 0) {
		status = info_cell(cli, cell);
		found = true;
	}
	if (dsm_group(cli->dsm, name, &group) == 0) {
		status = cli_worse(status, info_group(cli, group));
		found = true;
	}
	for (uint32_t i = 0; dsm_owner_info(cli->dsm, i, &owner) == 0; i++) {
		if (strcmp(owner.name, name) != 0)
			continue;
		status = cli_worse(status, info_owner(cli, &owner));
		found = true;
	}
	if (found)
		return status;
	int error = strchr(name, '.') ? dsm_cell(cli->dsm, name, &cell) :
		dsm_group(cli->dsm, name, &group);
	return cli_fail(cli, error); /* its text offers near names */
}

enum status verb_info(struct cli *cli)
{
	enum status status = cli_output(cli);

	if (cli->set.measure && cli->n_args == 0)
		return cli_usage(cli, "--measure needs the name of a group");
	if (!status)
		status = cli_attach(cli, NULL, DSM_NO_REATTACH);
	if (status)
		return status;
	if (cli->n_args == 0)
		return info_region(cli);
	for (int i = 0; i < cli->n_args; i++)
		status = cli_worse(status, info_name(cli, cli->args[i]));
	return status;
}
