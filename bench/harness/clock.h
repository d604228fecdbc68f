/* SPDX-License-Identifier: Apache-2.0 */
/* Time, processor time and pinning. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include "harness/bench.h"

#include <sys/types.h>

/* CLOCK_MONOTONIC, the same for all processes. */
uint64_t bench_now_ns(void);
void bench_sleep_ns(uint64_t ns);
/* Run on one CPU from now on; -1: again on all that were allowed at the start. 0 or -errno. */
int bench_pin(int cpu);
/* First and last CPU this process may use (the same one when there is only one). */
void bench_choose_cpus(int *client, int *server);
/* What this process has spent so far, all threads. ops is left 0. */
struct bench_usage bench_usage_self(void);
/* The same of another process, from /proc; zero when it is gone. */
struct bench_usage bench_usage_of(pid_t pid);
struct bench_usage bench_usage_since(struct bench_usage now, struct bench_usage before, uint64_t ops);

/* Let the other hyperthread or the memory system breathe in a spin loop. */
static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
