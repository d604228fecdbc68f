/* SPDX-License-Identifier: Apache-2.0 */
/* The header: is the engine running, and are the numbers right? See draw.h. */
#include "draw.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what colours and marks mean, here and everywhere ---- */

enum style style_of(enum verdict verdict)
{
	static const enum style styles[CELL_VERDICTS] = {
		[CELL_UNREAD] = STYLE_BAD, [CELL_STALE] = STYLE_WARN, [CELL_UNKNOWN] = STYLE_WARN,
		[CELL_BAD] = STYLE_BAD, [CELL_NEVER] = STYLE_NEVER, [CELL_FORCED] = STYLE_FORCED,
		[CELL_SIMULATED] = STYLE_SIMULATED, [CELL_GOOD] = STYLE_PLAIN,
	};

	return styles[verdict];
}

uint32_t mark_of(enum verdict verdict)
{
	static const uint32_t marks[CELL_VERDICTS] = {
		[CELL_UNREAD] = '?', [CELL_STALE] = '!', [CELL_UNKNOWN] = '?', [CELL_BAD] = 0x2717,
		[CELL_NEVER] = '-', [CELL_FORCED] = 'F', [CELL_SIMULATED] = 'S', [CELL_GOOD] = ' ',
	};

	return marks[verdict];
}

enum dsm_owner_state owner_seen(const struct model *model, uint32_t owner)
{
	return model->engine.state == ENGINE_RUNNING ? model->owners[owner].state : OWNER_UNKNOWN;
}

const char *owner_word(enum dsm_owner_state state)
{
	return state == OWNER_UNKNOWN ? "unknown" : dsm_owner_state_name(state);
}

enum style owner_style(enum dsm_owner_state state)
{
	if (state == OWNER_UNKNOWN)
		return STYLE_WARN;
	if (state == DSM_ALIVE)
		return STYLE_GOOD;
	return state == DSM_VACANT ? STYLE_DIM : STYLE_BAD;
}

uint32_t owner_mark(enum dsm_owner_state state)
{
	if (state == OWNER_UNKNOWN)
		return '?';
	if (state == DSM_ALIVE)
		return 0x25cf;
	return state == DSM_VACANT ? 0x25cb : 0x2717;
}

/* ---- the bar: one look from across the room ---- */

/* Cells that are there and cannot be believed; never written ones are no fault. */
static uint32_t not_valid(const struct scene *scene)
{
	uint32_t counts[CELL_VERDICTS], n = 0;

	model_count(scene->live, counts);
	for (int v = 0; v < CELL_VERDICTS; v++)
		n += verdict_is_doubtful((enum verdict)v) ? counts[v] : 0;
	return n;
}

static enum style bar_style(const struct scene *scene)
{
	enum engine_state state = scene->live->engine.state;
	bool deviates = scene->cmp && (scene->cmp->deviating || scene->cmp->missing ||
		*scene->cmp->problem);

	if (state != ENGINE_RUNNING)
		return state == ENGINE_UNKNOWN ? STYLE_ON_WARN : STYLE_ON_BAD;
	return deviates || not_valid(scene) ? STYLE_ON_WARN : STYLE_ON_GOOD;
}

static void heartbeat_text(const struct scene *scene, char *buf, size_t size)
{
	const struct model *live = scene->live;
	const struct engine_view *engine = &live->engine;
	uint32_t doubtful = not_valid(scene);
	double for_s = (double)(live->now_ns - engine->since_ns) / NS_PER_S;
	char age[32];

	if (engine->state == ENGINE_RUNNING && doubtful)
		snprintf(buf, size, "but %" PRIu32 " of %" PRIu32 " cells are not valid", doubtful,
			live->table->cells);
	else if (engine->state == ENGINE_RUNNING)
		snprintf(buf, size, "heartbeat %" PRIu64 " ms ago", engine->heartbeat_age_ms);
	else
		snprintf(buf, size, "for %s", text_age(for_s, age, sizeof age));
}

/* Seconds since the last look, once they are too many: a sampler that hangs must not look
 * like an engine that runs. */
static double late_s(const struct scene *scene)
{
	const struct model *live = scene->live;
	uint64_t pace_ns = live->took_ns * 10 > live->period_ns ? live->took_ns * 10 : live->period_ns;
	uint64_t old_ns = scene->now_ns > live->now_ns ? scene->now_ns - live->now_ns : 0;

	return old_ns > pace_ns * 3 + NS_PER_S ? (double)old_ns / NS_PER_S : 0;
}

static void draw_bar(struct canvas *canvas, const struct scene *scene, int y)
{
	const struct model *live = scene->live;
	const struct engine_view *engine = &live->engine;
	bool late = late_s(scene) > 0, good = engine->state == ENGINE_RUNNING && !late;
	enum style style = late ? STYLE_ON_BAD : bar_style(scene);
	char clock[16], beat[64], frozen[48];
	int width = canvas->width;

	text_clock(live->wall_ns, clock, sizeof clock);
	heartbeat_text(scene, beat, sizeof beat);
	if (late)
		snprintf(beat, sizeof beat, "by this viewer for %.0f s", late_s(scene));
	canvas_restyle(canvas, y, 0, width, style);
	canvas_point(canvas, y, 1, style, good ? 0x25cf : 0x2717);
	int x = 3 + canvas_print(canvas, y, 3, width - 3, style, "%s  %s",
		late ? "NOT LOOKED AT" : engine_state_name(engine->state), engine->name);
	int right = width - 9;
	canvas_put(canvas, y, right, 8, style, clock);
	if (scene->frozen) {
		snprintf(frozen, sizeof frozen, " FROZEN at %s ",
			text_clock(scene->model->wall_ns, clock, sizeof clock));
		if (right - x < 24)
			snprintf(frozen, sizeof frozen, " FROZEN ");
		right -= (int)strlen(frozen) + 1;
		canvas_put(canvas, y, right, (int)strlen(frozen), STYLE_ON_INFO, frozen);
	}
	if (x + 2 + (int)strlen(beat) >= right && good && not_valid(scene))
		snprintf(beat, sizeof beat, "%" PRIu32 " not valid", not_valid(scene));
	if (x + 2 + (int)strlen(beat) < right)
		canvas_put(canvas, y, x + 2, right - x - 3, style, beat);
}

/* ---- the lines below it ---- */

static void draw_reading(struct canvas *canvas, const struct scene *scene, int y)
{
	const struct model *live = scene->live;
	char p50[32], p99[32], retries[24], torn[24], right[160];
	int width = canvas->width;
	bool wide = width >= 100;

	text_duration(live->latency.p50_ns, canvas->utf8, p50, sizeof p50);
	text_duration(live->latency.p99_ns, canvas->utf8, p99, sizeof p99);
	text_count(live->stats.retries, retries, sizeof retries);
	text_count(live->stats.torn, torn, sizeof torn);
	if (wide)
		snprintf(right, sizeof right, "read p50 %s  p99 %s  retries %s  rejected %s", p50, p99,
			retries, torn);
	else
		snprintf(right, sizeof right, "p50 %s retries %s rejected %s", p50, retries, torn);
	int x = width - 1 - canvas_width(canvas, right);
	canvas_put(canvas, y, x, width - x, STYLE_DIM, right);
	if (width >= 60)
		canvas_print(canvas, y, 1, x - 3, STYLE_DIM, "%s by %s: %s", live->engine.uri,
			live->engine.transport, live->engine.reason);
	else
		canvas_put(canvas, y, 1, x - 2, STYLE_DIM, live->engine.transport);
}

/* What is wrong with the engine, in a sentence; NULL if nothing is. */
static const char *trouble(const struct model *live, char *buf, size_t size)
{
	const struct engine_view *engine = &live->engine;

	switch (engine->state) {
	case ENGINE_NONE:
		snprintf(buf, size, "%s", *engine->problem ? engine->problem : "looking for the engine");
		return buf;
	case ENGINE_LOST:
		return "The engine is gone: values are the last known, none is valid. Looking for it.";
	case ENGINE_SILENT:
		return "The engine's heartbeat stands still: none of the values is valid.";
	case ENGINE_UNKNOWN:
		return "This viewer was suspended: waiting for the next heartbeat.";
	case ENGINE_RUNNING:
		break;
	}
	if (!*engine->problem)
		return NULL;
	snprintf(buf, size, "%s", engine->problem);
	return buf;
}

static int draw_owner(struct canvas *canvas, int y, int x, int width, const char *name,
	enum dsm_owner_state state)
{
	int end = x + width;

	if (width < 4)
		return 0;
	canvas_point(canvas, y, x, owner_style(state), owner_mark(state));
	int used = 2 + canvas_put(canvas, y, x + 2, end - x - 2, STYLE_PLAIN, name);
	if (state != DSM_ALIVE)
		used += 1 + canvas_put(canvas, y, x + used + 1, end - x - used - 1, owner_style(state),
			dsm_owner_state_name(state));
	return used;
}

/* Owners from the right: those that are not alive must be seen first. */
static void draw_owners(struct canvas *canvas, const struct scene *scene, int y, int x)
{
	const struct model *live = scene->live;
	int width = canvas->width - 1;

	if (!live->table || live->engine.state != ENGINE_RUNNING || width - x < 12)
		return;
	for (int alive = 0; alive < 2; alive++) {
		for (uint32_t i = 0; i < live->table->owners && width - x > 8; i++) {
			if ((live->owners[i].state == DSM_ALIVE) != alive)
				continue;
			x += 2 + draw_owner(canvas, y, x, width - x, live->table->owner[i],
				live->owners[i].state);
		}
	}
}

static void draw_counts(struct canvas *canvas, const struct scene *scene, int y)
{
	static const enum verdict order[] = {
		CELL_GOOD, CELL_STALE, CELL_BAD, CELL_UNREAD, CELL_UNKNOWN, CELL_NEVER, CELL_FORCED,
		CELL_SIMULATED,
	};
	uint32_t counts[CELL_VERDICTS];
	int x = 1, width = canvas->width;

	if (!scene->live->table)
		return;
	model_count(scene->live, counts);
	x += canvas_print(canvas, y, x, width - x, STYLE_PLAIN, "%" PRIu32 " cells: ",
		scene->live->table->cells);
	bool first = true;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (counts[order[i]] == 0)
			continue;
		enum style style = order[i] == CELL_GOOD ? STYLE_GOOD : style_of(order[i]);
		if (!first)
			x += canvas_put(canvas, y, x, width - x, STYLE_PLAIN, ", ");
		x += canvas_print(canvas, y, x, width - x, style, "%" PRIu32 " %s", counts[order[i]],
			verdict_name(order[i]));
		first = false;
	}
	if (width >= 60)
		draw_owners(canvas, scene, y, x + 3);
}

static void draw_comparison(struct canvas *canvas, const struct scene *scene, int y)
{
	const struct comparison *cmp = scene->cmp;
	int x = 1, width = canvas->width;

	if (*cmp->problem) {
		canvas_print(canvas, y, x, width - x, STYLE_BAD, "against %s: %s", cmp->about,
			cmp->problem);
		return;
	}
	bool bad = cmp->deviating || cmp->missing;
	enum style style = bad ? STYLE_BAD : cmp->pending ? STYLE_WARN : STYLE_GOOD;
	x += canvas_print(canvas, y, x, width - x, style, "%" PRIu32 " deviate%s", cmp->deviating,
		cmp->deviating == 1 ? "s" : "");
	x += canvas_print(canvas, y, x, width - x, STYLE_PLAIN, ", %" PRIu32 " equal", cmp->equal);
	if (cmp->pending)
		x += canvas_print(canvas, y, x, width - x, STYLE_WARN, ", %" PRIu32 " in doubt",
			cmp->pending);
	if (cmp->none)
		x += canvas_print(canvas, y, x, width - x, STYLE_PLAIN, ", %" PRIu32 " not compared",
			cmp->none);
	if (cmp->missing)
		x += canvas_print(canvas, y, x, width - x, STYLE_BAD, ", %" PRIu32 " missing (%s)",
			cmp->missing, cmp->missing_name);
	canvas_print(canvas, y, x, width - x, STYLE_DIM, "  against %s", cmp->about);
}

int header_height(const struct scene *scene, int height)
{
	return (height >= 10 ? 3 : height >= 6 ? 2 : 1) + (scene->cmp && height >= 6);
}

void draw_header(struct canvas *canvas, const struct scene *scene, int height)
{
	int lines = header_height(scene, height) - (scene->cmp && height >= 6);
	char buf[512];
	const char *text = trouble(scene->live, buf, sizeof buf);

	draw_bar(canvas, scene, 0);
	if (text && lines > 1)
		canvas_put(canvas, 1, 1, canvas->width - 2, STYLE_BAD, text);
	else if (lines > 2)
		draw_reading(canvas, scene, 1);
	if (lines > 2 || (lines > 1 && !text))
		draw_counts(canvas, scene, lines - 1);
	if (scene->cmp && height >= 6)
		draw_comparison(canvas, scene, lines);
}
