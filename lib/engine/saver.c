/* SPDX-License-Identifier: Apache-2.0 */
/* State: the table and the clients' request numbers, written by a thread of its own off everybody's
 * path. The engine's lock is held for what has to be of one moment, and for that only. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/engine.h"

/* ---- capture ----
 * Request numbers and the engine's own groups belong together: an add is in both or in neither. So
 * of one moment, under the lock, are the numbers, copies of the engine's groups up to OWN_COPY_MAX,
 * and which version of its larger ones it was; that version is then read without the lock, and if it
 * was overwritten meanwhile all begins anew, at last with large ones under the lock too. Other
 * owners' groups commit when they like, lock or no lock: they are read as by any reader. */

#define OWN_COPY_MAX ((uint64_t)64 << 10)
#define MOMENTS 3
#define READ_TRIES 200
#define READ_SPINS 32
#define READ_BYTES_MAX ((uint64_t)1 << 30)

struct capture {
	struct dsm_engine *e;
	struct region *r;           /* stays: a reload waits for a save to end */
	struct state_image *image;
	struct state_client *clients; /* RECORDS_MAX */
	uint32_t client_count;
	uint64_t own_max;           /* payloads up to here are copied under the lock */
	struct slot_meta *own;      /* of the engine's groups; seq 0 = nothing to save */
	unsigned char *copies;      /* of these the small ones, one after another */
	uint64_t *scratch;
};

static bool is_saved(const struct directory_group *g)
{
	return !(g->flags & DSM_GROUP_NO_SAVE);
}

static void put_group(const struct capture *c, uint32_t group, const uint64_t *payload,
	const struct slot_meta *meta)
{
	const struct view *v = &c->r->view;
	const struct directory_group *g = &v->groups[group];
	for (uint32_t i = g->first_cell; i < g->first_cell + g->cell_count; i++) {
		const struct directory_cell *cell = &v->cells[i];
		struct dsm_sample s;
		if (!record_sample(cell, payload + cell->offset_lo / 8, meta, &s))
			continue;
		state_put_cell(c->image, view_text(v, cell->name), view_text(v, cell->unit), &s);
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

/* The engine writes under the lock, but a handle of dsm_engine_attach() may hold its role. */
static int read_own(const struct capture *c, uint32_t group, uint64_t *to, struct slot_meta *meta)
{
	const struct ring *ring = &c->r->rings[group];
	int rc = -EAGAIN;
	for (int i = 0; i < READ_TRIES && rc == -EAGAIN; i++)
		rc = ring_read(ring, 0, ring->payload_bytes, to, to, meta);
	return rc;
}

/* Under lock. */
static void take_moment(struct capture *c)
{
	const struct view *v = &c->r->view;
	unsigned char *to = c->copies;
	c->client_count = 0;
	for (const struct record *rec = c->e->records; rec; rec = rec->next) {
		struct state_client *s = &c->clients[c->client_count++];
		*s = (struct state_client){ .last_number = rec->last, .in_flight = first_in_flight(rec) };
		memcpy(s->id, rec->id, sizeof(s->id));
	}
	for (uint32_t i = 0; i < v->owners[0].group_count; i++) {
		uint32_t group = v->owners[0].first_group + i;
		const struct directory_group *g = &v->groups[group];
		c->own[i] = (struct slot_meta){ 0 };
		if (!is_saved(g))
			continue;
		if (g->payload_bytes > c->own_max) {
			c->own[i].seq = atomic_load_explicit(c->r->rings[group].pulse, memory_order_acquire);
			continue;
		}
		if (read_own(c, group, (void *)to, &c->own[i]))
			c->own[i].seq = UINT64_MAX; /* told without the lock */
		to += g->payload_bytes;
	}
}

static void too_fast(const struct capture *c, uint32_t group)
{
	engine_log(c->e, "\"%s\" is written too fast to be saved; its values are not in this file",
		view_text(&c->r->view, c->r->view.groups[group].name));
}

/* -EAGAIN: a large group is no longer what it was at that moment. */
static int put_own(const struct capture *c)
{
	const struct view *v = &c->r->view;
	const unsigned char *from = c->copies;
	for (uint32_t pass = 0; pass < 2; pass++) /* the large ones first, before they are overwritten */
		for (uint32_t i = 0; i < v->owners[0].group_count; i++) {
			uint32_t group = v->owners[0].first_group + i;
			const struct directory_group *g = &v->groups[group];
			const struct ring *ring = &c->r->rings[group];
			struct slot_meta meta = c->own[i];
			bool large = g->payload_bytes > c->own_max;
			if (!is_saved(g) || large != (pass == 0))
				continue;
			if (large && meta.seq && ring_read_at(ring, meta.seq, c->scratch, &meta))
				return -EAGAIN;
			if (meta.seq == UINT64_MAX)
				too_fast(c, group);
			else if (meta.seq)
				put_group(c, group, large ? c->scratch : (const void *)from, &meta);
			from += large ? 0 : g->payload_bytes;
		}
	return 0;
}

static void pause_briefly(int attempt)
{
	struct timespec t = { 0, 100000 };
	if (attempt >= READ_SPINS)
		nanosleep(&t, NULL);
}

/* Another owner's group. Its bank may move meanwhile: where it lies is looked up under the lock. */
static void put_foreign(const struct capture *c, uint32_t group)
{
	struct slot_meta meta = { 0 };
	uint64_t looked = 0;
	int rc = -EAGAIN;
	for (int i = 0; i < READ_TRIES && (rc == -EAGAIN || rc == -ESTALE) && looked < READ_BYTES_MAX; i++) {
		pause_briefly(i);
		pthread_mutex_lock(&c->e->lock);
		struct ring ring = c->r->rings[group];
		pthread_mutex_unlock(&c->e->lock);
		rc = ring_read(&ring, 0, ring.payload_bytes, c->scratch, c->scratch, &meta);
		looked += ring.payload_bytes / 4;
	}
	if (rc)
		too_fast(c, group);
	else if (meta.seq)
		put_group(c, group, c->scratch, &meta);
}

static int make_room(struct capture *c)
{
	const struct view *v = &c->r->view;
	uint64_t largest = 8, copies = 8;
	for (uint32_t i = 0; i < v->group_count; i++) {
		const struct directory_group *g = &v->groups[i];
		if (is_saved(g) && g->payload_bytes > largest)
			largest = g->payload_bytes;
		if (is_saved(g) && g->owner == 0 && g->payload_bytes <= c->own_max)
			copies += g->payload_bytes;
	}
	c->clients = malloc(RECORDS_MAX * sizeof(*c->clients));
	c->own = malloc((v->owners[0].group_count + 1) * sizeof(*c->own));
	c->copies = malloc(copies);
	c->scratch = malloc(largest);
	if (!c->clients || !c->own || !c->copies || !c->scratch)
		return dsm__fail(-ENOMEM, "state: no memory for copies of %llu bytes; leave large groups out "
			"with save: false", (unsigned long long)(largest + copies));
	memset(c->copies, 0, copies); /* its pages are there before the lock is taken */
	return 0;
}

static void free_room(struct capture *c)
{
	free(c->clients);
	free(c->own);
	free(c->copies);
	free(c->scratch);
}

/* Numbers and the engine's own groups. -EAGAIN. */
static int capture_own(struct capture *c)
{
	const struct view *v = &c->r->view;
	int rc = make_room(c);
	if (rc)
		return rc;
	pthread_mutex_lock(&c->e->lock);
	take_moment(c);
	pthread_mutex_unlock(&c->e->lock);
	state_begin(c->image, view_text(v, v->head->region_name), c->r->generation, clock_stamp(c->e->clock));
	return put_own(c);
}

/* Without the lock; e->saving. */
static int capture(struct dsm_engine *e, struct state_image *image)
{
	struct capture c = { .e = e, .r = e->region, .image = image };
	int rc = -EAGAIN;
	for (int i = 0; i < MOMENTS && rc == -EAGAIN; i++) {
		free_room(&c);
		state_free(image);
		c.own_max = i + 1 < MOMENTS ? OWN_COPY_MAX : UINT64_MAX;
		rc = capture_own(&c);
	}
	for (uint32_t i = 0; rc == 0 && i < c.r->view.group_count; i++)
		if (c.r->view.groups[i].owner != 0 && is_saved(&c.r->view.groups[i]))
			put_foreign(&c, i);
	for (uint32_t i = 0; rc == 0 && i < c.client_count; i++)
		state_put_client(image, &c.clients[i]);
	free_room(&c);
	if (rc)
		return rc;
	pthread_mutex_lock(&e->lock);
	ingest_server_capture(e, image);
	pthread_mutex_unlock(&e->lock);
	return state_finish(image);
}

/* ---- save ---- */

/* One save at a time. */
int saver_save(struct dsm_engine *e)
{
	struct state_image image = { 0 };
	pthread_mutex_lock(&e->lock);
	while (e->saving)
		pthread_cond_wait(&e->save_wanted, &e->lock);
	e->saving = true;
	uint64_t began = clock_now(e->clock);
	pthread_mutex_unlock(&e->lock);
	int rc = capture(e, &image);
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
