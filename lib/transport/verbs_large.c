/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: groups whose ring does not fit into one READ. One slot is fetched, in pieces if need be;
 * which one is said by the pulse or by what the slots show, and both are hints: the check over the
 * slot that was put together decides. */
#include <string.h>

#include "core/error.h"
#include "transport/verbs.h"

#define CANDIDATES 4u

static const struct directory_group *group_of(const struct transport_conn *conn, uint32_t group)
{
	return &conn->view->groups[group];
}

static uint64_t slot_remote(const struct transport_conn *conn, uint32_t group, uint64_t seq)
{
	const struct directory_group *g = group_of(conn, group);
	return conn->banks[g->owner].addr + g->ring_offset + (seq & (g->slots - 1)) * g->slot_bytes;
}

static uint32_t key_of(const struct transport_conn *conn, uint32_t group)
{
	return conn->banks[group_of(conn, group)->owner].rkey;
}

/* The slot that should hold `seq`, whole: one piece stays where it came. */
static int fetch_slot(struct transport_conn *conn, uint32_t group, uint64_t seq, const unsigned char **slot,
	struct slot_meta *meta)
{
	uint64_t bytes = group_of(conn, group)->slot_bytes;
	struct verbs_span one = { slot_remote(conn, group, seq), key_of(conn, group), (uint32_t)bytes,
		conn->bounce.at + DSM_LINE };
	bool whole = bytes <= VERBS_PIECE;
	int rc = whole ? verbs_fetch(conn, &one, 1, conn->bounce.mr->lkey) :
		verbs_fetch_large(conn, one.remote, one.rkey, bytes, conn->large);
	*slot = whole ? one.at : conn->large;
	if (rc)
		return rc;
	return verbs_slot_holds(conn, group, *slot, seq, meta) ? 0 : -EAGAIN;
}

/* The seqs of all slots, each on a line of the bounce buffer. */
static int fetch_seqs(struct transport_conn *conn, uint32_t group)
{
	uint32_t slots = group_of(conn, group)->slots;
	int rc = 0;
	for (uint32_t first = 0; rc == 0 && first < slots; first += VERBS_CHAIN) {
		struct verbs_span spans[VERBS_CHAIN];
		uint32_t n = slots - first < VERBS_CHAIN ? slots - first : VERBS_CHAIN;
		for (uint32_t i = 0; i < n; i++)
			spans[i] = (struct verbs_span){ slot_remote(conn, group, first + i), key_of(conn, group),
				8, conn->bounce.at + (size_t)DSM_LINE * (first + i) };
		rc = verbs_fetch(conn, spans, n, conn->bounce.mr->lkey);
	}
	return rc;
}

/* By what the slots show: the newest below `below`; 0 none. *any: at least one shows something. */
static uint64_t newest_shown(const struct transport_conn *conn, uint32_t group, uint64_t below, bool *any)
{
	uint32_t slots = group_of(conn, group)->slots;
	uint64_t best = 0;
	*any = false;
	for (uint32_t i = 0; i < slots; i++) {
		uint64_t seq;
		memcpy(&seq, conn->bounce.at + (size_t)DSM_LINE * i, sizeof(seq));
		*any |= seq != 0;
		if (((seq ^ i) & (slots - 1)) == 0 && seq > best && seq < below)
			best = seq;
	}
	return best;
}

/* Its pulse stands still on what is not there: the newest of the others. */
static int search(struct transport_conn *conn, uint32_t group, const unsigned char **slot, struct slot_meta *meta)
{
	uint64_t below = UINT64_MAX;
	bool any;
	for (uint32_t n = 0; n < CANDIDATES; n++) {
		int rc = fetch_seqs(conn, group);
		if (rc)
			return rc;
		uint64_t best = newest_shown(conn, group, below, &any);
		if (best == 0)
			return any ? -EAGAIN : -ENODATA;
		rc = fetch_slot(conn, group, best, slot, meta);
		if (rc != -EAGAIN)
			return rc;
		below = best;
	}
	return -EAGAIN;
}

/* Pulse, and the slot that will be meant if nothing was committed since it was last looked at. */
static int fetch_guess(struct transport_conn *conn, uint32_t group, uint64_t *pulse, bool *whole,
	const unsigned char **slot, struct slot_meta *meta)
{
	const struct directory_group *g = group_of(conn, group);
	uint64_t guess = verbs_newest(conn, group);
	struct verbs_span spans[2] = {
		{ conn->banks[g->owner].addr + g->pulse_offset, key_of(conn, group), 8, conn->bounce.at },
		{ slot_remote(conn, group, guess), key_of(conn, group), (uint32_t)g->slot_bytes,
			conn->bounce.at + DSM_LINE } };
	bool both = guess && g->slot_bytes <= VERBS_PIECE;
	int rc = verbs_fetch(conn, spans, both ? 2 : 1, conn->bounce.mr->lkey);
	if (rc)
		return rc;
	memcpy(pulse, conn->bounce.at, sizeof(*pulse));
	*whole = both && ((*pulse ^ guess) & (g->slots - 1)) == 0 &&
		verbs_slot_holds(conn, group, conn->bounce.at + DSM_LINE, *pulse, meta);
	*slot = conn->bounce.at + DSM_LINE;
	return 0;
}

int verbs_large_newest(struct transport_conn *conn, uint32_t group, const unsigned char **slot,
	struct slot_meta *meta)
{
	uint64_t pulse = 0;
	bool whole = false;
	int rc = fetch_guess(conn, group, &pulse, &whole, slot, meta);
	if (rc)
		return rc;
	/* a pulse may never land behind its slot when the owner dies between */
	uint64_t seen = verbs_seen(conn, group);
	uint64_t wanted = pulse > seen ? pulse : seen;
	if ((!whole || wanted != pulse) && wanted)
		rc = fetch_slot(conn, group, wanted, slot, meta);
	if (rc == 0 && wanted && verbs_is_newest(conn, group, meta->seq, pulse)) {
		verbs_learn(conn, group, 0, meta->seq);
		return 0;
	}
	if (rc && rc != -EAGAIN)
		return rc;
	verbs_learn(conn, group, pulse, 0);
	if (pulse && !verbs_still(conn, group, pulse, 0))
		return -EAGAIN;
	rc = search(conn, group, slot, meta);
	if (rc == 0)
		verbs_learn(conn, group, 0, meta->seq);
	return rc == -ENODATA && pulse ? -EAGAIN : rc;
}

int verbs_large_at(struct transport_conn *conn, uint32_t group, uint64_t seq, const unsigned char **slot,
	struct slot_meta *meta)
{
	struct verbs_span span = { slot_remote(conn, group, seq), key_of(conn, group), 8, conn->bounce.at };
	uint64_t shown;
	int rc = verbs_fetch(conn, &span, 1, conn->bounce.mr->lkey);
	if (rc)
		return rc;
	memcpy(&shown, conn->bounce.at, sizeof(shown));
	/* only a hint, but the caller asks the verified ones before he calls a commit lost */
	if (shown != seq)
		return shown == 0 ? -EAGAIN : shown > seq ? -EOVERFLOW : -ENOENT;
	rc = fetch_slot(conn, group, seq, slot, meta);
	if (rc)
		return rc;
	verbs_learn(conn, group, verbs_newest(conn, group), meta->seq);
	return meta->seq == seq ? 0 : meta->seq > seq ? -EOVERFLOW : -ENOENT;
}
