/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many [--cycles N]: many clients over rdma, in one machine: 64 at once, each of which reads right; the
 * first too many is told so; then attach, read, detach again and again (1,000 times, or N), after which neither
 * side has a descriptor or a queue pair more than before. What they have of memory after the first half they
 * have after the second.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dsm/engine.h>

#include "guest/own_engine.h"
#define PLAIN_SHARED
#include "stress/plain.h"

#define CLIENTS 64u
#define MAX_CLIENTS 88u                 /* a network gets three quarters: 66 */
#define WARM_UP 20u
#define GROWTH_KIB 64                   /* of engine or client, over half of the cycles: less than that */
#define SETTLED_MS 1500                 /* then no good-bye is on its way any more */
#define VALUE 12.25

atomic_uint plain_passed, plain_failed;

/* ---- engine ---- */

static int make_table(struct dsm_table **out)
{
	struct dsm_group_spec group = { "engine", "rig", "", 0, 0, false };
	struct dsm_cell_spec cell = { "rig", "rop", "m/h", "", DSM_F64, 0, 0, 0, 0, -1 };
	int rc = dsm_table_new("many", out);
	rc = rc ? rc : dsm_table_group(*out, &group);
	return rc ? rc : dsm_table_cell(*out, &cell);
}

static int commit_value(struct dsm_engine *here)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = VALUE };
	struct dsm_cell rop;
	struct dsm *dsm = NULL;
	opts.owner = "engine";
	int rc = dsm_engine_attach(here, &opts, &dsm);
	rc = rc ? rc : dsm_cell(dsm, "rig.rop", &rop);
	rc = rc ? rc : dsm_write(dsm, rop, &v);
	dsm_detach(&dsm);
	return rc;
}

static const struct own_engine_kind kind = { "many", 7468, MAX_CLIENTS, make_table, commit_value };
static struct own_engine engine;

/* ---- what a process holds ---- */

struct held { unsigned descriptors; long memory_kib, pairs; };

static unsigned count_descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static long memory_kib(pid_t pid)
{
	char path[64], line[128];
	long kib = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

/* Of the whole machine: "0: rxe0: pd 3 cq 4 qp 5 cm_id 6 mr 7 …", summed over the devices; -1 unknown. */
static long queue_pairs(void)
{
	char line[256];
	long sum = -1;
	FILE *f = popen("rdma resource show 2>/dev/null", "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *qp = strstr(line, " qp ");
		if (qp)
			sum = (sum < 0 ? 0 : sum) + strtol(qp + 4, NULL, 10);
	}
	if (f)
		pclose(f);
	return sum;
}

static struct held look_at(pid_t pid)
{
	return (struct held){ count_descriptors(pid), memory_kib(pid), queue_pairs() };
}

/* ---- clients ---- */

static int come(struct dsm **dsm)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.attach_timeout_ms = 60000;
	opts.call_timeout_ms = 60000;
	return dsm_attach(engine.far, &opts, dsm);
}

static bool reads_right(struct dsm *dsm)
{
	struct dsm_cell rop;
	struct dsm_sample s;
	return dsm_cell(dsm, "rig.rop", &rop) == 0 && dsm_read(dsm, rop, &s) == 0 && s.value.f64 == VALUE;
}

static void crowd(void)
{
	struct dsm *all[CLIENTS] = { NULL }, *more[MAX_CLIENTS] = { NULL };
	unsigned n = 0;
	int rc = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		check(come(&all[i]) == 0, "client %u of %u: %s", i + 1, CLIENTS, dsm_error());
	while (n < MAX_CLIENTS && (rc = come(&more[n])) == 0)
		n++;
	check(rc == -EUSERS && strstr(dsm_error(), "max_clients"), "after %u more: %d %s", n, rc, dsm_error());
	check(CLIENTS + n == MAX_CLIENTS - MAX_CLIENTS / 4, "%u had a place", CLIENTS + n);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < CLIENTS; i++)
			check(reads_right(all[i]), "client %u: %s", i + 1, dsm_error());
	while (n > 0)
		dsm_detach(&more[--n]);
	for (unsigned i = 0; i < CLIENTS; i++)
		dsm_detach(&all[i]);
}

static bool cycle_once(unsigned i)
{
	struct dsm *dsm = NULL;
	bool good = check(come(&dsm) == 0 && reads_right(dsm), "cycle %u: %s", i, dsm_error());
	dsm_detach(&dsm);
	return good;
}

static bool has_grown(const struct held *before, const struct held *now)
{
	return now->descriptors > before->descriptors || now->pairs > before->pairs ||
		now->memory_kib - before->memory_kib >= GROWTH_KIB;
}

/* A good-bye may be on its way still. */
static void same_as(const struct held *before, pid_t pid, const char *who)
{
	struct held now = look_at(pid);
	for (int i = 0; i < 300 && has_grown(before, &now); i++) {
		plain_sleep_ms(100);
		now = look_at(pid);
	}
	printf("%s: %u descriptors, %ld KiB, %ld queue pairs; after the first half %u, %ld, %ld\n", who,
		now.descriptors, now.memory_kib, now.pairs, before->descriptors, before->memory_kib, before->pairs);
	check(before->memory_kib > 0 && now.memory_kib > 0, "%s: memory is unknown", who);
	check(now.descriptors <= before->descriptors, "%s: descriptors grow", who);
	check(now.memory_kib - before->memory_kib < GROWTH_KIB, "%s: memory grows", who);
	check(now.pairs <= before->pairs, "%s: queue pairs grow", who);
}

static void run_all(unsigned cycles)
{
	crowd();
	bool good = true;
	for (unsigned i = 0; good && i < WARM_UP; i++)
		good = cycle_once(i);
	plain_sleep_ms(SETTLED_MS);
	struct held start = look_at(engine.pid), here = { 0 }, there = { 0 };
	check(start.pairs >= 0, "`rdma resource show` says nothing");
	uint64_t began = plain_ms();
	for (unsigned i = 0; good && i < cycles; i++) {
		good = cycle_once(WARM_UP + i);
		if (i + 1 == cycles / 2) {
			plain_sleep_ms(SETTLED_MS);
			here = look_at(getpid());
			there = look_at(engine.pid);
		}
	}
	printf("%u cycles, %.1f ms each\n", cycles, (double)(plain_ms() - began) / cycles);
	same_as(&here, getpid(), "client");
	same_as(&there, engine.pid, "engine");
	check(there.descriptors <= start.descriptors && there.pairs <= start.pairs,
		"the engine has grown in the first half: from %u descriptors and %ld queue pairs", start.descriptors,
		start.pairs);
}

int main(int argc, char **argv)
{
	unsigned cycles = argc == 3 && strcmp(argv[1], "--cycles") == 0 ? (unsigned)atoi(argv[2]) : 1000;
	plain_begin(900);
	if ((argc != 1 && argc != 3) || cycles < 2) {
		fprintf(stderr, "usage: many [--cycles N]\n");
		return 2;
	}
	int rc = own_engine_start(&kind, &engine);
	if (rc == 77)
		return rc;
	if (rc == 0)
		run_all(cycles);
	own_engine_end(&engine);
	return plain_end();
}
