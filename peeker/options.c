/* SPDX-License-Identifier: Apache-2.0 */
/* The command line; peeker.1 says the same at more length. */
#include "peeker.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 2000000.0

static const char help[] =
	"peeker: see into an engine, read only: is it running, and are the numbers right?\n\n"
	"usage: peeker [OPTION]… [URI] [GLOB]…\n\n"
	"URI is shm://NAME, rdma://HOST[:PORT], udp://HOST[:PORT], or a bare NAME or\n"
	"HOST (keys: $DSM_KEYS) for the best transport that works (default: $DSM_URI, else rig).\n"
	"GLOB: only the cells that match one.\n\n"
	"  -i, --interval S        look every S seconds (0.2)\n"
	"      --filter TEXT       show cells whose name has TEXT in it, or matches a glob\n"
	"      --sort KEY          table, name, value, age, rate or state\n"
	"      --pin CELL          keep CELL at the top; may be repeated\n"
	"      --detail            begin with the detail of the first pinned cell\n"
	"      --wait              no engine yet: wait for it\n"
	"      --against REF       compare with another engine (a URI or name), a recorded\n"
	"                          state file, or expected values: JSON or CSV as `dsm dump`\n"
	"                          writes them; mark and count what deviates\n"
	"      --tolerance T       N, N% or GLOB=N: how far a number may be off; may be\n"
	"                          repeated, the last that matches a cell decides\n"
	"      --deviating         show only what deviates\n"
	"      --web [ADDR:PORT]   serve a page, and the values as JSON, at that address\n"
	"                          (127.0.0.1:7462); prints where, and a QR code\n"
	"      --web-token FILE    ask for the access token that is in the file\n"
	"      --web-host NAME     a name by which this machine is called; may be repeated\n"
	"      --batch             print frames as text, no terminal needed\n"
	"  -n, --count N           with --batch: end after N frames\n"
	"      --width N           with --batch: columns of a frame (120, or $COLUMNS)\n"
	"      --timeout S         total time for everything, attaching included\n"
	"      --ascii             ASCII only (the locale decides otherwise)\n"
	"  -u, --uri URI           the engine, instead of the first word\n"
	"  -h, --help              show this help; ? does while it runs\n"
	"  -V, --version           show the version\n\n"
	"Exit status: 0 all is well, 1 not found or refused, 2 usage, 3 timeout, and with --batch\n"
	"4 something is stale, bad or never written, 5 something deviates (--against).\n"
	"A terminal viewer that is ended by q or Ctrl-C: 0.\n\n"
	"Examples:\n"
	"  peeker rig\n"
	"  peeker rig 'drilling.*' --pin drilling.rop --sort state\n"
	"  peeker --web rig                     then open the address it prints\n"
	"  peeker --batch -n 1 rig 'mud.*'\n"
	"  dsm dump --format jsonl > good.jsonl; peeker --batch -n 1 --against good.jsonl \\\n"
	"      --tolerance 'mud.*=1%' rig || echo deviates\n";

enum {
	OPT_FILTER = 256, OPT_SORT, OPT_PIN, OPT_DETAIL, OPT_WAIT, OPT_AGAINST, OPT_TOLERANCE,
	OPT_DEVIATING, OPT_BATCH, OPT_WIDTH, OPT_TIMEOUT, OPT_ASCII, OPT_WEB, OPT_WEB_TOKEN,
	OPT_WEB_HOST
};

static const struct option options[] = {
	{ "interval", required_argument, NULL, 'i' }, { "filter", required_argument, NULL, OPT_FILTER },
	{ "sort", required_argument, NULL, OPT_SORT }, { "pin", required_argument, NULL, OPT_PIN },
	{ "detail", no_argument, NULL, OPT_DETAIL }, { "wait", no_argument, NULL, OPT_WAIT },
	{ "against", required_argument, NULL, OPT_AGAINST },
	{ "tolerance", required_argument, NULL, OPT_TOLERANCE },
	{ "deviating", no_argument, NULL, OPT_DEVIATING }, { "batch", no_argument, NULL, OPT_BATCH },
	{ "count", required_argument, NULL, 'n' }, { "width", required_argument, NULL, OPT_WIDTH },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT }, { "ascii", no_argument, NULL, OPT_ASCII },
	{ "uri", required_argument, NULL, 'u' }, { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' }, { "web", optional_argument, NULL, OPT_WEB },
	{ "web-token", required_argument, NULL, OPT_WEB_TOKEN },
	{ "web-host", required_argument, NULL, OPT_WEB_HOST }, { 0 },
};

void options_help(void)
{
	fputs(help, stdout);
}

static enum status refuse(const char *option, const char *text, const char *expected)
{
	peeker_say("%s \"%s\": expected %s", option, text, expected);
	fputs("See `peeker --help`.\n", stderr);
	return STATUS_USAGE;
}

static bool number(const char *text, double low, double high, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value) || value < low || value > high)
		return false;
	*out = value;
	return true;
}

static enum status take_tolerance(struct settings *set, char *text)
{
	char given[80];

	snprintf(given, sizeof given, "%s", text);
	if (set->n_tolerances == TOLERANCES_MAX)
		return refuse("--tolerance", given, "not more than 64 of them");
	if (tolerance_parse(text, &set->tolerances[set->n_tolerances]))
		return refuse("--tolerance", given, "N, N% or GLOB=N, N not negative");
	set->n_tolerances++;
	return STATUS_OK;
}

static enum status take_number(struct settings *set, int option, char *text)
{
	double value;

	switch (option) {
	case 'i':
		return number(text, 0.01, 3600, &set->interval_s) ? STATUS_OK :
			refuse("--interval", text, "seconds, 0.01 to 3600");
	case 'n':
		if (!number(text, 1, 1e15, &value) || value != floor(value))
			return refuse("--count", text, "a whole number, 1 or more");
		set->count = (uint64_t)value;
		set->has_count = true;
		return STATUS_OK;
	case OPT_WIDTH:
		if (!number(text, 40, 1000, &value))
			return refuse("--width", text, "40 to 1000");
		set->width = (int)value;
		return STATUS_OK;
	default:
		return number(text, 0, SECONDS_MAX, &set->timeout_s) ? STATUS_OK :
			refuse("--timeout", text, "seconds, 0 to 2000000");
	}
}

bool web_place_looks_so(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
		!strchr(text, '/');
}

static enum status take_web(struct settings *set, int option, char *text)
{
	if (option == OPT_WEB_TOKEN) {
		set->web_token = text;
	} else if (option == OPT_WEB_HOST) {
		if (set->n_web_hosts == WEB_HOSTS_MAX)
			return refuse("--web-host", text, "not more than 8 of them");
		set->web_hosts[set->n_web_hosts++] = text;
	} else {
		set->web = true;
		set->web_place = text;
	}
	return STATUS_OK;
}

static enum status take_option(struct settings *set, int option, char *text)
{
	switch (option) {
	case 'i': case 'n': case OPT_WIDTH: case OPT_TIMEOUT:
		return take_number(set, option, text);
	case OPT_WEB: case OPT_WEB_TOKEN: case OPT_WEB_HOST:
		return take_web(set, option, text);
	case OPT_FILTER: set->filter = text; break;
	case OPT_SORT:
		set->sort = text;
		if (sort_find(text) == SORT_KEYS)
			return refuse("--sort", text, "table, name, value, age, rate or state");
		break;
	case OPT_PIN:
		if (set->n_pins == PINS_MAX)
			return refuse("--pin", text, "not more than 64 of them");
		set->pins[set->n_pins++] = text;
		break;
	case OPT_DETAIL: set->detail = true; break;
	case OPT_WAIT: set->wait = true; break;
	case OPT_AGAINST: set->against = text; break;
	case OPT_TOLERANCE: return take_tolerance(set, text);
	case OPT_DEVIATING: set->deviating = true; break;
	case OPT_BATCH: set->batch = true; break;
	case OPT_ASCII: set->ascii = true; break;
	case 'u': set->uri = text; break;
	case 'h': set->help = true; break;
	case 'V': set->version = true; break;
	default: /* getopt has said what is wrong */
		fputs("See `peeker --help`.\n", stderr);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static enum status check(const struct settings *set)
{
	const char *fault = NULL;

	if (set->web && (set->batch || set->against))
		fault = "--web goes with neither --batch nor --against";
	else if ((set->web_token || set->n_web_hosts) && !set->web)
		fault = "--web-token and --web-host belong to --web";
	else if (set->has_count && !set->batch)
		fault = "--count belongs to --batch";
	else if (set->width && !set->batch)
		fault = "--width belongs to --batch";
	else if (set->n_tolerances && !set->against)
		fault = "--tolerance belongs to --against";
	else if (set->deviating && !set->against)
		fault = "--deviating belongs to --against";
	else if (set->filter && strlen(set->filter) >= FILTER_SIZE)
		fault = "--filter is longer than 127 bytes";
	if (!fault)
		return STATUS_OK;
	peeker_say("%s", fault);
	fputs("See `peeker --help`.\n", stderr);
	return STATUS_USAGE;
}

enum status options_parse(struct settings *set, int argc, char **argv)
{
	int option;

	*set = (struct settings){ .interval_s = 0.2, .timeout_s = -1 };
	while ((option = getopt_long(argc, argv, "i:n:u:hV", options, NULL)) != -1) {
		/* --web takes the next word if that is an address, which an engine's never is */
		if (option == OPT_WEB && !optarg && optind < argc && web_place_looks_so(argv[optind]))
			optarg = argv[optind++];
		enum status status = take_option(set, option, optarg);
		if (status)
			return status;
	}
	/* the first word is the engine, unless -u names it or it can only be a glob */
	if (!set->uri && optind < argc && !strpbrk(argv[optind], "*?["))
		set->uri = argv[optind++];
	set->globs = argv + optind;
	set->n_globs = argc - optind;
	return check(set);
}
