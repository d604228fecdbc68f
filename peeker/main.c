/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peeker: looks into an engine, read only, in a terminal, in browsers or as text. Here: life
 * of the program and signals. It uses the client interface alone, and of that nothing that writes,
 * asks or claims a role; tests/peeker/against.sh (readonly) holds it to that.
 */
#include "peeker.h"
#include "screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	signalled = number;
}

int peeker_signalled(void)
{
	return signalled;
}

void peeker_say(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("peeker: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static int open_reference(struct peeker *p)
{
	const struct settings *set = &p->set;
	const struct reference_options options = {
		.what = set->against, .tolerances = set->tolerances, .n_tolerances = set->n_tolerances,
		.period_s = set->interval_s, .timeout_s = set->timeout_s, .globs = set->globs,
		.n_globs = set->n_globs,
	};
	char error[800] = "";

	if (!set->against)
		return 0;
	int result = reference_open(&options, &p->reference, error, sizeof error);
	if (result)
		peeker_say("--against %s", error);
	return result;
}

static int open_sampler(struct peeker *p)
{
	const struct settings *set = &p->set;
	const struct sampler_options options = {
		.uri = set->uri, .program = "peeker", .period_s = set->interval_s,
		.timeout_s = set->timeout_s, .wait = set->wait, .globs = set->globs,
		.n_globs = set->n_globs,
	};
	char error[800] = "";
	int result = sampler_start(&options, &p->sampler, error, sizeof error);

	if (result)
		peeker_say("%s", *error ? error : strerror(-result));
	return result;
}

static int prepare_view(struct peeker *p)
{
	const struct settings *set = &p->set;
	int error = 0;

	view_init(&p->view);
	if (set->filter)
		snprintf(p->view.filter, sizeof p->view.filter, "%s", set->filter);
	if (set->sort)
		p->view.sort = sort_find(set->sort);
	p->view.only_deviating = set->deviating;
	p->view.detail = set->detail;
	for (int i = 0; i < set->n_pins && !error; i++)
		error = view_pin(&p->view, set->pins[i]);
	return error;
}

#ifdef PEEKER_TERMINAL
static enum status run_terminal(struct peeker *p)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	int error = screen_begin(!no_color || !*no_color);

	if (!error)
		return tui_run(p);
	if (error == -ENXIO)
		peeker_say("the terminal type \"%s\" (TERM) is not known here; --batch needs none",
			term ? term : "");
	else
		peeker_say("standard input or output is no terminal; --batch prints frames as text");
	return STATUS_REFUSED;
}
#else
static enum status run_terminal(struct peeker *p)
{
	(void)p;
	peeker_say("this build has no terminal viewer, because ncurses was not there; --batch prints "
		"frames as text");
	return STATUS_REFUSED;
}
#endif

#ifdef PEEKER_WEB
static enum status run_web(struct peeker *p)
{
	return web_run(p);
}
#else
static enum status run_web(struct peeker *p)
{
	(void)p;
	peeker_say("this build has no web viewer, because libmicrohttpd was not there");
	return STATUS_REFUSED;
}
#endif

static enum status run(struct peeker *p)
{
	enum status status = STATUS_REFUSED;

	if (p->set.timeout_s >= 0)
		p->deadline_ns = own_clock_ns() + (uint64_t)(p->set.timeout_s * NS_PER_S);
	catch_signals();
	int error = open_reference(p);
	if (!error)
		error = open_sampler(p);
	if (!error)
		error = prepare_view(p);
	if (!error)
		status = p->set.batch ? batch_run(p) : p->set.web ? run_web(p) : run_terminal(p);
	else if (error == -ETIMEDOUT)
		status = STATUS_TIMEOUT;
	view_free(&p->view);
	sampler_stop(&p->sampler);
	reference_close(&p->reference);
	return status;
}

int main(int argc, char **argv)
{
	static struct peeker peeker;

	setlocale(LC_CTYPE, "");
	enum status status = options_parse(&peeker.set, argc, argv);
	if (status)
		return (int)status;
	if (peeker.set.help) {
		options_help();
		return STATUS_OK;
	}
	if (peeker.set.version) {
		printf("peeker %s (layout %d, control %d)\n", DSM_VERSION, DSM_LAYOUT_VERSION,
			DSM_CONTROL_VERSION);
		return STATUS_OK;
	}
	peeker.utf8 = !peeker.set.ascii && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	status = run(&peeker);
	/* q and Ctrl-C are the usual end of a viewer; a script wants to know */
	if (signalled && (signalled != SIGINT || peeker.set.batch))
		return 128 + signalled;
	return (int)status;
}
