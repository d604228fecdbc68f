/* SPDX-License-Identifier: Apache-2.0 */
/* Facts, views and selections of cells; see cells.h. */
#include "cells.h"

#include "map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

/* ---- facts ---- */

static const struct column fact_columns[FACTS] = {
	[FACT_TIME] = { "t", "changed", "s", false },
	[FACT_CELL] = { "cell", NULL, NULL, false },
	[FACT_VALUE] = { "v", "value", NULL, true },
	[FACT_UNIT] = { "u", "unit", NULL, false },
	[FACT_QUALITY] = { "q", "quality", NULL, false },
	[FACT_SEQ] = { "seq", NULL, NULL, true },
	[FACT_AGE] = { "age", NULL, "s", true },
	[FACT_STALE] = { "stale", NULL, NULL, false },
	[FACT_EPOCH] = { "epoch", NULL, NULL, true },
	[FACT_TYPE] = { "type", NULL, NULL, false },
	[FACT_MIN] = { "min", NULL, NULL, true },
	[FACT_MAX] = { "max", NULL, NULL, true },
	[FACT_CLAMP] = { "clamp", NULL, NULL, false },
	[FACT_PRECISION] = { "precision", NULL, NULL, true },
	[FACT_GROUP] = { "group", NULL, NULL, false },
	[FACT_OWNER] = { "owner", NULL, NULL, false },
	[FACT_DESCRIPTION] = { "description", NULL, NULL, false },
};

static enum tone tone_of(const struct dsm_sample *sample)
{
	if (sample->flags || sample->quality == DSM_BAD)
		return TONE_BAD;
	if (sample->quality == DSM_NEVER_WRITTEN)
		return TONE_DIM;
	return sample->quality == DSM_GOOD ? TONE_PLAIN : TONE_WARN;
}

struct field sample_value(const struct dsm_sample *sample, int precision)
{
	struct field field = field_none();

	if (sample->quality != DSM_NEVER_WRITTEN)
		field = field_value(&sample->value, precision);
	field.tone = tone_of(sample);
	return field;
}

bool sample_is_doubtful(const struct dsm_sample *sample)
{
	struct field field = sample_value(sample, -1);

	return sample->flags || sample->quality == DSM_BAD || field_is_none(&field);
}

const char *sample_quality(const struct dsm_sample *sample, char *buf, size_t size)
{
	char flags[64];

	dsm_flags_text(sample->flags, flags, sizeof flags);
	snprintf(buf, size, "%s%s%s", dsm_quality_name(sample->quality), *flags ? "," : "", flags);
	return buf;
}

static const char *type_text(const struct dsm_cell_info *info, char *buf, size_t size)
{
	bool sized = info->type == DSM_STRING || info->type == DSM_BYTES;

	if (info->type == DSM_F64_ARRAY)
		snprintf(buf, size, "f64[%" PRIu32 "]", info->capacity);
	else if (sized)
		snprintf(buf, size, "%s(%" PRIu32 ")", dsm_type_name(info->type), info->capacity);
	else
		snprintf(buf, size, "%s", dsm_type_name(info->type));
	return buf;
}

static struct field age_field(const struct dsm_sample *sample)
{
	if (!sample->changed_ns)
		return field_none();
	int64_t age_ns = wall_ns() - sample->changed_ns;
	return field_f64((double)(age_ns > 0 ? age_ns : 0) / NS_PER_S, 3);
}

/* What the table says. */
static struct field table_fact(struct view *view, enum fact fact, const struct dsm_cell_info *info)
{
	switch (fact) {
	case FACT_CELL:
		return field_text(info->name);
	case FACT_UNIT:
		return field_text(info->unit);
	case FACT_TYPE:
		return field_text(type_text(info, view->type, sizeof view->type));
	case FACT_MIN:
		return info->flags & DSM_HAS_MIN ? field_f64(info->min, -1) : field_none();
	case FACT_MAX:
		return info->flags & DSM_HAS_MAX ? field_f64(info->max, -1) : field_none();
	case FACT_CLAMP:
		return field_bool(info->flags & DSM_CLAMP);
	case FACT_PRECISION:
		return info->precision >= 0 ? field_u64((uint64_t)info->precision) : field_none();
	case FACT_GROUP:
		return field_text(info->group_name);
	case FACT_OWNER:
		return field_text(info->owner_name);
	case FACT_DESCRIPTION:
		return field_text(info->description);
	default:
		return field_none();
	}
}

static struct field fact_field(struct view *view, enum fact fact,
	const struct dsm_cell_info *info, const struct dsm_sample *sample)
{
	struct field field;

	switch (fact) {
	case FACT_TIME:
		return field_time(sample->changed_ns);
	case FACT_VALUE:
		return sample_value(sample, info->precision);
	case FACT_QUALITY:
		field = field_text(sample_quality(sample, view->quality, sizeof view->quality));
		field.tone = tone_of(sample);
		return field;
	case FACT_SEQ:
		return field_u64(sample->seq);
	case FACT_AGE:
		return age_field(sample);
	case FACT_STALE:
		return field_text(dsm_flags_text(sample->flags, view->stale, sizeof view->stale));
	case FACT_EPOCH:
		return field_u64(sample->epoch);
	default:
		return table_fact(view, fact, info);
	}
}

/* ---- views ---- */

void view_init(struct view *view, const enum fact *facts, size_t n)
{
	view->n = n;
	for (size_t i = 0; i < n; i++) {
		view->facts[i] = facts[i];
		view->columns[i] = fact_columns[facts[i]];
	}
}

void view_begin(struct view *view, struct out *out, bool vertical)
{
	out_begin(out, view->columns, view->n, vertical);
}

void view_row(struct view *view, struct out *out, const struct dsm_cell_info *info,
	const struct dsm_sample *sample)
{
	struct field fields[FACTS];

	for (size_t i = 0; i < view->n; i++)
		fields[i] = fact_field(view, view->facts[i], info, sample);
	out_row(out, fields);
}

/* ---- selection ---- */

struct picking {
	struct selection *sel;
	struct map cells, groups;
	size_t items_room, groups_room;
	uint64_t only_group;      /* with any_group false */
	bool any_group;
	size_t matched;
};

/* Room for one more element in an array that doubles. */
static void *room_for(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return array;
	size_t larger = *room ? *room * 2 : 16;
	void *moved = realloc(array, larger * size);
	if (moved)
		*room = larger;
	return moved;
}

static int pick_group(struct picking *picking, struct dsm_group group, uint32_t *index)
{
	struct selection *sel = picking->sel;
	bool added;
	int error = map_intern(&picking->groups, group.id, (uint32_t)sel->n_groups, index, &added);

	if (error || !added)
		return error;
	void *groups = room_for(sel->groups, sel->n_groups, &picking->groups_room,
		sizeof *sel->groups);
	if (!groups)
		return -ENOMEM;
	sel->groups = groups;
	sel->groups[sel->n_groups++] = (struct picked){ .group = group };
	return 0;
}

static int pick(const struct dsm_cell_info *info, void *context)
{
	struct picking *picking = context;
	struct selection *sel = picking->sel;
	uint32_t index, group;
	bool added;

	if (!picking->any_group && info->group.id != picking->only_group)
		return 0;
	picking->matched++;
	int error = map_intern(&picking->cells, info->cell.id, (uint32_t)sel->n, &index, &added);
	if (error || !added)
		return error;
	error = pick_group(picking, info->group, &group);
	if (error)
		return error;
	void *items = room_for(sel->items, sel->n, &picking->items_room, sizeof *sel->items);
	if (!items)
		return -ENOMEM;
	sel->items = items;
	sel->items[sel->n++] = (struct item){ .cell = info->cell, .group = group };
	sel->groups[group].n++;
	return 0;
}

static int pick_word(struct picking *picking, struct dsm *dsm, const char *word)
{
	struct dsm_cell_info info;
	struct dsm_group group;
	struct dsm_cell cell;

	picking->any_group = true;
	picking->matched = 0;
	if (strpbrk(word, "*?["))
		return dsm_foreach_cell(dsm, word, pick, picking);
	int error = dsm_cell(dsm, word, &cell);
	if (!error)
		error = dsm_cell_info(dsm, cell, &info);
	if (!error)
		return pick(&info, picking);
	if (error != -ENOENT || dsm_group(dsm, word, &group) != 0)
		return dsm_cell(dsm, word, &cell); /* for its text, which offers near names */
	picking->any_group = false;
	picking->only_group = group.id;
	return dsm_foreach_cell(dsm, NULL, pick, picking);
}

/* Item indices by group: a counting sort, so that it stays linear. */
static int sort_by_group(struct selection *sel)
{
	size_t first = 0;

	sel->order = calloc(sel->n + 1, sizeof *sel->order);
	if (!sel->order)
		return -ENOMEM;
	for (size_t g = 0; g < sel->n_groups; g++) {
		sel->groups[g].first = first;
		first += sel->groups[g].n;
		sel->groups[g].n = 0;
	}
	for (size_t i = 0; i < sel->n; i++) {
		struct picked *group = &sel->groups[sel->items[i].group];
		sel->order[group->first + group->n++] = (uint32_t)i;
	}
	return 0;
}

enum status selection_make(struct cli *cli, char **words, int n, struct selection *sel)
{
	struct picking picking = { .sel = sel };
	enum status status = STATUS_OK;

	*sel = (struct selection){ .dsm = cli->dsm };
	for (int i = 0; i < n; i++) {
		int error = pick_word(&picking, cli->dsm, words[i]);
		if (error == -ENOMEM) {
			cli_say(cli, "out of memory");
			status = cli_worse(status, STATUS_REFUSED);
		} else if (error) {
			status = cli_worse(status, cli_fail(cli, error));
		} else if (picking.matched == 0) {
			cli_say(cli, "no cell matches \"%s\"; `dsm ls` lists all", words[i]);
			status = cli_worse(status, STATUS_REFUSED);
		}
	}
	map_free(&picking.cells);
	map_free(&picking.groups);
	if (sort_by_group(sel) != 0) {
		cli_say(cli, "out of memory");
		status = STATUS_REFUSED;
		sel->n = 0;
		sel->n_groups = 0;
	}
	return status;
}

void selection_free(struct selection *sel)
{
	for (size_t g = 0; g < sel->n_groups; g++) {
		dsm_cursor_close(&sel->groups[g].cursor);
		dsm_frame_free(&sel->groups[g].frame);
	}
	free(sel->groups);
	free(sel->items);
	free(sel->order);
	*sel = (struct selection){ 0 };
}

int selection_read(struct selection *sel, size_t g)
{
	struct picked *picked = &sel->groups[g];

	if (!picked->frame) {
		int error = dsm_frame_new(sel->dsm, picked->group, &picked->frame);
		if (error)
			return error;
	}
	return dsm_snapshot(sel->dsm, picked->group, picked->frame);
}

int selection_read_all(const struct cli *cli, struct selection *sel)
{
	for (size_t g = 0; g < sel->n_groups; g++) {
		if (g > 0 && cli_remaining_ms(cli, 1) == 0)
			return -ETIME;
		int error = selection_read(sel, g);
		if (error)
			return error;
	}
	return 0;
}
