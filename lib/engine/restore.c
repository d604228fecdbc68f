/* SPDX-License-Identifier: Apache-2.0 */
/* Values by name into a region that nobody sees yet: from a state file at the start, from the
 * generation before at a reload. Same name, same type, a value that the new table admits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/engine.h"

struct restore {
	struct dsm_engine *engine;
	struct region *region;
	struct writer *writers;     /* one an owner, made when first needed */
	bool *ready;
	uint64_t taken, left_out;
	int64_t time;
};

static int restore_begin(struct restore *x, struct dsm_engine *e, struct region *region)
{
	uint32_t n = region->view.owner_count;
	*x = (struct restore){ .engine = e, .region = region, .time = clock_stamp(e->clock),
		.writers = calloc(n, sizeof(struct writer)), .ready = calloc(n, sizeof(bool)) };
	return x->writers && x->ready ? 0 : dsm__fail(-ENOMEM, "no memory to restore");
}

static int restore_end(struct restore *x, int rc)
{
	for (uint32_t i = 0; x->ready && x->writers && i < x->region->view.owner_count; i++) {
		if (!x->ready[i])
			continue;
		if (rc == 0)
			rc = writer_commit(&x->writers[i], NULL);
		writer_free(&x->writers[i]);
	}
	free(x->writers);
	free(x->ready);
	if (rc == 0)
		engine_log(x->engine, "values taken over: %llu; left out (no such cell, type or range): %llu",
			(unsigned long long)x->taken, (unsigned long long)x->left_out);
	return rc;
}

static struct writer *writer_of(struct restore *x, uint32_t owner)
{
	if (!x->ready[owner]) {
		if (writer_init(&x->writers[owner], &x->region->view, owner, 0, &region_sink, x->region) ||
		    writer_begin(&x->writers[owner], x->time))
			return NULL;
		x->ready[owner] = true;
	}
	return &x->writers[owner];
}

/* Everything that does not fit is left out. */
static int restore_cell(const char *name, const char *unit, const struct dsm_sample *sample,
	void *context)
{
	struct restore *x = context;
	const struct view *v = &x->region->view;
	(void)unit;
	uint32_t c = view_find_cell(v, name);
	if (c == DSM_NONE || v->cells[c].type != (uint8_t)sample->value.type) {
		x->left_out++;
		return 0;
	}
	struct writer *w = writer_of(x, v->groups[v->cells[c].group].owner);
	if (!w)
		return -ENOMEM;
	int rc = writer_restore(w, c, sample);
	if (rc == -ENOMEM)
		return rc;
	x->taken += rc == 0;
	x->left_out += rc != 0;
	return 0;
}

/* ---- from a state file ---- */

static int restore_client(const struct state_client *client, void *context)
{
	struct restore *x = context;
	if (records_find(x->engine, client->id))
		return 0;
	struct record *record = records_add(x->engine, client->id);
	if (!record)
		return 0; /* its requests will be refused as unknown, which is the truth */
	record->last = client->last_number;
	record->away_ns = clock_now(x->engine->clock);
	record->done_to = client->in_flight ? client->in_flight - 1 : client->last_number;
	return 0;
}

int restore_image(struct dsm_engine *e, struct region *region, const struct state_image *image)
{
	struct restore x;
	int rc = restore_begin(&x, e, region);
	if (rc == 0)
		rc = state_walk(image->data, image->size, restore_cell, restore_client, &x);
	return restore_end(&x, rc);
}

/* ---- from the generation before ---- */

/* What a cell's name begins with is its group's, so all of a group goes into one group. It is
 * committed at once: a large group's image is needed no longer. */
static int carry_group(struct restore *x, uint32_t group)
{
	const struct region *from = x->engine->region;
	const struct view *v = &from->view;
	const struct directory_group *g = &v->groups[group];
	struct slot_meta meta;
	struct dsm_sample s;
	int rc = 0;
	if (!takeover_newest(from, &from->rings[group], &meta)) {
		if (atomic_load_explicit(from->rings[group].pulse, memory_order_acquire))
			engine_log(x->engine, "\"%s\" has no whole commit; its values are not carried over",
				view_text(v, g->name));
		return 0;
	}
	for (uint32_t i = g->first_cell; rc == 0 && i < g->first_cell + g->cell_count; i++)
		if (record_sample(&v->cells[i], from->scratch + v->cells[i].offset_lo / 8, &meta, &s))
			rc = restore_cell(view_text(v, v->cells[i].name), "", &s, x);
	uint32_t to = view_find_group(&x->region->view, view_text(v, g->name));
	if (rc || to == DSM_NONE || !x->ready[x->region->view.groups[to].owner])
		return rc;
	struct writer *w = &x->writers[x->region->view.groups[to].owner];
	rc = writer_commit(w, NULL);
	writer_forget_image(w, to, atomic_load_explicit(x->region->rings[to].pulse, memory_order_relaxed));
	return rc ? rc : writer_begin(w, x->time);
}

int restore_region(struct dsm_engine *e, struct region *region)
{
	struct restore x;
	int rc = restore_begin(&x, e, region);
	for (uint32_t i = 0; rc == 0 && i < e->region->view.group_count; i++)
		rc = carry_group(&x, i);
	return restore_end(&x, rc);
}
