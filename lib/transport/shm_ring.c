/* SPDX-License-Identifier: Apache-2.0 */
/* shm: reading and writing rings in mapped memory. The read path: no allocation, lock, log,
 * clock or system call. */
#include "core/error.h"
#include "core/futex.h"
#include "transport/shm.h"

#define NOT_MAPPED(conn, group) (__builtin_expect(!(conn)->rings[group].slots, 0))

int shm_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	if (NOT_MAPPED(conn, group))
		return -ENODATA;
	return ring_read(&conn->rings[group], offset, bytes, to, conn->scratch, meta);
}

int shm_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta)
{
	if (NOT_MAPPED(conn, group))
		return -ENODATA;
	return ring_read_at(&conn->rings[group], seq, to, meta);
}

int shm_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta)
{
	if (NOT_MAPPED(conn, group))
		return -ENODATA;
	return ring_read_step(&conn->rings[group], step, to, meta);
}

uint64_t shm_newest(const struct transport_conn *conn, uint32_t group)
{
	return NOT_MAPPED(conn, group) ? 0 :
		atomic_load_explicit(conn->rings[group].pulse, memory_order_acquire);
}

uint64_t shm_step_complete(const struct transport_conn *conn, uint32_t owner)
{
	const struct bank_header *bank = conn->banks[owner].piece.at;
	/* pairs with the release in shm_complete(): all groups of the step are there */
	return bank ? step_load(bank, conn->welcome.generation,
		conn->view->owners[owner].flags & OWNER_NETWORK) : 0;
}

static _Atomic uint32_t *waiters_of(const struct transport_conn *conn, uint32_t group)
{
	const struct directory_owner *o = &conn->view->owners[conn->view->groups[group].owner];
	return (void *)((char *)conn->waiters.at + o->waiters_offset + 4ull * (group - o->first_group));
}

/* Nobody sleeps on a word that a NIC writes: waiters of marked banks use the notify word. */
static const void *sleep_word(const struct transport_conn *conn, uint32_t group)
{
	const struct ring *ring = &conn->rings[group];
	return ring->flags & RING_VERIFY ? (const void *)&conn->notify[group] : (const void *)ring->pulse;
}

/* A group that is not mapped yet is left out: when it is, *wake changes. */
static void count_waiter(struct transport_conn *conn, const struct transport_watch *watch, bool in)
{
	for (uint32_t i = 0; i < watch->n; i++) {
		if (NOT_MAPPED(conn, watch->group[i]))
			continue;
		if (in)
			atomic_fetch_add_explicit(waiters_of(conn, watch->group[i]), 1, memory_order_seq_cst);
		else
			atomic_fetch_sub_explicit(waiters_of(conn, watch->group[i]), 1, memory_order_relaxed);
	}
}

void shm_wait(struct transport_conn *conn, const struct transport_watch *watch,
	const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns)
{
	_Static_assert(TRANSPORT_WATCH <= FUTEX_WORDS, "a word each");
	struct futex_word words[FUTEX_WORDS];
	bool newer = false;
	uint32_t n = 0;
	if (ns == 0)
		return; /* newest() is always known */
	count_waiter(conn, watch, true);
	/* pairs with the fence in shm_complete(): either the owner sees the count, or the load
	 * below sees its commit; without it both may miss and this thread sleeps for ever */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < watch->n; i++) {
		if (NOT_MAPPED(conn, watch->group[i]))
			continue;
		const _Atomic uint32_t *word = sleep_word(conn, watch->group[i]);
		/* before the look: a commit after it changes the word */
		words[n++] = (struct futex_word){ (const void *)word, atomic_load_explicit(word, memory_order_acquire) };
		newer |= shm_newest(conn, watch->group[i]) > watch->since[i];
	}
	if (!newer)
		futex_wait_any(words, n, wake, woken, ns);
	count_waiter(conn, watch, false);
}

/* Of a marked bank the check decides here as everywhere: a NIC writes a slot's words in any order. */
static int borrow_verified(struct transport_conn *conn, const struct ring *ring, uint64_t offset,
	const void **data, struct slot_meta *meta)
{
	int rc = ring_read_verified(ring, 0, 0, conn->scratch, conn->scratch, meta);
	if (rc)
		return rc;
	*data = (const char *)slot_at(ring, meta->seq)->payload + offset;
	return meta->seq ? 0 : -ENODATA;
}

int shm_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta)
{
	if (NOT_MAPPED(conn, group))
		return -ENODATA;
	const struct ring *ring = &conn->rings[group];
	if (ring->flags & RING_VERIFY)
		return borrow_verified(conn, ring, offset, data, meta);
	uint64_t pulse = atomic_load_explicit(ring->pulse, memory_order_acquire); /* R2 */
	const struct slot *slot = slot_at(ring, pulse);
	if (pulse == 0)
		return -ENODATA;
	slot_meta_load(slot, meta);
	meta->seq = pulse;
	*data = (const char *)slot->payload + offset;
	int rc = shm_borrow_end(conn, group, pulse);
	return rc ? rc : slot_recheck_bank(ring, meta); /* and whether the owner lives */
}

int shm_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq)
{
	const struct ring *ring = &conn->rings[group];
	struct slot_meta meta;
	atomic_thread_fence(memory_order_acquire); /* R1, pairs with W1 */
	if (ring->flags & RING_VERIFY) {
		int rc = slot_verify(ring, seq, conn->scratch, &meta);
		return rc == 0 && meta.seq != seq ? -EAGAIN : rc;
	}
	if (atomic_load_explicit(&slot_at(ring, seq)->seq, memory_order_relaxed) != seq)
		return -EAGAIN;
	return slot_recheck_bank(ring, &meta);
}

/* Still ours? The engine moves the bank and raises the epoch before it grants anew; this look
 * only spares a superseded owner work that nobody would see. */
static inline bool is_ours(const struct transport_conn *conn, const struct ring *ring)
{
	uint64_t word = atomic_load_explicit(&ring->line->bank_state, memory_order_relaxed);
	uint32_t epoch = atomic_load_explicit(&ring->line->epoch, memory_order_relaxed);
	return __builtin_expect((uint32_t)word == ring->bank_epoch && epoch == conn->own_epoch, 1);
}

static int still_ours(const struct transport_conn *conn, const struct ring *ring)
{
	const char *name = view_text(conn->view, conn->view->owners[conn->own_owner].name);
	if (is_ours(conn, ring))
		return 0;
	if (atomic_load_explicit(&ring->line->epoch, memory_order_relaxed) == (conn->own_epoch | DSM_GRANT_ENDED))
		return dsm__fail(-ENOTCONN, "owner \"%s\": the engine begins a new generation; whether this "
			"commit survived is not known: commit again", name);
	return dsm__fail(-EOWNERDEAD, "owner \"%s\" was given to somebody else; nothing was written", name);
}

int shm_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	const struct ring *ring = &conn->rings[group];
	int rc = still_ours(conn, ring);
	if (rc == 0)
		slot_publish(ring, fields, image);
	return rc;
}

/* Does anybody wait for that own group? After the fence in finish(). */
static inline bool waited_for(const struct transport_conn *conn, uint32_t group)
{
	return __builtin_expect(atomic_load_explicit(&conn->own_waiters[group - conn->own_first],
		memory_order_relaxed) != 0, 0);
}

/* Marked banks: the engine bumps the notify word, since its readers must not sleep on ours. */
static void notify_engine(struct transport_conn *conn, const uint32_t *groups, uint32_t n)
{
	unsigned char message[1024];
	struct control_writer w;
	for (uint32_t i = 0; i < n;) {
		control_begin(&w, message, sizeof(message), CONTROL_NOTIFY);
		for (; i < n && w.room - w.size >= 4; i++)
			if (waited_for(conn, groups[i]))
				control_put_u32(&w, groups[i]);
		conn->wakes += w.entries != 0;
		if (w.entries)
			channel_send(conn->fd, message, control_end(&w), NULL, 0);
	}
}

/* From the first of `groups` on, which is waited for. */
static __attribute__((noinline)) void wake_waiters(struct transport_conn *conn, const uint32_t *groups,
	uint32_t n)
{
	if (conn->rings[groups[0]].flags & RING_VERIFY) {
		notify_engine(conn, groups, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (waited_for(conn, groups[i])) {
			futex_wake_all(conn->rings[groups[i]].pulse);
			conn->wakes++;
		}
}

/* After the last group of a step. */
static inline int finish(struct transport_conn *conn, uint64_t step, const uint32_t *groups, uint32_t n)
{
	step_store(conn->own_bank, conn->welcome.generation, step);
	/* pairs with the fence in shm_wait(), for the waiter counts; and with the one in
	 * takeover_move_bank(): either the engine's copy has this commit, or we see that the bank
	 * has moved and do not acknowledge it */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < n; i++)
		if (waited_for(conn, groups[i])) {
			wake_waiters(conn, groups + i, n - i);
			break;
		}
	return still_ours(conn, &conn->rings[groups[0]]);
}

int shm_complete(struct transport_conn *conn, uint32_t owner, uint64_t step,
	const uint32_t *groups, uint32_t n)
{
	(void)owner; /* a connection holds one role */
	return finish(conn, step, groups, n);
}

int shm_commit(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	const struct ring *ring = &conn->rings[group];
	if (!is_ours(conn, ring))
		return -ESTALE;
	slot_publish(ring, fields, image);
	return finish(conn, fields->step, &group, 1);
}

int shm_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload)
{
	const struct ring *ring = &conn->rings[group];
	int rc = still_ours(conn, ring);
	if (rc == 0)
		*payload = (uint64_t *)(void *)slot_open(ring, seq)->payload;
	return rc;
}

int shm_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields)
{
	const struct ring *ring = &conn->rings[group];
	struct slot *slot = slot_at(ring, fields->seq);
	int rc = still_ours(conn, ring);
	if (rc == 0)
		slot_close(ring, slot, fields, slot_check(ring, fields, (const void *)slot->payload));
	return rc;
}
