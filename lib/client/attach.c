/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a handle: attach, adopt what the slow path brought, detach; fork and misuse. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/attach.h"
#include "client/handle.h"
#include "core/lines.h"
#include "port/port.h"

#define HANDLE_COLOUR 128u
#define ATTACH_MS 2000u     /* where the transport is still to be chosen */

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
/* Handles are never freed, so that a stale pointer finds a tombstone; the one that was detached
 * first is used again first, and not while fewer than POOL_KEEP were detached after it. */
#define POOL_KEEP 8u
static struct dsm *pool, **pool_end = &pool;
static uint32_t pooled;
static uint32_t next_tag;

int handle_bad(const struct dsm *dsm)
{
	if (!dsm)
		return dsm__fail(-EINVAL, "null handle: dsm_attach() first");
	if (dsm->magic != HANDLE_MAGIC)
		return dsm__fail(-EBADF, "the handle was detached");
	return dsm__fail(-ECHILD, "the handle was opened before fork() by the parent process: "
		"dsm_attach() anew in the child");
}

int handle_bad_id(const struct dsm *dsm, uint64_t id, const char *what)
{
	uint32_t tag = (uint32_t)(id >> 32);
	if (id == 0)
		return dsm__fail(-EINVAL, "a %s id that was never looked up", what);
	if ((tag >> TAG_GENERATIONS) == (handle_tag(dsm) >> TAG_GENERATIONS))
		return dsm__fail(-ESTALE, "the engine has another table now: look the %s up again", what);
	return dsm__fail(-EXDEV, "the %s id belongs to another handle", what);
}

static struct dsm *handle_memory(void)
{
	static_assert(offsetof(struct dsm, magic) == DSM_PAGE, "what a child finds wiped is one page away");
	static_assert(offsetof(struct dsm, hot_end) <= HANDLE_COLOUR, "and the hot part is short");
	static _Atomic uint32_t made;
	unsigned char *at = port_pages(round_up(sizeof(struct dsm), DSM_PAGE) + DSM_PAGE);
	/* never all at the same place of their pages: they would share one set of the cache */
	return at ? (void *)(at + atomic_fetch_add(&made, 1) % (DSM_PAGE / HANDLE_COLOUR) * HANDLE_COLOUR) : NULL;
}

static struct dsm *handle_new(void)
{
	pthread_mutex_lock(&pool_lock);
	struct dsm *dsm = pooled > POOL_KEEP ? pool : NULL;
	if (dsm) {
		pool = dsm->list_next;
		pooled--;
	}
	uint32_t tag = ++next_tag << TAG_GENERATIONS;
	pthread_mutex_unlock(&pool_lock);
	if (!dsm)
		dsm = handle_memory();
	if (!dsm)
		return NULL;
	memset(dsm, 0, sizeof(*dsm));
	dsm->usable = 1;
	dsm->first_id = (uint64_t)tag << 32;
	dsm->manual_fd = dsm->manual_timer = -1;
	dsm->next_number = 1;
	pthread_mutex_init(&dsm->lock, NULL);
	port_cond_init(&dsm->changed);
	return dsm;
}

static void handle_free(struct dsm *dsm)
{
	request_free(dsm);
	link_close(&dsm->link);
	link_close(&dsm->next);
	free(dsm->seen);
	free(dsm->quick_memory);
	free(dsm->value);
	free(dsm->clients.items);
	free(dsm->devices.items);
	free(dsm->message);
	free(dsm->ages);
	free(dsm->owner_states);
	free(dsm->owner_name);
	free(dsm->program);
	free(dsm->fault);
	free(dsm->key_file);
	manual_end(dsm);
	memset(dsm, 0, sizeof(*dsm));
	pthread_mutex_lock(&pool_lock);
	*pool_end = dsm;
	pool_end = &dsm->list_next;
	pooled++;
	pthread_mutex_unlock(&pool_lock);
}

/* Sizes that the owner's thread needs for a link. */
static int size_for(struct dsm *dsm, const struct view *view)
{
	uint64_t largest = 16;
	for (uint32_t i = 0; i < view->cell_count; i++) {
		uint64_t n = payload_record_bytes((enum dsm_type)view->cells[i].type,
			view->cells[i].capacity);
		if (n > largest && n <= READ_CELL_MAX)
			largest = n;
	}
	void *memory;
	struct ring_quick *quick = lines_new(view->cell_count, &memory);
	struct group_seen *seen = calloc(view->group_count ? view->group_count : 1, sizeof(*seen));
	uint64_t *value = malloc(largest + 8);
	if (!seen || !quick || !value) {
		free(memory);
		free(seen);
		free(value);
		return dsm__fail(-ENOMEM, "no memory for %u groups", view->group_count);
	}
	free(dsm->seen);
	free(dsm->quick_memory);
	free(dsm->value);
	dsm->seen = seen;
	dsm->quick = quick;
	dsm->quick_memory = memory;
	dsm->value = value;
	return 0;
}

/* Which groups have a maximum age, and what is known of owners. Under lock. */
static void watch_for(struct dsm *dsm, const struct view *view)
{
	free(dsm->ages);
	free(dsm->owner_states);
	dsm->age_count = 0;
	dsm->owner_states = calloc(view->owner_count, sizeof(*dsm->owner_states));
	for (uint32_t i = 0; dsm->owner_states && i < view->owner_count; i++)
		dsm->owner_states[i] = (uint32_t)(dsm->ops->owner_line(dsm->conn, i, NULL, NULL, NULL) >> 32);
	uint32_t n = 0;
	for (uint32_t i = 0; i < view->group_count; i++)
		n += view->groups[i].max_age_ms != 0;
	dsm->ages = calloc(n ? n : 1, sizeof(*dsm->ages));
	for (uint32_t i = 0; dsm->ages && i < view->group_count; i++)
		if (view->groups[i].max_age_ms)
			dsm->ages[dsm->age_count++] = (struct age_watch){ i, 0, clock_now(dsm->clock) };
}

/* Under lock, owner's thread. */
static int adopt_link(struct dsm *dsm)
{
	struct link *old = dsm->link, *fresh = dsm->next;
	bool same_layout = old && old->layout_hash == fresh->layout_hash;
	int rc = size_for(dsm, &fresh->view);
	if (rc)
		return rc;
	if (same_layout && fresh->ops == old->ops && fresh->ops->inherit(fresh->conn, old->conn) == 0)
		fresh->view = old->view; /* names handed out stay valid */
	dsm->next = NULL;
	dsm->link = fresh;
	dsm->links++;
	dsm->ops = fresh->ops;
	dsm->conn = fresh->conn;
	dsm->cells = fresh->view.cells;
	dsm->cell_count = fresh->view.cell_count;
	dsm->rings = fresh->ops->rings ? fresh->ops->rings(fresh->conn) : NULL;
	handle_flags(dsm, dsm->rings ? 0 : ATTEND_NO_RINGS, dsm->rings ? ATTEND_NO_RINGS : 0);
	watch_for(dsm, &fresh->view);
	if (old && !same_layout)
		dsm->first_id += UINT64_C(1) << 32;
	if (old && old->ops->wakes)
		dsm->stats.wakes += old->ops->wakes(old->conn);
	if (old && old->ops->told)
		dsm->stats.told += old->ops->told(old->conn);
	dsm->borrowing = dsm->loaned = false;
	rc = write_adopt(dsm, old, same_layout);
	link_close(&old);
	return rc;
}

/* Banks were replaced: what points into the old ones is forgotten. */
static void forget_rings(struct dsm *dsm)
{
	for (uint32_t i = 0; dsm->rings && i < dsm->cell_count; i++)
		if (dsm->quick[i].pulse && dsm->quick[i].pulse != dsm->rings[dsm->cells[i].group].pulse)
			dsm->quick[i].pulse = NULL;
}

int handle_attend(struct dsm *dsm)
{
	if (dsm->borrowing || dsm->loaned)
		return 0; /* what is lent out must stay mapped; after dsm_return(), dsm_publish() */
	pthread_mutex_lock(&dsm->lock);
	int rc = 0;
	handle_flags(dsm, 0, ATTEND_ADOPT);
	if (dsm->next)
		rc = adopt_link(dsm);
	else if (dsm->conn) {
		rc = dsm->ops->adopt(dsm->conn);
		forget_rings(dsm);
	}
	if (dsm->next) /* no memory for it just now: the next call tries again */
		handle_flags(dsm, ATTEND_ADOPT, 0);
	pthread_mutex_unlock(&dsm->lock);
	return rc;
}

static char *program_name(const char *given)
{
	return strdup(given ? given : port_program_name());
}

static int take_options(struct dsm *dsm, const struct dsm_options *opts)
{
	static const struct dsm_options defaults = DSM_OPTIONS_INIT;
	if (!opts)
		opts = &defaults;
	if (opts->size != sizeof(*opts))
		return dsm__fail(-EINVAL, "dsm_options.size is %zu: start from DSM_OPTIONS_INIT", opts->size);
	dsm->options = *opts;
	dsm->clock = opts->clock ? opts->clock : &clock_system;
	dsm->tries = opts->tries ? opts->tries : 1000;
	dsm->call_timeout_ms = opts->call_timeout_ms ? opts->call_timeout_ms : 1000;
	const struct transport_ops *named = transport_find(dsm->uri.scheme);
	if (!dsm->options.attach_timeout_ms)
		dsm->options.attach_timeout_ms = named ? named->attach_ms : ATTACH_MS;
	if (opts->owner && (!opts->owner[0] || strlen(opts->owner) >= CONTROL_NAME_MAX))
		return dsm__fail(-EINVAL, "owner \"%s\": a role's name has 1 to %u bytes", opts->owner,
			CONTROL_NAME_MAX - 1);
	if (opts->spin_us > 1000)
		return dsm__fail(-EINVAL, "spin_us is %u, expected at most 1000", opts->spin_us);
	if (opts->poll_us && (opts->poll_us < 50 || opts->poll_us > 1000000))
		return dsm__fail(-EINVAL, "poll_us is %u, expected 0 or 50 to 1000000", opts->poll_us);
	dsm->owner_name = opts->owner ? strdup(opts->owner) : NULL;
	dsm->fault = opts->fault ? strdup(opts->fault) : NULL;
	dsm->key_file = opts->key_file ? strdup(opts->key_file) : NULL;
	dsm->program = program_name(opts->program);
	dsm->message = malloc((size_t)2 * CONTROL_MAX);
	dsm->requests = dsm->message ? dsm->message + CONTROL_MAX : NULL;
	if (!dsm->program || !dsm->message || (opts->owner && !dsm->owner_name) || (opts->fault && !dsm->fault) ||
	    (opts->key_file && !dsm->key_file))
		return dsm__fail(-ENOMEM, "no memory for a handle");
	return 0;
}

/* What an owner's role holds is read here, in what is left of the attach's time, whatever a call has. */
static int attend_first(struct dsm *dsm, uint64_t deadline)
{
	uint64_t now = clock_now(dsm->clock), left_ms = now < deadline ? (deadline - now) / 1000000u : 0;
	uint32_t call_ms = dsm->call_timeout_ms;
	dsm->call_timeout_ms = left_ms ? (uint32_t)left_ms : 1;
	int rc = handle_attend(dsm);
	dsm->call_timeout_ms = call_ms;
	return rc;
}

int dsm__attach(const struct uri *uri, const struct inproc *inproc, const struct dsm_options *opts,
	struct dsm **out)
{
	struct link *link;
	struct dsm *dsm = handle_new();
	if (!dsm)
		return dsm__fail(-ENOMEM, "no memory for a handle");
	dsm->uri = *uri;
	dsm->any_scheme = !uri->scheme[0];
	dsm->inproc = inproc;
	int rc = take_options(dsm, opts);
	if (rc)
		goto free_handle;
	request_new_identity(dsm);
	uint64_t deadline = clock_now(dsm->clock) + dsm->options.attach_timeout_ms * UINT64_C(1000000);
	rc = link_open(dsm, dsm->options.attach_timeout_ms, &link);
	if (rc)
		goto free_handle;
	pthread_mutex_lock(&dsm->lock);
	slow_install(dsm, link);
	pthread_mutex_unlock(&dsm->lock);
	rc = attend_first(dsm, deadline);
	if (rc == 0)
		rc = thread_join(dsm);
	if (rc)
		goto free_handle;
	dsm->magic = HANDLE_MAGIC;
	*out = dsm;
	return 0;
free_handle:
	writer_free(&dsm->writer);
	handle_free(dsm);
	return rc;
}

int dsm_attach(const char *uri, const struct dsm_options *opts, struct dsm **out)
{
	struct uri parsed;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_attach(): null pointer for the handle");
	int rc = uri_parse(uri, &parsed);
	return rc ? rc : dsm__attach(&parsed, NULL, opts, out);
}

static void say_bye(struct dsm *dsm)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	struct link *link = slow_link(dsm);
	if (!link || dsm->lost)
		return;
	control_begin(&w, message, sizeof(message), CONTROL_BYE);
	link->ops->send(link->conn, message, control_end(&w));
}

void dsm_detach(struct dsm **handle)
{
	if (!handle || !*handle)
		return;
	struct dsm *dsm = *handle;
	*handle = NULL;
	if (dsm->magic != HANDLE_MAGIC)
		return;
	bool child = !dsm->usable;
	if (!child) {
		thread_leave(dsm);
		slow_end_try(dsm);
		say_bye(dsm);
	}
	dsm->magic = 0;
	writer_free(&dsm->writer);
	handle_free(dsm);
}
