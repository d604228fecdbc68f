/* SPDX-License-Identifier: Apache-2.0 */
/* The table builder: what it takes, where it puts cells, and each refusal with its code. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/layout.h"
#include "core/payload.h"
#include "engine/table.h"

static struct dsm_table *table;

static void begin(void)
{
	cr_assert_eq(dsm_table_new("rig", &table), 0, "%s", dsm_error());
}

static void end(void)
{
	dsm_table_free(&table);
	cr_assert_null(table);
	dsm_table_free(&table);
	dsm_table_free(NULL);
}

TestSuite(table, .init = begin, .fini = end);

static int add_group(const char *owner, const char *name, uint32_t slots)
{
	return dsm_table_group(table, &(struct dsm_group_spec){ .owner = owner, .name = name,
		.slots = slots });
}

static struct dsm_cell_spec cell_spec(const char *name, enum dsm_type type, uint32_t capacity)
{
	return (struct dsm_cell_spec){ .group = "g", .name = name, .type = type, .capacity = capacity,
		.precision = -1 };
}

static int add_cell(const char *name, enum dsm_type type, uint32_t capacity)
{
	struct dsm_cell_spec spec = cell_spec(name, type, capacity);
	return dsm_table_cell(table, &spec);
}

static int add_ranged(enum dsm_type type, uint32_t flags, double min, double max)
{
	struct dsm_cell_spec spec = cell_spec("r", type, 8);
	spec.flags = flags;
	spec.min = min;
	spec.max = max;
	return dsm_table_cell(table, &spec);
}

/* The call must be refused with this code and a text that has these words. */
static void refused_with(int rc, int error, const char *words, int line)
{
	cr_assert_eq(rc, error, "line %d: %d instead of %d: %s", line, rc, error, dsm_error());
	cr_assert(strstr(dsm_error(), words), "line %d: \"%s\" lacks \"%s\"", line, dsm_error(), words);
}
#define REFUSED(call, error, words) refused_with((call), (error), (words), __LINE__)

Test(table, engine_is_the_first_owner)
{
	struct dsm_table_info info;
	cr_assert_eq(table->owner_count, 1);
	cr_assert_str_eq(table_text(table, table->owners[0].name), "engine");
	cr_assert_eq(dsm_table_info(table, &info), 0);
	cr_assert_str_eq(info.region, "rig");
	REFUSED(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "engine" }), -EEXIST,
		"from the start");
}

Test(table, a_null_owner_is_the_engine)
{
	cr_assert_eq(add_group(NULL, "g", 0), 0);
	cr_assert_eq(table->groups[0].owner, 0);
	REFUSED(add_group("engin", "h", 0), -ENOENT, "engine");
}

Test(table, records_follow_each_other)
{
	add_group(NULL, "g", 0);
	cr_assert_eq(add_cell("a", DSM_F64, 0), 0);
	cr_assert_eq(add_cell("s", DSM_STRING, 5), 0);
	cr_assert_eq(add_cell("w", DSM_F64_ARRAY, 3), 0);
	cr_assert_eq(add_cell("b", DSM_BOOL, 99), 0);
	const uint32_t places[] = { 0, 16, 40, 72 };
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(table->cells[i].offset, places[i], "cell %u", i);
	cr_assert_eq(table->groups[0].payload_bytes, 88);
	cr_assert_eq(table->cells[3].capacity, 1);
	cr_assert_eq(table_find_cell(table, "g.w"), 2);
	cr_assert_eq(table_find_cell(table, "g.x"), TABLE_NONE);
	cr_assert_eq(table_find_group(table, "g.w"), TABLE_NONE);
}

Test(table, a_lone_array_is_aligned_until_it_has_company)
{
	add_group(NULL, "g", 0);
	cr_assert_eq(add_cell("w", DSM_F64_ARRAY, 1000), 0);
	cr_assert_eq(table->cells[0].offset, PAYLOAD_LONE_ARRAY_OFFSET);
	cr_assert_eq((DSM_SLOT_HEADER + table->cells[0].offset + 8) % 64, 0);
	cr_assert_eq(table->groups[0].payload_bytes, 16 + 8 + 8000);
	cr_assert_eq(add_cell("a", DSM_F64, 0), 0);
	cr_assert_eq(table->cells[0].offset, 0);
	cr_assert_eq(table->cells[1].offset, 8008);
	cr_assert_eq(table->groups[0].payload_bytes, 8024);
	cr_assert_eq(table->ring_bytes, 4 * slot_bytes_for(8024));
	cr_assert_eq(table->owners[0].ring_bytes, table->ring_bytes);
}

Test(table, lone_bytes_are_aligned)
{
	add_group(NULL, "g", 0);
	cr_assert_eq(add_cell("w", DSM_BYTES, 100), 0);
	cr_assert_eq((DSM_SLOT_HEADER + table->cells[0].offset + 16) % 64, 0);
	cr_assert_eq(table->groups[0].payload_bytes, 8 + 16 + 104);
}

Test(table, big_groups_have_two_slots)
{
	add_group(NULL, "g", 0);
	cr_assert_eq(add_cell("small", DSM_F64, 0), 0);
	cr_assert_eq(table->groups[0].slots, 4);
	cr_assert_eq(add_cell("big", DSM_BYTES, 64u << 20), 0);
	cr_assert_eq(table->groups[0].slots, 2);
	cr_assert_eq(table_finish(table), 0);
}

Test(table, slots_as_asked_for)
{
	REFUSED(add_group(NULL, "g", 3), -EINVAL, "power of two");
	REFUSED(add_group(NULL, "g", 1), -EINVAL, "power of two");
	REFUSED(add_group(NULL, "g", 2048), -EINVAL, "power of two");
	cr_assert_eq(add_group(NULL, "g", 8), 0);
	cr_assert_eq(add_cell("big", DSM_BYTES, 65u << 20), 0);
	cr_assert_eq(table->groups[0].slots, 8);
}

Test(table, sizes)
{
	add_group(NULL, "g", 0);
	REFUSED(add_cell("a", DSM_STRING, 0), -EINVAL, "at least 1");
	REFUSED(add_cell("a", DSM_F64_ARRAY, (1u << 27) + 1), -E2BIG, "1 GiB");
	REFUSED(add_cell("a", DSM_BYTES, (1u << 30) + 1), -E2BIG, "1 GiB");
	REFUSED(add_cell("a", (enum dsm_type)0, 0), -EINVAL, "no type");
	REFUSED(add_cell("a", (enum dsm_type)8, 0), -EINVAL, "no type");
	cr_assert_eq(add_cell("a", DSM_F64_ARRAY, 1u << 27), 0, "%s", dsm_error());
	cr_assert_eq(add_cell("b", DSM_F64, 0), 0, "%s", dsm_error());
	REFUSED(add_cell("c", DSM_BYTES, 5000), -E2BIG, "g.c: with it the group");
	cr_assert_eq(table->cell_count, 2);
}

Test(table, the_region_is_bounded)
{
	cr_assert_eq(add_group(NULL, "g", 1024), 0);
	REFUSED(add_cell("a", DSM_BYTES, 1u << 30), -E2BIG, "256 GiB");
}

Test(table, network_groups_are_smaller)
{
	cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "adc", .network = true }), 0);
	add_group("adc", "g", 0);
	cr_assert_eq(add_cell("a", DSM_BYTES, 1u << 20), 0);
	REFUSED(add_cell("b", DSM_BYTES, 64u << 20), -E2BIG, "network");
}

static int add_large(const char *owner, const char *group, const char *cell)
{
	struct dsm_cell_spec spec = cell_spec(cell, DSM_BYTES, 60u << 20);
	spec.group = group;
	int rc = add_group(owner, group, 8);
	return rc ? rc : dsm_table_cell(table, &spec);
}

Test(table, banks_of_network_owners_are_smaller)
{
	cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "far", .network = true }), 0);
	cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "near", .network = false }), 0);
	cr_assert_eq(add_large("near", "n1", "v"), 0, "%s", dsm_error());
	cr_assert_eq(add_large("near", "n2", "v"), 0, "%s", dsm_error());
	cr_assert_eq(add_large("near", "n3", "v"), 0, "%s", dsm_error());
	cr_assert_eq(add_large("far", "f1", "v"), 0, "%s", dsm_error());
	cr_assert_eq(add_large("far", "f2", "v"), 0, "%s", dsm_error());
	REFUSED(add_large("far", "f3", "v"), -E2BIG, "the groups of \"far\" have");
	cr_assert_eq(table->cell_count, 5);
}

Test(table, names)
{
	struct dsm_table *other = NULL;
	REFUSED(dsm_table_new("a b", &other), -EINVAL, "region");
	REFUSED(dsm_table_new("", &other), -EINVAL, "no name");
	REFUSED(dsm_table_new(NULL, &other), -EINVAL, "no name");
	cr_assert_null(other);
	REFUSED(add_group(NULL, "a/b", 0), -EINVAL, "byte 2");
	REFUSED(add_group(NULL, ".a", 0), -EINVAL, "between");
	REFUSED(add_group(NULL, "a..b", 0), -EINVAL, "between");
	cr_assert_eq(add_group(NULL, "g", 0), 0);
	cr_assert_eq(add_group(NULL, "mud.pit-1_a", 0), 0);
	REFUSED(add_cell("a.b", DSM_F64, 0), -EINVAL, "byte 2");
	REFUSED(add_cell("\xc3\xa4", DSM_F64, 0), -EINVAL, "byte 1");
	REFUSED(add_cell(NULL, DSM_F64, 0), -EINVAL, "no name");
	char longest[DSM_NAME_MAX];
	memset(longest, 'x', sizeof(longest));
	longest[DSM_NAME_MAX - 2] = '\0'; /* "g." and 198 */
	cr_assert_eq(add_cell(longest, DSM_F64, 0), 0, "%s", dsm_error());
	longest[DSM_NAME_MAX - 2] = 'x';
	longest[DSM_NAME_MAX - 1] = '\0';
	REFUSED(add_cell(longest, DSM_F64, 0), -EINVAL, "longer than");
}

Test(table, names_are_taken_once)
{
	cr_assert_eq(add_group(NULL, "g", 0), 0);
	REFUSED(add_group(NULL, "g", 0), -EEXIST, "group \"g\"");
	cr_assert_eq(add_cell("a", DSM_F64, 0), 0);
	REFUSED(add_cell("a", DSM_I64, 0), -EEXIST, "cell \"g.a\"");
	REFUSED(add_group(NULL, "g.a", 0), -EEXIST, "a cell of that name");
	cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "g" }), 0);
	REFUSED(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "g" }), -EEXIST, "owner \"g\"");
	REFUSED(dsm_table_cell(table, &(struct dsm_cell_spec){ .group = "h", .name = "a" }), -ENOENT,
		"no group \"h\"");
}

Test(table, users)
{
	static const char *const good[] = { NULL, "", "*", "root", "0,alice,bob-2" };
	static const char *const bad[] = { ",", "a,", "a,,b", "a b", "*,a", "\xff" };
	char name[16];
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "o%u", i);
		cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = name,
			.users = good[i] }), 0, "%s", dsm_error());
	}
	for (unsigned i = 0; i < 6; i++)
		REFUSED(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "x", .users = bad[i] }),
			-EINVAL, "users");
	cr_assert_eq(table->owner_count, 6);
}

Test(table, ranges)
{
	const uint32_t both = DSM_HAS_MIN | DSM_HAS_MAX;
	add_group(NULL, "g", 0);
	REFUSED(add_ranged(DSM_F64, both, 3, 2), -EINVAL, "min 3 is above max 2");
	REFUSED(add_ranged(DSM_F64, DSM_HAS_MIN, (double)NAN, 0), -EINVAL, "finite");
	REFUSED(add_ranged(DSM_F64, DSM_HAS_MAX, 0, (double)INFINITY), -EINVAL, "finite");
	REFUSED(add_ranged(DSM_STRING, DSM_HAS_MAX, 0, 1), -EINVAL, "not for string");
	REFUSED(add_ranged(DSM_BOOL, DSM_HAS_MAX, 0, 1), -EINVAL, "not for bool");
	REFUSED(add_ranged(DSM_F64, DSM_CLAMP, 0, 0), -EINVAL, "clamp");
	REFUSED(add_ranged(DSM_F64, 8, 0, 0), -EINVAL, "flags");
	REFUSED(add_ranged(DSM_I64, both, 1.2, 1.8), -EINVAL, "no i64 lies between");
	REFUSED(add_ranged(DSM_U64, DSM_HAS_MIN, -1, 0), -EINVAL, "range of u64");
	REFUSED(add_ranged(DSM_U64, DSM_HAS_MAX, 0, 0x1p64), -EINVAL, "range of u64");
	REFUSED(add_ranged(DSM_I64, DSM_HAS_MAX, 0, 0x1p63), -EINVAL, "range of i64");
	cr_assert_eq(table->cell_count, 0);
	cr_assert_eq(add_ranged(DSM_I64, both, -0x1p63, 5), 0, "%s", dsm_error());
	cr_assert_float_eq(table->cells[0].max, 5, 0);
}

Test(table, texts_and_precision)
{
	struct dsm_cell_spec spec = cell_spec("a", DSM_F64, 0);
	add_group(NULL, "g", 0);
	spec.unit = "a\nb";
	REFUSED(dsm_table_cell(table, &spec), -EINVAL, "control");
	spec.unit = "\xff";
	REFUSED(dsm_table_cell(table, &spec), -EINVAL, "UTF-8");
	spec.unit = "m\xc2\xb2";
	spec.precision = 18;
	REFUSED(dsm_table_cell(table, &spec), -EINVAL, "precision");
	spec.precision = 17;
	spec.description = "x";
	cr_assert_eq(dsm_table_cell(table, &spec), 0, "%s", dsm_error());
	spec.name = "b";
	cr_assert_eq(dsm_table_cell(table, &spec), 0);
	cr_assert_eq(table->cells[0].unit, table->cells[1].unit);
	cr_assert_eq(table->cells[0].description, table->cells[1].description);
}

Test(table, an_empty_group_shows_at_the_end)
{
	REFUSED(table_finish(table), -EINVAL, "no groups");
	add_group(NULL, "g", 0);
	REFUSED(table_finish(table), -EINVAL, "group \"g\" has no cells");
}

Test(table, owners_are_bounded)
{
	char name[16];
	for (unsigned i = 1; i < DSM_OWNERS_MAX; i++) {
		snprintf(name, sizeof(name), "o%u", i);
		cr_assert_eq(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = name }), 0);
	}
	REFUSED(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = "x" }), -E2BIG, "1024 owners");
}

Test(table, a_million_cells_and_no_more)
{
	char name[16];
	add_group(NULL, "g", 2);
	for (unsigned i = 0; i < DSM_CELLS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		cr_assert_eq(add_cell(name, DSM_F64, 0), 0, "%s", dsm_error());
	}
	REFUSED(add_cell("x", DSM_F64, 0), -E2BIG, "1000000 cells");
	cr_assert_eq(table_find_cell(table, "g.c999999"), 999999);
	cr_assert_eq(table->cells[999999].offset, 999999 * 16);
}
