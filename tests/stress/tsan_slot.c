/* SPDX-License-Identifier: Apache-2.0 */
/* slot.h and slot.c by threads over the same addresses, for TSan: through handles each thread
 * has a mapping of its own, and a race between two mappings is not seen. Every word shared is
 * atomic, so there must be no report; and no read may be torn. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "torn.h"

#define READERS 4u

struct reader {
	pthread_t thread;
	const struct torn_ring *shared;
	enum torn_path path;
	uint64_t accepted, refused, torn, backwards;
};

static void judge(struct reader *r, const uint64_t *words, const struct slot_meta *meta, uint64_t *floor)
{
	uint64_t n = r->shared->ring.payload_bytes / 8, wrong = 0;
	for (uint64_t i = 0; meta->seq && i < n; i++)
		wrong |= words[i] ^ torn_word(meta->seq, i);
	r->accepted++;
	r->torn += wrong != 0 || (meta->seq && meta->step != meta->seq);
	r->backwards += meta->seq < *floor && !(r->shared->ring.flags & RING_VERIFY);
	*floor = meta->seq;
}

static int read_once(const struct reader *r, uint64_t next, uint64_t *to, uint64_t *scratch,
	struct slot_meta *meta)
{
	const struct ring *ring = &r->shared->ring;
	uint64_t step = atomic_load_explicit(&r->shared->control->step_complete, memory_order_acquire);
	if (r->path == PATH_AT)
		return ring_read_at(ring, next, to, meta);
	if (r->path == PATH_STEP)
		return ring_read_step(ring, step, to, meta);
	return ring_read(ring, 0, ring->payload_bytes, to, scratch, meta);
}

static void *run_reader(void *context)
{
	struct reader *r = context;
	const struct ring *ring = &r->shared->ring;
	uint64_t *words = malloc(ring->payload_bytes), *scratch = malloc(ring->payload_bytes);
	uint64_t floor = 0, next = 1;
	while (!atomic_load_explicit(&r->shared->control->stop, memory_order_relaxed)) {
		struct slot_meta meta = { 0 };
		int rc = read_once(r, next, words, scratch, &meta);
		if (rc == 0) {
			judge(r, words, &meta, &floor);
			next = meta.seq + 1;
		} else {
			r->refused++;
			if (rc == -EOVERFLOW)
				next = atomic_load_explicit(ring->pulse, memory_order_acquire);
		}
	}
	free(words);
	free(scratch);
	return NULL;
}

struct writer { const struct torn_ring *shared; const struct torn_row *row; uint64_t commits; };

static void *run_writer(void *context)
{
	struct writer *w = context;
	w->commits = torn_write(w->shared, w->row);
	return NULL;
}

static void run_row(const struct torn_row *row, unsigned ms)
{
	struct torn_ring shared;
	struct reader readers[READERS] = { 0 };
	struct writer writer = { &shared, row, 0 };
	pthread_t thread;
	uint64_t accepted = 0, refused = 0, torn = 0, backwards = 0;
	if (!check(torn_ring_new(&shared, row) == 0, "no memory"))
		return;
	if (!check(pthread_create(&thread, NULL, run_writer, &writer) == 0, "no thread"))
		return;
	for (unsigned i = 0; i < READERS; i++) {
		readers[i].shared = &shared;
		readers[i].path = row->verify ? PATH_READ : (enum torn_path)(i % 4);
		pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]);
	}
	plain_sleep_ms(ms);
	atomic_store(&shared.control->stop, 1);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		accepted += readers[i].accepted;
		refused += readers[i].refused;
		torn += readers[i].torn;
		backwards += readers[i].backwards;
	}
	printf("%5u B  K=%u  %-7s  commits %8llu  accepted %9llu  refused %9llu  torn %llu  backwards %llu\n",
		row->slot_bytes, row->slots, row->verify ? "checked" : "trusted",
		(unsigned long long)writer.commits, (unsigned long long)accepted,
		(unsigned long long)refused, (unsigned long long)torn, (unsigned long long)backwards);
	check(torn == 0, "%llu torn", (unsigned long long)torn);
	check(backwards == 0, "%llu backwards", (unsigned long long)backwards);
	check(accepted > 0 && writer.commits > 0, "nothing was read or written");
	torn_ring_free(&shared);
}

int main(void)
{
	static const struct torn_row rows[] = {
		{ .slot_bytes = 64, .slots = 2 }, { .slot_bytes = 64, .slots = 4, .pace = 300 },
		{ .slot_bytes = 64, .slots = 4, .verify = true },
		{ .slot_bytes = 1024, .slots = 2, .verify = true, .pace = 300 },
		{ .slot_bytes = 1024, .slots = 4 }, { .slot_bytes = 4096, .slots = 2 },
	};
	plain_begin(120);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i], 600);
	return plain_end();
}
