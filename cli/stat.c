/* SPDX-License-Identifier: Apache-2.0 */
/* Verb stat: the engine's counters and this handle's, with rates when repeated; or its ADC boards. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1e9

static const struct column stat_columns[] = {
	{ "of", NULL, NULL, false }, { "counter", NULL, NULL, false },
	{ "v", "value", NULL, true }, { "rate", NULL, "1/s", true },
	{ "what", NULL, NULL, false },
};
#define STAT_COLUMNS (sizeof stat_columns / sizeof stat_columns[0])

/* Counters come in a fixed order, so that the last round is found by position. */
struct counters {
	struct cli *cli;
	uint64_t *last;
	size_t n, room, at;
	uint64_t at_ns, last_ns;
};

static int remember(struct counters *counters, uint64_t value)
{
	if (counters->at == counters->room) {
		size_t room = counters->room ? counters->room * 2 : 64;
		uint64_t *last = realloc(counters->last, room * sizeof *last);
		if (!last)
			return -ENOMEM;
		counters->last = last;
		counters->room = room;
	}
	counters->last[counters->at++] = value;
	if (counters->at > counters->n)
		counters->n = counters->at;
	return 0;
}

static int print_counter(struct counters *counters, const char *of, const char *name,
	const char *what, uint64_t value)
{
	const struct cli *cli = counters->cli;
	bool known = counters->last_ns && counters->at < counters->n;
	uint64_t before = known ? counters->last[counters->at] : 0;
	double seconds = (double)(counters->at_ns - counters->last_ns) / NS_PER_S;
	struct field fields[STAT_COLUMNS] = {
		field_text(of), field_text(name), field_u64(value), field_none(), field_text(what),
	};

	if (known && value >= before && seconds > 0)
		fields[3] = field_f64((double)(value - before) / seconds, 1);
	if (!known || value != before || !cli->set.changes)
		out_row(cli->out, fields);
	return remember(counters, value);
}

static int print_engine_counter(const char *name, const char *what, uint64_t value, void *context)
{
	return print_counter(context, "engine", name, what, value);
}

static int print_handle_counters(struct counters *counters)
{
	struct dsm_stats stats;
	int error = dsm_stats(counters->cli->dsm, &stats);
	const struct { const char *name, *what; uint64_t value; } own[] = {
		{ "reads", "reads and snapshots", stats.reads },
		{ "retries", "attempts that had to be repeated", stats.retries },
		{ "torn", "slots that did not verify", stats.torn },
		{ "commits", "commits", stats.commits },
		{ "wakes", "commits that woke a waiter", stats.wakes },
		{ "waits", "sleeps for a commit", stats.waits },
		{ "told", "times that the engine said there is one", stats.told },
		{ "requests", "requests and adds sent", stats.requests },
		{ "reattaches", "times the engine was found again", stats.reattaches },
		{ "events_dropped", "events nobody took", stats.events_dropped },
	};

	for (size_t i = 0; i < sizeof own / sizeof own[0] && !error; i++)
		error = print_counter(counters, "handle", own[i].name, own[i].what, own[i].value);
	return error;
}

static enum status one_round(struct cli *cli, void *context)
{
	struct counters *counters = context;

	out_begin(cli->out, stat_columns, STAT_COLUMNS, false);
	counters->at = 0;
	counters->at_ns = now_ns();
	int error = dsm_foreach_counter(cli->dsm, print_engine_counter, counters);
	if (!error)
		error = print_handle_counters(counters);
	counters->last_ns = counters->at_ns;
	return error ? cli_fail(cli, error) : STATUS_OK;
}

enum status verb_stat(struct cli *cli)
{
	struct counters counters = { .cli = cli };
	if (cli->set.devices && cli->set.changes)
		return cli_usage(cli, "--changes goes with counters, not with --devices");
	enum status status = cli_output(cli);

	if (!status)
		status = cli_attach(cli, NULL, cli->set.interval_s >= 0 ? 0 : DSM_NO_REATTACH);
	if (!status)
		status = cli_repeat(cli, cli->set.devices ? devices_round : one_round, &counters);
	free(counters.last);
	return status;
}
