/* SPDX-License-Identifier: Apache-2.0 */
/* The engine asks for no memory for what comes by datagrams, whatever it is: engine in this process,
 * which counts, and its clients in another. */
#include <dsm/subscribe.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/port.h"
#include "common/allocations.h"
#include "common/fixture.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define TIMES 50
#define WARM 2u                     /* rounds */
#define ROUNDS 4u

static char uri[64];

/* ---- clients, in their process ---- */

/* The first thing that goes wrong ends it. */
static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "the clients' process: %s: %d (%s)\n", what, rc, dsm_error());
		_exit(1);
	}
}
#define must(call) must((call), #call)

struct clients { struct dsm *sensors, *operator, *asker; struct dsm_subscription *sub; };
static atomic_bool stop;

static struct dsm *attach(const char *owner, uint32_t flags)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	opts.owner = owner;
	opts.flags = flags;
	opts.attach_timeout_ms = opts.call_timeout_ms = 20000;
	must(dsm_attach(uri, &opts, &dsm));
	return dsm;
}

/* Requests that others make to "operator". */
static void *answer(void *context)
{
	struct dsm *dsm = context;
	struct dsm_request_info info;
	while (!atomic_load(&stop)) {
		int rc = dsm_next_request(dsm, &info);
		if (rc == 0)
			must(dsm_request_apply(dsm, &info));
		else
			usleep(200);
	}
	return NULL;
}

static struct dsm_cell cell_of(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell;
	must(dsm_cell(dsm, name, &cell));
	return cell;
}

static void set_f64(struct dsm *dsm, const char *name, double x)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = x };
	must(dsm_write(dsm, cell_of(dsm, name), &v));
}

static void take_updates(struct dsm_subscription *sub)
{
	const struct dsm_frame *frame;
	struct dsm_update update;
	int rc = 0;
	while (rc == 0)
		rc = dsm_next_update(sub, 20, &frame, &update);
	must(rc == -ETIMEDOUT ? 0 : rc);
}

/* Each thing that a datagram can ask of the engine. */
static void once(struct clients *c, int i)
{
	static const double wave[4] = { 1, 2, 3, 4 };
	static char name[32], big[1 << 20];
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, before;
	struct dsm_value array = { .type = DSM_F64_ARRAY, .len = 4, .f64s = wave };
	struct dsm_value text = { .type = DSM_STRING, .len = 5, .str = "slide" };
	struct dsm_value bytes = { .type = DSM_BYTES, .len = sizeof(big), .bytes = big };
	struct dsm_sample s;
	struct dsm_group groups[2];
	struct dsm_frame *frames[2] = { NULL, NULL };
	uint64_t step;
	set_f64(c->sensors, i % 2 ? "sensors.a.x" : "sensors.b.x", i);
	must(dsm_read(c->asker, cell_of(c->asker, "sensors.a.x"), &s));
	must(dsm_group(c->asker, "sensors.a", &groups[0]));
	must(dsm_group(c->asker, "sensors.b", &groups[1]));
	for (int k = 0; k < 2; k++)
		must(dsm_frame_new(c->asker, groups[k], &frames[k]));
	if (i > 1)
		must(dsm_snapshot_step(c->asker, groups, 2, frames, &step));
	for (int k = 0; k < 2; k++)
		dsm_frame_free(&frames[k]);
	must(dsm_add(c->asker, cell_of(c->asker, "drilling.count"), &one, NULL, 20000, &before));
	must(dsm_request(c->asker, cell_of(c->asker, "drilling.wave"), &array, 20000));
	must(dsm_request(c->asker, cell_of(c->asker, "drilling.mode"), &text, 20000));
	snprintf(name, sizeof(name), "note %d", i);
	text = (struct dsm_value){ .type = DSM_STRING, .len = (uint32_t)strlen(name), .str = name };
	must(dsm_request(c->asker, cell_of(c->asker, "setpoints.note"), &text, 20000));
	if (i == TIMES / 2)
		must(dsm_write(c->sensors, cell_of(c->sensors, "big.data"), &bytes));
}

/* A byte comes: a round, and a byte back. */
static void clients_run(int in, int out)
{
	struct clients c = { attach("sensors", 0), attach("operator", DSM_TAKES_REQUESTS), attach(NULL, 0), NULL };
	struct dsm_interest interests[2] = { { .kind = DSM_DEADBAND_NONE },
		{ .kind = DSM_DEADBAND_ABSOLUTE, .deadband = 3 } };
	pthread_t thread;
	char byte;
	must(dsm_group(c.asker, "sensors.a", &interests[0].group));
	must(dsm_group(c.asker, "sensors.b", &interests[1].group));
	must(dsm_subscribe(c.asker, interests, 2, NULL, &c.sub));
	must(pthread_create(&thread, NULL, answer, c.operator));
	while (read(in, &byte, 1) == 1) {
		for (int i = 0; i < TIMES; i++)
			once(&c, i);
		take_updates(c.sub);
		must(write(out, "x", 1) == 1 ? 0 : -EIO);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	dsm_unsubscribe(&c.sub);
	dsm_detach(&c.asker);
	dsm_detach(&c.operator);
	dsm_detach(&c.sensors);
}

/* ---- the engine, in this one ---- */

static void a_round(int to, int from)
{
	char byte;
	cr_assert_eq(write(to, "x", 1), 1);
	cr_assert_eq(read(from, &byte, 1), 1, "the clients' process has ended");
}

static int expect_many(const char *name, const char *what, uint64_t value, void *context)
{
	(void)what;
	if (strcmp(name, context) == 0)
		cr_assert_gt(value, 100, "%s: %llu: that was not tried", name, (unsigned long long)value);
	return 0;
}

Test(udp_allocations, nothing_is_allocated_for_a_datagram, .timeout = 110)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine;
	struct dsm *inside;
	char name[64], address[32];
	int to[2], from[2], status;
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", test_port());
	snprintf(uri, sizeof(uri), "udp://%s", address);
	cr_assert(pipe(to) == 0 && pipe(from) == 0);
	pid_t child = fork(); /* before there are threads */
	if (child == 0) {
		char byte;
		close(to[1]);
		if (read(to[0], &byte, 1) == 1)
			clients_run(to[0], from[1]);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	opts.udp = address;
	opts.lease_ms = 5000;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	cr_assert_eq(write(to[1], "x", 1), 1);
	for (unsigned i = 0; i < WARM; i++)
		a_round(to[1], from[0]);
	uint64_t before = allocations();
	for (unsigned i = 0; i < ROUNDS; i++)
		a_round(to[1], from[0]);
	uint64_t during = allocations() - before;
	close(to[1]);
	waitpid(child, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ok(dsm_engine_attach(engine, NULL, &inside));
	static const char *const tried[] = { "udp_commits", "udp_updates", "requests_applied", "requests_forwarded" };
	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
		ok(dsm_foreach_counter(inside, expect_many, (void *)(uintptr_t)tried[i]));
	dsm_detach(&inside);
	cr_assert_eq(during, 0, "%llu in %u rounds of %d", (unsigned long long)during, ROUNDS, TIMES);
	cr_assert_gt(allocations(), before, "nothing is counted at all"); /* a handle takes memory */
	ok(dsm_engine_close(&engine));
}
