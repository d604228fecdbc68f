/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that walk the whole table in its order: ls and dump. Both stream. */
#include "cells.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum fact ls_facts[] = {
	FACT_CELL, FACT_TYPE, FACT_UNIT, FACT_OWNER, FACT_DESCRIPTION,
};
static const enum fact dump_facts[] = {
	FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_STALE, FACT_AGE, FACT_TIME, FACT_SEQ,
	FACT_EPOCH, FACT_TYPE, FACT_MIN, FACT_MAX, FACT_CLAMP, FACT_PRECISION, FACT_GROUP,
	FACT_OWNER, FACT_DESCRIPTION,
};
/* The line of the other verbs first, then the rest. */
static const enum fact dump_ordered_facts[] = {
	FACT_TIME, FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_SEQ, FACT_STALE, FACT_AGE,
	FACT_EPOCH, FACT_TYPE, FACT_MIN, FACT_MAX, FACT_CLAMP, FACT_PRECISION, FACT_GROUP,
	FACT_OWNER, FACT_DESCRIPTION,
};

/* A walk over cells, groups or owners. */
struct walk {
	struct cli *cli;
	struct view view;
	size_t rows;
	struct dsm_frame *frame;   /* dump: the group of the cells just now */
	uint64_t frame_group;
	int error;
};

/* Ends a walk early: a signal, nobody reads, or the time is up. */
#define WALK_ENDED 1

static int may_go_on(struct walk *walk)
{
	if (cli_ended(walk->cli))
		return WALK_ENDED;
	/* The clock is looked at now and then only: a walk may be a million rows. */
	if (walk->rows++ % 256 == 255 && cli_remaining_ms(walk->cli, 1) == 0)
		return -ETIME;
	return 0;
}

static int list_cell(const struct dsm_cell_info *info, void *context)
{
	struct walk *walk = context;
	int end = may_go_on(walk);

	if (end)
		return end;
	view_row(&walk->view, walk->cli->out, info, NULL);
	return 0;
}

/* The frame of the cell's group, read once per group. */
static int frame_for(struct walk *walk, const struct dsm_cell_info *info)
{
	if (walk->frame && walk->frame_group == info->group.id)
		return 0;
	dsm_frame_free(&walk->frame);
	int error = dsm_frame_new(walk->cli->dsm, info->group, &walk->frame);
	if (error)
		return error;
	walk->frame_group = info->group.id;
	return dsm_snapshot(walk->cli->dsm, info->group, walk->frame);
}

static int dump_cell(const struct dsm_cell_info *info, void *context)
{
	struct walk *walk = context;
	struct dsm_sample sample;
	int end = may_go_on(walk);

	if (end)
		return end;
	int error = frame_for(walk, info);
	if (!error)
		error = dsm_frame_read(walk->frame, info->cell, &sample);
	if (error)
		return error;
	view_row(&walk->view, walk->cli->out, info, &sample);
	return 0;
}

static const struct column group_columns[] = {
	{ "group", NULL, NULL, false }, { "owner", NULL, NULL, false },
	{ "cells", NULL, NULL, true }, { "slots", NULL, NULL, true },
	{ "bytes", NULL, "B", true }, { "seq", NULL, NULL, true },
	{ "description", NULL, NULL, false },
};

static int list_group(const struct dsm_group_info *info, void *context)
{
	struct walk *walk = context;
	int end = may_go_on(walk);
	const struct field fields[COUNT(group_columns)] = {
		field_text(info->name), field_text(info->owner_name), field_u64(info->cells),
		field_u64(info->slots), field_u64(info->payload_bytes), field_u64(info->seq),
		field_text(info->description),
	};

	if (end)
		return end;
	out_row(walk->cli->out, fields);
	return 0;
}

static const struct column owner_columns[] = {
	{ "owner", NULL, NULL, false }, { "state", NULL, NULL, false },
	{ "groups", NULL, NULL, true }, { "epoch", NULL, NULL, true },
	{ "pid", NULL, NULL, true }, { "step", NULL, NULL, true },
	{ "network", NULL, NULL, false },
};

static enum status list_owners(struct cli *cli)
{
	struct dsm_owner_info info;
	int error;

	out_begin(cli->out, owner_columns, COUNT(owner_columns), false);
	for (uint32_t i = 0; (error = dsm_owner_info(cli->dsm, i, &info)) == 0; i++) {
		struct field fields[COUNT(owner_columns)] = {
			field_text(info.name), field_text(dsm_owner_state_name(info.state)),
			field_u64(info.groups), field_u64(info.epoch),
			info.pid ? field_u64(info.pid) : field_none(), field_u64(info.step),
			field_bool(info.network),
		};
		fields[1].tone = info.state == DSM_ALIVE ? TONE_PLAIN :
			info.state == DSM_VACANT ? TONE_DIM : TONE_BAD;
		out_row(cli->out, fields);
	}
	return error == -ERANGE ? STATUS_OK : cli_fail(cli, error);
}

/* What a walk that returned `end` amounts to. */
static enum status walk_status(struct walk *walk, int end)
{
	const struct cli *cli = walk->cli;

	dsm_frame_free(&walk->frame);
	out_end(cli->out);
	if (end < 0)
		return cli_fail(cli, end);
	if (end == 0 && walk->rows == 0 && cli->n_args > 0) {
		cli_say(cli, "nothing matches \"%s\"", cli->args[0]);
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

static enum status open_both(struct cli *cli)
{
	enum status status = cli_output(cli);

	return status ? status : cli_attach(cli, NULL, DSM_NO_REATTACH);
}

enum status verb_ls(struct cli *cli)
{
	const char *glob = cli->n_args ? cli->args[0] : NULL;
	struct walk walk = { .cli = cli };

	if (cli->set.groups && cli->set.owners)
		return cli_usage(cli, "--groups or --owners, not both");
	if (cli->set.owners && glob)
		return cli_usage(cli, "--owners takes no GLOB");
	enum status status = open_both(cli);
	if (status)
		return status;
	if (cli->set.owners)
		return list_owners(cli);
	if (cli->set.groups) {
		out_begin(cli->out, group_columns, COUNT(group_columns), false);
		return walk_status(&walk, dsm_foreach_group(cli->dsm, glob, list_group, &walk));
	}
	view_init(&walk.view, ls_facts, COUNT(ls_facts));
	view_begin(&walk.view, cli->out, false);
	return walk_status(&walk, dsm_foreach_cell(cli->dsm, glob, list_cell, &walk));
}

enum status verb_dump(struct cli *cli)
{
	const char *glob = cli->n_args ? cli->args[0] : NULL;
	struct walk walk = { .cli = cli };
	enum status status = open_both(cli);

	if (status)
		return status;
	if (cli->out->format->ordered)
		view_init(&walk.view, dump_ordered_facts, COUNT(dump_ordered_facts));
	else
		view_init(&walk.view, dump_facts, COUNT(dump_facts));
	view_begin(&walk.view, cli->out, false);
	return walk_status(&walk, dsm_foreach_cell(cli->dsm, glob, dump_cell, &walk));
}
