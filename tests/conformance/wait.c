/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: waiting for a commit to any of several groups, and in a loop of one's own. */
#include <dsm/batch.h>
#include <dsm/subscribe.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rows.h"

#define LONG_MS 20000   /* of what comes: an emulated machine under load */

/* Three owners' groups; "remote" is one that a network may write on every row. */
static const char *const owners[] = { "sensors", "operator", "remote" };
static const char *const names[] = { "sensors.a", "setpoints", "remote" };
static const char *const cells[] = { "sensors.a.x", "setpoints.rop", "remote.v" };
#define GROUPS 3u

struct scene { struct dsm *owner[GROUPS]; struct dsm_group group[GROUPS]; uint64_t since[GROUPS]; };

static void find(struct scene *s, struct dsm *r)
{
	for (unsigned i = 0; i < GROUPS; i++)
		s->group[i] = rig_group(r, names[i]);
}

static void set_up(struct rig *rig, struct scene *s, struct dsm *r)
{
	*s = (struct scene){ .since = { 0 } };
	for (unsigned i = 0; i < GROUPS; i++)
		s->owner[i] = rig_attach(rig, owners[i], 0);
	find(s, r);
}

static void set_down(struct scene *s)
{
	for (unsigned i = 0; i < GROUPS; i++)
		dsm_detach(&s->owner[i]);
}

static void commit(const struct scene *s, unsigned i)
{
	struct dsm *w = s->owner[i];
	ok(dsm_begin(w, 0));
	if (i == 2)
		ok(dsm_set_u64(w, rig_cell(w, cells[i]), 1));
	else
		ok(dsm_set_f64(w, rig_cell(w, cells[i]), 1));
	ok(dsm_commit(w, NULL));
}

struct later { const struct scene *scene; unsigned i; };

static void *commit_later(void *context)
{
	const struct later *l = context;
	usleep(30000);
	commit(l->scene, l->i);
	return NULL;
}

CONFORMANCE(waiting_for_any_of_several_groups)
{
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct scene s;
	struct dsm_stats stats;
	uint64_t changed = 77;
	set_up(rig, &s, r);
	fails(dsm_wait_any(r, s.group, s.since, GROUPS, 0, &changed), -ETIMEDOUT);
	fails(dsm_wait_any(r, s.group, s.since, GROUPS, 30, &changed), -ETIMEDOUT);
	cr_assert_eq(changed, 77u, "untouched by an error");
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < GROUPS; i++) {
			struct later later = { &s, i };
			pthread_t thread;
			pthread_create(&thread, NULL, commit_later, &later);
			ok(dsm_wait_any(r, s.group, s.since, GROUPS, LONG_MS, &changed));
			pthread_join(thread, NULL);
			cr_assert_eq(changed, UINT64_C(1) << i, "%s was committed, 0x%llx is said", names[i],
				(unsigned long long)changed);
			s.since[i]++;
		}
	fails(dsm_wait_any(r, s.group, s.since, GROUPS, 0, &changed), -ETIMEDOUT);
	ok(dsm_stats(r, &stats));
	cr_assert_lt(stats.waits, 200u, "a sleep is not a look each millisecond");
	set_down(&s);
	dsm_detach(&r);
}

CONFORMANCE(waiting_finds_what_is_there_already)
{
	struct dsm *first = rig_attach(rig, NULL, 0);
	struct scene s;
	uint64_t changed = 0;
	set_up(rig, &s, first);
	commit(&s, 0);
	commit(&s, 2);
	/* one that has heard of nothing yet */
	struct dsm *r = rig_attach(rig, NULL, 0);
	find(&s, r);
	ok(dsm_wait_any(r, s.group, s.since, GROUPS, LONG_MS, &changed));
	cr_assert_eq(changed, 5u);
	s.since[0] = 1;
	ok(dsm_wait_any(r, s.group, s.since, GROUPS, -1, &changed));
	cr_assert_eq(changed, 4u);
	/* the order is the caller's, and a group may come twice */
	struct dsm_group twice[] = { s.group[2], s.group[0], s.group[2] };
	uint64_t since[] = { 0, 1, 1 };
	ok(dsm_wait_any(r, twice, since, 3, LONG_MS, &changed));
	cr_assert_eq(changed, 1u);
	dsm_detach(&r);
	set_down(&s);
	dsm_detach(&first);
}

CONFORMANCE(waiting_for_sixty_four_and_no_more)
{
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct dsm_group many[DSM_WAIT_GROUPS + 1], none = { UINT64_MAX };
	uint64_t since[DSM_WAIT_GROUPS + 1] = { 0 }, changed = 77;
	struct scene s;
	set_up(rig, &s, r);
	for (unsigned i = 0; i <= DSM_WAIT_GROUPS; i++)
		many[i] = s.group[0];
	many[DSM_WAIT_GROUPS - 1] = s.group[1];
	fails(dsm_wait_any(r, many, since, 0, 0, &changed), -EINVAL);
	fails(dsm_wait_any(r, many, since, DSM_WAIT_GROUPS + 1, 0, &changed), -EINVAL);
	fails(dsm_wait_any(r, NULL, since, 1, 0, &changed), -EINVAL);
	fails(dsm_wait_any(r, many, NULL, 1, 0, &changed), -EINVAL);
	fails(dsm_wait_any(r, many, since, 1, 0, NULL), -EINVAL);
	cr_assert_lt(dsm_wait_any(r, &none, since, 1, 0, &changed), 0);
	fails(dsm_wait_any(r, many, since, DSM_WAIT_GROUPS, 0, &changed), -ETIMEDOUT);
	cr_assert_eq(changed, 77u);
	commit(&s, 1);
	ok(dsm_wait_any(r, many, since, DSM_WAIT_GROUPS, LONG_MS, &changed));
	cr_assert_eq(changed, UINT64_C(1) << (DSM_WAIT_GROUPS - 1));
	set_down(&s);
	dsm_detach(&r);
}

CONFORMANCE(waiting_ends_with_the_engine)
{
	struct scene s = { .since = { 0 } };
	uint64_t changed = 77;
	rig_elsewhere(rig);
	struct dsm *r = rig_attach(rig, NULL, DSM_NO_REATTACH);
	find(&s, r);
	ok(place_kill(&rig->place));
	fails(dsm_wait_any(r, s.group, s.since, GROUPS, -1, &changed), -ENOTCONN);
	fails(dsm_wait_any(r, s.group, s.since, GROUPS, 0, &changed), -ENOTCONN);
	cr_assert_eq(changed, 77u);
	dsm_detach(&r);
	ok(place_open(&rig->place, FIXTURE_NETWORK, rig_serve(rig)));
}

/* Whoever waits for several does not look at them meanwhile. */
CONFORMANCE(a_subscription_to_several_groups_sleeps)
{
	struct dsm *r = rig_attach(rig, NULL, 0);
	struct dsm_subscription *sub = NULL;
	struct dsm_interest interests[GROUPS] = { 0 };
	const struct dsm_frame *frame;
	struct dsm_update update;
	struct dsm_stats before, after;
	struct scene s;
	set_up(rig, &s, r);
	for (unsigned i = 0; i < GROUPS; i++)
		interests[i].group = s.group[i];
	ok(dsm_subscribe(r, interests, GROUPS, NULL, &sub));
	for (unsigned i = 0; i < GROUPS; i++)
		ok(dsm_next_update(sub, LONG_MS, &frame, &update));
	/* an owner that came just now is news */
	while (dsm_next_update(sub, 200, &frame, &update) == 0)
		;
	ok(dsm_stats(r, &before));
	fails(dsm_next_update(sub, 500, &frame, &update), -ETIMEDOUT);
	ok(dsm_stats(r, &after));
	cr_assert_lt(after.reads - before.reads, 10u, "reads of three groups in which nothing happened");
	for (unsigned i = 0; i < GROUPS; i++) {
		commit(&s, i);
		ok(dsm_next_update(sub, LONG_MS, &frame, &update));
		cr_assert_eq(update.index, i);
		cr_assert_eq(update.why, DSM_UPDATE_CHANGE);
	}
	dsm_unsubscribe(&sub);
	set_down(&s);
	dsm_detach(&r);
}

/* ---- in a loop of one's own ---- */

static uint64_t told(struct dsm *dsm)
{
	struct dsm_stats stats;
	ok(dsm_stats(dsm, &stats));
	return stats.told;
}

/* Of the descriptors behind dsm_fd(), each of which names itself: is one that begins like this ready? */
static bool ready(struct dsm *dsm, const char *kind)
{
	struct epoll_event e[8];
	char path[64], link[64];
	int n = epoll_wait(dsm_fd(dsm), e, 8, 100);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", e[i].data.fd);
		ssize_t bytes = readlink(path, link, sizeof(link) - 1);
		link[bytes > 0 ? bytes : 0] = 0;
		if (strncmp(link, kind, strlen(kind)) == 0)
			return true;
	}
	return false;
}

/* Over a network it is the engine's word that makes the descriptor readable: nothing is dispatched until the
 * connection's own has something, whatever the tick says. */
static void await_word(struct rig *rig, struct dsm *r)
{
	const char *kind = rig_is_udp(rig) ? "socket:" : "anon_inode:[eventpoll]";
	uint64_t before = told(r);
	for (int i = 0; i < LONG_MS && told(r) == before; i++)
		if (ready(r, kind))
			ok(dsm_dispatch(r));
		else
			usleep(1000); /* the tick stays ready */
	cr_assert_eq(told(r), before + 1, "the engine has said nothing");
}

CONFORMANCE(a_commit_makes_the_descriptor_readable)
{
	struct dsm *r = rig_attach(rig, NULL, DSM_MANUAL);
	struct scene s;
	uint64_t changed = 0;
	set_up(rig, &s, r);
	for (unsigned i = 0; i < 2 * GROUPS; i++) {
		fails(dsm_wait_any(r, s.group, s.since, GROUPS, 0, &changed), -ETIMEDOUT);
		commit(&s, i % GROUPS);
		if (rig_is_network(rig))
			await_word(rig, r);
		int rc = -ETIMEDOUT;
		for (int k = 0; k < LONG_MS / 100 && rc == -ETIMEDOUT; k++) {
			ready(r, "");
			ok(dsm_dispatch(r));
			rc = dsm_wait_any(r, s.group, s.since, GROUPS, 0, &changed);
		}
		cr_assert_eq(rc, 0, "%s", dsm_error());
		cr_assert_eq(changed, UINT64_C(1) << i % GROUPS);
		s.since[i % GROUPS]++;
	}
	/* asked once, told once, asked again: one a commit, and over mapped memory nobody is told */
	cr_assert_eq(told(r), rig_is_network(rig) ? 2 * GROUPS : 0u);
	set_down(&s);
	dsm_detach(&r);
}
