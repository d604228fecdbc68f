/* SPDX-License-Identifier: Apache-2.0 */
/* Verb add: add to a number by the owner's hand, print the value before. */
#include "cells.h"

#include <errno.h>

#define ADD_TIMEOUT_MS 5000

static const struct column add_columns[] = {
	{ "cell", NULL, NULL, false }, { "v", "previous", NULL, true }, { "u", "unit", NULL, false },
};
/* For people and scripts alike the number alone: n=$(dsm add queue.ticket 1). */
static const struct column plain_columns[] = { { "v", "previous", NULL, true } };

static enum status parse_number(struct cli *cli, const char *what, const char *text,
	enum dsm_type type, struct dsm_value *value)
{
	int error = dsm_value_parse(text, type, value, NULL, 0);

	if (error) {
		cli_say(cli, "%s \"%s\": %s", what, text, dsm_error());
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

static enum status parse_bounds(struct cli *cli, enum dsm_type type, struct dsm_bounds *bounds)
{
	enum status status = STATUS_OK;

	if (cli->set.min) {
		bounds->flags |= DSM_HAS_MIN;
		status = parse_number(cli, "--min", cli->set.min, type, &bounds->floor);
	}
	if (cli->set.max && !status) {
		bounds->flags |= DSM_HAS_MAX;
		status = parse_number(cli, "--max", cli->set.max, type, &bounds->ceil);
	}
	return status;
}

static void print_previous(struct cli *cli, const struct dsm_cell_info *info,
	const struct dsm_value *previous)
{
	const struct field fields[] = {
		field_text(info->name), field_value(previous, info->precision), field_text(info->unit),
	};
	bool full = cli->out->format->ordered || cli->out->format->wide;

	out_begin(cli->out, full ? add_columns : plain_columns, full ? 3 : 1, false);
	out_row(cli->out, full ? fields : &fields[1]);
	out_flush(cli->out);
}

static enum status add(struct cli *cli, const struct dsm_cell_info *info)
{
	struct dsm_value delta, previous;
	struct dsm_bounds bounds = { 0 };
	enum status status = parse_number(cli, "delta", cli->args[1], info->type, &delta);

	if (!status)
		status = parse_bounds(cli, info->type, &bounds);
	if (status)
		return status;
	int timeout_ms = cli_remaining_ms(cli, ADD_TIMEOUT_MS);
	int error = dsm_add(cli->dsm, info->cell, &delta, bounds.flags ? &bounds : NULL,
		timeout_ms, &previous);
	status = error ? cli_fail_about(cli, info->name, error) : STATUS_OK;
	if (!error || error == -ERANGE)
		print_previous(cli, info, &previous);
	return status;
}

enum status verb_add(struct cli *cli)
{
	struct dsm_cell_info info;
	struct dsm_cell cell;

	if (!cli->set.format)
		cli->set.format = format_raw.name;
	enum status status = cli_output(cli);
	if (!status)
		status = cli_attach(cli, NULL, DSM_NO_REATTACH);
	if (status)
		return status;
	int error = dsm_cell(cli->dsm, cli->args[0], &cell);
	if (!error)
		error = dsm_cell_info(cli->dsm, cell, &info);
	if (error)
		return cli_fail(cli, error);
	switch (info.type) {
	case DSM_I64: case DSM_U64: case DSM_F64:
		return add(cli, &info);
	default:
		cli_say(cli, "%s is a %s; only i64, u64 and f64 can be added to", info.name,
			dsm_type_name(info.type));
		return STATUS_REFUSED;
	}
}
