/* SPDX-License-Identifier: Apache-2.0 */
/* What a program can ask about its handle and its engine: events, status, counters, clients. */
#include <errno.h>
#include <stdio.h>

#include "client/handle.h"
#include "core/counters.h"

int dsm_next_event(struct dsm *dsm, struct dsm_event *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_next_event(): null pointer");
	pthread_mutex_lock(&dsm->lock);
	bool any = dsm->event_count > 0;
	if (any) {
		*out = dsm->events[dsm->event_head];
		out->dropped = dsm->events_dropped;
		dsm->event_head = (dsm->event_head + 1) % EVENTS;
		dsm->event_count--;
	}
	pthread_mutex_unlock(&dsm->lock);
	return any ? 0 : dsm__fail(-EAGAIN, "no event waits");
}

int dsm_status(struct dsm *dsm, struct dsm_status *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_status(): null pointer");
	pthread_mutex_lock(&dsm->lock);
	uint32_t attention = atomic_load_explicit(&dsm->attention, memory_order_relaxed);
	*out = (struct dsm_status){
		.state = dsm->lost ? DSM_LOST : dsm->stale ? DSM_ENGINE_STALE : DSM_ATTACHED,
		.heartbeat_age_ms = (clock_now(dsm->clock) - dsm->moved_ns) / 1000000u,
		.reattached = dsm->reattached, .owner_lost = dsm->deposed,
		.unknown = attention & DSM_UNKNOWN };
	pthread_mutex_unlock(&dsm->lock);
	return 0;
}

int dsm_stats(struct dsm *dsm, struct dsm_stats *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_stats(): null pointer");
	*out = dsm->stats;
	if (dsm->ops->wakes)
		out->wakes += dsm->ops->wakes(dsm->conn);
	if (dsm->ops->told)
		out->told += dsm->ops->told(dsm->conn);
	pthread_mutex_lock(&dsm->lock);
	out->reattaches = dsm->reattached;
	out->events_dropped = dsm->events_dropped;
	pthread_mutex_unlock(&dsm->lock);
	return 0;
}

int dsm_foreach_counter(struct dsm *dsm,
	int (*fn)(const char *name, const char *what, uint64_t value, void *context), void *context)
{
#define COUNTER_ROW(id, name, what) { name, what },
	static const struct { const char *name, *what; } rows[] = { COUNTER_LIST(COUNTER_ROW) };
	int rc = handle_check(dsm);
	if (rc == 0 && !fn)
		rc = dsm__fail(-EINVAL, "dsm_foreach_counter(): null pointer");
	for (uint32_t i = 0; rc == 0 && i < COUNTER_COUNT; i++)
		rc = fn(rows[i].name, rows[i].what, dsm->ops->counter(dsm->conn, i), context);
	return rc;
}

static int fetch_clients(struct dsm *dsm, uint64_t deadline)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	if (dsm->lost)
		return dsm__fail(-ENOTCONN, "the engine is gone");
	dsm->client_count = 0;
	control_begin(&w, message, sizeof(message), CONTROL_CLIENTS);
	int rc = dsm->ops->send(dsm->conn, message, control_end(&w));
	if (rc)
		return dsm__fail(rc, "the engine cannot be asked: %s", dsm_strerror(rc));
	dsm->clients_asked = true;
	while (dsm->clients_asked)
		if (dsm->lost || !slow_wait(dsm, deadline)) {
			dsm->clients_asked = false;
			return dsm__fail(-ETIMEDOUT, "the engine does not answer");
		}
	return 0;
}

int dsm_foreach_client(struct dsm *dsm, int timeout_ms,
	int (*fn)(const struct dsm_client_info *info, void *context), void *context)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!fn)
		return dsm__fail(-EINVAL, "dsm_foreach_client(): null pointer");
	pthread_mutex_lock(&dsm->lock);
	rc = fetch_clients(dsm, deadline_after(dsm, timeout_ms));
	uint32_t n = rc ? 0 : dsm->client_count;
	pthread_mutex_unlock(&dsm->lock);
	/* only this thread asks again, so the list stands still */
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct control_client *c = &dsm->clients[i];
		struct dsm_client_info info = { .session = c->session, .pid = c->pid, .uid = c->uid,
			.age_ms = c->age_ms, .requests = c->requests, .messages = c->messages };
		snprintf(info.program, sizeof(info.program), "%s", c->program);
		snprintf(info.role, sizeof(info.role), "%s", c->role);
		snprintf(info.transport, sizeof(info.transport), "%s", c->transport);
		snprintf(info.address, sizeof(info.address), "%s", c->address);
		rc = fn(&info, context);
	}
	return rc;
}
