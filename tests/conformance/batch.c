/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: reads that are begun, and ended later. */
#include <dsm/batch.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "rows.h"

#define GROUPS 5u
static const char *const names[GROUPS] = { "sensors.a", "sensors.b", "setpoints", "drilling", "aging" };

struct set { struct dsm_group group[GROUPS]; struct dsm_frame *frame[GROUPS]; };

static void set_up(struct dsm *r, struct set *s)
{
	for (unsigned i = 0; i < GROUPS; i++) {
		s->group[i] = rig_group(r, names[i]);
		ok(dsm_frame_new(r, s->group[i], &s->frame[i]));
	}
}

static void set_down(struct set *s)
{
	for (unsigned i = 0; i < GROUPS; i++)
		dsm_frame_free(&s->frame[i]);
}

static struct dsm_sample sample(struct dsm *r, struct dsm_frame *frame, const char *cell)
{
	struct dsm_sample s;
	ok(dsm_frame_read(frame, rig_cell(r, cell), &s));
	return s;
}

static void commit_pair(struct dsm *w, double x)
{
	ok(dsm_begin(w, 0));
	ok(dsm_set_f64(w, rig_cell(w, "sensors.a.x"), x));
	ok(dsm_set_f64(w, rig_cell(w, "sensors.a.y"), -x));
	ok(dsm_commit(w, NULL));
}

CONFORMANCE(reads_begun_and_ended)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct set s;
	uint64_t ticket;
	set_up(r, &s);
	for (int i = 1; i <= 20; i++) {
		commit_pair(w, i);
		ok(dsm_read_begin(r, s.group, s.frame, GROUPS, &ticket));
		ok(dsm_read_end(r, ticket));
		cr_assert_eq(sample(r, s.frame[0], "sensors.a.x").value.f64, i);
		cr_assert_eq(sample(r, s.frame[0], "sensors.a.y").value.f64, -i);
		cr_assert_eq(sample(r, s.frame[2], "setpoints.rop").quality, DSM_NEVER_WRITTEN);
	}
	/* what this handle has returned is the floor, also of what was asked for before that */
	ok(dsm_read_begin(r, s.group, s.frame, GROUPS, &ticket));
	commit_pair(w, 21);
	cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 21);
	ok(dsm_read_end(r, ticket));
	cr_assert_eq(sample(r, s.frame[0], "sensors.a.x").value.f64, 21);
	set_down(&s);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(many_reads_at_once)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct set s[DSM_BATCHES + 1];
	uint64_t ticket[DSM_BATCHES + 1];
	commit_pair(w, 3);
	for (unsigned i = 0; i <= DSM_BATCHES; i++)
		set_up(r, &s[i]);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < DSM_BATCHES; i++)
			ok(dsm_read_begin(r, s[i].group, s[i].frame, GROUPS, &ticket[i]));
		fails(dsm_read_begin(r, s[DSM_BATCHES].group, s[DSM_BATCHES].frame, GROUPS, &ticket[DSM_BATCHES]), -EAGAIN);
		cr_assert_eq(rig_read_f64(r, "sensors.a.x"), 3, "another read in between");
		for (unsigned k = 0; k < DSM_BATCHES; k++) {
			unsigned i = (k * 3 + round) % DSM_BATCHES;
			ok(dsm_read_end(r, ticket[i]));
			fails(dsm_read_end(r, ticket[i]), -EINVAL);
			cr_assert_eq(sample(r, s[i].frame[0], "sensors.a.y").value.f64, -3);
		}
	}
	for (unsigned i = 0; i <= DSM_BATCHES; i++)
		set_down(&s[i]);
	dsm_detach(&w);
	dsm_detach(&r);
}

CONFORMANCE(reads_that_cannot_begin)
{
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct set s;
	uint64_t ticket;
	struct dsm_group many[DSM_BATCH_GROUPS + 1];
	struct dsm_frame *frames[DSM_BATCH_GROUPS + 1];
	set_up(r, &s);
	for (unsigned i = 0; i <= DSM_BATCH_GROUPS; i++) {
		many[i] = s.group[0];
		frames[i] = s.frame[0];
	}
	fails(dsm_read_begin(r, s.group, s.frame, 0, &ticket), -EINVAL);
	fails(dsm_read_begin(r, NULL, s.frame, 1, &ticket), -EINVAL);
	fails(dsm_read_begin(r, s.group, NULL, 1, &ticket), -EINVAL);
	fails(dsm_read_begin(r, s.group, s.frame, 1, NULL), -EINVAL);
	fails(dsm_read_begin(r, many, frames, DSM_BATCH_GROUPS + 1, &ticket), -EINVAL);
	fails(dsm_read_begin(r, s.group + 1, s.frame, 1, &ticket), -EINVAL);
	struct dsm_group none = { s.group[0].id + 1000 };
	fails(dsm_read_begin(r, &none, s.frame, 1, &ticket), -ESTALE); /* of no table that it has */
	fails(dsm_read_end(r, 0), -EINVAL);
	fails(dsm_read_end(r, 77), -EINVAL);
	set_down(&s);
	dsm_detach(&r);
}

static atomic_bool writing;

static void *commit_always(void *context)
{
	struct dsm *w = context;
	for (double x = 1; atomic_load(&writing); x++)
		commit_pair(w, x);
	return NULL;
}

CONFORMANCE(reads_begun_under_a_writer)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, 0);
	struct set s[2];
	uint64_t ticket[2];
	pthread_t thread;
	double last = 0;
	set_up(r, &s[0]);
	set_up(r, &s[1]);
	commit_pair(w, 0.5);
	atomic_store(&writing, true);
	pthread_create(&thread, NULL, commit_always, w);
	for (unsigned i = 0; i < 100; i++) {
		ok(dsm_read_begin(r, s[0].group, s[0].frame, GROUPS, &ticket[0]));
		ok(dsm_read_begin(r, s[1].group, s[1].frame, GROUPS, &ticket[1]));
		for (unsigned k = 0; k < 2; k++) {
			ok(dsm_read_end(r, ticket[k]));
			double x = sample(r, s[k].frame[0], "sensors.a.x").value.f64;
			cr_assert_eq(sample(r, s[k].frame[0], "sensors.a.y").value.f64, -x);
			cr_assert_geq(x, last);
			last = x;
		}
	}
	atomic_store(&writing, false);
	pthread_join(thread, NULL);
	set_down(&s[0]);
	set_down(&s[1]);
	dsm_detach(&w);
	dsm_detach(&r);
}

/* The engine ends in between: what was read before is given, stale. */
CONFORMANCE(reads_begun_before_a_loss)
{
	struct dsm *w = rig_attach(rig, "sensors", 0), *r = rig_attach(rig, NULL, DSM_NO_REATTACH);
	struct dsm_status status;
	struct set s;
	uint64_t ticket;
	set_up(r, &s);
	commit_pair(w, 8);
	ok(dsm_read_begin(r, s.group, s.frame, 1, &ticket));
	ok(dsm_read_end(r, ticket));
	ok(dsm_read_begin(r, s.group, s.frame, 1, &ticket));
	dsm_detach(&w);
	ok(place_close(&rig->place));
	for (int i = 0; i < 2000; i++) {
		ok(dsm_status(r, &status));
		if (status.state == DSM_LOST)
			break;
		struct timespec t = { 0, 10000000 };
		nanosleep(&t, NULL);
	}
	cr_assert_eq(status.state, DSM_LOST);
	ok(dsm_read_end(r, ticket));
	struct dsm_sample x = sample(r, s.frame[0], "sensors.a.x");
	cr_assert_eq(x.value.f64, 8);
	cr_assert(x.flags & (DSM_STALE_ENGINE | DSM_STALE_OWNER));
	set_down(&s);
	dsm_detach(&r);
}
