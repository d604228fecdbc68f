/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when an owner is gone or replaced, in this order: fence, scrub, pulse, grant.
 * The fence is proof that the old one can write no more: its process has exited, or the bank is
 * moved to new memory. Scrub: a dead writer's last word must not resurrect an old image. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/region.h"

static bool slot_holds(const struct region *r, const struct ring *ring, uint64_t index,
	struct slot_meta *meta)
{
	/* the engine's own view: the bank it has mapped is by definition the right one */
	int rc = slot_verify(ring, index, r->scratch, meta);
	return rc == 0 || rc == -ESTALE;
}

static uint64_t slot_seq(const struct ring *ring, uint64_t index)
{
	return atomic_load_explicit(&slot_at(ring, index)->seq, memory_order_relaxed);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* One ring; *step becomes the newest step in it, if that is newer. */
static uint32_t scrub_ring(struct region *r, const struct ring *ring, uint64_t *step)
{
	uint32_t scrubbed = 0;
	uint64_t newest = 0;
	struct slot_meta meta;
	for (uint64_t i = 0; i <= ring->mask; i++) {
		struct slot *slot = slot_at(ring, i);
		if (slot_seq(ring, i) == 0 &&
		    atomic_load_explicit(&slot->check, memory_order_relaxed) == 0)
			continue;
		if (slot_holds(r, ring, i, &meta)) {
			newest = larger(newest, meta.seq);
			*step = larger(*step, meta.step);
			continue;
		}
		atomic_store_explicit(&slot->seq, 0, memory_order_relaxed);
		atomic_thread_fence(memory_order_release); /* W1: invalid before it changes */
		atomic_store_explicit(&slot->check, 0, memory_order_relaxed);
		scrubbed++;
	}
	atomic_store_explicit(ring->pulse, newest, memory_order_release);
	return scrubbed;
}

/* `step complete` that does not verify was being written when its owner died; that comes after
 * the last group of its step, so the newest step in the rings is whole, and is the one. */
uint32_t takeover_scrub(struct region *r, uint32_t owner)
{
	const struct directory_owner *o = &r->view.owners[owner];
	struct bank_header *bank = (void *)(r->base + o->bank_offset);
	uint32_t scrubbed = 0;
	uint64_t step = 0;
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++)
		scrubbed += scrub_ring(r, &r->rings[g], &step);
	if (step_look(bank, r->generation) == STEP_TORN)
		step_store(bank, r->generation, step);
	return scrubbed;
}

/* Newest whole commit of a ring whose owner may still be writing. After the fence the pulse says
 * what a reader may have accepted already; less than that must not be taken (tests/model, moved:
 * single-scan). Bounded in tries and bytes: a hostile owner's pulse may name what never comes. */
#define SETTLE_TRIES 200u
#define SETTLE_BYTES ((uint64_t)256 << 20)
bool takeover_newest(const struct region *r, const struct ring *ring, struct slot_meta *meta)
{
	uint64_t pulse = atomic_load_explicit(ring->pulse, memory_order_acquire);
	int rc = -EAGAIN;
	uint64_t looked = 0;
	for (uint32_t i = 0; i < SETTLE_TRIES && (rc == -EAGAIN || meta->seq < pulse); i++) {
		rc = ring_newest_verified(ring, r->scratch, meta);
		looked += ring->slot_bytes * (ring->mask + 1);
		if (looked > SETTLE_BYTES)
			break;
	}
	return rc != -EAGAIN && meta->seq != 0;
}

/* It goes to the same slot of the new ring. */
static void copy_newest(struct region *r, uint32_t owner, unsigned char *fresh)
{
	const struct directory_owner *o = &r->view.owners[owner];
	const struct bank_header *from = (void *)(r->base + o->bank_offset);
	struct bank_header *to = (void *)fresh;
	step_store(to, r->generation, atomic_load_explicit(&from->step_complete, memory_order_relaxed));
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++) {
		struct ring ring = r->rings[g];
		struct slot_meta meta;
		if (!takeover_newest(r, &r->rings[g], &meta))
			continue;
		ring.slots = fresh + r->view.groups[g].ring_offset;
		ring.pulse = (void *)(fresh + r->view.groups[g].pulse_offset);
		struct check_fields f = { meta.seq, slot_epoch_length(&ring, meta.epoch), meta.time, meta.step };
		slot_publish(&ring, &f, r->scratch);
	}
}

int takeover_move_bank(struct region *r, uint32_t owner)
{
	const struct directory_owner *o = &r->view.owners[owner];
	struct region_bank next = { .bank_epoch = r->banks[owner].bank_epoch + 1 };
	void *fresh = mmap(NULL, o->bank_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fresh == MAP_FAILED)
		return dsm__fail(-errno, "no addresses for a new bank: %s", strerror(errno));
	int rc = region_memory("dsm-bank", o->bank_bytes, fresh, &next.fd, &next.read_fd);
	if (rc) {
		munmap(fresh, o->bank_bytes);
		return rc;
	}
	if (fcntl(next.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		rc = dsm__fail(-errno, "cannot seal memory: %s", strerror(errno));
	uint64_t word = atomic_load_explicit(&r->lines[owner].bank_state, memory_order_relaxed);
	if (rc == 0) {
		/* readers refuse the old memory from here on (pairs with slot_recheck_bank()) */
		atomic_store_explicit(&r->lines[owner].bank_state,
			(word & ~(uint64_t)UINT32_MAX) | next.bank_epoch, memory_order_release);
		/* the pulses are looked at after that store, not before it */
		atomic_thread_fence(memory_order_seq_cst);
		copy_newest(r, owner, fresh);
	}
	munmap(fresh, o->bank_bytes);
	if (rc == 0 && mmap(r->base + o->bank_offset, o->bank_bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, next.fd, 0) == MAP_FAILED)
		rc = dsm__fail(-errno, "cannot map a new bank: %s", strerror(errno));
	if (rc) { /* nothing has moved */
		atomic_store_explicit(&r->lines[owner].bank_state, word, memory_order_release);
		close(next.fd);
		close(next.read_fd);
		return rc;
	}
	close(r->banks[owner].fd);
	close(r->banks[owner].read_fd);
	r->banks[owner] = next;
	region_init_bank(r, owner, next.bank_epoch);
	region_point_rings(r, owner);
	madvise(r->base + o->bank_offset, o->bank_bytes, MADV_DONTFORK);
	if (r->locked)
		mlock(r->base + o->bank_offset, o->bank_bytes); /* a take-over does not fail for want of it */
	return 0;
}

void takeover_end_grants(struct region *r, bool end)
{
	for (uint32_t i = 0; i < r->view.owner_count; i++) {
		_Atomic uint32_t *epoch = &r->lines[i].epoch;
		uint32_t now = atomic_load_explicit(epoch, memory_order_relaxed) & ~DSM_GRANT_ENDED;
		atomic_store_explicit(epoch, now | (end ? DSM_GRANT_ENDED : 0), memory_order_release);
	}
	/* pairs with the fence in the shm transport's finish(): either what is read here after it has a
	 * commit, or its owner sees that the grant has ended and does not acknowledge it */
	atomic_thread_fence(memory_order_seq_cst);
}

void takeover_set_state(struct region *r, uint32_t owner, uint32_t state, uint32_t pid)
{
	struct owner_line *line = &r->lines[owner];
	atomic_store_explicit(&line->pid, pid, memory_order_relaxed);
	atomic_store_explicit(&line->bank_state,
		r->banks[owner].bank_epoch | (uint64_t)state << 32, memory_order_release);
}

uint32_t takeover_grant(struct region *r, uint32_t owner, uint32_t pid)
{
	const struct directory_owner *o = &r->view.owners[owner];
	struct owner_line *line = &r->lines[owner];
	uint64_t newest = 0;
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++) {
		uint64_t pulse = atomic_load_explicit(r->rings[g].pulse, memory_order_relaxed);
		newest = pulse > newest ? pulse : newest;
	}
	uint32_t epoch = atomic_load_explicit(&line->epoch, memory_order_relaxed) + 1;
	atomic_store_explicit(&line->first_seq, newest + 1, memory_order_relaxed);
	atomic_store_explicit(&line->epoch, epoch, memory_order_release);
	takeover_set_state(r, owner, DSM_ALIVE, pid);
	return epoch;
}
