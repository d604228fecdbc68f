/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: clients that wait for a commit without looking at the wire. Each is told once and has to ask
 * again, so a client that does not listen costs one message. One timer of a millisecond runs while
 * somebody waits, and else none. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/verbs.h"

#define LOOK_NS 1000000

static void run_timer(struct verbs *v, bool on)
{
	struct itimerspec every = { 0 };
	every.it_value.tv_nsec = every.it_interval.tv_nsec = on ? LOOK_NS : 0;
	timerfd_settime(v->timer_fd, 0, &every, NULL);
}

static int need_timer(struct dsm_engine *e)
{
	struct verbs *v = e->verbs;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = SERVER_TAG_VERBS_TIMER };
	if (v->timer_fd >= 0)
		return 0;
	v->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->timer_fd >= 0 && epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, v->timer_fd, &ev) == 0)
		return 0;
	dsm__fail(-errno, "rdma: no timer for who waits: %s; they look for themselves", strerror(errno));
	verbs_trouble(e);
	if (v->timer_fd >= 0)
		close(v->timer_fd);
	v->timer_fd = -1;
	return -EIO;
}

void remote_disarm(struct remote *r)
{
	struct verbs *v = r->session.engine->verbs;
	if (r->armed && --v->armed == 0)
		run_timer(v, false);
	r->armed = false;
}

/* The pulse of a bank that a network writes is a hint: who is told looks himself. */
static void look(struct remote *r)
{
	const struct region *region = r->session.engine->region;
	const struct control_wait *list = &r->waits;
	uint64_t mask = 0;
	for (uint32_t i = 0; i < list->n; i++)
		if (list->group[i] < region->view.group_count && /* else: of the table before this one */
		    atomic_load_explicit(region->rings[list->group[i]].pulse, memory_order_acquire) > list->since[i])
			mask |= UINT64_C(1) << i;
	if (mask == 0)
		return;
	remote_disarm(r);
	server_tell(&r->session, CONTROL_NEWER, list->number, mask);
}

void remote_arm(struct session *s, const struct control_wait *list)
{
	struct remote *r = (struct remote *)s;
	struct verbs *v = s->engine->verbs;
	if (need_timer(s->engine))
		return;
	if (!r->armed && v->armed++ == 0)
		run_timer(v, true);
	r->armed = true;
	r->waits = *list;
	look(r);
}

void verbs_timer(struct dsm_engine *e)
{
	uint64_t fired;
	if (read(e->verbs->timer_fd, &fired, sizeof(fired)) != sizeof(fired))
		return;
	for (struct session *s = e->sessions; s && e->verbs->armed; s = s->next)
		if (s->ops == &remote_ops && !s->dead && ((struct remote *)s)->armed)
			look((struct remote *)s);
}
