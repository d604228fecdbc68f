/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half: the library's own commits, or a NIC's. A NIC knows nothing of the order of
 * the protocol: the bytes of the slot, seq word included, arrive in any order, and rxe's
 * kernel copy may leave a word half written. */
#include "torn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int torn_ring_new(struct torn_ring *t, const struct torn_row *row)
{
	size_t control = round_up(sizeof(struct torn_control), DSM_PAGE);
	*t = (struct torn_ring){ .bytes = control + (size_t)row->slot_bytes * row->slots };
	t->memory = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->memory == MAP_FAILED)
		return -errno;
	t->control = t->memory;
	atomic_store(&t->control->line.bank_state, 1 | (uint64_t)1 << 32);
	t->ring = (struct ring){ .slots = (unsigned char *)t->memory + control,
		.pulse = &t->control->pulse, .line = &t->control->line,
		.slot_bytes = row->slot_bytes, .payload_bytes = row->slot_bytes - DSM_SLOT_HEADER,
		.seed = check_seed(TORN_SEED, 3), .mask = row->slots - 1, .bank_epoch = 1, .group = 3,
		.flags = row->verify ? RING_VERIFY : 0u };
	return 0;
}

void torn_ring_free(struct torn_ring *t)
{
	munmap(t->memory, t->bytes);
}

static void compose(uint64_t *image, uint64_t words, uint64_t seq)
{
	for (uint64_t i = 0; i < words; i++)
		image[i] = torn_word(seq, i);
}

static struct check_fields fields_of(const struct ring *ring, uint64_t seq)
{
	return (struct check_fields){ seq, slot_epoch_length(ring, TORN_EPOCH), torn_time(seq), seq };
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One word as a byte copy leaves it: in two pieces, at a border anywhere. */
static void store_bytes(void *to, uint64_t word, unsigned border)
{
	volatile unsigned char *at = to;
	for (unsigned i = 0; i < 8; i++)
		at[(border + i) & 7] = (unsigned char)(word >> ((border + i) & 7) * 8);
}

struct nic {
	uint64_t *slot;
	uint32_t *order;
	uint64_t words, random;
};

static void shuffle(struct nic *nic)
{
	for (uint64_t i = nic->words - 1; i > 0; i--) {
		uint64_t j = next_random(&nic->random) % (i + 1);
		uint32_t kept = nic->order[i];
		nic->order[i] = nic->order[j];
		nic->order[j] = kept;
	}
}

/* One WRITE of a composed slot, then one of the pulse. */
static void nic_publish(const struct ring *ring, struct nic *nic, uint64_t seq)
{
	struct check_fields f = fields_of(ring, seq);
	uint64_t *image = nic->slot + DSM_SLOT_HEADER / 8;
	compose(image, ring->payload_bytes / 8, seq);
	nic->slot[0] = f.seq;
	nic->slot[1] = f.epoch_length;
	nic->slot[2] = f.time;
	nic->slot[3] = f.step;
	nic->slot[4] = check_word(ring->seed, &f, image, ring->payload_bytes);
	unsigned char *to = (unsigned char *)slot_at(ring, seq);
	if ((seq & 15) == 0) /* a shuffle for every commit would be most of the work */
		shuffle(nic);
	unsigned border = (unsigned)next_random(&nic->random) & 7;
	for (uint64_t i = 0; i < nic->words; i++)
		store_bytes(to + 8ull * nic->order[i], nic->slot[nic->order[i]], border);
	atomic_thread_fence(memory_order_release); /* a NIC keeps the order of two WRITEs */
	store_bytes(ring->pulse, seq, border);
}

static void pace(uint32_t turns)
{
	for (volatile uint32_t i = 0; i < turns; i++)
		;
}

uint64_t torn_write(const struct torn_ring *t, const struct torn_row *row)
{
	const struct ring *ring = &t->ring;
	uint64_t words = ring->payload_bytes / 8, seq = 0;
	struct nic nic = { .words = ring->slot_bytes / 8, .random = TORN_SEED };
	uint64_t *image = malloc(ring->payload_bytes);
	nic.slot = calloc(1, ring->slot_bytes);
	nic.order = malloc(nic.words * sizeof(*nic.order));
	for (uint32_t i = 0; nic.order && i < nic.words; i++)
		nic.order[i] = i;
	while (image && nic.slot && nic.order &&
	       !atomic_load_explicit(&t->control->stop, memory_order_relaxed)) {
		seq++;
		if (row->writer == WRITE_NIC) {
			nic_publish(ring, &nic, seq);
		} else {
			struct check_fields f = fields_of(ring, seq);
			compose(image, words, seq);
			slot_publish(ring, &f, image);
		}
		atomic_store_explicit(&t->control->step_complete, seq, memory_order_release);
		if (row->pace)
			pace(row->pace);
	}
	free(image);
	free(nic.slot);
	free(nic.order);
	return seq;
}
