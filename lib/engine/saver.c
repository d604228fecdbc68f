/* SPDX-License-Identifier: Apache-2.0 */
/* State: the table and the clients' request numbers, captured in one moment, written by a thread
 * of its own off everybody's path; and carrying values into a new generation. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/engine.h"

/* ---- capture ---- */

static void capture_group(const struct dsm_engine *e, struct state_image *image, uint32_t group)
{
	const struct region *r = e->region;
	const struct directory_group *g = &r->view.groups[group];
	struct slot_meta meta;
	int rc = -EAGAIN;
	for (int i = 0; i < 200 && rc == -EAGAIN; i++)
		rc = ring_read(&r->rings[group], 0, g->payload_bytes, r->scratch, r->scratch, &meta);
	if (rc)
		engine_log(e, "\"%s\" is written too fast to be saved; its values are not in this file",
			view_text(&r->view, g->name));
	if (rc || meta.seq == 0)
		return;
	for (uint32_t c = g->first_cell; c < g->first_cell + g->cell_count; c++) {
		const struct directory_cell *cell = &r->view.cells[c];
		const uint64_t *record = r->scratch + cell->offset_lo / 8;
		struct dsm_sample s = { .changed_ns = (int64_t)(record[0] & ~(uint64_t)PAYLOAD_QUALITY_BITS),
			.quality = (uint8_t)(record[0] & PAYLOAD_QUALITY_BITS), .seq = meta.seq,
			.epoch = meta.epoch };
		if (s.quality == DSM_NEVER_WRITTEN)
			continue;
		value_decode(cell, record, &s.value);
		state_put_cell(image, view_text(&r->view, cell->name), view_text(&r->view, cell->unit), &s);
	}
}

static uint64_t first_in_flight(const struct record *record)
{
	uint64_t first = 0;
	for (uint32_t i = 0; i < RESULTS; i++)
		if (record->results[i].in_flight && (!first || record->results[i].number < first))
			first = record->results[i].number;
	return first;
}

int saver_capture(struct dsm_engine *e, struct state_image *image)
{
	struct region *r = e->region;
	state_begin(image, view_text(&r->view, r->view.head->region_name), r->generation,
		clock_stamp(e->clock));
	for (uint32_t i = 0; i < r->view.group_count; i++)
		if (!(r->view.groups[i].flags & DSM_GROUP_NO_SAVE))
			capture_group(e, image, i);
	for (const struct record *rec = e->records; rec; rec = rec->next) {
		struct state_client c = { .last_number = rec->last, .in_flight = first_in_flight(rec) };
		memcpy(c.id, rec->id, sizeof(c.id));
		state_put_client(image, &c);
	}
	ingest_server_capture(e, image);
	return state_finish(image);
}

/* ---- restore ---- */

struct restore {
	struct dsm_engine *engine;
	struct region *region;
	struct writer *writers;     /* one an owner, made when first needed */
	bool *ready;
	uint64_t taken, left_out;
	int64_t time;
};

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

/* Same name, same type, a value that the new table admits; everything else is left out. */
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

int saver_restore(struct dsm_engine *e, struct region *region, const struct state_image *image,
	bool with_records)
{
	uint32_t n = region->view.owner_count;
	struct restore x = { .engine = e, .region = region, .time = clock_stamp(e->clock),
		.writers = calloc(n, sizeof(struct writer)), .ready = calloc(n, sizeof(bool)) };
	int rc = x.writers && x.ready ? 0 : dsm__fail(-ENOMEM, "no memory to restore");
	if (rc == 0)
		rc = state_walk(image->data, image->size, restore_cell,
			with_records ? restore_client : NULL, &x);
	for (uint32_t i = 0; x.ready && i < n; i++) {
		if (!x.ready[i])
			continue;
		if (rc == 0)
			rc = writer_commit(&x.writers[i], NULL);
		writer_free(&x.writers[i]);
	}
	free(x.writers);
	free(x.ready);
	if (rc == 0)
		engine_log(e, "values taken over: %llu; left out (no such cell, type or range): %llu",
			(unsigned long long)x.taken, (unsigned long long)x.left_out);
	return rc;
}

/* ---- save ---- */

/* One save at a time. The lock is held only for the capture. */
int saver_save(struct dsm_engine *e)
{
	struct state_image image = { 0 };
	pthread_mutex_lock(&e->lock);
	while (e->saving)
		pthread_cond_wait(&e->save_wanted, &e->lock);
	e->saving = true;
	uint64_t began = clock_now(e->clock);
	int rc = saver_capture(e, &image);
	pthread_mutex_unlock(&e->lock);
	if (rc == 0)
		rc = state_store(e->state_file, &image);
	state_free(&image);
	pthread_mutex_lock(&e->lock);
	e->saving = false;
	region_count(e->region, rc ? COUNTER_SAVE_ERRORS : COUNTER_SAVES, 1);
	atomic_store_explicit(&e->region->counters[COUNTER_SAVE_NS], clock_now(e->clock) - began,
		memory_order_relaxed);
	pthread_cond_broadcast(&e->save_wanted);
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static void *run(void *context)
{
	struct dsm_engine *e = context;
	int last = 0;
	pthread_mutex_lock(&e->lock);
	while (!e->stop) {
		if (!e->save_now) {
			pthread_cond_wait(&e->save_wanted, &e->lock);
			continue;
		}
		e->save_now = false;
		pthread_mutex_unlock(&e->lock);
		int rc = saver_save(e);
		if (rc != last) /* a full disk is told once, not at every interval */
			engine_log(e, "%s%s", rc ? "state not saved: " : "state saved again", rc ? dsm_error() : "");
		last = rc;
		pthread_mutex_lock(&e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

int saver_start(struct dsm_engine *e)
{
	sigset_t all, before;
	if (!e->state_file)
		return 0;
	pthread_mutex_lock(&e->lock); /* the server's thread runs already */
	e->save_due_ns = clock_now(e->clock) + e->options.save_interval_ms * UINT64_C(1000000);
	pthread_mutex_unlock(&e->lock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&e->saver, NULL, run, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	e->saver_running = rc == 0;
	return rc ? dsm__fail(-rc, "cannot start the saver's thread: %s", strerror(rc)) : 0;
}

void saver_stop(struct dsm_engine *e)
{
	if (!e->saver_running)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_broadcast(&e->save_wanted);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->saver, NULL);
	e->saver_running = false;
}
