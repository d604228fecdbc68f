/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ingest_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"
#include "engine/ingest_server_roles.h"

#define BATCHES_MAX 32u         /* in a row, before time is looked at again */

/* ---- the thread ------------------------------------------------------------------------ */

static void publish_marks(struct ingest_server *s)
{
	pthread_mutex_lock(&s->marks_lock);
	s->mark_count = ingest_marks(s->ingest, s->marks, DEVICES_MAX);
	pthread_mutex_unlock(&s->marks_lock);
}

static void wait_for_something(struct ingest_server *s, uint64_t now, uint64_t due)
{
	struct pollfd fds[2] = { { s->fd, POLLIN, 0 }, { s->wake_fd, POLLIN, 0 } };
	uint64_t next = ingest_next_ns(s->ingest), ns;
	next = next < due ? next : due;
	ns = next > now ? next - now : 0;
	struct timespec t = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	ppoll(fds, 2, &t, NULL);
}

/* The socket is a queue: what came before a look has been fetched once it was found empty after it, or once
 * as many were fetched as it holds (a flood never lets it be empty). */
static void drain(struct ingest_server *s)
{
	struct dsm_engine *e = s->engine;
	ingest_look(s->ingest, clock_now(e->clock));
	for (unsigned i = 0, n = INGEST_BATCH; i < BATCHES_MAX && n == INGEST_BATCH; i++) {
		uint64_t now = clock_now(e->clock);
		n = ingest_socket_drain(s->fd, s->batch, s->ingest, now);
		s->fetched += n;
		if (n == INGEST_BATCH && s->fetched < INGEST_QUEUE_MAX)
			continue;
		s->seen_ns = n < INGEST_BATCH ? now : s->counted_from_ns;
		s->counted_from_ns = now;
		s->fetched = 0;
	}
}

static void *run(void *context)
{
	struct ingest_server *s = context;
	struct dsm_engine *e = s->engine;
	uint64_t tick_ns = e->options.tick_ms * UINT64_C(1000000), due = 0;
	while (!atomic_load_explicit(&s->stop, memory_order_acquire)) {
		wait_for_something(s, clock_now(e->clock), due);
		drain(s);
		uint64_t now = clock_now(e->clock);
		ingest_tick(s->ingest, now, s->seen_ns);
		publish_marks(s);
		if (now < due)
			continue;
		due = now + tick_ns;
		roles_tick(s);
		report_devices(s);
		report_counters(s);
	}
	return NULL;
}

int ingest_server_start(struct dsm_engine *e)
{
	struct ingest_server *s = e->adc;
	sigset_t all, before;
	if (!s || !s->ingest || s->running)
		return 0;
	atomic_store(&s->stop, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->running = rc == 0;
	return rc ? dsm__fail(-rc, "adc: cannot start the thread: %s", strerror(rc)) : 0;
}

void ingest_server_pause(struct dsm_engine *e, bool ended)
{
	struct ingest_server *s = e->adc;
	if (!s)
		return;
	if (s->running) {
		uint64_t one = 1;
		atomic_store_explicit(&s->stop, true, memory_order_release);
		if (write(s->wake_fd, &one, sizeof(one)) < 0) {
			; /* cannot fail: the counter is far from full; the thread looks every tick anyway */
		}
		pthread_join(s->thread, NULL);
		s->running = false;
		if (read(s->wake_fd, &one, sizeof(one)) < 0) {
			; /* nothing to read: as well */
		}
		publish_marks(s);
		report_devices(s);
		report_counters(s);
		roles_give_back(s);
	}
	s->ended = ended;
}

/* ---- making ---------------------------------------------------------------------------- */

static int load_keys(const struct dsm_engine *e, struct keys **out)
{
	int rc = e->keys_file ? keys_load(e->keys_file, out) : keys_load_environment(out);
	return rc != -ENOENT || e->keys_file ? rc :
		dsm__fail(-ENOKEY, "adc needs keys: expected a key file, or environment variable " KEYS_ENVIRONMENT);
}

/* *ingest NULL: the table has no devices. */
static int make(struct ingest_server *s, const struct dsm_table *table, struct ingest_change *c)
{
	const struct ingest_sink sink = { s, roles_commit, roles_alive };
	struct keys *keys = NULL;
	if (!table->devices || table->devices->device_count == 0)
		return 0;
	int rc = load_keys(s->engine, &keys);
	if (rc == 0)
		rc = ingest_new(table, keys, &sink, &c->ingest);
	keys_free(&keys);
	if (rc == 0)
		rc = roles_new(c->ingest, &c->roles);
	return rc;
}

int ingest_server_new(struct dsm_engine *e, const struct dsm_table *table)
{
	char host[256], port[6];
	struct ingest_change c = { 0 };
	if (!e->options.adc)
		return 0;
	int rc = ingest_address(e->options.adc, host, port);
	if (rc)
		return rc;
	struct ingest_server *s = calloc(1, sizeof(*s));
	if (!s)
		return dsm__fail(-ENOMEM, "adc: no memory");
	e->adc = s;
	s->engine = e;
	s->fd = s->wake_fd = -1;
	pthread_mutex_init(&s->marks_lock, NULL);
	rc = ingest_batch_new(&s->batch);
	if (rc == 0)
		rc = make(s, table, &c);
	s->ingest = c.ingest;
	s->roles = c.roles;
	return rc;
}

int ingest_server_bind(struct dsm_engine *e)
{
	struct ingest_server *s = e->adc;
	char bound[80];
	if (!s)
		return 0;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return dsm__fail(-errno, "adc: no eventfd: %s", strerror(errno));
	int rc = ingest_socket_open(e->options.adc, &s->fd, bound, sizeof(bound));
	if (rc)
		return rc;
	if (s->ingest)
		engine_log(e, "adc: %u devices, listening at udp %s", ingest_devices(s->ingest), bound);
	else
		engine_log(e, "adc: listening at udp %s, but the table has no devices", bound);
	return 0;
}

void ingest_server_free(struct dsm_engine *e)
{
	struct ingest_server *s = e->adc;
	free(e->marks);
	e->marks = NULL;
	if (!s)
		return;
	ingest_server_pause(e, true);
	roles_free(&s->roles);
	ingest_free(&s->ingest);
	ingest_batch_free(&s->batch);
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_mutex_destroy(&s->marks_lock);
	free(s);
	e->adc = NULL;
}

/* ---- reload ---------------------------------------------------------------------------- */

/* The newest mark of each board; without memory for one more the oldest knowledge goes on. */
static int keep_mark(struct dsm_engine *e, const struct ingest_mark *mark)
{
	for (uint32_t i = 0; i < e->mark_count; i++) {
		if (e->marks[i].device != mark->device)
			continue;
		e->marks[i] = *mark;
		return 0;
	}
	struct ingest_mark *more = realloc(e->marks, (e->mark_count + 1) * sizeof(*more));
	if (!more)
		return dsm__fail(-ENOMEM, "no memory to restore");
	e->marks = more;
	e->marks[e->mark_count++] = *mark;
	return 0;
}

int ingest_server_prepare(struct dsm_engine *e, const struct dsm_table *table, struct ingest_change **out)
{
	*out = NULL;
	if (!e->adc)
		return 0;
	struct ingest_change *c = calloc(1, sizeof(*c));
	if (!c)
		return dsm__fail(-ENOMEM, "adc: no memory");
	int rc = make(e->adc, table, c);
	if (rc)
		ingest_server_discard(&c);
	*out = c;
	return rc;
}

void ingest_server_adopt(struct dsm_engine *e, struct ingest_change **change)
{
	struct ingest_server *s = e->adc;
	struct ingest_change *c = *change;
	if (!c)
		return;
	struct roles *old_roles = s->roles;
	struct ingest *old = s->ingest;
	for (uint32_t i = 0; i < s->mark_count; i++)
		keep_mark(e, &s->marks[i]); /* of boards that the new table may lack */
	s->roles = NULL;                    /* the sink has nothing to say meanwhile */
	s->ingest = c->ingest;
	for (uint32_t i = 0; c->ingest && i < e->mark_count; i++)
		ingest_restore(c->ingest, &e->marks[i]);
	if (c->ingest && old) {
		ingest_carry(c->ingest, old);
		roles_carry(c->roles, c->ingest);
	}
	s->roles = c->roles;
	s->mark_count = 0;
	if (s->ingest) {
		publish_marks(s);
		report_devices(s);
	}
	roles_free(&old_roles);
	ingest_free(&old);
	free(c);
	*change = NULL;
}

void ingest_server_discard(struct ingest_change **change)
{
	if (!*change)
		return;
	roles_free(&(*change)->roles);
	ingest_free(&(*change)->ingest);
	free(*change);
	*change = NULL;
}

/* ---- state file ------------------------------------------------------------------------ */

/* Ticks that may be accepted between this save and the one that replaces it. */
static uint32_t margin(const struct dsm_engine *e, uint32_t device)
{
	const struct ingest_server *s = e->adc;
	uint64_t us = e->options.save_interval_ms ? 2000ull * e->options.save_interval_ms + 1000000 : 60000000;
	uint32_t tick_us = roles_tick_us(s->roles, device);
	uint64_t ticks = us / (tick_us ? tick_us : 1) + 1;
	return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

void ingest_server_capture(struct dsm_engine *e, struct state_image *image)
{
	struct ingest_server *s = e->adc;
	struct ingest_mark marks[DEVICES_MAX];
	uint32_t n = 0;
	if (s) {
		pthread_mutex_lock(&s->marks_lock);
		n = s->mark_count;
		memcpy(marks, s->marks, n * sizeof(*marks));
		pthread_mutex_unlock(&s->marks_lock);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ahead = s->ended || !marks[i].heard ? 0 : margin(e, marks[i].device);
		struct state_device d = { marks[i].device, marks[i].epoch, marks[i].seq,
			ahead > UINT32_MAX - marks[i].seq ? UINT32_MAX : marks[i].seq + ahead };
		state_put_device(image, &d);
	}
	/* what an earlier run knew of boards that this one does not */
	for (uint32_t i = 0; i < e->mark_count; i++) {
		bool known = false;
		for (uint32_t k = 0; k < n; k++)
			known |= marks[k].device == e->marks[i].device;
		struct state_device d = { e->marks[i].device, e->marks[i].epoch, e->marks[i].seq, e->marks[i].seq };
		if (!known)
			state_put_device(image, &d);
	}
}

static int take_mark(const struct state_device *device, void *context)
{
	struct dsm_engine *e = context;
	struct ingest_mark mark = { device->device, device->epoch, device->limit, false };
	if (e->adc && e->adc->ingest)
		ingest_restore(e->adc->ingest, &mark);
	return keep_mark(e, &mark);
}

int ingest_server_restore(struct dsm_engine *e, const struct state_image *image)
{
	return state_walk_devices(image->data, image->size, take_mark, e);
}
