/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler's thread: attach, look, sleep; see sample.h. A look reads all groups first,
 * without the lock, and then takes them into the model at once (merge.c), so that no viewer
 * waits for a read and none sees half a look.
 */
#include "sample.h"

#include "latency.h"
#include "merge.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A group larger than this that is one array is looked at in place and not copied. */
#define COPY_MAX ((uint64_t)1 << 20)
/* A group larger than this that has several cells is not looked at. */
#define READ_MAX ((uint64_t)64 << 20)
/* The share of a processor that looking may take: one part in so many. */
#define SHARE 10u
#define RETRY_NS (NS_PER_S / 2)

struct sampler {
	struct sampler_options options;
	pthread_t thread;
	pthread_mutex_t lock;        /* model, stop, done, notify_fd */
	pthread_cond_t changed;
	struct model *model;
	bool stop, first_done;
	int first_error;
	int notify_fd;               /* -1: none */
	/* the thread's own */
	struct dsm *dsm;
	struct look *looks;          /* one a group */
	struct table *table;         /* the one that the looks belong to */
	struct latency_log latency;
};

uint64_t own_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* ---- reading ---- */

static void drop_looks(struct sampler *s)
{
	for (uint32_t i = 0; s->looks && i < s->table->groups; i++)
		dsm_frame_free(&s->looks[i].frame);
	free(s->looks);
	s->looks = NULL;
	table_drop(&s->table);
}

/* The table anew: at the attach, and when the engine has another one. */
static int take_table(struct sampler *s)
{
	struct table *table = NULL;

	drop_looks(s);
	int error = table_build(s->dsm, s->options.globs, s->options.n_globs, &table);
	if (error)
		return error;
	s->looks = calloc(table->groups + 1, sizeof *s->looks);
	if (!s->looks) {
		table_drop(&table);
		return -ENOMEM;
	}
	s->table = table_hold(table);
	pthread_mutex_lock(&s->lock);
	error = model_set_table(s->model, table);
	pthread_mutex_unlock(&s->lock);
	return error;
}

/* A large array: its quality and time without copying it. */
static int look_in_place(struct sampler *s, uint32_t g)
{
	const struct cell_meta *cell = &s->table->cell[s->table->group[g].first];
	struct look *look = &s->looks[g];
	const void *data;
	uint64_t bytes;
	int error = dsm_borrow(s->dsm, cell->id, &data, &bytes, &look->in_place);

	if (error == -ENODATA) { /* never written */
		look->in_place = (struct dsm_sample){ .value.type = cell->type };
		look->shown_bytes = 0;
		return 0;
	}
	if (error)
		return error;
	look->shown_bytes = bytes < sizeof look->shown ? (uint32_t)bytes : (uint32_t)sizeof look->shown;
	memcpy(look->shown, data, look->shown_bytes);
	return dsm_return(s->dsm);
}

static int read_group(struct sampler *s, uint32_t g)
{
	const struct group_meta *group = &s->table->group[g];
	struct look *look = &s->looks[g];

	look->borrowed = group->payload_bytes > COPY_MAX && group->n == 1 &&
		!type_is_number(s->table->cell[group->first].type);
	if (look->borrowed)
		return look_in_place(s, g);
	if (group->payload_bytes > READ_MAX)
		return -EFBIG;
	if (!look->frame) {
		int error = dsm_frame_new(s->dsm, group->id, &look->frame);
		if (error)
			return error;
	}
	int error = dsm_snapshot(s->dsm, group->id, look->frame);
	return error ? error : dsm_frame_info(look->frame, &look->info);
}

/* -ESTALE: the table is another one now; other errors belong to their group. */
static int read_groups(struct sampler *s)
{
	for (uint32_t g = 0; g < s->table->groups; g++) {
		if (s->table->group[g].n == 0)
			continue;
		uint64_t start = own_clock_ns();
		int error = read_group(s, g);
		uint64_t end = own_clock_ns();
		if (error == -ESTALE)
			return error;
		s->looks[g].error = error;
		if (!error)
			latency_add(&s->latency, end, end - start);
	}
	return 0;
}

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	struct model *model = context;

	if (model->n_counters == COUNTERS_MAX)
		return 0;
	struct counter *counter = &model->counters[model->n_counters++];
	snprintf(counter->name, sizeof counter->name, "%s", name);
	snprintf(counter->what, sizeof counter->what, "%s", what);
	counter->value = value;
	return 0;
}

static void take_notes(struct sampler *s, struct model *model)
{
	struct dsm_event event;

	while (dsm_next_event(s->dsm, &event) == 0) {
		struct note *note = &model->notes[model->n_notes++ % NOTES_MAX];
		note->wall_ns = wall_clock_ns();
		snprintf(note->text, sizeof note->text, "%s",
			*event.text ? event.text : dsm_event_name(event.kind));
	}
}

static enum engine_state state_of(const struct dsm_status *status)
{
	if (status->state == DSM_LOST)
		return ENGINE_LOST;
	if (status->state == DSM_ENGINE_STALE)
		return ENGINE_SILENT;
	return status->unknown ? ENGINE_UNKNOWN : ENGINE_RUNNING;
}

/* In the order of the looks' table; without one nothing is known of any owner. Lock held. */
static void take_owners(struct sampler *s)
{
	struct model *model = s->model;
	uint32_t n = model->table ? model->table->owners : 0;

	for (uint32_t i = 0; i < n; i++) {
		struct dsm_owner_info info;
		model->owners[i] = (struct owner_view){ .state = DSM_VACANT };
		if (s->table && dsm_owner_info(s->dsm, i, &info) == 0)
			model->owners[i] = (struct owner_view){ .state = info.state, .epoch = info.epoch,
				.pid = info.pid, .step = info.step, .network = info.network };
	}
}

/* Nothing here asks the engine: it is read from its memory and this handle. Lock held. */
static void take_engine(struct sampler *s, uint64_t now)
{
	struct model *model = s->model;
	struct engine_view *engine = &model->engine;
	struct dsm_region_info region;
	struct dsm_status status;

	if (dsm_region_info(s->dsm, &region) || dsm_status(s->dsm, &status))
		return;
	if (engine->generation != region.generation)
		model->offset_known = false;
	enum engine_state state = state_of(&status);
	if (state != engine->state)
		engine->since_ns = now;
	engine->state = state;
	snprintf(engine->name, sizeof engine->name, "%s", region.name);
	snprintf(engine->uri, sizeof engine->uri, "%s", region.uri);
	snprintf(engine->transport, sizeof engine->transport, "%s", region.transport);
	snprintf(engine->reason, sizeof engine->reason, "%s", region.reason);
	engine->generation = region.generation;
	engine->layout_hash = region.layout_hash;
	engine->layout_version = region.layout_version;
	engine->bytes = region.bytes;
	engine->pid = region.engine_pid;
	engine->uid = region.engine_uid;
	engine->heartbeat = region.heartbeat;
	engine->heartbeat_age_ms = status.heartbeat_age_ms;
	engine->reattached = status.reattached;
	engine->lease_ms = region.lease_ms;
	engine->tick_ms = region.tick_ms;
	engine->started_ns = region.started_ns;
	dsm_stats(s->dsm, &model->stats);
	model->n_counters = 0;
	dsm_foreach_counter(s->dsm, take_counter, model);
	take_owners(s);
}

/* A round is done: tell who waits. Lock held. */
static void end_round(struct sampler *s)
{
	const uint64_t one = 1;

	s->model->round++;
	pthread_cond_broadcast(&s->changed);
	/* a counter that is full wakes all the same */
	if (s->notify_fd >= 0 && write(s->notify_fd, &one, sizeof one) < 0)
		return;
}

/* One look. The table may change at any call: then it is taken anew, a few times at most. */
static int look(struct sampler *s)
{
	uint64_t start = own_clock_ns();
	int error = s->table ? read_groups(s) : -ESTALE;

	for (int tries = 0; error == -ESTALE && tries < 3; tries++) {
		error = take_table(s);
		if (!error)
			error = read_groups(s);
	}
	uint64_t now = own_clock_ns();
	pthread_mutex_lock(&s->lock);
	take_notes(s, s->model);
	s->model->now_ns = now;
	s->model->wall_ns = wall_clock_ns();
	s->model->took_ns = now - start;
	if (error)
		snprintf(s->model->engine.problem, sizeof s->model->engine.problem, "%s",
			error == -ENOENT ? "no cell matches what was asked for" : dsm_error());
	take_engine(s, now);
	if (!error) {
		merge_looks(s->model, s->looks);
		s->model->latency = latency_read(&s->latency);
		s->model->engine.problem[0] = '\0';
	} else {
		merge_failure(s->model, error);
	}
	end_round(s);
	pthread_mutex_unlock(&s->lock);
	return error;
}

/* ---- the thread ---- */

/* Sleep with the lock free; false when it is time to end. */
static bool sleep_until(struct sampler *s, uint64_t until_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S),
	};

	pthread_mutex_lock(&s->lock);
	while (!s->stop && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
		;
	bool go_on = !s->stop;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

/* What became of the first attach or look; sampler_start() waits for it. */
static void tell_first(struct sampler *s, int error)
{
	if (s->first_done)
		return; /* this thread alone sets it */
	pthread_mutex_lock(&s->lock);
	s->first_done = true;
	s->first_error = error;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* No engine: the model says why. */
static void tell_problem(struct sampler *s, const char *text)
{
	struct engine_view *engine = &s->model->engine;

	pthread_mutex_lock(&s->lock);
	snprintf(engine->problem, sizeof engine->problem, "%s", text);
	s->model->now_ns = own_clock_ns();
	s->model->wall_ns = wall_clock_ns();
	end_round(s);
	pthread_mutex_unlock(&s->lock);
}

static int attach(struct sampler *s)
{
	struct dsm_options options = DSM_OPTIONS_INIT;

	options.owner = NULL; /* reads; there is no other way to use this handle */
	options.program = s->options.program;
	if (s->options.timeout_s >= 0)
		options.attach_timeout_ms = (uint32_t)(s->options.timeout_s * 1000) + 1;
	return dsm_attach(s->options.uri, &options, &s->dsm);
}

static void *run(void *context)
{
	struct sampler *s = context;
	int error;

	while ((error = attach(s)) != 0) {
		tell_problem(s, dsm_error());
		tell_first(s, error);
		if (!s->options.wait || !sleep_until(s, own_clock_ns() + RETRY_NS))
			return NULL;
	}
	uint64_t pause;
	uint64_t start;
	do {
		start = own_clock_ns();
		error = look(s);
		tell_first(s, error);
		pause = (own_clock_ns() - start) * SHARE;
		if (pause < s->model->period_ns)
			pause = s->model->period_ns;
	} while (sleep_until(s, start + pause));
	drop_looks(s);
	dsm_detach(&s->dsm);
	return NULL;
}

/* ---- for the viewers ---- */

static void free_sampler(struct sampler *s)
{
	model_free(&s->model);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct sampler *new_sampler(const struct sampler_options *options)
{
	struct sampler *s = calloc(1, sizeof *s);
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->options = *options;
	s->notify_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	s->model = calloc(1, sizeof *s->model);
	if (!s->model) {
		free_sampler(s);
		return NULL;
	}
	s->model->now_ns = s->model->began_ns = own_clock_ns();
	s->model->engine.since_ns = s->model->now_ns;
	s->model->wall_ns = wall_clock_ns();
	s->model->period_ns = (uint64_t)(options->period_s * NS_PER_S);
	s->model->bucket_ns = s->model->period_ns > NS_PER_S ? s->model->period_ns : NS_PER_S;
	return s;
}

/* Signals are the main thread's: none may land on the sampler's thread or the library's, except
 * those of a fault there: blocked, they would pass by the handler that restores the terminal. */
static void block_signals(sigset_t *before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT };
	sigset_t most;

	sigfillset(&most);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&most, faults[i]);
	pthread_sigmask(SIG_SETMASK, &most, before);
}

int sampler_start(const struct sampler_options *options, struct sampler **out, char *error,
	size_t size)
{
	struct sampler *s = new_sampler(options);
	sigset_t before;

	snprintf(error, size, "out of memory or threads");
	if (!s)
		return -ENOMEM;
	block_signals(&before);
	int result = -pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result) {
		free_sampler(s);
		return result;
	}
	pthread_mutex_lock(&s->lock);
	while (!s->first_done)
		pthread_cond_wait(&s->changed, &s->lock);
	result = options->wait ? 0 : s->first_error;
	if (result)
		snprintf(error, size, "%s", s->model->engine.problem);
	pthread_mutex_unlock(&s->lock);
	*out = s;
	if (result)
		sampler_stop(out);
	return result;
}

void sampler_stop(struct sampler **sampler)
{
	struct sampler *s = *sampler;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	free_sampler(s);
	*sampler = NULL;
}

const struct model *sampler_lock(struct sampler *s)
{
	pthread_mutex_lock(&s->lock);
	return s->model;
}

void sampler_unlock(struct sampler *s)
{
	pthread_mutex_unlock(&s->lock);
}

void sampler_notify(struct sampler *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	s->notify_fd = fd;
	pthread_mutex_unlock(&s->lock);
}

uint64_t sampler_wait(struct sampler *s, uint64_t round, int timeout_ms)
{
	uint64_t until_ns = own_clock_ns() + (uint64_t)timeout_ms * 1000000u;
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S),
	};

	pthread_mutex_lock(&s->lock);
	while (s->model->round <= round &&
	       pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
		;
	uint64_t newest = s->model->round;
	pthread_mutex_unlock(&s->lock);
	return newest;
}
