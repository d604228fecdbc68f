/* SPDX-License-Identifier: Apache-2.0 */
/* A reader beside the attacks, with a connection and a thread of its own: its values are right, it is
 * not cut off, and how long its reads take is printed, calm and under attack. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define READS_MAX 100000u
#define PACE_US 2000

_Atomic uint64_t written;
static struct dsm *dsm;
static struct dsm_cell cell;
static pthread_t thread;
static _Atomic bool ends, attacked;
static uint32_t times_ns[2][READS_MAX];
static _Atomic uint32_t counted[2], wrong, failed_reads;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *watch(void *context)
{
	uint64_t last = 0;
	(void)context;
	while (!atomic_load(&ends)) {
		bool phase = atomic_load(&attacked);
		struct dsm_sample s = { 0 };
		uint64_t begin = now_ns();
		int rc = dsm_read(dsm, cell, &s);
		uint64_t took = now_ns() - begin;
		failed_reads += rc != 0;
		/* never older than what was read, never what was not written */
		wrong += rc == 0 && (s.value.u64 < last || s.value.u64 > atomic_load(&written));
		last = rc ? last : s.value.u64;
		uint32_t n = counted[phase];
		if (n < READS_MAX) {
			times_ns[phase][n] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
			counted[phase] = n + 1;
		}
		usleep(PACE_US);
	}
	return NULL;
}

bool watch_begin(const char *uri)
{
	struct dsm_options patient = DSM_OPTIONS_INIT;
	patient.attach_timeout_ms = patient.call_timeout_ms = 30000;
	int rc = dsm_attach(uri, &patient, &dsm);
	if (rc == 0)
		rc = dsm_cell(dsm, "gengine.v", &cell);
	if (rc == 0)
		rc = -pthread_create(&thread, NULL, watch, NULL);
	return check(rc == 0, "no reader beside the attacks: %d %s", rc, dsm_error());
}

void watch_attacks(void)
{
	atomic_store(&attacked, true);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void say(unsigned phase, const char *name)
{
	uint32_t n = counted[phase], *t = times_ns[phase];
	qsort(t, n, sizeof(*t), compare);
	if (check(n > 0, "nothing was read %s", name))
		printf("reads of another client, %s: %u, p50 %.0f us, p99 %.0f us, slowest %.1f ms\n", name, n,
			t[n / 2] / 1e3, t[n - 1 - n / 100] / 1e3, t[n - 1] / 1e6);
}

uint64_t watch_reads(void)
{
	return (uint64_t)counted[0] + counted[1];
}

void watch_check(const char *after)
{
	check(wrong == 0 && failed_reads == 0, "after %s: of another client's reads %u were wrong and %u failed", after,
		wrong, failed_reads);
}

void watch_end(void)
{
	struct dsm_status status = { 0 };
	atomic_store(&ends, true);
	pthread_join(thread, NULL);
	check(dsm_status(dsm, &status) == 0 && status.reattached == 0, "another client was cut off %llu times",
		(unsigned long long)status.reattached);
	dsm_detach(&dsm);
	watch_check("all");
	say(0, "calm");
	say(1, "under attack");
}
