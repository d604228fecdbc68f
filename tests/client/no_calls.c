/* SPDX-License-Identifier: Apache-2.0 */
/* A read, and a commit, make no system call, take no memory and look at no clock: done in a process
 * that seccomp kills at its first system call but write and exit, with malloc() and the clock counted.
 * The controls are killed, and counted. Plain program: it forks. */
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/fixture.h"
#include "stress/plain.h"

#define READS 1000000u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC 0
#else
#define COUNTS_MALLOC 1
static atomic_ullong allocations;
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
void *malloc(size_t n)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __libc_calloc(n, size);
}
void *realloc(void *at, size_t n)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __libc_realloc(at, n);
}
#endif

static uint64_t taken(void)
{
#if COUNTS_MALLOC
	return atomic_load(&allocations);
#else
	return 0;
#endif
}

static atomic_ullong looks;

static uint64_t look(void *context)
{
	(void)context;
	return atomic_fetch_add(&looks, 1) + 1000000000;
}

struct handle {
	struct dsm *dsm;
	struct dsm_cell rop, mode, wave, on, x;
	struct dsm_group group;
	struct dsm_frame *frame;
};

static bool attach(const char *uri, struct handle *h)
{
	static const struct dsm_clock clock = { look, look, NULL };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = "sensors";
	opts.flags = DSM_MANUAL; /* nobody else's thread counts here */
	opts.clock = &clock;
	return !dsm_attach(uri, &opts, &h->dsm) && !dsm_cell(h->dsm, "drilling.rop", &h->rop) &&
		!dsm_cell(h->dsm, "drilling.mode", &h->mode) && !dsm_cell(h->dsm, "drilling.wave", &h->wave) &&
		!dsm_cell(h->dsm, "drilling.on", &h->on) && !dsm_cell(h->dsm, "sensors.a.x", &h->x) &&
		!dsm_group(h->dsm, "drilling", &h->group) && !dsm_frame_new(h->dsm, h->group, &h->frame);
}

/* One of each. */
static bool round_of(struct handle *h, uint32_t i)
{
	struct dsm_sample s;
	double v;
	return !dsm_read(h->dsm, h->rop, &s) && s.value.f64 == 41 && !dsm_read_f64(h->dsm, h->rop, &v) &&
		!dsm_read(h->dsm, h->mode, &s) && !dsm_read(h->dsm, h->wave, &s) && !dsm_read(h->dsm, h->on, &s) &&
		!dsm_snapshot(h->dsm, h->group, h->frame) && !dsm_frame_read(h->frame, h->rop, &s) &&
		!dsm_begin(h->dsm, 1000 + i) && !dsm_set_f64(h->dsm, h->x, i) && !dsm_commit(h->dsm, NULL);
}

enum { ALL, CONTROL_CALL, CONTROL_CLOCK };

/* Exit status: 0, or what was wrong. */
static int run(const char *uri, int what)
{
	struct handle h;
	int result = 0;
	if (!attach(uri, &h) || !round_of(&h, 0))
		return 2;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		return 3;
	uint64_t memory = taken(), clock = atomic_load(&looks);
	for (uint32_t i = 1; i <= READS / 10 && result == 0; i++)
		result = round_of(&h, i) ? 0 : 4;
	if (what == CONTROL_CALL)
		syscall(SYS_getppid);
	if (what == CONTROL_CLOCK)
		result = dsm_begin(h.dsm, 0); /* this one asks for the time */
	if (result == 0 && taken() != memory)
		result = 5;
	if (result == 0 && atomic_load(&looks) != clock)
		result = 6;
	return result;
}

static int ended(const char *uri, int what)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		syscall(SYS_exit, run(uri, what)); /* the only exit that strict mode knows */
	waitpid(child, &status, 0);
	return status;
}

int main(void)
{
	struct dsm_engine *engine = NULL;
	char name[64], uri[128];
	const struct fixture_value values[] = {
		{ "drilling.rop", { .type = DSM_F64, .len = 1, .f64 = 41 } },
		{ "drilling.mode", { .type = DSM_STRING, .len = 4, .str = "slow" } },
	};
	plain_begin(120);
	if (!check(fixture_engine(NULL, name, &engine) == 0 && fixture_commit(engine, 0, values, 2) == 0, "engine: %s",
			dsm_error()))
		return plain_end();
	fixture_uri("shm", name, uri);
	int status = ended(uri, ALL);
	check(status == 0, "reads and commits: killed by signal %d, or status %d (5 memory, 6 clock)", status & 127,
		status >> 8);
	status = ended(uri, CONTROL_CALL);
	check((status & 127) == SIGKILL, "the control's system call was let pass: %x", status);
	status = ended(uri, CONTROL_CLOCK);
	check(status == 6 << 8, "the control's look at the clock was not seen: %x", status);
	check(!COUNTS_MALLOC || taken() > 0, "no malloc() is counted");
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
	return plain_end();
}
