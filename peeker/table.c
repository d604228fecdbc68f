/* SPDX-License-Identifier: Apache-2.0 */
/* The viewer's copy of the table: names outlive the handle's table; see model.h. */
#include "model.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

struct text_chunk {
	struct text_chunk *next;
	size_t used, size;
	char text[];
};

struct building {
	struct table *table;
	struct dsm *dsm;
	char *const *globs;
	int n_globs;
	uint32_t cells_room, groups_room;
	uint32_t last_group;
	int error;
};

static atomic_ullong versions;

/* ---- texts ---- */

static const char *keep_text(struct building *b, const char *text)
{
	struct text_chunk *chunk = b->table->texts;
	size_t size = strlen(text) + 1;

	if (size == 1)
		return "";
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		struct text_chunk *fresh = malloc(sizeof *fresh + room);
		if (!fresh) {
			b->error = -ENOMEM;
			return "";
		}
		*fresh = (struct text_chunk){ .next = chunk, .size = room };
		b->table->texts = chunk = fresh;
	}
	char *place = chunk->text + chunk->used;
	memcpy(place, text, size);
	chunk->used += size;
	return place;
}

/* ---- life ---- */

struct table *table_hold(struct table *table)
{
	atomic_fetch_add(&table->holders, 1);
	return table;
}

void table_drop(struct table **table)
{
	struct table *t = *table;

	*table = NULL;
	if (!t || atomic_fetch_sub(&t->holders, 1) != 1)
		return;
	for (struct text_chunk *chunk = t->texts, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(t->cell);
	free(t->group);
	free(t->owner);
	free(t->by_name);
	free(t);
}

/* ---- walking the handle's table ---- */

static void *more(void *array, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return array;
	uint32_t larger = *room ? *room * 2 : 64;
	void *moved = realloc(array, larger * size);
	if (moved)
		*room = larger;
	return moved;
}

static int take_group(const struct dsm_group_info *info, void *context)
{
	struct building *b = context;
	struct table *t = b->table;
	struct group_meta *groups = more(t->group, t->groups, &b->groups_room, sizeof *groups);

	if (!groups)
		return -ENOMEM;
	t->group = groups;
	groups[t->groups++] = (struct group_meta){
		.name = keep_text(b, info->name), .description = keep_text(b, info->description),
		.owner = info->owner, .slots = info->slots, .flags = info->flags,
		.max_age_ms = info->max_age_ms, .payload_bytes = info->payload_bytes,
		.id = info->group,
	};
	return b->error;
}

static bool is_wanted(const struct building *b, const char *name)
{
	for (int i = 0; i < b->n_globs; i++)
		if (fnmatch(b->globs[i], name, FNM_NOESCAPE) == 0)
			return true;
	return b->n_globs == 0;
}

/* Cells come in table order, which is group by group: nearly always the last one's, or the
 * next. */
static uint32_t group_of(struct building *b, struct dsm_group group)
{
	const struct table *t = b->table;

	for (uint32_t i = 0; i < t->groups; i++) {
		uint32_t at = (b->last_group + i) % t->groups;
		if (t->group[at].id.id == group.id)
			return b->last_group = at;
	}
	return UINT32_MAX;
}

static int take_cell(const struct dsm_cell_info *info, void *context)
{
	struct building *b = context;
	struct table *t = b->table;

	if (!is_wanted(b, info->name))
		return 0;
	struct cell_meta *cells = more(t->cell, t->cells, &b->cells_room, sizeof *cells);
	if (!cells)
		return -ENOMEM;
	t->cell = cells;
	uint32_t group = group_of(b, info->group);
	if (group == UINT32_MAX)
		return -ESTALE;
	const char *name = keep_text(b, info->name);
	size_t skip = strlen(info->group_name) + 1;
	cells[t->cells++] = (struct cell_meta){
		.name = name, .leaf = strlen(name) > skip ? name + skip : name,
		.unit = keep_text(b, info->unit), .description = keep_text(b, info->description),
		.group = group, .capacity = info->capacity, .flags = info->flags, .type = info->type,
		.min = info->min, .max = info->max, .precision = info->precision, .id = info->cell,
	};
	t->group[group].n++;
	return b->error;
}

static int take_owners(struct building *b)
{
	struct dsm_region_info region;
	struct dsm_owner_info info;
	int error = dsm_region_info(b->dsm, &region);

	if (error)
		return error;
	b->table->owner = calloc(region.owners + 1, sizeof *b->table->owner);
	if (!b->table->owner)
		return -ENOMEM;
	for (uint32_t i = 0; i < region.owners; i++) {
		error = dsm_owner_info(b->dsm, i, &info);
		if (error)
			return error == -ERANGE ? -ESTALE : error;
		b->table->owner[i] = keep_text(b, info.name);
		b->table->owners++;
	}
	return b->error;
}

/* ---- putting it in order ---- */

/* A counting sort by group, stable: whatever the order, a group's cells lie side by side. */
static int sort_cells(struct table *t)
{
	struct cell_meta *sorted = calloc(t->cells + 1, sizeof *sorted);
	uint32_t first = 0;

	if (!sorted)
		return -ENOMEM;
	for (uint32_t g = 0; g < t->groups; g++) {
		t->group[g].first = first;
		first += t->group[g].n;
		t->group[g].n = 0;
	}
	for (uint32_t i = 0; i < t->cells; i++) {
		struct group_meta *group = &t->group[t->cell[i].group];
		sorted[group->first + group->n++] = t->cell[i];
	}
	free(t->cell);
	t->cell = sorted;
	return 0;
}

static int by_name(const void *a, const void *b, void *context)
{
	const struct table *t = context;

	return strcmp(t->cell[*(const uint32_t *)a].name, t->cell[*(const uint32_t *)b].name);
}

static int index_names(struct table *t)
{
	t->by_name = calloc(t->cells + 1, sizeof *t->by_name);
	if (!t->by_name)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->cells; i++)
		t->by_name[i] = i;
	qsort_r(t->by_name, t->cells, sizeof *t->by_name, by_name, t);
	return 0;
}

uint32_t table_find(const struct table *t, const char *name)
{
	uint32_t low = 0, high = t->cells;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = strcmp(t->cell[t->by_name[mid]].name, name);
		if (order == 0)
			return t->by_name[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return UINT32_MAX;
}

int table_build(struct dsm *dsm, char *const *globs, int n, struct table **out)
{
	struct building b = { .dsm = dsm, .globs = globs, .n_globs = n };
	struct table *t = b.table = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	atomic_init(&t->holders, 1);
	t->version = atomic_fetch_add(&versions, 1) + 1;
	int error = take_owners(&b);
	if (!error)
		error = dsm_foreach_group(dsm, NULL, take_group, &b);
	if (!error)
		error = dsm_foreach_cell(dsm, NULL, take_cell, &b);
	if (!error && t->cells == 0)
		error = -ENOENT;
	if (!error)
		error = sort_cells(t);
	if (!error)
		error = index_names(t);
	if (error)
		table_drop(&t);
	else
		*out = t;
	return error;
}
