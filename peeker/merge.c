/* SPDX-License-Identifier: Apache-2.0 */
/* Values, changes, rates and history from looks; see merge.h. */
#include "merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* So long at least a commit counts for the offset between the clocks; twice that at most. */
#define OFFSET_SPAN_NS (60 * (uint64_t)NS_PER_S)

/* ---- values ---- */

static size_t bytes_of(const struct dsm_value *value)
{
	return value->type == DSM_F64_ARRAY ? (size_t)value->len * sizeof(double) : value->len;
}

/* An own copy: the frame is overwritten by the next look. At most `most` bytes are there. */
static void keep(struct cell_state *state, const struct dsm_value *value, size_t most)
{
	state->value = *value;
	if (type_is_number(value->type))
		return;
	size_t bytes = bytes_of(value);
	state->cut = bytes > most;
	if (state->cut)
		bytes = most;
	if (bytes + 1 > state->kept_room) {
		void *room = realloc(state->kept, bytes + 1);
		if (!room) {
			bytes = 0;
			state->cut = true;
		} else {
			state->kept = room;
			state->kept_room = (uint32_t)bytes + 1;
		}
	}
	if (bytes)
		memcpy(state->kept, value->bytes, bytes);
	if (state->kept)
		((char *)state->kept)[bytes] = '\0';
	state->value.bytes = state->kept;
}

/* ---- history ---- */

static void remember(struct model *model, uint32_t cell, double number)
{
	struct cell_state *state = &model->cells[cell];
	double *band = state->band[0];

	if (state->run_n == 0 || number < state->run_min)
		state->run_min = number;
	if (state->run_n == 0 || number > state->run_max)
		state->run_max = number;
	state->run_sum += number;
	state->run_n++;
	if (isnan(band[0]) || number < band[0])
		band[0] = number;
	if (isnan(band[1]) || number > band[1])
		band[1] = number;
	if (!model->buckets)
		return;
	struct bucket *bucket =
		&model->history[(size_t)cell * model->buckets + model->bucket % model->buckets];
	float value = (float)number;
	if (bucket->n == 0 || value < bucket->min)
		bucket->min = value;
	if (bucket->n == 0 || value > bucket->max)
		bucket->max = value;
	bucket->sum += value;
	bucket->n++;
}

static void clear_bands(struct model *model)
{
	for (uint32_t i = 0; i < model->table->cells; i++) {
		struct cell_state *state = &model->cells[i];
		memcpy(state->band[1], state->band[0], sizeof state->band[0]);
		state->band[0][0] = state->band[0][1] = (double)NAN;
	}
}

/* Buckets that have begun since the last look are empty, also those that nobody looked in. */
static void advance_history(struct model *model)
{
	uint64_t now = model->now_ns / model->bucket_ns;
	uint64_t first = model->bucket + 1;

	if (now <= model->bucket)
		return;
	clear_bands(model);
	if (model->buckets && now - first >= model->buckets)
		first = now - model->buckets + 1;
	for (uint64_t b = first; b <= now && model->buckets; b++)
		for (uint32_t i = 0; i < model->table->cells; i++)
			model->history[(size_t)i * model->buckets + b % model->buckets] =
				(struct bucket){ 0 };
	model->bucket = now;
}

/* ---- rates ---- */

/* A new second begins: its slot starts from here. Called after the look was counted. */
static void advance_second(struct model *model, uint32_t g)
{
	struct group_state *group = &model->groups[g];
	const struct group_meta *meta = &model->table->group[g];

	if (group->slots_used &&
	    model->now_ns - group->first_ns[group->slot] < NS_PER_S)
		return;
	group->slot = (group->slot + 1) % RATE_SLOTS;
	if (group->slots_used < RATE_SLOTS)
		group->slots_used++;
	group->first_ns[group->slot] = model->now_ns;
	group->first_seq[group->slot] = group->seq;
	group->looks[group->slot] = 0;
	for (uint32_t i = 0; i < meta->n; i++)
		model->cells[meta->first + i].changes[group->slot] = 0;
}

static void count(uint16_t *counter)
{
	if (*counter < UINT16_MAX)
		(*counter)++;
}

/* ---- one group ---- */

static void merge_cell(struct model *model, uint32_t cell, const struct dsm_sample *sample,
	size_t most, uint32_t slot)
{
	struct cell_state *state = &model->cells[cell];
	double number;

	if (!state->read || state->changed_ns != sample->changed_ns ||
	    state->quality != sample->quality || state->flags != sample->flags)
		state->round = model->round + 1; /* the one that this look becomes */
	if (state->read && state->changed_ns != sample->changed_ns) {
		state->seen_ns = model->now_ns;
		count(&state->changes[slot]);
	}
	if (!state->read)
		state->band[0][0] = state->band[0][1] = state->band[1][0] = state->band[1][1] =
			(double)NAN;
	if (!state->read || state->changed_ns != sample->changed_ns || state->seq != sample->seq)
		keep(state, &sample->value, most);
	state->read = true;
	state->changed_ns = sample->changed_ns;
	state->seq = sample->seq;
	state->epoch = sample->epoch;
	state->quality = sample->quality;
	state->flags = sample->flags;
	if (verdict_is_valid(model_verdict(model, cell)) && value_number(&state->value, &number))
		remember(model, cell, number);
}

/* The newest commit tells what time it is at the engine: the latest such time is nearest, for no
 * commit is seen before it is made. But two clocks drift apart (50 ppm are 4 s a day), so only the
 * last one or two spans count; the largest of all time would make every age grow with the drift. */
void merge_time(struct model *model, int64_t time_ns)
{
	int64_t offset = time_ns - (int64_t)model->now_ns, *best = model->offset_best_ns;
	uint64_t age_ns = model->now_ns - model->offset_since_ns;

	if (!model->offset_known || age_ns >= OFFSET_SPAN_NS) {
		/* of a span that is long over nothing is kept */
		bool follows = model->offset_known && age_ns < 2 * OFFSET_SPAN_NS;
		best[1] = follows ? best[0] : offset;
		best[0] = offset;
		model->offset_since_ns = model->now_ns;
	}
	best[0] = offset > best[0] ? offset : best[0];
	model->offset_ns = best[0] > best[1] ? best[0] : best[1];
	model->offset_known = true;
}

static void merge_in_place(struct model *model, uint32_t g, const struct look *look)
{
	struct group_state *group = &model->groups[g];
	struct dsm_sample sample = look->in_place;

	sample.value.bytes = look->shown;
	group->seq = sample.seq;
	group->epoch = sample.epoch;
	group->flags = sample.flags;
	merge_cell(model, model->table->group[g].first, &sample, look->shown_bytes, group->slot);
}

static void merge_frame(struct model *model, uint32_t g, const struct look *look)
{
	const struct group_meta *meta = &model->table->group[g];
	struct group_state *group = &model->groups[g];
	struct dsm_sample sample;

	if (group->read && look->info.time_ns != group->time_ns)
		merge_time(model, look->info.time_ns);
	if (look->info.seq < group->seq)
		group->slots_used = 0; /* the engine began anew: rates do too */
	group->seq = look->info.seq;
	group->step = look->info.step;
	group->time_ns = look->info.time_ns;
	group->epoch = look->info.epoch;
	group->flags = look->info.flags;
	for (uint32_t i = meta->first; i < meta->first + meta->n; i++)
		if (dsm_frame_read(look->frame, model->table->cell[i].id, &sample) == 0)
			merge_cell(model, i, &sample, KEEP_MAX, group->slot);
}

/* All of its cells are to be shown anew: they can be read now, or no longer. */
static void mark_group(struct model *model, uint32_t g)
{
	const struct group_meta *meta = &model->table->group[g];

	for (uint32_t i = meta->first; i < meta->first + meta->n; i++)
		model->cells[i].round = model->round + 1;
}

void merge_looks(struct model *model, const struct look *looks)
{
	advance_history(model);
	for (uint32_t g = 0; g < model->table->groups; g++) {
		struct group_state *group = &model->groups[g];
		if (model->table->group[g].n == 0)
			continue;
		if (!group->error != !looks[g].error)
			mark_group(model, g);
		group->error = looks[g].error;
		if (looks[g].error)
			continue;
		if (looks[g].borrowed)
			merge_in_place(model, g, &looks[g]);
		else
			merge_frame(model, g, &looks[g]);
		group->read = true;
		group->look_ns = model->now_ns;
		count(&group->looks[group->slot]);
		advance_second(model, g);
	}
}

void merge_failure(struct model *model, int error)
{
	if (!model->table)
		return;
	advance_history(model);
	for (uint32_t g = 0; g < model->table->groups; g++) {
		if (!model->groups[g].error)
			mark_group(model, g);
		model->groups[g].error = error;
	}
}
