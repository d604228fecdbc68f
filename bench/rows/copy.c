/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: copying memory, plain and under libck's sequence lock: the floor for any table in memory. */
#include "harness/bench.h"

#include <ck_sequence.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 400u
#define BATCHES_QUICK 60u

struct copy_spec {
	size_t size;
	uint32_t ops;
};

static const struct copy_spec sizes[] = { { 8, 20000 }, { 64, 20000 }, { 4096, 2000 }, { 1 << 20, 4 } };
static const char *const size_names[] = { "8B", "64B", "4KiB", "1MiB" };

/* The 64-byte case is the size of one slot of a one-cell group: 40 bytes of header, payload, padding. */
struct copy {
	ck_sequence_t *lock;
	char *from, *to;
	size_t size;
};

/* Inlined with a constant size below: a cell's size is known, too. */
static inline int plain(struct copy *c, uint32_t ops, size_t size)
{
	for (uint32_t i = 0; i < ops; i++) {
		memcpy(c->to, c->from, size);
		bench_keep(c->to);
	}
	return 0;
}

static inline void locked_once(struct copy *c, size_t size)
{
	unsigned version;
	CK_SEQUENCE_READ(c->lock, &version)
		memcpy(c->to, c->from, size);
	bench_keep(c->to);
}

static inline int locked(struct copy *c, uint32_t ops, size_t size)
{
	for (uint32_t i = 0; i < ops; i++)
		locked_once(c, size);
	return 0;
}

static int copy_plain(void *context, uint32_t ops)
{
	struct copy *c = context;
	return c->size == 8 ? plain(c, ops, 8) : c->size == 64 ? plain(c, ops, 64) : plain(c, ops, c->size);
}

static int copy_locked(void *context, uint32_t ops)
{
	struct copy *c = context;
	return c->size == 8 ? locked(c, ops, 8) : c->size == 64 ? locked(c, ops, 64) : locked(c, ops, c->size);
}

static __attribute__((noinline)) void locked_64_called(struct copy *c)
{
	locked_once(c, 64);
}

/* As behind the interface of a library: one call for each copy. */
static int copy_called(void *context, uint32_t ops)
{
	for (uint32_t i = 0; i < ops; i++)
		locked_64_called(context);
	return 0;
}

static inline int written(struct copy *c, uint32_t ops, size_t size)
{
	for (uint32_t i = 0; i < ops; i++) {
		ck_sequence_write_begin(c->lock);
		memcpy(c->from, c->to, size);
		ck_sequence_write_end(c->lock);
		bench_keep(c->from);
	}
	return 0;
}

static int write_locked(void *context, uint32_t ops)
{
	struct copy *c = context;
	return c->size == 8 ? written(c, ops, 8) : c->size == 64 ? written(c, ops, 64) : written(c, ops, c->size);
}

static int run_copy(const struct bench_row *row, const struct bench_conf *conf,
	struct bench_run *out, bench_batch_operation operation)
{
	const struct copy_spec *spec = row->arg;
	struct copy c = { .size = spec->size };
	size_t room = (spec->size + 127) / 64 * 64;
	c.from = aligned_alloc(64, room);
	c.to = aligned_alloc(64, room);
	c.lock = aligned_alloc(64, 64);
	int rc = c.from && c.to && c.lock ? 0 : -ENOMEM;
	if (!rc) {
		memset(c.from, 1, room);
		memset(c.to, 2, room);
		ck_sequence_init(c.lock);
		rc = bench_batches(&(struct bench_batch){ .ops = spec->ops, .warm = 3,
			.n = conf->quick ? BATCHES_QUICK : BATCHES }, operation, &c, &out->series[0]);
	}
	free(c.from);
	free(c.to);
	free(c.lock);
	return rc;
}

static int run_memcpy(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return run_copy(row, conf, out, copy_plain);
}

static int run_sequence(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return run_copy(row, conf, out, copy_locked);
}

static int run_sequence_write(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return run_copy(row, conf, out, write_locked);
}

static int run_called(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return run_copy(row, conf, out, copy_called);
}

static void add(struct bench_list *list, const char *peer, const char *mode, const char *work, size_t i,
	int (*run)(const struct bench_row *, const struct bench_conf *, struct bench_run *))
{
	struct bench_row row = { .family = "copy", .work = work, .peer = peer, .mode = mode,
		.kind = BENCH_BATCH, .size_bytes = sizes[i].size, .ops_per_batch = sizes[i].ops,
		.arg = &sizes[i], .run = run };
	snprintf(row.name, sizeof(row.name), "copy.%s.%s.%s", peer, mode, size_names[i]);
	snprintf(row.base, sizeof(row.base), "copy.memcpy.read.%s", size_names[i]);
	bench_list_add(list, &row);
}

void bench_rows_copy(struct bench_list *list)
{
	const char *work = "one copy between two buffers of one thread, source in cache";
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		add(list, "memcpy", "read", work, i, run_memcpy);
		add(list, "ck_sequence", "read", work, i, run_sequence);
		if (sizes[i].size == 64)
			add(list, "ck_sequence", "call", "the same by a function call for each copy", i, run_called);
		add(list, "ck_sequence", "write", work, i, run_sequence_write);
	}
}
