/* SPDX-License-Identifier: Apache-2.0 */
/* dsm-bench: runs the rows and writes the results as JSON. */
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/results.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: dsm-bench [--rdma ADDR] [--rows GLOB] [--repeats N] [--quick] [--out FILE] [--tmp DIR]\n"
	"                 [--revision TEXT]\n"
	"       dsm-bench --list [--rdma ADDR] [--rows GLOB] | --help\n"
	"\n"
	"Runs benchmark rows in turn, again and again, and writes the figures as JSON.\n"
	"\n"
	"  --rdma ADDR      the rows over RDMA, and no others; ADDR is the IPv4 address of an RDMA device\n"
	"                   of this machine\n"
	"  --rows GLOB      only rows whose name matches (default: all)\n"
	"  --repeats N      how often each row runs, 1 to 50 (default 10; quick 3)\n"
	"  --quick          few samples: for a look, not for a table\n"
	"  --out FILE       where the results go (default results.json)\n"
	"  --tmp DIR        private directory for sockets and FIFOs (default: a new one in TMPDIR)\n"
	"  --revision TEXT  stands in the results as the revision that was measured\n"
	"  --list           print the rows and end\n"
	"\n"
	"Examples:\n"
	"  dsm-bench --quick --rows 'echo.*.poll.64B'\n"
	"  dsm-bench --repeats 20 --rows 'copy.*' --out copy.json\n"
	"\n"
	"Exit status: 0 all rows ran (or cannot be had here), 1 a row failed, 2 wrong usage, 130 stopped.\n";

struct options {
	struct bench_conf conf;
	const char *glob, *out, *revision;
	bool list;
	char own_tmp[256];
};

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "rows", 1, NULL, 'r' }, { "repeats", 1, NULL, 'n' }, { "quick", 0, NULL, 'q' },
		{ "out", 1, NULL, 'o' }, { "tmp", 1, NULL, 't' }, { "revision", 1, NULL, 'v' },
		{ "list", 0, NULL, 'l' }, { "rdma", 1, NULL, 'd' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		switch (c) {
		case 'r': o->glob = optarg; break;
		case 'n': o->conf.repeats = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'q': o->conf.quick = true; break;
		case 'o': o->out = optarg; break;
		case 't': o->conf.tmpdir = optarg; break;
		case 'v': o->revision = optarg; break;
		case 'd': o->conf.rdma = optarg; break;
		case 'l': o->list = true; break;
		case 'h': fputs(help, stdout); exit(0);
		default: return -EINVAL;
		}
	}
	if (!o->conf.repeats)
		o->conf.repeats = o->conf.quick ? 3 : 10;
	if (optind != argc || o->conf.repeats > BENCH_REPEATS_MAX)
		return -EINVAL;
	return 0;
}

#ifdef DSM_RDMA
static void rdma_rows(struct bench_list *list)
{
	bench_rows_rdma(list);
	bench_rows_rdma_batch(list);
	bench_rows_rdma_load(list);
	bench_rows_rdma_switches(list);
	bench_rows_rdma_wait(list);
	bench_rows_rdma_observer(list);
}
#else
static void rdma_rows(struct bench_list *list)
{
	(void)list;
	fputs("dsm-bench: this build has no rdma\n", stderr);
}
#endif

static void all_rows(struct bench_list *list)
{
	bench_rows_copy(list);
	bench_rows_floor(list);
	bench_rows_dsm(list);
	bench_rows_wires(list);
	bench_rows_echo(list);
	bench_rows_segment(list);
	bench_rows_redis(list);
	bench_rows_udp(list);
	bench_rows_fanout(list);
	bench_rows_adc(list);
	bench_rows_observer(list);
	bench_rows_handover(list);
	bench_rows_scale(list);
}

static int list_rows(const struct bench_list *list, const char *glob)
{
	for (size_t i = 0; i < list->n; i++) {
		if (bench_name_matches(list->row[i].name, glob))
			printf("%-36s %s\n", list->row[i].name, list->row[i].work);
	}
	return 0;
}

static int own_tmp(struct options *o)
{
	const char *tmp = getenv("TMPDIR");
	if (o->conf.tmpdir)
		return 0;
	snprintf(o->own_tmp, sizeof(o->own_tmp), "%.200s/dsm-bench.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(o->own_tmp)) {
		o->own_tmp[0] = '\0';
		return -errno;
	}
	o->conf.tmpdir = o->own_tmp;
	return 0;
}

static int failures(const struct bench_results *results)
{
	int failed = 0;
	for (size_t i = 0; i < results->rows; i++) {
		const struct bench_result *r = &results->row[i];
		if (strcmp(r->status, "failed"))
			continue;
		failed++;
		fprintf(stderr, "dsm-bench: %s failed: %s\n", r->name, r->why);
	}
	return failed;
}

static int run(const struct bench_list *list, const struct options *o)
{
	struct bench_results results = { 0 };
	bench_describe(&results);
	snprintf(results.revision, sizeof(results.revision), "%s", o->revision);
	int rc = bench_harness(list, o->glob, &o->conf, stderr, &results);
	if (rc && rc != -EINTR)
		fprintf(stderr, "dsm-bench: %s\n", strerror(-rc));
	if (!rc && !results.rows) {
		fprintf(stderr, "dsm-bench: no row matches '%s'; --list shows them\n", o->glob);
		rc = -ENOENT;
	}
	if (!rc && getloadavg(&results.machine.load_end, 1) != 1)
		results.machine.load_end = -1;
	if (!rc)
		rc = bench_aims(&results, o->conf.rdma) ? -ENOMEM : bench_fits(&results);
	if (!rc && (rc = bench_results_write(&results, o->out)))
		fprintf(stderr, "dsm-bench: cannot write %s: %s\n", o->out, strerror(-rc));
	int failed = failures(&results);
	bench_results_free(&results);
	return rc == -EINTR ? 130 : rc || failed;
}

int main(int argc, char **argv)
{
	struct options o = { .out = "results.json", .revision = "unknown" };
	struct bench_list list = { 0 };
	if (parse(argc, argv, &o)) {
		fputs("dsm-bench: wrong usage; see dsm-bench --help\n", stderr);
		return 2;
	}
	if (o.conf.rdma)
		rdma_rows(&list);
	else
		all_rows(&list);
	int status = 1;
	if (!list.n)
		return status;
	if (o.list) {
		status = list_rows(&list, o.glob);
	} else {
		bench_signals();
		bench_choose_cpus(&o.conf.cpu_client, &o.conf.cpu_server);
		int rc = own_tmp(&o);
		if (rc)
			fprintf(stderr, "dsm-bench: no temporary directory: %s\n", strerror(-rc));
		else
			status = run(&list, &o);
		if (o.own_tmp[0])
			rmdir(o.own_tmp);
	}
	bench_list_free(&list);
	return status;
}
