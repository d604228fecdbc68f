/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb needs: the handle, the one deadline of the run, signals, messages,
 * repetition. Called by main.c and the verbs.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000u
#define NS_PER_S 1000000000u
/* Longest sleep in one piece: signals and a lost output are noticed within it. */
#define SLEEP_SLICE_MS 200

static volatile sig_atomic_t signalled;

/* ---- time and signals ---- */

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void on_signal(int number)
{
	signalled = number;
}

void cli_catch_signals(void)
{
	system_catch_signals(on_signal);
}

int cli_interrupted(void)
{
	return signalled;
}

bool cli_ended(const struct cli *cli)
{
	return signalled || (cli->out && cli->out->error);
}

int cli_remaining_ms(const struct cli *cli, int most)
{
	uint64_t now = now_ns();

	if (!cli->deadline_ns)
		return most;
	if (now >= cli->deadline_ns)
		return 0;
	uint64_t left = (cli->deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return left < (uint64_t)most ? (int)left : most;
}

/* Whoever read our output may have gone while we print nothing: `watch … | head -1`. */
static void check_reader(const struct cli *cli)
{
	if (cli->out && system_reader_gone(cli->out->file))
		cli->out->error = -EPIPE;
}

void cli_sleep_until(const struct cli *cli, uint64_t until_ns)
{
	for (;;) {
		check_reader(cli);
		uint64_t now = now_ns();
		if (now >= until_ns || cli_ended(cli))
			return;
		uint64_t left = until_ns - now;
		if (left > (uint64_t)SLEEP_SLICE_MS * NS_PER_MS)
			left = (uint64_t)SLEEP_SLICE_MS * NS_PER_MS;
		if (cli->deadline_ns && now + left > cli->deadline_ns)
			left = cli->deadline_ns > now ? cli->deadline_ns - now : 0;
		if (left == 0)
			return;
		struct timespec pause = { .tv_nsec = (long)left };
		nanosleep(&pause, NULL);
	}
}

/* ---- messages ---- */

static void say(const struct cli *cli, const char *fmt, va_list args)
{
	if (cli->out)
		fflush(cli->out->file);
	fputs("dsm: ", stderr);
	if (cli->verb)
		fprintf(stderr, "%s: ", cli->verb->name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void cli_say(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
}

enum status cli_fail_about(const struct cli *cli, const char *name, int error)
{
	const char *text = dsm_error();

	if (error == -ETIME) {
		cli_say(cli, "not done within %g s (--timeout)", cli->set.timeout_s);
		return STATUS_TIMEOUT;
	}
	if (!*text)
		text = dsm_strerror(error);
	bool named = !name || strstr(text, name);
	cli_say(cli, "%s%s%s", named ? "" : name, named ? "" : ": ", text);
	return error == -ETIMEDOUT || error == -EAGAIN ? STATUS_TIMEOUT : STATUS_REFUSED;
}

enum status cli_fail(const struct cli *cli, int error)
{
	return cli_fail_about(cli, NULL, error);
}

enum status cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
	if (cli->verb)
		fprintf(stderr, "usage: dsm %s %s\nSee `dsm help %s`.\n", cli->verb->name,
			cli->verb->args, cli->verb->name);
	else
		fputs("usage: dsm [OPTION]… VERB [ARGUMENT]…\nSee `dsm help`.\n", stderr);
	return STATUS_USAGE;
}

enum status cli_worse(enum status a, enum status b)
{
	static const int gravity[] = {
		[STATUS_OK] = 0, [STATUS_STALE] = 1, [STATUS_REFUSED] = 2, [STATUS_TIMEOUT] = 3,
		[STATUS_USAGE] = 4,
	};

	return gravity[a] >= gravity[b] ? a : b;
}

/* ---- near words ---- */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Edits (insert, delete, replace) that make b of a; both at most 31 letters. */
static size_t distance(const char *a, const char *b)
{
	size_t row[32];
	size_t na = strlen(a), nb = strlen(b);

	if (na > 31 || nb > 31)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *cli_near(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 3;
	size_t len = strlen(word);

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, words[i]);
		if (len >= 3 && strncmp(words[i], word, len) == 0)
			d = 1; /* a beginning of the word */
		if (d < best_distance && d < strlen(words[i])) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}

/* ---- handle and output ---- */

/* On a terminal, once it takes long enough for somebody to wonder. */
struct progress { uint64_t began_ns; bool shown; };

static void show_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct progress *progress = context;

	if (now_ns() - progress->began_ns < NS_PER_S || !total_bytes)
		return;
	fprintf(stderr, "\rfetching the table: %3.0f %% of %.1f MB", 100.0 * (double)done_bytes / (double)total_bytes,
		(double)total_bytes / 1e6);
	progress->shown = true;
}

enum status cli_attach(struct cli *cli, const char *owner, uint32_t flags)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct progress progress = { .began_ns = now_ns() };
	char program[32];

	snprintf(program, sizeof program, "dsm %s", cli->verb->name);
	options.owner = owner;
	options.flags = flags;
	options.program = program;
	if (cli->deadline_ns) {
		int left = cli_remaining_ms(cli, INT32_MAX);
		options.attach_timeout_ms = left > 0 ? (uint32_t)left : 1;
		options.call_timeout_ms = options.attach_timeout_ms;
	}
	options.progress = isatty(fileno(stderr)) ? show_progress : NULL;
	options.progress_context = &progress;
	int error = dsm_attach(cli->set.uri, &options, &cli->dsm);
	if (progress.shown)
		fprintf(stderr, "\r%40s\r", "");
	return error ? cli_fail(cli, error) : STATUS_OK;
}

enum status cli_output(struct cli *cli)
{
	int error = out_open(cli->set.format, stdout, &cli->out);

	if (error == -EINVAL)
		return cli_usage(cli, "no format \"%s\": table, json, jsonl, csv, raw",
			cli->set.format);
	if (error) {
		cli_say(cli, "output: %s", strerror(-error));
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

/* ---- repetition ---- */

enum status cli_repeat(struct cli *cli, enum status (*round)(struct cli *cli, void *context),
	void *context)
{
	const struct settings *set = &cli->set;
	uint64_t rounds = set->once ? 1 : set->has_count ? set->count : 0;
	double interval_s = set->interval_s;
	enum status status = STATUS_OK;

	if (interval_s < 0) {
		if (rounds == 0)
			rounds = 1;
		interval_s = 1;
	}
	uint64_t step_ns = (uint64_t)(interval_s * NS_PER_S);
	if (step_ns < NS_PER_MS)
		step_ns = NS_PER_MS;
	uint64_t due = now_ns();
	for (uint64_t n = 1; ; n++) {
		status = round(cli, context);
		out_flush(cli->out);
		bool failed = status != STATUS_OK && status != STATUS_STALE;
		if (failed || n == rounds || cli_ended(cli))
			return status;
		due += step_ns;
		if (due < now_ns())
			due = now_ns(); /* never in a hurry to make up for a late round */
		cli_sleep_until(cli, due);
		if (cli_ended(cli))
			return status;
		if (cli_remaining_ms(cli, 1) == 0) {
			if (!rounds)
				return status;
			cli_say(cli, "%" PRIu64 " of %" PRIu64 " rounds within %g s", n, rounds,
				set->timeout_s);
			return STATUS_TIMEOUT;
		}
	}
}
