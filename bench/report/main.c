/* SPDX-License-Identifier: Apache-2.0 */
/* bench-report: Markdown and SVG from a results file. */
#include "report/report.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <stdlib.h>

static const char help[] =
	"Usage: bench-report [--markdown FILE] [--svg FILE] [--aims] RESULTS.json\n"
	"       bench-report --help\n"
	"\n"
	"Makes pages from the results of dsm-bench. Without an option: Markdown to standard output.\n"
	"\n"
	"  --markdown FILE  tables\n"
	"  --svg FILE       chart of the latencies\n"
	"  --aims           print the aims and whether each is met, one a line\n"
	"\n"
	"Example:\n"
	"  bench-report --markdown results.md --svg latency.svg results.json\n"
	"\n"
	"Exit status: 0 done, 1 a file cannot be read or written, 2 wrong usage.\n";

static int page(const struct bench_results *results, const char *path,
	void (*write)(const struct bench_results *, FILE *))
{
	FILE *out = fopen(path, "we");
	if (!out) {
		fprintf(stderr, "bench-report: cannot write %s: %s\n", path, strerror(errno));
		return 1;
	}
	write(results, out);
	bool bad = ferror(out);
	if (fclose(out) || bad) {
		fprintf(stderr, "bench-report: %s was not written whole\n", path);
		return 1;
	}
	return 0;
}

static void print_aims(const struct bench_results *results)
{
	char left[48], limit[48];
	for (size_t i = 0; i < results->aims; i++) {
		const struct bench_aim *a = &results->aim[i];
		if (!strcmp(a->verdict, "not measured"))
			printf("%-19s  %s\n", a->verdict, a->text);
		else
			printf("%-19s  %s: %s against %s\n", a->verdict, a->text,
				report_amount(a->left_median, report_aim_unit(results, a), left, sizeof(left)),
				report_amount(a->limit_median, report_aim_unit(results, a), limit, sizeof(limit)));
	}
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "markdown", 1, NULL, 'm' }, { "svg", 1, NULL, 's' }, { "aims", 0, NULL, 'a' },
		{ "help", 0, NULL, 'h' }, { 0 },
	};
	const char *markdown = NULL, *svg = NULL;
	bool aims = false;
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		switch (c) {
		case 'm': markdown = optarg; break;
		case 's': svg = optarg; break;
		case 'a': aims = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: return 2;
		}
	}
	if (optind != argc - 1) {
		fputs("bench-report: give one results file; see bench-report --help\n", stderr);
		return 2;
	}
	struct bench_results results;
	if (bench_results_read(argv[optind], &results))
		return 1;
	int rc = 0;
	if (markdown)
		rc |= page(&results, markdown, report_markdown);
	if (svg)
		rc |= page(&results, svg, report_svg);
	if (aims)
		print_aims(&results);
	if (!markdown && !svg && !aims)
		report_markdown(&results, stdout);
	bench_results_free(&results);
	return rc;
}
