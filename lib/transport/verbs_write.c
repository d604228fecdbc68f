/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: an owner's commits. A slot is composed in registered memory and goes out as plain WRITEs,
 * then its pulse; the source is not touched before its completion, because a retransmission would
 * mix two commits. After an error nothing is reposted: the slot's fate is not known, so the role
 * is granted anew and the image comes from the ring. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/step.h"
#include "transport/verbs.h"

#define CHAIN_MAX 64u
#define WRITE_SENDS (CHAIN_MAX + 4u)
#define WRITE_NS UINT64_C(2000000000)   /* for one chain; the device gives up before that */
#define CHAIN_BYTES (UINT64_C(2) << 20) /* of one chain, so that 1 MB/s is enough */
#define STEP_OFFSET offsetof(struct bank_header, step_complete)
/* From step complete to where the bank's rings begin. It spans the heartbeat of an owner on the
 * engine's machine, which a remote one does not use. */
#define STEP_SOURCE (sizeof(struct bank_header) + DSM_LINE - STEP_OFFSET)

static const struct directory_group *group_of(const struct transport_conn *conn, uint32_t group)
{
	return &conn->view->groups[group];
}

static const struct directory_owner *own(const struct transport_conn *conn)
{
	return &conn->view->owners[conn->own_owner];
}

/* ---- grant ---- */

static int make_source(struct transport_conn *conn)
{
	const struct directory_owner *o = own(conn);
	uint64_t at = STEP_SOURCE;
	conn->source_at = calloc(o->group_count ? o->group_count : 1, sizeof(*conn->source_at));
	conn->chain = calloc(CHAIN_MAX, sizeof(*conn->chain));
	conn->chain_sge = calloc(CHAIN_MAX, sizeof(*conn->chain_sge));
	if (!conn->source_at || !conn->chain || !conn->chain_sge)
		return dsm__fail(-ENOMEM, "no memory for %u own groups", o->group_count);
	for (uint32_t i = 0; i < o->group_count; i++) {
		const struct directory_group *g = group_of(conn, o->first_group + i);
		conn->source_at[i] = at;
		if (!(g->flags & DSM_GROUP_UNCHECKED))
			at += g->slot_bytes + DSM_LINE; /* slot, then the pulse word */
	}
	return pages_make(&conn->source, conn->write.pd, at, 0);
}

/* The newest seq of each own group, exact: nobody else writes them from here on. */
int verbs_load_pulses(struct transport_conn *conn)
{
	const struct directory_owner *o = own(conn);
	int rc = verbs_bank_there(conn, conn->own_owner);
	for (uint32_t first = 0; rc == 0 && first < o->group_count; first += VERBS_CHAIN) {
		struct verbs_span spans[VERBS_CHAIN];
		uint32_t n = o->group_count - first < VERBS_CHAIN ? o->group_count - first : VERBS_CHAIN;
		const uint64_t *words = (const void *)conn->ring_pages.at;
		for (uint32_t i = 0; i < n; i++)
			spans[i] = (struct verbs_span){ conn->banks[conn->own_owner].addr +
				group_of(conn, o->first_group + first + i)->pulse_offset,
				conn->banks[conn->own_owner].rkey, 8, conn->ring_pages.at + 8 * i };
		rc = verbs_fetch_attaching(conn, spans, n, conn->ring_pages.mr->lkey);
		for (uint32_t i = 0; rc == 0 && i < n; i++)
			atomic_store_explicit(&conn->newest[o->first_group + first + i], words[i],
				memory_order_relaxed);
	}
	return rc;
}

int verbs_granted(struct transport_conn *conn, uint32_t owner)
{
	if (owner >= conn->view->owner_count)
		return dsm__fail(-EBADMSG, "the engine granted an owner that the table does not have");
	if (conn->keys.own_bytes < conn->view->owners[owner].bank_bytes)
		return dsm__fail(-EBADMSG, "rdma: the engine granted a role, but its bank cannot be written");
	conn->own_owner = owner;
	int rc = verbs_notify_init(conn);
	if (rc)
		return rc;
	conn->write.pd = ibv_alloc_pd(conn->verbs);
	if (!conn->write.pd)
		return dsm__fail(-errno, "rdma: no protection domain: %s", strerror(errno));
	rc = verbs_queue_open(conn, &conn->write, conn->write.pd, WRITE_SENDS, VERBS_WRITE);
	if (rc)
		return rc;
	conn->inline_bytes = rc_inline(conn->write.pair.qp);
	return make_source(conn);
}

/* ---- chain ---- */

static int may_write(const struct transport_conn *conn)
{
	if (!atomic_load_explicit(&conn->write_broken, memory_order_relaxed))
		return 0;
	return dsm__fail(-EOWNERDEAD, "owner \"%s\" can no longer be written: it was given to somebody else, "
		"or the connection broke; what was not acknowledged may be there or not",
		view_text(conn->view, own(conn)->name));
}

static int lost(struct transport_conn *conn)
{
	int rc = may_write(conn);
	return rc ? rc : dsm__fail(-ENOTCONN, "the engine is gone; what was not acknowledged may be there or not");
}

/* One call for all that is chained; the last one tells when it is done. */
static int post(struct transport_conn *conn)
{
	struct ibv_send_wr *bad;
	uint32_t n = conn->chained;
	if (n == 0)
		return 0;
	conn->chain[n - 1].next = NULL;
	conn->chain[n - 1].send_flags |= IBV_SEND_SIGNALED;
	conn->chain[n - 1].wr_id = ++conn->write.posted;
	conn->chained = 0;
	conn->chained_bytes = 0;
	if (ibv_post_send(conn->write.pair.qp, conn->chain, &bad) == 0)
		return 0;
	atomic_store(&conn->write_broken, -EIO);
	return -ENOTCONN;
}

static int wait_for(struct transport_conn *conn, uint64_t ticket)
{
	int rc = verbs_await(conn, &conn->write, ticket, WRITE_NS);
	if (rc == -EAGAIN) { /* its source must not be touched any more: the pair is of no use */
		atomic_store(&conn->write_broken, -ETIMEDOUT);
		rc = -ENOTCONN;
	}
	return rc;
}

/* WRITE of `bytes` at `source` to `offset` in the own bank. */
static int append(struct transport_conn *conn, uint64_t source, uint64_t offset, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes;) {
		uint32_t piece = (uint32_t)(bytes - at < VERBS_PIECE ? bytes - at : VERBS_PIECE);
		if (conn->chained == CHAIN_MAX || conn->chained_bytes + piece > CHAIN_BYTES) {
			int rc = post(conn);
			if (rc == 0)
				rc = wait_for(conn, conn->write.posted);
			if (rc)
				return rc;
		}
		uint32_t i = conn->chained++;
		conn->chain_sge[i] = (struct ibv_sge){ (uintptr_t)conn->source.at + source + at, piece,
			conn->source.mr->lkey };
		conn->chain[i] = (struct ibv_send_wr){ .sg_list = &conn->chain_sge[i], .num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = piece <= conn->inline_bytes ? IBV_SEND_INLINE : 0,
			.wr.rdma = { conn->keys.own_addr + offset + at, conn->keys.own_rkey } };
		if (i)
			conn->chain[i - 1].next = &conn->chain[i];
		conn->chained_bytes += piece;
		at += piece;
	}
	return 0;
}

/* ---- commits ---- */

static uint64_t *source_slot(const struct transport_conn *conn, uint32_t group)
{
	return (void *)(conn->source.at + conn->source_at[group - own(conn)->first_group]);
}

/* A step that failed half-way has left something in the chain: it goes out before its source is
 * written again. */
static int settle(struct transport_conn *conn, uint32_t group)
{
	uintptr_t slot = (uintptr_t)source_slot(conn, group);
	bool there = false;
	for (uint32_t i = 0; i < conn->chained; i++)
		there |= conn->chain_sge[i].addr == slot;
	if (!there)
		return 0;
	int rc = post(conn);
	return rc ? rc : wait_for(conn, conn->write.posted);
}

/* Header around the payload that stands in the source, then slot and pulse into the chain. */
static int send_slot(struct transport_conn *conn, uint32_t group, const struct check_fields *f)
{
	const struct directory_group *g = group_of(conn, group);
	uint64_t *slot = source_slot(conn, group);
	uint64_t pulse_at = conn->source_at[group - own(conn)->first_group] + g->slot_bytes;
	slot[0] = f->seq;
	slot[1] = f->epoch_length;
	slot[2] = f->time;
	slot[3] = f->step;
	slot[4] = check_word(check_seed(conn->header.generation, group), f, slot + DSM_SLOT_HEADER / 8,
		g->payload_bytes);
	memcpy(conn->source.at + pulse_at, &f->seq, sizeof(f->seq));
	int rc = append(conn, conn->source_at[group - own(conn)->first_group],
		g->ring_offset + (f->seq & (g->slots - 1)) * g->slot_bytes, g->slot_bytes);
	if (rc == 0)
		rc = append(conn, pulse_at, g->pulse_offset, sizeof(f->seq));
	if (rc == 0)
		atomic_store_explicit(&conn->newest[group], f->seq, memory_order_relaxed);
	return rc;
}

static int checked(const struct transport_conn *conn, uint32_t group)
{
	const struct directory_group *g = group_of(conn, group);
	if (g->flags & DSM_GROUP_UNCHECKED)
		return dsm__fail(-EMSGSIZE, "%s: %llu bytes are too many for a network",
			view_text(conn->view, g->name), (unsigned long long)g->payload_bytes);
	return may_write(conn);
}

int verbs_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	int rc = checked(conn, group);
	if (rc)
		return rc;
	if (!verbs_enter(conn))
		return lost(conn);
	rc = settle(conn, group);
	if (rc == 0) {
		memcpy(source_slot(conn, group) + DSM_SLOT_HEADER / 8, image, group_of(conn, group)->payload_bytes);
		rc = send_slot(conn, group, fields);
	}
	verbs_leave(conn);
	return rc ? lost(conn) : 0;
}

#ifdef DSM_TEST_HOOKS
/* A test has the owner die when only a part of the chain has landed: half of a slot, slots without
 * their pulses, or pulses (8 bytes long) without their slots. */
static void die_half_sent(struct transport_conn *conn)
{
	bool half = dsm__point_is("verbs-half-slot"), slots = dsm__point_is("verbs-slot-only");
	bool pulses = dsm__point_is("verbs-pulse-only");
	uint32_t kept = 0;
	DSM_POINT("verbs-before-post");
	if (!half && !slots && !pulses)
		return;
	for (uint32_t i = 0; i < conn->chained; i++) {
		if ((conn->chain_sge[i].length == sizeof(uint64_t)) != pulses)
			continue;
		conn->chain_sge[kept] = conn->chain_sge[i];
		conn->chain[kept] = conn->chain[i];
		conn->chain[kept].sg_list = &conn->chain_sge[kept];
		if (kept)
			conn->chain[kept - 1].next = &conn->chain[kept];
		conn->chain_sge[kept].length /= half ? 2 : 1;
		kept++;
	}
	conn->chained = kept;
	if (post(conn) == 0)
		wait_for(conn, conn->write.posted);
	raise(SIGKILL);
}
#else
static void die_half_sent(struct transport_conn *conn) { (void)conn; }
#endif

/* The first group's pulse ends the bank's header, so that it goes out in one WRITE with step complete:
 * a commit of an owner with one small group is two WRITEs. */
static uint64_t step_span(struct transport_conn *conn, uint32_t group, uint32_t n)
{
	const struct directory_owner *o = own(conn);
	uint64_t pulse_at = group_of(conn, group)->pulse_offset - STEP_OFFSET;
	if (n != 1 || group != o->first_group || pulse_at != STEP_SOURCE - DSM_PULSE_BYTES ||
	    conn->chained < 2)
		return 2 * sizeof(uint64_t);
	conn->chained--; /* send_slot()'s WRITE of the pulse */
	memcpy(conn->source.at + pulse_at, source_slot(conn, group), DSM_PULSE_BYTES);
	return STEP_SOURCE;
}

/* Acknowledged is what the engine's device has acknowledged, to the last word: it is in the bank,
 * and a takeover, which ends the pair first, finds it there. A step of several groups is complete
 * only when all of them have landed, so its word waits for them. */
static int push_out(struct transport_conn *conn, uint64_t step, const uint32_t *groups, uint32_t n)
{
	int rc = 0;
	die_half_sent(conn);
	uint64_t words[2] = { step, step_check(conn->header.generation, step) };
	memcpy(conn->source.at, words, sizeof(words));
	if (n > 1) {
		rc = post(conn);
		if (rc == 0)
			rc = wait_for(conn, conn->write.posted);
	}
	if (rc == 0)
		rc = append(conn, 0, STEP_OFFSET, step_span(conn, groups[0], n));
	if (rc == 0)
		rc = post(conn);
	DSM_POINT("verbs-after-post");
	return rc ? rc : wait_for(conn, conn->write.posted);
}

int verbs_complete(struct transport_conn *conn, uint32_t owner, uint64_t step,
	const uint32_t *groups, uint32_t n)
{
	(void)owner;
	int rc = may_write(conn);
	if (rc)
		return rc;
	if (!verbs_enter(conn))
		return lost(conn);
	rc = conn->chained ? push_out(conn, step, groups, n) : 0;
	if (rc == 0)
		verbs_committed(conn, groups, n);
	verbs_leave(conn);
	return rc ? lost(conn) : 0;
}

int verbs_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload)
{
	(void)seq;
	int rc = checked(conn, group);
	if (rc == 0 && (atomic_load(&conn->gone) || atomic_load(&conn->broken)))
		rc = lost(conn);
	if (rc == 0)
		*payload = source_slot(conn, group) + DSM_SLOT_HEADER / 8;
	return rc;
}

int verbs_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields)
{
	int rc = checked(conn, group);
	if (rc)
		return rc;
	if (!verbs_enter(conn))
		return lost(conn);
	rc = send_slot(conn, group, fields);
	verbs_leave(conn);
	return rc ? lost(conn) : 0;
}

/* ---- messages ---- */

void verbs_beat(struct transport_conn *conn, uint32_t owner, uint64_t tick)
{
	unsigned char message[CONTROL_HEAD + 8];
	struct control_writer w;
	uint64_t now = clock_now(&clock_system);
	if (owner != conn->own_owner || now - conn->beat_ns < conn->header.tick_ms * UINT64_C(500000))
		return;
	conn->beat_ns = now;
	control_begin(&w, message, sizeof(message), CONTROL_BEAT);
	control_put_u64(&w, tick);
	size_t bytes = control_end(&w);
	pthread_mutex_lock(&conn->control_lock);
	/* one that waits for an engine that stands still is enough */
	if (!conn->released && stream_idle(&conn->endpoint.stream))
		verbs_say(conn, message, bytes);
	pthread_mutex_unlock(&conn->control_lock);
}
