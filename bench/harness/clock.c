/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/clock.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

uint64_t bench_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
	nanosleep(&t, NULL);
}

int bench_pin(int cpu)
{
	static cpu_set_t all; /* as this process was started */
	static bool known;
	if (!known && sched_getaffinity(0, sizeof(all), &all))
		return -errno;
	known = true;
	cpu_set_t set = all;
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET((size_t)cpu, &set);
	}
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

void bench_choose_cpus(int *client, int *server)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	*client = *server = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((size_t)cpu, &set))
			continue;
		if (*client < 0)
			*client = cpu;
		*server = cpu;
	}
}

struct bench_usage bench_usage_self(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	uint64_t us = (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000u +
		(uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
	return (struct bench_usage){ .cpu_ns = us * 1000u, .voluntary_switches = (uint64_t)r.ru_nvcsw,
		.involuntary_switches = (uint64_t)r.ru_nivcsw };
}

/* Add what one thread of another process has spent. */
static void add_task(struct bench_usage *sum, pid_t pid, const char *task)
{
	char path[96], line[256];
	unsigned long long run_ns, switches;
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, task);
	FILE *f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%llu", &run_ns) == 1)
			sum->cpu_ns += run_ns;
		fclose(f);
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, task);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1)
			sum->voluntary_switches += switches;
		else if (sscanf(line, "nonvoluntary_ctxt_switches: %llu", &switches) == 1)
			sum->involuntary_switches += switches;
	}
	fclose(f);
}

struct bench_usage bench_usage_of(pid_t pid)
{
	struct bench_usage sum = { 0 };
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return sum;
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] != '.')
			add_task(&sum, pid, e->d_name);
	}
	closedir(dir);
	return sum;
}

struct bench_usage bench_usage_since(struct bench_usage now, struct bench_usage before, uint64_t ops)
{
	return (struct bench_usage){
		.cpu_ns = now.cpu_ns > before.cpu_ns ? now.cpu_ns - before.cpu_ns : 0,
		.voluntary_switches = now.voluntary_switches - before.voluntary_switches,
		.involuntary_switches = now.involuntary_switches - before.involuntary_switches,
		.ops = ops,
	};
}
