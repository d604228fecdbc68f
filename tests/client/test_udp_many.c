/* SPDX-License-Identifier: Apache-2.0 */
/* Several groups by one datagram: counted at the client's own flow. */
#include <dsm/batch.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/fixture.h"
#include "common/port.h"
#include "transport/udp.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define GROUPS 5u

static const char *const names[GROUPS] = { "sensors.a", "sensors.b", "setpoints", "drilling", "remote" };
static struct dsm_engine *engine;
static struct dsm *r, *w;
static struct dsm_group group[GROUPS];
static struct dsm_frame *frame[GROUPS];

static void set_up(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options as = DSM_OPTIONS_INIT;
	char name[64], address[32], uri[64];
	snprintf(address, sizeof(address), "127.0.0.1:%u", test_port());
	snprintf(uri, sizeof(uri), "udp://%s", address);
	unsetenv("DSM_KEYS");
	opts.udp = address;
	opts.auth_none = true;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	as.attach_timeout_ms = 20000;
	as.call_timeout_ms = 20000;
	ok(dsm_attach(uri, &as, &r));
	as.owner = "sensors";
	ok(dsm_attach(uri, &as, &w));
	for (unsigned i = 0; i < GROUPS; i++) {
		ok(dsm_group(r, names[i], &group[i]));
		ok(dsm_frame_new(r, group[i], &frame[i]));
	}
}

static void tear_down(void)
{
	for (unsigned i = 0; i < GROUPS; i++)
		dsm_frame_free(&frame[i]);
	dsm_detach(&w);
	dsm_detach(&r);
	ok(dsm_engine_close(&engine));
}

TestSuite(udp_many, .init = set_up, .fini = tear_down, .timeout = 60);

static void commit(double x)
{
	struct dsm_cell a, b;
	ok(dsm_cell(w, "sensors.a.x", &a));
	ok(dsm_cell(w, "sensors.b.x", &b));
	ok(dsm_begin(w, 0));
	ok(dsm_set_f64(w, a, x));
	ok(dsm_set_f64(w, b, -x));
	ok(dsm_commit(w, NULL));
}

static double value(unsigned i, const char *name)
{
	struct dsm_cell cell;
	struct dsm_sample s;
	ok(dsm_cell(r, name, &cell));
	ok(dsm_frame_read(frame[i], cell, &s));
	return s.value.f64;
}

/* The fewest datagrams over some rounds: one more is sent again when an answer is late. */
static uint64_t fewest(void (*round)(double x))
{
	uint64_t least = UINT64_MAX;
	for (int i = 1; i <= 20; i++) {
		commit(i);
		uint64_t before = r->conn->data.flow.counter;
		round(i);
		uint64_t sent = r->conn->data.flow.counter - before;
		least = sent < least ? sent : least;
	}
	return least;
}

static void read_batch(double x)
{
	uint64_t ticket;
	ok(dsm_read_begin(r, group, frame, GROUPS, &ticket));
	ok(dsm_read_end(r, ticket));
	cr_assert_eq(value(0, "sensors.a.x"), x);
	cr_assert_eq(value(1, "sensors.b.x"), -x);
}

static void read_step(double x)
{
	ok(dsm_snapshot_step(r, group, 2, frame, NULL));
	cr_assert_eq(value(0, "sensors.a.x"), x);
	cr_assert_eq(value(1, "sensors.b.x"), -x);
}

static void read_one_by_one(double x)
{
	for (unsigned i = 0; i < 2; i++)
		ok(dsm_snapshot(r, group[i], frame[i]));
	cr_assert_eq(value(0, "sensors.a.x"), x);
}

static void write_all(void)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct dsm *o = NULL;
	struct dsm_cell cell;
	static const char *const owner[] = { "operator", "remote" }, *const of[] = { "setpoints.n", "remote.v" };
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = 1 };
	for (int i = 0; i < 2; i++) {
		as.owner = owner[i];
		ok(dsm_attach(r->link->uri, &as, &o));
		ok(dsm_cell(o, of[i], &cell));
		v.type = i ? DSM_U64 : DSM_I64;
		ok(dsm_write(o, cell, &v));
		dsm_detach(&o);
	}
	v.type = DSM_F64;
	v.f64 = 1;
	ok(fixture_commit(engine, 0, &(struct fixture_value){ "drilling.rop", v }, 1));
}

Test(udp_many, a_batch_is_one_datagram)
{
	write_all();
	cr_assert_eq(fewest(read_batch), 1u);
}

/* One asks for the step, one for the groups. */
Test(udp_many, groups_of_one_step_are_one_datagram)
{
	cr_assert_eq(fewest(read_step), 2u);
}

Test(udp_many, snapshots_are_one_each)
{
	cr_assert_eq(fewest(read_one_by_one), 2u);
}
