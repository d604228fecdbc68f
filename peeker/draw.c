/* SPDX-License-Identifier: Apache-2.0 */
/* Columns, rows and the whole screen; see draw.h. */
#include "draw.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FOLDED 0x25b8u
#define UNFOLDED 0x25beu
#define PIN 0x2605u
#define DEVIATES 0x2260u

/* ---- columns ---- */

static void longest(const struct scene *scene, int *names, int *units)
{
	const struct table *t = scene->model->table;
	bool full = scene->view->sort != SORT_TABLE || scene->view->n_pins;

	*names = 8;
	*units = 4;
	for (uint32_t i = 0; t && i < t->cells; i++) {
		int name = (int)strlen(full ? t->cell[i].name : t->cell[i].leaf) + 1;
		int unit = (int)strlen(t->cell[i].unit);
		*names = name > *names ? name : *names;
		*units = unit > *units ? unit : *units;
	}
}

static void place(int *x, int *column, int *width, int wanted)
{
	*column = *x;
	*width = wanted;
	if (wanted)
		*x += wanted + 1;
}

void layout_choose(struct layout *l, const struct scene *scene, int width)
{
	int names, units, x = 0;
	bool narrow = width < 60, against = scene->cmp != NULL;

	memset(l, 0, sizeof *l);
	longest(scene, &names, &units);
	names = names > 36 ? 36 : names;
	int value_w = narrow ? 9 : 11, unit_w = units > 8 ? 8 : units;
	int expected_w = against && !narrow ? 11 : 0, age_w = narrow ? 0 : 7;
	int rate_w = width >= 76 && !(against && width < 100) ? 6 : 0, state_w = narrow ? 8 : width < 100 ? 12 : 13;
	int owner_w = width >= 110 ? 14 : 0;
	int fixed = 2 + value_w + 1 + unit_w + 1 + state_w + 1 + (expected_w ? expected_w + 1 : 0) +
		(age_w ? age_w + 1 : 0) + (rate_w ? rate_w + 1 : 0) + (owner_w ? owner_w + 1 : 0);
	int rest = width - fixed - 1;
	/* the name as long as it is, if eight columns are left for the past */
	int name_w = names < rest - 9 ? names : rest - 9;
	if (name_w < 16)
		name_w = names < rest ? (names < 16 ? names : 16) : rest;
	rest -= name_w + 1;
	l->narrow = narrow;
	l->name_w = name_w > 1 ? name_w : 1;
	x = 2 + l->name_w + 1;
	place(&x, &l->value, &l->value_w, value_w);
	place(&x, &l->unit, &l->unit_w, unit_w);
	place(&x, &l->expected, &l->expected_w, expected_w);
	place(&x, &l->age, &l->age_w, age_w);
	place(&x, &l->rate, &l->rate_w, rate_w);
	int text_w = rest >= 66 ? rest - 41 : 0;
	place(&x, &l->spark, &l->spark_w, rest >= 6 ? (text_w ? 40 : rest) : 0);
	place(&x, &l->state, &l->state_w, state_w);
	place(&x, &l->owner, &l->owner_w, owner_w);
	place(&x, &l->text, &l->text_w, text_w);
}

void draw_titles(struct canvas *canvas, const struct scene *scene, const struct layout *l, int y)
{
	const struct model *model = scene->model;
	char span[32];
	unsigned style = STYLE_TITLE;
	uint64_t span_s = (uint64_t)l->spark_w * model->bucket_ns / NS_PER_S;

	canvas_restyle(canvas, y, 0, canvas->width, style);
	canvas_put(canvas, y, 3, l->name_w - 1, style, "CELL");
	canvas_put_right(canvas, y, l->value, l->value_w, style, "VALUE");
	canvas_put(canvas, y, l->unit, l->unit_w, style, "UNIT");
	canvas_put_right(canvas, y, l->expected, l->expected_w, style, "EXPECTED");
	canvas_put_right(canvas, y, l->age, l->age_w, style, "AGE");
	canvas_put_right(canvas, y, l->rate, l->rate_w, style, "PER S");
	snprintf(span, sizeof span, l->spark_w >= 12 ? "LAST %" PRIu64 " S" : "%" PRIu64 " S", span_s);
	canvas_put(canvas, y, l->spark, l->spark_w, style, span);
	canvas_put(canvas, y, l->state, l->state_w, style, "STATE");
	canvas_put(canvas, y, l->owner, l->owner_w, style, "OWNER");
	canvas_put(canvas, y, l->text, l->text_w, style, "DESCRIPTION");
}

/* ---- rows ---- */

static void draw_group(struct canvas *canvas, const struct scene *scene, int y, uint32_t g)
{
	const struct model *model = scene->model;
	const struct group_meta *group = &model->table->group[g];
	enum dsm_owner_state state = owner_seen(model, group->owner);
	uint32_t doubtful = 0;
	char rate[24];
	int x = 2, width = canvas->width;

	for (uint32_t i = group->first; i < group->first + group->n; i++)
		doubtful += verdict_is_doubtful(model_verdict(model, i));
	canvas_point(canvas, y, 0, STYLE_GROUP, scene->view->folded[g] ? FOLDED : UNFOLDED);
	x += canvas_put(canvas, y, x, width - x, STYLE_GROUP, group->name) + 2;
	canvas_point(canvas, y, x, owner_style(state), owner_mark(state));
	x += 2;
	x += canvas_print(canvas, y, x, width - x, owner_style(state), "%s %s",
		model->table->owner[group->owner], owner_word(state)) + 2;
	if (width >= 60)
		x += canvas_print(canvas, y, x, width - x, STYLE_DIM, "%s/s",
			text_rate(model_group_rate(model, g), rate, sizeof rate)) + 2;
	if (doubtful)
		x += canvas_print(canvas, y, x, width - x, STYLE_WARN, "%" PRIu32 " of %" PRIu32
			" not valid", doubtful, group->n) + 2;
	else if (scene->view->folded[g])
		x += canvas_print(canvas, y, x, width - x, STYLE_DIM, "%" PRIu32 " cells", group->n) + 2;
	canvas_put(canvas, y, x, width - x, STYLE_DIM, group->description);
}

static const char *short_verdict(enum verdict verdict)
{
	return verdict == CELL_NEVER ? "never" : verdict == CELL_SIMULATED ? "simul." :
		verdict_name(verdict);
}

static void draw_state(struct canvas *canvas, const struct scene *scene, const struct layout *l,
	int y, uint32_t cell)
{
	enum verdict verdict = model_verdict(scene->model, cell);
	char age[32];

	text_cell_age(scene->model, cell, age, sizeof age);
	if (l->narrow && verdict == CELL_GOOD)
		canvas_put_right(canvas, y, l->state, l->state_w, STYLE_DIM, age);
	else if (l->narrow)
		canvas_put_right(canvas, y, l->state, l->state_w, style_of(verdict),
			short_verdict(verdict));
	else
		canvas_put(canvas, y, l->state, l->state_w,
			verdict == CELL_GOOD ? STYLE_DIM : style_of(verdict),
			verdict == CELL_NEVER && l->state_w < 13 ? short_verdict(verdict) :
			text_verdict(scene->model, cell));
	canvas_put_right(canvas, y, l->age, l->age_w, STYLE_PLAIN, age);
}

static void draw_rate(struct canvas *canvas, const struct scene *scene, const struct layout *l,
	int y, uint32_t cell)
{
	bool capped;
	double rate = model_cell_rate(scene->model, cell, &capped);
	char text[24], shown[32];

	snprintf(shown, sizeof shown, "%s%s", capped ? "≤" : "", text_rate(rate, text, sizeof text));
	canvas_put_right(canvas, y, l->rate, l->rate_w, STYLE_DIM, shown);
}

static void draw_owner_column(struct canvas *canvas, const struct scene *scene,
	const struct layout *l, int y, uint32_t group)
{
	const struct model *model = scene->model;
	uint32_t owner = model->table->group[group].owner;
	enum dsm_owner_state state = owner_seen(model, owner);

	if (!l->owner_w)
		return;
	canvas_point(canvas, y, l->owner, owner_style(state), owner_mark(state));
	canvas_put(canvas, y, l->owner + 2, l->owner_w - 2,
		state == DSM_ALIVE ? STYLE_DIM : owner_style(state), model->table->owner[owner]);
}

/* As the value beside it is written, unless that would hide what is not the same. */
static void expected_text(const struct scene *scene, uint32_t cell, int width, char *buf,
	size_t size)
{
	const struct cell_meta *meta = &scene->model->table->cell[cell];
	const struct cell_state *state = &scene->model->cells[cell];
	const char *quality = reference_quality(scene->reference, scene->model, cell);
	struct dsm_value number;
	char live[64];

	if (*quality) {
		snprintf(buf, size, "%s", quality);
		return;
	}
	reference_text(scene->reference, cell, -1, buf, size);
	if (meta->type != DSM_F64 || dsm_value_parse(buf, DSM_F64, &number, NULL, 0))
		return;
	text_number(number.f64, meta->precision, (size_t)width, buf, size);
	text_number(state->value.f64, meta->precision, (size_t)width, live, sizeof live);
	if (strcmp(buf, live) == 0 && number.f64 != state->value.f64)
		text_number(number.f64, -1, (size_t)width, buf, size);
}

static void draw_expected(struct canvas *canvas, const struct scene *scene,
	const struct layout *l, int y, uint32_t cell)
{
	enum cmp cmp = comparison_of(scene->cmp, cell);
	char text[512];

	if (!scene->cmp || cmp == CMP_NONE || cmp == CMP_UNREAD)
		return;
	if (cmp == CMP_DEVIATES)
		canvas_point(canvas, y, 0, STYLE_BAD, DEVIATES);
	if (!l->expected_w || (scene->frozen && reference_grace_ms(scene->reference)))
		return; /* the other engine is not frozen */
	expected_text(scene, cell, l->expected_w, text, sizeof text);
	enum style style = cmp == CMP_DEVIATES ? STYLE_BAD : cmp == CMP_PENDING ? STYLE_WARN : STYLE_DIM;
	canvas_put_right(canvas, y, l->expected, l->expected_w, style, text);
}

static void draw_cell(struct canvas *canvas, const struct scene *scene, const struct layout *l,
	int y, const struct row *row)
{
	const struct model *model = scene->model;
	const struct cell_meta *meta = &model->table->cell[row->index];
	enum verdict verdict = model_verdict(model, row->index);
	bool full = row->kind == ROW_PIN || scene->view->sort != SORT_TABLE;
	char value[512];

	canvas_point(canvas, y, 0, style_of(verdict), mark_of(verdict));
	if (row->kind == ROW_PIN)
		canvas_point(canvas, y, 1, STYLE_KEY, PIN);
	if (full)
		canvas_put_end(canvas, y, 3, l->name_w - 1, STYLE_PLAIN, meta->name);
	else
		canvas_put(canvas, y, 3, l->name_w - 1, STYLE_PLAIN, meta->leaf);
	text_value(model, row->index, (size_t)l->value_w, value, sizeof value);
	enum style style = verdict == CELL_GOOD ? STYLE_BOLD : style_of(verdict);
	bool text = meta->type == DSM_STRING || meta->type == DSM_F64_ARRAY;
	int room = text && !*meta->unit ? l->value_w + 1 + l->unit_w : l->value_w;
	if (text && canvas_width(canvas, value) > l->value_w)
		canvas_put(canvas, y, l->value, room, style, value);
	else
		canvas_put_right(canvas, y, l->value, l->value_w, style, value);
	canvas_put(canvas, y, l->unit, l->unit_w, STYLE_DIM, meta->unit);
	draw_expected(canvas, scene, l, y, row->index);
	draw_rate(canvas, scene, l, y, row->index);
	draw_state(canvas, scene, l, y, row->index);
	draw_spark(canvas, scene, row->index, y, l->spark, l->spark_w);
	draw_owner_column(canvas, scene, l, y, meta->group);
	canvas_put(canvas, y, l->text, l->text_w, STYLE_DIM, meta->description);
}

void draw_row(struct canvas *canvas, const struct scene *scene, const struct layout *l, int y,
	const struct row *row)
{
	if (row->kind == ROW_GROUP)
		draw_group(canvas, scene, y, row->index);
	else if (row->kind != ROW_NONE)
		draw_cell(canvas, scene, l, y, row);
}

/* ---- the screen ---- */

static void draw_footer(struct canvas *canvas, const struct scene *scene, int y)
{
	static const char keys[] = "/ filter  s sort  p pin  Enter detail  space freeze  ? help  q quit";
	const struct view *view = scene->view;
	int width = canvas->width;
	char right[96];

	snprintf(right, sizeof right, "%s%s%s  %zu/%zu", view->sort == SORT_TABLE ? "" : "by ",
		view->sort == SORT_TABLE ? "" : sort_name(view->sort), view->backwards ? " (reverse)" : "",
		view->n_rows ? view->cursor + 1 : 0, view->n_rows);
	int right_w = canvas_width(canvas, right);
	canvas_put(canvas, y, width - right_w - 1, right_w, STYLE_DIM, right);
	int room = width - right_w - 4;
	if (view->typing)
		canvas_print(canvas, y, 1, room, STYLE_KEY, "/%s_", view->filter);
	else if (view->only_deviating)
		canvas_put(canvas, y, 1, room, STYLE_KEY, "only what deviates (d shows all)");
	else if (*view->filter)
		canvas_print(canvas, y, 1, room, STYLE_KEY, "filter \"%s\": %zu of %" PRIu32
			" cells (Esc clears)", view->filter, view->matching,
			scene->model->table ? scene->model->table->cells : 0);
	else
		canvas_put(canvas, y, 1, room, STYLE_DIM, width < 76 ? "? help  q quit" : keys);
}

static int detail_height(const struct scene *scene, int body)
{
	if (!scene->view->detail || view_cell(scene->view) == UINT32_MAX)
		return 0;
	if (body < 14)
		return body;
	return body / 2 < 12 ? body / 2 : 12;
}

static void draw_list(struct canvas *canvas, const struct scene *scene, int y, int height)
{
	struct view *view = scene->view;
	struct layout layout;
	size_t pins = view->n_pins, room = height > 1 ? (size_t)height - 1 : 0;

	layout_choose(&layout, scene, canvas->width);
	draw_titles(canvas, scene, &layout, y++);
	if (pins > room / 2)
		pins = room / 2;
	view_scroll(view, pins, room - pins);
	for (size_t i = 0; i < room; i++) {
		size_t at = i < pins ? i : view->top + i;
		if (at >= view->n_rows)
			break;
		draw_row(canvas, scene, &layout, y + (int)i, &view->rows[at]);
		if (at == view->cursor)
			canvas_mark_row(canvas, y + (int)i);
	}
	if (view->n_rows == 0 && scene->model->table)
		canvas_put(canvas, y, 2, canvas->width - 3, STYLE_DIM,
			view->only_deviating ? "no cell deviates" : "no cell matches the filter");
}

void draw_screen(struct canvas *canvas, const struct scene *scene)
{
	int height = canvas->height;
	int top = header_height(scene, height), body = height - top - 1;

	if (canvas->width < 24 || height < 4) {
		canvas_put(canvas, 0, 0, canvas->width, STYLE_BAD, "too small");
		return;
	}
	draw_header(canvas, scene, height);
	if (scene->view->help) {
		draw_help(canvas, scene, top, body);
	} else if (scene->view->info) {
		draw_info(canvas, scene, top, body);
	} else {
		int detail = detail_height(scene, body);
		if (detail < body)
			draw_list(canvas, scene, top, body - detail);
		if (detail)
			draw_detail(canvas, scene, view_cell(scene->view), top + body - detail, detail);
	}
	draw_footer(canvas, scene, height - 1);
}
