/* SPDX-License-Identifier: Apache-2.0 */
/* What the project aims at, as figures of one run; and how figures grow with their parameter. */
#include "harness/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is looked at is not disturbed. */
#define OBSERVER_AIM(way, what, of) { .text = "engine's step, " what ", with 32 observers over " way " <= 1.1 x with none", \
	.figure = of, .left = "observer." way ".32.step", .right = "observer." way ".0.step", .factor = 1.1 }
#define OBSERVER_AIMS(way) OBSERVER_AIM(way, "median", "median"), OBSERVER_AIM(way, "p99.9", "p999")

/* All as "at most so many ns": 100 million per second are 10 ns each. */
static const struct bench_aim aims[] = {
	{ .text = "dsm_read of an f64 cell <= 2.5 x ck_sequence copy of the same 64-byte slot",
	  .left = "dsm.read", .right = "copy.ck_sequence.read.64B", .factor = 2.5 },
	{ .text = "the same against a copy by a function call, as the library's is",
	  .left = "dsm.read", .right = "copy.ck_sequence.call.64B", .factor = 2.5 },
	{ .text = "dsm_read >= 100 million per second and thread", .left = "dsm.read", .offset = 10 },
	{ .text = "dsm_read_f64 >= 100 million per second and thread", .left = "dsm.read_f64", .offset = 10 },
	{ .text = "commit of an f64 cell, time given <= 15 ns + memcpy",
	  .left = "dsm.commit", .right = "copy.memcpy.read.64B", .factor = 1, .offset = 15 },
	{ .text = "own-cell dsm_add >= 1.45 million per second", .left = "dsm.add-own", .offset = 1e3 / 1.45 },
	{ .text = "two readers scale: <= 1.1 x the time of one alone",
	  .left = "dsm.read2", .right = "dsm.read", .factor = 1.1 },
	{ .text = "10 wires: <= 1.1 x the time per operation of 1 wire",
	  .left = "wires.10", .right = "wires.1", .factor = 1.1 },
	{ .text = "1,000 wires: <= 1.1 x the time per operation of 1 wire",
	  .left = "wires.1000", .right = "wires.1", .factor = 1.1 },
	{ .text = "1,000 wires of one owner: <= 1.1 x the time per operation of 1 wire",
	  .left = "wires.1000.one-owner", .right = "wires.1", .factor = 1.1 },
	{ .text = "dsm_read over udp, both sides asleep while they wait <= 1.15 x bare UDP echo of the same bytes, likewise",
	  .left = "udp.read.1.block.dsm.rtt", .right = "udp.read.1.block.udp.rtt", .factor = 1.15 },
	{ .text = "the same, both sides polling",
	  .left = "udp.read.1.poll.dsm.rtt", .right = "udp.read.1.poll.udp.rtt", .factor = 1.15 },
	{ .text = "the same, asleep, 16 clients at once",
	  .left = "udp.read.16.block.dsm.rtt", .right = "udp.read.16.block.udp.rtt", .factor = 1.15 },
	{ .text = "ADC datagrams of a filled buffer checked and committed >= 0.6 x the speed of a bare recvmmsg drain",
	  .left = "adc.drain.dsm", .right = "adc.drain.recvmmsg", .factor = 1 / 0.6 },
	OBSERVER_AIMS("shm"), OBSERVER_AIMS("udp"),
};
/* Of rdma rows. "At least 0.9 times the speed" is "at most 1 / 0.9 times the time". The engine's own
 * context switches are some tens a second, two more or less: more than that is caused by who reads,
 * however many reads it is divided by. */
#define READ_AIM(size, peer, what, of) { .text = "dsm_read over rdma, " size ", " of " <= 1.10 x " what, .figure = of, \
	.left = "rdma.read.dsm." size, .right = "rdma.read." peer "." size, .factor = 1.10 }
#define READ_AIMS(size, peer, what) READ_AIM(size, peer, what, "median"), READ_AIM(size, peer, what, "p99")
#define SWITCH_AIM(n) { .text = "voluntary context switches of the engine a second while " n " reader(s) poll: those of an idle second, and 2", \
	.left = "rdma.switches." n ".reading", .right = "rdma.switches." n ".idle", .factor = 1, .offset = 2 }
#define CELLS_AIM(name, groups) { .text = "10,000 cells of one step in " groups " >= 0.8 x the speed of one large READ", \
	.left = "rdma.cells.dsm." name ".time", .right = "rdma.cells.verbs.time", .factor = 1 / 0.8 }
static const struct bench_aim rdma_aims[] = {
	READ_AIMS("scalar", "perftest", "ib_read_lat of the same bytes"),
	READ_AIMS("scalar", "verbs", "the same READ by hand"),
	READ_AIMS("wide", "perftest", "ib_read_lat of the same bytes"),
	READ_AIMS("wide", "verbs", "the same READ by hand"),
	{ .text = "remote commit <= 1.10 x the same two WRITEs by hand", .left = "rdma.commit.dsm",
	  .right = "rdma.commit.verbs", .factor = 1.10 },
	{ .text = "8 dsm_snapshot calls >= 0.9 x the speed of the same READs by hand, one by one", .left = "rdma.snapshot.dsm",
	  .right = "rdma.snapshot.verbs-one-by-one", .factor = 1 / 0.9 },
	{ .text = "dsm_snapshot_step of 8 groups >= 0.9 x the speed of the step's READ and a pipeline",
	  .left = "rdma.snapshot.dsm-step", .right = "rdma.snapshot.verbs-step", .factor = 1 / 0.9 },
	{ .text = "the same >= 0.9 x the speed of the pipeline alone, which does not ask for the step",
	  .left = "rdma.snapshot.dsm-step", .right = "rdma.snapshot.verbs-pipeline", .factor = 1 / 0.9 },
	{ .text = "reads in batches >= 0.9 x the message rate of ib_read_bw at the same depth", .left = "rdma.batch.dsm",
	  .right = "rdma.batch.perftest", .factor = 1 / 0.9 },
	{ .text = "the same >= 0.9 x the rate of the same chains by hand", .left = "rdma.batch.dsm",
	  .right = "rdma.batch.verbs", .factor = 1 / 0.9 },
	CELLS_AIM("40x4KiB", "40 groups of 4 KiB"), CELLS_AIM("10x16KiB", "10 groups of 16 KiB"),
	CELLS_AIM("1x160KiB", "one group"), CELLS_AIM("40x4KiB-moving", "40 groups of 4 KiB that were all committed since"),
	SWITCH_AIM("1"), SWITCH_AIM("8"), SWITCH_AIM("32"),
	OBSERVER_AIMS("rdma"),
};

static size_t each_repeat(const struct bench_result *row, size_t figure, double *out)
{
	size_t n = row->repeats < BENCH_COMPARE_MAX ? row->repeats : BENCH_COMPARE_MAX;
	for (size_t i = 0; i < n; i++)
		memcpy(&out[i], (const char *)&row->repeat[i] + figure, sizeof(out[i]));
	return n;
}

/* "" is the median. */
static size_t figure_offset(const char *name)
{
	for (size_t i = 0; i < bench_figure_count; i++) {
		if (!strcmp(bench_figure_fields[i].key, name))
			return bench_figure_fields[i].offset;
	}
	return offsetof(struct bench_figures, median);
}

bool bench_compare_rows(const struct bench_result *left, const struct bench_result *right,
	size_t figure, struct bench_comparison *out)
{
	double l[BENCH_COMPARE_MAX], r[BENCH_COMPARE_MAX];
	if (!left || !right || !left->repeats || !right->repeats)
		return false;
	size_t nl = each_repeat(left, figure, l), nr = each_repeat(right, figure, r);
	bench_compare(l, r, nl < nr ? nl : nr, out);
	return true;
}

void bench_aim_evaluate(const struct bench_results *results, struct bench_aim *aim)
{
	const struct bench_result *left = bench_results_find(results, aim->left);
	const struct bench_result *right = bench_results_find(results, aim->right);
	double l[BENCH_COMPARE_MAX], limit[BENCH_COMPARE_MAX] = { 0 };
	struct bench_comparison c;
	snprintf(aim->verdict, sizeof(aim->verdict), "not measured");
	if (!left || !left->repeats || (aim->right[0] && (!right || !right->repeats)))
		return;
	size_t figure = figure_offset(aim->figure), n = each_repeat(left, figure, l);
	if (aim->right[0]) {
		size_t m = each_repeat(right, figure, limit);
		n = m < n ? m : n;
	}
	for (size_t i = 0; i < n; i++)
		limit[i] = aim->factor * limit[i] + aim->offset;
	bench_compare(l, limit, n, &c);
	aim->left_median = c.left;
	aim->limit_median = c.right;
	aim->spread = c.spread;
	snprintf(aim->verdict, sizeof(aim->verdict), "%s", c.verdict == BENCH_LESS ? "met"
		: c.verdict == BENCH_MORE ? "not met" : "not distinguishable");
}

int bench_aims(struct bench_results *results, bool rdma)
{
	const struct bench_aim *from = rdma ? rdma_aims : aims;
	size_t n = rdma ? sizeof(rdma_aims) / sizeof(rdma_aims[0]) : sizeof(aims) / sizeof(aims[0]);
	results->aim = calloc(n, sizeof(*results->aim));
	if (!results->aim)
		return -ENOMEM;
	memcpy(results->aim, from, n * sizeof(*from));
	for (results->aims = 0; results->aims < n; results->aims++)
		bench_aim_evaluate(results, &results->aim[results->aims]);
	return 0;
}

/* ---- growth ---- */

/* A column is what follows the last dot of a row's name. */
static const char *column_of(const struct bench_result *row)
{
	const char *dot = strrchr(row->name, '.');
	return dot ? dot + 1 : row->name;
}

static struct bench_fit *fit_for(struct bench_results *results, const struct bench_result *row)
{
	char name[sizeof(results->fit->name)];
	snprintf(name, sizeof(name), "%.24s.%.36s", row->family, column_of(row));
	for (size_t i = 0; i < results->fits; i++) {
		if (!strcmp(results->fit[i].name, name))
			return &results->fit[i];
	}
	struct bench_fit *grown = reallocarray(results->fit, results->fits + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	results->fit = grown;
	struct bench_fit *fit = &results->fit[results->fits++];
	memset(fit, 0, sizeof(*fit));
	memcpy(fit->name, name, sizeof(fit->name));
	memcpy(fit->unit, row->unit, sizeof(fit->unit));
	return fit;
}

int bench_fits(struct bench_results *results)
{
	for (size_t i = 0; i < results->rows; i++) {
		const struct bench_result *row = &results->row[i];
		if (!(row->param > 0) || !row->repeats)
			continue;
		struct bench_fit *fit = fit_for(results, row);
		if (!fit)
			return -ENOMEM;
		if (fit->points == BENCH_FIT_MAX)
			continue;
		fit->x[fit->points] = row->param;
		fit->y[fit->points++] = row->all.median;
	}
	for (size_t i = 0; i < results->fits; i++) {
		struct bench_fit *fit = &results->fit[i];
		fit->exponent = bench_growth(fit->x, fit->y, fit->points);
	}
	return 0;
}
