/* SPDX-License-Identifier: Apache-2.0 */
/* The table definition in memory: filled by the public builder (table.c), read by region.c.
 * Strings live in one pool and are named by offset; offset 0 is "". */
#ifndef DSM_LIB_ENGINE_TABLE_H
#define DSM_LIB_ENGINE_TABLE_H

#include <dsm/engine.h>

struct table_owner {
	uint32_t name, users;       /* pool offsets */
	uint32_t groups;            /* how many */
	bool network;
};

struct table_group {
	uint32_t name, description; /* pool offsets */
	uint32_t owner;             /* index */
	uint32_t slots;             /* 0 until dsm_table_finish() chooses */
	uint32_t max_age_ms;
	uint32_t first_cell, last_cell; /* chain through table_cell.next; UINT32_MAX = none */
	uint32_t cells;
	uint64_t payload_bytes;     /* running size; final layout in payload_place() */
	bool no_save;
};

struct table_cell {
	uint32_t name;              /* pool offset of the full name "group.cell" */
	uint32_t unit, description;
	uint32_t group;             /* index */
	uint32_t next;              /* next cell of the same group, UINT32_MAX = last */
	uint32_t capacity;
	uint32_t offset;            /* in the payload, of the cell's first word */
	uint8_t type, flags;
	int8_t precision;
	double min, max;
};

struct dsm_table {
	uint32_t region;            /* pool offset */
	char *pool;
	uint32_t pool_size, pool_room;
	struct table_owner *owners;
	struct table_group *groups;
	struct table_cell *cells;
	uint32_t owner_count, owner_room, group_count, group_room, cell_count, cell_room;
	uint32_t *index;            /* open addressing over cell and group names; private to table.c */
	uint32_t index_size;
};

static inline const char *table_text(const struct dsm_table *table, uint32_t offset)
{
	return table->pool + offset;
}

#endif
