/* SPDX-License-Identifier: Apache-2.0 */
/* Help, and everything about the engine and this viewer; see draw.h. */
#include "draw.h"
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Lines of a pane, of which those from view->pane_top on are seen. */
struct pane {
	struct canvas *canvas;
	const struct scene *scene;
	int y, height, line;
};

static int line_of(struct pane *pane)
{
	int at = pane->line++ - pane->scene->view->pane_top;

	return at >= 0 && at < pane->height ? pane->y + at : -1;
}

static void put(struct pane *pane, unsigned style, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void put(struct pane *pane, unsigned style, const char *key, const char *fmt, ...)
{
	struct canvas *canvas = pane->canvas;
	char text[600];
	int y = line_of(pane), left = canvas->width < 60 ? 12 : 18;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (y < 0)
		return;
	canvas_put(canvas, y, 1, left - 2, STYLE_KEY, key);
	canvas_put(canvas, y, left, canvas->width - left - 1, style, text);
}

static void heading(struct pane *pane, const char *text)
{
	if (pane->line)
		line_of(pane);
	int y = line_of(pane);
	if (y >= 0)
		canvas_put(pane->canvas, y, 1, pane->canvas->width - 2, STYLE_GROUP, text);
}

/* No further than the last line. */
static void limit(struct pane *pane)
{
	int most = pane->line - pane->height;

	most = most > 0 ? most : 0;
	if (pane->scene->view->pane_top > most)
		pane->scene->view->pane_top = most;
}

void draw_help(struct canvas *canvas, const struct scene *scene, int y, int height)
{
	static const struct { const char *key, *text; } keys[] = {
		{ "Up Down j k", "choose a row; PgUp PgDn Home End g G" },
		{ "Enter", "detail of the cell; fold or unfold a group" },
		{ "Left Right", "fold, unfold the group" }, { "z", "fold or unfold all groups" },
		{ "/", "filter: a part of the name, or a glob such as mud.*" },
		{ "Esc", "close a pane, clear the filter" },
		{ "s S", "sort: table, name, value, age, rate, state" },
		{ "r", "reverse the order" }, { "p", "pin the cell to the top, or take it down" },
		{ "space", "freeze what is shown; again: go on" },
		{ "d", "only what deviates (with --against)" },
		{ "i", "engine, counters, owners, events" }, { "? h", "this help" },
		{ "Ctrl-L", "draw anew" }, { "q Ctrl-C", "end" },
	};
	struct pane pane = { canvas, scene, y, height, 0 };

	heading(&pane, "Keys");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		put(&pane, STYLE_PLAIN, keys[i].key, "%s", keys[i].text);
	heading(&pane, "Marks before a name");
	for (int verdict = 0; verdict < CELL_GOOD; verdict++) {
		static const char *const text[] = {
			[CELL_UNREAD] = "not read: its group could not be read",
			[CELL_STALE] = "stale: engine or owner not alive, or maximum age over",
			[CELL_UNKNOWN] = "unknown: this viewer was suspended",
			[CELL_BAD] = "bad: its owner says so, or it is not a number",
			[CELL_NEVER] = "never written", [CELL_FORCED] = "forced by its owner",
			[CELL_SIMULATED] = "simulated",
		};
		char mark[8];
		utf8_of(mark_of((enum verdict)verdict), mark);
		put(&pane, style_of((enum verdict)verdict), mark, "%s", text[verdict]);
	}
	put(&pane, STYLE_BAD, "≠", "deviates from what --against expects");
	heading(&pane, "Columns");
	put(&pane, STYLE_PLAIN, "(12.3)", "in brackets: the last known value, not valid");
	put(&pane, STYLE_PLAIN, "AGE", "since the value last changed; > at least that long");
	put(&pane, STYLE_PLAIN, "PER S", "changes seen; ≤: at every look, so maybe more");
	limit(&pane);
}

static void put_engine(struct pane *pane)
{
	const struct engine_view *engine = &pane->scene->live->engine;
	const struct model *live = pane->scene->live;
	char a[32], b[32];

	heading(pane, "Engine");
	put(pane, STYLE_PLAIN, "region", "%s, %" PRIu32 " cells in %" PRIu32 " groups shown, %s",
		engine->name, live->table ? live->table->cells : 0, live->table ? live->table->groups : 0,
		text_bytes(engine->bytes, a, sizeof a));
	put(pane, STYLE_PLAIN, "address", "%s by %s: %s", engine->uri, engine->transport, engine->reason);
	put(pane, STYLE_PLAIN, "process", "pid %" PRIu32 ", user %" PRIu32 ", started %s", engine->pid,
		engine->uid, text_clock(engine->started_ns, a, sizeof a));
	put(pane, STYLE_PLAIN, "heartbeat", "%" PRIu64 ", tick %" PRIu32 " ms, lease %" PRIu32 " ms",
		engine->heartbeat, engine->tick_ms, engine->lease_ms);
	put(pane, STYLE_PLAIN, "generation", "0x%016" PRIx64 ", layout version %" PRIu32,
		engine->generation, engine->layout_version);
	heading(pane, "This viewer");
	put(pane, STYLE_PLAIN, "looks", "every %s, took %s",
		text_duration(live->period_ns, pane->canvas->utf8, a, sizeof a),
		text_duration(live->took_ns, pane->canvas->utf8, b, sizeof b));
	put(pane, STYLE_PLAIN, "frame", "drawn in %s",
		text_duration(pane->scene->draw_ns, pane->canvas->utf8, a, sizeof a));
}

static void put_reading(struct pane *pane)
{
	const struct model *live = pane->scene->live;
	const struct latency *l = &live->latency;
	const struct { const char *name; uint64_t ns; } rows[] = {
		{ "p50", l->p50_ns }, { "p99", l->p99_ns }, { "p99.9", l->p999_ns }, { "max", l->max_ns },
	};
	char text[160] = "", one[32];
	size_t at = 0;

	for (size_t i = 0; i < 4; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %s", i ? ", " : "", rows[i].name,
			text_duration(rows[i].ns, pane->canvas->utf8, one, sizeof one));
	put(pane, STYLE_PLAIN, "group reads", "%s (%" PRIu64 " in the last seconds)", text, l->reads);
	put(pane, STYLE_PLAIN, "reads", "%" PRIu64 ", retries %" PRIu64 ", rejected as torn %" PRIu64,
		live->stats.reads, live->stats.retries, live->stats.torn);
	put(pane, STYLE_PLAIN, "re-attached", "%" PRIu64 " times", live->engine.reattached);
}

static void put_owners(struct pane *pane)
{
	const struct model *live = pane->scene->live;

	heading(pane, "Owners");
	for (uint32_t i = 0; live->table && i < live->table->owners; i++) {
		const struct owner_view *o = &live->owners[i];
		put(pane, owner_style(owner_seen(live, i)), live->table->owner[i], "%s%s, epoch %" PRIu32
			", pid %" PRIu32 ", step %" PRIu64, owner_word(owner_seen(live, i)),
			o->network ? " (network)" : "", o->epoch, o->pid, o->step);
	}
}

void draw_info(struct canvas *canvas, const struct scene *scene, int y, int height)
{
	const struct model *live = scene->live;
	struct pane pane = { canvas, scene, y, height, 0 };
	char clock[16];

	put_engine(&pane);
	put_reading(&pane);
	put_owners(&pane);
	if (live->n_notes)
		heading(&pane, "Events, newest first");
	for (uint32_t i = 0; i < live->n_notes && i < NOTES_MAX; i++) {
		const struct note *note = &live->notes[(live->n_notes - 1 - i) % NOTES_MAX];
		put(&pane, STYLE_PLAIN, text_clock(note->wall_ns, clock, sizeof clock), "%s", note->text);
	}
	heading(&pane, "Engine's counters");
	for (uint32_t i = 0; i < live->n_counters; i++)
		put(&pane, STYLE_PLAIN, live->counters[i].name, "%" PRIu64 "  %s", live->counters[i].value,
			live->counters[i].what);
	limit(&pane);
}
