/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table file, second part: loaded structures to the builder. Expands templates ("ch{}" with
 * count:), reads type texts, and puts FILE:LINE: KEY before what the builder refuses.
 */
#include "engine/table_yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/table_names.h"

/* Where in the file something is: groups[group].cells[cell].key. */
struct place {
	const char *list;       /* "owners", "groups", or NULL for the top */
	uint32_t entry, cell;   /* cell: TABLE_NONE = the group itself */
	const char *key;        /* "" = none */
};

struct fill {
	const struct yaml_source *source;
	const struct yaml_table *file;
	struct dsm_table *table;
	char group[DSM_NAME_MAX + 64], cell[DSM_NAME_MAX + 64]; /* names, expanded */
};

static const char *path_of(const struct place *p, char path[static YAML_PATH_MAX])
{
	int n = 0;
	if (p->list)
		n = snprintf(path, YAML_PATH_MAX, "%s[%u]", p->list, p->entry);
	if (p->list && p->cell != TABLE_NONE)
		n += snprintf(path + n, YAML_PATH_MAX - (size_t)n, ".cells[%u]", p->cell);
	snprintf(path + n, YAML_PATH_MAX - (size_t)n, "%s%s", n && p->key[0] ? "." : "", p->key);
	return path;
}

/* Puts the place before a text. `first` is where a name was given before, or NULL. */
static int fail_at(const struct fill *f, const struct place *p, const struct place *first, int error,
	const char *text)
{
	char path[YAML_PATH_MAX], first_path[YAML_PATH_MAX], copy[400], before[64] = "";
	/* the text may be the thread's own error text, which the passes below may overwrite */
	snprintf(copy, sizeof(copy), "%s", text);
	if (first)
		snprintf(before, sizeof(before), " (first in line %u)",
			yaml_line(f->source, path_of(first, first_path)));
	uint32_t line = yaml_line(f->source, path_of(p, path));
	return dsm__fail(error, "%s:%u: %s: %s%s", f->source->name, line, path, copy, before);
}

/* ---- templates ----------------------------------------------------------------------- */

/* `pattern` with its "{}" replaced by the number; without one, the pattern. */
static void expand(const char *pattern, uint32_t number, char *out, size_t size)
{
	const char *at = strstr(pattern, "{}");
	if (at)
		snprintf(out, size, "%.*s%u%s", (int)(at - pattern), pattern, number, at + 2);
	else
		snprintf(out, size, "%s", pattern);
}

/* Checks name, count and from of one entry; *n = how many it stands for. */
static int check_template(const struct fill *f, struct place p, const char *name,
	const uint32_t *count, uint32_t from, uint32_t *n)
{
	char text[160];
	bool pattern = strstr(name, "{}") != NULL;
	p.key = "count";
	*n = count ? *count : 1;
	if (*n == 0 || *n > DSM_CELLS_MAX) {
		snprintf(text, sizeof(text), "expected 1 to %u, found %u", DSM_CELLS_MAX, *n);
		return fail_at(f, &p, NULL, *n ? -E2BIG : -EINVAL, text);
	}
	if (pattern && !count)
		return fail_at(f, &p, NULL, -EINVAL, "missing: the name has {}: expected how many");
	if (from > UINT32_MAX - *n) {
		p.key = "from";
		snprintf(text, sizeof(text), "from %u and count %u: expected their sum within 32 bits",
			from, *n);
		return fail_at(f, &p, NULL, -EINVAL, text);
	}
	p.key = "name";
	if (count && !pattern)
		return fail_at(f, &p, NULL, -EINVAL, "count: is given: expected a {} in the name, "
			"which takes the number");
	if (strlen(name) > DSM_NAME_MAX)
		return fail_at(f, &p, NULL, -EINVAL, "expected a name of at most 200 bytes");
	return 0;
}

/* ---- what was there first --------------------------------------------------------------- */

static bool made_by(const char *pattern, const uint32_t *count, uint32_t from, const char *name)
{
	char made[DSM_NAME_MAX + 64];
	uint32_t n = count ? *count : 1;
	for (uint32_t i = 0; i < n; i++) {
		expand(pattern, from + i, made, sizeof(made));
		if (strcmp(made, name) == 0)
			return true;
	}
	return false;
}

static bool first_group(const struct yaml_table *file, const char *name, struct place *p)
{
	for (uint32_t g = 0; g < file->groups_count; g++) {
		const struct yaml_group *group = &file->groups[g];
		if (!made_by(group->name, group->count, group->from, name))
			continue;
		*p = (struct place){ "groups", g, TABLE_NONE, "name" };
		return true;
	}
	return false;
}

/* `full` is "group.cell"; the last '.' parts the two. */
static bool first_cell(const struct yaml_table *file, const char *full, struct place *p)
{
	char group_name[DSM_NAME_MAX + 64];
	const char *dot = strrchr(full, '.');
	if (!dot)
		return false;
	snprintf(group_name, sizeof(group_name), "%.*s", (int)(dot - full), full);
	if (!first_group(file, group_name, p))
		return false;
	const struct yaml_group *group = &file->groups[p->entry];
	for (uint32_t c = 0; c < group->cells_count; c++) {
		const struct yaml_cell *cell = &group->cells[c];
		if (!made_by(cell->name, cell->count, cell->from, dot + 1))
			continue;
		p->cell = c;
		return true;
	}
	return false;
}

static bool first_owner(const struct yaml_table *file, const char *name, struct place *p)
{
	for (uint32_t i = 0; i < file->owners_count; i++) {
		if (strcmp(file->owners[i].name, name) != 0)
			continue;
		*p = (struct place){ "owners", i, TABLE_NONE, "name" };
		return true;
	}
	return false;
}

/* What the builder refused, at the key it was looking at. */
static int refused(const struct fill *f, struct place p, int error, const char *name)
{
	struct place first;
	bool known = false;
	p.key = table_key;
	if (error == -EEXIST && strcmp(p.list, "owners") == 0)
		known = first_owner(f->file, name, &first) && first.entry != p.entry;
	else if (error == -EEXIST)
		known = table_find_group(f->table, name) != TABLE_NONE ?
			first_group(f->file, name, &first) : first_cell(f->file, name, &first);
	return fail_at(f, &p, known ? &first : NULL, error, dsm_error());
}

/* ---- types -------------------------------------------------------------------------------- */

/* "string(32)" with prefix "string(" and suffix ")". False: not of this form, or no size. */
static bool sized(const char *text, const char *prefix, const char *suffix, uint32_t *n)
{
	size_t length = strlen(prefix);
	if (strncmp(text, prefix, length) != 0)
		return false;
	const char *at = text + length;
	uint64_t value = 0;
	for (; *at >= '0' && *at <= '9'; at++)
		value = value > UINT32_MAX ? value : value * 10 + (uint64_t)(*at - '0');
	if (at == text + length || strcmp(at, suffix) != 0)
		return false;
	*n = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	return true;
}

static bool parse_type(const char *text, struct dsm_cell_spec *spec)
{
	static const struct { const char *name; enum dsm_type type; } plain[] = {
		{ "f64", DSM_F64 }, { "bool", DSM_BOOL }, { "i64", DSM_I64 }, { "u64", DSM_U64 },
	};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(text, plain[i].name) != 0)
			continue;
		spec->type = plain[i].type;
		return true;
	}
	spec->type = DSM_STRING;
	if (sized(text, "string(", ")", &spec->capacity))
		return true;
	spec->type = DSM_BYTES;
	if (sized(text, "bytes(", ")", &spec->capacity))
		return true;
	spec->type = DSM_F64_ARRAY;
	return sized(text, "f64[", "]", &spec->capacity);
}

static int bad_type(const struct fill *f, struct place p, const char *type)
{
	char text[200];
	p.key = "type";
	snprintf(text, sizeof(text), "expected bool, i64, u64, f64, string(n), bytes(n) or f64[n], "
		"found \"%.60s\"", table_text_check("", "", type, 60) ? "?" : type);
	return fail_at(f, &p, NULL, -EINVAL, text);
}

/* ---- the three lists ---------------------------------------------------------------------- */

static int fill_cell(struct fill *f, struct place p, const struct yaml_cell *cell)
{
	struct dsm_cell_spec spec = { .group = f->group, .name = f->cell, .unit = cell->unit,
		.description = cell->description, .min = cell->min ? *cell->min : 0,
		.max = cell->max ? *cell->max : 0, .precision = cell->precision ? *cell->precision : -1,
		.flags = (cell->min ? DSM_HAS_MIN : 0u) | (cell->max ? DSM_HAS_MAX : 0u) |
			(cell->clamp ? DSM_CLAMP : 0u) };
	uint32_t n;
	int rc = check_template(f, p, cell->name, cell->count, cell->from, &n);
	if (rc)
		return rc;
	if (!parse_type(cell->type, &spec))
		return bad_type(f, p, cell->type);
	for (uint32_t i = 0; i < n; i++) {
		expand(cell->name, cell->from + i, f->cell, sizeof(f->cell));
		rc = dsm_table_cell(f->table, &spec);
		if (rc == 0)
			continue;
		char full[sizeof(f->group) + sizeof(f->cell)];
		snprintf(full, sizeof(full), "%s.%s", f->group, f->cell);
		return refused(f, p, rc, full);
	}
	return 0;
}

static int fill_group(struct fill *f, uint32_t g, const struct yaml_group *group)
{
	struct place p = { "groups", g, TABLE_NONE, "cells" };
	struct dsm_group_spec spec = { .owner = group->owner, .name = f->group,
		.description = group->description, .slots = group->slots,
		.max_age_ms = group->max_age_ms, .no_save = group->save == YAML_FALSE };
	uint32_t n;
	int rc = check_template(f, p, group->name, group->count, group->from, &n);
	if (rc)
		return rc;
	if (group->cells_count == 0)
		return fail_at(f, &p, NULL, -EINVAL, "expected at least one cell, found none");
	for (uint32_t i = 0; i < n; i++) {
		expand(group->name, group->from + i, f->group, sizeof(f->group));
		rc = dsm_table_group(f->table, &spec);
		if (rc)
			return refused(f, p, rc, f->group);
		for (uint32_t c = 0; c < group->cells_count; c++) {
			p.cell = c;
			rc = fill_cell(f, p, &group->cells[c]);
			if (rc)
				return rc;
		}
		p.cell = TABLE_NONE;
	}
	return 0;
}

static int fill_owner(struct fill *f, uint32_t i, const struct yaml_owner *owner)
{
	struct place p = { "owners", i, TABLE_NONE, "" };
	struct dsm_owner_spec spec = { .name = owner->name, .users = owner->users,
		.network = owner->network == YAML_TRUE };
	int rc = dsm_table_owner(f->table, &spec);
	return rc ? refused(f, p, rc, owner->name) : 0;
}

static int fill_all(struct fill *f)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < f->file->owners_count; i++)
		rc = fill_owner(f, i, &f->file->owners[i]);
	for (uint32_t g = 0; rc == 0 && g < f->file->groups_count; g++)
		rc = fill_group(f, g, &f->file->groups[g]);
	if (rc)
		return rc;
	rc = table_finish(f->table);
	struct place top = { NULL, 0, TABLE_NONE, "groups" };
	return rc ? fail_at(f, &top, NULL, rc, dsm_error()) : yaml_fill_devices(f->source, f->file, f->table);
}

int yaml_fill(const struct yaml_source *source, const struct yaml_table *file,
	struct dsm_table **out)
{
	struct fill *f = malloc(sizeof(*f));
	if (!f)
		return dsm__fail(-ENOMEM, "%s: no memory to load it", source->name);
	*f = (struct fill){ .source = source, .file = file };
	int rc = dsm_table_new(file->region, &f->table);
	if (rc) {
		struct place top = { NULL, 0, TABLE_NONE, "region" };
		rc = fail_at(f, &top, NULL, rc, dsm_error());
		goto free_fill;
	}
	rc = fill_all(f);
	if (rc)
		dsm_table_free(&f->table);
	else
		*out = f->table;
free_fill:
	free(f);
	return rc;
}
