/* SPDX-License-Identifier: Apache-2.0 */
/* The model's life, and what viewers ask of it; see model.h. */
#include "model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* History is shortened where the table is so large that all of it would take more. */
#define HISTORY_BYTES_MAX ((uint64_t)64 << 20)

/* ---- life ---- */

static void free_cells(struct model *model)
{
	for (uint32_t i = 0; model->cells && i < model->table->cells; i++)
		free(model->cells[i].kept);
	free(model->cells);
	model->cells = NULL;
}

void model_clear_table(struct model *model)
{
	free_cells(model);
	free(model->groups);
	free(model->owners);
	free(model->history);
	model->groups = NULL;
	model->owners = NULL;
	model->history = NULL;
	table_drop(&model->table);
}

void model_free(struct model **model)
{
	if (!*model)
		return;
	model_clear_table(*model);
	free(*model);
	*model = NULL;
}

static uint32_t buckets_for(uint32_t cells)
{
	uint64_t n = HISTORY_BYTES_MAX / ((uint64_t)(cells ? cells : 1) * sizeof(struct bucket));

	return n > HISTORY_MAX ? HISTORY_MAX : (uint32_t)n;
}

/* Arrays for the table, all zero. */
static int make_room(struct model *model, struct table *table)
{
	model->table = table;
	model->buckets = buckets_for(table->cells);
	model->cells = calloc(table->cells + 1, sizeof *model->cells);
	model->groups = calloc(table->groups + 1, sizeof *model->groups);
	model->owners = calloc(table->owners + 1, sizeof *model->owners);
	model->history = calloc((size_t)table->cells * model->buckets + 1, sizeof *model->history);
	if (!model->cells || !model->groups || !model->owners || !model->history)
		return -ENOMEM;
	return 0;
}

static struct bucket *history_of(const struct model *model, uint32_t cell)
{
	return &model->history[(size_t)cell * model->buckets];
}

static void carry_over(struct model *model, const struct model *old)
{
	for (uint32_t i = 0; i < model->table->cells && old->buckets == model->buckets; i++) {
		uint32_t before = table_find(old->table, model->table->cell[i].name);
		if (before == UINT32_MAX ||
		    old->table->cell[before].type != model->table->cell[i].type)
			continue;
		const struct cell_state *was = &old->cells[before];
		struct cell_state *is = &model->cells[i];
		memcpy(history_of(model, i), history_of(old, before),
			model->buckets * sizeof(struct bucket));
		is->run_min = was->run_min;
		is->run_max = was->run_max;
		is->run_sum = was->run_sum;
		is->run_n = was->run_n;
	}
}

int model_set_table(struct model *model, struct table *table)
{
	struct model old = *model;

	model->table = NULL;
	int error = make_room(model, table);
	if (!error && old.table)
		carry_over(model, &old);
	if (old.table)
		model_clear_table(&old);
	if (error)
		model_clear_table(model);
	return error;
}

static int copy_kept(struct cell_state *to, const struct cell_state *from)
{
	to->kept = NULL;
	if (!from->kept)
		return 0;
	to->kept = malloc(from->kept_room);
	if (!to->kept)
		return -ENOMEM;
	memcpy(to->kept, from->kept, from->kept_room);
	to->value.bytes = to->kept;
	return 0;
}

int model_copy(const struct model *model, struct model **out)
{
	struct model *copy = malloc(sizeof *copy);
	int error = 0;

	if (!copy)
		return -ENOMEM;
	*copy = *model;
	copy->table = NULL;
	copy->cells = NULL;
	copy->groups = NULL;
	copy->owners = NULL;
	copy->history = NULL;
	if (model->table) {
		const struct table *t = model->table;
		error = make_room(copy, table_hold(model->table));
		for (uint32_t i = 0; i < t->cells && !error; i++) {
			copy->cells[i] = model->cells[i];
			error = copy_kept(&copy->cells[i], &model->cells[i]);
		}
		if (!error) {
			memcpy(copy->groups, model->groups, t->groups * sizeof *copy->groups);
			memcpy(copy->owners, model->owners, t->owners * sizeof *copy->owners);
			memcpy(copy->history, model->history,
				(size_t)t->cells * model->buckets * sizeof *copy->history);
		}
	}
	if (error)
		model_free(&copy);
	else
		*out = copy;
	return error;
}

/* ---- questions ---- */

enum age_kind model_age(const struct model *model, uint32_t cell, double *age_s)
{
	const struct cell_state *state = &model->cells[cell];
	int64_t age_ns;
	enum age_kind kind = AGE_EXACT;

	if (!state->read)
		return AGE_UNKNOWN;
	if (!state->changed_ns)
		return AGE_NEVER;
	if (strcmp(model->engine.transport, "shm") == 0) {
		age_ns = model->wall_ns - state->changed_ns;
	} else if (model->offset_known) {
		age_ns = (int64_t)model->now_ns + model->offset_ns - state->changed_ns;
	} else {
		age_ns = (int64_t)(model->now_ns - model->began_ns);
		kind = AGE_AT_LEAST;
	}
	*age_s = (double)(age_ns > 0 ? age_ns : 0) / NS_PER_S;
	return kind;
}

/* The oldest of the seconds that a rate looks back over. */
static uint32_t oldest_slot(const struct group_state *group)
{
	return (group->slot + RATE_SLOTS + 1 - group->slots_used) % RATE_SLOTS;
}

static double seconds_back(const struct group_state *group)
{
	uint64_t since_ns = group->first_ns[oldest_slot(group)];

	return group->look_ns > since_ns ? (double)(group->look_ns - since_ns) / NS_PER_S : 0;
}

double model_group_rate(const struct model *model, uint32_t group)
{
	const struct group_state *state = &model->groups[group];

	if (!state->read || state->slots_used == 0)
		return 0;
	uint64_t before = state->first_seq[oldest_slot(state)];
	double seconds = seconds_back(state);
	return state->seq > before && seconds > 0 ? (double)(state->seq - before) / seconds : 0;
}

double model_cell_rate(const struct model *model, uint32_t cell, bool *capped)
{
	const struct cell_state *state = &model->cells[cell];
	uint32_t group_at = model->table->cell[cell].group;
	const struct group_state *group = &model->groups[group_at];
	uint32_t changes = 0, looks = 0;
	double seconds = seconds_back(group);

	*capped = false;
	for (uint32_t i = 0; i < group->slots_used; i++) {
		uint32_t slot = (group->slot + RATE_SLOTS - i) % RATE_SLOTS;
		changes += state->changes[slot];
		looks += group->looks[slot];
	}
	if (changes == 0 || group->slots_used == 0 || seconds <= 0)
		return 0;
	double seen = changes / seconds, most = model_group_rate(model, group_at);
	if (looks >= 4 && changes * 10 >= looks * 8 && most > seen * 1.25) {
		*capped = true;
		return most;
	}
	return seen;
}

bool type_is_number(enum dsm_type type)
{
	return type == DSM_BOOL || type == DSM_I64 || type == DSM_U64 || type == DSM_F64;
}

bool value_number(const struct dsm_value *value, double *out)
{
	switch (value->type) {
	case DSM_BOOL:
		*out = value->b;
		return true;
	case DSM_I64:
		*out = (double)value->i64;
		return true;
	case DSM_U64:
		*out = (double)value->u64;
		return true;
	case DSM_F64:
		*out = value->f64;
		return isfinite(value->f64);
	default:
		return false;
	}
}

const struct bucket *model_bucket(const struct model *model, uint32_t cell, uint32_t ago)
{
	if (ago >= model->buckets || ago > model->bucket)
		return NULL;
	const struct bucket *bucket =
		&history_of(model, cell)[(model->bucket - ago) % model->buckets];
	return bucket->n ? bucket : NULL;
}

enum verdict model_verdict(const struct model *model, uint32_t cell)
{
	const struct cell_state *state = &model->cells[cell];
	double number;

	if (!state->read || model->groups[model->table->cell[cell].group].error)
		return CELL_UNREAD;
	if (state->quality == DSM_NEVER_WRITTEN)
		return CELL_NEVER;
	if (state->flags & (DSM_STALE_ENGINE | DSM_STALE_OWNER | DSM_STALE_AGE))
		return CELL_STALE;
	if (state->flags & DSM_UNKNOWN)
		return CELL_UNKNOWN;
	if (state->quality == DSM_BAD ||
	    (state->value.type == DSM_F64 && !value_number(&state->value, &number)))
		return CELL_BAD;
	if (state->quality == DSM_FORCED)
		return CELL_FORCED;
	return state->quality == DSM_SIMULATED ? CELL_SIMULATED : CELL_GOOD;
}

bool verdict_is_valid(enum verdict verdict)
{
	return verdict == CELL_GOOD || verdict == CELL_FORCED || verdict == CELL_SIMULATED;
}

bool verdict_is_doubtful(enum verdict verdict)
{
	return !verdict_is_valid(verdict) && verdict != CELL_NEVER;
}

void model_count(const struct model *model, uint32_t counts[CELL_VERDICTS])
{
	memset(counts, 0, CELL_VERDICTS * sizeof *counts);
	for (uint32_t i = 0; model->table && i < model->table->cells; i++)
		counts[model_verdict(model, i)]++;
}
