/* SPDX-License-Identifier: Apache-2.0 */
/* See text.h. */
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ELEMENTS_SHOWN 8u

char *text_age(double seconds, char *buf, size_t size)
{
	if (seconds < 10)
		snprintf(buf, size, "%.1f s", seconds);
	else if (seconds < 120)
		snprintf(buf, size, "%.0f s", seconds);
	else if (seconds < 120 * 60)
		snprintf(buf, size, "%.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(buf, size, "%.0f h", seconds / 3600);
	else
		snprintf(buf, size, "%.0f d", seconds / 86400);
	return buf;
}

char *text_cell_age(const struct model *model, uint32_t cell, char *buf, size_t size)
{
	double age_s = 0;
	enum age_kind kind = model_age(model, cell, &age_s);

	if (kind == AGE_NEVER || kind == AGE_UNKNOWN) {
		snprintf(buf, size, "%s", kind == AGE_NEVER ? "-" : "?");
		return buf;
	}
	if (kind == AGE_AT_LEAST && size > 1) {
		*buf = '>';
		text_age(age_s, buf + 1, size - 1);
		return buf;
	}
	return text_age(age_s, buf, size);
}

char *text_duration(uint64_t ns, bool utf8, char *buf, size_t size)
{
	static const struct { double ns; const char *unit, *ascii; } units[] = {
		{ 1e9, "s", "s" }, { 1e6, "ms", "ms" }, { 1e3, "µs", "us" }, { 1, "ns", "ns" },
	};
	double value = (double)ns;
	size_t i = 0;

	while (i < 3 && value < units[i].ns)
		i++;
	value /= units[i].ns;
	snprintf(buf, size, "%.*f %s", i < 3 && value < 10, value,
		utf8 ? units[i].unit : units[i].ascii);
	return buf;
}

char *text_count(uint64_t count, char *buf, size_t size)
{
	if (count < 100000)
		snprintf(buf, size, "%" PRIu64, count);
	else if (count < 10000000)
		snprintf(buf, size, "%" PRIu64 "k", count / 1000);
	else
		snprintf(buf, size, "%.1fM", (double)count / 1e6);
	return buf;
}

char *text_rate(double rate, char *buf, size_t size)
{
	if (rate <= 0)
		snprintf(buf, size, "0");
	else if (rate < 0.05)
		snprintf(buf, size, "<0.1");
	else if (rate < 9.95)
		snprintf(buf, size, "%.1f", rate);
	else if (rate < 9999.5)
		snprintf(buf, size, "%.0f", rate);
	else if (rate < 999500)
		snprintf(buf, size, "%.0fk", rate / 1e3);
	else
		snprintf(buf, size, "%.1fM", rate / 1e6);
	return buf;
}

char *text_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1024 && i < 4) {
		value /= 1024;
		i++;
	}
	snprintf(buf, size, "%.*f %s", i > 0 && value < 10, value, units[i]);
	return buf;
}

char *text_clock(int64_t wall_ns, char *buf, size_t size)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm local;

	if (!localtime_r(&seconds, &local) || !strftime(buf, size, "%H:%M:%S", &local))
		snprintf(buf, size, "?");
	return buf;
}

static void print_f64(double value, int precision, char *buf, size_t size)
{
	struct dsm_value number = { .type = DSM_F64, .len = 1, .f64 = value };

	if (isfinite(value))
		dsm_value_format(&number, precision, buf, size);
	else
		snprintf(buf, size, "-"); /* the quality says the rest */
}

char *text_number(double value, int precision, size_t width, char *buf, size_t size)
{
	char text[512];

	print_f64(value, precision, text, sizeof text);
	for (int digits = 12; strlen(text) > width && digits > 0; digits--)
		snprintf(text, sizeof text, "%.*g", digits, value);
	if (strlen(text) > width)
		snprintf(text, sizeof text, "%.*s", (int)width, "####################");
	snprintf(buf, size, "%s", text);
	return buf;
}

/* As many elements as there is room for, behind their number. */
static void print_array(const struct cell_state *state, int precision, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "[%" PRIu32 "]", state->value.len);
	uint32_t there = state->cut ? 0 : state->value.len;

	for (uint32_t i = 0; i < there && i < ELEMENTS_SHOWN && at < size; i++) {
		char number[64];
		text_number(state->value.f64s[i], precision, 20, number, sizeof number);
		at += (size_t)snprintf(buf + at, size - at, " %s", number);
	}
	if (there > ELEMENTS_SHOWN && at < size)
		snprintf(buf + at, size - at, " ...");
}

char *text_whole_value(const struct cell_state *state, int precision, char *buf, size_t size)
{
	struct dsm_value value = state->value;

	if (!state->read || state->quality == DSM_NEVER_WRITTEN) {
		snprintf(buf, size, "-");
	} else if (value.type == DSM_F64_ARRAY) {
		print_array(state, precision, buf, size);
	} else if (value.type == DSM_F64) {
		print_f64(value.f64, precision, buf, size);
	} else if (state->cut) {
		char bytes[32];
		snprintf(buf, size, "%s of %s", value.type == DSM_STRING ? "text" : "bytes",
			text_bytes(value.len, bytes, sizeof bytes));
	} else {
		dsm_value_format(&value, precision, buf, size);
	}
	return buf;
}

char *text_value(const struct model *model, uint32_t cell, size_t width, char *buf, size_t size)
{
	const struct cell_state *state = &model->cells[cell];
	const struct cell_meta *meta = &model->table->cell[cell];
	enum verdict verdict = model_verdict(model, cell);
	bool bracket = verdict_is_doubtful(verdict);
	char text[512];

	if (verdict == CELL_NEVER || !state->read) {
		snprintf(buf, size, "-");
		return buf;
	}
	if (bracket && width > 2)
		width -= 2;
	if (state->value.type == DSM_F64)
		text_number(state->value.f64, meta->precision, width, text, sizeof text);
	else
		text_whole_value(state, meta->precision, text, sizeof text);
	bool whole = state->value.type == DSM_I64 || state->value.type == DSM_U64;
	double number;
	if (whole && strlen(text) > width && value_number(&state->value, &number))
		text_number(number, -1, width, text, sizeof text);
	snprintf(buf, size, bracket ? "(%s)" : "%s", text);
	return buf;
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[CELL_VERDICTS] = {
		[CELL_UNREAD] = "not read", [CELL_STALE] = "stale", [CELL_UNKNOWN] = "unknown",
		[CELL_BAD] = "bad", [CELL_NEVER] = "never written", [CELL_FORCED] = "forced",
		[CELL_SIMULATED] = "simulated", [CELL_GOOD] = "good",
	};

	return names[verdict];
}

const char *text_verdict(const struct model *model, uint32_t cell)
{
	enum verdict verdict = model_verdict(model, cell);
	uint8_t flags = model->cells[cell].flags;

	if (verdict != CELL_STALE)
		return verdict_name(verdict);
	if (flags & DSM_STALE_ENGINE)
		return "stale engine";
	return flags & DSM_STALE_OWNER ? "stale owner" : "stale age";
}

const char *engine_state_name(enum engine_state state)
{
	static const char *const names[] = {
		[ENGINE_NONE] = "NO ENGINE", [ENGINE_RUNNING] = "RUNNING", [ENGINE_UNKNOWN] = "UNKNOWN",
		[ENGINE_SILENT] = "NO HEARTBEAT", [ENGINE_LOST] = "LOST",
	};

	return names[state];
}

char *text_type(const struct cell_meta *meta, char *buf, size_t size)
{
	if (meta->type == DSM_F64_ARRAY)
		snprintf(buf, size, "f64[%" PRIu32 "]", meta->capacity);
	else if (meta->type == DSM_STRING || meta->type == DSM_BYTES)
		snprintf(buf, size, "%s(%" PRIu32 ")", dsm_type_name(meta->type), meta->capacity);
	else
		snprintf(buf, size, "%s", dsm_type_name(meta->type));
	return buf;
}
