/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one table of options says how each is written, where its value goes,
 * which verbs take it and what help and completion say. Own parser instead of getopt(),
 * because `dsm add cell -1` is a number and not an option.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longest time that can be asked for: fits nanoseconds and milliseconds of an int. */
#define SECONDS_MAX 2000000.0

enum kind { KIND_FLAG, KIND_TEXT, KIND_SECONDS, KIND_NUMBER };

struct option {
	char letter;            /* 0 = none */
	const char *name;
	enum kind kind;
	const char *arg;        /* NULL for a flag */
	size_t offset;          /* in struct settings */
	size_t given_offset;    /* of the bool that says it was given; 0 = none */
	uint32_t verbs;
	const char *help;
};

#define REPEATS (VERB_GET | VERB_WATCH | VERB_STAT | VERB_PS)
#define AT(member) offsetof(struct settings, member)

static const struct option options[] = {
	{ 'u', "uri", KIND_TEXT, "URI", AT(uri), 0, VERB_ALL,
	  "engine: shm://NAME or NAME ($DSM_URI, else rig)" },
	{ 0, "timeout", KIND_SECONDS, "S", AT(timeout_s), 0, VERB_ALL,
	  "total time for everything, attaching included" },
	{ 'f', "format", KIND_TEXT, "FORMAT", AT(format), 0, VERB_ALL,
	  "table, json, jsonl, csv or raw (table on a terminal, else raw)" },
	{ 'i', "interval", KIND_SECONDS, "S", AT(interval_s), 0, REPEATS | VERB_INFO | VERB_TOP,
	  "again every S seconds" },
	{ 'n', "count", KIND_NUMBER, "N", AT(count), AT(has_count), REPEATS,
	  "end after N rounds (watch without -i: N lines)" },
	{ 0, "once", KIND_FLAG, NULL, AT(once), 0, REPEATS, "one round, then end" },
	{ 'c', "changes", KIND_FLAG, NULL, AT(changes), 0,
	  REPEATS & ~(uint32_t)VERB_PS,
	  "only what changed since it was last printed" },
	{ 't', "terse", KIND_FLAG, NULL, AT(terse), 0, VERB_GET | VERB_WAIT,
	  "values only, one a line" },
	{ 'g', "groups", KIND_FLAG, NULL, AT(groups), 0, VERB_LS, "list groups" },
	{ 'o', "owners", KIND_FLAG, NULL, AT(owners), 0, VERB_LS, "list owners" },
	{ 'd', "devices", KIND_FLAG, NULL, AT(devices), 0, VERB_STAT, "the ADC boards, one by one" },
	{ 'm', "measure", KIND_FLAG, NULL, AT(measure), 0, VERB_INFO,
	  "measure commits and reads of the groups for a second (or -i S)" },
	{ 0, "owner", KIND_TEXT, "ROLE", AT(owner), 0, VERB_SET,
	  "claim the role and commit all values in one step" },
	{ 0, "take-over", KIND_FLAG, NULL, AT(take_over), 0, VERB_SET,
	  "with --owner: also from a live holder, who is fenced off" },
	{ 0, "quality", KIND_TEXT, "QUALITY", AT(quality), 0, VERB_SET,
	  "with --owner: good, bad, forced or simulated" },
	{ 0, "since", KIND_NUMBER, "SEQ", AT(since), AT(has_since), VERB_WAIT,
	  "any commit after number SEQ will do (default: after the newest)" },
	{ 0, "value", KIND_TEXT, "[OP]VALUE", AT(value), 0, VERB_WAIT,
	  "until the cell is VALUE; OP: = != < <= > >=" },
	{ 0, "rate", KIND_TEXT, "HZ", AT(rate), 0, VERB_WATCH,
	  "each group at most HZ times a second, the newest commit" },
	{ 0, "nth", KIND_NUMBER, "N", AT(nth), 0, VERB_WATCH, "a group only after N commits more" },
	{ 0, "deadband", KIND_TEXT, "X[%]", AT(deadband), 0, VERB_WATCH,
	  "numbers only when they have moved by more than X, or X percent" },
	{ 0, "min", KIND_TEXT, "N", AT(min), 0, VERB_ADD, "refuse a result below N" },
	{ 0, "max", KIND_TEXT, "N", AT(max), 0, VERB_ADD, "refuse a result above N" },
	{ 'h', "help", KIND_FLAG, NULL, AT(help), 0, VERB_ALL, "show this help" },
	{ 'V', "version", KIND_FLAG, NULL, AT(version), 0, VERB_ALL, "show the version" },
};
#define OPTIONS (sizeof options / sizeof options[0])

/* Which options were given, by index; checked against the verb once that is known. */
static bool given[OPTIONS];

static enum status unknown_option(const struct cli *cli, const char *word)
{
	const char *names[OPTIONS];
	char stem[32];

	for (size_t i = 0; i < OPTIONS; i++)
		names[i] = options[i].name;
	snprintf(stem, sizeof stem, "%.*s", (int)strcspn(word, "="), word);
	const char *near = cli_near(stem + strspn(stem, "-"), names, OPTIONS);
	if (near)
		return cli_usage(cli, "no option \"%s\"; is --%s meant?", word, near);
	return cli_usage(cli, "no option \"%s\"", word);
}

static enum status store(const struct cli *cli, struct settings *set,
	const struct option *option, const char *text)
{
	char *place = (char *)set + option->offset;
	char *end;

	given[option - options] = true;
	if (option->given_offset)
		*(bool *)(void *)((char *)set + option->given_offset) = true;
	switch (option->kind) {
	case KIND_FLAG:
		*(bool *)(void *)place = true;
		return STATUS_OK;
	case KIND_TEXT:
		*(const char **)(void *)place = text;
		return STATUS_OK;
	case KIND_SECONDS: {
		double seconds = strtod(text, &end);
		if (end == text || *end || !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
			return cli_usage(cli, "--%s \"%s\": expected seconds, 0 to %g", option->name,
				text, SECONDS_MAX);
		*(double *)(void *)place = seconds;
		return STATUS_OK;
	}
	case KIND_NUMBER:
		errno = 0;
		uint64_t number = strtoull(text, &end, 10);
		if (!isdigit((unsigned char)*text) || *end || errno)
			return cli_usage(cli, "--%s \"%s\": expected a number", option->name, text);
		*(uint64_t *)(void *)place = number;
		return STATUS_OK;
	}
	return STATUS_OK;
}

static enum status parse_long(const struct cli *cli, struct settings *set, char **argv, int *i)
{
	const char *word = argv[*i] + 2;
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);

	for (size_t k = 0; k < OPTIONS; k++) {
		const struct option *option = &options[k];
		if (strlen(option->name) != len || strncmp(option->name, word, len) != 0)
			continue;
		if (option->kind == KIND_FLAG && equals)
			return cli_usage(cli, "--%s takes no value", option->name);
		if (option->kind == KIND_FLAG)
			return store(cli, set, option, NULL);
		const char *text = equals ? equals + 1 : argv[++*i];
		if (!text)
			return cli_usage(cli, "--%s wants %s", option->name, option->arg);
		return store(cli, set, option, text);
	}
	return unknown_option(cli, argv[*i]);
}

static enum status parse_letters(const struct cli *cli, struct settings *set, char **argv, int *i)
{
	const char *word = argv[*i];

	for (const char *p = word + 1; *p; p++) {
		const struct option *option = NULL;
		for (size_t k = 0; k < OPTIONS; k++)
			if (options[k].letter == *p)
				option = &options[k];
		if (!option)
			return unknown_option(cli, word);
		if (option->kind == KIND_FLAG) {
			enum status status = store(cli, set, option, NULL);
			if (status)
				return status;
			continue;
		}
		const char *text = p[1] ? p + 1 : argv[++*i];
		if (!text)
			return cli_usage(cli, "-%c wants %s", *p, option->arg);
		return store(cli, set, option, text);
	}
	return STATUS_OK;
}

static bool is_positional(const char *word)
{
	if (word[0] != '-' || !word[1])
		return true;
	return isdigit((unsigned char)word[1]) || word[1] == '.';
}

enum status options_parse(struct cli *cli, int argc, char **argv)
{
	bool only_words = false;

	cli->set.timeout_s = -1;
	cli->set.interval_s = -1;
	for (int i = 1; i < argc; i++) {
		enum status status = STATUS_OK;
		if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (only_words || is_positional(argv[i]))
			cli->args[cli->n_args++] = argv[i];
		else if (argv[i][1] == '-')
			status = parse_long(cli, &cli->set, argv, &i);
		else
			status = parse_letters(cli, &cli->set, argv, &i);
		if (status)
			return status;
	}
	return STATUS_OK;
}

enum status options_check(const struct cli *cli)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (given[i] && !(options[i].verbs & cli->verb->bit))
			return cli_usage(cli, "takes no --%s", options[i].name);
	return STATUS_OK;
}

static void print_option(FILE *file, const struct option *option)
{
	char left[40];
	char letter[8] = "    ";

	if (option->letter)
		snprintf(letter, sizeof letter, "-%c, ", option->letter);
	snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->arg ? " " : "",
		option->arg ? option->arg : "");
	fprintf(file, "  %-24s %s\n", left, option->help);
}

void options_print(FILE *file, uint32_t bits, bool raw)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &options[i];
		bool everywhere = option->verbs == VERB_ALL;
		if (bits == VERB_ALL ? !everywhere : !(option->verbs & bits))
			continue;
		if (raw)
			fprintf(file, "--%s\t%s\n", option->name, option->arg ? option->arg : "");
		else if (bits == VERB_ALL || !everywhere)
			print_option(file, option);
	}
}
