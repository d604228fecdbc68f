/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds which owner role: claims, leases, deaths. Death is seen on the process's pidfd; the
 * end of a connection is no proof, since a forked child may hold it open or the process live on
 * without it. What is not proved is fenced by new memory. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"

static const char *owner_name(const struct dsm_engine *e, uint32_t owner)
{
	return view_text(&e->region->view, e->region->view.owners[owner].name);
}

int owners_init(struct dsm_engine *e, const struct dsm_table *table)
{
	e->holders = calloc(table->owner_count, sizeof(*e->holders));
	if (!e->holders)
		return dsm__fail(-ENOMEM, "no memory for %u owners", table->owner_count);
	int rc = 0;
	for (uint32_t i = 0; i < table->owner_count; i++)
		e->holders[i] = (struct holder){ .pidfd = -1, .last_uid = (uint32_t)-1 };
	for (uint32_t i = 0; rc == 0 && i < table->owner_count; i++)
		rc = access_parse(table_text(table, table->owners[i].users), &e->holders[i].access);
	return rc;
}

static void forget(struct dsm_engine *e, struct holder *h)
{
	if (h->pidfd >= 0) {
		epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, h->pidfd, NULL); /* a forked child may keep it open */
		close(h->pidfd);
	}
	h->pidfd = -1;
	h->held = false;
	h->session = NULL;
	h->pid = 0;
}

void owners_free(struct dsm_engine *e)
{
	for (uint32_t i = 0; e->holders && i < e->region->view.owner_count; i++) {
		access_free(&e->holders[i].access);
		forget(e, &e->holders[i]);
	}
	free(e->holders);
	e->holders = NULL;
}

static bool process_exited(const struct holder *h)
{
	struct pollfd p = { h->pidfd, POLLIN, 0 };
	return h->pidfd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* Its last commits may have landed without the NOTIFY that follows them. */
static void wake_all(struct region *r, uint32_t owner)
{
	const struct directory_owner *o = &r->view.owners[owner];
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++)
		region_wake(r, &g, 1);
}

/* Steps scrub and pulse, after a fence. */
static void clean_up(struct dsm_engine *e, uint32_t owner, uint32_t state)
{
	uint32_t scrubbed = takeover_scrub(e->region, owner);
	region_count(e->region, COUNTER_SLOTS_SCRUBBED, scrubbed);
	region_count(e->region, COUNTER_TAKEOVERS, 1);
	atomic_fetch_add_explicit(&e->region->lines[owner].takeovers, 1, memory_order_relaxed);
	takeover_set_state(e->region, owner, state, 0);
	wake_all(e->region, owner);
	requests_owner_gone(e, owner);
}

/* The process has exited, or it said good-bye: it writes no more, the memory can stay. */
static void owner_ended(struct dsm_engine *e, uint32_t owner, uint32_t state)
{
	struct holder *h = &e->holders[owner];
	if (h->session)
		h->session->owner = DSM_NONE;
	forget(e, h);
	clean_up(e, owner, state);
	engine_log(e, "owner \"%s\" %s", owner_name(e, owner),
		state == DSM_DEAD ? "has died" : "gave its role back");
	if (owner == 0)
		owners_engine_takes(e);
}

static int move_bank(struct dsm_engine *e, uint32_t owner)
{
	verbs_bank_leaves(e, owner);
	int rc = takeover_move_bank(e->region, owner);
	if (rc == 0)
		region_count(e->region, COUNTER_BANKS_MOVED, 1);
	return rc;
}

/* A connection that can be cut for good is; else, without proof: new memory. Whoever held the role
 * hears of it. */
static int fence(struct dsm_engine *e, uint32_t owner)
{
	struct holder *h = &e->holders[owner];
	bool cut = h->session && h->session->ops->fence && h->session->ops->fence(h->session) == 0;
	int rc = cut ? 0 : move_bank(e, owner);
	if (rc)
		return rc;
	if (h->session) {
		h->session->owner = DSM_NONE;
		h->session->superseded = true;
		server_tell(h->session, CONTROL_SUPERSEDED, owner, 0);
	}
	forget(e, h);
	clean_up(e, owner, DSM_DEAD);
	if (!cut)
		server_tell_all(e, CONTROL_BANK_MOVED, owner, 0);
	return 0;
}

/* Who holds it, for people. */
static const char *holder_text(const struct holder *h, char *text, size_t size)
{
	if (h->session && h->session->ops->network)
		h->session->ops->address(h->session, text, size);
	else
		snprintf(text, size, "process %u", h->pid);
	return text;
}

/* Is the role free, or can it be made free? */
static int make_free(struct session *s, uint32_t owner, bool take_over)
{
	struct dsm_engine *e = s->engine;
	struct holder *h = &e->holders[owner];
	if (!h->held)
		return 0;
	if (process_exited(h)) {
		owner_ended(e, owner, DSM_DEAD);
		return 0;
	}
	uint64_t word = atomic_load_explicit(&e->region->lines[owner].bank_state, memory_order_relaxed);
	bool silent = word >> 32 == DSM_SILENT;
	bool same_client = h->session && memcmp(h->session->client_id, s->client_id, 16) == 0;
	char who[80];
	if (!take_over && !silent && !same_client && h->session)
		return dsm__fail(-EBUSY, "owner \"%s\" is held by %s (%s); wait for it to end, "
			"or attach with take-over", owner_name(e, owner),
			holder_text(h, who, sizeof(who)), h->session->program);
	return fence(e, owner);
}

static int allowed(struct session *s, const char *name, uint32_t owner)
{
	struct dsm_engine *e = s->engine;
	if (owner == DSM_NONE)
		return dsm__fail(-ENODEV, "the table has no owner \"%s\"; see `dsm info`", name);
	if (owner == 0 && !s->inproc)
		return dsm__fail(-EBUSY, "owner \"engine\" is the engine itself; its groups are changed by "
			"requests (`dsm set`)");
	if (s->ops->network && !(e->region->view.owners[owner].flags & OWNER_NETWORK))
		return dsm__fail(-EACCES, "owner \"%s\" may not attach through a network; `network: true` in "
			"the table lets it", name);
	if (!s->ops->network && !access_allows(&e->holders[owner].access, s->uid))
		return dsm__fail(-EACCES, "user %u may not be owner \"%s\"; the table's `users:` says who may",
			s->uid, name);
	return 0;
}

/* A user that had the role may have kept the memory, good-bye or not: another user gets new, and so
 * does a network, which itself keeps nothing. */
static int change_user(struct session *s, uint32_t owner)
{
	struct dsm_engine *e = s->engine;
	struct holder *h = &e->holders[owner];
	uint32_t last = h->last_uid;
	if (last == (uint32_t)-1 || last == s->uid) {
		h->last_uid = s->uid;
		return 0;
	}
	int rc = move_bank(e, owner);
	if (rc)
		return rc;
	h->last_uid = s->uid;
	takeover_scrub(e->region, owner);
	server_tell_all(e, CONTROL_BANK_MOVED, owner, 0);
	return 0;
}

int owners_claim(struct session *s, const char *name, bool take_over, uint32_t *owner, uint32_t *epoch)
{
	struct dsm_engine *e = s->engine;
	uint32_t o = view_find_owner(&e->region->view, name);
	int rc = allowed(s, name, o);
	if (rc == 0)
		rc = make_free(s, o, take_over);
	if (rc == 0)
		rc = change_user(s, o);
	if (rc == 0 && s->ops->grant)
		rc = s->ops->grant(s, o);
	if (rc)
		return rc;
	if (o == 0 && e->has_writer) { /* a handle in this process writes from now on */
		writer_free(&e->writer);
		e->has_writer = false;
	}
	struct holder *h = &e->holders[o];
	h->held = true;
	h->session = s;
	h->pid = s->pid;
	h->tick = h->beat = 0;
	h->moved_ns = clock_now(e->clock);
	if (!s->inproc && s->pid)
		h->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)s->pid, 0);
	if (h->pidfd >= 0) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)o << 3 | 5 };
		epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, h->pidfd, &ev);
	}
	s->owner = *owner = o;
	*epoch = takeover_grant(e->region, o, s->pid);
	region_count(e->region, COUNTER_GRANTS, 1);
	return 0;
}

void owners_session_gone(struct session *s, bool bye)
{
	struct dsm_engine *e = s->engine;
	if (s->owner == DSM_NONE)
		return;
	uint32_t owner = s->owner;
	struct holder *h = &e->holders[owner];
	if (s->ops->fence && s->ops->fence(s))
		h->session = NULL; /* no proof: the next claim takes new memory */
	else if (bye || s->inproc)
		owner_ended(e, owner, DSM_VACANT);
	else if (s->ops->fence)
		owner_ended(e, owner, DSM_DEAD); /* it writes no more, wherever it is */
	else if (process_exited(h))
		owner_ended(e, owner, DSM_DEAD);
	else
		h->session = NULL; /* the pidfd or the next claim decides */
	s->owner = DSM_NONE;
}

static void expire(struct dsm_engine *e, uint32_t owner)
{
	struct holder *h = &e->holders[owner];
	char who[80];
	takeover_set_state(e->region, owner, DSM_SILENT, h->pid);
	region_count(e->region, COUNTER_LEASES_EXPIRED, 1);
	engine_log(e, "owner \"%s\" (%s) is silent", owner_name(e, owner),
		holder_text(h, who, sizeof(who)));
}

void owners_tick(struct dsm_engine *e, uint64_t now, bool restart_leases)
{
	struct region *r = e->region;
	for (uint32_t i = 0; i < r->view.owner_count; i++) {
		struct holder *h = &e->holders[i];
		if (!h->held)
			continue;
		const struct bank_header *bank = (void *)(r->base + r->view.owners[i].bank_offset);
		uint64_t tick = h->session && h->session->ops->network ? h->beat :
			atomic_load_explicit(&bank->owner_tick, memory_order_relaxed);
		uint64_t word = atomic_load_explicit(&r->lines[i].bank_state, memory_order_relaxed);
		if (process_exited(h)) {
			owner_ended(e, i, DSM_DEAD);
		} else if (tick != h->tick || restart_leases) {
			h->tick = tick;
			h->moved_ns = now;
			if (word >> 32 == DSM_SILENT && !restart_leases)
				takeover_set_state(r, i, DSM_ALIVE, h->pid);
		} else if (word >> 32 == DSM_ALIVE &&
			   now - h->moved_ns > e->options.lease_ms * UINT64_C(1000000)) {
			expire(e, i);
		}
	}
}

void owners_engine_takes(struct dsm_engine *e)
{
	struct region *r = e->region;
	const struct bank_header *bank = (void *)(r->base + r->view.owners[0].bank_offset);
	uint32_t epoch = takeover_grant(r, 0, (uint32_t)getpid());
	if (writer_init(&e->writer, &r->view, 0, epoch, &region_sink, r)) {
		engine_log(e, "the engine cannot write its own groups: %s", dsm_error());
		return;
	}
	e->writer.step = atomic_load_explicit(&bank->step_complete, memory_order_relaxed);
	e->has_writer = true;
}
