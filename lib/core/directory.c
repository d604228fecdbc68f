/* SPDX-License-Identifier: Apache-2.0 */
#include "core/directory.h"

#include <errno.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/utf8.h"

uint64_t directory_hash_name(const char *name, size_t bytes)
{
	return XXH3_64bits(name, bytes);
}

uint64_t directory_hash(const void *directory, uint64_t bytes)
{
	return XXH3_64bits_withSeed(directory, bytes, DSM_LAYOUT_VERSION);
}

static int bad(const char *what, uint32_t where)
{
	return dsm__fail(-EBADMSG, "the engine's directory is damaged: %s (entry %u); "
		"nothing of it is used", what, where);
}

static bool section_ok(uint64_t offset, uint64_t count, uint64_t size, uint64_t bytes)
{
	return offset % 8 == 0 && offset >= sizeof(struct directory) && offset <= bytes &&
		count <= (bytes - offset) / size;
}

static bool text_ok(const struct view *v, uint32_t offset)
{
	return offset < v->head->pool_bytes;
}

/* Non-empty, printable enough, bounded. */
static bool name_ok(const struct view *v, uint32_t offset)
{
	if (!text_ok(v, offset))
		return false;
	size_t n = strnlen(v->pool + offset, 256);
	return n > 0 && n < 256 && utf8_valid(v->pool + offset, n);
}

static int check_sections(struct view *v, const void *directory, uint64_t bytes)
{
	const struct directory *d = directory;
	const unsigned char *base = directory;
	if (bytes < sizeof(*d) || d->magic != DSM_DIRECTORY_MAGIC)
		return bad("no directory there", 0);
	if (d->owner_count == 0 || d->owner_count > DSM_OWNERS_LIMIT ||
	    d->group_count > DSM_GROUPS_LIMIT || d->cell_count > DSM_CELLS_LIMIT)
		return bad("counts beyond the limits", 0);
	if (!section_ok(d->owners_offset, d->owner_count, sizeof(*v->owners), bytes) ||
	    !section_ok(d->groups_offset, d->group_count, sizeof(*v->groups), bytes) ||
	    !section_ok(d->cells_offset, d->cell_count, sizeof(*v->cells), bytes) ||
	    !section_ok(d->index_offset, d->index_size, sizeof(*v->index), bytes) ||
	    !section_ok(d->pool_offset, d->pool_bytes, 1, bytes))
		return bad("a section lies outside", 0);
	if (d->index_size < 2 || (d->index_size & (d->index_size - 1)) ||
	    d->index_size <= d->cell_count + d->group_count)
		return bad("name index of impossible size", 0);
	*v = (struct view){ .head = d,
		.owners = (const void *)(base + d->owners_offset),
		.groups = (const void *)(base + d->groups_offset),
		.cells = (const void *)(base + d->cells_offset),
		.index = (const void *)(base + d->index_offset),
		.pool = (const char *)(base + d->pool_offset),
		.owner_count = d->owner_count, .group_count = d->group_count,
		.cell_count = d->cell_count, .index_mask = d->index_size - 1 };
	if (d->pool_bytes < 1 || v->pool[0] || v->pool[d->pool_bytes - 1] || !name_ok(v, d->region_name))
		return bad("string pool not terminated", 0);
	return 0;
}

static int check_owners(const struct view *v, uint64_t banks, uint64_t region, uint64_t waiters)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < v->owner_count; i++) {
		const struct directory_owner *o = &v->owners[i];
		if (!name_ok(v, o->name))
			return bad("owner's name", i);
		if (o->first_group != next || o->group_count > v->group_count - next)
			return bad("owner's groups", i);
		next += o->group_count;
		if (o->bank_offset % DSM_PAGE || o->bank_bytes % DSM_PAGE || o->bank_offset < banks ||
		    o->bank_offset > region || o->bank_bytes > region - o->bank_offset ||
		    o->bank_bytes < DSM_PAGE ||
		    o->group_count > (o->bank_bytes - sizeof(struct bank_header)) / DSM_LINE)
			return bad("owner's bank", i);
		if (o->waiters_offset % 4 || o->waiters_offset > waiters ||
		    o->group_count > (waiters - o->waiters_offset) / 4)
			return bad("owner's waiter counts", i);
	}
	return next == v->group_count ? 0 : bad("groups without owner", next);
}

static int check_group(const struct view *v, uint32_t i, uint32_t first_cell)
{
	const struct directory_group *g = &v->groups[i];
	if (!name_ok(v, g->name) || !text_ok(v, g->description))
		return bad("group's name", i);
	if (g->owner >= v->owner_count)
		return bad("group's owner", i);
	const struct directory_owner *o = &v->owners[g->owner];
	if (i - o->first_group >= o->group_count)
		return bad("group's owner does not list it", i);
	if (g->first_cell != first_cell || g->cell_count > v->cell_count - first_cell)
		return bad("group's cells", i);
	if (g->slots < 2 || g->slots > 1024 || (g->slots & (g->slots - 1)))
		return bad("group's slot count", i);
	if (g->payload_bytes % 8 || g->payload_bytes == 0 || g->payload_bytes > UINT32_MAX ||
	    g->slot_bytes != slot_bytes_for(g->payload_bytes))
		return bad("group's size", i);
	if (g->ring_offset % DSM_LINE || g->ring_offset > o->bank_bytes ||
	    g->ring_offset < sizeof(struct bank_header) + DSM_LINE ||
	    g->slots > (o->bank_bytes - g->ring_offset) / g->slot_bytes)
		return bad("group's ring", i);
	if (g->pulse_offset != g->ring_offset - DSM_PULSE_BYTES)
		return bad("group's pulse", i);
	if (g->payload_bytes > DSM_UNCHECKED_ABOVE && !(g->flags & DSM_GROUP_UNCHECKED))
		return bad("group's check", i);
	return 0;
}

static int check_cell(const struct view *v, uint32_t i)
{
	const struct directory_cell *c = &v->cells[i];
	if (!name_ok(v, c->name) || !text_ok(v, c->unit) || !text_ok(v, c->description))
		return bad("cell's name", i);
	if (c->type < DSM_BOOL || c->type > DSM_F64_ARRAY || c->group >= v->group_count)
		return bad("cell's type or group", i);
	const struct directory_group *g = &v->groups[c->group];
	if (i - g->first_cell >= g->cell_count)
		return bad("cell's group does not list it", i);
	uint64_t bytes = payload_record_bytes((enum dsm_type)c->type, c->capacity);
	if (c->offset_lo % 8 || c->offset_lo > g->payload_bytes || bytes > g->payload_bytes - c->offset_lo)
		return bad("cell's place", i);
	return 0;
}

int view_init(struct view *view, const void *directory, uint64_t bytes, uint64_t banks_offset,
	uint64_t region_bytes, uint64_t waiters_bytes)
{
	struct view v;
	int rc = check_sections(&v, directory, bytes);
	if (rc == 0)
		rc = check_owners(&v, banks_offset, region_bytes, waiters_bytes);
	uint32_t first_cell = 0;
	for (uint32_t i = 0; rc == 0 && i < v.group_count; i++) {
		rc = check_group(&v, i, first_cell);
		first_cell += v.groups[i].cell_count;
	}
	if (rc == 0 && first_cell != v.cell_count)
		rc = bad("cells without group", first_cell);
	for (uint32_t i = 0; rc == 0 && i < v.cell_count; i++)
		rc = check_cell(&v, i);
	for (uint32_t i = 0; rc == 0 && i <= v.index_mask; i++)
		if (v.index[i] > v.cell_count + v.group_count)
			rc = bad("name index", i);
	if (rc == 0)
		*view = v;
	return rc;
}

/* Bounded even if a hostile index has no empty place. */
static uint32_t find(const struct view *v, const char *name, bool group)
{
	size_t n = strlen(name);
	uint32_t at = (uint32_t)directory_hash_name(name, n) & v->index_mask;
	for (uint32_t probe = 0; probe <= v->index_mask; probe++, at = (at + 1) & v->index_mask) {
		uint32_t entry = v->index[at];
		if (entry == 0)
			return DSM_NONE;
		entry--;
		bool is_group = entry >= v->cell_count;
		if (is_group != group)
			continue;
		uint32_t i = is_group ? entry - v->cell_count : entry;
		uint32_t text = is_group ? v->groups[i].name : v->cells[i].name;
		if (strcmp(v->pool + text, name) == 0)
			return i;
	}
	return DSM_NONE;
}

uint32_t view_find_cell(const struct view *view, const char *name)
{
	return find(view, name, false);
}

uint32_t view_find_group(const struct view *view, const char *name)
{
	return find(view, name, true);
}

uint32_t view_find_owner(const struct view *view, const char *name)
{
	for (uint32_t i = 0; i < view->owner_count; i++)
		if (strcmp(view_text(view, view->owners[i].name), name) == 0)
			return i;
	return DSM_NONE;
}
