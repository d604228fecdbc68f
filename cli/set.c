/* SPDX-License-Identifier: Apache-2.0 */
/* Verb set: by request to each owner, or in one commit as the owner. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	struct dsm_cell cell;
	struct dsm_value value;
	void *scratch;             /* decoded bytes */
};

struct settings_list {
	struct setting *list;
	size_t n;
};

static void free_settings(struct settings_list *settings)
{
	for (size_t i = 0; i < settings->n; i++)
		free(settings->list[i].scratch);
	free(settings->list);
}

static enum status parse_one(struct cli *cli, const char *name, const char *text,
	struct setting *setting)
{
	struct dsm_cell_info info;
	size_t size = strlen(text) + 1;
	int error = dsm_cell(cli->dsm, name, &setting->cell);

	if (!error)
		error = dsm_cell_info(cli->dsm, setting->cell, &info);
	if (error)
		return cli_fail(cli, error);
	setting->scratch = malloc(size);
	if (!setting->scratch)
		return cli_fail(cli, -ENOMEM);
	error = dsm_value_parse(text, info.type, &setting->value, setting->scratch, size);
	return error ? cli_fail_about(cli, name, error) : STATUS_OK;
}

/* All of them, before anything is sent. */
static enum status parse_all(struct cli *cli, struct settings_list *settings)
{
	enum status status = STATUS_OK;

	settings->n = (size_t)cli->n_args / 2;
	settings->list = calloc(settings->n, sizeof *settings->list);
	if (!settings->list) {
		settings->n = 0;
		return cli_fail(cli, -ENOMEM);
	}
	for (size_t i = 0; i < settings->n; i++)
		status = cli_worse(status, parse_one(cli, cli->args[2 * i], cli->args[2 * i + 1],
			&settings->list[i]));
	return status;
}

static enum status request_all(struct cli *cli, const struct settings_list *settings)
{
	for (size_t i = 0; i < settings->n; i++) {
		const struct setting *setting = &settings->list[i];
		int timeout_ms = cli_remaining_ms(cli, 5000);
		int error = cli_interrupted() ? -EINTR : timeout_ms == 0 ? -ETIME :
			dsm_request(cli->dsm, setting->cell, &setting->value, timeout_ms);
		if (!error)
			continue;
		if (settings->n > 1)
			cli_say(cli, "%s failed; %zu of %zu set before it", cli->args[2 * i], i,
				settings->n);
		return cli_fail_about(cli, cli->args[2 * i], error);
	}
	return STATUS_OK;
}

static int quality_of(const char *name, enum dsm_quality *quality)
{
	static const enum dsm_quality known[] = {
		DSM_GOOD, DSM_BAD, DSM_FORCED, DSM_SIMULATED,
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(dsm_quality_name(known[i]), name) == 0) {
			*quality = known[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int set_all(struct cli *cli, const struct settings_list *settings,
	enum dsm_quality quality)
{
	int error = dsm_begin(cli->dsm, 0);

	if (error)
		return error;
	for (size_t i = 0; i < settings->n && !error; i++) {
		const struct setting *setting = &settings->list[i];
		error = dsm_set(cli->dsm, setting->cell, &setting->value);
		if (!error && quality != DSM_GOOD)
			error = dsm_set_quality(cli->dsm, setting->cell, quality);
	}
	if (!error)
		return dsm_commit(cli->dsm, NULL);
	return error;
}

static enum status commit_all(struct cli *cli, const struct settings_list *settings,
	enum dsm_quality quality)
{
	int error = set_all(cli, settings, quality);
	if (!error)
		return STATUS_OK;
	enum status status = cli_fail(cli, error);
	dsm_abort(cli->dsm);
	return status;
}

enum status verb_set(struct cli *cli)
{
	struct settings_list settings = { 0 };
	const char *owner = cli->set.owner;
	enum dsm_quality quality = DSM_GOOD;
	uint32_t flags = DSM_NO_REATTACH | (cli->set.take_over ? DSM_TAKE_OVER : 0);

	if (cli->n_args % 2)
		return cli_usage(cli, "\"%s\" has no value", cli->args[cli->n_args - 1]);
	if (!owner && (cli->set.quality || cli->set.take_over))
		return cli_usage(cli, "--quality and --take-over need --owner");
	if (cli->set.quality && quality_of(cli->set.quality, &quality) != 0)
		return cli_usage(cli, "no quality \"%s\": good, bad, forced, simulated",
			cli->set.quality);
	enum status status = cli_attach(cli, owner, flags);
	if (!status)
		status = parse_all(cli, &settings);
	if (!status && owner)
		status = commit_all(cli, &settings, quality);
	else if (!status)
		status = request_all(cli, &settings);
	free_settings(&settings);
	return status;
}
