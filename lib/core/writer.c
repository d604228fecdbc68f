/* SPDX-License-Identifier: Apache-2.0 */
#include "core/writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/lines.h"
#include "core/step.h"

static void drop_image(struct writer_group *g)
{
	if (g->image != g->small)
		free(g->image);
	g->image = NULL;
}

int writer_init(struct writer *w, const struct view *view, uint32_t owner, uint32_t epoch,
	const struct writer_sink *sink, void *context)
{
	const struct directory_owner *o = &view->owners[owner];
	*w = (struct writer){ .view = view, .sink = sink, .context = context, .owner = owner,
		.first_group = o->first_group, .group_count = o->group_count, .epoch = epoch };
	w->groups = lines_new(o->group_count, &w->groups_memory);
	w->dirty = calloc(o->group_count ? o->group_count : 1, sizeof(*w->dirty));
	if (!w->groups || !w->dirty) {
		writer_free(w);
		return dsm__fail(-ENOMEM, "no memory for %u groups", o->group_count);
	}
	w->step = sink->step(context);
	if (w->step == STEP_TORN) {
		writer_free(w);
		return dsm__fail(-EAGAIN, "the owner's last step cannot be read");
	}
	return 0;
}

void writer_free(struct writer *w)
{
	for (uint32_t i = 0; w->groups && i < w->group_count; i++)
		drop_image(&w->groups[i]);
	free(w->groups_memory);
	free(w->dirty);
	*w = (struct writer){ 0 };
}

int writer_begin(struct writer *w, int64_t time)
{
	if (w->time)
		return dsm__fail(-EBUSY, "a commit is open already: dsm_commit() or dsm_abort() it");
	w->time = time;
	return 0;
}

int writer_image(struct writer *w, uint32_t group, uint64_t **image)
{
	struct writer_group *g = &w->groups[group - w->first_group];
	if (!g->image) {
		uint64_t bytes = w->view->groups[group].payload_bytes;
		uint64_t *fresh = bytes <= WRITER_SMALL ? g->small : calloc(1, bytes);
		struct slot_meta meta;
		if (!fresh)
			return dsm__fail(-ENOMEM, "no memory for an image of %llu bytes",
				(unsigned long long)bytes);
		int rc = w->sink->load(w->context, group, fresh, &meta);
		g->image = fresh;
		if (rc) {
			drop_image(g);
			return rc;
		}
		g->seq = meta.seq;
		g->length_high = bytes << 32;
	}
	*image = g->image;
	return 0;
}

void writer_forget_image(struct writer *w, uint32_t group, uint64_t seq)
{
	struct writer_group *g = &w->groups[group - w->first_group];
	drop_image(g);
	g->seq = seq;
}

/* The record to be changed, its group marked dirty. */
static int touch(struct writer *w, uint32_t cell, uint64_t **record)
{
	const struct directory_cell *c = &w->view->cells[cell];
	struct writer_group *g = &w->groups[c->group - w->first_group];
	if (!g->image) {
		uint64_t *image;
		int rc = writer_image(w, c->group, &image);
		if (rc)
			return rc;
	}
	if (!g->dirty) {
		g->dirty = true;
		w->dirty[w->dirty_count++] = c->group;
	}
	*record = g->image + c->offset_lo / 8;
	return 0;
}

static int not_open(void)
{
	return dsm__fail(-ENOTCONN, "no commit is open: call dsm_begin() first");
}

/* Quality and, if the value or the quality differs from before, the time. */
static void stamp(const struct writer *w, uint64_t *record, uint64_t quality, bool changed)
{
	if (changed || (record[0] & PAYLOAD_QUALITY_BITS) != quality)
		record[0] = ((uint64_t)w->time & ~(uint64_t)PAYLOAD_QUALITY_BITS) | quality;
}

/* Returns whether anything differs. */
static bool put(uint64_t *record, const struct directory_cell *c, const struct dsm_value *v)
{
	if (payload_is_scalar(v->type)) {
		uint64_t word = v->type == DSM_BOOL ? v->b : v->u64;
		bool changed = record[1] != word;
		record[1] = word;
		return changed;
	}
	uint64_t *data = v->type == DSM_F64_ARRAY ? record + 1 : record + 2;
	uint64_t bytes = v->type == DSM_F64_ARRAY ? 8ull * v->len : v->len;
	bool changed = bytes && memcmp(data, v->bytes, bytes) != 0;
	if (v->type != DSM_F64_ARRAY) {
		changed |= record[1] != v->len;
		uint64_t room = ((uint64_t)c->capacity + 7) & ~(uint64_t)7;
		if (record[1] > bytes)
			memset((char *)data + bytes, 0, room - bytes);
		record[1] = v->len;
	}
	if (changed && bytes)
		memcpy(data, v->bytes, bytes);
	return changed;
}

int writer_set(struct writer *w, uint32_t cell, const struct dsm_value *value)
{
	if (!w->time)
		return not_open();
	struct dsm_value v = *value;
	int rc = value_admit(w->view, cell, &v);
	uint64_t *record;
	if (rc == 0)
		rc = touch(w, cell, &record);
	if (rc == 0)
		stamp(w, record, DSM_GOOD, put(record, &w->view->cells[cell], &v));
	return rc;
}

int writer_set_quality(struct writer *w, uint32_t cell, enum dsm_quality quality)
{
	if (!w->time)
		return not_open();
	if ((unsigned)quality > DSM_SIMULATED)
		return dsm__fail(-EINVAL, "%s: %d is no quality",
			view_text(w->view, w->view->cells[cell].name), (int)quality);
	uint64_t *record;
	int rc = touch(w, cell, &record);
	if (rc == 0)
		stamp(w, record, quality, false);
	return rc;
}

int writer_restore(struct writer *w, uint32_t cell, const struct dsm_sample *sample)
{
	if (!w->time)
		return not_open();
	struct dsm_value v = sample->value;
	int rc = value_admit(w->view, cell, &v);
	uint64_t *record;
	if (rc == 0)
		rc = touch(w, cell, &record);
	if (rc)
		return rc;
	put(record, &w->view->cells[cell], &v);
	record[0] = ((uint64_t)sample->changed_ns & ~(uint64_t)PAYLOAD_QUALITY_BITS) | sample->quality;
	return 0;
}

int writer_commit(struct writer *w, uint64_t *step)
{
	if (!w->time)
		return not_open();
	int rc = 0;
	uint32_t n = w->dirty_count;
	uint64_t next = w->step + (n != 0);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t group = w->dirty[i];
		struct writer_group *g = &w->groups[group - w->first_group];
		struct check_fields f = writer_fields(w, g, next);
		if (rc == 0)
			rc = w->sink->publish(w->context, group, &f, g->image);
		g->seq += rc == 0;
		g->dirty = false;
		if (rc) /* what did not get out is not what the ring holds: load it anew */
			writer_forget_image(w, group, g->seq);
	}
	w->time = 0;
	w->dirty_count = 0;
	if (rc)
		return rc;
	w->step = next;
	w->commits += n != 0;
	if (n)
		rc = w->sink->complete(w->context, next, w->dirty, n);
	if (rc == 0 && step)
		*step = next;
	return rc;
}

void writer_abort(struct writer *w)
{
	for (uint32_t i = 0; i < w->dirty_count; i++) {
		uint32_t group = w->dirty[i];
		struct writer_group *g = &w->groups[group - w->first_group];
		writer_forget_image(w, group, g->seq);
		g->dirty = false;
	}
	w->dirty_count = 0;
	w->time = 0;
}

/* a + b, false on overflow. */
static bool add_numbers(const struct dsm_value *a, const struct dsm_value *b, struct dsm_value *sum)
{
	*sum = *a;
	switch (a->type) {
	case DSM_I64:
		return !__builtin_add_overflow(a->i64, b->i64, &sum->i64);
	case DSM_U64: /* the delta is taken as signed, so that one can count down */
		if ((int64_t)b->u64 < 0)
			return !__builtin_sub_overflow(a->u64, 0 - b->u64, &sum->u64);
		return !__builtin_add_overflow(a->u64, b->u64, &sum->u64);
	default:
		sum->f64 = a->f64 + b->f64;
		return isfinite(sum->f64);
	}
}

static int compare(const struct dsm_value *a, const struct dsm_value *b)
{
	switch (a->type) {
	case DSM_I64: return (a->i64 > b->i64) - (a->i64 < b->i64);
	case DSM_U64: return (a->u64 > b->u64) - (a->u64 < b->u64);
	default: return (a->f64 > b->f64) - (a->f64 < b->f64);
	}
}

int writer_add(struct writer *w, uint32_t cell, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, struct dsm_value *previous)
{
	if (!w->time)
		return not_open();
	const struct directory_cell *c = &w->view->cells[cell];
	const char *name = view_text(w->view, c->name);
	if ((uint32_t)delta->type != c->type || c->type < DSM_I64 || c->type > DSM_F64)
		return dsm__fail(-EINVAL, "%s: is of type %s; only i64, u64 and f64 can be added to, "
			"by a delta of the same type", name, dsm_type_name((enum dsm_type)c->type));
	uint64_t *image;
	int rc = writer_image(w, c->group, &image);
	if (rc)
		return rc;
	struct dsm_value old, sum;
	value_decode(c, image + c->offset_lo / 8, &old);
	*previous = old;
	if (!add_numbers(&old, delta, &sum))
		return dsm__fail(-ERANGE, "%s: the sum overflows; nothing was changed", name);
	if (bounds && (bounds->flags & DSM_HAS_MIN) && compare(&sum, &bounds->floor) < 0)
		return dsm__fail(-ERANGE, "%s: the sum would be below the floor; nothing was changed", name);
	if (bounds && (bounds->flags & DSM_HAS_MAX) && compare(&sum, &bounds->ceil) > 0)
		return dsm__fail(-ERANGE, "%s: the sum would be above the ceiling; nothing was changed", name);
	return writer_set(w, cell, &sum);
}
