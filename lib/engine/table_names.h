/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a table: what a name may be, the string pool, the index. Used by table.c and
 * table_yaml_fill.c only. */
#ifndef DSM_LIB_ENGINE_TABLE_NAMES_H
#define DSM_LIB_ENGINE_TABLE_NAMES_H

#include "engine/table.h"

/* Values are stored in the index; cells and groups share one space of names. */
enum table_kind { TABLE_OWNER = 0, TABLE_GROUP = 1, TABLE_CELL = 2, TABLE_SHARED = 3 };

/* Key of the table file that stands for what an add of the calling thread last looked at: after
 * a refusal, the one at fault ("name", "min" …). A constant text. */
extern _Thread_local const char *table_key;

/* -EINVAL: `name` is not 1..max letters, digits, '_', '-' (and '.' inside, with dots). `what`
 * ("group", "cell") begins the text. */
int table_name_check(const char *what, const char *name, size_t max, bool dots);
/* -EINVAL: not "", "*" or a comma-separated list of user names or numbers. */
int table_users_check(const char *what, const char *users);
/* -EINVAL: longer than max bytes, not UTF-8, or with control characters. NULL is "". */
int table_text_check(const char *name, const char *what, const char *text, size_t max);

/* Makes room for `texts` strings of `bytes` in all and as many index entries, so that what
 * follows cannot fail. -ENOMEM, -E2BIG pool above 4 GiB. */
int table_reserve(struct dsm_table *table, uint32_t texts, size_t bytes);
/* The following need a table_reserve() before; they return pool offsets. */
uint32_t table_put(struct dsm_table *table, const char *text, size_t bytes);
uint32_t table_put_shared(struct dsm_table *table, const char *text);
void table_index_add(struct dsm_table *table, enum table_kind kind, uint32_t text, uint32_t value);

/* TABLE_NONE if there is none. `bytes` is strlen(name). */
uint32_t table_find(const struct dsm_table *table, enum table_kind kind, const char *name,
	size_t bytes);

#endif
