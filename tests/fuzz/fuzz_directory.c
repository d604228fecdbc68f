/* SPDX-License-Identifier: Apache-2.0 */
/* A directory from a hostile engine: either it is refused, or everything a client does with it
 * stays inside its bounds (ASan watches). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/directory.h"

#define REGION ((uint64_t)1 << 32)
#define WAITERS ((uint64_t)1 << 20)

static volatile uint64_t sink;

static void use(const struct view *v)
{
	for (uint32_t i = 0; i < v->owner_count; i++)
		sink += strlen(view_text(v, v->owners[i].name));
	for (uint32_t i = 0; i < v->group_count; i++) {
		const struct directory_group *g = &v->groups[i];
		const struct directory_owner *o = &v->owners[g->owner];
		sink += strlen(view_text(v, g->name)) + strlen(view_text(v, g->description));
		/* where the rings would lie: must be inside the region */
		if (o->bank_offset + g->ring_offset + g->slots * g->slot_bytes > REGION)
			abort();
		if (g->pulse_offset < sizeof(struct bank_header) || g->pulse_offset + 8 > o->bank_bytes)
			abort();
		if (o->waiters_offset + 4ull * (i - o->first_group) + 4 > WAITERS)
			abort();
	}
	for (uint32_t i = 0; i < v->cell_count; i++) {
		const struct directory_cell *c = &v->cells[i];
		const struct directory_group *g = &v->groups[c->group];
		if (c->offset_lo + payload_record_bytes((enum dsm_type)c->type, c->capacity) > g->payload_bytes)
			abort();
		sink += strlen(view_text(v, c->unit)) + strlen(view_text(v, c->description));
		sink += view_find_cell(v, view_text(v, c->name));
	}
	sink += view_find_group(v, "no such group") + view_find_cell(v, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view v;
	/* exactly as large as announced and 8-aligned, as a mapping is */
	unsigned char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (view_init(&v, copy, size, 0, REGION, WAITERS) == 0)
		use(&v);
	free(copy);
	return 0;
}
