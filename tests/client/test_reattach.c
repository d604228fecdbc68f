/* SPDX-License-Identifier: Apache-2.0 */
/* Coming back: a hung engine holds up nobody else, who lost the role comes back as a reader, and
 * an owner that comes back by itself is not told that it was superseded. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/fixture.h"

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)
/* Bounded for hangs only: nothing here depends on how long something takes. */
#define until(condition) do { bool met_ = (condition); \
	for (int i_ = 0; !met_ && i_ < 3000; i_++) { usleep(10000); met_ = (condition); } \
	cr_assert(met_, "%s", #condition); } while (0)

#define HUNG 8u

static struct dsm *attach(const char *name, const char *owner, uint32_t flags,
	const struct dsm_clock *clock)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char uri[128];
	fixture_uri("shm", name, uri);
	opts.owner = owner;
	opts.flags = flags;
	opts.clock = clock;
	ok(dsm_attach(uri, &opts, &dsm));
	return dsm;
}

static enum dsm_state state_of(struct dsm *dsm)
{
	struct dsm_status status;
	ok(dsm_status(dsm, &status));
	return status.state;
}

/* Takes connections and never says a word, as an engine does that was stopped. */
static int hung_engine(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "dsm/%s", name);
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (void *)&a, bytes), 0);
	cr_assert_eq(listen(fd, 64), 0);
	return fd;
}

static uint64_t stopped_now(void *context)
{
	return atomic_load((_Atomic uint64_t *)context);
}

static uint64_t beats_of(struct dsm *dsm)
{
	pthread_mutex_lock(&dsm->lock);
	uint64_t n = dsm->beat;
	pthread_mutex_unlock(&dsm->lock);
	return n;
}

/* The clock of the handles stands still, so their tries last for ever: were it made by
 * the thread that sends the owner's heartbeats, none would be sent any more. */
Test(reattach, a_hung_engine_silences_no_owner_elsewhere, .timeout = 120)
{
	_Atomic uint64_t now = 1000000000;
	struct dsm_clock clock = { stopped_now, stopped_now, &now };
	struct dsm_engine *bad = NULL, *good = NULL;
	char bad_name[64], good_name[64];
	struct dsm *hung[HUNG], *owner;
	ok(fixture_engine(NULL, bad_name, &bad));
	ok(fixture_engine(NULL, good_name, &good));
	for (unsigned i = 0; i < HUNG; i++)
		hung[i] = attach(bad_name, NULL, 0, &clock);
	owner = attach(good_name, "operator", 0, NULL);
	ok(dsm_engine_close(&bad));
	int fd = hung_engine(bad_name);
	for (unsigned i = 0; i < HUNG; i++)
		until(state_of(hung[i]) == DSM_LOST);
	/* a try that came too early backs off: that much time has to pass until all of them have called */
	int caller[HUNG];
	for (unsigned i = 0; i < HUNG; i++) {
		until((caller[i] = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0 || !atomic_fetch_add(&now, 2000000));
	}
	uint64_t before = beats_of(owner);
	until(beats_of(owner) >= before + 20);
	cr_assert_eq(state_of(owner), DSM_ATTACHED);
	for (unsigned i = 0; i < HUNG; i++) {
		cr_assert_eq(state_of(hung[i]), DSM_LOST);
		dsm_detach(&hung[i]); /* does not wait for an answer either */
		close(caller[i]);
	}
	close(fd);
	dsm_detach(&owner);
	ok(dsm_engine_close(&good));
}

/* ---- roles; handles that move only when told to ---- */

static struct dsm_engine *engine;
static char engine_name[64];

static void up(void)
{
	ok(fixture_engine(NULL, engine_name, &engine));
}

static void again(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	ok(dsm_engine_close(&engine));
	opts.name = engine_name;
	ok(fixture_engine(&opts, engine_name, &engine));
}

static void down(void)
{
	ok(dsm_engine_close(&engine));
}

static void dispatch_until(struct dsm *dsm, enum dsm_state state)
{
	until(dsm_dispatch(dsm) == 0 && state_of(dsm) == state);
}

static unsigned events(struct dsm *dsm, enum dsm_event_kind kind)
{
	struct dsm_event e;
	unsigned n = 0;
	while (dsm_next_event(dsm, &e) == 0)
		n += e.kind == kind;
	return n;
}

static int write_n(struct dsm *dsm, int64_t value)
{
	struct dsm_cell cell = { 0 };
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = value };
	ok(dsm_cell(dsm, "setpoints.n", &cell));
	return dsm_write(dsm, cell, &v);
}

static int64_t read_n(struct dsm *dsm)
{
	struct dsm_cell cell = { 0 };
	struct dsm_sample s;
	ok(dsm_cell(dsm, "setpoints.n", &cell));
	ok(dsm_read(dsm, cell, &s));
	return s.value.i64;
}

static bool lost_role(struct dsm *dsm)
{
	struct dsm_status status;
	ok(dsm_status(dsm, &status));
	return status.owner_lost;
}

Test(reattach, an_owner_whose_role_is_taken_comes_back_as_a_reader, .init = up, .fini = down, .timeout = 120)
{
	struct dsm *a = attach(engine_name, "operator", DSM_MANUAL, NULL), *b;
	ok(write_n(a, 1));
	again();
	dispatch_until(a, DSM_LOST);
	b = attach(engine_name, "operator", 0, NULL);
	ok(write_n(b, 2));
	dispatch_until(a, DSM_ATTACHED);
	cr_assert(lost_role(a));
	cr_assert_eq(events(a, DSM_EVENT_SUPERSEDED), 1);
	cr_assert_eq(read_n(a), 2);
	fails(write_n(a, 3), -EOWNERDEAD);
	ok(write_n(b, 4));
	cr_assert_eq(read_n(a), 4);
	dsm_detach(&a);
	ok(write_n(b, 5));
	dsm_detach(&b);
}

Test(reattach, who_was_superseded_does_not_take_the_role_back, .init = up, .fini = down, .timeout = 120)
{
	struct dsm *a = attach(engine_name, "operator", DSM_MANUAL, NULL);
	struct dsm *b = attach(engine_name, "operator", DSM_MANUAL | DSM_TAKE_OVER, NULL);
	ok(write_n(b, 1));
	until(dsm_dispatch(a) == 0 && lost_role(a));
	again();
	dispatch_until(a, DSM_LOST);
	dispatch_until(a, DSM_ATTACHED); /* first of the two */
	fails(write_n(a, 2), -EOWNERDEAD);
	dispatch_until(b, DSM_LOST);
	dispatch_until(b, DSM_ATTACHED);
	cr_assert_not(lost_role(b));
	ok(write_n(b, 3));
	cr_assert_eq(read_n(a), 3);
	dsm_detach(&a);
	dsm_detach(&b);
}

Test(reattach, an_owner_that_comes_back_is_not_superseded, .init = up, .fini = down, .timeout = 120)
{
	struct dsm *a = attach(engine_name, "operator", DSM_MANUAL, NULL), *r = attach(engine_name, NULL, 0, NULL);
	struct dsm_cell n = { 0 };
	ok(dsm_cell(a, "setpoints.n", &n));
	for (int i = 1; i <= 3; i++) {
		ok(write_n(a, 10 * i));
		events(a, DSM_EVENT_LOST);
		ok(dsm_begin(a, 0));
		ok(dsm_set_i64(a, n, 10 * i + 1));
		shutdown(a->ops->fd(a->conn), SHUT_RDWR); /* only the connection ends; the engine goes on */
		while (a->reattached < (uint64_t)i) { /* not dispatch: a commit is open */
			slow_reattach(a);
			pthread_mutex_lock(&a->lock);
			slow_step(a);
			pthread_mutex_unlock(&a->lock);
			usleep(5000);
		}
		fails(dsm_commit(a, NULL), -ENOTCONN);
		cr_assert_eq(events(a, DSM_EVENT_SUPERSEDED), 0);
		cr_assert_not(lost_role(a));
		cr_assert_eq(read_n(r), 10 * i);
		ok(write_n(a, 10 * i + 2));
		cr_assert_eq(read_n(r), 10 * i + 2);
	}
	dsm_detach(&a);
	dsm_detach(&r);
}
