/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of marked banks: pulse and `step complete` as a NIC may leave them, torn at a carry. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <dsm/dsm.h>

#include "core/slot.h"
#include "core/step.h"

#define PAYLOAD 64u
#define GENERATION UINT64_C(0x1122334455667788)

struct made {
	struct ring ring;
	struct owner_line line;
	_Atomic uint64_t pulse;
	uint64_t scratch[PAYLOAD / 8], got[PAYLOAD / 8];
	struct slot_meta meta;
};

/* Commits 1 to `last`, step = seq; every word of the payload is the seq. */
static struct made *made_new(uint32_t slots, uint64_t last)
{
	struct made *m = calloc(1, sizeof(*m));
	atomic_store(&m->line.bank_state, (uint64_t)DSM_ALIVE << 32 | 1);
	m->ring = (struct ring){ .slots = aligned_alloc(64, slots * slot_bytes_for(PAYLOAD)),
		.pulse = &m->pulse, .line = &m->line, .slot_bytes = slot_bytes_for(PAYLOAD),
		.payload_bytes = PAYLOAD, .seed = check_seed(GENERATION, 0), .mask = slots - 1,
		.bank_epoch = 1, .flags = RING_VERIFY };
	memset(m->ring.slots, 0, slots * slot_bytes_for(PAYLOAD));
	for (uint64_t seq = 1; seq <= last; seq++) {
		uint64_t image[PAYLOAD / 8];
		for (size_t i = 0; i < PAYLOAD / 8; i++)
			image[i] = seq;
		struct check_fields f = { seq, slot_epoch_length(&m->ring, 1), 1, seq };
		slot_publish(&m->ring, &f, image);
	}
	return m;
}

static void made_free(struct made *m)
{
	free(m->ring.slots);
	free(m);
}

static uint64_t read_newest(struct made *m, uint64_t pulse)
{
	atomic_store(&m->pulse, pulse);
	cr_assert_eq(ring_read(&m->ring, 0, PAYLOAD, m->got, m->scratch, &m->meta), 0);
	cr_assert_eq(m->got[0], m->meta.seq);
	return m->meta.seq;
}

Test(ring, a_torn_pulse_never_hides_the_newest_commit)
{
	static const struct { uint32_t slots; uint64_t last, torn[3]; } cases[] = {
		{ 4, 0x100, { 0, 0x1ff, 0xff } }, { 512, 0x200, { 0x100, 0x1ff, 0x2ff } },
		{ 256, 0x10000, { 0xff00, 0, 0xffff } },
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct made *m = made_new(cases[c].slots, cases[c].last);
		cr_assert_eq(read_newest(m, cases[c].last), cases[c].last);
		for (size_t i = 0; i < 3; i++)
			cr_assert_eq(read_newest(m, cases[c].torn[i]), cases[c].last, "K %u, pulse %llx",
				cases[c].slots, (unsigned long long)cases[c].torn[i]);
		made_free(m);
	}
}

Test(ring, a_torn_pulse_does_not_change_what_belongs_to_a_step)
{
	static const uint64_t pulses[] = { 0, 0x1ff, 0xff, 0x100 };
	struct made *m = made_new(4, 0x100);
	for (size_t i = 0; i < sizeof(pulses) / sizeof(pulses[0]); i++) {
		atomic_store(&m->pulse, pulses[i]);
		cr_assert_eq(ring_read_step(&m->ring, 0xff, m->got, &m->meta), 0);
		cr_assert_eq(m->meta.seq, 0xff);
		cr_assert_eq(ring_read_step(&m->ring, 0x100, m->got, &m->meta), 0);
		cr_assert_eq(m->meta.seq, 0x100);
		cr_assert_eq(ring_read_step(&m->ring, 5, m->got, &m->meta), -EAGAIN);
		cr_assert_eq(ring_read_step(&m->ring, STEP_TORN, m->got, &m->meta), -EAGAIN);
	}
	made_free(m);
}

Test(ring, a_step_torn_anywhere_is_not_believed)
{
	struct bank_header bank = { 0 }, next = { 0 };
	for (uint64_t step = 0xfd; step < 0x103; step++) {
		step_store(&bank, GENERATION, step);
		cr_assert_eq(step_load(&bank, GENERATION, true), step);
		step_store(&next, GENERATION, step + 1);
		/* any mix of bytes of the two words, old and new */
		for (unsigned mix = 1; mix < 0xffff; mix++) {
			struct bank_header torn = bank;
			for (unsigned i = 0; i < 16; i++)
				if (mix >> i & 1)
					((char *)&torn.step_complete)[i] = ((char *)&next.step_complete)[i];
			uint64_t got = step_look(&torn, GENERATION);
			cr_assert(got == STEP_TORN || got == step || got == step + 1);
		}
	}
	step_store(&bank, GENERATION, 7);
	cr_assert_eq(step_load(&bank, GENERATION + 1, true), STEP_TORN);
	cr_assert_eq(step_load(&bank, GENERATION + 1, false), 7);
}

/* One word for one payload, whichever way a processor takes it: an owner may run on another one. */
Test(ring, a_long_payloads_check_is_that_of_the_plain_hash)
{
	static unsigned char payload[70000];
	struct check_fields f = { 7, 1 | (uint64_t)5 << 32, 1000, 7 };
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 131 + (i >> 8));
	for (size_t bytes = 8; bytes <= sizeof(payload); bytes += bytes < 3000 ? 8 : 4168)
		for (uint64_t seed = 0; seed < 3; seed++) {
			uint64_t head = XXH3_64bits_withSeed(&f, sizeof(f), seed);
			cr_assert_eq(check_word(seed, &f, payload, bytes), XXH3_64bits_withSeed(payload, bytes, head), "%zu", bytes);
		}
}
