/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as text for scripts and tests: every row, no cursor, no colour. */
#include "draw.h"
#include "peeker.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH_DEFAULT 120
#define SLICE_MS 100
/* So long a frame waits until this process, having slept itself, can judge others again. */
#define UNSURE_MS 2000

enum status verdict_of(const struct model *model, const struct comparison *cmp)
{
	uint32_t counts[CELL_VERDICTS];

	if (cmp && (cmp->deviating || cmp->missing || cmp->pending))
		return STATUS_DEVIATES;
	if (cmp && *cmp->problem)
		return STATUS_REFUSED;
	if (!model->table || model->engine.state != ENGINE_RUNNING)
		return STATUS_STALE;
	if (cmp && (cmp->unread || !cmp->equal))
		return STATUS_REFUSED; /* what nobody has compared is not right for that */
	model_count(model, counts);
	for (int v = 0; v < CELL_VERDICTS; v++)
		if (counts[v] && !verdict_is_valid((enum verdict)v))
			return STATUS_STALE;
	return STATUS_OK;
}

static int print_row(struct canvas *canvas, FILE *file)
{
	for (int y = 0; y < canvas->height; y++)
		canvas_write_row(canvas, y, file);
	canvas_clear(canvas);
	return ferror(file) ? -EIO : 0;
}

/* Header, titles, all rows; a line at a time, whatever their number. */
static int print_frame(struct canvas *canvas, const struct scene *scene, int width)
{
	struct layout layout;
	int error = view_update(scene->view, scene->model, scene->cmp);

	if (!error)
		error = canvas_resize(canvas, header_height(scene, 100), width);
	if (error)
		return error;
	draw_header(canvas, scene, 100);
	error = print_row(canvas, stdout);
	layout_choose(&layout, scene, width);
	canvas_resize(canvas, 1, width);
	draw_titles(canvas, scene, &layout, 0);
	if (!error)
		error = print_row(canvas, stdout);
	for (size_t i = 0; i < scene->view->n_rows && !error; i++) {
		draw_row(canvas, scene, &layout, 0, &scene->view->rows[i]);
		error = print_row(canvas, stdout);
	}
	return fflush(stdout) ? -EIO : error;
}

static int width_of(const struct settings *set)
{
	const char *columns = getenv("COLUMNS");
	long width = set->width ? set->width : columns ? strtol(columns, NULL, 10) : 0;

	return width >= 40 && width <= 1000 ? (int)width : WIDTH_DEFAULT;
}

static bool is_over(const struct peeker *p)
{
	return peeker_signalled() || (p->deadline_ns && own_clock_ns() >= p->deadline_ns);
}

/* Until a round after `round`; 0: the end came first. */
static uint64_t next_round(const struct peeker *p, uint64_t round)
{
	uint64_t newest;

	do {
		newest = sampler_wait(p->sampler, round, SLICE_MS);
	} while (newest <= round && !is_over(p));
	return newest > round ? newest : 0;
}

/* A difference between two engines is believed when it has lasted: if there is one, look that
 * long first. */
static uint64_t settle(struct peeker *p)
{
	uint64_t wait_ns = (uint64_t)reference_grace_ms(p->reference) * 1000000u, round = 0;
	uint64_t first_ns = own_clock_ns();

	while (wait_ns && own_clock_ns() < first_ns + wait_ns) {
		round = next_round(p, round);
		if (!round)
			break;
		const struct comparison *cmp = reference_compare(p->reference, sampler_lock(p->sampler));
		sampler_unlock(p->sampler);
		if (!cmp || !cmp->pending)
			break;
	}
	return round ? round - 1 : 0;
}

/* A machine that is busy may keep this process asleep; what it then shows is no verdict on the
 * engine, and no frame to end with. */
static uint64_t sure_round(struct peeker *p, uint64_t round)
{
	uint64_t until_ns = own_clock_ns() + UNSURE_MS * (uint64_t)1000000;
	bool unsure;

	do {
		round = next_round(p, round);
		const struct model *model = sampler_lock(p->sampler);
		const struct comparison *cmp = p->reference ? reference_compare(p->reference, model) : NULL;
		unsure = model->engine.state == ENGINE_UNKNOWN || (cmp && cmp->unsure);
		sampler_unlock(p->sampler);
	} while (round && unsure && own_clock_ns() < until_ns);
	return round;
}

/* Why a comparison is no verdict, where the frame does not show it; "" if it is one. */
static void why_none(const struct comparison *cmp, enum status status, char *why, size_t size)
{
	*why = '\0';
	if (!cmp || status != STATUS_REFUSED || *cmp->problem)
		return;
	if (cmp->unread)
		snprintf(why, size, "%" PRIu32 " of the cells could not be read at the reference",
			cmp->unread);
	else
		snprintf(why, size, "nothing was compared: the reference has none of the cells that "
			"were asked for and could be read");
}

/* -EIO: nobody takes the output. `why` as above, of `size` bytes. */
static int one_frame(struct peeker *p, struct canvas *canvas, enum status *status, char *why,
	size_t size)
{
	const struct model *live = sampler_lock(p->sampler);
	const struct comparison *cmp = p->reference ? reference_compare(p->reference, live) : NULL;
	struct model *copy = NULL;
	int error = model_copy(live, &copy);
	sampler_unlock(p->sampler);

	if (error)
		return error;
	/* printed from a copy: a slow reader of the output must not stop the looks */
	struct scene scene = { .model = copy, .live = copy, .cmp = cmp, .reference = p->reference,
		.view = &p->view, .now_ns = copy->now_ns };
	error = print_frame(canvas, &scene, width_of(&p->set));
	*status = verdict_of(copy, cmp);
	why_none(cmp, *status, why, size);
	model_free(&copy);
	return error;
}

enum status batch_run(struct peeker *p)
{
	struct canvas canvas = { .utf8 = p->utf8 };
	enum status status = STATUS_TIMEOUT;
	uint64_t round = p->reference ? settle(p) : 0, printed = 0;
	char why[160] = "";
	int error = 0;

	while (!error && !is_over(p)) {
		round = sure_round(p, round);
		if (!round)
			break;
		if (printed)
			putchar('\n');
		error = one_frame(p, &canvas, &status, why, sizeof why);
		printed++;
		if (p->set.has_count && printed == p->set.count)
			break;
	}
	canvas_free(&canvas);
	if (error == -ENOMEM)
		peeker_say("out of memory");
	if (p->set.has_count && printed < p->set.count && !error && !peeker_signalled()) {
		peeker_say("%" PRIu64 " of %" PRIu64 " frames within %g s", printed, p->set.count,
			p->set.timeout_s);
		return STATUS_TIMEOUT;
	}
	if (*why && !error)
		peeker_say("--against %s: %s", p->set.against, why);
	return error ? STATUS_REFUSED : status;
}
