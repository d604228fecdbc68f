/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side: private images of groups, values checked against the directory, one step
 * over several groups. Used by the client API and by the engine for its own groups; where the
 * bytes go is the sink's business (mapped memory here, a NIC later). One thread.
 */
#ifndef DSM_LIB_CORE_WRITER_H
#define DSM_LIB_CORE_WRITER_H

#include "core/directory.h"
#include "core/slot.h"

/* Where commits go. Functions return 0 or a negative errno. */
struct writer_sink {
	int (*publish)(void *context, uint32_t group, const struct check_fields *fields,
		const uint64_t *image);
	/* After the last group of a step: publish `step complete`, wake who waits. -EOWNERDEAD: the
	 * role was taken away meanwhile, and whether the step survived is unknown. */
	int (*complete)(void *context, uint64_t step, const uint32_t *groups, uint32_t n);
	/* Newest whole version of a group, for the image. */
	int (*load)(void *context, uint32_t group, uint64_t *image, struct slot_meta *meta);
	uint64_t (*step)(void *context); /* last complete step */
};

#define WRITER_SMALL 32u        /* bytes of an image that stands in the writer itself */
struct writer_group {
	uint64_t *image;            /* NULL until first touched; `small` if it fits */
	uint64_t seq;               /* last published */
	uint64_t length_high;       /* payload bytes in the high half, as a slot has it */
	bool dirty;
	uint8_t pad[7];
	uint64_t small[WRITER_SMALL / 8];
};
static_assert(sizeof(struct writer_group) == 64, "one line");

struct writer {
	const struct view *view;
	const struct writer_sink *sink;
	void *context;
	struct writer_group *groups; /* of the owner, index relative to first_group */
	void *groups_memory;
	uint32_t *dirty;
	uint32_t dirty_count;
	uint32_t owner, first_group, group_count, epoch;
	uint64_t step;
	int64_t time;               /* of the open commit; 0 = none open */
	uint64_t commits;
};

int writer_init(struct writer *writer, const struct view *view, uint32_t owner, uint32_t epoch,
	const struct writer_sink *sink, void *context);
void writer_free(struct writer *writer);

static inline bool writer_owns(const struct writer *w, uint32_t group)
{
	return group - w->first_group < w->group_count;
}

int writer_begin(struct writer *writer, int64_t time);
/* `cell` must belong to the writer's owner. Errors as dsm_set(). */
int writer_set(struct writer *writer, uint32_t cell, const struct dsm_value *value);
int writer_set_quality(struct writer *writer, uint32_t cell, enum dsm_quality quality);
int writer_commit(struct writer *writer, uint64_t *step);
void writer_abort(struct writer *writer);
/* Sets value, quality and time of change as they were saved. -ERANGE and others as dsm_set(). */
int writer_restore(struct writer *writer, uint32_t cell, const struct dsm_sample *sample);
/* The short way for a scalar that any word of its type fits (the caller has looked at NaN): a
 * commit is open, the cell has no limits and its group's image is there. False: writer_set(). */
static inline bool writer_set_word(struct writer *w, uint32_t cell, enum dsm_type type, uint64_t word)
{
	if (__builtin_expect(!w->time, 0)) /* nor is there a view without a role */
		return false;
	const struct directory_cell *c = &w->view->cells[cell];
	uint32_t i = c->group - w->first_group;
	if (__builtin_expect(i >= w->group_count || c->type != type || c->flags, 0))
		return false;
	struct writer_group *g = &w->groups[i];
	if (__builtin_expect(!g->image, 0))
		return false;
	if (!g->dirty) {
		g->dirty = true;
		w->dirty[w->dirty_count++] = c->group;
	}
	uint64_t *record = (uint64_t *)(void *)((char *)g->image + c->offset_lo);
	if (record[1] != word || (record[0] & PAYLOAD_QUALITY_BITS) != DSM_GOOD)
		record[0] = ((uint64_t)w->time & ~(uint64_t)PAYLOAD_QUALITY_BITS) | DSM_GOOD;
	record[1] = word;
	return true;
}

/* After the one dirty group of a commit was published outside, as the next step. */
static inline void writer_committed(struct writer *w, struct writer_group *g)
{
	g->seq++;
	g->dirty = false;
	w->time = 0;
	w->dirty_count = 0;
	w->step++;
	w->commits++;
}

/* Adds within bounds; the commit must be open. *previous as dsm_add(). */
int writer_add(struct writer *writer, uint32_t cell, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, struct dsm_value *previous);
/* Loads the image of a group (absolute index) from the ring, if it is not there yet. */
int writer_image(struct writer *writer, uint32_t group, uint64_t **image);
/* After a loan was published outside: the image is no longer what the ring holds. */
void writer_forget_image(struct writer *writer, uint32_t group, uint64_t seq);
/* The next version's header fields. */
static inline struct check_fields writer_fields(const struct writer *w, const struct writer_group *g,
	uint64_t step)
{
	return (struct check_fields){ g->seq + 1, w->epoch | g->length_high, (uint64_t)w->time, step };
}

/* Is the value one that the cell can take? May clamp *value as the table says. */
int value_admit(const struct view *view, uint32_t cell, struct dsm_value *value);
/* A record's words to a sample's value (pointers into `record`). */
void value_decode(const struct directory_cell *cell, const uint64_t *record, struct dsm_value *out);
/* All of it, as of the commit `meta`; false: never written. */
bool record_sample(const struct directory_cell *cell, const uint64_t *record, const struct slot_meta *meta,
	struct dsm_sample *out);

#endif
