/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dsm command: finds the verb, runs it, ends cleanly. Verbs are in help.c's table,
 * one file per verb or family.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000.0

static enum status unknown_verb(const struct cli *cli, const char *name)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < verbs_count; i++) {
		names[n++] = verbs[i].name;
		if (verbs[i].synonym)
			names[n++] = verbs[i].synonym;
	}
	const char *near = cli_near(name, names, n);
	if (near)
		return cli_usage(cli, "no verb \"%s\"; is \"%s\" meant?", name, near);
	return cli_usage(cli, "no verb \"%s\"", name);
}

/* Verb and its arguments, or what is asked for instead of a verb. */
static enum status choose_verb(struct cli *cli)
{
	if (cli->n_args == 0 && cli->set.version)
		cli->verb = verb_find("version");
	else if (cli->n_args == 0 && cli->set.help)
		cli->verb = verb_find("help");
	else if (cli->n_args == 0)
		return cli_usage(cli, "a verb is missing");
	else
		cli->verb = verb_find(cli->args[0]);
	if (!cli->verb)
		return unknown_verb(cli, cli->args[0]);
	if (cli->n_args > 0) {
		cli->args++;
		cli->n_args--;
	}
	return STATUS_OK;
}

static enum status check_args(const struct cli *cli)
{
	if (cli->n_args < cli->verb->min_args)
		return cli_usage(cli, "an argument is missing");
	if (cli->verb->max_args >= 0 && cli->n_args > cli->verb->max_args)
		return cli_usage(cli, "\"%s\" is too many", cli->args[cli->verb->max_args]);
	return options_check(cli);
}

static enum status run_verb(struct cli *cli)
{
	enum status status = check_args(cli);

	if (status)
		return status;
	if (cli->set.timeout_s >= 0)
		cli->deadline_ns = now_ns() + (uint64_t)(cli->set.timeout_s * NS_PER_S);
	cli_catch_signals();
	return cli->verb->run(cli);
}

/* Everything that can still fail at the end: output that nobody took. */
static enum status finish(struct cli *cli, enum status status)
{
	int error = out_close(&cli->out);

	dsm_detach(&cli->dsm);
	errno = 0;
	if (!error && fflush(stdout) != 0)
		error = errno ? -errno : -EIO;
	if (error && error != -EPIPE) {
		cli_say(cli, "standard output: %s", strerror(-error));
		status = cli_worse(status, STATUS_REFUSED);
	}
	return status;
}

/* A signal is the usual end of these, and no failure. */
static bool is_endless(const struct cli *cli)
{
	return cli->verb->bit == VERB_WATCH || cli->set.interval_s >= 0;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int error = system_begin(&argc, &argv);
	char **words = error ? NULL : calloc((size_t)argc + 1, sizeof *words);

	if (!words)
		return STATUS_REFUSED;
	cli.args = words;
	enum status status = options_parse(&cli, argc, argv);
	if (!status)
		status = choose_verb(&cli);
	if (!status && cli.set.help && cli.verb->bit != VERB_HELP)
		help_verb(stdout, cli.verb);
	else if (!status && cli.set.version && cli.verb->bit != VERB_VERSION)
		status = verb_version(&cli);
	else if (!status)
		status = run_verb(&cli);
	status = finish(&cli, status);
	free(words);
	if (cli_interrupted() && !(status == STATUS_OK && is_endless(&cli)))
		return 128 + cli_interrupted();
	return (int)status;
}
