/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a table: rules, string pool, index. The index is open addressing with linear probes,
 * at most half full; an entry holds 30 bits of hash, the kind and the number, so that a look-up
 * rarely touches a string that is not the one.
 */
#include "engine/table_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/utf8.h"

#define INDEX_EMPTY UINT64_MAX
#define INDEX_FIRST 64u

_Thread_local const char *table_key = "name";

static bool name_char(char c, bool dots)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '-' || (dots && c == '.');
}

int table_name_check(const char *what, const char *name, size_t max, bool dots)
{
	if (!name || !name[0])
		return dsm__fail(-EINVAL, "%s: no name given", what);
	size_t n = strnlen(name, max + 1);
	if (n > max)
		return dsm__fail(-EINVAL, "%s \"%.40s…\": the name is longer than %zu bytes",
			what, utf8_valid(name, 40) ? name : "", max);
	for (size_t i = 0; i < n; i++) {
		if (name_char(name[i], dots))
			continue;
		return dsm__fail(-EINVAL, "%s \"%s\": a name has letters, digits, '_', '-'%s; "
			"byte %zu is none of them", what, utf8_valid(name, n) ? name : "?",
			dots ? ", '.'" : "", i + 1);
	}
	if (name[0] == '.' || name[n - 1] == '.' || strstr(name, ".."))
		return dsm__fail(-EINVAL, "%s \"%s\": '.' stands between two parts of a name",
			what, name);
	return 0;
}

int table_users_check(const char *what, const char *users)
{
	if (!users || !users[0] || strcmp(users, "*") == 0)
		return 0;
	size_t n = strnlen(users, TABLE_USERS_MAX + 1);
	if (n > TABLE_USERS_MAX)
		return dsm__fail(-EINVAL, "%s: users longer than %u bytes", what, TABLE_USERS_MAX);
	size_t part = 0;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && name_char(users[i], true)) {
			part++;
			continue;
		}
		if ((i < n && users[i] != ',') || part == 0)
			return dsm__fail(-EINVAL, "%s: users \"%s\": expected \"\", \"*\" or user "
				"names or numbers with ',' between them", what,
				utf8_valid(users, n) ? users : "?");
		part = 0;
	}
	return 0;
}

int table_text_check(const char *name, const char *what, const char *text, size_t max)
{
	if (!text)
		return 0;
	size_t n = strnlen(text, max + 1);
	if (n > max)
		return dsm__fail(-EINVAL, "%s: %s longer than %zu bytes", name, what, max);
	if (!utf8_valid(text, n))
		return dsm__fail(-EINVAL, "%s: %s is not valid UTF-8", name, what);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return dsm__fail(-EINVAL, "%s: %s has a control character (byte %zu)",
				name, what, i + 1);
	return 0;
}

/* ---- index -------------------------------------------------------------------------- */

static uint64_t entry_make(uint64_t hash, enum table_kind kind, uint32_t value)
{
	uint64_t tag = (hash & ~(uint64_t)3) | (uint64_t)kind;
	return tag << 32 | value;
}

/* First place of a hash. Its top bits, because the low ones are in the entry. */
static uint32_t entry_place(const struct dsm_table *table, uint64_t hash)
{
	return (uint32_t)(hash >> 32) & (table->index_size - 1);
}

static uint32_t entry_text(const struct dsm_table *table, uint64_t entry)
{
	uint32_t value = (uint32_t)entry;
	switch ((enum table_kind)(entry >> 32 & 3)) {
	case TABLE_OWNER: return table->owners[value].name;
	case TABLE_GROUP: return table->groups[value].name;
	case TABLE_CELL: return table->cells[value].name;
	default: return value;
	}
}

static void index_place(struct dsm_table *table, uint64_t hash, uint64_t entry)
{
	uint32_t mask = table->index_size - 1;
	uint32_t at = entry_place(table, hash);
	while (table->index[at] != INDEX_EMPTY)
		at = (at + 1) & mask;
	table->index[at] = entry;
}

static int index_grow(struct dsm_table *table, uint32_t more)
{
	uint32_t size = table->index_size ? table->index_size : INDEX_FIRST;
	while (size / 2 < table->index_used + more)
		size *= 2;
	if (size == table->index_size)
		return 0;
	uint64_t *old = table->index;
	uint32_t old_size = table->index_size;
	uint64_t *index = malloc((size_t)size * sizeof(*index));
	if (!index)
		return dsm__fail(-ENOMEM, "no memory for an index of %u names", size / 2);
	memset(index, 0xff, (size_t)size * sizeof(*index));
	table->index = index;
	table->index_size = size;
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i] == INDEX_EMPTY)
			continue;
		const char *text = table_text(table, entry_text(table, old[i]));
		index_place(table, XXH3_64bits(text, strlen(text)), old[i]);
	}
	free(old);
	return 0;
}

void table_index_add(struct dsm_table *table, enum table_kind kind, uint32_t text, uint32_t value)
{
	const char *name = table_text(table, text);
	uint64_t hash = XXH3_64bits(name, strlen(name));
	index_place(table, hash, entry_make(hash, kind, value));
	table->index_used++;
}

uint32_t table_find(const struct dsm_table *table, enum table_kind kind, const char *name,
	size_t bytes)
{
	uint64_t hash = XXH3_64bits(name, bytes);
	uint64_t tag = entry_make(hash, kind, 0) >> 32;
	uint32_t mask = table->index_size - 1;
	for (uint32_t at = entry_place(table, hash);; at = (at + 1) & mask) {
		uint64_t entry = table->index[at];
		if (entry == INDEX_EMPTY)
			return TABLE_NONE;
		if (entry >> 32 != tag)
			continue;
		const char *text = table_text(table, entry_text(table, entry));
		if (strncmp(text, name, bytes) == 0 && text[bytes] == '\0')
			return (uint32_t)entry;
	}
}

/* ---- pool --------------------------------------------------------------------------- */

int table_reserve(struct dsm_table *table, uint32_t texts, size_t bytes)
{
	uint64_t need = (uint64_t)table->pool_size + bytes + texts;
	if (need > UINT32_MAX)
		return dsm__fail(-E2BIG, "names and descriptions together above 4 GiB");
	if (need > table->pool_room) {
		uint64_t room = table->pool_room ? table->pool_room : 4096;
		while (room < need)
			room *= 2;
		if (room > UINT32_MAX)
			room = UINT32_MAX;
		char *pool = realloc(table->pool, room);
		if (!pool)
			return dsm__fail(-ENOMEM, "no memory for %llu bytes of names",
				(unsigned long long)room);
		table->pool = pool;
		table->pool_room = (uint32_t)room;
	}
	return index_grow(table, texts);
}

uint32_t table_put(struct dsm_table *table, const char *text, size_t bytes)
{
	uint32_t at = table->pool_size;
	memcpy(table->pool + at, text, bytes);
	table->pool[at + bytes] = '\0';
	table->pool_size += (uint32_t)bytes + 1;
	return at;
}

uint32_t table_put_shared(struct dsm_table *table, const char *text)
{
	if (!text || !text[0])
		return 0;
	size_t n = strlen(text);
	uint32_t at = table_find(table, TABLE_SHARED, text, n);
	if (at != TABLE_NONE)
		return at;
	at = table_put(table, text, n);
	table_index_add(table, TABLE_SHARED, at, at);
	return at;
}

uint32_t table_find_owner(const struct dsm_table *table, const char *name)
{
	return table_find(table, TABLE_OWNER, name, strlen(name));
}

uint32_t table_find_group(const struct dsm_table *table, const char *name)
{
	return table_find(table, TABLE_GROUP, name, strlen(name));
}

uint32_t table_find_cell(const struct dsm_table *table, const char *name)
{
	return table_find(table, TABLE_CELL, name, strlen(name));
}
