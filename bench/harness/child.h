/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other process of a row: started, pinned, told to stop, always reaped. Whatever ends
 * the benchmark, its children end with it: they are killed at exit, and by the kernel
 * (parent-death signal) when the benchmark itself is killed.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "harness/bench.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

/* Set by SIGINT and SIGTERM; interrupts a blocked call again and again until it is seen. */
extern volatile sig_atomic_t bench_stop;
/* Set when the time given by bench_guard() is over; interrupts in the same way. */
extern volatile sig_atomic_t bench_expired;

/* Install the handlers and the clean-up at exit. Once, at the start of main(). */
void bench_signals(void);
/* Interrupt blocked calls after so many seconds; 0 = no more. */
void bench_guard(unsigned seconds);

/* One page that both processes see. */
struct bench_shared {
	_Atomic int ready, stop, rc;
	_Atomic uint64_t ops;
	_Atomic uint64_t stamp[8]; /* the row's own: times, counts */
	struct bench_usage usage;  /* written by the child before it ends */
	char why[BENCH_WHY_MAX];
};

struct bench_child {
	pid_t pid;
	struct bench_shared *shared;
};

/* Does the child's work until shared->stop or bench_stop; sets ready when it can be
 * talked to. Its return value is seen as shared->rc. */
typedef int (*bench_child_main)(struct bench_shared *shared, void *arg);

/* Fork; waits at most 10 s until the child is ready. 0, or what the child failed with. */
int bench_child_start(struct bench_child *child, int cpu, bench_child_main work, void *arg);
/* Ask it to end, insist, reap. *usage (may be NULL): what its work has cost. Returns what
 * the child's work returned. Does nothing for a child that was not started. */
int bench_child_stop(struct bench_child *child, struct bench_usage *usage);

/* Run `run` in a process of its own, pinned to the client's CPU, and hand its samples on: for what
 * must not stay in the benchmark's own process, or pass into the children of later rows. */
int bench_isolated(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out,
	int (*run)(const struct bench_row *, const struct bench_conf *, struct bench_run *));

/* Run a program in its own process group, output discarded. 0 or -errno. */
int bench_program_start(pid_t *pid, const char *const argv[]);
/* The same pinned to a CPU (-1: not), its standard output into a descriptor (-1: discarded). */
int bench_program_start_on(pid_t *pid, const char *const argv[], int cpu, int output);
/* Ask by SIGTERM, after a second SIGKILL; reap. */
void bench_program_stop(pid_t *pid);

#endif
