/* SPDX-License-Identifier: Apache-2.0 */
/* A row in a process of its own; its samples come back through memory that both see. */
#include "harness/child.h"
#include "harness/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct crossing {
	struct bench_series series; /* without its pointers */
	double sample[BENCH_SAMPLES_MAX], service[BENCH_SAMPLES_MAX];
};

/* Nothing of it costs memory until it is used. */
struct arena {
	const struct bench_row *row;
	const struct bench_conf *conf;
	int (*run)(const struct bench_row *, const struct bench_conf *, struct bench_run *);
	_Atomic bool done;
	int rc;
	char why[BENCH_WHY_MAX];
	struct crossing crossing[BENCH_SERIES_MAX];
};

static int work(struct bench_shared *shared, void *arg)
{
	static struct bench_run run;
	struct arena *a = arg;
	atomic_store(&shared->ready, 1);
	a->rc = a->run(a->row, a->conf, &run);
	memcpy(a->why, run.why, sizeof(a->why));
	for (int i = 0; i < BENCH_SERIES_MAX; i++) {
		const struct bench_series *s = &run.series[i];
		a->crossing[i].series = *s;
		if (s->n) {
			memcpy(a->crossing[i].sample, s->sample, s->n * sizeof(double));
			memcpy(a->crossing[i].service, s->service, s->n * sizeof(double));
		}
	}
	atomic_store(&a->done, true);
	return 0;
}

static int take(const struct arena *a, struct bench_run *out)
{
	int rc = 0;
	memcpy(out->why, a->why, sizeof(out->why));
	for (int i = 0; !rc && i < BENCH_SERIES_MAX; i++) {
		const struct crossing *c = &a->crossing[i];
		struct bench_series *s = &out->series[i];
		rc = bench_series_reserve(s, c->series.n);
		if (rc)
			break;
		struct bench_series taken = c->series;
		taken.sample = s->sample;
		taken.service = s->service;
		taken.room = s->room;
		*s = taken;
		if (s->n) {
			memcpy(s->sample, c->sample, s->n * sizeof(double));
			memcpy(s->service, c->service, s->n * sizeof(double));
		}
	}
	return rc ? rc : a->rc;
}

int bench_isolated(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out,
	int (*run)(const struct bench_row *, const struct bench_conf *, struct bench_run *))
{
	struct bench_child child;
	struct arena *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a == MAP_FAILED)
		return -errno;
	a->row = row;
	a->conf = conf;
	a->run = run;
	int rc = bench_child_start(&child, conf->cpu_client, work, a);
	/* asleep: this process has the same CPU; the guard's alarm and a stop wake it */
	siginfo_t info;
	while (!rc && !bench_stop && !bench_expired &&
	       waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	bench_child_stop(&child, NULL);
	if (!rc)
		rc = atomic_load(&a->done) ? take(a, out) : bench_stop ? -EINTR : bench_expired ? -ETIME : -ECHILD;
	munmap(a, sizeof(*a));
	return rc;
}
