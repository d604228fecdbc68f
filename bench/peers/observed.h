/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulator that steps at fixed times and publishes a part of its table at each step, and observers
 * that look at the whole table now and then. What publishes and what looks is a small table of
 * operations; steps and looks on their grids are observed.c's, processes and figures rows/observer.c's.
 */
#ifndef BENCH_OBSERVED_H
#define BENCH_OBSERVED_H

#include "harness/bench.h"
#include "harness/child.h"

#define OBSERVED_GROUPS 10u         /* step k publishes group k % 10: the whole table every ten steps */
#define OBSERVED_CELLS 100u         /* of each, f64; cell i is the step's number + i */
#define OBSERVERS_MAX 32u
#define OBSERVED_STEPS_MAX 4000u    /* that are recorded in one repeat */

/* How an observer reaches the table. */
enum observed_way { OBSERVED_SHM, OBSERVED_UDP, OBSERVED_RDMA, OBSERVED_REDIS, OBSERVED_WAYS };

/* What the stepping process writes and the row's process reads, in memory of both. */
struct observed_log {
	uint64_t step_ns;               /* of the grid */
	_Atomic bool recording;         /* set by the row: the grid begins anew */
	_Atomic uint32_t steps;         /* recorded so far */
	double late_ns[OBSERVED_STEPS_MAX]; /* end of the step after its time on the grid */
	double work_ns[OBSERVED_STEPS_MAX]; /* from its actual start */
};

struct observed {
	const struct observed_ops *ops;
	enum observed_way way;
	const struct bench_conf *conf;
	struct observed_log *log;
	void *own;
	pid_t simulator, server;        /* server 0: the simulator is it */
	char uri[80];                   /* dsm: for a program that attaches */
};

struct observed_ops {
	const char *name;
	/* Starts simulator and server on the server's CPU; the simulator steps. To be closed in any case.
	 * -ENOTSUP cannot be had here. */
	int (*open)(struct observed *o, struct bench_run *out);
	/* In an observer's process: a connection. 0 or -errno, text in `why`. */
	int (*join)(struct observed *o, void **own, char why[BENCH_WHY_MAX]);
	/* One look at all cells, checked. */
	int (*look)(void *own, char why[BENCH_WHY_MAX]);
	void (*leave)(void *own);       /* also after a failed join */
	/* 0, or what the simulator failed with, text in `out`. */
	int (*close)(struct observed *o, struct bench_run *out);
};

extern const struct observed_ops observed_dsm, observed_redis;

/* ---- observed.c ---- */
#define OBSERVED_LOOK_NS 50000000u  /* 20 Hz */
/* In the stepping process: after the first values it is ready, then steps on the grid until the end and
 * logs what is to be recorded. A step that could not begin in time begins at once; none is left out. */
int observed_step(struct observed_log *log, struct bench_shared *shared,
	int (*step)(void *own, uint64_t number), void *own);
/* An observer's process: ready after the first look; then one look every period, beginning `phase_ns`
 * after now; periods that went by during a look are left out. Looks are counted in shared->ops. */
int observed_look(struct observed *o, uint64_t phase_ns, struct bench_shared *shared);
/* Are these the values of one step? */
bool observed_whole(const double value[OBSERVED_CELLS]);

#endif
