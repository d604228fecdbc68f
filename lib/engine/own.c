/* SPDX-License-Identifier: Apache-2.0 */
/* The engine as a writer of its own groups, and as the one that wakes waiters. */
#include <errno.h>

#include "core/counters.h"
#include "core/futex.h"
#include "engine/region.h"

static int own_publish(void *context, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	struct region *r = context;
	slot_publish(&r->rings[group], fields, image);
	return 0;
}

void region_complete(struct region *r, uint32_t owner, uint64_t step)
{
	struct bank_header *bank = (void *)(r->base + r->view.owners[owner].bank_offset);
	step_store(bank, r->generation, step);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence of the waiting side */
}

static int own_complete(void *context, uint64_t step, const uint32_t *groups, uint32_t n)
{
	struct region *r = context;
	region_complete(r, r->view.groups[groups[0]].owner, step);
	region_wake(r, groups, n);
	return 0;
}

void region_wake(struct region *r, const uint32_t *groups, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct directory_owner *o = &r->view.owners[r->view.groups[groups[i]].owner];
		const _Atomic uint32_t *waiters = (void *)(r->waiters + o->waiters_offset +
			4ull * (groups[i] - o->first_group));
		if (o->flags & OWNER_NETWORK) {
			atomic_fetch_add_explicit(&r->notify[groups[i]], 1, memory_order_release);
			futex_wake_all(&r->notify[groups[i]]);
			region_count(r, COUNTER_NOTIFIED, 1);
		} else if (atomic_load_explicit(waiters, memory_order_relaxed)) {
			futex_wake_all(r->rings[groups[i]].pulse);
		}
	}
}

static int own_load(void *context, uint32_t group, uint64_t *image, struct slot_meta *meta)
{
	struct region *r = context;
	return ring_read(&r->rings[group], 0, r->rings[group].payload_bytes, image, r->scratch, meta);
}

static uint64_t own_step(void *context)
{
	(void)context;
	return 0;
}

const struct writer_sink region_sink = { own_publish, own_complete, own_load, own_step };
