/* SPDX-License-Identifier: Apache-2.0 */
/* The table file: what it means, each error with its exact FILE:LINE: KEY, and the limits. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/table.h"

static int load(const char *text, struct dsm_table **out)
{
	return table_load_memory("t.yaml", text, strlen(text), out);
}

/* Must be refused, with a text that begins so and has these words. */
static void refused(const char *text, int error, const char *begins, const char *words)
{
	struct dsm_table *table = NULL;
	int rc = load(text, &table);
	cr_expect_eq(rc, error, "%d instead of %d for:\n%s\n%s", rc, error, text, rc ? dsm_error() : "");
	cr_expect_null(table);
	dsm_table_free(&table);
	cr_expect(strncmp(dsm_error(), begins, strlen(begins)) == 0, "\"%s\" does not begin \"%s\"",
		dsm_error(), begins);
	cr_expect(strstr(dsm_error(), words), "\"%s\" lacks \"%s\"", dsm_error(), words);
}

#define HEAD "region: rig\ngroups:\n  - name: g\n    cells:\n      - "
#define CELL "groups: [{name: g, cells: [{name: a, type: f64}]}]\n"

Test(table_yaml, every_key)
{
	struct dsm_table *t = NULL;
	int rc = load("region: rig\n"
		"owners:\n"
		"  - {name: operator, users: \"*\", network: true}\n"
		"groups:\n"
		"  - name: drilling\n"
		"    owner: operator\n"
		"    slots: 8\n"
		"    max_age_ms: 250\n"
		"    save: false\n"
		"    description: the bit\n"
		"    cells:\n"
		"      - {name: rop, type: f64, unit: m/h, min: 0, max: 150.5, range: clamp, precision: 1,\n"
		"         description: rate of penetration}\n"
		"      - {name: note, type: string(32)}\n"
		"      - {name: raw, type: bytes(3)}\n"
		"      - {name: wave, type: \"f64[10]\"}\n"
		"      - {name: on, type: bool}\n"
		"      - {name: n, type: i64, min: -5}\n"
		"      - {name: m, type: u64}\n", &t);
	cr_assert_eq(rc, 0, "%s", dsm_error());
	const struct table_group *g = &t->groups[0];
	cr_assert_eq(t->owner_count, 2);
	cr_assert_str_eq(table_text(t, t->owners[1].users), "*");
	cr_assert(t->owners[1].network);
	cr_assert_eq(g->owner, 1);
	cr_assert_eq(g->slots, 8);
	cr_assert_eq(g->max_age_ms, 250);
	cr_assert(g->no_save);
	cr_assert_str_eq(table_text(t, g->description), "the bit");
	const struct table_cell *c = &t->cells[0];
	cr_assert_str_eq(table_text(t, c->name), "drilling.rop");
	cr_assert_str_eq(table_text(t, c->unit), "m/h");
	cr_assert_str_eq(table_text(t, c->description), "rate of penetration");
	cr_assert_eq(c->flags, DSM_HAS_MIN | DSM_HAS_MAX | DSM_CLAMP);
	cr_assert_float_eq(c->max, 150.5, 0);
	cr_assert_eq(c->precision, 1);
	static const uint8_t types[] = { DSM_F64, DSM_STRING, DSM_BYTES, DSM_F64_ARRAY, DSM_BOOL, DSM_I64,
		DSM_U64 };
	static const uint32_t capacities[] = { 1, 32, 3, 10, 1, 1, 1 };
	for (uint32_t i = 0; i < 7; i++) {
		cr_assert_eq(t->cells[i].type, types[i]);
		cr_assert_eq(t->cells[i].capacity, capacities[i]);
	}
	cr_assert_eq(t->cells[5].flags, DSM_HAS_MIN);
	cr_assert_eq(t->cells[6].precision, -1);
	dsm_table_free(&t);
}

Test(table_yaml, templates)
{
	struct dsm_table *t = NULL;
	int rc = load("region: rig\ngroups:\n"
		"  - {name: \"pump{}\", count: 3, from: 1, cells: [{name: \"ch{}\", type: f64, count: 64},"
		" {name: \"x{}y\", type: f64, count: 1, from: 9}]}\n", &t);
	cr_assert_eq(rc, 0, "%s", dsm_error());
	cr_assert_eq(t->group_count, 3);
	cr_assert_eq(t->cell_count, 3 * 65);
	cr_assert_neq(table_find_cell(t, "pump1.ch0"), TABLE_NONE);
	cr_assert_neq(table_find_cell(t, "pump3.ch63"), TABLE_NONE);
	cr_assert_neq(table_find_cell(t, "pump2.x9y"), TABLE_NONE);
	cr_assert_eq(table_find_cell(t, "pump0.ch0"), TABLE_NONE);
	cr_assert_eq(table_find_cell(t, "pump3.ch64"), TABLE_NONE);
	cr_assert_eq(t->groups[0].owner, 0);
	dsm_table_free(&t);
}

Test(table_yaml, syntax)
{
	refused("", -EINVAL, "t.yaml:1: region: ", "empty");
	refused("# nothing\n", -EINVAL, "t.yaml:1: region: ", "missing");
	refused(HEAD "{name: a, type: f64\n", -EINVAL, "t.yaml:6: groups[0].cells[0]: ",
		"while parsing a flow mapping of line 5");
	refused("region: rig\n\tgroups:\n", -EINVAL, "t.yaml:2: ", "expected YAML, found: ");
	refused(HEAD "{name: a, type: f64, unit: \xff}\n", -EINVAL, "t.yaml:5: byte 36 of the line: ",
		"UTF-8 text, found 0xff");
	refused(HEAD "{name: a, type: f64, unit: \x01}\n", -EINVAL, "t.yaml:5: ", "control characters");
	refused(HEAD "{name: \"a\\0b\", type: f64}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].name: ",
		"without NUL");
	refused(HEAD "{name: a, type: f64}\n---\nx: 1\n", -EINVAL, "t.yaml:6: ", "second YAML document");
	refused(HEAD "{name: &a a, type: f64, unit: *a}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].unit: ",
		"aliases");
}

Test(table_yaml, schema)
{
	refused("rig\n", -EINVAL, "t.yaml:1: the table: ", "found \"rig\"");
	refused("- rig\n", -EINVAL, "t.yaml:1: the table: ", "found a list");
	refused("region: rig\n", -EINVAL, "t.yaml:1: groups: ", "missing: expected a list of groups");
	refused("groups: []\n", -EINVAL, "t.yaml:1: region: ", "missing: expected a name");
	refused("region: rig\ngroups: 5\n", -EINVAL, "t.yaml:2: groups: ",
		"expected a list of groups, found \"5\"");
	refused("region: rig\nregion: rog\n" CELL, -EINVAL, "t.yaml:2: region: ", "first in line 1");
	refused("region: rig\ngruops: []\n", -EINVAL, "t.yaml:2: the table: ",
		"unknown key \"gruops\"; did you mean groups?");
	refused(HEAD "{name: a}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].type: ", "missing: expected bool");
	refused(HEAD "{name: a, type: f64, zzzzzzz: 1}\n", -EINVAL, "t.yaml:5: groups[0].cells[0]: ",
		"unknown key \"zzzzzzz\": expected name, type, unit");
	refused(HEAD "a\n", -EINVAL, "t.yaml:5: groups[0].cells[0]: ", "expected keys with values");
	refused(HEAD "{name: [[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]], type: f64}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].name: ", "expected a name, found a list");
	refused(HEAD "{name: a, type: f64, min: abc}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].min: ",
		"expected a number, found \"abc\"");
	refused(HEAD "name: a\n        type: f64\n        max:\n", -EINVAL,
		"t.yaml:7: groups[0].cells[0].max: ", "expected a number, found \"\"");
	refused(HEAD "{name: a, type: f64, range: squash}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].range: ", "expected refuse or clamp");
	refused(HEAD "{name: \"a{}\", type: f64, count: -3}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].count: ", "found \"-3\"");
	refused(HEAD "{name: \"a{}\", type: f64, count: 5000000000}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].count: ", "1 to 1000000");
	refused("region: rig\ngroups:\n  - name: g\n    save: flase\n    cells: [{name: a, type: f64}]\n",
		-EINVAL, "t.yaml:4: groups[0].save: ", "expected true or false, found \"flase\"");
	refused("region: rig\nowners:\n  - {users: me}\n" CELL, -EINVAL, "t.yaml:3: owners[0].name: ",
		"missing");
}

Test(table_yaml, cells)
{
	refused(HEAD "{name: a b, type: f64}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].name: ", "byte 2");
	refused(HEAD "{name: a, type: float}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].type: ",
		"found \"float\"");
	refused(HEAD "{name: a, type: string}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].type: ",
		"string(n)");
	refused(HEAD "{name: a, type: string(0)}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].type: ",
		"at least 1");
	refused(HEAD "{name: a, type: \"f64[200000000]\"}\n", -E2BIG, "t.yaml:5: groups[0].cells[0].type: ",
		"1 GiB");
	refused(HEAD "{name: a, type: bytes(99999999999999999999)}\n", -E2BIG,
		"t.yaml:5: groups[0].cells[0].type: ", "1 GiB");
	refused(HEAD "{name: a, type: f64, min: 3, max: 2}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].min: ",
		"min 3 is above max 2");
	refused(HEAD "{name: a, type: f64, min: 3, max: .inf}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].max: ", "number");
	refused(HEAD "{name: a, type: f64, range: clamp}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].range: ", "expected a min or a max");
	refused(HEAD "{name: a, type: f64, precision: 18}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].precision: ", "to 17");
	refused(HEAD "{name: a, type: f64, unit: \"\\a\"}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].unit: ",
		"control character");
	refused(HEAD "{name: \"a{}\", type: f64}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].count: ",
		"missing");
	refused(HEAD "{name: a, type: f64, count: 2}\n", -EINVAL, "t.yaml:5: groups[0].cells[0].name: ",
		"expected a {}");
	refused(HEAD "{name: \"a{}\", type: f64, count: 0}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].count: ", "expected 1 to 1000000, found 0");
	refused(HEAD "{name: \"a{}\", type: f64, count: 1000001}\n", -E2BIG,
		"t.yaml:5: groups[0].cells[0].count: ", "expected 1 to 1000000");
	refused(HEAD "{name: \"a{}\", type: f64, count: 2, from: 4294967295}\n", -EINVAL,
		"t.yaml:5: groups[0].cells[0].from: ", "32 bits");
	refused(HEAD "{name: b, type: f64}\n      - {name: a, type: f64}\n      - {name: b, type: i64}\n",
		-EEXIST, "t.yaml:7: groups[0].cells[2].name: ", "first in line 5");
	refused(HEAD "{name: \"b{}\", type: f64, count: 9}\n      - name: b7\n        type: i64\n",
		-EEXIST, "t.yaml:6: groups[0].cells[1].name: ", "first in line 5");
}

Test(table_yaml, groups_and_owners)
{
	refused("region: r g\n" CELL, -EINVAL, "t.yaml:1: region: ", "byte 2");
	refused("region: rig\ngroups: []\n", -EINVAL, "t.yaml:2: groups: ", "at least one");
	refused("region: rig\ngroups:\n  - name: g\n    cells: []\n", -EINVAL, "t.yaml:4: groups[0].cells: ",
		"at least one cell");
	refused("region: rig\ngroups:\n  - name: g\n    owner: engin\n    cells: [{name: a, type: f64}]\n",
		-ENOENT, "t.yaml:4: groups[0].owner: ", "no owner \"engin\"; did you mean engine?");
	refused("region: rig\ngroups:\n  - name: g\n    slots: 3\n    cells: [{name: a, type: f64}]\n",
		-EINVAL, "t.yaml:4: groups[0].slots: ", "power of two");
	refused("region: rig\ngroups:\n  - name: g\n    slots: 1024\n"
		"    cells: [{name: a, type: bytes(1073741824)}]\n", -E2BIG,
		"t.yaml:5: groups[0].cells[0].type: ", "256 GiB");
	refused("region: rig\ngroups:\n  - {name: g, cells: [{name: a, type: f64}]}\n"
		"  - {name: g, cells: [{name: a, type: f64}]}\n", -EEXIST, "t.yaml:4: groups[1].name: ",
		"first in line 3");
	refused("region: rig\nowners: [{name: engine}]\n" CELL, -EEXIST, "t.yaml:2: owners[0].name: ",
		"from the start");
	refused("region: rig\nowners:\n  - name: o\n  - name: o\n" CELL, -EEXIST,
		"t.yaml:4: owners[1].name: ", "first in line 3");
	refused("region: rig\nowners:\n  - name: o\n    users: a b\n" CELL, -EINVAL,
		"t.yaml:4: owners[0].users: ", "\"a b\"");
	refused("region: rig\nowners: [{name: o, network: true}]\ngroups:\n  - name: g\n    owner: o\n"
		"    cells: [{name: a, type: bytes(70000000)}]\n", -E2BIG,
		"t.yaml:6: groups[0].cells[0].type: ", "64 MiB");
}

/* Much of one character must be refused in a moment, without deep recursion. */
static void refused_at_once(const char *before, const char *again, const char *begins)
{
	size_t n = 2000000, length = strlen(again);
	char *text = malloc(strlen(before) + n * length + 1), *at = stpcpy(text, before);
	for (size_t i = 0; i < n; i++)
		at = mempcpy(at, again, length);
	*at = '\0';
	refused(text, -EINVAL, begins, "");
	free(text);
}

Test(table_yaml, nested_without_end)
{
	refused_at_once("", "[", "t.yaml:1: ");
	refused_at_once("", "{a: ", "t.yaml:1: ");
	refused_at_once("region: ", "- ", "t.yaml:1: ");
	refused_at_once("region: rig\ngroups: ", "[", "t.yaml:2: ");
	refused_at_once("region: rig\n? ", "[", "t.yaml:2: ");
	refused_at_once("region: ", "x", "t.yaml:1: ");
}

static void path_refused(const char *path, int error, const char *words)
{
	struct dsm_table *table = NULL;
	int rc = dsm_table_load(path, &table);
	cr_expect_eq(rc, error, "%s: %d", path, rc);
	cr_expect_null(table);
	cr_expect(strncmp(dsm_error(), path, strlen(path)) == 0, "%s", dsm_error());
	cr_expect(strstr(dsm_error(), words), "%s", dsm_error());
}

Test(table_yaml, files)
{
	char folder[] = "/tmp/dsm-table-XXXXXX", path[64];
	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/f", folder);
	path_refused(folder, -EISDIR, "directory");
	path_refused(path, -ENOENT, "cannot be opened");
	cr_assert_eq(mkfifo(path, 0600), 0);
	path_refused(path, -EINVAL, "no regular file");
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	path_refused(path, -EINVAL, "empty");
	cr_assert_eq(ftruncate(fd, 300 << 20), 0);
	path_refused(path, -EFBIG, "64 MiB");
	close(fd);
	unlink(path);
	rmdir(folder);
	struct dsm_table *table = NULL;
	cr_expect_eq(dsm_table_load(NULL, &table), -EINVAL);
	cr_expect_eq(dsm_table_load(path, NULL), -EINVAL);
}

Test(table_yaml, a_hundred_thousand_cells)
{
	size_t room = 16 << 20, n = 0;
	char *text = malloc(room);
	n += (size_t)sprintf(text, "region: rig\ngroups:\n");
	for (unsigned g = 0; g < 1000; g++) {
		n += (size_t)sprintf(text + n, "  - name: g%u\n    cells:\n", g);
		for (unsigned c = 0; c < 100; c++)
			n += (size_t)sprintf(text + n, "      - {name: c%u, type: f64, unit: m/h, min: 0, "
				"max: 150}\n", c);
	}
	struct dsm_table *t = NULL;
	struct timespec from, to;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	cr_assert_eq(table_load_memory("t.yaml", text, n, &t), 0, "%s", dsm_error());
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	cr_assert_eq(t->cell_count, 100000);
	dsm_table_free(&t);
	fprintf(stderr, "100,000 cells: %.3f s of processor time\n", s);
	/* about 0.25 s alone; the bound leaves room for sanitizers and a loaded machine */
	cr_expect_lt(s, 5.0, "%.3f s", s);
	/* an error in the last line is found, too */
	memcpy(text + n - 10, "mxx", 3);
	char begins[64];
	snprintf(begins, sizeof(begins), "t.yaml:%u: groups[999].cells[99]: ", 2 + 1000 * 102);
	text[n] = '\0';
	refused(text, -EINVAL, begins, "unknown key \"mxx");
	free(text);
}
