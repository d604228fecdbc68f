/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a ring beyond the single copy of slot.h: newest, exact and by step. */
#include "core/slot.h"
#include "core/step.h"

#include <string.h>

/* A pulse may be torn low, or never have landed behind its slot when the owner died between. */
static bool ring_goes_on(const struct ring *ring, uint64_t seq)
{
	return atomic_load_explicit(&slot_at(ring, seq + 1)->seq, memory_order_relaxed) > seq;
}

int ring_read_verified(const struct ring *ring, uint64_t offset, uint64_t bytes,
	uint64_t *to, uint64_t *scratch, struct slot_meta *meta)
{
	uint64_t pulse = atomic_load_explicit(ring->pulse, memory_order_acquire); /* R2 */
	int rc = slot_verify(ring, pulse, scratch, meta);
	if (rc == -ESTALE)
		return rc;
	/* The pulse of a marked bank is a hint that may be torn: too low or too high by the low byte
	 * at a carry. Too low by less than K it would name a whole slot, though not the newest. */
	if (rc || meta->seq != pulse || ring_goes_on(ring, pulse))
		rc = ring_newest_verified(ring, scratch, meta);
	if (rc == 0 && bytes && (offset || to != scratch))
		memmove(to, (const char *)scratch + offset, bytes);
	return rc;
}

int ring_read_empty(const struct ring *ring, uint64_t bytes, uint64_t *to, struct slot_meta *meta)
{
	if (bytes)
		memset(to, 0, bytes);
	*meta = (struct slot_meta){ 0 };
	return slot_recheck_bank(ring, meta);
}

/* Candidates are taken newest first by the seq that their slots show; a slot that does not
 * verify is passed over. A seq learnt here is a hint until slot_verify() agrees. */
int ring_newest_verified(const struct ring *ring, uint64_t *payload, struct slot_meta *meta)
{
	uint64_t below = UINT64_MAX;
	for (uint32_t n = 0; n <= ring->mask; n++) {
		uint64_t best = 0;
		for (uint32_t i = 0; i <= ring->mask; i++) {
			uint64_t seq = atomic_load_explicit(&slot_at(ring, i)->seq, memory_order_relaxed);
			if ((seq & ring->mask) == i && seq > best && seq < below)
				best = seq;
		}
		if (best == 0)
			break;
		int rc = slot_verify(ring, best, payload, meta);
		if (rc == 0 || rc == -ESTALE)
			return rc;
		below = best;
	}
	/* none seen while the pulse names one: the writer was in each slot as it was looked at */
	if (below != UINT64_MAX || atomic_load_explicit(ring->pulse, memory_order_acquire) != 0)
		return -EAGAIN;
	return ring_read_empty(ring, ring->payload_bytes, payload, meta);
}

int ring_read_at(const struct ring *ring, uint64_t seq, uint64_t *to, struct slot_meta *meta)
{
	int rc;
	if (ring->flags & RING_VERIFY) {
		rc = slot_verify(ring, seq, to, meta);
		if (rc)
			return rc;
		return meta->seq == seq ? 0 : meta->seq > seq ? -EOVERFLOW : -ENOENT;
	}
	uint64_t there = atomic_load_explicit(&slot_at(ring, seq)->seq, memory_order_acquire); /* R0 */
	if (there != seq)
		return there > seq ? -EOVERFLOW : there == 0 ? -EAGAIN : -ENOENT;
	return slot_copy(ring, seq, 0, ring->payload_bytes, to, meta);
}

/* Where to begin: what the pulse says, or, where a network may write it, what verifies. */
static int newest_seq(const struct ring *ring, uint64_t *payload, uint64_t *seq)
{
	struct slot_meta meta;
	if (!(ring->flags & RING_VERIFY)) {
		*seq = atomic_load_explicit(ring->pulse, memory_order_acquire); /* R2 */
		return 0;
	}
	int rc = ring_newest_verified(ring, payload, &meta);
	*seq = rc ? 0 : meta.seq;
	return rc;
}

int ring_read_step(const struct ring *ring, uint64_t step, uint64_t *to, struct slot_meta *meta)
{
	uint64_t pulse;
	int found = newest_seq(ring, to, &pulse);
	if (found || step == STEP_TORN)
		return found ? found : -EAGAIN;
	if (pulse == 0)
		return ring_read_empty(ring, ring->payload_bytes, to, meta);
	for (uint64_t back = 0; back <= ring->mask && back < pulse; back++) {
		int rc = ring_read_at(ring, pulse - back, to, meta);
		if (rc == -ESTALE)
			return rc;
		if (rc == 0 && meta->step != 0 && meta->step <= step)
			return 0;
		if (rc)
			return -EAGAIN;
	}
	if (pulse > ring->mask)
		return -EAGAIN;
	/* the ring goes back to the first commit and even that is younger than the step */
	return ring_read_empty(ring, ring->payload_bytes, to, meta);
}
