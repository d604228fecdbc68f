/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: an owner tells the engine which groups it has committed, so that who sleeps on the engine's
 * machine is woken. Commits leave bits; a message takes all of them. After a quiet while it goes out
 * with the commit, then at most once in NOTIFY_NS: saturating commits are not slowed down by messages
 * that the engine has to answer. A timer in fd() sees to the last ones of a burst. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/hooks.h"
#include "transport/verbs.h"

#define NOTIFY_NS 1000000

static const struct directory_owner *own(const struct transport_conn *conn)
{
	return &conn->view->owners[conn->own_owner];
}

int verbs_notify_init(struct transport_conn *conn)
{
	struct epoll_event e = { .events = EPOLLIN };
	conn->notify = calloc(own(conn)->group_count / 64 + 1, sizeof(*conn->notify));
	if (!conn->notify)
		return dsm__fail(-ENOMEM, "no memory for %u own groups", own(conn)->group_count);
	conn->notify_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (conn->notify_timer < 0 || epoll_ctl(conn->epoll, EPOLL_CTL_ADD, conn->notify_timer, &e))
		return dsm__fail(-errno, "cannot make a timer: %s", strerror(errno));
	return 0;
}

/* Once for all commits that wait for it. */
static void later(struct transport_conn *conn)
{
	const struct itimerspec t = { .it_value = { 0, NOTIFY_NS } };
	if (!atomic_exchange_explicit(&conn->notify_armed, 1, memory_order_seq_cst))
		timerfd_settime(conn->notify_timer, 0, &t, NULL);
}

void verbs_committed(struct transport_conn *conn, const uint32_t *groups, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = groups[i] - own(conn)->first_group;
		atomic_fetch_or_explicit(&conn->notify[at / 64], UINT64_C(1) << at % 64, memory_order_relaxed);
	}
	/* release: who takes the request finds the bits */
	atomic_store_explicit(&conn->notify_wanted, 1, memory_order_release);
	uint64_t now = clock_now(&clock_system);
	if (now - atomic_load_explicit(&conn->notified_ns, memory_order_relaxed) < NOTIFY_NS ||
	    pthread_mutex_trylock(&conn->control_lock)) {
		later(conn);
		return;
	}
	endpoint_flush(&conn->endpoint);
	verbs_notify(conn);
	pthread_mutex_unlock(&conn->control_lock);
}

static void put_bits(struct transport_conn *conn)
{
	unsigned char message[1024];
	struct control_writer w;
	const struct directory_owner *o = own(conn);
	control_begin(&w, message, sizeof(message), CONTROL_NOTIFY);
	for (uint32_t word = 0; word <= o->group_count / 64; word++) {
		uint64_t bits = atomic_exchange_explicit(&conn->notify[word], 0, memory_order_relaxed);
		for (; bits; bits &= bits - 1) {
			control_put_u32(&w, o->first_group + 64 * word + (uint32_t)__builtin_ctzll(bits));
			if (w.room - w.size >= 4)
				continue;
			verbs_say(conn, message, control_end(&w));
			control_begin(&w, message, sizeof(message), CONTROL_NOTIFY);
		}
	}
	if (w.entries)
		verbs_say(conn, message, control_end(&w));
}

/* While one is on its way the next commits only leave their bits. */
void verbs_notify(struct transport_conn *conn)
{
	uint64_t expired;
	struct endpoint *ep = &conn->endpoint;
	if (conn->own_owner == DSM_NONE || !conn->notify || DSM_NOTIFY_MUTED())
		return;
	/* disarmed before the request is looked at: a commit either finds it so and arms it again, or its
	 * request is seen here (pairs with later()) */
	if (atomic_load_explicit(&conn->notify_armed, memory_order_relaxed) &&
	    read(conn->notify_timer, &expired, sizeof(expired)) == sizeof(expired))
		atomic_exchange_explicit(&conn->notify_armed, 0, memory_order_seq_cst);
	if (conn->released || ep->broken || !stream_idle(&ep->stream) || ~ep->sends_free ||
	    !atomic_exchange_explicit(&conn->notify_wanted, 0, memory_order_acq_rel))
		return;
	atomic_store_explicit(&conn->notified_ns, clock_now(&clock_system), memory_order_relaxed);
	put_bits(conn);
}
