/* SPDX-License-Identifier: Apache-2.0 */
/* Writing as an owner: the public calls around writer.c, and loans. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "core/step.h"

/* ---- the writer's sink: the handle's transport ---- */

static int sink_publish(void *context, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	struct dsm *dsm = context;
	return dsm->ops->publish(dsm->conn, group, fields, image);
}

static int sink_complete(void *context, uint64_t step, const uint32_t *groups, uint32_t n)
{
	struct dsm *dsm = context;
	return dsm->ops->complete(dsm->conn, dsm->writer.owner, step, groups, n);
}

static int load(struct dsm *dsm, uint32_t group, uint64_t bytes, uint64_t *image, struct slot_meta *meta)
{
	uint64_t until = clock_now(dsm->clock) + dsm->call_timeout_ms * UINT64_C(1000000);
	handle_begin(dsm);
	for (uint32_t i = 0; i < dsm->tries && (i == 0 || clock_now(dsm->clock) < until); i++) {
		int rc = dsm->ops->read(dsm->conn, group, 0, bytes, image, meta);
		if (rc == -ETIMEDOUT)
			break;
		if (rc != -EAGAIN)
			return rc == -ESTALE ? dsm__fail(-EOWNERDEAD, "the bank was given to somebody else") : rc;
	}
	return dsm__fail(-EAGAIN, "the own group cannot be read back");
}

static int sink_load(void *context, uint32_t group, uint64_t *image, struct slot_meta *meta)
{
	struct dsm *dsm = context;
	return load(dsm, group, dsm->link->view.groups[group].payload_bytes, image, meta);
}

static uint64_t sink_step(void *context)
{
	struct dsm *dsm = context;
	uint64_t step = STEP_TORN, until = clock_now(dsm->clock) + dsm->call_timeout_ms * UINT64_C(1000000);
	handle_begin(dsm);
	for (uint32_t i = 0; i < dsm->tries && step == STEP_TORN && (i == 0 || clock_now(dsm->clock) < until); i++)
		step = dsm->ops->step_complete(dsm->conn, dsm->link->welcome.owner);
	return step;
}

const struct writer_sink write_sink = { sink_publish, sink_complete, sink_load, sink_step };

/* What the rings of the role hold came from a state file at best, or from the generation before. The first
 * grant says so; so does a later one whose predecessors committed nothing, as when the answer to this
 * handle's own first try came too late. */
static bool nobody_committed(struct dsm *dsm, const struct link *old)
{
	struct slot_meta meta;
	bool none = dsm->link->welcome.epoch == 1 || old->welcome.generation != dsm->link->welcome.generation;
	for (uint32_t i = 0; dsm->link->welcome.epoch > 1 && none && i < dsm->writer.group_count; i++)
		none = load(dsm, dsm->writer.first_group + i, 0, NULL, &meta) == 0 && (meta.seq == 0 || meta.epoch == 0);
	return none;
}

/* Then it is older than this owner's own image, which is published again, whole. */
static int republish(struct dsm *dsm, struct writer *before)
{
	int rc = writer_begin(&dsm->writer, clock_stamp(dsm->clock));
	for (uint32_t i = 0; rc == 0 && i < before->group_count; i++) {
		uint32_t group = dsm->writer.first_group + i;
		uint64_t *image;
		if (!before->groups[i].image)
			continue;
		rc = writer_image(&dsm->writer, group, &image);
		if (rc)
			break;
		memcpy(image, before->groups[i].image, dsm->link->view.groups[group].payload_bytes);
		dsm->writer.groups[i].dirty = true;
		dsm->writer.dirty[dsm->writer.dirty_count++] = group;
	}
	return rc ? rc : writer_commit(&dsm->writer, NULL);
}

int write_adopt(struct dsm *dsm, struct link *old, bool same_layout)
{
	struct writer before = dsm->writer;
	bool had = before.groups != NULL;
	dsm->has_writer = false;
	dsm->writer = (struct writer){ 0 };
	int rc = 0;
	uint32_t owner = dsm->link->welcome.owner;
	if (owner != DSM_NONE) {
		rc = writer_init(&dsm->writer, &dsm->link->view, owner, dsm->link->welcome.epoch,
			&write_sink, dsm);
		dsm->has_writer = rc == 0;
		if (rc == 0 && had && old && same_layout && before.owner == owner && nobody_committed(dsm, old))
			rc = republish(dsm, &before);
	}
	/* the connection went before the role was in use: the next one has the image to begin with */
	if (rc && !dsm->has_writer && same_layout) {
		before.time = 0;
		before.view = NULL;
		dsm->writer = before;
	} else {
		writer_free(&before);
	}
	return rc;
}

/* ---- public ---- */

/* The role was granted, but what its groups hold could not be read in time. */
static int begin_late(struct dsm *dsm)
{
	pthread_mutex_lock(&dsm->lock);
	int rc = write_adopt(dsm, dsm->link, true);
	pthread_mutex_unlock(&dsm->lock);
	return rc ? dsm__fail(-ENOTCONN, "owner \"%s\": the connection was lost before what it owns could be "
		"read; try again", dsm->owner_name) : 0;
}

static int need_writer(struct dsm *dsm)
{
	if (atomic_load_explicit(&dsm->deposed, memory_order_relaxed))
		return dsm__fail(-EOWNERDEAD, "owner \"%s\" was given to somebody else: attach again",
			dsm->owner_name);
	if (!dsm->has_writer && dsm->link->welcome.owner != DSM_NONE)
		return begin_late(dsm);
	if (!dsm->has_writer)
		return dsm__fail(-EPERM, "this handle owns nothing: attach with options.owner, "
			"or dsm_request() the owner");
	return 0;
}

/* The engine gives the role anew to a handle that comes back, and the old grant ends by that: its
 * last commit then fails, though nobody else has the role. */
static int renewed_or(struct dsm *dsm, int rc)
{
	if (rc != -EOWNERDEAD)
		return rc;
	pthread_mutex_lock(&dsm->lock);
	bool renewed = !dsm->deposed && (dsm->lost || dsm->next);
	pthread_mutex_unlock(&dsm->lock);
	return renewed ? dsm__fail(-ENOTCONN, "owner \"%s\": the connection was lost or renewed meanwhile; "
		"whether this commit survived is not known: commit again", dsm->owner_name) : rc;
}

int dsm_begin(struct dsm *dsm, int64_t time_ns)
{
	/* the short way: an owner with nothing to attend to, nothing open */
	if (__builtin_expect(handle_calm(dsm) && dsm->has_writer && !dsm->loaned && !dsm->writer.time, 1)) {
		dsm->writer.time = time_ns ? time_ns : clock_stamp(dsm->clock);
		return 0;
	}
	int rc = handle_check(dsm);
	if (rc || (rc = need_writer(dsm)) != 0)
		return rc;
	if (dsm->loaned)
		return dsm__fail(-EBUSY, "a loan is open: dsm_publish() or dsm_abort() it first");
	return writer_begin(&dsm->writer, time_ns ? time_ns : clock_stamp(dsm->clock));
}

/* Checks for a call that changes a cell of an own group. */
static inline int own_cell(struct dsm *dsm, struct dsm_cell cell, uint32_t *index)
{
	/* no handle_check(): an open commit must not see its bank replaced half-way */
	if (!handle_usable(dsm))
		return handle_bad(dsm);
	int rc = handle_cell(dsm, cell, index);
	if (rc)
		return rc;
	if (!dsm->has_writer)
		return need_writer(dsm);
	const struct directory_cell *c = &dsm->cells[*index];
	if (!writer_owns(&dsm->writer, c->group))
		return dsm__fail(-EPERM, "%s: belongs to owner \"%s\", this handle is \"%s\"; ask it by "
			"dsm_request()", view_text(&dsm->link->view, c->name),
			view_text(&dsm->link->view,
				dsm->link->view.owners[dsm->link->view.groups[c->group].owner].name),
			dsm->owner_name);
	return 0;
}

int dsm_set(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *value)
{
	uint32_t index = 0;
	int rc = own_cell(dsm, cell, &index);
	if (rc == 0 && !value)
		rc = dsm__fail(-EINVAL, "dsm_set(): null pointer for the value");
	return rc ? rc : writer_set(&dsm->writer, index, value);
}

/* Out of line, so that the short ways need no registers saved. */
static __attribute__((noinline)) int set_word(struct dsm *dsm, struct dsm_cell cell, enum dsm_type type,
	uint64_t word)
{
	struct dsm_value v = { .type = type, .len = 1, .u64 = word };
	return dsm_set(dsm, cell, &v);
}

/* False: set_word(), which finds out why. The writer's groups are none without an owner's role. */
static inline bool set_quick(struct dsm *dsm, struct dsm_cell cell, enum dsm_type type, uint64_t word)
{
	uint64_t index;
	return handle_plain(dsm, cell, &index) &&
		__builtin_expect(writer_set_word(&dsm->writer, (uint32_t)index, type, word), 1);
}

#define F64_EXPONENT UINT64_C(0x7ff0000000000000) /* all ones: infinity or NaN */

int dsm_set_f64(struct dsm *dsm, struct dsm_cell cell, double value)
{
	uint64_t word;
	memcpy(&word, &value, sizeof(word));
	if ((word & F64_EXPONENT) != F64_EXPONENT && set_quick(dsm, cell, DSM_F64, word))
		return 0;
	return set_word(dsm, cell, DSM_F64, word);
}

int dsm_set_i64(struct dsm *dsm, struct dsm_cell cell, int64_t value)
{
	if (set_quick(dsm, cell, DSM_I64, (uint64_t)value))
		return 0;
	return set_word(dsm, cell, DSM_I64, (uint64_t)value);
}

int dsm_set_u64(struct dsm *dsm, struct dsm_cell cell, uint64_t value)
{
	if (set_quick(dsm, cell, DSM_U64, value))
		return 0;
	return set_word(dsm, cell, DSM_U64, value);
}

int dsm_set_bool(struct dsm *dsm, struct dsm_cell cell, bool value)
{
	if (set_quick(dsm, cell, DSM_BOOL, value))
		return 0;
	return set_word(dsm, cell, DSM_BOOL, value);
}

int dsm_set_string(struct dsm *dsm, struct dsm_cell cell, const char *value)
{
	size_t n = value ? strlen(value) : 0;
	struct dsm_value v = { .type = DSM_STRING, .str = value,
		.len = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n };
	return dsm_set(dsm, cell, &v);
}

int dsm_set_quality(struct dsm *dsm, struct dsm_cell cell, enum dsm_quality quality)
{
	uint32_t index = 0;
	int rc = own_cell(dsm, cell, &index);
	return rc ? rc : writer_set_quality(&dsm->writer, index, quality);
}

/* One group in one call of the transport. False: nothing was done, the long way goes on. */
static inline bool commit_quick(struct dsm *dsm, uint64_t *step, int *rc)
{
	struct writer *w = &dsm->writer;
	if (__builtin_expect(!w->time || w->dirty_count != 1 || !dsm->ops->commit, 0))
		return false;
	struct writer_group *g = &w->groups[w->dirty[0] - w->first_group];
	struct check_fields f = writer_fields(w, g, w->step + 1);
	*rc = dsm->ops->commit(dsm->conn, w->dirty[0], &f, g->image);
	if (__builtin_expect(*rc == -ESTALE, 0))
		return false;
	writer_committed(w, g);
	if (*rc == 0 && step)
		*step = w->step;
	return true;
}

static __attribute__((noinline)) int commit_slowly(struct dsm *dsm, uint64_t *step)
{
	if (!handle_usable(dsm))
		return handle_bad(dsm);
	if (!dsm->has_writer)
		return need_writer(dsm);
	int rc = writer_commit(&dsm->writer, step);
	dsm->stats.commits += rc == 0;
	return renewed_or(dsm, rc);
}

int dsm_commit(struct dsm *dsm, uint64_t *step)
{
	int done;
	if (!handle_calm(dsm) || !commit_quick(dsm, step, &done))
		return commit_slowly(dsm, step);
	dsm->stats.commits += done == 0;
	return __builtin_expect(done == 0, 1) ? 0 : renewed_or(dsm, done);
}

void dsm_abort(struct dsm *dsm)
{
	if (!handle_usable(dsm) || !dsm->has_writer)
		return;
	dsm->loaned = false; /* its slot is invalid already, and the next commit's */
	writer_abort(&dsm->writer);
}

int dsm_write(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *value)
{
	int rc = dsm_begin(dsm, 0);
	if (rc)
		return rc;
	rc = dsm_set(dsm, cell, value);
	if (rc) {
		dsm_abort(dsm);
		return rc;
	}
	return dsm_commit(dsm, NULL);
}

/* ---- loans ---- */

int dsm_loan(struct dsm *dsm, struct dsm_cell cell, void **data, uint64_t *capacity)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = own_cell(dsm, cell, &index)) != 0 || (rc = need_writer(dsm)) != 0)
		return rc;
	const struct directory_cell *c = &dsm->cells[index];
	const struct directory_group *g = &dsm->link->view.groups[c->group];
	const char *name = view_text(&dsm->link->view, c->name);
	if ((c->type != DSM_BYTES && c->type != DSM_F64_ARRAY) || g->cell_count != 1 || !data || !capacity)
		return dsm__fail(-EINVAL, "%s: only a bytes or array cell alone in its group can be lent", name);
	if (dsm->loaned || dsm->writer.time)
		return dsm__fail(-EBUSY, "a loan or a commit is open already");
	uint64_t newest = dsm->ops->newest(dsm->conn, c->group);
	rc = dsm->ops->loan(dsm->conn, c->group, newest + 1, &dsm->lent_payload);
	if (rc)
		return rc;
	dsm->loaned = true;
	dsm->lent_cell = index;
	dsm->lent_seq = newest + 1;
	uint64_t *record = dsm->lent_payload + c->offset_lo / 8;
	*data = c->type == DSM_BYTES ? record + 2 : record + 1;
	*capacity = c->type == DSM_BYTES ? c->capacity : 8ull * c->capacity;
	return 0;
}

int dsm_publish(struct dsm *dsm, uint64_t bytes, int64_t time_ns)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!dsm->loaned)
		return dsm__fail(-ENOTCONN, "no loan is open: dsm_loan() first");
	struct writer *w = &dsm->writer;
	const struct directory_cell *c = &dsm->cells[dsm->lent_cell];
	uint64_t room = c->type == DSM_BYTES ? c->capacity : 8ull * c->capacity;
	uint64_t *record = dsm->lent_payload + c->offset_lo / 8;
	if (bytes > room || (c->type == DSM_F64_ARRAY && bytes != room))
		return dsm__fail(-EMSGSIZE, "%s: %llu bytes published of a loan of %llu",
			view_text(&dsm->link->view, c->name), (unsigned long long)bytes,
			(unsigned long long)room);
	int64_t time = time_ns ? time_ns : clock_stamp(dsm->clock);
	record[0] = ((uint64_t)time & ~(uint64_t)PAYLOAD_QUALITY_BITS) | DSM_GOOD;
	if (c->type == DSM_BYTES) {
		record[1] = bytes;
		memset((char *)(record + 2) + bytes, 0, ((room + 7) & ~UINT64_C(7)) - bytes);
	}
	struct check_fields f = { dsm->lent_seq,
		w->epoch | dsm->link->view.groups[c->group].payload_bytes << 32, (uint64_t)time, w->step + 1 };
	dsm->loaned = false;
	rc = dsm->ops->loan_end(dsm->conn, c->group, &f);
	if (rc)
		return rc;
	writer_forget_image(w, c->group, dsm->lent_seq);
	w->step++;
	dsm->stats.commits++;
	return renewed_or(dsm, dsm->ops->complete(dsm->conn, w->owner, w->step, &c->group, 1));
}
