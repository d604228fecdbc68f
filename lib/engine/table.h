/* SPDX-License-Identifier: Apache-2.0 */
/* The table definition in memory: filled by the public builder (table.c), read by region.c.
 * Strings live in one pool and are named by offset; offset 0 is "". Equal units and
 * descriptions share one place. Every add is checked whole before anything changes, and sizes,
 * places and slots are kept right all the time: table_finish() only checks. */
#ifndef DSM_LIB_ENGINE_TABLE_H
#define DSM_LIB_ENGINE_TABLE_H

#include <dsm/engine.h>

#define TABLE_NONE UINT32_MAX
#define TABLE_REGION_NAME_MAX 64u
#define TABLE_UNIT_MAX 64u               /* bytes */
#define TABLE_DESCRIPTION_MAX 1024u      /* bytes */
#define TABLE_USERS_MAX 1024u            /* bytes */
#define TABLE_SLOTS_DEFAULT 4u
#define TABLE_SLOTS_BIG 2u               /* default above TABLE_BIG_PAYLOAD */
#define TABLE_BIG_PAYLOAD ((uint64_t)64 << 20)  /* above: mapped memory only, no check word */
#define TABLE_PAYLOAD_MAX (DSM_ARRAY_MAX + 4096) /* one cell of the largest size, and small ones */
#define TABLE_RINGS_MAX ((uint64_t)256 << 30)   /* all rings of the region together */
/* All rings of an owner who may attach through a network: an RDMA device registers them in one go at
 * each grant, for which the engine's thread stands still (docs/protocol.md). */
#define TABLE_NETWORK_RINGS_MAX ((uint64_t)1 << 30)

struct table_owner {
	uint32_t name, users;       /* pool offsets */
	uint32_t groups;            /* how many */
	uint64_t ring_bytes;        /* of all its groups, without page rounding */
	bool network;
};

struct table_group {
	uint32_t name, description; /* pool offsets */
	uint32_t owner;             /* index */
	uint32_t slots;             /* as asked for, or chosen by the payload's size */
	uint32_t max_age_ms;
	uint32_t first_cell, last_cell; /* chain through table_cell.next; TABLE_NONE = none */
	uint32_t cells;
	uint64_t payload_bytes;     /* a multiple of 8; with the lead of a lone array */
	bool slots_asked;
	bool no_save;
};

struct table_cell {
	uint32_t name;              /* pool offset of the full name "group.cell" */
	uint32_t unit, description;
	uint32_t group;             /* index */
	uint32_t next;              /* next cell of the same group, TABLE_NONE = last */
	uint32_t capacity;          /* 1 for bool, i64, u64, f64 */
	uint32_t offset;            /* in the payload, of the record (its word 0) */
	uint8_t type, flags;
	int8_t precision;           /* -1 also where none makes sense */
	double min, max;            /* 0 without DSM_HAS_MIN, DSM_HAS_MAX */
};

struct dsm_table {
	uint32_t region;            /* pool offset */
	char *pool;
	uint32_t pool_size, pool_room;
	struct table_owner *owners; /* [0] is "engine" */
	struct table_group *groups;
	struct table_cell *cells;
	uint32_t owner_count, owner_room, group_count, group_room, cell_count, cell_room;
	uint64_t ring_bytes;        /* of all groups */
	struct table_devices *devices; /* table_devices.h; NULL = none */
	uint64_t *index;            /* open addressing over names and shared strings; table_names.c */
	uint32_t index_size, index_used;
};

/* What only shows at the end: at least one group, at least one cell in each. May be called
 * again, also after more was added. -EINVAL. */
int table_finish(const struct dsm_table *table);

/* Index of an owner, group ("drilling") or cell ("drilling.rop"), TABLE_NONE if there is none. */
uint32_t table_find_owner(const struct dsm_table *table, const char *name);
uint32_t table_find_group(const struct dsm_table *table, const char *name);
uint32_t table_find_cell(const struct dsm_table *table, const char *name);

/* The loader of dsm_table_load() over text in memory; `name` stands for FILE in errors. */
int table_load_memory(const char *name, const void *data, size_t size, struct dsm_table **out);

static inline const char *table_text(const struct dsm_table *table, uint32_t offset)
{
	return table->pool + offset;
}

#endif
