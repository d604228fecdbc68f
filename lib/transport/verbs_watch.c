/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: what the slow path watches without asking anybody: heartbeat, owner lines, counters, and
 * the pulses of groups with a maximum age. READs on the control pair, posted in one pass and taken
 * in a later one; a READ's success says nothing about the engine's life, only a heartbeat that
 * moves does. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/error.h"
#include "transport/verbs.h"

#define WATCH_NS UINT64_C(1500000000)   /* longer than the device's own attempts take */

int verbs_watch_init(struct transport_conn *conn)
{
	uint32_t lines = conn->header.owner_count * (uint32_t)sizeof(struct owner_line);
	conn->watch_lines = round_up(sizeof(struct region_header), DSM_LINE) & UINT32_MAX;
	conn->watch_counters = conn->watch_lines + lines;
	conn->watch_pulses = conn->watch_counters + DSM_COUNTERS * 8;
	int rc = pages_make(&conn->watch_pages, conn->pd, conn->watch_pulses + 8 * VERBS_AGES,
		IBV_ACCESS_LOCAL_WRITE);
	if (rc)
		return rc;
	/* once by the read pair, so that the first look at the handle finds owners */
	if (!verbs_enter(conn))
		return dsm__fail(-ECONNRESET, "rdma: the connection was lost");
	struct verbs_span spans[] = {
		{ conn->keys.base_addr + conn->header.owners_offset, conn->keys.base_rkey, lines,
			conn->watch_pages.at + conn->watch_lines },
		{ conn->keys.base_addr + conn->header.counters_offset, conn->keys.base_rkey,
			DSM_COUNTERS * 8, conn->watch_pages.at + conn->watch_counters } };
	rc = verbs_fetch_attaching(conn, spans, 2, conn->watch_pages.mr->lkey);
	verbs_leave(conn);
	if (rc)
		return dsm__fail(-ECONNRESET, "rdma: the engine's owner lines cannot be read");
	memcpy(conn->watch_pages.at, &conn->header, sizeof(conn->header));
	verbs_take_header(conn, conn->watch_pages.at);
	return 0;
}

static void put_words(_Atomic uint64_t *to, const unsigned char *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word;
		memcpy(&word, from + 8ull * i, sizeof(word));
		atomic_store_explicit(&to[i], word, memory_order_relaxed);
	}
}

/* A byte-torn word does no harm: heartbeats are compared for being different, an owner's state is
 * one byte, and bank epochs are not what protects memory that a network reads. */
void verbs_take_header(struct transport_conn *conn, const unsigned char *at)
{
	const struct region_header *h = (const void *)at;
	atomic_store_explicit(&conn->header.heartbeat,
		atomic_load_explicit(&h->heartbeat, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&conn->header.state,
		atomic_load_explicit(&h->state, memory_order_relaxed), memory_order_relaxed);
	put_words((void *)conn->lines, at + conn->watch_lines,
		conn->header.owner_count * (uint32_t)(sizeof(struct owner_line) / 8));
	put_words(conn->counters, at + conn->watch_counters, DSM_COUNTERS);
}

static uint32_t add(struct ibv_send_wr *wr, struct ibv_sge *sge, uint32_t n,
	const struct transport_conn *conn, uint64_t remote, uint32_t rkey, uint32_t local, uint32_t bytes)
{
	sge[n] = (struct ibv_sge){ (uintptr_t)conn->watch_pages.at + local, bytes,
		conn->watch_pages.mr->lkey };
	wr[n] = (struct ibv_send_wr){ .wr_id = n, .sg_list = &sge[n], .num_sge = 1,
		.opcode = IBV_WR_RDMA_READ, .wr.rdma = { remote, rkey } };
	if (n)
		wr[n - 1].next = &wr[n];
	return n + 1;
}

/* Pulses in turns, so that many groups with a maximum age make no long chains. A bank that is not
 * adopted yet is skipped. */
static uint32_t add_ages(struct transport_conn *conn, struct ibv_send_wr *wr, struct ibv_sge *sge,
	uint32_t n)
{
	uint32_t looked = 0;
	conn->age_asked = 0;
	for (; conn->age_asked < VERBS_AGES && looked < conn->age_count; looked++) {
		uint32_t index = conn->ages[(conn->age_next + looked) % conn->age_count];
		const struct directory_group *g = &conn->view->groups[index];
		/* one that moved: the handle's thread has not taken it into use yet, the old key is void */
		const struct verbs_bank *bank = conn->moved[g->owner].present ? &conn->moved[g->owner] :
			&conn->banks[g->owner];
		if (!bank->present || !bank->addr)
			continue;
		conn->age_groups[conn->age_asked] = index;
		n = add(wr, sge, n, conn, bank->addr + g->pulse_offset, bank->rkey,
			conn->watch_pulses + 8 * conn->age_asked++, 8);
	}
	if (conn->age_count)
		conn->age_next = (conn->age_next + looked) % conn->age_count;
	return n;
}

void verbs_watch(struct transport_conn *conn)
{
	struct ibv_send_wr wr[3 + VERBS_AGES], *bad;
	struct ibv_sge sge[3 + VERBS_AGES];
	uint64_t now = clock_now(&clock_system);
	uint64_t base = conn->keys.base_addr;
	/* a device that neither completes nor fails what it was given (its link was down, say) */
	if (conn->watching && now - conn->watch_ns > WATCH_NS)
		verbs_lost(conn, -ETIMEDOUT);
	if (conn->watching || conn->endpoint.broken || !conn->watch_pages.at ||
	    now - conn->watch_ns < conn->header.tick_ms * UINT64_C(500000))
		return;
	uint32_t rkey = conn->keys.base_rkey;
	uint32_t n = add(wr, sge, 0, conn, base, rkey, 0, sizeof(struct region_header));
	n = add(wr, sge, n, conn, base + conn->header.owners_offset, rkey, conn->watch_lines,
		conn->header.owner_count * (uint32_t)sizeof(struct owner_line));
	n = add(wr, sge, n, conn, base + conn->header.counters_offset, rkey, conn->watch_counters,
		DSM_COUNTERS * 8);
	n = add_ages(conn, wr, sge, n);
	wr[n - 1].send_flags = IBV_SEND_SIGNALED;
	conn->watch_ns = now;
	conn->watching = n;
	if (ibv_post_send(conn->control.qp, wr, &bad))
		verbs_lost(conn, -EIO);
}

/* The endpoint found a completion that is not its own. */
void verbs_watched(void *context, const struct ibv_wc *wc)
{
	struct transport_conn *conn = context;
	if (wc->status != IBV_WC_SUCCESS) {
		verbs_lost(conn, rc_wc_error(wc->status));
		return;
	}
	if (!conn->watching || wc->wr_id != conn->watching - 1)
		return;
	conn->watching = 0;
	verbs_take_header(conn, conn->watch_pages.at);
	const uint64_t *pulses = (const void *)(conn->watch_pages.at + conn->watch_pulses);
	for (uint32_t i = 0; i < conn->age_asked; i++) {
		uint32_t group = conn->age_groups[i];
		if (conn->view->groups[group].owner != conn->own_owner)
			atomic_store_explicit(&conn->newest[group], pulses[i], memory_order_relaxed);
	}
}

/* ---- asked by the handle ---- */

void verbs_pulse(const struct transport_conn *conn, struct transport_pulse *out)
{
	out->heartbeat = atomic_load_explicit(&conn->header.heartbeat, memory_order_relaxed);
	out->ended = atomic_load_explicit(&conn->header.state, memory_order_relaxed) == REGION_ENDED;
}

const struct region_header *verbs_header(const struct transport_conn *conn)
{
	return &conn->header;
}

uint64_t verbs_owner_line(const struct transport_conn *conn, uint32_t owner, uint32_t *epoch,
	uint32_t *pid, uint64_t *step)
{
	const struct owner_line *line = &conn->lines[owner];
	if (epoch)
		*epoch = atomic_load_explicit(&line->epoch, memory_order_relaxed);
	if (pid)
		*pid = atomic_load_explicit(&line->pid, memory_order_relaxed);
	if (step) /* asked by the handle's thread only */
		*step = verbs_step_complete(conn, owner);
	return atomic_load_explicit(&line->bank_state, memory_order_relaxed);
}

uint64_t verbs_counter(const struct transport_conn *conn, uint32_t index)
{
	return index < DSM_COUNTERS ?
		atomic_load_explicit(&conn->counters[index], memory_order_relaxed) : 0;
}

uint64_t verbs_newest(const struct transport_conn *conn, uint32_t group)
{
	if (conn->view->groups[group].flags & DSM_GROUP_UNCHECKED)
		return UINT64_MAX; /* nobody waits for what cannot be read here: the read says why */
	return atomic_load_explicit(&conn->newest[group], memory_order_relaxed);
}
