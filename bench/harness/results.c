/* SPDX-License-Identifier: Apache-2.0 */
/* Results in memory: rows, and what machine they were measured on. */
#include "harness/clock.h"
#include "harness/results.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define FIELD(name) { #name, offsetof(struct bench_figures, name) }

const struct bench_figure_field bench_figure_fields[] = {
	FIELD(n), FIELD(mean), FIELD(median), FIELD(min), FIELD(max), FIELD(stddev),
	FIELD(p99), FIELD(p999), FIELD(service_median), FIELD(service_p99), FIELD(jitter_mean), FIELD(jitter_max),
	FIELD(sent), FIELD(lost), FIELD(loss_percent), FIELD(late_starts),
	FIELD(client_cpu_ns), FIELD(client_switches), FIELD(server_cpu_ns), FIELD(server_switches),
};
const size_t bench_figure_count = sizeof(bench_figure_fields) / sizeof(bench_figure_fields[0]);
_Static_assert(sizeof(bench_figure_fields) / sizeof(bench_figure_fields[0]) * sizeof(double) ==
	sizeof(struct bench_figures), "a figure has no name");

struct bench_result *bench_results_row(struct bench_results *results)
{
	if (results->rows == results->rows_room) {
		size_t room = results->rows_room ? 2 * results->rows_room : 64;
		struct bench_result *grown = reallocarray(results->row, room, sizeof(*grown));
		if (!grown)
			return NULL;
		results->row = grown;
		results->rows_room = room;
	}
	struct bench_result *row = &results->row[results->rows++];
	memset(row, 0, sizeof(*row));
	return row;
}

const struct bench_result *bench_results_find(const struct bench_results *results, const char *name)
{
	for (size_t i = 0; i < results->rows; i++) {
		if (!strcmp(results->row[i].name, name))
			return &results->row[i];
	}
	return NULL;
}

void bench_results_free(struct bench_results *results)
{
	free(results->row);
	free(results->aim);
	free(results->fit);
	memset(results, 0, sizeof(*results));
}

/* The text after `separator` in the first line of a file that begins with `key`. */
static void line_of(const char *path, const char *key, char separator, char *out, size_t size)
{
	char line[256];
	snprintf(out, size, "unknown");
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, separator);
		if (strncmp(line, key, strlen(key)) || !value)
			continue;
		value += 1 + strspn(value + 1, " \t\"");
		value[strcspn(value, "\"\n")] = '\0';
		snprintf(out, size, "%s", value);
		break;
	}
	fclose(f);
}

static double clock_step(void)
{
	double step[101];
	for (size_t i = 0; i < 101; i++) {
		uint64_t begin = bench_now_ns();
		for (int k = 0; k < 100; k++)
			bench_now_ns();
		step[i] = (double)(bench_now_ns() - begin) / 101;
	}
	return bench_median(step, 101);
}

void bench_describe(struct bench_results *results)
{
	struct bench_machine *m = &results->machine;
	struct utsname u;
	line_of("/proc/cpuinfo", "model name", ':', m->cpu, sizeof(m->cpu));
	line_of("/etc/os-release", "PRETTY_NAME", '=', m->os, sizeof(m->os));
	snprintf(m->compiler, sizeof(m->compiler), "%s", __VERSION__);
	if (!uname(&u))
		snprintf(m->kernel, sizeof(m->kernel), "%.40s %.40s", u.release, u.machine);
	m->cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
	m->memory_mib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1048576;
	if (getloadavg(&m->load_start, 1) != 1)
		m->load_start = -1;
	m->clock_step_ns = clock_step();
	time_t now = time(NULL);
	struct tm t;
	gmtime_r(&now, &t);
	strftime(results->date, sizeof(results->date), "%Y-%m-%dT%H:%M:%SZ", &t);
}
