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

static int get_client(struct control_reader *r, void *item)
{
	return control_get_client(r, item);
}

void clients_message(struct dsm *dsm, struct control_reader *r)
{
	list_take(&dsm->clients, r, sizeof(struct control_client), get_client);
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
	rc = list_fetch(dsm, &dsm->clients, CONTROL_CLIENTS, deadline_after(dsm, timeout_ms));
	const struct control_client *clients = dsm->clients.items;
	uint32_t n = rc ? 0 : dsm->clients.count;
	pthread_mutex_unlock(&dsm->lock);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct control_client *c = &clients[i];
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
