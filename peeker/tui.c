/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal viewer: the loop of keys and frames. */
#include "draw.h"
#include "peeker.h"
#include "screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A frame is drawn at least this often, so that a sampler that hangs is seen. */
#define FRAME_MAX_MS 500
#define KEYS_A_FRAME 64
#define ESCAPE 27

struct tui {
	struct peeker *peeker;
	struct view *view;
	struct canvas canvas;
	struct model *frozen;        /* NULL: live */
	const struct comparison *cmp;
	uint64_t round, draw_ns;
	bool ended, due;             /* due: a key has changed what is to be seen */
};

/* ---- frames ---- */

static void draw(struct tui *t)
{
	struct peeker *p = t->peeker;
	uint64_t start = own_clock_ns();

	const struct model *live = sampler_lock(p->sampler);
	t->round = live->round; /* also if it cannot be drawn: there is nothing to try again for */
	t->due = false;
	if (screen_fit(&t->canvas)) {
		sampler_unlock(p->sampler);
		return;
	}
	const struct model *shown = t->frozen ? t->frozen : live;
	if (p->reference && !t->frozen)
		t->cmp = reference_compare(p->reference, live);
	struct scene scene = {
		.model = shown, .live = live, .cmp = t->cmp, .reference = p->reference, .view = t->view,
		.frozen = t->frozen != NULL, .draw_ns = t->draw_ns, .now_ns = start,
	};
	view_update(t->view, shown, t->cmp);
	draw_screen(&t->canvas, &scene);
	sampler_unlock(p->sampler);
	screen_show(&t->canvas);
	t->draw_ns = own_clock_ns() - start;
}

static void toggle_freeze(struct tui *t)
{
	if (t->frozen) {
		model_free(&t->frozen);
	} else {
		model_copy(sampler_lock(t->peeker->sampler), &t->frozen);
		sampler_unlock(t->peeker->sampler);
	}
	t->view->dirty = true;
}

/* ---- keys ---- */

/* With the model that is shown. */
static void with_model(struct tui *t, void (*act)(struct view *view, const struct model *model))
{
	const struct model *live = sampler_lock(t->peeker->sampler);
	const struct model *shown = t->frozen ? t->frozen : live;

	/* the rows may be of a table that has been replaced since they were drawn */
	if (view_update(t->view, shown, t->cmp) == 0 && shown->table)
		act(t->view, shown);
	sampler_unlock(t->peeker->sampler);
}

static void fold(struct view *view, const struct model *model)
{
	view_fold(view, model, true);
}

static void unfold(struct view *view, const struct model *model)
{
	view_fold(view, model, false);
}

static void accept_row(struct view *view, const struct model *model)
{
	if (view->chosen.kind == ROW_GROUP)
		view_fold(view, model, !view->folded[view->chosen.index]);
	else
		view->detail = !view->detail;
}

static void end_typing(struct view *view, bool keep)
{
	view->typing = false;
	if (!keep)
		memcpy(view->filter, view->filter_before, sizeof view->filter);
	view->dirty = true;
}

static void type_key(struct view *view, int key)
{
	size_t n = strlen(view->filter);
	char text[8];

	if (key == INPUT_ACCEPT || key == ESCAPE) {
		end_typing(view, key == INPUT_ACCEPT);
		return;
	}
	if (key == INPUT_RUB_OUT) {
		while (n > 0 && (view->filter[--n] & 0xc0) == 0x80)
			;
		view->filter[n] = '\0';
	} else if (key == 'U' - '@') {
		view->filter[0] = '\0';
	} else if (key >= ' ' && key < 0x110000) {
		size_t bytes = utf8_of((uint32_t)key, text);
		if (n + bytes < sizeof view->filter)
			memcpy(view->filter + n, text, bytes + 1);
	}
	view->dirty = true;
	view->top = 0;
}

static void escape(struct view *view)
{
	if (view->help || view->info) {
		view->help = view->info = false;
	} else if (view->detail) {
		view->detail = false;
	} else {
		view->filter[0] = '\0';
		view->only_deviating = false;
		view->dirty = true;
	}
}

static void move(struct tui *t, long by)
{
	struct view *view = t->view;

	if (view->help || view->info) {
		view->pane_top += by < -10000 ? -10000 : by > 10000 ? 10000 : (int)by;
		if (view->pane_top < 0)
			view->pane_top = 0;
		return;
	}
	view_move(view, by);
	if (view->cursor == 0)
		view->top = 0;
}

static bool move_key(struct tui *t, int key)
{
	long page = t->canvas.height > 8 ? t->canvas.height - 6 : 2, all = 1L << 40;

	switch (key) {
	case INPUT_ROW_UP: case 'k': move(t, -1); return true;
	case INPUT_ROW_DOWN: case 'j': move(t, 1); return true;
	case INPUT_PAGE_UP: case 'B' - '@': move(t, -page); return true;
	case INPUT_PAGE_DOWN: case 'F' - '@': move(t, page); return true;
	case INPUT_FIRST: case 'g': move(t, -all); return true;
	case INPUT_LAST: case 'G': move(t, all); return true;
	default: return false;
	}
}

static void sort_by(struct view *view, int step)
{
	view->sort = (enum sort_key)(((int)view->sort + step + SORT_KEYS) % SORT_KEYS);
	view->backwards = false;
	view->dirty = true;
}

static void show_pane(struct view *view, bool *pane)
{
	bool show = !*pane;

	view->help = view->info = false;
	view->pane_top = 0;
	*pane = show;
}

static void command_key(struct tui *t, int key)
{
	struct view *view = t->view;

	switch (key) {
	case 'q': t->ended = true; break;
	case ' ': toggle_freeze(t); break;
	case '?': case 'h': show_pane(view, &view->help); break;
	case 'i': show_pane(view, &view->info); break;
	case '/':
		memcpy(view->filter_before, view->filter, sizeof view->filter);
		view->filter[0] = '\0';
		view->typing = view->dirty = true;
		break;
	case 's': sort_by(view, 1); break;
	case 'S': sort_by(view, -1); break;
	case 'r': view->backwards = !view->backwards; view->dirty = true; break;
	case 'd':
		view->only_deviating = t->peeker->reference && !view->only_deviating;
		view->dirty = true;
		break;
	case 'p': with_model(t, view_toggle_pin); break;
	case 'z': with_model(t, view_fold_all); break;
	case INPUT_TO_LEFT: with_model(t, fold); break;
	case INPUT_TO_RIGHT: with_model(t, unfold); break;
	case INPUT_ACCEPT: with_model(t, accept_row); break;
	case ESCAPE: escape(view); break;
	case 'L' - '@': screen_redraw(); break;
	default: break;
	}
}

static void take_keys(struct tui *t)
{
	int key;

	for (int i = 0; i < KEYS_A_FRAME && (key = screen_key()) != INPUT_NO; i++) {
		t->due = true;
		if (t->view->typing && key != INPUT_SIZE)
			type_key(t->view, key);
		else if (!move_key(t, key))
			command_key(t, key);
	}
}

/* ---- the loop ---- */

/* Until there is a new round to draw, a key, or it is time to show that there is none. */
static void wait_for_news(struct tui *t)
{
	const struct model *live = sampler_lock(t->peeker->sampler);
	uint64_t period_ms = live->period_ns / 1000000u;
	bool news = live->round != t->round;
	sampler_unlock(t->peeker->sampler);
	uint64_t wait_ms = period_ms < FRAME_MAX_MS ? period_ms : FRAME_MAX_MS;

	/* at every turn, whatever there is to draw: a terminal that is gone ends the viewer, also
	 * where no SIGHUP comes */
	if (!screen_wait(news || t->due ? 0 : wait_ms ? (int)wait_ms : 1))
		t->ended = true;
}

static bool is_over(const struct tui *t)
{
	uint64_t deadline_ns = t->peeker->deadline_ns;

	return t->ended || peeker_signalled() || (deadline_ns && own_clock_ns() >= deadline_ns);
}

enum status tui_run(struct peeker *peeker)
{
	struct tui t = { .peeker = peeker, .view = &peeker->view };

	t.canvas.utf8 = peeker->utf8;
	draw(&t);
	while (!is_over(&t)) {
		wait_for_news(&t);
		take_keys(&t);
		if (!is_over(&t))
			draw(&t);
	}
	screen_end();
	model_free(&t.frozen);
	canvas_free(&t.canvas);
	return STATUS_OK;
}
