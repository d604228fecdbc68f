/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <string.h>

char *report_amount(double value, const char *unit, char *buf, size_t size)
{
	static const char *const larger[] = { "ns", "µs", "ms", "s" };
	size_t i = 0;
	if (strcmp(unit, "ns")) {
		snprintf(buf, size, "%.4g %s", value, unit);
		return buf;
	}
	while (i < 3 && value >= 999.5) {
		value /= 1000;
		i++;
	}
	snprintf(buf, size, value >= 99.95 ? "%.0f %s" : value >= 9.995 ? "%.1f %s" : "%.2f %s", value, larger[i]);
	return buf;
}

const char *report_aim_unit(const struct bench_results *results, const struct bench_aim *aim)
{
	const struct bench_result *row = bench_results_find(results, aim->left);
	return row ? row->unit : "ns";
}

char *report_ratio(const struct bench_results *results, const struct bench_result *row,
	size_t figure, char *buf, size_t size)
{
	struct bench_comparison c;
	buf[0] = '\0';
	if (!row->base[0] || !strcmp(row->base, row->name))
		return buf;
	if (!bench_compare_rows(row, bench_results_find(results, row->base), figure, &c))
		return buf;
	if (c.verdict == BENCH_INDISTINCT)
		snprintf(buf, size, "not distinguishable");
	else
		snprintf(buf, size, "%.3g ×", c.ratio);
	return buf;
}

static void head(const struct bench_results *r, FILE *out)
{
	const struct bench_machine *m = &r->machine;
	fprintf(out, "# Benchmark results\n\n"
		"%s, revision %s. %s, %.0f CPUs, %.0f MiB; %s, kernel %s; compiler %s.\n"
		"Client on CPU %.0f, server on CPU %.0f. %.0f interleaved repeats of each row. "
		"Load at start %.2f, at the end %.2f. One look at the clock: %.1f ns.\n\n",
		r->date, r->revision, m->cpu, m->cpus, m->memory_mib, m->os, m->kernel, m->compiler,
		m->cpu_client, m->cpu_server, r->repeats, m->load_start, m->load_end, m->clock_step_ns);
	if (r->quick > 0)
		fputs("**Quick run: few samples. For a look, not for a table.**\n\n", out);
	if (m->load_start > 0.5)
		fputs("**The machine was busy with other work when this began; expect wide spreads.**\n\n", out);
	if (m->cpu_client == m->cpu_server)
		fputs("**Only one CPU: both sides share it; polling rows wait for each other's time slice.**\n\n", out);
}

static void aims(const struct bench_results *r, FILE *out)
{
	char left[48], limit[48], spread[48];
	if (!r->aims)
		return;
	fputs("## Aims\n\n| aim | measured | limit in this run | spread | |\n|---|---:|---:|---:|---|\n", out);
	for (size_t i = 0; i < r->aims; i++) {
		const struct bench_aim *a = &r->aim[i];
		bool measured = strcmp(a->verdict, "not measured") != 0;
		const char *unit = report_aim_unit(r, a);
		fprintf(out, "| %s | %s | %s | %s | %s |\n", a->text,
			measured ? report_amount(a->left_median, unit, left, sizeof(left)) : "",
			measured ? report_amount(a->limit_median, unit, limit, sizeof(limit)) : "",
			measured ? report_amount(a->spread, unit, spread, sizeof(spread)) : "", a->verdict);
	}
	fputs("\nMedians over the repeats (of p99, where the aim says so). Spread: interquartile range, over the repeats, of what was measured "
		"less its limit; a difference within it is not distinguishable.\n\n", out);
}

static void fits(const struct bench_results *r, FILE *out)
{
	char text[32];
	if (!r->fits)
		return;
	fputs("## Growth\n\n| what | exponent | median at each size |\n|---|---:|---|\n", out);
	for (size_t i = 0; i < r->fits; i++) {
		const struct bench_fit *f = &r->fit[i];
		fprintf(out, "| %s | %.2f |", f->name, f->exponent);
		for (size_t k = 0; k < f->points; k++)
			fprintf(out, "%s %.0f: %s", k ? ";" : "", f->x[k], report_amount(f->y[k], f->unit, text, sizeof(text)));
		fputs(" |\n", out);
	}
	fputs("\nExponent: slope of log(figure) over log(number of cells); 0 constant, 1 proportional.\n\n", out);
}

/* ---- rows ---- */

static void cell(const struct bench_result *row, double value, FILE *out)
{
	char text[32];
	fprintf(out, " %s |", report_amount(value, row->unit, text, sizeof(text)));
}

static void rate(const struct bench_result *row, FILE *out)
{
	double per_second = row->all.median > 0 && !strcmp(row->unit, "ns") ? 1e9 / row->all.median : 0;
	if (strcmp(row->kind, "batch"))
		fputs(" |", out);
	else if (per_second >= 1e6)
		fprintf(out, " %.4g M/s |", per_second / 1e6);
	else
		fprintf(out, " %.4g /s |", per_second);
}

static void side(double cpu_ns, double switches, FILE *out)
{
	char text[32];
	if (cpu_ns <= 0 && switches <= 0)
		fputs(" |", out);
	else
		fprintf(out, " %s, %.2f |", report_amount(cpu_ns, "ns", text, sizeof(text)), switches);
}

static void row_line(const struct bench_results *r, const struct bench_result *row, FILE *out)
{
	const struct bench_figures *f = &row->all;
	char text[48];
	fprintf(out, "| %s |", row->name);
	if (!row->repeats) {
		fprintf(out, " %s: %s ||||||||||||||||||\n", row->status, row->why);
		return;
	}
	if (f->n <= 0) {
		fprintf(out, " 0 | no answer: %.0f of %.0f lost ||||||||||||||||||\n", f->lost, f->sent);
		return;
	}
	fprintf(out, " %.0f |", f->n);
	cell(row, f->mean, out);
	cell(row, f->median, out);
	cell(row, f->min, out);
	cell(row, f->max, out);
	cell(row, f->stddev, out);
	cell(row, f->p99, out);
	cell(row, f->p999, out);
	cell(row, f->service_median, out);
	cell(row, f->jitter_mean, out);
	cell(row, f->jitter_max, out);
	fprintf(out, " %.3g |", f->loss_percent);
	rate(row, out);
	fprintf(out, " %.0f |", f->late_starts);
	side(f->client_cpu_ns, f->client_switches, out);
	side(f->server_cpu_ns, f->server_switches, out);
	fprintf(out, " %s |", report_ratio(r, row, offsetof(struct bench_figures, median), text, sizeof(text)));
	if (strcmp(row->kind, "paced"))
		text[0] = '\0'; /* service is the same there */
	else
		report_ratio(r, row, offsetof(struct bench_figures, service_median), text, sizeof(text));
	fprintf(out, " %s |\n", text);
}

static void family(const struct bench_results *r, const char *name, FILE *out)
{
	const char *work = "";
	fprintf(out, "## %s\n\n| row | n | mean | median | min | max | std. dev. | p99 | p99.9 | service median | jitter mean | "
		"jitter max | loss %% | rate | late starts | client CPU, switches | server CPU, switches | to base | service to base |\n"
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n", name);
	for (size_t i = 0; i < r->rows; i++) {
		if (!strcmp(r->row[i].family, name))
			row_line(r, &r->row[i], out);
	}
	fputs("\n", out);
	for (size_t i = 0; i < r->rows; i++) {
		const struct bench_result *row = &r->row[i];
		if (strcmp(row->family, name) || !strcmp(row->work, work))
			continue;
		work = row->work;
		fprintf(out, "- `%s`: %s.", row->name, work);
		if (row->interval_ns > 0)
			fprintf(out, " One every %.0f µs; latency counts from the intended start.", row->interval_ns / 1000);
		if (row->ops_per_batch > 0)
			fprintf(out, " Timed in batches of %.0f operations; a sample is the mean of one batch.", row->ops_per_batch);
		fputs("\n", out);
	}
	fputs("\n", out);
}

static bool first_of_family(const struct bench_results *r, size_t row)
{
	for (size_t i = 0; i < row; i++) {
		if (!strcmp(r->row[i].family, r->row[row].family))
			return false;
	}
	return true;
}

void report_markdown(const struct bench_results *results, FILE *out)
{
	head(results, out);
	aims(results, out);
	for (size_t i = 0; i < results->rows; i++) {
		if (first_of_family(results, i))
			family(results, results->row[i].family, out);
	}
	fits(results, out);
	fputs("Service median: from the actual start, so without the waiting behind a slow one that a paced row counts. "
		"CPU and switches: processor time and voluntary context switches of a process per operation; the client's "
		"without the waiting for intended starts. To base: median over that of the row it is compared with "
		"(bench/README.md), over the repeats; service to base: the same of the service medians.\n", out);
}
