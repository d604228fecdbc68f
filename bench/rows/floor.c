/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: what the protocol of docs/protocol.md costs by itself: its loads, stores, fences and check
 * words written out by hand for one scalar, without handle, table, limits, error text or transport.
 * What dsm.read and dsm.commit take beyond it is the interface. Nobody else looks at this memory.
 */
#include "harness/bench.h"

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <xxhash.h>
#pragma GCC diagnostic pop

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SLOTS 4u
#define EPOCH_LENGTH (UINT64_C(16) << 32 | 1)

struct slot { _Atomic uint64_t seq, epoch_length, time, step, check, record[3]; };

/* As they lie in the region: each on a line of its own. */
struct floor {
	struct slot slot[SLOTS];
	_Alignas(64) _Atomic uint64_t pulse;
	_Alignas(64) _Atomic uint64_t bank_state, epoch;
	_Alignas(64) _Atomic uint64_t step_complete;
	_Alignas(64) _Atomic uint32_t waiters;
	_Alignas(64) uint64_t seq, seed, record[2];
};

struct sample { uint64_t value, changed, seq; uint32_t epoch, quality; };

static __attribute__((noinline)) int read_once(const struct floor *f, struct sample *out)
{
	uint64_t pulse = atomic_load_explicit(&f->pulse, memory_order_acquire);
	const struct slot *slot = &f->slot[pulse % SLOTS];
	uint64_t epoch = atomic_load_explicit(&slot->epoch_length, memory_order_relaxed);
	uint64_t stamp = atomic_load_explicit(&slot->record[0], memory_order_relaxed);
	uint64_t value = atomic_load_explicit(&slot->record[1], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&slot->seq, memory_order_relaxed) != pulse || pulse == 0 ||
	    atomic_load_explicit(&f->bank_state, memory_order_acquire) != 1)
		return -EAGAIN;
	*out = (struct sample){ value, stamp & ~UINT64_C(7), pulse, (uint32_t)epoch, (uint32_t)(stamp & 7) };
	return 0;
}

static __attribute__((noinline)) int commit_once(struct floor *f, uint64_t time, uint64_t value)
{
	uint64_t seq = ++f->seq, fields[4] = { seq, EPOCH_LENGTH, time, seq };
	struct slot *slot = &f->slot[seq % SLOTS];
	f->record[0] = (time & ~UINT64_C(7)) | 1;
	f->record[1] = value;
	uint64_t check = XXH3_64bits_withSeed(f->record, sizeof(f->record),
		XXH3_64bits_withSeed(fields, sizeof(fields), f->seed));
	atomic_store_explicit(&slot->seq, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&slot->record[0], f->record[0], memory_order_relaxed);
	atomic_store_explicit(&slot->record[1], f->record[1], memory_order_relaxed);
	atomic_store_explicit(&slot->epoch_length, EPOCH_LENGTH, memory_order_relaxed);
	atomic_store_explicit(&slot->time, time, memory_order_relaxed);
	atomic_store_explicit(&slot->step, seq, memory_order_relaxed);
	atomic_store_explicit(&slot->check, check, memory_order_relaxed);
	atomic_store_explicit(&slot->seq, seq, memory_order_release);
	atomic_store_explicit(&f->pulse, seq, memory_order_release);
	atomic_store_explicit(&f->step_complete, seq, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&f->waiters, memory_order_relaxed) ||
		atomic_load_explicit(&f->bank_state, memory_order_relaxed) != 1 ||
		atomic_load_explicit(&f->epoch, memory_order_relaxed) != 1 ? -EOWNERDEAD : 0;
}

static int reads(void *context, uint32_t ops)
{
	struct sample sample;
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++) {
		rc |= read_once(context, &sample);
		bench_keep(&sample);
	}
	return rc;
}

static int commits(void *context, uint32_t ops)
{
	int rc = 0;
	for (uint32_t i = 0; i < ops; i++)
		rc |= commit_once(context, 1700000000000000000, i);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	bool read = row->arg != NULL;
	struct floor *f = aligned_alloc(64, sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct floor){ .bank_state = 1, .epoch = 1, .seed = 42 };
	int rc = commits(f, 1);
	if (!rc)
		rc = bench_batches(&(struct bench_batch){ .ops = row->ops_per_batch, .warm = 5,
			.n = conf->quick ? 60 : 400 }, read ? reads : commits, f, &out->series[0]);
	free(f);
	return rc;
}

void bench_rows_floor(struct bench_list *list)
{
	struct bench_row row = { .family = "floor", .name = "floor.read", .peer = "by hand", .mode = "read",
		.work = "the loads and the second look of one scalar's read, by a function call",
		.kind = BENCH_BATCH, .size_bytes = 16, .ops_per_batch = 20000, .arg = "", .run = run };
	bench_list_add(list, &row);
	row = (struct bench_row){ .family = "floor", .name = "floor.commit", .peer = "by hand", .mode = "commit",
		.work = "the stores, check words and fences of one scalar's commit, time given, by a function call",
		.kind = BENCH_BATCH, .size_bytes = 16, .ops_per_batch = 10000, .run = run };
	bench_list_add(list, &row);
}
