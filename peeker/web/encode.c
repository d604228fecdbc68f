/* SPDX-License-Identifier: Apache-2.0 */
/* See encode.h. Keys of the stream are short, for they go to every viewer at every look. */
#include "encode.h"

#include "text.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Elements of an array, and bytes, that the stream carries; the cell's own address has all. */
#define ELEMENTS_MAX 16u
#define BYTES_MAX 64u
#define TEXT_MAX 4096u
/* A table of more cells begins without a past, which would be most of its bytes. */
#define PAST_CELLS_MAX 200u
#define PAST_MAX 60u
#define MS 1000000u
/* Beyond these a JSON number is not exact in a browser. */
#define EXACT_MAX (INT64_C(1) << 53)

bool wish_has(const struct wish *wish, const char *cell)
{
	if (wish->n == 0)
		return true;
	for (int i = 0; i < wish->n; i++)
		if (fnmatch(wish->globs[i], cell, FNM_NOESCAPE) == 0)
			return true;
	return false;
}

/* ---- values ---- */

static void put_hex(struct buffer *b, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	put_char(b, '"');
	for (size_t i = 0; i < n; i++) {
		put_char(b, digits[bytes[i] >> 4]);
		put_char(b, digits[bytes[i] & 15]);
	}
	put_char(b, '"');
}

static void put_array(struct buffer *b, const struct dsm_value *value, uint32_t n)
{
	put_char(b, '[');
	for (uint32_t i = 0; i < n; i++) {
		put_comma(b);
		put_f64(b, value->f64s[i]);
	}
	put_char(b, ']');
}

/* How much of what is kept in bytes: all, or what a stream carries. */
static uint32_t shown(const struct cell_state *state, bool all)
{
	const struct dsm_value *value = &state->value;
	bool array = value->type == DSM_F64_ARRAY;
	uint32_t there = value->len;

	if (state->cut) {
		uint32_t kept = state->kept_room ? state->kept_room - 1 : 0;
		there = array ? kept / (uint32_t)sizeof(double) : kept;
		there = there < value->len ? there : value->len;
	}
	uint32_t most = array ? ELEMENTS_MAX : value->type == DSM_BYTES ? BYTES_MAX : TEXT_MAX;
	return all || there < most ? there : most;
}

/* all: integers stay numbers whatever their size, arrays come whole. */
static void put_value(struct buffer *b, const struct cell_state *state, bool all)
{
	const struct dsm_value *value = &state->value;
	bool exact = all;

	if (!state->read || state->quality == DSM_NEVER_WRITTEN) {
		put(b, "null");
		return;
	}
	switch (value->type) {
	case DSM_BOOL:
		put(b, value->b ? "true" : "false");
		break;
	case DSM_I64:
		exact |= value->i64 <= EXACT_MAX && value->i64 >= -EXACT_MAX;
		put(b, exact ? "" : "\"");
		put_i64(b, value->i64);
		put(b, exact ? "" : "\"");
		break;
	case DSM_U64:
		exact |= value->u64 <= (uint64_t)EXACT_MAX;
		put(b, exact ? "" : "\"");
		put_u64(b, value->u64);
		put(b, exact ? "" : "\"");
		break;
	case DSM_F64:
		put_f64(b, value->f64);
		break;
	case DSM_F64_ARRAY:
		put_array(b, value, shown(state, all));
		break;
	case DSM_BYTES:
		put_hex(b, value->bytes, shown(state, all));
		break;
	default:
		put_string_n(b, value->str, shown(state, all));
		break;
	}
}

/* Seconds, negative if only that much is known: "at least"; null if never written or unknown. */
static void put_age(struct buffer *b, const struct model *model, uint32_t cell)
{
	double age_s = 0;
	enum age_kind kind = model_age(model, cell, &age_s);

	if (kind == AGE_NEVER || kind == AGE_UNKNOWN)
		put(b, "null");
	else
		put_rounded(b, kind == AGE_AT_LEAST ? -age_s : age_s, 2);
}

/* ---- the table ---- */

static void put_meta_fields(struct buffer *b, const struct cell_meta *meta)
{
	char type[32];

	put_key(b, "type");
	put_string(b, text_type(meta, type, sizeof type));
	if (*meta->description) {
		put_key(b, "about");
		put_string(b, meta->description);
	}
	if (meta->flags & DSM_HAS_MIN) {
		put_key(b, "min");
		put_f64(b, meta->min);
	}
	if (meta->flags & DSM_HAS_MAX) {
		put_key(b, "max");
		put_f64(b, meta->max);
	}
	if (meta->precision >= 0) {
		put_key(b, "digits");
		put_i64(b, meta->precision);
	}
}

/* The means of the last minute, so that a page begins with a line. */
static void put_past(struct buffer *b, const struct model *model, uint32_t cell)
{
	put_key(b, "past");
	put_char(b, '[');
	for (uint32_t ago = model->buckets < PAST_MAX ? model->buckets : PAST_MAX; ago-- > 0;) {
		const struct bucket *bucket = model_bucket(model, cell, ago);
		char text[32];
		put_comma(b);
		snprintf(text, sizeof text, "%.5g", bucket ? (double)bucket->sum / bucket->n : 0);
		put(b, bucket && isfinite(bucket->sum) ? text : "null");
	}
	put_char(b, ']');
}

static void put_cell_meta(struct buffer *b, const struct model *model, uint32_t cell, bool past)
{
	const struct cell_meta *meta = &model->table->cell[cell];

	put_comma(b);
	put(b, "{\"i\":");
	put_u64(b, cell);
	put_key(b, "name");
	put_string(b, meta->name);
	put_key(b, "leaf");
	put_string(b, meta->leaf);
	put_key(b, "g");
	put_u64(b, meta->group);
	if (*meta->unit) {
		put_key(b, "unit");
		put_string(b, meta->unit);
	}
	put_meta_fields(b, meta);
	if (past && type_is_number(meta->type))
		put_past(b, model, cell);
	put_char(b, '}');
}

static void put_group_meta(struct buffer *b, const struct group_meta *group)
{
	put_comma(b);
	put(b, "{\"name\":");
	put_string(b, group->name);
	put_key(b, "owner");
	put_u64(b, group->owner);
	if (*group->description) {
		put_key(b, "about");
		put_string(b, group->description);
	}
	put_char(b, '}');
}

void encode_table(struct buffer *b, const struct model *model, const struct wish *wish)
{
	const struct table *t = model->table;

	put(b, "{\"version\":");
	put_u64(b, t ? t->version : 0);
	put_key(b, "words");
	put_char(b, '[');
	for (int v = 0; v < CELL_VERDICTS; v++) {
		put_comma(b);
		put_string(b, verdict_name((enum verdict)v));
	}
	put_char(b, ']');
	put_key(b, "owners");
	put_char(b, '[');
	for (uint32_t i = 0; t && i < t->owners; i++) {
		put_comma(b);
		put_string(b, t->owner[i]);
	}
	put_char(b, ']');
	put_key(b, "groups");
	put_char(b, '[');
	for (uint32_t i = 0; t && i < t->groups; i++)
		put_group_meta(b, &t->group[i]);
	put_char(b, ']');
	put_key(b, "cells");
	put_char(b, '[');
	for (uint32_t i = 0; t && i < t->cells; i++)
		if (wish_has(wish, t->cell[i].name))
			put_cell_meta(b, model, i, t->cells <= PAST_CELLS_MAX);
	put(b, "]}");
}

/* ---- what changes ---- */

static void put_engine(struct buffer *b, const struct model *model, uint64_t now_ns)
{
	const struct engine_view *engine = &model->engine;

	put_key(b, "state");
	put_string(b, engine_state_name(engine->state));
	put_key(b, "name");
	put_string(b, engine->name);
	put_key(b, "uri");
	put_string(b, engine->uri);
	put_key(b, "transport");
	put_string(b, engine->transport);
	put_key(b, "reason");
	put_string(b, engine->reason);
	put_key(b, "problem");
	put_string(b, engine->problem);
	put_key(b, "for_s");
	put_rounded(b, (double)(now_ns - engine->since_ns) / NS_PER_S, 1);
	put_key(b, "look_ms");
	put_u64(b, now_ns > model->now_ns ? (now_ns - model->now_ns) / MS : 0);
	put_key(b, "p50_ns");
	put_u64(b, model->latency.p50_ns);
	put_key(b, "p99_ns");
	put_u64(b, model->latency.p99_ns);
	put_key(b, "retries");
	put_u64(b, model->stats.retries);
	put_key(b, "rejected");
	put_u64(b, model->stats.torn);
}

static void put_counts(struct buffer *b, const struct model *model)
{
	uint32_t counts[CELL_VERDICTS];

	model_count(model, counts);
	put_key(b, "counts");
	put_char(b, '[');
	for (int v = 0; v < CELL_VERDICTS; v++) {
		put_comma(b);
		put_u64(b, counts[v]);
	}
	put_char(b, ']');
}

/* Of an engine that is not there no owner is known to be anything. */
static const char *owner_state(const struct model *model, uint32_t owner)
{
	bool known = model->engine.state == ENGINE_RUNNING;

	return known ? dsm_owner_state_name(model->owners[owner].state) : "unknown";
}

static void put_cell_news(struct buffer *b, const struct model *model, uint32_t cell)
{
	const struct cell_state *state = &model->cells[cell];
	enum verdict verdict = model_verdict(model, cell);

	put_comma(b);
	put_char(b, '[');
	put_u64(b, cell);
	put_comma(b);
	put_value(b, state, false);
	put_comma(b);
	put_u64(b, (uint64_t)verdict);
	put_comma(b);
	put_age(b, model, cell);
	if (verdict == CELL_STALE) {
		put_comma(b);
		put_string(b, text_verdict(model, cell));
	}
	put_char(b, ']');
}

uint32_t encode_news(struct buffer *b, const struct model *model, const struct wish *wish,
	uint64_t since, uint64_t now_ns)
{
	const struct table *t = model->table;
	uint32_t n = 0;

	put(b, "{\"round\":");
	put_u64(b, model->round);
	put_key(b, "wall_ms");
	put_i64(b, model->wall_ns / MS);
	put_key(b, "engine");
	put_char(b, '{');
	put_engine(b, model, now_ns);
	put_char(b, '}');
	put_counts(b, model);
	put_key(b, "owners");
	put_char(b, '[');
	for (uint32_t i = 0; t && i < t->owners; i++) {
		put_comma(b);
		put_string(b, owner_state(model, i));
	}
	put_char(b, ']');
	put_key(b, "cells");
	put_char(b, '[');
	for (uint32_t i = 0; t && i < t->cells; i++) {
		if ((since && model->cells[i].round <= since) || !wish_has(wish, t->cell[i].name))
			continue;
		put_cell_news(b, model, i);
		n++;
	}
	put(b, "]}");
	return n;
}

bool encode_health(struct buffer *b, const struct model *model, uint64_t now_ns)
{
	uint32_t counts[CELL_VERDICTS];
	uint64_t old_ns = now_ns > model->now_ns ? now_ns - model->now_ns : 0;
	/* a sampler that hangs, or cannot read, must not pass for an engine that runs */
	bool good = model->table && !*model->engine.problem &&
		model->engine.state == ENGINE_RUNNING && old_ns < 2 * NS_PER_S + 2 * model->period_ns;

	put(b, "{\"ok\":");
	put(b, good ? "true" : "false");
	put_engine(b, model, now_ns);
	put_key(b, "generation");
	put_char(b, '"');
	put_u64(b, model->engine.generation);
	put_char(b, '"');
	put_key(b, "heartbeat_age_ms");
	put_u64(b, model->engine.heartbeat_age_ms);
	put_key(b, "cells");
	put_char(b, '{');
	model_count(model, counts);
	for (int v = 0; v < CELL_VERDICTS; v++) {
		put_key(b, verdict_name((enum verdict)v));
		put_u64(b, counts[v]);
	}
	put_char(b, '}');
	put_key(b, "owners");
	put_char(b, '{');
	for (uint32_t i = 0; model->table && i < model->table->owners; i++) {
		put_key(b, model->table->owner[i]);
		put_string(b, owner_state(model, i));
	}
	put(b, "}}\n");
	return good;
}

/* ---- cells as objects ---- */

/* Quality as dsm(1) says it, except that what is stale is said to be so. */
static void put_cell_fields(struct buffer *b, const struct model *model, uint32_t cell)
{
	const struct cell_meta *meta = &model->table->cell[cell];
	const struct cell_state *state = &model->cells[cell];
	const char *owner = model->table->owner[model->table->group[meta->group].owner];
	char flags[64];

	put_comma(b);
	put(b, "{\"cell\":");
	put_string(b, meta->name);
	put_key(b, "v");
	put_value(b, state, true);
	put_key(b, "u");
	put_string(b, meta->unit);
	put_key(b, "q");
	put_string(b, state->read ? dsm_quality_name(state->quality) : "not read");
	put_key(b, "flags");
	put_string(b, dsm_flags_text(state->flags, flags, sizeof flags));
	put_key(b, "state");
	put_string(b, text_verdict(model, cell));
	put_key(b, "t");
	put_rounded(b, (double)state->changed_ns / NS_PER_S, 6);
	put_key(b, "age_s");
	put_age(b, model, cell);
	put_key(b, "seq");
	put_u64(b, state->seq);
	put_key(b, "owner");
	put_string(b, owner);
}

void encode_cells(struct buffer *b, const struct model *model, const struct wish *wish)
{
	put_char(b, '[');
	for (uint32_t i = 0; model->table && i < model->table->cells; i++) {
		if (!wish_has(wish, model->table->cell[i].name))
			continue;
		put_cell_fields(b, model, i);
		put_char(b, '}');
	}
	put(b, "]\n");
}

/* Oldest first, of every bucket [smallest, mean, largest], or null where nothing was seen. */
static void put_history(struct buffer *b, const struct model *model, uint32_t cell)
{
	put_key(b, "bucket_s");
	put_rounded(b, (double)model->bucket_ns / NS_PER_S, 3);
	put_key(b, "history");
	put_char(b, '[');
	for (uint32_t ago = model->buckets; ago-- > 0;) {
		const struct bucket *bucket = model_bucket(model, cell, ago);
		put_comma(b);
		if (!bucket) {
			put(b, "null");
			continue;
		}
		put_char(b, '[');
		put_f64(b, (double)bucket->min);
		put_comma(b);
		put_f64(b, (double)bucket->sum / bucket->n);
		put_comma(b);
		put_f64(b, (double)bucket->max);
		put_char(b, ']');
	}
	put_char(b, ']');
}

void encode_cell(struct buffer *b, const struct model *model, uint32_t cell)
{
	bool capped;

	put_cell_fields(b, model, cell);
	put_meta_fields(b, &model->table->cell[cell]);
	put_key(b, "rate");
	put_rounded(b, model_cell_rate(model, cell, &capped), 2);
	put_history(b, model, cell);
	put(b, "}\n");
}
