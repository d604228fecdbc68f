/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of one group: the owner's and the reader's algorithms on mapped memory.
 * Called by writer.c, the shm transport, the engine's takeover and the stress program; knows
 * no socket, no clock and no policy. One writer a ring; any number of readers.
 *
 * Version p of a group lies in slot p mod K. Fences and their partners:
 *   W1 release fence after seq := 0    — R1 acquire fence before the second look at seq
 *      without it payload words of p+K become visible under the old seq: a torn read accepted
 *   W2 release store of seq            — R0 acquire load of seq (any way but through the pulse)
 *      without it a reader sees the new seq over old payload
 *   W3 release store of the pulse      — R2 acquire load of the pulse
 *      without it the slot that the pulse names may not be there yet (no wrong value: a retry)
 */
#ifndef DSM_LIB_CORE_SLOT_H
#define DSM_LIB_CORE_SLOT_H

#include <stdbool.h>

#include "core/check.h"
#include "core/copy.h"
#include "core/hooks.h"
#include "core/layout.h"
#include "port/errno.h"

/* Where a ring lies in this process. Filled once when its bank is mapped. */
struct ring {
	unsigned char *slots;
	_Atomic uint64_t *pulse;
	const struct owner_line *line; /* bank_state is rechecked after every copy */
	uint64_t slot_bytes, payload_bytes;
	uint64_t seed;              /* check_seed() */
	uint32_t mask;              /* K - 1 */
	uint32_t bank_epoch;        /* of the memory mapped here */
	uint32_t flags;             /* enum ring_flags */
	uint32_t group;
};
enum ring_flags {
	RING_VERIFY = 1,    /* a network may write it: the check decides */
	RING_UNCHECKED = 2, /* carries no check word */
};
static_assert(sizeof(struct ring) == 64, "a ring is one line");

/* What a read returns besides the payload. */
struct slot_meta {
	uint64_t seq, time, step;
	uint32_t epoch;
	uint32_t owner_state;       /* enum dsm_owner_state at the recheck; META_REMEMBERED */
};

/* The engine could not be asked: this is what was read last, whatever the slow path knows yet. */
#define META_REMEMBERED 0x100u

/* -EAGAIN and -ESTALE are the read path's: -EAGAIN try again, -ESTALE the bank has moved. */

static inline struct slot *slot_at(const struct ring *ring, uint64_t seq)
{
	return (struct slot *)(void *)(ring->slots + (seq & ring->mask) * ring->slot_bytes);
}

/* ---- owner ---------------------------------------------------------------------- */

/* Invalidate the slot of `seq`; after it the payload may be written. */
static inline struct slot *slot_open(const struct ring *ring, uint64_t seq)
{
	struct slot *slot = slot_at(ring, seq);
	atomic_store_explicit(&slot->seq, 0, memory_order_relaxed);
#ifndef DSM_CONTROL_NO_W1
	atomic_thread_fence(memory_order_release); /* W1, pairs with R1 */
#endif
	DSM_POINT("after-invalidate");
	return slot;
}

/* Header fields, then seq, then the pulse. */
static inline void slot_close(const struct ring *ring, struct slot *slot,
	const struct check_fields *fields, uint64_t check)
{
	atomic_store_explicit(&slot->epoch_length, fields->epoch_length, memory_order_relaxed);
	atomic_store_explicit(&slot->time, fields->time, memory_order_relaxed);
	atomic_store_explicit(&slot->step, fields->step, memory_order_relaxed);
	atomic_store_explicit(&slot->check, check, memory_order_relaxed);
	DSM_POINT("before-seq");
	atomic_store_explicit(&slot->seq, fields->seq, memory_order_release); /* W2 */
	DSM_POINT("before-pulse");
	atomic_store_explicit(ring->pulse, fields->seq, memory_order_release); /* W3 */
}

static inline uint64_t slot_check(const struct ring *ring, const struct check_fields *fields,
	const void *payload)
{
	if (ring->flags & RING_UNCHECKED)
		return 0;
	return check_word(ring->seed, fields, payload, ring->payload_bytes);
}

/* One commit from a private image of `bytes`, the ring's payload_bytes: inlined for a constant. */
static inline __attribute__((always_inline)) void slot_publish_bytes(const struct ring *ring, const struct check_fields *fields,
	const uint64_t *image, uint64_t bytes)
{
	uint64_t check = ring->flags & RING_UNCHECKED ? 0 : check_word(ring->seed, fields, image, bytes);
	struct slot *slot = slot_open(ring, fields->seq);
#ifdef DSM_TEST_HOOKS
	uint64_t half = bytes / 16 * 8;
	copy_to_shared(slot->payload, image, half);
	DSM_POINT("mid-payload");
	copy_to_shared(slot->payload + half / 8, image + half / 8, bytes - half);
#else
	copy_to_shared(slot->payload, image, bytes);
#endif
	slot_close(ring, slot, fields, check);
}

static inline void slot_publish(const struct ring *ring, const struct check_fields *fields,
	const uint64_t *image)
{
	if (ring->payload_bytes == 16) /* a scalar: copy and check without a loop, without a choice */
		slot_publish_bytes(ring, fields, image, 16);
	else
		slot_publish_bytes(ring, fields, image, ring->payload_bytes);
}

static inline uint64_t slot_epoch_length(const struct ring *ring, uint32_t epoch)
{
	return epoch | ring->payload_bytes << 32;
}

/* ---- reader --------------------------------------------------------------------- */

static inline void slot_meta_load(const struct slot *slot, struct slot_meta *meta)
{
	meta->epoch = (uint32_t)atomic_load_explicit(&slot->epoch_length, memory_order_relaxed);
	meta->time = atomic_load_explicit(&slot->time, memory_order_relaxed);
	meta->step = atomic_load_explicit(&slot->step, memory_order_relaxed);
}

/* Has the bank been replaced since it was mapped? After the copy, so that a superseded owner's
 * late writes reach nobody. Acquire pairs with the engine's release when it moves the bank. */
static inline int slot_recheck_bank(const struct ring *ring, struct slot_meta *meta)
{
	uint64_t word = atomic_load_explicit(&ring->line->bank_state, memory_order_acquire);
	meta->owner_state = (uint32_t)(word >> 32);
	return (uint32_t)word == ring->bank_epoch ? 0 : -ESTALE;
}

/* The looks at seq before and after a copy of version `seq`; the second comes after R1. The copy
 * is good if they are equal. The first is no look at all: what the pulse (or an acquire load of
 * seq) said is what the second is compared with. */
static inline uint64_t slot_first_look(const struct slot *slot, uint64_t seq)
{
#ifdef DSM_CONTROL_SEQ_UNCHANGED
	(void)seq;
	return atomic_load_explicit(&slot->seq, memory_order_relaxed);
#else
	(void)slot;
	return seq;
#endif
}

static inline uint64_t slot_second_look(const struct slot *slot, uint64_t seq)
{
#ifdef DSM_CONTROL_NO_REREAD
	(void)slot;
	return seq;
#else
	(void)seq;
	return atomic_load_explicit(&slot->seq, memory_order_relaxed);
#endif
}

/* The words [offset, offset + bytes) of version `seq`, trusting the memory (no check word).
 * `seq` must come from an acquire load of the pulse (R2) or of the slot's own seq (R0). */
static inline int slot_copy(const struct ring *ring, uint64_t seq, uint64_t offset,
	uint64_t bytes, uint64_t *to, struct slot_meta *meta)
{
	const struct slot *slot = slot_at(ring, seq);
	uint64_t first = slot_first_look(slot, seq);
	slot_meta_load(slot, meta);
	copy_from_shared(to, slot->payload + offset / 8, bytes);
	atomic_thread_fence(memory_order_acquire); /* R1, pairs with W1 */
	meta->seq = slot_second_look(slot, seq);
	if (meta->seq != first)
		return -EAGAIN;
	return slot_recheck_bank(ring, meta);
}

/* The whole slot with index of `near` into `payload`, accepted only if the check verifies and
 * seq mod K is its index. -EAGAIN otherwise. */
static inline int slot_verify(const struct ring *ring, uint64_t near, uint64_t *payload,
	struct slot_meta *meta)
{
	const struct slot *slot = slot_at(ring, near);
	struct check_fields f;
	f.seq = atomic_load_explicit(&slot->seq, memory_order_acquire); /* R0 */
	f.epoch_length = atomic_load_explicit(&slot->epoch_length, memory_order_relaxed);
	f.time = atomic_load_explicit(&slot->time, memory_order_relaxed);
	f.step = atomic_load_explicit(&slot->step, memory_order_relaxed);
	uint64_t check = atomic_load_explicit(&slot->check, memory_order_relaxed);
	if (f.seq == 0 || ((f.seq ^ near) & ring->mask) || f.epoch_length >> 32 != ring->payload_bytes)
		return -EAGAIN;
	copy_from_shared(payload, slot->payload, ring->payload_bytes);
	atomic_thread_fence(memory_order_acquire); /* R1 */
#ifndef DSM_CONTROL_NO_CHECK
	if (ring->flags & RING_UNCHECKED) {
		if (atomic_load_explicit(&slot->seq, memory_order_relaxed) != f.seq)
			return -EAGAIN;
	} else if (check != check_word(ring->seed, &f, payload, ring->payload_bytes) && !DSM_CHECK_IGNORED()) {
		return -EAGAIN;
	}
#else
	(void)check;
#endif
	*meta = (struct slot_meta){ f.seq, f.time, f.step, (uint32_t)f.epoch_length, 0 };
	return slot_recheck_bank(ring, meta);
}

/* Newest seq in the ring that verifies (0 = none), its payload in `payload`. Slow: for takeover,
 * and for a marked bank whose pulse does not name a whole slot. */
int ring_newest_verified(const struct ring *ring, uint64_t *payload, struct slot_meta *meta);

/* The parts of ring_read() beside its short way. */
int ring_read_verified(const struct ring *ring, uint64_t offset, uint64_t bytes, uint64_t *to,
	uint64_t *scratch, struct slot_meta *meta);
int ring_read_empty(const struct ring *ring, uint64_t bytes, uint64_t *to, struct slot_meta *meta);

/* One attempt at the newest version. `scratch` (payload_bytes) is used only if the ring is
 * RING_VERIFY. Never written: 0 with meta->seq 0 and zeros. */
static inline int ring_read(const struct ring *ring, uint64_t offset, uint64_t bytes, uint64_t *to,
	uint64_t *scratch, struct slot_meta *meta)
{
	if (__builtin_expect(ring->flags & RING_VERIFY, 0))
		return ring_read_verified(ring, offset, bytes, to, scratch, meta);
	uint64_t pulse = atomic_load_explicit(ring->pulse, memory_order_acquire); /* R2 */
	if (__builtin_expect(pulse == 0, 0))
		return ring_read_empty(ring, bytes, to, meta);
	if (bytes == 16) /* a scalar's record: no loop */
		return slot_copy(ring, pulse, offset, 16, to, meta);
	return slot_copy(ring, pulse, offset, bytes, to, meta);
}
/* One attempt at version `seq` exactly. -ENOENT: that slot holds an older one; -EOVERFLOW: it has
 * been overwritten by a newer one; -EAGAIN: it is being written, or never was. */
int ring_read_at(const struct ring *ring, uint64_t seq, uint64_t *to, struct slot_meta *meta);
/* Newest version with step <= `step`: -EAGAIN if the ring no longer holds it. */
int ring_read_step(const struct ring *ring, uint64_t step, uint64_t *to, struct slot_meta *meta);

/* ---- one scalar, the short way -------------------------------------------------- */

/* What reading one scalar needs, in one line: a read touches this, the pulse, the slot and the
 * owner line. Only for memory that no network writes. It keeps no floor, for it needs none: the
 * pulse of such memory never runs backwards, neither do successive loads of it (coherence), and a
 * bank that moves has what its readers accepted (tests/model: local, moved). */
struct ring_quick {
	const _Atomic uint64_t *pulse; /* NULL: not this way, or not yet */
	const unsigned char *slots;
	uint64_t slot_bytes;
	uint32_t mask, offset;      /* of the record in the payload */
	const _Atomic uint64_t *bank_state;
	uint64_t expected;          /* of *bank_state: this memory, its owner alive */
	uint32_t type;              /* whatever the user wants to know of the scalar */
	uint32_t pad[3];
};
static_assert(sizeof(struct ring_quick) == 64, "one line");

static inline void ring_quick_set(struct ring_quick *q, const struct ring *ring, uint32_t alive,
	uint32_t offset, uint32_t type)
{
	if (!ring->slots || (ring->flags & RING_VERIFY))
		return;
	*q = (struct ring_quick){ .pulse = ring->pulse, .slots = ring->slots,
		.slot_bytes = ring->slot_bytes, .mask = ring->mask, .offset = offset,
		.bank_state = &ring->line->bank_state,
		.expected = ring->bank_epoch | (uint64_t)alive << 32, .type = type };
}

/* One attempt at the record of the newest version; q->pulse is not NULL. True: record, *seq and
 * *epoch are of one commit, and the owner is alive. False: anything else, also "never written";
 * ring_read() says what. Steps and partners as in ring_read() and slot_copy(). */
static inline bool ring_quick_read(const struct ring_quick *q, uint64_t record[2], uint64_t *seq,
	uint32_t *epoch)
{
	uint64_t pulse = atomic_load_explicit(q->pulse, memory_order_acquire); /* R2 */
	const struct slot *slot = (const void *)(q->slots + (pulse & q->mask) * q->slot_bytes);
	const _Atomic uint64_t *from = (const void *)((const char *)slot->payload + q->offset);
	uint64_t first = slot_first_look(slot, pulse);
	*epoch = (uint32_t)atomic_load_explicit(&slot->epoch_length, memory_order_relaxed);
	record[0] = atomic_load_explicit(from, memory_order_relaxed);
	record[1] = atomic_load_explicit(from + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire); /* R1, pairs with W1 */
	*seq = slot_second_look(slot, pulse);
	if (__builtin_expect(*seq != first || *seq == 0, 0))
		return false;
	/* acquire: as in slot_recheck_bank() */
	return __builtin_expect(atomic_load_explicit(q->bank_state, memory_order_acquire) == q->expected, 1);
}

#endif
