/* SPDX-License-Identifier: Apache-2.0 */
#include "core/error.h"
#include "transport/transport.h"

static bool inside(uint64_t offset, uint64_t count, uint64_t size, uint64_t bytes)
{
	return offset % 8 == 0 && offset >= sizeof(struct region_header) && offset <= bytes &&
		count <= (bytes - offset) / size;
}

int transport_check_header(const struct region_header *h, uint64_t bytes, uint64_t generation)
{
	uint32_t version = atomic_load_explicit(&h->layout_version, memory_order_acquire);
	if (version != DSM_LAYOUT_VERSION)
		return dsm__fail(-EPROTONOSUPPORT, "the engine's memory has layout version %u, this "
			"library reads %u", version, DSM_LAYOUT_VERSION);
	if (h->magic != DSM_REGION_MAGIC || h->owner_count > DSM_OWNERS_LIMIT ||
	    h->group_count > DSM_GROUPS_LIMIT || h->cell_count > DSM_CELLS_LIMIT ||
	    !inside(h->owners_offset, h->owner_count, sizeof(struct owner_line), bytes) ||
	    !inside(h->notify_offset, h->group_count, 4, bytes) ||
	    !inside(h->counters_offset, DSM_COUNTERS, 8, bytes) ||
	    h->generation != generation || h->tick_ms == 0 || h->lease_ms == 0)
		return dsm__fail(-EBADMSG, "the engine's header is damaged; nothing of it is used");
	return 0;
}
