/* SPDX-License-Identifier: Apache-2.0 */
/* One cell in full: sparkline, range bar, history, what is expected; see draw.h. */
#include "draw.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EIGHTH 0x2580u       /* + 1 … 8: so many eighths of a block */
#define LINE 0x2500u
#define LABEL_W 10           /* of the history's scale */

/* Smallest and largest of the last `n` buckets. */
struct scale { double low, high; bool any; };

static struct scale scale_of(const struct model *model, uint32_t cell, uint32_t n)
{
	const struct cell_meta *meta = &model->table->cell[cell];
	struct scale s = { 0, 0, false };

	for (uint32_t ago = 0; ago < n; ago++) {
		const struct bucket *b = model_bucket(model, cell, ago);
		if (!b)
			continue;
		if (!s.any || (double)b->min < s.low)
			s.low = (double)b->min;
		if (!s.any || (double)b->max > s.high)
			s.high = (double)b->max;
		s.any = true;
	}
	if (meta->type == DSM_BOOL && s.any) {
		s.low = 0;
		s.high = 1;
	}
	/* what is not seen in the digits must not look like a storm */
	double least = meta->precision >= 0 ? pow(10, -meta->precision) : 0;
	double spread = fabs(s.high) * 1e-6;
	if (s.high - s.low < (least > spread ? least : spread))
		s.low = s.high = (s.low + s.high) / 2;
	return s;
}

/* 1 to `levels`, the middle-low one for what does not move. */
static int level_of(const struct scale *s, const struct bucket *b, int levels)
{
	double mean = (double)b->sum / b->n;

	if (s->high <= s->low)
		return levels / 4 > 0 ? levels / 4 : 1;
	int level = 1 + (int)((mean - s->low) / (s->high - s->low) * (levels - 1) + 0.5);
	return level < 1 ? 1 : level > levels ? levels : level;
}

void draw_spark(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y, int x,
	int width)
{
	const struct model *model = scene->model;
	bool valid = verdict_is_valid(model_verdict(model, cell));

	if (width <= 0 || !type_is_number(model->table->cell[cell].type))
		return;
	struct scale s = scale_of(model, cell, (uint32_t)width);
	for (int i = 0; i < width; i++) {
		const struct bucket *b = model_bucket(model, cell, (uint32_t)(width - 1 - i));
		if (b)
			canvas_point(canvas, y, x + i, valid ? STYLE_SPARK : STYLE_DIM,
				EIGHTH + (uint32_t)level_of(&s, b, 8));
	}
}

/* ---- the lines of the pane ---- */

static void draw_rule(struct canvas *canvas, int y, const char *name)
{
	for (int x = 0; x < canvas->width; x++)
		canvas_point(canvas, y, x, STYLE_DIM, LINE);
	canvas_print(canvas, y, 2, canvas->width - 4, STYLE_GROUP, " %s ", name);
}

static void draw_value(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y)
{
	const struct model *model = scene->model;
	const struct cell_meta *meta = &model->table->cell[cell];
	const struct cell_state *state = &model->cells[cell];
	enum verdict verdict = model_verdict(model, cell);
	char value[900], age[32], flags[96], rate[24];
	int x = 1, width = canvas->width;
	bool capped;

	bool bracket = verdict_is_doubtful(verdict) && state->read;
	text_whole_value(state, meta->precision, value, sizeof value);
	x += canvas_print(canvas, y, x, width / 2, verdict == CELL_GOOD ? STYLE_BOLD : style_of(verdict),
		"%s%s%s %s", bracket ? "(" : "", value, bracket ? ")" : "", meta->unit) + 2;
	dsm_flags_text(state->flags, flags, sizeof flags);
	x += canvas_print(canvas, y, x, width - x, verdict == CELL_GOOD ? STYLE_GOOD : style_of(verdict),
		"%s%s%s", state->read ? dsm_quality_name(state->quality) : "not read", *flags ? ", " : "",
		flags) + 2;
	text_cell_age(model, cell, age, sizeof age);
	if (state->changed_ns)
		x += canvas_print(canvas, y, x, width - x, STYLE_PLAIN, "changed %s ago", age) + 2;
	text_rate(model_cell_rate(model, cell, &capped), rate, sizeof rate);
	canvas_print(canvas, y, x, width - x, STYLE_DIM, "%s%s/s", capped ? "≤" : "", rate);
}

static void draw_place(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y)
{
	const struct model *model = scene->model;
	const struct cell_meta *meta = &model->table->cell[cell];
	const struct group_meta *group = &model->table->group[meta->group];
	const struct owner_view *owner = &model->owners[group->owner];
	enum dsm_owner_state state = owner_seen(model, group->owner);
	char pid[32] = "", type[48], rate[24];
	int x = 1, width = canvas->width;

	if (owner->pid)
		snprintf(pid, sizeof pid, ", pid %" PRIu32, owner->pid);
	x += canvas_print(canvas, y, x, width - x, STYLE_DIM, "%s of group %s (%s commits/s), owner ",
		text_type(meta, type, sizeof type), group->name,
		text_rate(model_group_rate(model, meta->group), rate, sizeof rate));
	x += canvas_print(canvas, y, x, width - x, owner_style(state), "%s %s",
		model->table->owner[group->owner], owner_word(state));
	canvas_print(canvas, y, x, width - x, STYLE_DIM, "%s, commit %" PRIu64 " of epoch %" PRIu32, pid,
		model->cells[cell].seq, model->cells[cell].epoch);
}

/* 0 |-----o--------| 5000, as wide as there is room, with what happens to what lies outside. */
static void draw_range(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y)
{
	const struct cell_meta *meta = &scene->model->table->cell[cell];
	const struct cell_state *state = &scene->model->cells[cell];
	const char *rule = meta->flags & DSM_CLAMP ? "clamped to its range" : "refused outside its range";
	char low[64], high[64];
	double number;
	int width = canvas->width;

	if (!(meta->flags & DSM_HAS_MIN) || !(meta->flags & DSM_HAS_MAX)) {
		canvas_put(canvas, y, 1, width - 2, STYLE_DIM, "no range in the table");
		return;
	}
	text_number(meta->min, -1, 12, low, sizeof low);
	text_number(meta->max, -1, 12, high, sizeof high);
	int x = 1 + canvas_print(canvas, y, 1, 14, STYLE_PLAIN, "%s ", low);
	int bar = width - x - (int)strlen(high) - 3 - (width >= 76 ? 28 : 0);
	bar = bar > 60 ? 60 : bar;
	if (bar < 5)
		return;
	for (int i = 0; i < bar; i++)
		canvas_point(canvas, y, x + i, STYLE_DIM, i == 0 ? 0x251c : i == bar - 1 ? 0x2524 : LINE);
	bool there = state->read && state->quality != DSM_NEVER_WRITTEN;
	if (there && value_number(&state->value, &number) && meta->max > meta->min) {
		double part = (number - meta->min) / (meta->max - meta->min);
		part = part < 0 ? 0 : part > 1 ? 1 : part;
		enum verdict verdict = model_verdict(scene->model, cell);
		canvas_point(canvas, y, x + (int)(part * (bar - 1) + 0.5),
			verdict == CELL_GOOD ? STYLE_BOLD : style_of(verdict), 0x25cf);
	}
	x += bar + 1;
	x += canvas_put(canvas, y, x, width - x, STYLE_PLAIN, high) + 2;
	if (width >= 76)
		canvas_put(canvas, y, x, width - x, STYLE_DIM, rule);
}

static void print_three(struct canvas *canvas, int y, int x, const char *what, double min,
	double mean, double max, int precision)
{
	char a[64], b[64], c[64];

	text_number(min, precision, 12, a, sizeof a);
	text_number(mean, precision < 0 ? 3 : precision + 1, 12, b, sizeof b);
	text_number(max, precision, 12, c, sizeof c);
	canvas_print(canvas, y, x, canvas->width - x, STYLE_PLAIN, "%s: min %s mean %s max %s", what,
		a, b, c);
}

static void draw_statistics(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y)
{
	const struct model *model = scene->model;
	const struct cell_state *state = &model->cells[cell];
	int precision = model->table->cell[cell].precision, half = canvas->width / 2;
	double low = 0, high = 0, sum = 0, n = 0;
	char what[48], age[32], span[32];

	if (!state->run_n)
		return;
	uint32_t buckets = 0;
	for (uint32_t ago = 0; ago < model->buckets; ago++) {
		const struct bucket *b = model_bucket(model, cell, ago);
		if (!b)
			continue;
		low = n > 0 && low < (double)b->min ? low : (double)b->min;
		high = n > 0 && high > (double)b->max ? high : (double)b->max;
		sum += (double)b->sum;
		n += b->n;
		buckets = ago + 1;
	}
	snprintf(what, sizeof what, "run of %s", text_age((double)(model->now_ns - model->began_ns) /
		NS_PER_S, age, sizeof age));
	print_three(canvas, y, 1, what, state->run_min, state->run_sum / (double)state->run_n,
		state->run_max, precision);
	if (n > 0 && canvas->width >= 96) {
		snprintf(what, sizeof what, "last %s", text_age((double)(buckets * model->bucket_ns) /
			NS_PER_S, span, sizeof span));
		print_three(canvas, y, half + 1, what, low, sum / n, high, precision);
	}
}

static void draw_expectation(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y)
{
	static const char *const words[] = {
		[CMP_NONE] = "is not compared", [CMP_EQUAL] = "as expected", [CMP_DEVIATES] = "DEVIATES",
		[CMP_PENDING] = "differs just now", [CMP_UNREAD] = "could not be read there",
	};
	enum cmp cmp = comparison_of(scene->cmp, cell);
	const char *quality = reference_quality(scene->reference, scene->model, cell);
	char text[600];

	reference_text(scene->reference, cell, scene->model->table->cell[cell].precision, text,
		sizeof text);
	canvas_print(canvas, y, 1, canvas->width - 2,
		cmp == CMP_DEVIATES ? STYLE_BAD : cmp == CMP_PENDING ? STYLE_WARN : STYLE_PLAIN,
		"%s%s%s%s%s (%s)", words[cmp], *text ? ": expected " : "", text,
		*text && *quality ? ", " : "", quality, scene->cmp->about);
}

/* Columns of a bar chart, `height` lines of eight levels, newest at the right. */
static void draw_history(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y,
	int height)
{
	const struct model *model = scene->model;
	const struct cell_meta *meta = &model->table->cell[cell];
	int width = canvas->width - LABEL_W - 3, levels = height * 8;
	char label[64];

	if (height < 1 || width < 10 || !type_is_number(meta->type))
		return;
	if (width > (int)model->buckets)
		width = (int)model->buckets;
	struct scale s = scale_of(model, cell, (uint32_t)width);
	if (!s.any) {
		canvas_put(canvas, y, 1, canvas->width - 2, STYLE_DIM, "no valid value in this time");
		return;
	}
	canvas_put_right(canvas, y, 1, LABEL_W, STYLE_DIM,
		text_number(s.high, meta->precision, LABEL_W, label, sizeof label));
	if (height > 1)
		canvas_put_right(canvas, y + height - 1, 1, LABEL_W, STYLE_DIM,
			text_number(s.low, meta->precision, LABEL_W, label, sizeof label));
	for (int i = 0; i < width; i++) {
		const struct bucket *b = model_bucket(model, cell, (uint32_t)(width - 1 - i));
		int left = b ? level_of(&s, b, levels) : 0;
		for (int line = height - 1; line >= 0 && left > 0; line--, left -= 8)
			canvas_point(canvas, y + line, LABEL_W + 2 + i, STYLE_SPARK,
				EIGHTH + (uint32_t)(left > 8 ? 8 : left));
	}
}

void draw_detail(struct canvas *canvas, const struct scene *scene, uint32_t cell, int y,
	int height)
{
	const struct cell_meta *meta = &scene->model->table->cell[cell];
	int end = y + height;

	draw_rule(canvas, y++, meta->name);
	if (y < end)
		draw_value(canvas, scene, cell, y++);
	if (y < end && *meta->description)
		canvas_put(canvas, y++, 1, canvas->width - 2, STYLE_PLAIN, meta->description);
	if (y < end && scene->cmp)
		draw_expectation(canvas, scene, cell, y++);
	if (y < end)
		draw_place(canvas, scene, cell, y++);
	if (y < end && type_is_number(meta->type) && meta->type != DSM_BOOL)
		draw_range(canvas, scene, cell, y++);
	if (y < end && type_is_number(meta->type))
		draw_statistics(canvas, scene, cell, y++);
	draw_history(canvas, scene, cell, y, end - y);
}
