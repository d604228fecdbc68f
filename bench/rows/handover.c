/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: 500 MB from one process to another. In columns, because the ways differ in where they
 * spend the time: fill (the producer writes the data where it must stand), handover (until the
 * consumer may read the last byte), read (the consumer adds all of it up); and first-fill: the
 * same into memory that nobody has touched yet.
 */
#include "harness/clock.h"
#include "rows/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES 500000000u
#define BYTES_QUICK 100000000u /* like 500 MB above the size up to which arrays carry a check */
#define WARM 2u  /* hand-overs until all memory has been touched: an array cell has two slots */
#define PIECE ((size_t)1 << 20) /* words */
#define TIMES 4u /* hand-overs in one repeat */

enum { FIRST_FILL, FILL, HANDOVER, READ, COLUMNS };
enum { STAMP_TAKEN, STAMP_READ, STAMP_SUM, STAMP_ROUND }; /* bench_shared.stamp */

bool handover_stopped(const struct handover *h)
{
	return bench_stop || bench_expired ||
		(h->shared && atomic_load_explicit(&h->shared->stop, memory_order_relaxed));
}

/* ---- through a byte stream: both sides have a buffer of their own ---- */

static int map(struct handover *h, int flags)
{
	void *memory = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	h->memory = memory;
	return 0;
}

static void unmap(struct handover *h)
{
	if (h->memory)
		munmap(h->memory, h->bytes);
	h->memory = NULL;
}

static int stream_open(struct handover *h)
{
	return h->ops->peer->open(&h->peer);
}

static int stream_join(struct handover *h)
{
	int rc = h->ops->peer->join(&h->peer, h->side);
	return rc ? rc : map(h, MAP_PRIVATE);
}

static int own_memory(struct handover *h, uint64_t **memory)
{
	*memory = h->memory;
	return 0;
}

static int stream_give(struct handover *h)
{
	return transfer_send(&(struct transfer){ .peer = &h->peer }, h->memory, h->bytes, 0);
}

static int stream_take(struct handover *h, const uint64_t **memory)
{
	*memory = h->memory;
	return transfer_recv(&(struct transfer){ .peer = &h->peer, .shared = h->shared }, h->memory, h->bytes, 0);
}

static int no_more(struct handover *h)
{
	(void)h;
	return 0;
}

static void stream_close(struct handover *h)
{
	h->ops->peer->close(&h->peer);
	unmap(h);
}

/* ---- a copy into memory that both have ---- */

static int shm_open_memory(struct handover *h)
{
	return map(h, MAP_SHARED);
}

static int shm_join(struct handover *h)
{
	if (h->side == PEER_SERVER)
		return 0;
	void *private = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	h->own = private == MAP_FAILED ? NULL : private;
	return h->own ? 0 : -ENOMEM;
}

static int shm_begin(struct handover *h, uint64_t **memory)
{
	*memory = h->own;
	return 0;
}

static int shm_give(struct handover *h)
{
	const size_t piece = PIECE * sizeof(uint64_t);
	for (size_t at = 0; at < h->bytes; at += piece) {
		size_t left = h->bytes - at;
		memcpy((char *)h->memory + at, (const char *)h->own + at, left < piece ? left : piece);
		if (handover_stopped(h))
			return -EINTR;
	}
	atomic_fetch_add_explicit(h->turn, 1, memory_order_release);
	return 0;
}

static int shm_take(struct handover *h, const uint64_t **memory)
{
	while (atomic_load_explicit(h->turn, memory_order_acquire) == h->turns_seen) {
		if (handover_stopped(h))
			return -EINTR;
		bench_relax();
	}
	h->turns_seen++;
	*memory = h->memory;
	return 0;
}

static void shm_close(struct handover *h)
{
	if (h->own)
		munmap(h->own, h->bytes);
	h->own = NULL;
	unmap(h);
}

#define STREAM .open = stream_open, .join = stream_join, .begin = own_memory, .give = stream_give, \
	.take = stream_take, .done = no_more, .close = stream_close

static const struct handover_ops handover_pipe = { .name = "pipe", .peer = &peer_pipe, STREAM };
static const struct handover_ops handover_unix = { .name = "unix", .peer = &peer_unix, STREAM };
static const struct handover_ops handover_tcp = { .name = "tcp", .peer = &peer_tcp, STREAM };
static const struct handover_ops handover_shm = { .name = "shm-memcpy", .open = shm_open_memory,
	.join = shm_join, .begin = shm_begin, .give = shm_give, .take = shm_take, .done = no_more,
	.close = shm_close };

/* ---- consumer ---- */

static uint64_t add_up(const uint64_t *memory, size_t words)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < words; i++)
		sum += memory[i];
	return sum;
}

static int consume_one(struct handover *h)
{
	const uint64_t *memory;
	int rc = h->ops->take(h, &memory);
	if (rc)
		return rc;
	atomic_store(&h->shared->stamp[STAMP_TAKEN], bench_now_ns());
	atomic_store(&h->shared->stamp[STAMP_SUM], add_up(memory, h->bytes / 8));
	atomic_store(&h->shared->stamp[STAMP_READ], bench_now_ns());
	rc = h->ops->done(h);
	atomic_fetch_add(&h->shared->stamp[STAMP_ROUND], 1);
	return rc;
}

static int consume(struct bench_shared *shared, void *arg)
{
	struct handover *h = arg;
	h->shared = shared;
	h->side = PEER_SERVER;
	int rc = h->ops->join(h);
	atomic_store(&shared->ready, rc == 0);
	struct bench_usage before = bench_usage_self();
	while (!rc && !handover_stopped(h))
		rc = consume_one(h);
	shared->usage = bench_usage_since(bench_usage_self(), before, atomic_load(&shared->stamp[STAMP_ROUND]));
	h->ops->close(h);
	return rc == -ECONNRESET ? 0 : rc;
}

/* ---- producer ---- */

static int wait_read(const struct bench_shared *shared, uint64_t round)
{
	while (atomic_load(&shared->stamp[STAMP_ROUND]) <= round) {
		if (bench_stop || bench_expired)
			return -EINTR;
		if (atomic_load(&shared->rc))
			return atomic_load(&shared->rc);
		bench_sleep_ns(20000);
	}
	return 0;
}

/* In pieces: untouched memory can take seconds, and a stop is not to wait for it. */
static int fill(uint64_t *memory, size_t words, uint64_t round)
{
	for (size_t begin = 0; begin < words; begin += PIECE) {
		size_t end = begin + PIECE < words ? begin + PIECE : words;
		for (size_t i = begin; i < end; i++)
			memory[i] = i * 3 + round;
		if (bench_stop || bench_expired)
			return -EINTR;
	}
	bench_keep(memory);
	return 0;
}

static int produce_one(struct handover *h, const struct bench_shared *shared, uint64_t round,
	double times[COLUMNS])
{
	uint64_t *memory, expected = 0;
	size_t words = h->bytes / 8;
	uint64_t began = bench_now_ns();
	int rc = h->ops->begin(h, &memory);
	if (!rc)
		rc = fill(memory, words, round);
	if (rc)
		return rc;
	uint64_t filled = bench_now_ns();
	rc = h->ops->give(h);
	if (!rc)
		rc = wait_read(shared, round);
	if (rc)
		return rc;
	for (size_t i = 0; i < words; i++)
		expected += i * 3 + round;
	if (atomic_load(&shared->stamp[STAMP_SUM]) != expected)
		return -EBADMSG;
	uint64_t taken = atomic_load(&shared->stamp[STAMP_TAKEN]);
	times[FIRST_FILL] = times[FILL] = (double)(filled - began);
	times[HANDOVER] = (double)(taken - filled);
	times[READ] = (double)(atomic_load(&shared->stamp[STAMP_READ]) - taken);
	return 0;
}

static int produce(struct handover *h, const struct bench_shared *shared, struct bench_run *out)
{
	double times[COLUMNS];
	int rc = h->ops->join(h);
	struct bench_usage before = bench_usage_self();
	for (uint64_t round = 0; !rc && round < TIMES; round++) {
		rc = produce_one(h, shared, round, times);
		for (int c = 0; !rc && c < COLUMNS; c++) {
			if (c == FIRST_FILL ? round > 0 : round < WARM)
				continue;
			bench_series_add(&out->series[c], times[c]);
			out->series[c].sent++;
		}
	}
	out->series[FILL].client = bench_usage_since(bench_usage_self(), before, TIMES);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct handover h = { .ops = row->arg, .conf = conf, .bytes = conf->quick ? BYTES_QUICK : BYTES };
	struct bench_child child = { 0 };
	_Atomic uint64_t *turn = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (turn == MAP_FAILED)
		return -errno;
	h.turn = turn;
	h.peer = (struct peer){ .ops = h.ops->peer, .conf = conf, .size = h.bytes, .lanes = 1 };
	peer_no_descriptors(&h.peer);
	int rc = 0;
	for (int c = 0; !rc && c < COLUMNS; c++)
		rc = bench_series_reserve(&out->series[c], TIMES);
	if (!rc)
		rc = h.ops->open(&h);
	if (!rc)
		rc = bench_child_start(&child, conf->cpu_server, consume, &h);
	if (!rc)
		rc = produce(&h, child.shared, out);
	int consumed = bench_child_stop(&child, &out->series[READ].server);
	h.ops->close(&h);
	munmap(turn, 64);
	return rc ? rc : consumed;
}
_Static_assert(COLUMNS <= BENCH_SERIES_MAX, "more columns than a row can have");

void bench_rows_handover(struct bench_list *list)
{
	static const struct handover_ops *const ways[] = {
		&handover_dsm, &handover_shm, &handover_pipe, &handover_unix, &handover_tcp };
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct bench_row row = { .family = "handover", .peer = ways[i]->name, .mode = "block",
			.work = "500 MB (quick: 100 MB) filled by one process, summed up by the other, sum checked",
			.column = { "first-fill", "fill", "handover", "read" }, .kind = BENCH_ONCE, .size_bytes = BYTES,
			.max_repeats = 3, .arg = ways[i], .run = run };
		snprintf(row.name, sizeof(row.name), "handover.%s", row.peer);
		snprintf(row.base, sizeof(row.base), "handover.dsm");
		bench_list_add(list, &row);
	}
}
