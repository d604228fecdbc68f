/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of the dsm command share: settings from the command line, the handle,
 * the deadline, exit statuses, failure messages. Owned by main.c and cli.c. Nothing in
 * cli/ includes anything of dsm but <dsm/...>.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <dsm/dsm.h>

#include "output.h"
#include "system.h"

/** Exit statuses, as in the man page. */
enum status {
	STATUS_OK = 0,
	STATUS_REFUSED = 1,  /**< not found, or refused */
	STATUS_USAGE = 2,
	STATUS_TIMEOUT = 3,
	STATUS_STALE = 4,    /**< printed, but stale, bad or never written */
};

/** One bit a verb: which options belong to which. */
enum verb_bit {
	VERB_LS = 1 << 0, VERB_INFO = 1 << 1, VERB_GET = 1 << 2, VERB_SET = 1 << 3,
	VERB_WATCH = 1 << 4, VERB_WAIT = 1 << 5, VERB_DUMP = 1 << 6, VERB_ADD = 1 << 7,
	VERB_STAT = 1 << 8, VERB_PS = 1 << 9, VERB_HELP = 1 << 10, VERB_VERSION = 1 << 11,
	VERB_KEYGEN = 1 << 12, VERB_RXE = 1 << 13, VERB_DOCTOR = 1 << 14,
	VERB_TOP = 1 << 15,
	VERB_ALL = (1 << 16) - 1,
};

/** Settings from the command line; seconds < 0 and NULL mean "not given". */
struct settings {
	const char *uri, *format, *owner, *value, *quality, *min, *max, *rate, *deadband;
	double timeout_s, interval_s;
	uint64_t count, since, nth;
	bool once, changes, help, version, terse, measure, groups, owners, devices, take_over;
	bool has_count, has_since;
};

struct cli;

struct verb {
	const char *name, *synonym;
	uint32_t bit;
	int min_args, max_args;       /**< max_args < 0: no limit */
	enum status (*run)(struct cli *cli);
	const char *args, *summary, *text, *examples;
};

/** One run of the program. */
struct cli {
	const struct verb *verb;
	struct settings set;
	char **args;                  /**< after the verb */
	int n_args;
	struct dsm *dsm;
	struct out *out;
	uint64_t deadline_ns;         /**< by now_ns(); 0 = none */
};

/* cli.c */

/** CLOCK_MONOTONIC and CLOCK_REALTIME in ns. */
uint64_t now_ns(void);
int64_t wall_ns(void);
/** The signal that asked the program to end, or 0. */
int cli_interrupted(void);
void cli_catch_signals(void);
/** True once nothing more should be printed: a signal, or nobody reads the output. */
bool cli_ended(const struct cli *cli);
/** Milliseconds to the deadline, at most `most`, never below 0. */
int cli_remaining_ms(const struct cli *cli, int most);
/** Sleep until `until_ns`, the deadline or a signal, whichever is first. */
void cli_sleep_until(const struct cli *cli, uint64_t until_ns);
/** Attach as the settings say; `owner` NULL = read only, `flags` as dsm_options.flags. */
enum status cli_attach(struct cli *cli, const char *owner, uint32_t flags);
/** Open the output in the chosen format. */
enum status cli_output(struct cli *cli);
/** "dsm: VERB: …" on standard error. */
void cli_say(const struct cli *cli, const char *fmt, ...) __attribute__((format(PRINTF_FORMAT, 2, 3)));
/** Say dsm_error() and give the status that belongs to the (negative) errno; -ETIME, which
 *  the library does not use, means that the deadline of the run has passed. */
enum status cli_fail(const struct cli *cli, int error);
/** The same, with `name` before a text that does not name it. */
enum status cli_fail_about(const struct cli *cli, const char *name, int error);
enum status cli_usage(const struct cli *cli, const char *fmt, ...)
	__attribute__((format(PRINTF_FORMAT, 2, 3)));
/** The graver of two. */
enum status cli_worse(enum status a, enum status b);
/** Run `round` once, or with -i every interval until --count, --timeout or a signal. */
enum status cli_repeat(struct cli *cli, enum status (*round)(struct cli *cli, void *context),
	void *context);
/** Which of `words` is nearest to `word`, or NULL when none is near. */
const char *cli_near(const char *word, const char *const *words, size_t n);

/* options.c */

/** Parse the command line; positional words stay in argv order in cli->args, the verb's
 *  own name among them at index 0. */
enum status options_parse(struct cli *cli, int argc, char **argv);
/** Refuse options that do not belong to cli->verb. */
enum status options_check(const struct cli *cli);
/** Print the options of the verbs in `bits`, for people or (raw) for completion. */
void options_print(FILE *file, uint32_t bits, bool raw);

/* help.c */
extern const struct verb verbs[];
extern const size_t verbs_count;
const struct verb *verb_find(const char *name);
void help_program(FILE *file);
void help_verb(FILE *file, const struct verb *verb);

/* the verbs */
/* devices.c: one round of `dsm stat --devices` */
enum status devices_round(struct cli *cli, void *context);

enum status verb_ls(struct cli *cli);
enum status verb_info(struct cli *cli);
enum status verb_get(struct cli *cli);
enum status verb_set(struct cli *cli);
enum status verb_watch(struct cli *cli);
enum status verb_wait(struct cli *cli);
enum status verb_dump(struct cli *cli);
enum status verb_add(struct cli *cli);
enum status verb_stat(struct cli *cli);
enum status verb_ps(struct cli *cli);
enum status verb_top(struct cli *cli);
enum status verb_keygen(struct cli *cli);
enum status verb_rxe(struct cli *cli);
enum status verb_doctor(struct cli *cli);
enum status verb_help(struct cli *cli);
enum status verb_version(struct cli *cli);

#endif
