/* SPDX-License-Identifier: Apache-2.0 */
/* The slow path: messages from the engine, liveness by this process's own clock, owner's
 * heartbeat, re-attach. Everything here runs under dsm->lock, on the library's thread or inside
 * the owner's waiting calls; the read path only sees the flags it leaves. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "port/port.h"

#define BACKOFF_FIRST_MS 20u
#define BACKOFF_MAX_MS 1000u
#define REATTACH_TRY_MS 250u
#define REATTACH_FAR_MS 2000u   /* over a network: several round trips, some of them lost */
#define MESSAGES_A_PASS 256
#define BY_HAND_NS 5000000u
#define SLICE_NS 20000000u

struct link *slow_link(struct dsm *dsm)
{
	return dsm->next ? dsm->next : dsm->link;
}

void slow_wake(struct dsm *dsm)
{
	atomic_fetch_add_explicit(&dsm->wake, 1, memory_order_seq_cst);
	port_word_wake(&dsm->wake);
	pthread_cond_broadcast(&dsm->changed);
}

void slow_event(struct dsm *dsm, enum dsm_event_kind kind, uint64_t value, const char *format, ...)
{
	if (dsm->event_count == EVENTS) { /* newest wins */
		dsm->event_head = (dsm->event_head + 1) % EVENTS;
		dsm->event_count--;
		dsm->events_dropped++;
	}
	struct dsm_event *e = &dsm->events[(dsm->event_head + dsm->event_count++) % EVENTS];
	*e = (struct dsm_event){ .kind = kind, .value = value };
	va_list args;
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
}

static void set_flags(struct dsm *dsm, uint32_t flags)
{
	handle_flags(dsm, flags, 0);
}

static void clear_flags(struct dsm *dsm, uint32_t flags)
{
	handle_flags(dsm, 0, flags);
}

uint64_t deadline_after(const struct dsm *dsm, int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX :
		clock_now(dsm->clock) + (uint64_t)timeout_ms * UINT64_C(1000000);
}

/* ---- losing and regaining ---- */

/* `why`: negative errno of the channel, 0 = the engine said good-bye. */
static void lose(struct dsm *dsm, bool at_once, int why)
{
	if (dsm->lost)
		return;
	dsm->lost = true;
	dsm->backoff_ms = BACKOFF_FIRST_MS;
	dsm->retry_ns = clock_now(dsm->clock) + (at_once ? 0 : BACKOFF_FIRST_MS * UINT64_C(1000000));
	set_flags(dsm, ATTEND_LOST | DSM_STALE_ENGINE);
	slow_event(dsm, DSM_EVENT_LOST, 0, "%s: the engine is gone (%s); the last values stay readable, stale",
		slow_link(dsm)->uri, why ? port_strerror(-why) : "it ended");
	slow_wake(dsm);
}

static void on_message(struct dsm *dsm, struct link *link, const void *message, size_t size);

static void deliver_early(struct dsm *dsm, struct link *link)
{
	for (size_t at = 0; at < link->early_bytes && !dsm->lost;) {
		uint32_t n;
		memcpy(&n, link->early + at, sizeof(n));
		on_message(dsm, link, link->early + at + sizeof(n), n);
		at += sizeof(n) + n;
	}
	free(link->early);
	link->early = NULL;
	link->early_bytes = 0;
}

void slow_install(struct dsm *dsm, struct link *link)
{
	struct link *before = slow_link(dsm);
	struct transport_pulse pulse;
	bool again = dsm->attached_once;
	if (before) {
		if (before->layout_hash != link->layout_hash)
			slow_event(dsm, DSM_EVENT_TABLE_CHANGED, link->welcome.generation,
				"%s: another table; look cells up again", link->uri);
		else if (before->welcome.generation != link->welcome.generation)
			slow_event(dsm, DSM_EVENT_GENERATION, link->welcome.generation,
				"%s: the engine started anew with the same table", link->uri);
	}
	request_resume(dsm, before, link);
	if (dsm->next)
		link_close(&dsm->next);
	dsm->next = link;
	link->ops->pulse(link->conn, &pulse);
	dsm->heartbeat = pulse.heartbeat;
	dsm->moved_ns = dsm->pass_ns = clock_now(dsm->clock);
	dsm->lost = dsm->stale = false;
	dsm->attached_once = true;
	dsm->reattached += again;
	clear_flags(dsm, ATTEND_LOST | ATTEND_SUPERSEDED | DSM_STALE_ENGINE | DSM_UNKNOWN);
	set_flags(dsm, ATTEND_ADOPT);
	slow_event(dsm, DSM_EVENT_ATTACHED, dsm->reattached, "%s (%s)", link->uri, link->reason);
	deliver_early(dsm, link);
	if (dsm->unsent && !dsm->lost)
		request_flush(dsm);
	slow_wake(dsm);
}

static void depose(struct dsm *dsm, uint32_t owner)
{
	dsm->deposed = true;
	set_flags(dsm, ATTEND_SUPERSEDED);
	slow_event(dsm, DSM_EVENT_SUPERSEDED, owner, "owner \"%s\" was given to somebody else",
		dsm->owner_name ? dsm->owner_name : "");
	slow_wake(dsm);
}

/* Doubling back-off with jitter, so that a hundred clients do not come at once. */
static void back_off(struct dsm *dsm)
{
	uint16_t dice = 0;
	if (port_random(&dice, sizeof(dice)))
		dice = (uint16_t)(uintptr_t)dsm;
	uint64_t ns = dsm->backoff_ms * UINT64_C(1000000);
	dsm->retry_ns = clock_now(dsm->clock) + ns / 2 + ns * dice / 65536;
	dsm->backoff_ms = dsm->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : dsm->backoff_ms * 2;
}

static bool is_near(const struct dsm *dsm)
{
	const struct transport_ops *named = transport_find(dsm->uri.scheme);
	return dsm->inproc || (named && named->near);
}

/* A path that needs long for an attach needs as long for the next one. The caller's own loop is not
 * held longer than it always was. */
static uint32_t try_ms(const struct dsm *dsm)
{
	uint32_t given = dsm->options.flags & DSM_MANUAL ? 0 : dsm->options.attach_timeout_ms;
	if (is_near(dsm))
		return REATTACH_TRY_MS;
	return given > REATTACH_FAR_MS ? given : REATTACH_FAR_MS;
}

/* One try, outside the lock: it may block. */
static void try_again(struct dsm *dsm)
{
	struct link *link = NULL;
	int rc = link_open(dsm, try_ms(dsm), &link);
	pthread_mutex_lock(&dsm->lock);
	if (rc == 0) {
		slow_install(dsm, link);
	} else {
		back_off(dsm);
		if (rc == -EBUSY && dsm->owner_name && !dsm->deposed)
			depose(dsm, DSM_NONE); /* somebody else was first: the next try is a reader's */
	}
	dsm->trying = false;
	pthread_mutex_unlock(&dsm->lock);
}

static void *try_apart(void *context)
{
	try_again(context);
	thread_poke(); /* there is a new descriptor to poll */
	return NULL;
}

void slow_end_try(struct dsm *dsm)
{
	if (dsm->has_trier)
		pthread_join(dsm->trier, NULL);
	dsm->has_trier = false;
}

/* A host that does not answer, or an engine that hangs, must not keep the library's thread from the
 * heartbeats of other handles, so a try has a thread of its own. The caller's own loop has only one. */
void slow_reattach(struct dsm *dsm)
{
	pthread_mutex_lock(&dsm->lock);
	bool due = dsm->lost && !dsm->trying && !(dsm->options.flags & DSM_NO_REATTACH) &&
		clock_now(dsm->clock) >= dsm->retry_ns;
	if (due)
		dsm->trying = true;
	pthread_mutex_unlock(&dsm->lock);
	if (!due)
		return;
	slow_end_try(dsm); /* the one before is over */
	if ((dsm->options.flags & DSM_MANUAL) || pthread_create(&dsm->trier, NULL, try_apart, dsm))
		try_again(dsm);
	else
		dsm->has_trier = true;
}

/* ---- messages ---- */

static void ask_for_bank(struct link *link, uint32_t owner)
{
	unsigned char message[CONTROL_HEAD + 8];
	struct control_writer w;
	struct control_map map = { owner, 1 };
	control_begin(&w, message, sizeof(message), CONTROL_MAP);
	control_put_map(&w, &map);
	link->ops->send(link->conn, message, control_end(&w));
}

static void on_event(struct dsm *dsm, struct link *link, struct control_reader *r)
{
	struct control_event e;
	if (control_get_event(r, &e))
		return;
	if (e.kind == CONTROL_SUPERSEDED) {
		depose(dsm, e.owner);
	} else if (e.kind == CONTROL_BANK_MOVED && e.owner < link->view.owner_count) {
		ask_for_bank(link, e.owner);
	} else if (e.kind == CONTROL_ENDED) {
		lose(dsm, true, 0);
	}
}

static void on_mapped(struct dsm *dsm, struct link *link, struct control_reader *r)
{
	struct control_map map;
	if (control_get_map(r, &map) == 0 && link->ops->mapped(link->conn, &map, r) == 0) {
		set_flags(dsm, ATTEND_ADOPT);
		slow_wake(dsm); /* a dsm_wait() sleeps on the old memory, where nothing comes any more */
	}
}

static void on_message(struct dsm *dsm, struct link *link, const void *message, size_t size)
{
	struct control_reader r;
	if (control_open(&r, message, size))
		return;
	switch (r.type) {
	case CONTROL_MAPPED:
		on_mapped(dsm, link, &r);
		break;
	case CONTROL_REPLY:
		request_reply(dsm, &r);
		break;
	case CONTROL_FORWARD:
		request_forward(dsm, &r);
		break;
	case CONTROL_CLIENT_LIST:
		clients_message(dsm, &r);
		break;
	case CONTROL_DEVICE_LIST:
		devices_message(dsm, &r);
		break;
	case CONTROL_EVENT:
		on_event(dsm, link, &r);
		break;
	default:
		return;
	}
	pthread_cond_broadcast(&dsm->changed);
}

static void pump(struct dsm *dsm)
{
	for (int i = 0; i < MESSAGES_A_PASS && !dsm->lost; i++) {
		struct link *link = slow_link(dsm);
		int n = link->ops->recv(link->conn, dsm->message, CONTROL_MAX);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			lose(dsm, false, n);
		else
			on_message(dsm, link, dsm->message, (size_t)n);
	}
}

/* ---- liveness ---- */

static void watch_owners(struct dsm *dsm, struct link *link)
{
	for (uint32_t i = 0; dsm->owner_states && i < link->view.owner_count; i++) {
		uint32_t state = (uint32_t)(link->ops->owner_line(link->conn, i, NULL, NULL, NULL) >> 32);
		if (state == dsm->owner_states[i])
			continue;
		dsm->owner_states[i] = state;
		slow_event(dsm, DSM_EVENT_OWNER, i, "owner \"%s\" is %s",
			view_text(&link->view, link->view.owners[i].name),
			dsm_owner_state_name((enum dsm_owner_state)state));
	}
}

static void watch_ages(struct dsm *dsm, struct link *link, uint64_t now)
{
	for (uint32_t i = 0; i < dsm->age_count; i++) {
		struct age_watch *a = &dsm->ages[i];
		uint64_t newest = link->ops->newest(link->conn, a->group);
		if (newest != a->newest) {
			a->newest = newest;
			a->moved_ns = now;
		}
		uint64_t max_ns = link->view.groups[a->group].max_age_ms * UINT64_C(1000000);
		bool old = newest != 0 && now - a->moved_ns > max_ns;
		atomic_store_explicit(&dsm->seen[a->group].aged, old ? DSM_STALE_AGE : 0u,
			memory_order_relaxed);
	}
}

static void watch_engine(struct dsm *dsm, struct link *link, uint64_t now)
{
	struct transport_pulse pulse;
	uint64_t lease_ns = link->ops->header(link->conn)->lease_ms * UINT64_C(1000000);
	link->ops->pulse(link->conn, &pulse);
	if (now - dsm->pass_ns > lease_ns / 2 && pulse.heartbeat == dsm->heartbeat) {
		set_flags(dsm, DSM_UNKNOWN); /* we slept ourselves: judge nobody until it moves */
		dsm->moved_ns = now;
	}
	if (pulse.heartbeat != dsm->heartbeat) {
		dsm->heartbeat = pulse.heartbeat;
		dsm->moved_ns = now;
		clear_flags(dsm, DSM_UNKNOWN);
		if (dsm->stale) {
			dsm->stale = false;
			clear_flags(dsm, DSM_STALE_ENGINE);
			slow_event(dsm, DSM_EVENT_LIVE, 0, "%s: the engine's heartbeat moves again", link->uri);
		}
	} else if (!dsm->stale && now - dsm->moved_ns > lease_ns) {
		dsm->stale = true;
		set_flags(dsm, DSM_STALE_ENGINE);
		slow_event(dsm, DSM_EVENT_STALE, 0, "%s: no heartbeat for %u ms", link->uri,
			link->ops->header(link->conn)->lease_ms);
	}
	if (pulse.ended)
		lose(dsm, true, 0);
}

void slow_step(struct dsm *dsm)
{
	uint64_t now = clock_now(dsm->clock);
	if (!dsm->lost)
		pump(dsm);
	struct link *link = slow_link(dsm);
	if (!dsm->lost)
		watch_engine(dsm, link, now);
	else
		link->ops->gone(link->conn);
	if (dsm->link && link != dsm->link) /* its successor waits for the owner's thread */
		dsm->link->ops->gone(dsm->link->conn);
	dsm->pass_ns = now;
	if (link == dsm->link) { /* else sizes are those of a table not yet adopted */
		watch_owners(dsm, link);
		watch_ages(dsm, link, now);
	}
	if (link->welcome.owner != DSM_NONE &&
	    !(atomic_load_explicit(&dsm->attention, memory_order_relaxed) & ATTEND_SUPERSEDED))
		link->ops->beat(link->conn, link->welcome.owner, ++dsm->beat);
	if (dsm->unsent && !dsm->lost)
		request_flush(dsm);
}

/* ---- waiting for the slow path, lock held ---- */

static void wait_by_hand(struct dsm *dsm)
{
	struct link *link = slow_link(dsm);
	int fd = link->ops->fd(link->conn);
	pthread_mutex_unlock(&dsm->lock);
	port_wait(&fd, dsm->lost ? 0 : 1, BY_HAND_NS);
	slow_reattach(dsm);
	pthread_mutex_lock(&dsm->lock);
	slow_step(dsm);
}

bool slow_wait(struct dsm *dsm, uint64_t deadline_ns)
{
	uint64_t now = clock_now(dsm->clock);
	if (now >= deadline_ns)
		return false;
	if (dsm->options.flags & DSM_MANUAL) {
		wait_by_hand(dsm);
		return true;
	}
	/* in slices of at most 20 ms real time, since the handle's clock may be an injected one */
	uint64_t slice = deadline_ns - now < SLICE_NS ? deadline_ns - now : SLICE_NS;
	port_cond_wait(&dsm->changed, &dsm->lock, slice);
	return true;
}
