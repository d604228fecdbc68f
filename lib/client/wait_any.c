/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting until one of several groups has a commit, of which a wait for one group is a part. */
#include <dsm/batch.h>

#include <errno.h>

#include "client/handle.h"

/* A wake-up lost to somebody's damaged waiter count costs this much, never a value. */
#define BACKSTOP_NS UINT64_C(1000000000)
#define BY_HAND_NS UINT64_C(5000000)

_Static_assert(DSM_WAIT_GROUPS == TRANSPORT_WATCH, "one list");

static int wait_ended(struct dsm *dsm, uint32_t tag)
{
	uint32_t attention = atomic_load_explicit(&dsm->attention, memory_order_acquire);
	if (attention & ATTEND_LOST)
		return dsm__fail(-ENOTCONN, "the engine was lost while waiting");
	int rc = handle_check(dsm);
	if (rc == 0 && handle_tag(dsm) != tag)
		rc = dsm__fail(-ECANCELED, "the table was replaced while waiting: look names up again");
	return rc;
}

static int out_of_time(const struct dsm *dsm, const struct transport_watch *watch)
{
	if (watch->n > 1)
		return dsm__fail(-ETIMEDOUT, "none of %u groups has a new commit in time", watch->n);
	return dsm__fail(-ETIMEDOUT, "%s: no new commit in time",
		view_text(&dsm->link->view, dsm->link->view.groups[watch->group[0]].name));
}

static uint64_t newer(const struct dsm *dsm, const struct transport_watch *watch)
{
	uint64_t mask = 0;
	for (uint32_t i = 0; i < watch->n; i++)
		if (dsm->ops->newest(dsm->conn, watch->group[i]) > watch->since[i])
			mask |= UINT64_C(1) << i;
	return mask;
}

int wait_newer(struct dsm *dsm, const struct transport_watch *watch, uint64_t deadline, uint64_t *changed)
{
	uint32_t tag = handle_tag(dsm);
	for (bool looked = false;; looked = true) {
		uint32_t woken = atomic_load_explicit(&dsm->wake, memory_order_seq_cst);
		uint64_t mask = newer(dsm, watch);
		if (mask) {
			*changed = mask;
			return 0;
		}
		int rc = wait_ended(dsm, tag);
		if (rc)
			return rc;
		uint64_t now = clock_now(dsm->clock), ns = 0;
		if (now < deadline)
			ns = deadline - now < BACKSTOP_NS ? deadline - now : BACKSTOP_NS;
		else if (looked)
			return out_of_time(dsm, watch);
		if (ns && dsm->options.flags & DSM_MANUAL) {
			rc = dsm_dispatch(dsm);
			if (rc)
				return rc;
			ns = ns < BY_HAND_NS ? ns : BY_HAND_NS; /* nobody else runs the slow path */
		}
		dsm->stats.waits += ns != 0;
		dsm->ops->wait(dsm->conn, watch, &dsm->wake, woken, ns);
	}
}

int dsm_wait_any(struct dsm *dsm, const struct dsm_group *groups, const uint64_t *since, uint32_t n,
	int timeout_ms, uint64_t *changed)
{
	uint32_t index[DSM_WAIT_GROUPS];
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!groups || !since || !changed)
		return dsm__fail(-EINVAL, "dsm_wait_any(): null pointer");
	if (n == 0 || n > DSM_WAIT_GROUPS)
		return dsm__fail(-EINVAL, "dsm_wait_any(): %u groups: 1 to %u can be waited for", n, DSM_WAIT_GROUPS);
	for (uint32_t i = 0; i < n; i++)
		if ((rc = handle_group(dsm, groups[i], &index[i])) != 0)
			return rc;
	struct transport_watch watch = { n, index, since };
	return wait_newer(dsm, &watch, deadline_after(dsm, timeout_ms), changed);
}
