/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: waiting for a commit. The engine is asked to say once when there is one, over the control pair,
 * which is not the data's; until it has, the wire is looked at only now and then. Or, if the caller has
 * chosen a period, the pulse is read that often and nobody is asked. */
#include <errno.h>

#include "core/clock.h"
#include "core/futex.h"
#include "transport/verbs.h"

#define BACKSTOP_NS UINT64_C(100000000) /* an engine that stands still tells nobody */

/* One WAIT is outstanding at most: it is answered once, and then there is none. */
static void arm(struct transport_conn *conn, uint32_t group, uint64_t since)
{
	unsigned char message[64];
	struct control_writer w;
	pthread_mutex_lock(&conn->control_lock);
	bool there = conn->wait_armed && conn->wait_group == group && conn->wait_since == since;
	if (!there && !conn->released && !conn->endpoint.broken) {
		control_begin(&w, message, sizeof(message), CONTROL_WAIT);
		control_put_u32(&w, group);
		control_put_u64(&w, since);
		conn->wait_armed = verbs_say(conn, message, control_end(&w)) == 0;
		conn->wait_group = group;
		conn->wait_since = since;
	}
	pthread_mutex_unlock(&conn->control_lock);
}

void verbs_told(struct transport_conn *conn)
{
	conn->wait_armed = false;
	atomic_fetch_add_explicit(&conn->told, 1, memory_order_release);
	futex_wake_all((const void *)&conn->told);
}

void verbs_wait(struct transport_conn *conn, uint32_t group, uint64_t since,
	const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns)
{
	uint64_t start = clock_now(&clock_system), spent = 0;
	uint64_t period = conn->poll_ns ? conn->poll_ns : BACKSTOP_NS;
	while (atomic_load_explicit(wake, memory_order_acquire) == woken && spent < ns) {
		/* before the look: what is told after it ends the sleep (pairs with the release in verbs_told()) */
		uint32_t told = atomic_load_explicit(&conn->told, memory_order_acquire);
		uint64_t pulse = 0, left = ns - spent;
		int rc = verbs_look(conn, group, &pulse);
		if (rc == 0 && pulse > since)
			return;
		if (rc == 0 && !conn->poll_ns)
			arm(conn, group, since);
		futex_wait_two((const void *)&conn->told, told, wake, woken, left < period ? left : period);
		spent = clock_now(&clock_system) - start;
	}
}
