/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies as bars on a logarithmic axis: bar to the median, whisker to the 99th percentile. */
#include "report/report.h"

#include <math.h>
#include <string.h>

#define LEFT 190.0
#define WIDTH 620.0
#define RIGHT 170.0
#define BAR 14.0
#define GAP 4.0
#define HEAD 26.0
#define TOP 64.0

struct axis {
	double low, high; /* log10 of ns */
};

static bool shown(const struct bench_result *row)
{
	return row->repeats && !strcmp(row->kind, "paced") && !strcmp(row->unit, "ns");
}

static double at(const struct axis *axis, double ns)
{
	return LEFT + WIDTH * (log10(ns < 1 ? 1 : ns) - axis->low) / (axis->high - axis->low);
}

static void text(FILE *out, double x, double y, const char *attributes, const char *words)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
	for (const char *c = words; *c; c++) {
		switch (*c) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		default: fputc(*c, out);
		}
	}
	fputs("</text>\n", out);
}

/* Rows of one family, mode and size stand together. */
static void heading_of(const struct bench_result *row, char *buf, size_t size)
{
	char bytes[32] = "";
	if (row->size_bytes >= 1048576)
		snprintf(bytes, sizeof(bytes), ", %.0f MiB", row->size_bytes / 1048576);
	else if (row->size_bytes >= 1024)
		snprintf(bytes, sizeof(bytes), ", %.0f KiB", row->size_bytes / 1024);
	else if (row->size_bytes > 0)
		snprintf(bytes, sizeof(bytes), ", %.0f B", row->size_bytes);
	snprintf(buf, size, "%s, %s%s", row->family, row->mode, bytes);
}

static void bar(const struct axis *axis, const struct bench_result *row, double y, FILE *out)
{
	char label[64], amount[32];
	double median = at(axis, row->all.median), p99 = at(axis, row->all.p99), mid = y + BAR / 2;
	bool redis = !strcmp(row->family, "redis");
	snprintf(label, sizeof(label), "%s", redis ? row->name + strlen("redis.") : row->peer);
	text(out, LEFT - 6, y + 11, "text-anchor=\"end\"", label);
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", LEFT, y,
		median - LEFT, BAR, strcmp(row->peer, "dsm") ? "#7a8aa0" : "#c2410c");
	fprintf(out, "<path d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1f\" stroke=\"#222\" fill=\"none\"/>\n",
		median, mid, p99, p99, y + 3, y + BAR - 3);
	text(out, p99 + 6, y + 11, "fill=\"#444\"", report_amount(row->all.median, "ns", amount, sizeof(amount)));
}

static struct axis scale(const struct bench_results *r)
{
	struct axis axis = { .low = 12, .high = 0 };
	for (size_t i = 0; i < r->rows; i++) {
		const struct bench_figures *f = &r->row[i].all;
		if (!shown(&r->row[i]))
			continue;
		axis.low = fmin(axis.low, floor(log10(fmax(f->median, 1))));
		axis.high = fmax(axis.high, ceil(log10(fmax(f->p99, 10))));
	}
	if (axis.high <= axis.low)
		axis = (struct axis){ .low = 0, .high = 1 };
	return axis;
}

/* Draws when out is given; returns the height either way. */
static double rows(const struct bench_results *r, const struct axis *axis, FILE *out)
{
	char last[128] = "", heading[128];
	double y = TOP;
	for (size_t i = 0; i < r->rows; i++) {
		const struct bench_result *row = &r->row[i];
		if (!shown(row))
			continue;
		heading_of(row, heading, sizeof(heading));
		if (strcmp(heading, last)) {
			y += HEAD;
			if (out)
				text(out, LEFT, y - 6, "font-weight=\"bold\"", heading);
			memcpy(last, heading, sizeof(last));
		}
		if (out)
			bar(axis, row, y, out);
		y += BAR + GAP;
	}
	return y;
}

static void grid(const struct axis *axis, double height, FILE *out)
{
	char amount[32];
	for (double power = axis->low; power <= axis->high; power++) {
		double x = at(axis, pow(10, power));
		fprintf(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>\n", x, TOP, height);
		text(out, x, TOP - 4, "text-anchor=\"middle\" fill=\"#444\"",
			report_amount(pow(10, power), "ns", amount, sizeof(amount)));
	}
}

void report_svg(const struct bench_results *results, FILE *out)
{
	struct axis axis = scale(results);
	double height = rows(results, &axis, NULL) + 10, width = LEFT + WIDTH + RIGHT;
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
		"viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<title>Latency of one operation</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", width, height, width, height);
	text(out, 10, 20, "font-size=\"15\" font-weight=\"bold\"",
		"Latency of one operation: bar = median, whisker = 99th percentile, logarithmic");
	text(out, 10, 38, "fill=\"#444\"", results->machine.cpu);
	text(out, LEFT, 38, "fill=\"#444\"", results->date);
	grid(&axis, height - 10, out);
	rows(results, &axis, out);
	fputs("</svg>\n", out);
}
