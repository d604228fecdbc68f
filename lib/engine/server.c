/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's thread: one epoll over listening socket, sessions, owners' pidfds and the tick.
 * One client can neither stall it nor another client: nothing here blocks, and who does not
 * read what is sent to him is cut off. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"

#define TAG_LISTEN 1u
#define TAG_TIMER 2u
#define TAG_STOP 3u
#define TAG_PIDFD 5u  /* | owner << 3 */
#define EVENTS_A_BATCH 64
#define HELLO_DEADLINE_NS (5 * UINT64_C(1000000000))
#define MESSAGES_A_TURN 32  /* then the next session has its turn */

/* ---- sessions ---- */

void server_add(struct dsm_engine *e, struct session *s)
{
	s->engine = e;
	s->id = ++e->next_session;
	s->owner = DSM_NONE;
	s->since_ns = clock_now(e->clock);
	s->next = e->sessions;
	e->sessions = s;
	e->session_count++;
	atomic_store_explicit(&e->region->counters[COUNTER_SESSIONS], e->session_count,
		memory_order_relaxed);
}

void server_drop(struct session *s)
{
	s->dead = true;
}

static void session_free(struct session *s)
{
	struct dsm_engine *e = s->engine;
	owners_session_gone(s, false);
	if (s->record) {
		s->record->session = NULL;
		s->record->away_ns = clock_now(e->clock);
	}
	s->ops->free(s);
	e->freed++;
	e->session_count--;
	atomic_store_explicit(&e->region->counters[COUNTER_SESSIONS], e->session_count,
		memory_order_relaxed);
}

void server_sweep(struct dsm_engine *e)
{
	/* freeing one may mark others (an owner's death tells its requesters), so: until none is left */
	for (struct session **at = &e->sessions; *at;) {
		struct session *s = *at;
		if (!s->dead) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		session_free(s);
		at = &e->sessions;
	}
}

void server_send(struct session *s, size_t bytes, const void *message)
{
	if (!s->dead)
		server_sent(s, s->ops->send(s, message, bytes));
}

void server_sent(struct session *s, int rc)
{
	if (rc == -EAGAIN)
		region_count(s->engine->region, COUNTER_SLOW_CLIENTS, 1);
	if (rc)
		server_drop(s);
}

void server_tell(struct session *s, uint32_t kind, uint32_t owner, uint64_t value)
{
	unsigned char message[64];
	struct control_writer w;
	struct control_event event = { kind, owner, value };
	control_begin(&w, message, sizeof(message), CONTROL_EVENT);
	control_put_event(&w, &event);
	server_send(s, control_end(&w), message);
}

void server_tell_all(struct dsm_engine *e, uint32_t kind, uint32_t owner, uint64_t value)
{
	for (struct session *s = e->sessions; s; s = s->next)
		if (s->greeted)
			server_tell(s, kind, owner, value);
}

/* ---- what epoll brings ---- */

static void serve(struct session *s)
{
	struct dsm_engine *e = s->engine;
	for (int i = 0; i < MESSAGES_A_TURN && !s->dead; i++) {
		int rc = s->ops->receive(s, e->message, CONTROL_MAX);
		if (rc == -EAGAIN)
			return;
		if (rc < 0)
			server_drop(s);
		else
			session_message(s, e->message, (size_t)rc);
	}
}

static void session_tick(struct session *s, uint64_t now)
{
	int rc = !s->dead && s->ops->tick ? s->ops->tick(s, now) : 0;
	if (rc > 0)
		serve(s);
	/* a place is for who says what he wants */
	if (rc < 0 || (!s->greeted && now - s->since_ns > HELLO_DEADLINE_NS))
		server_drop(s);
}

/* This thread was not run for long: who was silent meanwhile could not be heard. */
static bool stood_still(const struct dsm_engine *e, uint64_t now)
{
	return now - e->tick_ns > e->options.lease_ms * UINT64_C(500000);
}

static void tick(struct dsm_engine *e)
{
	uint64_t fired, now = clock_now(e->clock);
	if (read(e->timer_fd, &fired, sizeof(fired)) < 0 && errno != EAGAIN)
		return;
	bool late = stood_still(e, now);
	if (late)
		region_count(e->region, COUNTER_TICKS_MISSED, 1);
	e->tick_ns = now;
	atomic_fetch_add_explicit(&e->region->header->heartbeat, 1, memory_order_release);
	owners_tick(e, now, late);
	for (struct session *s = e->sessions; s; s = s->next)
		session_tick(s, now);
	verbs_tick(e, now);
	udp_tick(e, now);
	requests_tick(e, now);
	if (e->state_file && e->options.save_interval_ms && now >= e->save_due_ns) {
		e->save_due_ns = now + e->options.save_interval_ms * UINT64_C(1000000);
		e->save_now = true;
		pthread_cond_broadcast(&e->save_wanted);
	}
}

static void handle(struct dsm_engine *e, const struct epoll_event *ev)
{
	uint64_t tag = ev->data.u64, now = clock_now(e->clock);
	if (tag == TAG_LISTEN)
		local_accept(e);
	else if (tag == TAG_TIMER)
		tick(e);
	else if (tag == SERVER_TAG_VERBS)
		verbs_events(e);
	else if (tag == SERVER_TAG_VERBS_TIMER)
		verbs_timer(e);
	else if (tag == SERVER_TAG_UDP)
		udp_events(e);
	else if (tag == SERVER_TAG_UDP_TIMER)
		udp_timer(e);
	else if ((tag & 7) == TAG_PIDFD)
		owners_tick(e, now, stood_still(e, now));
	else if (tag != TAG_STOP)
		serve(ev->data.ptr);
}

static void *run(void *context)
{
	struct dsm_engine *e = context;
	struct epoll_event events[EVENTS_A_BATCH];
	uint64_t freed = 0;
	for (;;) {
		bool more = udp_has_more(e);
		int n = epoll_wait(e->epoll_fd, events, EVENTS_A_BATCH, more || udp_spins(e) ? 0 : -1);
		if (n == 0 && !more)
			continue;
		pthread_mutex_lock(&e->lock);
		if (e->stop) {
			pthread_mutex_unlock(&e->lock);
			return NULL;
		}
		if (more)
			udp_events(e);
		/* an API call may have freed a session while we waited for the lock; what was
		 * ready then is ready still and comes again */
		for (int i = 0; i < n && freed == e->freed; i++)
			handle(e, &events[i]);
		server_sweep(e);
		freed = e->freed;
		pthread_mutex_unlock(&e->lock);
	}
}

/* ---- start and stop ---- */

static int watch(struct dsm_engine *e, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };
	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int server_start(struct dsm_engine *e)
{
	struct itimerspec every = { 0 };
	sigset_t all, before;
	every.it_interval.tv_nsec = (long)(e->options.tick_ms % 1000) * 1000000;
	every.it_interval.tv_sec = e->options.tick_ms / 1000;
	every.it_value = every.it_interval;
	int rc = local_listen(e);
	if (rc == 0)
		rc = verbs_start(e);
	if (rc == 0)
		rc = udp_start(e);
	if (rc)
		return rc;
	e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	e->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->timer_fd < 0 || e->stop_fd < 0 || timerfd_settime(e->timer_fd, 0, &every, NULL) ||
	    watch(e, e->listen_fd, TAG_LISTEN) || watch(e, e->timer_fd, TAG_TIMER) ||
	    watch(e, e->stop_fd, TAG_STOP))
		return dsm__fail(-errno, "cannot set up the server: %s", strerror(errno));
	e->tick_ns = clock_now(e->clock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&e->thread, NULL, run, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return dsm__fail(-rc, "cannot start the server's thread: %s", strerror(rc));
	e->thread_running = true;
	return 0;
}

void server_stop(struct dsm_engine *e)
{
	uint64_t one = 1;
	if (!e->thread_running)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_mutex_unlock(&e->lock);
	if (write(e->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(e->thread, NULL);
	e->thread_running = false;
}
