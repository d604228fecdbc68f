/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: one cell, one group, several groups of one step, in place. Attempts are the
 * transport's; repeating them, deadlines and floors are here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"

#define SPIN_TRIES 32u
#define LATE_TRIES 16u          /* whoever has no time to wait does not see a single torn attempt */

/* Older than what this handle has returned already? Else it is the new floor. */
static inline int floor_moves(struct group_seen *seen, const struct slot_meta *meta)
{
	return seen_moves(seen, meta) ? 0 : -EAGAIN;
}

uint8_t read_flags(const struct dsm *dsm, uint32_t group, const struct slot_meta *meta)
{
	uint32_t flags = atomic_load_explicit(&dsm->attention, memory_order_relaxed) & ATTEND_FLAGS;
	if (meta->owner_state & META_REMEMBERED)
		flags |= DSM_STALE_ENGINE;
	if ((meta->owner_state & ~META_REMEMBERED) != DSM_ALIVE)
		flags |= DSM_STALE_OWNER;
	return (uint8_t)(flags | atomic_load_explicit(&dsm->seen[group].aged, memory_order_relaxed));
}

/* The bank has moved (or was never mapped): have it mapped, within the deadline. */
static int fetch_bank(struct dsm *dsm, uint32_t group, uint64_t deadline)
{
	uint32_t owner = dsm->link->view.groups[group].owner;
	unsigned char message[CONTROL_HEAD + 8];
	struct control_writer w;
	struct control_map map = { owner, 1 };
	int rc = 0;
	pthread_mutex_lock(&dsm->lock);
	if (dsm->lost) {
		rc = dsm__fail(-ENOTCONN, "the engine is gone and this group was moved before that");
	} else if (!(atomic_load_explicit(&dsm->attention, memory_order_relaxed) & ATTEND_ADOPT)) {
		control_begin(&w, message, sizeof(message), CONTROL_MAP);
		control_put_map(&w, &map);
		dsm->ops->send(dsm->conn, message, control_end(&w));
		while (!(atomic_load_explicit(&dsm->attention, memory_order_relaxed) & ATTEND_ADOPT) &&
		       !dsm->lost && slow_wait(dsm, deadline))
			;
	}
	pthread_mutex_unlock(&dsm->lock);
	return rc ? rc : handle_attend(dsm);
}

static void pause_briefly(uint32_t attempt)
{
	if (attempt < SPIN_TRIES)
		return;
	struct timespec t = { 0, attempt < 2 * SPIN_TRIES ? 1000 : 20000 };
	nanosleep(&t, NULL);
}

/* After a first failure; out of line so that the read path stays short. */
static __attribute__((noinline)) int attempts_go_on(struct dsm *dsm, struct attempt *a,
	struct slot_meta *meta, int rc, uint64_t deadline)
{
	if (!deadline)
		deadline = deadline_after(dsm, (int)dsm->call_timeout_ms);
	uint32_t tag = handle_tag(dsm), late = a->until && a->until < deadline ? LATE_TRIES : 0;
	deadline = late ? a->until : deadline;
	for (uint32_t i = 1; i < dsm->tries; i++) {
		if (rc == -ESTALE || rc == -ENODATA) {
			bool own = a->to == dsm->value; /* another link, with its own buffer, may come */
			int fetched = fetch_bank(dsm, a->group, deadline);
			if (own)
				a->to = dsm->value;
			if (fetched)
				return fetched;
			if (handle_tag(dsm) != tag)
				return dsm__fail(-ESTALE, "the engine has another table now: look the names up again");
		} else if (rc != -EAGAIN) {
			return rc;
		}
		dsm->stats.retries++;
		dsm->stats.torn += rc == -EAGAIN;
		pause_briefly(i);
		rc = a->run(dsm, a, meta);
		if (rc == 0)
			rc = floor_moves(&dsm->seen[a->group], meta);
		if (rc == 0)
			return 0;
		if (i >= late && clock_now(dsm->clock) >= deadline)
			return dsm__fail(-ETIMEDOUT, "%s: no whole version in time (call_timeout_ms is %u)",
				view_text(&dsm->link->view, dsm->link->view.groups[a->group].name),
				dsm->call_timeout_ms);
	}
	return dsm__fail(-EAGAIN, "%s: no whole version in %u tries; the writer is faster than the "
		"ring is deep: see K in `dsm info`",
		view_text(&dsm->link->view, dsm->link->view.groups[a->group].name), dsm->tries);
}

int read_attempts(struct dsm *dsm, struct attempt *a, struct slot_meta *meta)
{
	uint64_t deadline = handle_begin(dsm);
	int rc = a->run(dsm, a, meta);
	if (rc == 0)
		rc = floor_moves(&dsm->seen[a->group], meta);
	return rc == 0 ? 0 : attempts_go_on(dsm, a, meta, rc, deadline);
}

static int run_part(struct dsm *dsm, struct attempt *a, struct slot_meta *meta)
{
	return dsm->ops->read(dsm->conn, a->group, a->offset, a->bytes, a->to, meta);
}

static void fill_sample(const struct dsm *dsm, const struct directory_cell *c,
	const uint64_t *record, const struct slot_meta *meta, struct dsm_sample *out)
{
	out->changed_ns = (int64_t)(record[0] & ~(uint64_t)PAYLOAD_QUALITY_BITS);
	out->quality = (uint8_t)(record[0] & PAYLOAD_QUALITY_BITS);
	out->seq = meta->seq;
	out->epoch = meta->epoch;
	out->flags = read_flags(dsm, c->group, meta);
}

static __attribute__((noinline)) int read_sized(struct dsm *dsm, const struct directory_cell *c,
	struct dsm_sample *out)
{
	struct slot_meta meta;
	struct attempt a = { .run = run_part, .group = c->group, .offset = c->offset_lo, .to = dsm->value,
		.bytes = payload_record_bytes((enum dsm_type)c->type, c->capacity) };
	if (a.bytes > READ_CELL_MAX)
		return dsm__fail(-EMSGSIZE, "%s: %llu bytes are too many for dsm_read(): use "
			"dsm_borrow() or dsm_snapshot()", view_text(&dsm->link->view, c->name),
			(unsigned long long)a.bytes);
	uint32_t index = (uint32_t)(c - dsm->cells);
	int rc = read_attempts(dsm, &a, &meta);
	if (rc)
		return rc;
	c = &dsm->cells[index]; /* the link may have been replaced by one with the same table */
	value_decode(c, dsm->value, &out->value);
	if (c->type != DSM_F64_ARRAY)
		((char *)(dsm->value + 2))[out->value.len] = 0;
	fill_sample(dsm, c, dsm->value, &meta, out);
	return 0;
}

/* ---- one scalar cell: the short way, and the long way for all that is not plain ---- */

/* A scalar as it was committed. */
struct scalar {
	const struct ring_quick *quick;
	uint64_t record[2], seq;
	uint32_t epoch;
};

/* False: take the long way, which finds out why. Nothing has changed then. */
static inline bool read_quick(struct dsm *dsm, struct dsm_cell cell, struct scalar *s)
{
	uint64_t index;
	if (!handle_plain(dsm, cell, &index))
		return false;
	const struct ring_quick *q = s->quick = &dsm->quick[index];
	if (__builtin_expect(!q->pulse || !ring_quick_read(q, s->record, &s->seq, &s->epoch), 0))
		return false;
	dsm->stats.reads++;
	return true;
}

/* From now on the short way, if all that it leaves out is out of the question: a check, a maximum
 * age, a bool (to be made 0 or 1 whatever the slot holds). */
static void open_quick(struct dsm *dsm, uint32_t index)
{
	const struct directory_cell *c = &dsm->cells[index];
	if (dsm->rings && c->type != DSM_BOOL && !dsm->link->view.groups[c->group].max_age_ms)
		ring_quick_set(&dsm->quick[index], &dsm->rings[c->group], DSM_ALIVE, c->offset_lo, c->type);
}

static __attribute__((noinline)) int read_slowly(struct dsm *dsm, struct dsm_cell cell,
	struct dsm_sample *out)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &index)) != 0)
		return rc;
	if (__builtin_expect(!out, 0))
		return dsm__fail(-EINVAL, "dsm_read(): null pointer for the sample");
	dsm->stats.reads++;
	const struct directory_cell *c = &dsm->cells[index];
	if (!payload_is_scalar((enum dsm_type)c->type))
		return read_sized(dsm, c, out);
	uint64_t record[2];
	struct slot_meta meta;
	uint64_t deadline = handle_begin(dsm);
	rc = dsm->ops->read(dsm->conn, c->group, c->offset_lo, sizeof(record), record, &meta);
	if (__builtin_expect(rc == 0, 1))
		rc = floor_moves(&dsm->seen[c->group], &meta);
	if (__builtin_expect(rc != 0, 0)) {
		struct attempt a = { .run = run_part, .group = c->group, .offset = c->offset_lo,
			.bytes = sizeof(record), .to = record };
		rc = attempts_go_on(dsm, &a, &meta, rc, deadline);
		if (rc)
			return rc;
		c = &dsm->cells[index]; /* as in read_sized() */
	}
	out->value.type = (enum dsm_type)c->type;
	out->value.len = 1;
	/* bool: little-endian, so that .b reads it */
	out->value.u64 = c->type == DSM_BOOL ? record[1] != 0 : record[1];
	fill_sample(dsm, c, record, &meta, out);
	if (!dsm->quick[index].pulse)
		open_quick(dsm, index);
	return 0;
}

int dsm_read(struct dsm *dsm, struct dsm_cell cell, struct dsm_sample *out)
{
	struct scalar s;
	if (__builtin_expect(!out || !read_quick(dsm, cell, &s), 0))
		return read_slowly(dsm, cell, out);
	out->value.type = (enum dsm_type)s.quick->type;
	out->value.len = 1;
	out->value.u64 = s.record[1];
	out->changed_ns = (int64_t)(s.record[0] & ~(uint64_t)PAYLOAD_QUALITY_BITS);
	out->seq = s.seq;
	out->epoch = s.epoch;
	out->quality = (uint8_t)(s.record[0] & PAYLOAD_QUALITY_BITS);
	out->flags = 0;
	return 0;
}

static __attribute__((noinline)) int read_f64_slowly(struct dsm *dsm, struct dsm_cell cell, double *out)
{
	struct dsm_sample s;
	int rc = read_slowly(dsm, cell, &s);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_read_f64(): null pointer");
	if (!payload_is_scalar(s.value.type))
		return dsm__fail(-EINVAL, "%s: is no number",
			view_text(&dsm->link->view, dsm->cells[(uint32_t)cell.id].name));
	if (s.quality == DSM_NEVER_WRITTEN || s.quality == DSM_BAD)
		return dsm__fail(-ENODATA, "%s: %s", view_text(&dsm->link->view,
			dsm->cells[(uint32_t)cell.id].name), dsm_quality_name((enum dsm_quality)s.quality));
	*out = s.value.type == DSM_F64 ? s.value.f64 : s.value.type == DSM_I64 ? (double)s.value.i64 :
		s.value.type == DSM_U64 ? (double)s.value.u64 : (double)s.value.b;
	return 0;
}

int dsm_read_f64(struct dsm *dsm, struct dsm_cell cell, double *out)
{
	struct scalar s;
	if (__builtin_expect(!out || !read_quick(dsm, cell, &s), 0))
		return read_f64_slowly(dsm, cell, out);
	uint64_t quality = s.record[0] & PAYLOAD_QUALITY_BITS;
	if (__builtin_expect(quality == DSM_NEVER_WRITTEN || quality == DSM_BAD || s.quick->type != DSM_F64, 0))
		return read_f64_slowly(dsm, cell, out);
	memcpy(out, &s.record[1], sizeof(*out));
	return 0;
}

/* ---- groups ---- */

int dsm_snapshot(struct dsm *dsm, struct dsm_group group, struct dsm_frame *frame)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, group, &index)) != 0 || (rc = frame_check(frame, group)) != 0)
		return rc;
	return read_group(dsm, index, frame, 0);
}

int read_group(struct dsm *dsm, uint32_t index, struct dsm_frame *frame, uint64_t until)
{
	dsm->stats.reads++;
	struct attempt a = { .run = run_part, .group = index, .bytes = frame->bytes, .to = frame->payload,
		.until = until };
	frame->full = false;
	int rc = read_attempts(dsm, &a, &frame->meta);
	if (rc)
		return rc;
	frame->flags = read_flags(dsm, index, &frame->meta);
	frame->full = true;
	return 0;
}

/* All groups as of one step; -EAGAIN when a ring no longer reaches back to it. */
static int step_attempt(struct dsm *dsm, const struct dsm_group *groups, uint32_t n,
	struct dsm_frame *const *frames, uint64_t step)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		if (dsm->ops->ahead && i % TRANSPORT_AHEAD == 0)
			dsm->ops->ahead(dsm->conn, groups + i, n - i < TRANSPORT_AHEAD ? n - i : TRANSPORT_AHEAD);
		frames[i]->full = false;
		rc = dsm->ops->read_step(dsm->conn, (uint32_t)groups[i].id, step, frames[i]->payload,
			&frames[i]->meta);
		if (rc == 0 && frames[i]->meta.epoch < dsm->seen[(uint32_t)groups[i].id].epoch)
			rc = -EAGAIN;
	}
	return rc;
}

int dsm_snapshot_step(struct dsm *dsm, const struct dsm_group *groups, uint32_t n,
	struct dsm_frame *const *frames, uint64_t *step)
{
	int rc = handle_check(dsm);
	uint32_t index, owner = DSM_NONE;
	if (rc == 0 && (!groups || !frames || n == 0))
		rc = dsm__fail(-EINVAL, "dsm_snapshot_step(): no groups or frames given");
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		if ((rc = handle_group(dsm, groups[i], &index)) || (rc = frame_check(frames[i], groups[i])))
			break;
		uint32_t this_owner = dsm->link->view.groups[index].owner;
		if (owner != DSM_NONE && owner != this_owner)
			rc = dsm__fail(-EINVAL, "groups of different owners have no common step: \"%s\" is not "
				"of the first group's owner", view_text(&dsm->link->view,
				dsm->link->view.groups[index].name));
		owner = this_owner;
	}
	uint64_t s = 0;
	uint64_t deadline = rc ? 0 : deadline_after(dsm, (int)dsm->call_timeout_ms);
	if (rc == 0 && dsm->ops->begin)
		dsm->ops->begin(dsm->conn, deadline);
	for (uint32_t i = 0; rc == 0 && i < dsm->tries; i++) {
		s = dsm->ops->step_complete(dsm->conn, owner);
		rc = step_attempt(dsm, groups, n, frames, s);
		dsm->stats.reads++;
		if (rc == 0)
			break;
		dsm->stats.retries++;
		if (rc == -ESTALE || rc == -ENODATA) {
			rc = fetch_bank(dsm, (uint32_t)groups[0].id, deadline);
			if (rc == 0 && (uint32_t)(groups[0].id >> 32) != handle_tag(dsm))
				return dsm__fail(-ESTALE, "the engine has another table now: look the names up again");
		} else if (rc == -EAGAIN && i + 1 < dsm->tries && clock_now(dsm->clock) < deadline)
			rc = 0;
		else if (rc == -EAGAIN)
			rc = dsm__fail(-EAGAIN, "the owner overran its rings in each of %u tries", i + 1);
		pause_briefly(i);
		if (rc == 0 && i + 1 == dsm->tries)
			rc = dsm__fail(-EAGAIN, "the owner overran its rings in each of %u tries", i + 1);
	}
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		frames[i]->flags = read_flags(dsm, (uint32_t)groups[i].id, &frames[i]->meta);
		frames[i]->full = true;
	}
	if (rc == 0 && step)
		*step = s;
	return rc;
}

/* ---- in place ---- */

/* Until it is there, tries or the deadline are over, or it is final. *cell: of the link in use then. */
static int borrow_attempts(struct dsm *dsm, const struct directory_cell **cell, const void **at,
	struct slot_meta *m)
{
	uint32_t index = (uint32_t)(*cell - dsm->cells), tag = handle_tag(dsm);
	uint64_t deadline = handle_begin(dsm);
	int rc = dsm->ops->borrow(dsm->conn, (*cell)->group, (*cell)->offset_lo, at, m);
	for (uint32_t i = 1; rc == -EAGAIN || rc == -ESTALE; i++) {
		deadline = deadline ? deadline : deadline_after(dsm, (int)dsm->call_timeout_ms);
		if (i >= dsm->tries)
			return -EAGAIN;
		if (clock_now(dsm->clock) >= deadline)
			return -ETIMEDOUT;
		if (rc == -ESTALE) {
			rc = fetch_bank(dsm, (*cell)->group, deadline);
			if (rc)
				return rc;
			if (tag != handle_tag(dsm))
				return -ESTALE;
			*cell = &dsm->cells[index];
		}
		pause_briefly(i);
		rc = dsm->ops->borrow(dsm->conn, (*cell)->group, (*cell)->offset_lo, at, m);
	}
	return rc;
}

int dsm_borrow(struct dsm *dsm, struct dsm_cell cell, const void **data, uint64_t *bytes,
	struct dsm_sample *meta)
{
	uint32_t index = 0;
	const void *at = NULL;
	struct slot_meta m;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &index)) != 0)
		return rc;
	const struct directory_cell *c = &dsm->cells[index];
	const char *name = view_text(&dsm->link->view, c->name);
	if (payload_is_scalar((enum dsm_type)c->type) || !data || !bytes || !meta)
		return dsm__fail(-EINVAL, "%s: only strings, bytes and arrays can be borrowed", name);
	if (dsm->borrowing)
		return dsm__fail(-EBUSY, "a borrow is open already: dsm_return() it first");
	rc = borrow_attempts(dsm, &c, &at, &m);
	if (rc == -ESTALE)
		return dsm__fail(rc, "the engine has another table now: look the names up again");
	name = view_text(&dsm->link->view, c->name);
	if (rc == -ENODATA)
		return dsm__fail(rc, "%s: never written", name);
	if (rc)
		return dsm__fail(rc, "%s: cannot be borrowed just now", name);
	const uint64_t *record = at;
	fill_sample(dsm, c, record, &m, meta);
	value_decode(c, record, &meta->value);
	*data = meta->value.bytes;
	*bytes = c->type == DSM_F64_ARRAY ? 8ull * meta->value.len : meta->value.len;
	dsm->borrowing = true;
	dsm->lent_cell = index;
	dsm->lent_seq = m.seq;
	dsm->stats.reads++;
	return 0;
}

int dsm_return(struct dsm *dsm)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!dsm->borrowing)
		return dsm__fail(-EAGAIN, "nothing is borrowed; if the table was replaced meanwhile, "
			"throw away what you took");
	dsm->borrowing = false;
	rc = dsm->ops->borrow_end(dsm->conn, dsm->cells[dsm->lent_cell].group, dsm->lent_seq);
	return rc ? dsm__fail(-EAGAIN, "the data was overwritten while it was borrowed: throw it away") : 0;
}
