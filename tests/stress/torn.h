/* SPDX-License-Identifier: Apache-2.0 */
/* The torn-read stress: one group's ring in anonymous shared memory, a writer process, a
 * reader. Every word of a commit derives from its seq, so a commit proves itself. */
#ifndef DSM_TESTS_STRESS_TORN_H
#define DSM_TESTS_STRESS_TORN_H

#include "core/slot.h"

#define TORN_EPOCH 7u
#define TORN_SEED UINT64_C(0x5eed0f7041)

enum torn_path { PATH_READ, PATH_PART, PATH_QUICK, PATH_AT, PATH_STEP };
enum torn_writer { WRITE_LOCAL, WRITE_NIC };

/* One combination that is put to the test. */
struct torn_row {
	uint32_t slot_bytes, slots;
	enum torn_path path;
	enum torn_writer writer;
	bool verify;
	uint32_t pace;          /* turns of a spinning loop between two commits; 0 = saturating */
};

/* What writer and reader share besides the ring, each word on its own line. */
struct torn_control {
	_Alignas(64) _Atomic uint64_t pulse;
	_Alignas(64) _Atomic uint64_t step_complete;
	_Alignas(64) _Atomic uint32_t stop;
	_Alignas(64) struct owner_line line;
};

struct torn_ring {
	struct torn_control *control;
	void *memory;
	size_t bytes;
	struct ring ring;
};

static inline uint64_t torn_word(uint64_t seq, uint64_t index)
{
	return seq * UINT64_C(0x9e3779b97f4a7c15) ^ (index + 1) * UINT64_C(0xd6e8feb86659fd93);
}

static inline uint64_t torn_time(uint64_t seq)
{
	return seq * UINT64_C(0xff51afd7ed558ccd);
}

/* 0 or -errno. */
int torn_ring_new(struct torn_ring *ring, const struct torn_row *row);
void torn_ring_free(struct torn_ring *ring);
/* Writes commits until control->stop. Returns their number. */
uint64_t torn_write(const struct torn_ring *ring, const struct torn_row *row);

#endif
