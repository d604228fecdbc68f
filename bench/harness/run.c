/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the rows in turn, A B C A B C …, so that a slow minute of the machine hits all alike. */
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/results.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = { "paced", "batch", "once" };

/* One row of the list while it is being measured. Results may move when rows are added,
 * so they are kept by number. */
struct active {
	const struct bench_row *row;
	size_t first_result, columns;
	struct bench_pool pool[BENCH_SERIES_MAX];
	struct bench_run run;
	bool over;
};

static size_t columns_of(const struct bench_row *row)
{
	size_t n = 0;
	while (n < BENCH_SERIES_MAX && row->column[n])
		n++;
	return n ? n : 1;
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void join(char *to, size_t size, const char *a, const char *b)
{
	snprintf(to, size, "%.60s%s%.18s", a, b && *a ? "." : "", b && *a ? b : "");
}

static int describe_row(const struct bench_row *row, size_t column, struct bench_results *results)
{
	struct bench_result *r = bench_results_row(results);
	if (!r)
		return -ENOMEM;
	join(r->name, sizeof(r->name), row->name, row->column[column]);
	join(r->base, sizeof(r->base), row->base, row->column[column]);
	copy(r->family, sizeof(r->family), row->family);
	copy(r->work, sizeof(r->work), row->work);
	copy(r->peer, sizeof(r->peer), row->peer);
	copy(r->mode, sizeof(r->mode), row->mode);
	copy(r->unit, sizeof(r->unit), row->column_unit[column] ? row->column_unit[column]
		: row->unit ? row->unit : "ns");
	copy(r->kind, sizeof(r->kind), kinds[row->kind]);
	copy(r->status, sizeof(r->status), "not run");
	r->size_bytes = (double)row->size_bytes;
	r->interval_ns = (double)row->interval_ns;
	r->ops_per_batch = row->ops_per_batch;
	r->param = row->param;
	return 0;
}

static int select_rows(const struct bench_list *list, const char *glob, struct active *active,
	size_t *n, struct bench_results *results)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct bench_row *row = &list->row[i];
		if (!bench_name_matches(row->name, glob))
			continue;
		struct active *a = &active[(*n)++];
		a->row = row;
		a->first_result = results->rows;
		a->columns = columns_of(row);
		for (size_t c = 0; c < a->columns; c++) {
			if (describe_row(row, c, results))
				return -ENOMEM;
		}
	}
	return 0;
}

bool bench_name_matches(const char *name, const char *glob)
{
	return !glob || !fnmatch(glob, name, 0);
}

static void mark(struct active *a, struct bench_results *results, const char *status, const char *why)
{
	for (size_t c = 0; c < a->columns; c++) {
		struct bench_result *r = &results->row[a->first_result + c];
		copy(r->status, sizeof(r->status), status);
		copy(r->why, sizeof(r->why), why);
	}
}

static int keep(struct active *a, struct bench_results *results)
{
	for (size_t c = 0; c < a->columns; c++) {
		struct bench_result *r = &results->row[a->first_result + c];
		const struct bench_series *s = &a->run.series[c];
		bench_figures(s, &r->repeat[r->repeats++]);
		if (bench_pool_add(&a->pool[c], s))
			return -ENOMEM;
	}
	mark(a, results, "ok", "");
	return 0;
}

/* One repeat of one row. A row that fails is not tried again. */
static int run_once(struct active *a, const struct bench_conf *conf, struct bench_results *results)
{
	bench_run_clear(&a->run);
	bench_guard(conf->rdma ? 240 : 60); /* an emulated machine may need minutes for 32 attaches */
	int rc = a->row->run(a->row, conf, &a->run);
	bench_guard(0);
	if (bench_stop)
		return -EINTR;
	if (!rc)
		return keep(a, results);
	a->over = true;
	const char *why = a->run.why[0] ? a->run.why : strerror(-rc);
	if (bench_expired)
		why = "took longer than 60 s";
	mark(a, results, rc == -ENOTSUP ? "n/a" : "failed", why);
	return 0;
}

static void show(FILE *progress, const struct bench_conf *conf, unsigned repeat, size_t i, size_t n,
	const struct active *a)
{
	if (progress)
		fprintf(progress, "repeat %u/%u  row %zu/%zu  %s\n", repeat + 1, conf->repeats, i + 1, n,
			a->row->name);
}

static int run_all(struct active *active, size_t n, const struct bench_conf *conf, FILE *progress,
	struct bench_results *results)
{
	for (unsigned repeat = 0; repeat < conf->repeats; repeat++) {
		for (size_t i = 0; i < n; i++) {
			struct active *a = &active[i];
			if (a->over || (a->row->max_repeats && repeat >= a->row->max_repeats))
				continue;
			show(progress, conf, repeat, i, n, a);
			int rc = run_once(a, conf, results);
			if (rc)
				return rc;
		}
	}
	return 0;
}

int bench_harness(const struct bench_list *list, const char *glob, const struct bench_conf *conf,
	FILE *progress, struct bench_results *results)
{
	size_t n = 0;
	if (conf->repeats < 1 || conf->repeats > BENCH_REPEATS_MAX)
		return -EINVAL;
	struct active *active = calloc(list->n + 1, sizeof(*active));
	if (!active)
		return -ENOMEM;
	results->repeats = conf->repeats;
	results->quick = conf->quick;
	results->machine.cpu_client = conf->cpu_client;
	results->machine.cpu_server = conf->cpu_server;
	int rc = bench_pin(conf->cpu_client);
	if (!rc)
		rc = select_rows(list, glob, active, &n, results);
	if (!rc)
		rc = run_all(active, n, conf, progress, results);
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < active[i].columns; c++) {
			struct bench_result *r = &results->row[active[i].first_result + c];
			if (r->repeats)
				bench_pool_figures(&active[i].pool[c], &r->all);
			bench_pool_free(&active[i].pool[c]);
		}
		bench_run_free(&active[i].run);
	}
	free(active);
	return rc;
}
