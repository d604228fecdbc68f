/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: what being looked at does to a simulator. It steps at 1 kHz (100 Hz where RDMA is measured, for
 * an emulated machine can do no more) on the server's CPU and publishes; so many observers on the
 * client's CPU look at the whole table at 20 Hz each. Measured is how late a step ends, and how often
 * the simulator's process is put to sleep or pushed aside.
 */
#include "harness/child.h"
#include "harness/clock.h"
#include "peers/observed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_NS 1000000u
#define STEP_RDMA_NS 10000000u
#define SETTLE_NS 300000000u    /* what attaching has caused is over, */
#define PROGRAM_NS 1000000000u  /* programs have begun */
#define HASTE 4u                /* so many times less of it in a quick run */

struct observer_spec {
	enum observed_way way;
	unsigned observers;
	bool program;               /* the peeker itself */
	const char *work;
};
#define DSM_WORK "engine: 100 of 1,000 cells committed; observers: the calls of one look of the peeker"
#define PEEKER_WORK "engine: 100 of 1,000 cells committed; observers: peeker --batch -i 0.05, output discarded"
#define REDIS_WORK "simulator: HSET of 100 of 1,000 fields; observers: HGETALL of ten hashes in a pipeline"
#define COUNTS(way, text) { way, 0, false, text }, { way, 1, false, text }, { way, 8, false, text }, { way, 32, false, text }
static const struct observer_spec specs[] = {
	COUNTS(OBSERVED_SHM, DSM_WORK), { OBSERVED_SHM, 1, true, PEEKER_WORK }, { OBSERVED_SHM, 8, true, PEEKER_WORK },
	COUNTS(OBSERVED_UDP, DSM_WORK), { OBSERVED_UDP, 1, true, PEEKER_WORK }, { OBSERVED_UDP, 8, true, PEEKER_WORK },
	COUNTS(OBSERVED_REDIS, REDIS_WORK),
};
static const struct observer_spec rdma_specs[] = {
	COUNTS(OBSERVED_RDMA, DSM_WORK), { OBSERVED_RDMA, 8, true, PEEKER_WORK },
	COUNTS(OBSERVED_REDIS, REDIS_WORK),
};
static const char *const ways[OBSERVED_WAYS] = { "shm", "udp", "rdma", "redis" };

enum { STEP, VOLUNTARY, INVOLUNTARY, CPU, LOOKS, SERVER_VOLUNTARY, SERVER_INVOLUNTARY, COLUMNS };
_Static_assert(COLUMNS <= BENCH_SERIES_MAX, "more columns than a row can have");

struct crowd {
	struct observed o;
	unsigned n;
	struct observer { struct observed *o; uint64_t phase_ns; struct bench_child child; pid_t program; } one[OBSERVERS_MAX];
};

/* ---- observers ---- */

static int observe(struct bench_shared *shared, void *arg)
{
	const struct observer *one = arg;
	return observed_look(one->o, one->phase_ns, shared);
}

/* Built beside this program: build/X/bench/dsm-bench, build/X/peeker/peeker. */
static int find_peeker(char *path, size_t size)
{
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	for (int up = 0; n > 0 && up < 2; up++) {
		while (n > 0 && self[n - 1] != '/')
			n--;
		n -= n > 0;
	}
	if (n <= 0)
		return -ENOENT;
	snprintf(path, size, "%.*s/peeker/peeker", (int)n, self);
	return access(path, X_OK) ? -ENOENT : 0;
}

static int start_program(const struct crowd *c, struct observer *one, const char *peeker)
{
	const char *argv[] = { peeker, "--batch", "-i", "0.05", c->o.uri, NULL };
	return bench_program_start_on(&one->program, argv, c->o.conf->cpu_client, -1);
}

/* One after the other, spread over a period. */
static int gather(struct crowd *c, const struct observer_spec *spec, struct bench_run *out)
{
	char peeker[440];
	if (spec->program && find_peeker(peeker, sizeof(peeker)))
		return bench_why(out, -ENOTSUP, "the peeker is not in this build");
	int rc = 0;
	for (; !rc && c->n < spec->observers; c->n++) {
		struct observer *one = &c->one[c->n];
		one->o = &c->o;
		one->phase_ns = (uint64_t)OBSERVED_LOOK_NS * c->n / spec->observers;
		if (spec->program)
			rc = start_program(c, one, peeker);
		else
			rc = bench_child_start(&one->child, c->o.conf->cpu_client, observe, one);
		if (rc)
			bench_why(out, rc, "observer %u: %.160s", c->n, one->child.shared && one->child.shared->why[0] ?
				one->child.shared->why : strerror(-rc));
	}
	return rc;
}

static int disperse(struct crowd *c, struct bench_run *out)
{
	int result = 0;
	for (unsigned i = 0; i < c->n; i++)
		if (c->one[i].child.shared)
			atomic_store(&c->one[i].child.shared->stop, 1);
	for (unsigned i = 0; i < c->n; i++) {
		struct observer *one = &c->one[i];
		char why[BENCH_WHY_MAX] = "";
		if (one->child.shared)
			memcpy(why, one->child.shared->why, sizeof(why));
		int rc = bench_child_stop(&one->child, NULL);
		if (rc && !result && !out->why[0])
			bench_why(out, rc, "observer %u: %.160s", i, why[0] ? why : strerror(-rc));
		result = result ? result : rc;
		bench_program_stop(&one->program);
	}
	return result;
}

static uint64_t looks(const struct crowd *c)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < c->n; i++)
		sum += c->one[i].child.shared ? atomic_load(&c->one[i].child.shared->ops) : 0;
	return sum;
}

/* Programs say nothing; that one has ended shows all the same. */
static bool all_there(const struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		siginfo_t info = { 0 };
		pid_t pid = c->one[i].program ? c->one[i].program : c->one[i].child.pid;
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			return false;
	}
	return true;
}

/* ---- measuring ---- */

static int wait_for_steps(const struct observed *o, uint32_t steps)
{
	uint64_t until = bench_now_ns() + 50 * steps * o->log->step_ns;
	while (atomic_load(&o->log->steps) < steps) {
		if (bench_stop || bench_expired)
			return -EINTR;
		siginfo_t info = { 0 };
		if (waitid(P_PID, (id_t)o->simulator, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			return -ECHILD;
		if (bench_now_ns() > until)
			return -ETIME;
		bench_sleep_ns(20000000);
	}
	return 0;
}

static int watch(struct crowd *c, bool program, uint32_t steps, struct bench_run *out)
{
	struct observed *o = &c->o;
	uint64_t before = looks(c), began = bench_now_ns();
	struct bench_usage simulator = bench_usage_of(o->simulator), server = { 0 };
	if (o->server)
		server = bench_usage_of(o->server);
	atomic_store(&o->log->recording, true);
	int rc = wait_for_steps(o, steps);
	if (rc)
		return bench_why(out, rc, rc == -ETIME ? "%u steps took more than 50 times as long as they should" :
			"stopped before %u steps", steps);
	simulator = bench_usage_since(bench_usage_of(o->simulator), simulator, 0);
	if (o->server)
		server = bench_usage_since(bench_usage_of(o->server), server, 0);
	double seconds = (double)(bench_now_ns() - began) / 1e9;
	if (!all_there(c))
		return bench_why(out, -ECHILD, "an observer has ended early");
	bench_series_add(&out->series[VOLUNTARY], (double)simulator.voluntary_switches / seconds);
	bench_series_add(&out->series[INVOLUNTARY], (double)simulator.involuntary_switches / seconds);
	bench_series_add(&out->series[CPU], (double)(simulator.cpu_ns + server.cpu_ns) / 1e7 / seconds);
	if (!program)
		bench_series_add(&out->series[LOOKS], (double)(looks(c) - before) / seconds);
	if (o->server) {
		bench_series_add(&out->series[SERVER_VOLUNTARY], (double)server.voluntary_switches / seconds);
		bench_series_add(&out->series[SERVER_INVOLUNTARY], (double)server.involuntary_switches / seconds);
	}
	return 0;
}

static void keep_steps(const struct observed_log *log, uint32_t steps, struct bench_series *to)
{
	for (uint32_t i = 0; i < steps; i++) {
		bench_series_add(to, log->late_ns[i]);
		to->service[to->n - 1] = log->work_ns[i];
		to->sent++;
		to->late_starts += log->late_ns[i] - log->work_ns[i] > 2000;
	}
}

static int measure_with(struct observed_log *log, const struct bench_row *row, const struct bench_conf *conf,
	struct bench_run *out)
{
	static struct crowd c;
	const struct observer_spec *spec = row->arg;
	uint32_t steps = conf->quick ? 150 : conf->rdma ? 300 : 2000;
	log->step_ns = row->interval_ns;
	c.o = (struct observed){ .ops = spec->way == OBSERVED_REDIS ? &observed_redis : &observed_dsm,
		.way = spec->way, .conf = conf, .log = log };
	int rc = bench_series_reserve(&out->series[STEP], steps);
	for (int i = VOLUNTARY; !rc && i < COLUMNS; i++)
		rc = bench_series_reserve(&out->series[i], 1);
	if (!rc)
		rc = c.o.ops->open(&c.o, out);
	if (!rc)
		rc = gather(&c, spec, out);
	if (!rc) {
		bench_sleep_ns((spec->program ? PROGRAM_NS : SETTLE_NS) / (conf->quick ? HASTE : 1));
		rc = watch(&c, spec->program, steps, out);
	}
	if (!rc)
		keep_steps(log, steps, &out->series[STEP]);
	int observers = disperse(&c, out), simulator = c.o.ops->close(&c.o, out);
	return rc ? rc : observers ? observers : simulator;
}

static int measure(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct observed_log *log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (log == MAP_FAILED)
		return -errno;
	memset(log, 0, sizeof(*log)); /* no page fault between steps */
	int rc = measure_with(log, row, conf, out);
	munmap(log, sizeof(*log));
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure);
}

static void add(struct bench_list *list, const struct observer_spec *spec, uint64_t step_ns, unsigned max_repeats)
{
	bool redis = spec->way == OBSERVED_REDIS;
	struct bench_row row = { .family = "observer", .work = spec->work, .peer = redis ? "redis" : "dsm",
		.mode = spec->program ? "peeker" : ways[spec->way], .kind = BENCH_PACED, .interval_ns = step_ns, .max_repeats = max_repeats,
		.column = { "step", "voluntary", "involuntary", "cpu", spec->program ? NULL : "looks" },
		.column_unit = { NULL, "a s", "a s", "%", "/s", "a s", "a s" },
		.size_bytes = OBSERVED_CELLS * sizeof(double), .arg = spec, .run = run };
	if (redis) {
		row.column[SERVER_VOLUNTARY] = "server-voluntary";
		row.column[SERVER_INVOLUNTARY] = "server-involuntary";
	}
	snprintf(row.name, sizeof(row.name), "observer.%s.%u%s", ways[spec->way], spec->observers,
		spec->program ? ".peeker" : "");
	snprintf(row.base, sizeof(row.base), "observer.redis.%u", spec->observers);
	bench_list_add(list, &row);
}

void bench_rows_observer(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		add(list, &specs[i], STEP_NS, 0);
}

void bench_rows_rdma_observer(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(rdma_specs) / sizeof(rdma_specs[0]); i++)
		add(list, &rdma_specs[i], STEP_RDMA_NS, 5);
}
