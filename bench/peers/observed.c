/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and looks at fixed times. */
#include "peers/observed.h"

#include "harness/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static void sleep_until(uint64_t due)
{
	struct timespec t = { (time_t)(due / 1000000000u), (long)(due % 1000000000u) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static bool over(const struct bench_shared *shared)
{
	return bench_stop || atomic_load_explicit(&shared->stop, memory_order_relaxed);
}

static void record(struct observed_log *log, uint64_t due, uint64_t begin, uint64_t end)
{
	uint32_t n = atomic_load_explicit(&log->steps, memory_order_relaxed);
	if (n == OBSERVED_STEPS_MAX)
		return;
	log->late_ns[n] = (double)(end - due);
	log->work_ns[n] = (double)(end - begin);
	atomic_store_explicit(&log->steps, n + 1, memory_order_release);
}

int observed_step(struct observed_log *log, struct bench_shared *shared,
	int (*step)(void *own, uint64_t number), void *own)
{
	uint64_t number = 0, due;
	bool recording = false;
	int rc = 0;
	while (!rc && number < OBSERVED_GROUPS)
		rc = step(own, number++);
	atomic_store(&shared->ready, rc == 0);
	due = bench_now_ns();
	while (!rc && !over(shared)) {
		bool wanted = atomic_load_explicit(&log->recording, memory_order_relaxed);
		due = (wanted && !recording ? bench_now_ns() : due) + log->step_ns;
		recording = wanted;
		sleep_until(due);
		uint64_t begin = bench_now_ns();
		if (over(shared))
			break;
		rc = step(own, number++);
		if (recording && !rc)
			record(log, due, begin, bench_now_ns());
	}
	return over(shared) ? 0 : rc;
}

int observed_look(struct observed *o, uint64_t phase_ns, struct bench_shared *shared)
{
	void *own = NULL;
	int rc = o->ops->join(o, &own, shared->why);
	if (!rc)
		rc = o->ops->look(own, shared->why);
	atomic_store(&shared->ready, rc == 0);
	uint64_t due = bench_now_ns() + phase_ns;
	while (!rc && !over(shared)) {
		sleep_until(due);
		if (over(shared))
			break;
		rc = o->ops->look(own, shared->why);
		if (!rc)
			atomic_fetch_add_explicit(&shared->ops, 1, memory_order_relaxed);
		uint64_t now = bench_now_ns();
		due += OBSERVED_LOOK_NS;
		if (now > due)
			due += (now - due) / OBSERVED_LOOK_NS * OBSERVED_LOOK_NS + OBSERVED_LOOK_NS;
	}
	o->ops->leave(own);
	return over(shared) ? 0 : rc;
}

/* Whole numbers, so that no rounding is involved. */
bool observed_whole(const double value[OBSERVED_CELLS])
{
	for (unsigned i = 1; i < OBSERVED_CELLS; i++) {
		if (value[i] - value[0] < i || value[i] - value[0] > i)
			return false;
	}
	return true;
}
