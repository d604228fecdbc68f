/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table builder. Each add checks everything first, then makes room, then changes the table:
 * a refused add leaves it as it was. Names and the index are in table_names.c.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/layout.h"
#include "core/near.h"
#include "core/payload.h"
#include "engine/table_devices.h"
#include "engine/table_names.h"

static_assert(DSM_CELLS_MAX == DSM_CELLS_LIMIT && DSM_OWNERS_MAX == DSM_OWNERS_LIMIT,
	"limits of the interface and of the layout");
static_assert(TABLE_BIG_PAYLOAD == DSM_UNCHECKED_ABOVE, "limit of the check word");
static_assert(TABLE_PAYLOAD_MAX <= UINT32_MAX, "places are 32-bit");

/* Room for one more in a growing array. */
static int make_room(void **array, uint32_t count, uint32_t *room, size_t size)
{
	if (count < *room)
		return 0;
	uint32_t more = *room ? *room * 2 : 16;
	void *bigger = realloc(*array, (size_t)more * size);
	if (!bigger)
		return dsm__fail(-ENOMEM, "no memory for %u entries of the table", more);
	*array = bigger;
	*room = more;
	return 0;
}

#define MAKE_ROOM(table, what) make_room((void **)&(table)->what##s, (table)->what##_count, \
	&(table)->what##_room, sizeof(*(table)->what##s))

int dsm_table_new(const char *region, struct dsm_table **out)
{
	if (!out)
		return dsm__fail(-EINVAL, "dsm_table_new(): null pointer");
	int rc = table_name_check("region", region, TABLE_REGION_NAME_MAX, true);
	if (rc)
		return rc;
	struct dsm_table *table = calloc(1, sizeof(*table));
	if (!table)
		return dsm__fail(-ENOMEM, "no memory for a table");
	rc = table_reserve(table, 2, strlen(region) + 1);
	if (rc)
		goto free_table;
	table_put(table, "", 0);
	table->region = table_put(table, region, strlen(region));
	rc = dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "engine" });
	if (rc)
		goto free_table;
	*out = table;
	return 0;
free_table:
	dsm_table_free(&table);
	return rc;
}

void dsm_table_free(struct dsm_table **table)
{
	if (!table || !*table)
		return;
	free((*table)->pool);
	free((*table)->owners);
	free((*table)->groups);
	free((*table)->cells);
	free((*table)->index);
	table_devices_free(*table);
	free(*table);
	*table = NULL;
}

/* ---- owners ------------------------------------------------------------------------- */

int dsm_table_owner(struct dsm_table *table, const struct dsm_owner_spec *spec)
{
	if (!table || !spec)
		return dsm__fail(-EINVAL, "dsm_table_owner(): null pointer");
	table_key = "name";
	int rc = table_name_check("owner", spec->name, DSM_NAME_MAX, false);
	if (rc)
		return rc;
	size_t n = strlen(spec->name);
	char what[DSM_NAME_MAX + 16];
	snprintf(what, sizeof(what), "owner \"%s\"", spec->name);
	table_key = "users";
	rc = table_users_check(what, spec->users);
	if (rc)
		return rc;
	table_key = "name";
	if (table->owner_count > 0 && table_find(table, TABLE_OWNER, spec->name, n) != TABLE_NONE)
		return dsm__fail(-EEXIST, strcmp(spec->name, "engine") == 0 ?
			"%s is there from the start: expected another name" :
			"%s is there already: expected another name", what);
	if (table->owner_count == DSM_OWNERS_MAX)
		return dsm__fail(-E2BIG, "%s: a table has at most %u owners", what, DSM_OWNERS_MAX);
	rc = MAKE_ROOM(table, owner);
	if (rc == 0)
		rc = table_reserve(table, 2, n + (spec->users ? strlen(spec->users) : 0));
	if (rc)
		return rc;
	uint32_t i = table->owner_count++;
	table->owners[i] = (struct table_owner){
		.name = table_put(table, spec->name, n),
		.network = spec->network };
	table_index_add(table, TABLE_OWNER, table->owners[i].name, i);
	table->owners[i].users = table_put_shared(table, spec->users);
	return 0;
}

/* ---- groups ------------------------------------------------------------------------- */

static int check_slots(const char *name, uint32_t slots)
{
	if (slots == 0 || (slots >= 2 && slots <= DSM_SLOTS_MAX && (slots & (slots - 1)) == 0))
		return 0;
	return dsm__fail(-EINVAL, "group \"%s\": %u slots: expected a power of two, 2 to %u, or 0 "
		"for the default", name, slots, DSM_SLOTS_MAX);
}

/* Names of groups and cells are one space: "a.b" is not a group and a cell at once. */
static int check_taken(const struct dsm_table *table, const char *what, const char *name)
{
	bool group = table_find_group(table, name) != TABLE_NONE;
	if (!group && table_find_cell(table, name) == TABLE_NONE)
		return 0;
	return dsm__fail(-EEXIST, "%s \"%s\": a %s of that name is there already: expected another "
		"name", what, name, group ? "group" : "cell");
}

static int no_such_owner(const struct dsm_table *table, const char *what, const char *wanted)
{
	struct near near;
	char offer[3 * NEAR_NAME_MAX + 64];
	near_begin(&near, wanted);
	for (uint32_t i = 0; i < table->owner_count; i++)
		near_offer(&near, table_text(table, table->owners[i].name));
	near_text(&near, offer, sizeof(offer));
	return dsm__fail(-ENOENT, "%s: there is no owner \"%.*s\"%s", what, DSM_NAME_MAX,
		table_name_check("owner", wanted, DSM_NAME_MAX, false) ? "" : wanted, offer);
}

static int check_group(const struct dsm_table *table, const struct dsm_group_spec *spec,
	uint32_t *owner)
{
	table_key = "name";
	int rc = table_name_check("group", spec->name, DSM_NAME_MAX - 2, true);
	if (rc)
		return rc;
	rc = check_taken(table, "group", spec->name);
	if (rc)
		return rc;
	table_key = "slots";
	rc = check_slots(spec->name, spec->slots);
	if (rc)
		return rc;
	char what[DSM_NAME_MAX + 16];
	snprintf(what, sizeof(what), "group \"%s\"", spec->name);
	table_key = "description";
	rc = table_text_check(what, "description", spec->description, TABLE_DESCRIPTION_MAX);
	if (rc)
		return rc;
	table_key = "owner";
	*owner = spec->owner ? table_find_owner(table, spec->owner) : 0;
	if (*owner == TABLE_NONE)
		return no_such_owner(table, what, spec->owner);
	table_key = "name";
	if (table->group_count == DSM_GROUPS_LIMIT)
		return dsm__fail(-E2BIG, "%s: a table has at most %u groups", what, DSM_GROUPS_LIMIT);
	return 0;
}

int dsm_table_group(struct dsm_table *table, const struct dsm_group_spec *spec)
{
	if (!table || !spec)
		return dsm__fail(-EINVAL, "dsm_table_group(): null pointer");
	uint32_t owner;
	int rc = check_group(table, spec, &owner);
	if (rc == 0)
		rc = MAKE_ROOM(table, group);
	size_t n = rc ? 0 : strlen(spec->name);
	if (rc == 0)
		rc = table_reserve(table, 2, n + (spec->description ? strlen(spec->description) : 0));
	if (rc)
		return rc;
	uint32_t i = table->group_count++;
	table->groups[i] = (struct table_group){
		.name = table_put(table, spec->name, n),
		.owner = owner,
		.slots = spec->slots ? spec->slots : TABLE_SLOTS_DEFAULT,
		.slots_asked = spec->slots != 0,
		.max_age_ms = spec->max_age_ms,
		.first_cell = TABLE_NONE, .last_cell = TABLE_NONE,
		.no_save = spec->no_save };
	table_index_add(table, TABLE_GROUP, table->groups[i].name, i);
	table->groups[i].description = table_put_shared(table, spec->description);
	table->owners[owner].groups++;
	return 0;
}

/* ---- cells -------------------------------------------------------------------------- */

/* Limits of an integer cell are doubles: they must be in its range, or clamping to them would
 * be undefined, and at least one integer must lie between them. */
static int check_integer_range(const struct dsm_cell_spec *spec, const char *name)
{
	bool is_u64 = spec->type == DSM_U64;
	double lowest = is_u64 ? 0.0 : -0x1p63, end = is_u64 ? 0x1p64 : 0x1p63;
	double min = spec->flags & DSM_HAS_MIN ? ceil(spec->min) : lowest;
	double max = spec->flags & DSM_HAS_MAX ? floor(spec->max) : lowest;
	table_key = min < lowest || min >= end ? "min" : "max";
	if (min < lowest || min >= end || max < lowest || max >= end)
		return dsm__fail(-EINVAL, "%s: min or max is out of the range of %s", name,
			dsm_type_name(spec->type));
	if ((spec->flags & DSM_HAS_MAX) && min > max)
		return dsm__fail(-EINVAL, "%s: no %s lies between min %.17g and max %.17g", name,
			dsm_type_name(spec->type), spec->flags & DSM_HAS_MIN ? spec->min : lowest,
			spec->max);
	return 0;
}

static int check_range(const struct dsm_cell_spec *spec, const char *name)
{
	bool has_min = spec->flags & DSM_HAS_MIN, has_max = spec->flags & DSM_HAS_MAX;
	table_key = "range";
	if (spec->flags & ~(uint32_t)(DSM_HAS_MIN | DSM_HAS_MAX | DSM_CLAMP))
		return dsm__fail(-EINVAL, "%s: unknown flags 0x%x", name, spec->flags);
	if (!has_min && !has_max)
		return spec->flags & DSM_CLAMP ?
			dsm__fail(-EINVAL, "%s: clamp: expected a min or a max to clamp to", name) : 0;
	table_key = has_min ? "min" : "max";
	if (spec->type != DSM_I64 && spec->type != DSM_U64 && spec->type != DSM_F64)
		return dsm__fail(-EINVAL, "%s: min and max are for i64, u64 and f64, not for %s", name,
			dsm_type_name(spec->type));
	if (has_min && isfinite(spec->min))
		table_key = "max";
	if ((has_min && !isfinite(spec->min)) || (has_max && !isfinite(spec->max)))
		return dsm__fail(-EINVAL, "%s: min and max must be finite numbers", name);
	table_key = "min";
	if (has_min && has_max && spec->min > spec->max)
		return dsm__fail(-EINVAL, "%s: min %.17g is above max %.17g", name, spec->min, spec->max);
	return spec->type == DSM_F64 ? 0 : check_integer_range(spec, name);
}

static int check_type(const struct dsm_cell_spec *spec, const char *name)
{
	table_key = "precision";
	if (spec->precision < -1 || spec->precision > 17)
		return dsm__fail(-EINVAL, "%s: precision %d: expected -1 (shortest exact) to 17", name,
			spec->precision);
	table_key = "type";
	switch (spec->type) {
	case DSM_BOOL: case DSM_I64: case DSM_U64: case DSM_F64:
		return check_range(spec, name);
	case DSM_STRING: case DSM_BYTES: case DSM_F64_ARRAY:
		break;
	default:
		return dsm__fail(-EINVAL, "%s: %u is no type of a cell", name, (unsigned)spec->type);
	}
	uint64_t unit = spec->type == DSM_F64_ARRAY ? sizeof(double) : 1;
	if (spec->capacity == 0)
		return dsm__fail(-EINVAL, "%s: %s of size 0: expected at least 1", name,
			dsm_type_name(spec->type));
	if (spec->capacity * unit > DSM_ARRAY_MAX)
		return dsm__fail(-E2BIG, "%s: %s of size %u is above the largest, %llu (1 GiB)", name,
			dsm_type_name(spec->type), spec->capacity,
			(unsigned long long)(DSM_ARRAY_MAX / unit));
	return check_range(spec, name);
}

/* Where the record begins if the cell is the only one of its group. */
static uint32_t lone_offset(enum dsm_type type)
{
	return type == DSM_F64_ARRAY ? PAYLOAD_LONE_ARRAY_OFFSET :
		type == DSM_BYTES ? PAYLOAD_LONE_BYTES_OFFSET : 0;
}

/* What adding a cell does to the sizes of its group. */
struct growth {
	uint32_t offset;      /* of the new cell */
	uint32_t shift;       /* how far the first cell moves back, being no longer alone */
	uint32_t slots;
	uint64_t payload_bytes;
	uint64_t old_ring, new_ring;
};

static void grow(const struct dsm_table *table, const struct table_group *group,
	const struct dsm_cell_spec *spec, struct growth *g)
{
	*g = (struct growth){ 0 };
	if (group->cells == 1)
		g->shift = table->cells[group->first_cell].offset;
	uint64_t used = group->payload_bytes - g->shift;
	g->offset = (uint32_t)(group->cells == 0 ? lone_offset(spec->type) : used);
	g->payload_bytes = g->offset + payload_record_bytes(spec->type, spec->capacity);
	g->slots = group->slots_asked ? group->slots :
		g->payload_bytes > TABLE_BIG_PAYLOAD ? TABLE_SLOTS_BIG : TABLE_SLOTS_DEFAULT;
	g->old_ring = group->cells ? group->slots * slot_bytes_for(group->payload_bytes) : 0;
	g->new_ring = g->slots * slot_bytes_for(g->payload_bytes);
}

static int check_growth(const struct dsm_table *table, const struct table_group *group,
	const struct growth *g, const char *name)
{
	const struct table_owner *owner = &table->owners[group->owner];
	if (g->payload_bytes > TABLE_PAYLOAD_MAX)
		return dsm__fail(-E2BIG, "%s: with it the group has %llu bytes: at most %llu "
			"(1 GiB and 4096 bytes)", name, (unsigned long long)g->payload_bytes,
			(unsigned long long)TABLE_PAYLOAD_MAX);
	if (owner->network && g->payload_bytes > TABLE_BIG_PAYLOAD)
		return dsm__fail(-E2BIG, "%s: with it the group has %llu bytes: at most %llu (64 MiB), "
			"because its owner \"%s\" may attach through a network", name,
			(unsigned long long)g->payload_bytes, (unsigned long long)TABLE_BIG_PAYLOAD,
			table_text(table, owner->name));
	uint64_t own = owner->ring_bytes - g->old_ring + g->new_ring;
	if (owner->network && own > TABLE_NETWORK_RINGS_MAX)
		return dsm__fail(-E2BIG, "%s: with it (%u slots) the groups of \"%s\" have %llu bytes: at most %llu "
			"(1 GiB), because he may attach through a network", name, g->slots,
			table_text(table, owner->name), (unsigned long long)own,
			(unsigned long long)TABLE_NETWORK_RINGS_MAX);
	uint64_t rings = table->ring_bytes - g->old_ring + g->new_ring;
	if (rings > TABLE_RINGS_MAX)
		return dsm__fail(-E2BIG, "%s: with it (%u slots) the region has %llu bytes: at most "
			"%llu (256 GiB)", name, g->slots, (unsigned long long)rings,
			(unsigned long long)TABLE_RINGS_MAX);
	return 0;
}

static int check_cell(const struct dsm_table *table, const struct dsm_cell_spec *spec,
	uint32_t *group, char full[static DSM_NAME_MAX + 1])
{
	table_key = "name";
	int rc = table_name_check("cell", spec->name, DSM_NAME_MAX - 2, false);
	if (rc == 0)
		rc = table_name_check("group", spec->group, DSM_NAME_MAX - 2, true);
	if (rc)
		return rc;
	*group = table_find_group(table, spec->group);
	if (*group == TABLE_NONE)
		return dsm__fail(-ENOENT, "cell \"%s\": there is no group \"%s\"", spec->name, spec->group);
	size_t prefix = strlen(spec->group), n = strlen(spec->name);
	if (prefix + 1 + n > DSM_NAME_MAX)
		return dsm__fail(-EINVAL, "cell \"%s.%s\": group and cell name are longer than %d bytes "
			"together", spec->group, spec->name, DSM_NAME_MAX);
	memcpy(full, spec->group, prefix);
	full[prefix] = '.';
	memcpy(full + prefix + 1, spec->name, n + 1);
	rc = check_taken(table, "cell", full);
	if (rc == 0)
		rc = check_type(spec, full);
	if (rc)
		return rc;
	table_key = "unit";
	rc = table_text_check(full, "unit", spec->unit, TABLE_UNIT_MAX);
	if (rc)
		return rc;
	table_key = "description";
	rc = table_text_check(full, "description", spec->description, TABLE_DESCRIPTION_MAX);
	if (rc)
		return rc;
	table_key = "name";
	if (rc == 0 && table->cell_count == DSM_CELLS_MAX)
		rc = dsm__fail(-E2BIG, "%s: a table has at most %u cells", full, DSM_CELLS_MAX);
	return rc;
}

/* Everything is checked and has room: nothing here can fail. */
static void append_cell(struct dsm_table *table, uint32_t group_index, const char *full,
	const struct dsm_cell_spec *spec, const struct growth *g)
{
	struct table_group *group = &table->groups[group_index];
	uint32_t i = table->cell_count++;
	struct table_cell *cell = &table->cells[i];
	*cell = (struct table_cell){
		.name = table_put(table, full, strlen(full)),
		.group = group_index, .next = TABLE_NONE,
		.capacity = payload_is_scalar(spec->type) ? 1 : spec->capacity,
		.offset = g->offset,
		.type = (uint8_t)spec->type, .flags = (uint8_t)spec->flags,
		.precision = (int8_t)(spec->type == DSM_F64 || spec->type == DSM_F64_ARRAY ?
			spec->precision : -1),
		.min = spec->flags & DSM_HAS_MIN ? spec->min : 0,
		.max = spec->flags & DSM_HAS_MAX ? spec->max : 0 };
	table_index_add(table, TABLE_CELL, cell->name, i);
	cell->unit = table_put_shared(table, spec->unit);
	cell->description = table_put_shared(table, spec->description);
	if (group->cells == 0)
		group->first_cell = i;
	else
		table->cells[group->last_cell].next = i;
	if (g->shift)
		table->cells[group->first_cell].offset = 0;
	group->last_cell = i;
	group->cells++;
	group->slots = g->slots;
	group->payload_bytes = g->payload_bytes;
	struct table_owner *owner = &table->owners[group->owner];
	owner->ring_bytes += g->new_ring - g->old_ring;
	table->ring_bytes += g->new_ring - g->old_ring;
}

int dsm_table_cell(struct dsm_table *table, const struct dsm_cell_spec *spec)
{
	if (!table || !spec)
		return dsm__fail(-EINVAL, "dsm_table_cell(): null pointer");
	char full[DSM_NAME_MAX + 1];
	uint32_t group;
	int rc = check_cell(table, spec, &group, full);
	if (rc)
		return rc;
	struct growth g;
	table_key = "type";
	grow(table, &table->groups[group], spec, &g);
	rc = check_growth(table, &table->groups[group], &g, full);
	if (rc == 0)
		rc = MAKE_ROOM(table, cell);
	if (rc == 0)
		rc = table_reserve(table, 3, strlen(full) + (spec->unit ? strlen(spec->unit) : 0) +
			(spec->description ? strlen(spec->description) : 0));
	if (rc)
		return rc;
	append_cell(table, group, full, spec, &g);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------ */

int table_finish(const struct dsm_table *table)
{
	if (table->group_count == 0)
		return dsm__fail(-EINVAL, "region \"%s\" has no groups: expected at least one",
			table_text(table, table->region));
	for (uint32_t i = 0; i < table->group_count; i++)
		if (table->groups[i].cells == 0)
			return dsm__fail(-EINVAL, "group \"%s\" has no cells: expected at least one",
				table_text(table, table->groups[i].name));
	return 0;
}

/* Bytes of the banks: the header of each owner, then its rings with a pulse's line before each.
 * The builder of the directory moves large rings to a page of their own; that is less than a
 * page a group. */
static uint64_t bank_bytes(const struct dsm_table *table)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < table->owner_count; i++) {
		const struct table_owner *o = &table->owners[i];
		uint64_t pulses = DSM_LINE * (uint64_t)o->groups;
		bytes += round_up(sizeof(struct bank_header) + pulses + o->ring_bytes, DSM_PAGE);
	}
	return bytes;
}

int dsm_table_info(const struct dsm_table *table, struct dsm_table_info *out)
{
	if (!table || !out)
		return dsm__fail(-EINVAL, "dsm_table_info(): null pointer");
	uint64_t names = (uint64_t)table->group_count + table->cell_count;
	uint64_t index = 2;
	while (index < names * 2)
		index *= 2;
	uint64_t directory = sizeof(struct directory) + index * 4 + round_up(table->pool_size, 8) +
		sizeof(struct directory_cell) * (table->owner_count + names);
	uint64_t header = sizeof(struct region_header) + 8 * DSM_COUNTERS +
		sizeof(struct owner_line) * (uint64_t)table->owner_count +
		4 * (uint64_t)table->group_count;
	*out = (struct dsm_table_info){ .region = table_text(table, table->region),
		.owners = table->owner_count, .groups = table->group_count, .cells = table->cell_count,
		.region_bytes = round_up(header, DSM_PAGE) + round_up(directory, DSM_PAGE) +
			bank_bytes(table) };
	return 0;
}
