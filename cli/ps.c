/* SPDX-License-Identifier: Apache-2.0 */
/* Verb ps: the engine's clients. */
#include "cli.h"

#define PS_TIMEOUT_MS 2000

static const struct column ps_columns[] = {
	{ "session", NULL, NULL, true }, { "pid", NULL, NULL, true }, { "uid", NULL, NULL, true },
	{ "program", NULL, NULL, false }, { "role", NULL, NULL, false },
	{ "transport", NULL, NULL, false }, { "address", NULL, NULL, false },
	{ "age", NULL, "s", true }, { "requests", NULL, NULL, true },
	{ "messages", NULL, NULL, true },
};
#define PS_COLUMNS (sizeof ps_columns / sizeof ps_columns[0])

static int print_client(const struct dsm_client_info *info, void *context)
{
	struct cli *cli = context;
	/* of a client over a network nobody knows them */
	const struct field fields[PS_COLUMNS] = {
		field_u64(info->session), info->pid ? field_u64(info->pid) : field_none(),
		info->uid != UINT32_MAX ? field_u64(info->uid) : field_none(),
		field_text(info->program), field_text(info->role), field_text(info->transport),
		field_text(info->address), field_f64((double)info->age_ms / 1000.0, 3),
		field_u64(info->requests), field_u64(info->messages),
	};

	out_row(cli->out, fields);
	return cli_ended(cli);
}

static enum status list_clients(struct cli *cli, void *context)
{
	(void)context;
	out_begin(cli->out, ps_columns, PS_COLUMNS, false);
	int error = dsm_foreach_client(cli->dsm, cli_remaining_ms(cli, PS_TIMEOUT_MS),
		print_client, cli);
	return error < 0 ? cli_fail(cli, error) : STATUS_OK;
}

enum status verb_ps(struct cli *cli)
{
	enum status status = cli_output(cli);

	if (!status)
		status = cli_attach(cli, NULL, cli->set.interval_s >= 0 ? 0 : DSM_NO_REATTACH);
	return status ? status : cli_repeat(cli, list_clients, NULL);
}
