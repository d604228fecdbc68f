/* SPDX-License-Identifier: Apache-2.0 */
/* From a table to the directory image: groups sorted by owner, cells by group, names indexed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/region.h"

#define RING_PAGE_FROM 4096u /* rings from this size begin on a page */

struct build {
	const struct dsm_table *table;
	unsigned char *image;
	struct directory *head;
	struct directory_owner *owners;
	struct directory_group *groups;
	struct directory_cell *cells;
	uint32_t *index;
	uint32_t *order;            /* of groups: by owner, then as in the table */
};

/* Offsets of the sections; returns the size of all. */
static uint64_t place_sections(struct directory *d, const struct dsm_table *t)
{
	uint64_t names = (uint64_t)t->cell_count + t->group_count, size = 2;
	while (size < names * 2)
		size *= 2;
	uint64_t at = sizeof(*d);
	*d = (struct directory){ .magic = DSM_DIRECTORY_MAGIC, .owner_count = t->owner_count,
		.group_count = t->group_count, .cell_count = t->cell_count,
		.index_size = (uint32_t)size, .pool_bytes = t->pool_size, .region_name = t->region };
	d->owners_offset = (uint32_t)at;
	at += sizeof(struct directory_owner) * (uint64_t)t->owner_count;
	d->groups_offset = (uint32_t)at;
	at += sizeof(struct directory_group) * (uint64_t)t->group_count;
	d->cells_offset = (uint32_t)at;
	at += sizeof(struct directory_cell) * (uint64_t)t->cell_count;
	d->index_offset = (uint32_t)at;
	at += size * 4;
	d->pool_offset = (uint32_t)at;
	at += round_up(t->pool_size, 8);
	return at;
}

static int order_groups(struct build *b)
{
	const struct dsm_table *t = b->table;
	uint32_t *next = calloc(t->owner_count + 1, sizeof(*next));
	b->order = calloc(t->group_count ? t->group_count : 1, sizeof(*b->order));
	if (!next || !b->order) {
		free(next);
		return dsm__fail(-ENOMEM, "no memory for %u groups", t->group_count);
	}
	for (uint32_t i = 0; i < t->group_count; i++)
		next[t->groups[i].owner + 1]++;
	for (uint32_t i = 0; i < t->owner_count; i++)
		next[i + 1] += next[i];
	for (uint32_t i = 0; i < t->owner_count; i++)
		b->owners[i] = (struct directory_owner){ .name = t->owners[i].name,
			.flags = t->owners[i].network ? OWNER_NETWORK : 0, .first_group = next[i],
			.group_count = next[i + 1] - next[i] };
	for (uint32_t i = 0; i < t->group_count; i++)
		b->order[next[t->groups[i].owner]++] = i;
	free(next);
	return 0;
}

static void index_name(struct build *b, uint32_t pool_offset, uint32_t entry)
{
	const char *name = table_text(b->table, pool_offset);
	uint32_t mask = b->head->index_size - 1;
	uint32_t at = (uint32_t)directory_hash_name(name, strlen(name)) & mask;
	while (b->index[at])
		at = (at + 1) & mask;
	b->index[at] = entry + 1;
}

static void put_cells(struct build *b, uint32_t group, const struct table_group *from, uint32_t *next)
{
	const struct dsm_table *t = b->table;
	for (uint32_t c = from->first_cell; c != UINT32_MAX; c = t->cells[c].next) {
		const struct table_cell *cell = &t->cells[c];
		b->cells[*next] = (struct directory_cell){ .name = cell->name, .unit = cell->unit,
			.description = cell->description, .group = group, .offset_lo = cell->offset,
			.capacity = cell->capacity, .type = cell->type, .flags = cell->flags,
			.precision = cell->precision, .min = cell->min, .max = cell->max };
		index_name(b, cell->name, *next);
		(*next)++;
	}
}

static void put_groups(struct build *b)
{
	const struct dsm_table *t = b->table;
	uint32_t cell = 0;
	for (uint32_t i = 0; i < t->group_count; i++) {
		const struct table_group *from = &t->groups[b->order[i]];
		b->groups[i] = (struct directory_group){ .name = from->name,
			.description = from->description, .owner = from->owner, .first_cell = cell,
			.cell_count = from->cells, .slots = from->slots, .max_age_ms = from->max_age_ms,
			.payload_bytes = from->payload_bytes,
			.slot_bytes = slot_bytes_for(from->payload_bytes),
			.flags = (from->payload_bytes > DSM_UNCHECKED_ABOVE ? DSM_GROUP_UNCHECKED : 0u) |
				(from->no_save ? DSM_GROUP_NO_SAVE : 0u) };
		put_cells(b, i, from, &cell);
		index_name(b, from->name, t->cell_count + i);
	}
}

/* Rings within banks, banks within the region, waiter counts on their own pages. */
static void place_banks(struct build *b, uint64_t banks_offset, uint64_t *region_bytes,
	uint64_t *waiters_bytes)
{
	uint64_t at = banks_offset, waiters = 0;
	for (uint32_t i = 0; i < b->head->owner_count; i++) {
		struct directory_owner *o = &b->owners[i];
		uint64_t in = sizeof(struct bank_header);
		for (uint32_t g = 0; g < o->group_count; g++) {
			struct directory_group *group = &b->groups[o->first_group + g];
			uint64_t ring = group->slot_bytes * group->slots;
			in += DSM_LINE; /* the pulse's */
			if (ring >= RING_PAGE_FROM)
				in = round_up(in, DSM_PAGE);
			group->pulse_offset = in - DSM_PULSE_BYTES;
			group->ring_offset = in;
			in += ring;
		}
		o->bank_offset = at;
		o->bank_bytes = round_up(in, DSM_PAGE);
		o->waiters_offset = (uint32_t)waiters;
		at += o->bank_bytes;
		waiters += round_up(4ull * o->group_count + 4, DSM_PAGE);
	}
	*region_bytes = at;
	*waiters_bytes = waiters;
}

int directory_build(const struct dsm_table *table, uint64_t banks_offset, void **image,
	uint64_t *bytes, uint64_t *region_bytes, uint64_t *waiters_bytes)
{
	struct directory head;
	struct build b = { .table = table };
	*bytes = place_sections(&head, table);
	b.image = calloc(1, *bytes);
	if (!b.image)
		return dsm__fail(-ENOMEM, "no memory for a directory of %llu bytes",
			(unsigned long long)*bytes);
	b.head = (void *)b.image;
	*b.head = head;
	b.owners = (void *)(b.image + head.owners_offset);
	b.groups = (void *)(b.image + head.groups_offset);
	b.cells = (void *)(b.image + head.cells_offset);
	b.index = (void *)(b.image + head.index_offset);
	memcpy(b.image + head.pool_offset, table->pool, table->pool_size);
	int rc = order_groups(&b);
	if (rc == 0) {
		put_groups(&b);
		place_banks(&b, banks_offset, region_bytes, waiters_bytes);
	}
	free(b.order);
	if (rc)
		free(b.image);
	else
		*image = b.image;
	return rc;
}
