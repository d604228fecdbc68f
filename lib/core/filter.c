/* SPDX-License-Identifier: Apache-2.0 */
#include "core/filter.h"

#include <math.h>
#include <string.h>

#include "core/payload.h"

uint64_t filter_when(const struct filter_rule *rule, const struct filter_state *state, uint64_t newest)
{
	if (!state->base)
		return 0;
	/* less than what went: a pulse of a network, torn */
	if (newest <= state->seq || newest - state->seq < rule->every_nth || newest == state->weighed)
		return UINT64_MAX;
	return state->sent ? state->sent_ns + rule->interval_ns : 0;
}

bool filter_due(const struct filter_rule *rule, const struct filter_state *state, uint64_t newest,
	uint64_t now)
{
	uint64_t when = filter_when(rule, state, newest);
	return when != UINT64_MAX && now >= when;
}

static double distance(enum dsm_type type, uint64_t a, uint64_t b)
{
	double x, y;
	if (type == DSM_U64)
		return (double)(a > b ? a - b : b - a);
	if (type == DSM_I64) /* exact also where the difference is none of an i64 */
		return (int64_t)a > (int64_t)b ? (double)(a - b) : (double)(b - a);
	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	return fabs(x - y);
}

/* |last|, for a band in percent. */
static double size_of(enum dsm_type type, uint64_t last)
{
	double x;
	if (type == DSM_U64)
		return (double)last;
	if (type == DSM_I64)
		return fabs((double)(int64_t)last);
	memcpy(&x, &last, sizeof(x));
	return fabs(x);
}

static bool cell_counts(const struct filter_rule *rule, const struct directory_cell *c,
	const uint64_t *now, const uint64_t *before)
{
	enum dsm_type type = (enum dsm_type)c->type;
	size_t words = payload_record_bytes(type, c->capacity) / 8;
	if ((now[0] ^ before[0]) & PAYLOAD_QUALITY_BITS)
		return true;
	if (memcmp(now + 1, before + 1, (words - 1) * 8) == 0)
		return false;
	if (!payload_is_scalar(type) || type == DSM_BOOL)
		return true;
	double band = rule->kind == FILTER_PERCENT ? rule->band / 100 * size_of(type, before[1]) : rule->band;
	/* not "greater": a value that is not a number counts */
	return !(distance(type, now[1], before[1]) <= band);
}

bool filter_counts(const struct filter_rule *rule, const struct filter_state *state,
	const struct directory_cell *cells, uint32_t n, const uint64_t *payload)
{
	if (rule->kind == FILTER_ANY || !state->base || !state->has_values)
		return true;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = cells[i].offset_lo / 8;
		if (cell_counts(rule, &cells[i], payload + at, state->values + at))
			return true;
	}
	return false;
}

void filter_went(struct filter_state *state, uint64_t seq, uint32_t epoch, const uint64_t *payload,
	size_t bytes, uint64_t now)
{
	state->seq = seq;
	state->epoch = epoch;
	state->sent_ns = now;
	state->base = state->sent = true;
	state->weighed = 0;
	state->has_values = state->values && payload;
	if (state->has_values)
		memcpy(state->values, payload, bytes);
}

void filter_resume(struct filter_state *state, uint64_t seq, uint32_t epoch)
{
	state->seq = seq;
	state->epoch = epoch;
	state->base = true;
	state->sent = state->has_values = false;
	state->weighed = 0;
}
