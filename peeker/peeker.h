/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line says, exit statuses, and the ways to run: terminal or batch. */
#ifndef PEEKER_PEEKER_H
#define PEEKER_PEEKER_H

#include "compare.h"
#include "sample.h"
#include "view.h"

/** As those of dsm(1); the last is the peeker's own. */
enum status {
	STATUS_OK = 0,
	STATUS_REFUSED = 1,   /**< not found or refused; the reference cannot be used */
	STATUS_USAGE = 2,
	STATUS_TIMEOUT = 3,
	STATUS_STALE = 4,     /**< shown, but something is stale, bad or was never written */
	STATUS_DEVIATES = 5,  /**< something deviates from what --against expects */
};

#define TOLERANCES_MAX 64
#define PINS_MAX 64
#define WEB_HOSTS_MAX 8

struct settings {
	const char *uri, *against, *filter, *sort;
	double interval_s, timeout_s;
	uint64_t count;
	bool has_count, batch, web, ascii, wait, deviating, detail, help, version;
	int width;                         /* of batch frames; 0 = not given */
	struct tolerance tolerances[TOLERANCES_MAX];
	const char *pins[PINS_MAX];
	const char *web_place, *web_token;  /* ADDR:PORT, a file; NULL = not given */
	const char *web_hosts[WEB_HOSTS_MAX];
	int n_tolerances, n_pins, n_web_hosts;
	char **globs;
	int n_globs;
};

/** One run of the program. */
struct peeker {
	struct settings set;
	struct sampler *sampler;
	struct reference *reference;       /* NULL without --against */
	struct view view;
	bool utf8;
	uint64_t deadline_ns;              /* by own_clock_ns(); 0 = none */
};

/* options.c */

/** Parse; on STATUS_USAGE the fault has been said. The words of argv are used in place. */
enum status options_parse(struct settings *set, int argc, char **argv);
void options_help(void);

/* main.c */

/** The signal that asked the program to end, or 0. */
int peeker_signalled(void);
/** "peeker: …" on standard error. */
void peeker_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* tui.c, batch.c, web/server.c */

enum status tui_run(struct peeker *peeker);
enum status batch_run(struct peeker *peeker);
enum status web_run(struct peeker *peeker);
/** Is it the "ADDR:PORT" of --web, and no engine? In options.c, also where there is no web. */
bool web_place_looks_so(const char *text);
/** What a comparison and the cells amount to. */
enum status verdict_of(const struct model *model, const struct comparison *cmp);

#endif
