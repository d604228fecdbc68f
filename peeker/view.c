/* SPDX-License-Identifier: Apache-2.0 */
/* See view.h. */
#include "view.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const char *const sort_names[SORT_KEYS] = {
	[SORT_TABLE] = "table", [SORT_NAME] = "name", [SORT_VALUE] = "value", [SORT_AGE] = "age",
	[SORT_RATE] = "rate", [SORT_STATE] = "state",
};

const char *sort_name(enum sort_key key)
{
	return sort_names[key];
}

enum sort_key sort_find(const char *name)
{
	enum sort_key key = SORT_TABLE;

	while (key < SORT_KEYS && strcmp(sort_names[key], name) != 0)
		key++;
	return key;
}

void view_init(struct view *view)
{
	*view = (struct view){ .dirty = true };
}

/* ---- names that outlive a table ---- */

static int names_add(struct names *names, const char *name)
{
	char **more = realloc(names->name, (names->n + 1) * sizeof *more);
	char *copy = strdup(name);

	if (more)
		names->name = more;
	if (!more || !copy) {
		free(copy);
		return -ENOMEM;
	}
	names->name[names->n++] = copy;
	return 0;
}

static size_t names_find(const struct names *names, const char *name)
{
	size_t i = 0;

	while (i < names->n && strcmp(names->name[i], name) != 0)
		i++;
	return i;
}

static void names_remove(struct names *names, size_t i)
{
	if (i >= names->n)
		return;
	free(names->name[i]);
	names->name[i] = names->name[--names->n];
}

static void names_free(struct names *names)
{
	while (names->n)
		names_remove(names, names->n - 1);
	free(names->name);
	names->name = NULL;
}

/* In the order in which they were pinned; a removal may change it. */
int view_pin(struct view *view, const char *name)
{
	view->table_version = 0;
	return names_find(&view->pins, name) < view->pins.n ? 0 : names_add(&view->pins, name);
}

void view_free(struct view *view)
{
	names_free(&view->pins);
	names_free(&view->folds);
	free(view->pinned);
	free(view->folded);
	free(view->rows);
	free(view->keys);
	*view = (struct view){ 0 };
}

/* ---- rows ---- */

bool filter_match(const char *filter, const char *name)
{
	if (!*filter)
		return true;
	if (strpbrk(filter, "*?["))
		return fnmatch(filter, name, FNM_NOESCAPE | FNM_CASEFOLD) == 0;
	return strcasestr(name, filter) != NULL;
}

static int take_table(struct view *view, const struct table *table)
{
	bool *pinned = calloc(table->cells + 1, sizeof *pinned);
	bool *folded = calloc(table->groups + 1, sizeof *folded);
	double *keys = calloc(table->cells + 1, sizeof *keys);
	size_t room = (size_t)table->cells + table->groups + view->pins.n + 1;
	struct row *rows = calloc(room, sizeof *rows);

	if (!pinned || !folded || !keys || !rows) {
		free(pinned);
		free(folded);
		free(keys);
		free(rows);
		return -ENOMEM;
	}
	for (uint32_t g = 0; g < table->groups; g++)
		folded[g] = names_find(&view->folds, table->group[g].name) < view->folds.n;
	free(view->pinned);
	free(view->folded);
	free(view->keys);
	free(view->rows);
	view->pinned = pinned;
	view->folded = folded;
	view->keys = keys;
	view->rows = rows;
	view->rows_room = room;
	if (view->table_version)
		view->chosen.kind = ROW_NONE; /* its index was one of another table */
	view->table_version = table->version;
	view->dirty = true;
	return 0;
}

static double key_of(const struct view *view, const struct model *model, uint32_t cell)
{
	double value = -1e308;
	bool capped;

	switch (view->sort) {
	case SORT_VALUE:
		value_number(&model->cells[cell].value, &value);
		return -value; /* largest first */
	case SORT_AGE:
		if (model_age(model, cell, &value) == AGE_UNKNOWN)
			return 1e308;
		return value; /* youngest first, those never written before them */
	case SORT_RATE:
		return -model_cell_rate(model, cell, &capped);
	case SORT_STATE:
		return (double)model_verdict(model, cell); /* gravest first */
	default:
		return 0;
	}
}

struct ordering { const struct view *view; const struct model *model; };

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct ordering *o = context;
	uint32_t i = ((const struct row *)a)->index, k = ((const struct row *)b)->index;
	double x = o->view->keys[i], y = o->view->keys[k];
	int order = (x > y) - (x < y);

	if (order == 0 && o->view->sort == SORT_NAME)
		order = strcmp(o->model->table->cell[i].name, o->model->table->cell[k].name);
	if (order == 0)
		order = (i > k) - (i < k);
	return o->view->backwards ? -order : order;
}

static bool is_shown(const struct view *view, const struct model *model,
	const struct comparison *cmp, uint32_t cell)
{
	if (view->only_deviating && (!cmp || comparison_of(cmp, cell) != CMP_DEVIATES))
		return false;
	return filter_match(view->filter, model->table->cell[cell].name);
}

static void add_row(struct view *view, enum row_kind kind, uint32_t index)
{
	if (view->n_rows < view->rows_room)
		view->rows[view->n_rows++] = (struct row){ kind, index };
}

static void add_pins(struct view *view, const struct model *model)
{
	memset(view->pinned, 0, model->table->cells * sizeof *view->pinned);
	for (size_t i = 0; i < view->pins.n; i++) {
		uint32_t cell = table_find(model->table, view->pins.name[i]);
		if (cell == UINT32_MAX)
			continue;
		view->pinned[cell] = true;
		add_row(view, ROW_PIN, cell);
	}
	view->n_pins = view->n_rows;
}

/* Groups with their cells, as the table has them. */
static void add_groups(struct view *view, const struct model *model,
	const struct comparison *cmp)
{
	const struct table *t = model->table;

	for (uint32_t n = 0; n < t->groups; n++) {
		uint32_t g = view->backwards ? t->groups - 1 - n : n;
		size_t head = view->n_rows, matching = view->matching;
		add_row(view, ROW_GROUP, g);
		for (uint32_t i = t->group[g].first; i < t->group[g].first + t->group[g].n; i++) {
			if (!is_shown(view, model, cmp, i))
				continue;
			view->matching++;
			if (!view->folded[g])
				add_row(view, ROW_CELL, i);
		}
		if (view->matching == matching)
			view->n_rows = head; /* nothing of it matches */
	}
}

static void add_sorted(struct view *view, const struct model *model,
	const struct comparison *cmp)
{
	struct ordering ordering = { view, model };
	size_t first = view->n_rows;

	for (uint32_t i = 0; i < model->table->cells; i++) {
		if (!is_shown(view, model, cmp, i))
			continue;
		view->matching++;
		view->keys[i] = key_of(view, model, i);
		add_row(view, ROW_CELL, i);
	}
	qsort_r(view->rows + first, view->n_rows - first, sizeof *view->rows, compare_rows, &ordering);
}

/* The chosen row stays chosen wherever it has gone; if it is gone, the place stays. */
static void find_chosen(struct view *view)
{
	for (size_t i = 0; i < view->n_rows && view->chosen.kind != ROW_NONE; i++) {
		if (view->rows[i].kind == view->chosen.kind && view->rows[i].index == view->chosen.index) {
			view->cursor = i;
			return;
		}
	}
	view_move(view, 0);
}

int view_update(struct view *view, const struct model *model, const struct comparison *cmp)
{
	bool moves = view->sort != SORT_TABLE && view->sort != SORT_NAME;

	if (!model->table) {
		view->n_rows = view->n_pins = view->matching = 0;
		view->table_version = 0;
		view->chosen.kind = ROW_NONE;
		return 0;
	}
	if (view->table_version != model->table->version) {
		int error = take_table(view, model->table);
		if (error)
			return error;
	}
	if (!view->dirty && !moves && !view->only_deviating)
		return 0;
	view->dirty = false;
	view->n_rows = view->matching = 0;
	add_pins(view, model);
	if (view->sort == SORT_TABLE)
		add_groups(view, model, cmp);
	else
		add_sorted(view, model, cmp);
	find_chosen(view);
	return 0;
}

/* ---- moving and choosing ---- */

void view_move(struct view *view, long by)
{
	long to = (long)view->cursor + by;

	if (to >= (long)view->n_rows)
		to = (long)view->n_rows - 1;
	view->cursor = to > 0 ? (size_t)to : 0;
	view->chosen = view->cursor < view->n_rows ? view->rows[view->cursor] :
		(struct row){ ROW_NONE, 0 };
}

void view_scroll(struct view *view, size_t pins, size_t height)
{
	size_t rest = view->n_rows - pins;

	if (view->top + height > rest)
		view->top = rest > height ? rest - height : 0;
	if (view->cursor < pins)
		return;
	size_t at = view->cursor - pins;
	if (at < view->top)
		view->top = at;
	if (height && at >= view->top + height)
		view->top = at - height + 1;
	/* the head of the first group is worth a line */
	if (view->top == 1 && at > 1 && at < height)
		view->top = 0;
}

uint32_t view_cell(const struct view *view)
{
	bool cell = view->chosen.kind == ROW_CELL || view->chosen.kind == ROW_PIN;

	return cell ? view->chosen.index : UINT32_MAX;
}

static uint32_t chosen_group(const struct view *view, const struct model *model)
{
	if (view->chosen.kind == ROW_GROUP)
		return view->chosen.index;
	return view->chosen.kind == ROW_CELL ? model->table->cell[view->chosen.index].group : UINT32_MAX;
}

void view_toggle_pin(struct view *view, const struct model *model)
{
	uint32_t cell = view_cell(view);

	if (cell == UINT32_MAX)
		return;
	const char *name = model->table->cell[cell].name;
	size_t at = names_find(&view->pins, name);
	if (at < view->pins.n) {
		names_remove(&view->pins, at);
		view->chosen.kind = ROW_CELL;
	} else {
		names_add(&view->pins, name);
	}
	view->table_version = 0; /* room for the rows has changed */
}

static void fold_group(struct view *view, const struct model *model, uint32_t group, bool fold)
{
	const char *name = model->table->group[group].name;

	if (view->folded[group] == fold)
		return;
	if (fold)
		names_add(&view->folds, name);
	else
		names_remove(&view->folds, names_find(&view->folds, name));
	view->folded[group] = fold;
	view->dirty = true;
}

void view_fold(struct view *view, const struct model *model, bool fold)
{
	uint32_t group = chosen_group(view, model);

	if (group == UINT32_MAX || view->sort != SORT_TABLE)
		return;
	fold_group(view, model, group, fold);
	view->chosen = (struct row){ ROW_GROUP, group };
}

/* All folded: unfold all; else fold all. */
void view_fold_all(struct view *view, const struct model *model)
{
	bool all = true;

	if (!model->table || view->sort != SORT_TABLE)
		return;
	for (uint32_t g = 0; g < model->table->groups; g++)
		all &= view->folded[g] || model->table->group[g].n == 0;
	for (uint32_t g = 0; g < model->table->groups; g++)
		fold_group(view, model, g, !all);
	if (view->chosen.kind == ROW_CELL)
		view->chosen = (struct row){ ROW_GROUP, chosen_group(view, model) };
}
