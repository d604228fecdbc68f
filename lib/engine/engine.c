/* SPDX-License-Identifier: Apache-2.0 */
/* The host interface: open, reload, attach inside, save, close. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/attach.h"
#include "core/error.h"
#include "engine/keys.h"

void engine_log(const struct dsm_engine *e, const char *format, ...)
{
	char text[512];
	va_list args;
	if (!e->options.log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	e->options.log(text, e->options.context);
}

/* ---- options ---- */

/* Boards and their keys; what is wrong with them shows before anything is opened. */
static int take_adc(struct dsm_engine *e, const struct dsm_table *table)
{
	struct dsm_engine_options *o = &e->options;
	e->adc_address = o->adc ? strdup(o->adc) : NULL;
	e->keys_file = o->keys ? strdup(o->keys) : NULL;
	if ((o->adc && !e->adc_address) || (o->keys && !e->keys_file))
		return dsm__fail(-ENOMEM, "no memory for an engine");
	o->adc = e->adc_address;
	o->keys = e->keys_file;
	return ingest_server_new(e, table);
}

static int take_options(struct dsm_engine *e, const struct dsm_table *table,
	const struct dsm_engine_options *opts)
{
	static const struct dsm_engine_options defaults = DSM_ENGINE_OPTIONS_INIT;
	if (!opts)
		opts = &defaults;
	if (opts->size != sizeof(*opts))
		return dsm__fail(-EINVAL, "dsm_engine_options.size is %zu: start from "
			"DSM_ENGINE_OPTIONS_INIT", opts->size);
	e->options = *opts;
	struct dsm_engine_options *o = &e->options;
	o->tick_ms = o->tick_ms ? o->tick_ms : 50;
	o->lease_ms = o->lease_ms ? o->lease_ms : 500;
	o->max_clients = o->max_clients ? o->max_clients : 1024;
	if (o->tick_ms < 5 || o->tick_ms > 1000)
		return dsm__fail(-EINVAL, "tick_ms is %u, expected 5 to 1000", o->tick_ms);
	if (o->lease_ms < 2 * o->tick_ms || o->lease_ms > 3600000)
		return dsm__fail(-EINVAL, "lease_ms is %u, expected at least two ticks (%u) and at most an "
			"hour", o->lease_ms, 2 * o->tick_ms);
	if (o->udp_spin_us > 1000000)
		return dsm__fail(-EINVAL, "udp_spin_us is %u, expected at most a second", o->udp_spin_us);
	e->clock = o->clock ? o->clock : &clock_system;
	const char *name = o->name ? o->name : table_text(table, table->region);
	if (!uri_shm_name_ok(name))
		return dsm__fail(-EINVAL, "\"%s\" is no engine's name: 1 to 64 letters, digits, '_', '-', '.'", name);
	e->name = strdup(name);
	e->state_file = o->state_file ? strdup(o->state_file) : NULL;
	e->rdma = o->rdma ? strdup(o->rdma) : NULL;
	e->udp_address = o->udp ? strdup(o->udp) : NULL;
	e->message = malloc(CONTROL_MAX);
	e->reply = malloc(CONTROL_MAX);
	e->forwarded = malloc(CONTROL_MAX);
	if (!e->name || (o->state_file && !e->state_file) || (o->rdma && !e->rdma) ||
	    (o->udp && !e->udp_address) || !e->message || !e->reply || !e->forwarded)
		return dsm__fail(-ENOMEM, "no memory for an engine");
	o->rdma = e->rdma;
	o->udp = e->udp_address;
	char host[256];
	uint16_t port;
	int rc = e->rdma ? verbs_address(e->rdma, host, sizeof(host), &port) : 0;
	if (rc == 0 && e->udp_address)
		rc = udp_address(e->udp_address, host, sizeof(host), &port);
	if (rc == 0)
		rc = access_parse(o->readers ? o->readers : "*", &e->readers);
	if (rc == 0)
		rc = access_parse(o->requesters ? o->requesters : "*", &e->requesters);
	return rc ? rc : take_adc(e, table);
}

/* ---- open ---- */

static int restore_from_file(struct dsm_engine *e)
{
	struct state_image image = { 0 };
	char used[512], report[1024];
	if (!e->state_file || (!e->options.restore && !e->adc))
		return 0;
	int rc = state_load(e->state_file, &image, used, sizeof(used), report, sizeof(report));
	if (report[0])
		engine_log(e, "%s", report);
	if (rc) {
		engine_log(e, "nothing restored: %s", dsm_error());
		return 0; /* an engine that cannot restore starts empty, and says so */
	}
	engine_log(e, "restoring%s from %s", e->options.restore ? "" : " what is known of ADC boards", used);
	rc = ingest_server_restore(e, &image);
	if (rc == 0 && e->options.restore)
		rc = restore_image(e, e->region, &image);
	state_free(&image);
	return rc;
}

static int build(struct dsm_engine *e, const struct dsm_table *table, struct region **out)
{
	struct region_params params = { e->options.tick_ms, e->options.lease_ms, clock_stamp(e->clock),
		e->options.lock_memory };
	return region_build(table, &params, out);
}

static void engine_free(struct dsm_engine *e)
{
	ingest_server_free(e);
	for (struct session *s = e->sessions; s; s = s->next)
		s->dead = true;
	if (e->region && e->holders)
		server_sweep(e);
	verbs_stop(e);
	udp_stop(e);
	writer_free(&e->writer);
	if (e->region)
		owners_free(e);
	records_free(e);
	access_free(&e->readers);
	access_free(&e->requesters);
	region_free(&e->region);
	int fds[] = { e->listen_fd, e->epoll_fd, e->timer_fd, e->stop_fd, e->spare_fd };
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(e->adc_address);
	free(e->keys_file);
	free(e->name);
	free(e->rdma);
	free(e->udp_address);
	free(e->state_file);
	free(e->message);
	free(e->reply);
	free(e->forwarded);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->save_wanted);
	free(e);
}

static int inproc_channel(void *context)
{
	struct dsm_engine *e = context;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return dsm__fail(-errno, "no socket pair: %s", strerror(errno));
	pthread_mutex_lock(&e->lock);
	struct session *s = e->stop ? NULL : local_adopt(e, pair[0], true);
	pthread_mutex_unlock(&e->lock);
	if (s)
		return pair[1];
	close(pair[0]);
	close(pair[1]);
	return dsm__fail(-ECONNREFUSED, "the engine is ending");
}

/* A second mapping of a bank that is sealed against new writable ones: same pages. */
static void *inproc_memory(void *context, uint32_t owner, uint64_t *bytes)
{
	struct dsm_engine *e = context;
	pthread_mutex_lock(&e->lock);
	void *at = MAP_FAILED;
	if (owner < e->region->view.owner_count) { /* else the table was replaced since the grant */
		const struct directory_owner *o = &e->region->view.owners[owner];
		*bytes = o->bank_bytes;
		at = mremap(e->region->base + o->bank_offset, 0, o->bank_bytes, MREMAP_MAYMOVE);
	}
	pthread_mutex_unlock(&e->lock);
	return at == MAP_FAILED ? NULL : at;
}

static struct dsm_engine *engine_new(void)
{
	struct dsm_engine *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->listen_fd = e->timer_fd = e->stop_fd = -1;
	e->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->inproc = (struct inproc){ inproc_channel, inproc_memory, e };
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->save_wanted, NULL);
	return e;
}

int dsm_engine_check(const struct dsm_table *table, const struct dsm_engine_options *opts)
{
	if (!table)
		return dsm__fail(-EINVAL, "dsm_engine_check(): null pointer");
	struct dsm_engine *e = engine_new();
	if (!e)
		return dsm__fail(-ENOMEM, "no memory for an engine");
	int rc = take_options(e, table, opts);
	engine_free(e);
	return rc;
}

int dsm_engine_open(const struct dsm_table *table, const struct dsm_engine_options *opts,
	struct dsm_engine **out)
{
	if (!table || !out)
		return dsm__fail(-EINVAL, "dsm_engine_open(): null pointer");
	struct dsm_engine *e = engine_new();
	if (!e)
		return dsm__fail(-ENOMEM, "no memory for an engine");
	int rc = take_options(e, table, opts);
	if (rc == 0)
		rc = build(e, table, &e->region);
	if (rc == 0)
		rc = owners_init(e, table);
	if (rc == 0)
		rc = restore_from_file(e);
	if (rc == 0)
		rc = ingest_server_bind(e);
	if (rc == 0) {
		owners_engine_takes(e);
		rc = server_start(e);
	}
	if (rc == 0)
		rc = saver_start(e);
	if (rc == 0)
		rc = ingest_server_start(e);
	if (rc) {
		saver_stop(e);
		server_stop(e);
		engine_free(e);
		return rc;
	}
	*out = e;
	return 0;
}

/* ---- close ---- */

static bool any_inside(struct dsm_engine *e)
{
	bool any = false;
	pthread_mutex_lock(&e->lock);
	for (struct session *s = e->sessions; s; s = s->next)
		any |= s->inproc && !s->dead;
	pthread_mutex_unlock(&e->lock);
	return any;
}

int dsm_engine_close(struct dsm_engine **engine)
{
	if (!engine || !*engine)
		return 0;
	struct dsm_engine *e = *engine;
	ingest_server_pause(e, true);
	/* a detached handle's good-bye may still be on its way */
	for (int i = 0; i < 200 && any_inside(e); i++)
		usleep(5000);
	if (any_inside(e)) {
		ingest_server_pause(e, false);
		ingest_server_start(e);
		return dsm__fail(-EBUSY, "handles of dsm_engine_attach() are open: dsm_detach() them first");
	}
	int rc = 0;
	server_stop(e);
	saver_stop(e);
	if (e->state_file)
		rc = saver_save(e);
	server_tell_all(e, CONTROL_ENDED, DSM_NONE, 0);
	*engine = NULL;
	engine_free(e);
	return rc;
}

int dsm_engine_attach(struct dsm_engine *e, const struct dsm_options *opts, struct dsm **out)
{
	struct uri uri = { .scheme = "shm" };
	if (!e || !out)
		return dsm__fail(-EINVAL, "dsm_engine_attach(): null pointer");
	snprintf(uri.host, sizeof(uri.host), "%s", e->name);
	return dsm__attach(&uri, &e->inproc, opts, out);
}

/* ---- reload and save ---- */

/* Under lock: the new region takes the old one's place; every client must come again. */
static void change_over(struct dsm_engine *e, struct region *fresh, struct holder *holders)
{
	struct region *old = e->region;
	for (uint32_t i = 0; i < COUNTER_COUNT; i++) /* totals go on */
		atomic_store_explicit(&fresh->counters[i],
			atomic_load_explicit(&old->counters[i], memory_order_relaxed), memory_order_relaxed);
	requests_forget_tickets(e);
	server_tell_all(e, CONTROL_ENDED, DSM_NONE, 0);
	atomic_store_explicit(&old->header->state, REGION_ENDED, memory_order_release);
	writer_free(&e->writer);
	e->has_writer = false;
	for (struct session *s = e->sessions; s; s = s->next) {
		s->owner = DSM_NONE; /* the roles end with the generation */
		s->dead = true;
	}
	owners_free(e);
	e->holders = holders;
	e->region = fresh;
	server_sweep(e);
	verbs_region_leaves(e);
	region_free(&old);
	owners_engine_takes(e);
}

/* What owners have committed until here is carried over; what they commit later is not acknowledged to
 * them: a network's are cut off, those on this machine see in their owner line that the grant has ended. */
static void end_writes(struct dsm_engine *e)
{
	for (struct session *s = e->sessions; s; s = s->next)
		if (s->ops->network && s->owner != DSM_NONE && !s->dead)
			s->ops->fence(s);
	takeover_end_grants(e->region, true);
}

/* Under lock, while nothing is being saved. On error the old generation goes on. */
static int replace(struct dsm_engine *e, const struct dsm_table *table, struct region *fresh)
{
	struct holder *current = e->holders;
	int rc = owners_init(e, table);
	struct holder *holders = e->holders;
	e->holders = current;
	if (rc == 0) {
		end_writes(e);
		rc = restore_region(e, fresh);
		if (rc)
			takeover_end_grants(e->region, false);
	}
	if (rc == 0)
		change_over(e, fresh, holders);
	else
		free(holders);
	return rc;
}

/* Under lock: for all networks, or for none. */
static int reload_keys(struct dsm_engine *e)
{
	struct keys *fresh;
	int rc = verbs_load_keys(e, &fresh);
	if (rc)
		return rc;
	rc = udp_reload_keys(e);
	if (rc)
		keys_free(&fresh);
	else
		verbs_take_keys(e, &fresh);
	return rc;
}

int dsm_engine_reload(struct dsm_engine *e, const struct dsm_table *table)
{
	struct region *fresh = NULL;
	if (!e || !table)
		return dsm__fail(-EINVAL, "dsm_engine_reload(): null pointer");
	struct ingest_change *boards = NULL;
	int rc = ingest_server_prepare(e, table, &boards);
	if (rc == 0)
		rc = build(e, table, &fresh);
	if (rc) {
		ingest_server_discard(&boards);
		return rc;
	}
	ingest_server_pause(e, false);
	pthread_mutex_lock(&e->lock);
	while (e->saving)
		pthread_cond_wait(&e->save_wanted, &e->lock);
	rc = replace(e, table, fresh);
	if (rc == 0)
		ingest_server_adopt(e, &boards);
	if (rc == 0 && reload_keys(e))
		engine_log(e, "the keys of clients were not read again: %s", dsm_error());
	pthread_mutex_unlock(&e->lock);
	if (rc) {
		region_free(&fresh);
		ingest_server_discard(&boards);
	}
	int started = ingest_server_start(e);
	return rc ? rc : started;
}

int dsm_engine_reload_keys(struct dsm_engine *e)
{
	if (!e)
		return dsm__fail(-EINVAL, "dsm_engine_reload_keys(): null pointer");
	pthread_mutex_lock(&e->lock);
	int rc = reload_keys(e);
	pthread_mutex_unlock(&e->lock);
	return rc;
}

int dsm_engine_save(struct dsm_engine *e)
{
	if (!e)
		return dsm__fail(-EINVAL, "dsm_engine_save(): null pointer");
	if (!e->state_file)
		return dsm__fail(-ENOENT, "no state file is configured");
	return saver_save(e);
}
