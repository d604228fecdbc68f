/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live table of cells, with the public interface alone: value, unit, how long ago it
 * changed, quality, and staleness as a word. On a terminal refreshed in place, otherwise
 * printed now and then. Between refreshes it times dsm_read(), and says at the end what it saw.
 *
 * Run:  view --uri shm://rig --seconds 20 'drilling.*' mud.standpipe_pressure
 */
#include <dsm/dsm.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stop.h"

enum {
	CELLS_MAX = 200, READS_A_ROUND = 2000, ROUNDS_A_SECOND = 5, SAMPLES_MAX = 1000000,
	ATTACH_MS = 10000, PRINT_EVERY_S = 5, ROUND_NS = 100000000, /* a network's reads take longer */
};

static const char usage[] =
	"Usage: view [OPTION]... [GLOB]...\n"
	"Show the cells that match (all without GLOB) while they change.\n\n"
	"  --uri URI      engine, such as shm://rig (default: $DSM_URI, else rig)\n"
	"  --seconds N    end after N seconds, 0.1 to 1e6 (default: at Ctrl-C)\n"
	"  --count GROUP  count the commits of this group\n"
	"  -h, --help     this text\n\n"
	"Example:\n"
	"  view --uri shm://rig --seconds 20 --count drilling 'drilling.*' mud.flow_out\n\n"
	"Exit status: 0 shown; 1 failed, or no cell matches; 2 wrong usage.\n";

struct view {
	const char *uri, *counted;
	double seconds;
	bool terminal;
	struct dsm *dsm;
	struct dsm_cell_info cells[CELLS_MAX];
	int count, lines;
	uint64_t samples;
	uint32_t *took_ns;          /* of single reads; SAMPLES_MAX */
	uint64_t reads, failed_reads;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the table ------------------------------------------------------------------------- */

static int take_cell(const struct dsm_cell_info *info, void *context)
{
	struct view *view = context;

	for (int i = 0; i < view->count; i++) {
		if (view->cells[i].cell.id == info->cell.id)
			return 0;
	}
	if (view->count < CELLS_MAX)
		view->cells[view->count++] = *info;
	return 0;
}

/* "0.3 s", "12 s", "3 min" */
static void format_age(int64_t changed_ns, char *buf, size_t size)
{
	double age_s = ((double)clock_ns(CLOCK_REALTIME) - (double)changed_ns) / 1e9;

	if (changed_ns == 0)
		snprintf(buf, size, "never");
	else if (age_s < 10.0)
		snprintf(buf, size, "%.1f s", age_s < 0.0 ? 0.0 : age_s);
	else if (age_s < 120.0)
		snprintf(buf, size, "%.0f s", age_s);
	else
		snprintf(buf, size, "%.0f min", age_s / 60.0);
}

/* A value that its owner calls bad, or that was never written, is not shown as a number. */
static void print_cell(struct view *view, const struct dsm_cell_info *info)
{
	struct dsm_sample sample;
	char value[64] = "-", age[32] = "-", flags[96] = "";
	const char *quality = "not readable now";

	if (dsm_read(view->dsm, info->cell, &sample) == 0) {
		if (sample.quality != DSM_NEVER_WRITTEN && sample.quality != DSM_BAD)
			dsm_value_format(&sample.value, info->precision, value, sizeof value);
		format_age(sample.changed_ns, age, sizeof age);
		quality = dsm_quality_name(sample.quality);
		dsm_flags_text(sample.flags, flags, sizeof flags);
		view->reads++;
	} else {
		view->failed_reads++;
	}
	printf("  %-24s %12s %-7s %8s  %s%s%s\n", info->name, value, info->unit, age, quality,
		flags[0] != '\0' ? ", " : "", flags);
}

static void print_table(struct view *view, double left_s)
{
	struct dsm_region_info region;

	if (view->terminal && view->lines > 0)
		printf("\033[%dA\033[J", view->lines);
	if (dsm_region_info(view->dsm, &region) == 0)
		printf("%s by %s, heartbeat %lu ms ago", region.uri, region.transport,
			(unsigned long)region.heartbeat_age_ms);
	if (view->seconds > 0.0)
		printf(", %.0f s to go", left_s > 0.0 ? left_s : 0.0);
	printf("\n  %-24s %12s %-7s %8s  %s\n", "CELL", "VALUE", "UNIT", "CHANGED", "QUALITY");
	for (int i = 0; i < view->count; i++)
		print_cell(view, &view->cells[i]);
	view->lines = view->count + 2;
	fflush(stdout);
}

/* ---- timing reads ------------------------------------------------------------------------ */

/* Each read by itself, so that a slow one is seen and not averaged away. What reading the
 * clock takes is in it, and is stated beside it. */
static void time_reads(struct view *view)
{
	struct dsm_sample sample;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	const uint64_t end = start + ROUND_NS;

	for (int i = 0; i < READS_A_ROUND && view->samples < SAMPLES_MAX && start < end; i++) {
		struct dsm_cell cell = view->cells[i % view->count].cell;
		start = clock_ns(CLOCK_MONOTONIC);
		int result = dsm_read(view->dsm, cell, &sample);
		uint64_t took = clock_ns(CLOCK_MONOTONIC) - start;
		if (result != 0) {
			view->failed_reads++;
			continue;
		}
		view->reads++;
		view->took_ns[view->samples++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint64_t clock_cost_ns(void)
{
	uint32_t took[1001];

	for (int i = 0; i < 1001; i++) {
		uint64_t start = clock_ns(CLOCK_MONOTONIC);
		took[i] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - start);
	}
	qsort(took, 1001, sizeof *took, by_size);
	return took[500];
}

static uint64_t commits_of(struct view *view)
{
	struct dsm_group group;
	struct dsm_group_info info = { 0 };

	if (view->counted != NULL && dsm_group(view->dsm, view->counted, &group) == 0)
		dsm_group_info(view->dsm, group, &info);
	return info.seq;
}

static void print_summary(struct view *view, uint64_t commits, double seconds)
{
	struct dsm_stats stats = { 0 };

	dsm_stats(view->dsm, &stats);
	if (view->counted != NULL)
		printf("Commits of '%s': %lu in %.1f s.\n", view->counted, (unsigned long)commits,
			seconds);
	printf("Reads: %lu, failed: %lu, torn copies seen and rejected: %lu.\n",
		(unsigned long)view->reads, (unsigned long)view->failed_reads,
		(unsigned long)stats.torn);
	if (view->samples > 0) {
		qsort(view->took_ns, view->samples, sizeof *view->took_ns, by_size);
		printf("Read latency (dsm_read, each timed alone): p50 %u ns, p99 %u ns; "
			"%lu ns of it is reading the clock.\n", view->took_ns[view->samples / 2],
			view->took_ns[view->samples * 99 / 100], (unsigned long)clock_cost_ns());
	}
}

/* ---- program ------------------------------------------------------------------------------ */

static void show(struct view *view)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC), first = commits_of(view);
	const struct timespec pause = { .tv_nsec = 1000000000 / ROUNDS_A_SECOND };
	double passed = 0.0, due = 0.0;

	while (!stop_asked) {
		passed = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
		bool last = view->seconds > 0.0 && passed >= view->seconds;
		if (view->terminal || passed >= due || last) {
			print_table(view, view->seconds - passed);
			due += PRINT_EVERY_S;
		}
		if (last)
			break;
		time_reads(view);
		nanosleep(&pause, NULL);
	}
	printf("\n");
	print_summary(view, commits_of(view) - first, passed);
}

/* 0 go on; otherwise the exit status + 1. */
static int parse_options(int argc, char **argv, struct view *view)
{
	static const struct option options[] = {
		{ "uri", required_argument, NULL, 'u' }, { "seconds", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'u': view->uri = optarg; break;
		case 'c': view->counted = optarg; break;
		case 's':
			if (option_number(optarg, 0.1, 1e6, &view->seconds))
				break;
			fprintf(stderr, "view: --seconds %s: a number from 0.1 to 1e6 was expected\n",
				optarg);
			return 3;
		case 'h': fputs(usage, stdout); return 1;
		default: fputs("Try: view --help\n", stderr); return 3;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct view view;
	struct dsm_options options = DSM_OPTIONS_INIT;
	int result = parse_options(argc, argv, &view);

	if (result != 0)
		return result - 1;
	stop_prepare();
	options.program = "view";
	options.attach_timeout_ms = ATTACH_MS;
	view.terminal = isatty(STDOUT_FILENO);
	view.took_ns = calloc(SAMPLES_MAX, sizeof *view.took_ns);
	result = view.took_ns == NULL ? -1 : dsm_attach(view.uri, &options, &view.dsm);
	if (result == 0 && optind == argc)
		result = dsm_foreach_cell(view.dsm, NULL, take_cell, &view);
	for (int i = optind; result == 0 && i < argc; i++)
		result = dsm_foreach_cell(view.dsm, argv[i], take_cell, &view);
	if (result != 0)
		fprintf(stderr, "view: %s\n", dsm_error());
	else if (view.count == 0)
		fprintf(stderr, "view: no cell matches\n");
	else
		show(&view);
	result = result != 0 || view.count == 0;
	dsm_detach(&view.dsm);
	free(view.took_ns);
	return result;
}
