/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: waiting for commits. The engine is asked to say once when there is one, over the control pair,
 * which is not the data's; until it has, the wire is looked at only now and then. Or, if the caller has
 * chosen a period, the pulses are read that often and nobody is asked. */
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/futex.h"
#include "transport/verbs.h"

#define BACKSTOP_NS UINT64_C(100000000) /* an engine that stands still tells nobody */

static bool newer(const struct transport_conn *conn, const struct transport_watch *watch)
{
	for (uint32_t i = 0; i < watch->n; i++)
		if (verbs_newest(conn, watch->group[i]) > watch->since[i])
			return true;
	return false;
}

/* control_lock held: will the engine answer for exactly these? */
static bool is_armed(const struct transport_conn *conn, const struct transport_watch *watch)
{
	const struct control_wait *list = &conn->waits;
	return conn->wait_armed && list->n == watch->n &&
		memcmp(list->group, watch->group, watch->n * sizeof(*watch->group)) == 0 &&
		memcmp(list->since, watch->since, watch->n * sizeof(*watch->since)) == 0;
}

/* One WAIT is outstanding at most: it is answered once, and then there is none. */
static void arm(struct transport_conn *conn, const struct transport_watch *watch)
{
	unsigned char message[CONTROL_HEAD + 4 + 12 * CONTROL_WAIT_MAX];
	struct control_writer w;
	_Static_assert(TRANSPORT_WATCH <= CONTROL_WAIT_MAX, "a list fits into a message");
	pthread_mutex_lock(&conn->control_lock);
	if (!is_armed(conn, watch) && !conn->released && !conn->endpoint.broken) {
		conn->waits.number++;
		conn->waits.n = watch->n;
		memcpy(conn->waits.group, watch->group, watch->n * sizeof(*watch->group));
		memcpy(conn->waits.since, watch->since, watch->n * sizeof(*watch->since));
		control_begin(&w, message, sizeof(message), CONTROL_WAIT);
		control_put_wait(&w, &conn->waits);
		conn->wait_armed = verbs_say(conn, message, control_end(&w)) == 0;
	}
	pthread_mutex_unlock(&conn->control_lock);
}

/* The engine has seen a pulse above `since`: that much is known without a READ, as a hint. */
void verbs_told(struct transport_conn *conn, uint32_t number, uint64_t mask)
{
	const struct control_wait *list = &conn->waits;
	if (!conn->wait_armed || number != list->number)
		return; /* of a list whose place another one has taken */
	for (uint32_t i = 0; i < list->n; i++) {
		uint64_t known = atomic_load_explicit(&conn->newest[list->group[i]], memory_order_relaxed);
		if (mask >> i & 1 && known <= list->since[i] &&
		    conn->view->groups[list->group[i]].owner != conn->own_owner)
			atomic_store_explicit(&conn->newest[list->group[i]], list->since[i] + 1, memory_order_relaxed);
	}
	conn->wait_armed = false;
	atomic_fetch_add_explicit(&conn->told, 1, memory_order_release);
	futex_wake_all((const void *)&conn->told);
}

uint64_t verbs_told_times(const struct transport_conn *conn)
{
	return atomic_load_explicit(&conn->told, memory_order_relaxed);
}

/* Not while the engine has been asked: it knows sooner. */
static int look_if_due(struct transport_conn *conn, const struct transport_watch *watch, uint64_t now)
{
	pthread_mutex_lock(&conn->control_lock);
	bool armed = is_armed(conn, watch);
	pthread_mutex_unlock(&conn->control_lock);
	if (armed && now - conn->looked_ns < BACKSTOP_NS)
		return 0;
	int rc = verbs_look(conn, watch->group, watch->n);
	if (rc == 0)
		conn->looked_ns = now;
	return rc;
}

void verbs_wait(struct transport_conn *conn, const struct transport_watch *watch,
	const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns)
{
	uint64_t start = clock_now(&clock_system), spent = 0;
	uint64_t period = conn->poll_ns ? conn->poll_ns : BACKSTOP_NS;
	/* without time: one look */
	for (bool looked = ns != 0; !looked || (spent < ns && atomic_load_explicit(wake, memory_order_acquire) == woken);
	     looked = true) {
		/* before the look: what is told after it ends the sleep (pairs with the release in verbs_told()) */
		struct futex_word told = { (const void *)&conn->told,
			atomic_load_explicit(&conn->told, memory_order_acquire) };
		if (newer(conn, watch))
			return;
		int rc = look_if_due(conn, watch, start + spent);
		if (newer(conn, watch))
			return;
		if (rc == 0 && !conn->poll_ns)
			arm(conn, watch);
		if (ns > spent) {
			uint64_t left = ns - spent;
			futex_wait_any(&told, 1, wake, woken, left < period ? left : period);
			spent = clock_now(&clock_system) - start;
		}
	}
}
