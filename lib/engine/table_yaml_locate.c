/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table file, after an error: one more pass over the text, by libyaml's events, either to
 * say what is wrong by the schema (first fault, its line, what was expected and found) or to
 * find the line of a path. It follows the schema only, so it goes no deeper than that does.
 */
#include "engine/table_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/error.h"
#include "core/near.h"

#define SHOWN_MAX 60        /* bytes of a value in an error */
#define KEYS_MAX 12

enum kind { TEXT, NUMBER, WHOLE, COUNTED, BOOLEAN, RANGE, LIST };

struct key {
	const char *name;       /* NULL ends a level */
	enum kind kind;
	bool required;
	const struct key *items; /* of a LIST: keys of each */
	const char *expected;
};

static const struct key cell_keys[] = {
	{ "name", TEXT, true, NULL, "a name" },
	{ "type", TEXT, true, NULL, "bool, i64, u64, f64, string(n), bytes(n) or f64[n]" },
	{ "unit", TEXT, false, NULL, "a text" },
	{ "min", NUMBER, false, NULL, "a number" },
	{ "max", NUMBER, false, NULL, "a number" },
	{ "range", RANGE, false, NULL, "refuse or clamp" },
	{ "precision", WHOLE, false, NULL, "a whole number, -1 to 17" },
	{ "description", TEXT, false, NULL, "a text" },
	{ "count", COUNTED, false, NULL, "a whole number, 1 to 1000000" },
	{ "from", COUNTED, false, NULL, "a whole number, 0 or more" },
	{ 0 },
};
static const struct key group_keys[] = {
	{ "name", TEXT, true, NULL, "a name" },
	{ "owner", TEXT, false, NULL, "the name of an owner" },
	{ "description", TEXT, false, NULL, "a text" },
	{ "slots", COUNTED, false, NULL, "a power of two, 2 to 1024" },
	{ "max_age_ms", COUNTED, false, NULL, "milliseconds, a whole number" },
	{ "save", BOOLEAN, false, NULL, "true or false" },
	{ "count", COUNTED, false, NULL, "a whole number, 1 to 1000000" },
	{ "from", COUNTED, false, NULL, "a whole number, 0 or more" },
	{ "cells", LIST, true, cell_keys, "a list of cells" },
	{ 0 },
};
static const struct key owner_keys[] = {
	{ "name", TEXT, true, NULL, "a name" },
	{ "users", TEXT, false, NULL, "\"*\" or user names" },
	{ "network", BOOLEAN, false, NULL, "true or false" },
	{ 0 },
};
static const struct key point_keys[] = {
	{ "raw", NUMBER, true, NULL, "a number, 0 to 65535" },
	{ "value", NUMBER, true, NULL, "a number" },
	{ 0 },
};
static const struct key input_keys[] = {
	{ "cell", TEXT, true, NULL, "the name of a cell" },
	{ "channel", COUNTED, false, NULL, "a whole number, 0 to 254" },
	{ "level", COUNTED, false, NULL, "a whole number, 0 to 31" },
	{ "presses", COUNTED, false, NULL, "a whole number, 0 to 7" },
	{ "low", NUMBER, false, NULL, "a number" },
	{ "high", NUMBER, false, NULL, "a number" },
	{ "invert", BOOLEAN, false, NULL, "true or false" },
	{ "dead_zone", NUMBER, false, NULL, "a number, 0 to 0.5" },
	{ "center", NUMBER, false, NULL, "a number" },
	{ "filter_ms", NUMBER, false, NULL, "milliseconds" },
	{ "calibration", LIST, false, point_keys, "a list of points {raw: ..., value: ...}" },
	{ 0 },
};
static const struct key device_keys[] = {
	{ "name", TEXT, true, NULL, "a name" },
	{ "id", COUNTED, true, NULL, "the device's number, 0 to 4294967295" },
	{ "owner", TEXT, true, NULL, "the name of an owner" },
	{ "tick_us", COUNTED, false, NULL, "microseconds, a whole number" },
	{ "commit_hz", NUMBER, false, NULL, "commits a second" },
	{ "inputs", LIST, true, input_keys, "a list of inputs" },
	{ 0 },
};
static const struct key table_keys[] = {
	{ "region", TEXT, true, NULL, "a name" },
	{ "owners", LIST, false, owner_keys, "a list of owners" },
	{ "groups", LIST, true, group_keys, "a list of groups" },
	{ "devices", LIST, false, device_keys, "a list of devices" },
	{ 0 },
};

struct walk {
	const struct yaml_source *source;
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	char path[YAML_PATH_MAX];
	const char *target;     /* NULL: explain */
	uint32_t line;          /* of target, or of the nearest thing around it */
	bool found;
};

static uint32_t line_of(const struct walk *w)
{
	return (uint32_t)w->event.start_mark.line + 1;
}

static int refuse(const struct walk *w, uint32_t line, const char *what)
{
	return dsm__fail(-EINVAL, "%s:%u: %s: %s", w->source->name, line,
		w->path[0] ? w->path : "the table", what);
}

/* A scalar as an error shows it: cut, control characters as '?'. */
static const char *show(const char *text, size_t n, char buf[static SHOWN_MAX + 8])
{
	size_t shown = n <= SHOWN_MAX ? n : SHOWN_MAX;
	while (shown < n && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	buf[0] = '"';
	for (size_t i = 0; i < shown; i++)
		buf[i + 1] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	snprintf(buf + shown + 1, SHOWN_MAX + 7 - shown, "%s\"", shown < n ? "..." : "");
	return buf;
}

/* libyaml gives a byte offset where its reader fails, else a place. */
static int syntax_error(const struct walk *w)
{
	const yaml_parser_t *p = &w->parser;
	uint32_t line = (uint32_t)p->problem_mark.line + 1;
	if (p->error == YAML_MEMORY_ERROR)
		return dsm__fail(-ENOMEM, "%s: no memory to load it", w->source->name);
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset && i < w->source->size; i++)
			line += w->source->data[i] == '\n';
	}
	char context[160] = "";
	if (p->context)
		snprintf(context, sizeof(context), " (%s of line %u)", p->context,
			(unsigned)p->context_mark.line + 1);
	return dsm__fail(-EINVAL, "%s:%u: %s: expected YAML, found: %s%s", w->source->name, line,
		w->path[0] ? w->path : "the table", p->problem ? p->problem : "an error", context);
}

static int next(struct walk *w)
{
	if (w->has_event)
		yaml_event_delete(&w->event);
	w->has_event = yaml_parser_parse(&w->parser, &w->event) != 0;
	if (!w->has_event)
		return syntax_error(w);
	if (w->event.type == YAML_ALIAS_EVENT)
		return refuse(w, line_of(w), "aliases (*name, <<) are not allowed in a table file: "
			"expected the value itself, or count: for many like cells");
	return 0;
}

/* What an event is, in an error. */
static const char *found(const struct walk *w, char buf[static SHOWN_MAX + 8])
{
	switch (w->event.type) {
	case YAML_SCALAR_EVENT:
		return show((const char *)w->event.data.scalar.value, w->event.data.scalar.length, buf);
	case YAML_SEQUENCE_START_EVENT: return "a list";
	case YAML_MAPPING_START_EVENT: return "keys with values";
	default: return "nothing";
	}
}

static int expected(const struct walk *w, const char *what)
{
	char buf[SHOWN_MAX + 8], text[256];
	snprintf(text, sizeof(text), "expected %s, found %s", what, found(w, buf));
	return refuse(w, line_of(w), text);
}

static bool word_in(const char *text, const char *const words[])
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

/* The same texts as libcyaml takes. */
static bool scalar_ok(enum kind kind, const char *text)
{
	static const char *const booleans[] = { "true", "false", "yes", "no", NULL };
	static const char *const ranges[] = { "refuse", "clamp", NULL };
	char *end = NULL;
	errno = 0;
	switch (kind) {
	case NUMBER:
		strtod(text, &end);
		return text[0] && *end == '\0';
	case WHOLE: {
		long n = strtol(text, &end, 0);
		return text[0] && *end == '\0' && !errno && n >= INT32_MIN && n <= INT32_MAX;
	}
	case COUNTED: {
		unsigned long n = strtoul(text, &end, 0);
		return text[0] && *end == '\0' && !errno && n <= UINT32_MAX && !strchr(text, '-');
	}
	case BOOLEAN: return word_in(text, booleans);
	case RANGE: return word_in(text, ranges);
	default: return true;
	}
}

/* ---- the walk ------------------------------------------------------------------------ */

/* Takes the line of what begins here if it is the target or contains it. */
static void note_line(struct walk *w)
{
	size_t n = strlen(w->path);
	if (!w->target || w->found || strncmp(w->target, w->path, n) != 0)
		return;
	char after = w->target[n];
	if (n == 0 || after == '.' || after == '[' || after == '\0')
		w->line = line_of(w);
	w->found = after == '\0' && n > 0;
}

static int walk_mapping(struct walk *w, const struct key *keys, const char *what);

static int walk_list(struct walk *w, const struct key *key)
{
	size_t length = strlen(w->path);
	if (w->event.type != YAML_SEQUENCE_START_EVENT)
		return expected(w, key->expected);
	int rc = next(w);
	for (uint32_t i = 0; rc == 0 && w->event.type != YAML_SEQUENCE_END_EVENT; i++) {
		snprintf(w->path + length, sizeof(w->path) - length, "[%u]", i);
		rc = walk_mapping(w, key->items, "keys with values (name: ...)");
		if (rc == 0 && !w->found)
			rc = next(w);
		if (rc == 0 && w->found)
			return 0;
		if (rc == 0)
			w->path[length] = '\0';
	}
	return rc;
}

static int walk_value(struct walk *w, const struct key *key)
{
	if (key->kind == LIST)
		return walk_list(w, key);
	if (w->event.type == YAML_SCALAR_EVENT && !w->target &&
	    strlen((const char *)w->event.data.scalar.value) != w->event.data.scalar.length)
		return refuse(w, line_of(w), "expected a text without NUL, found one with \\0");
	if (w->event.type != YAML_SCALAR_EVENT ||
	    !scalar_ok(key->kind, (const char *)w->event.data.scalar.value))
		return w->target ? 0 : expected(w, key->expected);
	return 0;
}

static int unknown_key(const struct walk *w, const struct key *keys)
{
	const char *name = (const char *)w->event.data.scalar.value;
	char shown[SHOWN_MAX + 8], offer[3 * NEAR_NAME_MAX + 64], text[256];
	struct near near;
	near_begin(&near, name);
	for (const struct key *k = keys; k->name; k++)
		near_offer(&near, k->name);
	near_text(&near, offer, sizeof(offer));
	int n = snprintf(text, sizeof(text), "unknown key %s%.80s",
		show(name, w->event.data.scalar.length, shown), offer);
	if (!offer[0])
		for (const struct key *k = keys; k->name && n > 0 && (size_t)n < sizeof(text); k++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s",
				k == keys ? ": expected " : ", ", k->name);
	return refuse(w, line_of(w), text);
}

/* Appends a key to the path; returns the length before. */
static size_t enter(struct walk *w, const char *key)
{
	size_t length = strlen(w->path);
	snprintf(w->path + length, sizeof(w->path) - length, "%s%s", length ? "." : "", key);
	return length;
}

static int check_missing(struct walk *w, const struct key *keys, const uint32_t *seen, uint32_t line)
{
	for (size_t k = 0; keys[k].name; k++) {
		if (!keys[k].required || seen[k])
			continue;
		char text[128];
		snprintf(text, sizeof(text), "missing: expected %s", keys[k].expected);
		enter(w, keys[k].name);
		return refuse(w, line, text);
	}
	return 0;
}

/* One key and its value. The event is the key; afterwards the last one of the value. */
static int walk_pair(struct walk *w, const struct key *keys, uint32_t *seen)
{
	if (w->event.type != YAML_SCALAR_EVENT)
		return expected(w, "a key");
	const char *name = (const char *)w->event.data.scalar.value;
	size_t k = 0;
	while (keys[k].name && strcmp(keys[k].name, name) != 0)
		k++;
	if (!keys[k].name)
		return unknown_key(w, keys);
	size_t length = enter(w, keys[k].name);
	if (seen[k]) {
		char text[64];
		snprintf(text, sizeof(text), "given twice (first in line %u)", seen[k]);
		return refuse(w, line_of(w), text);
	}
	seen[k] = line_of(w);
	note_line(w);
	if (w->found)
		return 0;
	int rc = next(w);
	if (rc == 0)
		rc = walk_value(w, &keys[k]);
	if (rc == 0 && !w->found)
		w->path[length] = '\0';
	return rc;
}

static int walk_mapping(struct walk *w, const struct key *keys, const char *what)
{
	uint32_t seen[KEYS_MAX] = { 0 };
	uint32_t line = line_of(w);
	note_line(w);
	if (w->found)
		return 0;
	if (w->event.type != YAML_MAPPING_START_EVENT)
		return expected(w, what);
	int rc;
	while ((rc = next(w)) == 0 && w->event.type != YAML_MAPPING_END_EVENT) {
		rc = walk_pair(w, keys, seen);
		if (rc || w->found)
			return rc;
	}
	return rc || w->target ? rc : check_missing(w, keys, seen, line);
}

static int walk_document(struct walk *w)
{
	int rc = next(w);                      /* stream start */
	if (rc == 0)
		rc = next(w);                  /* document start, or the end */
	if (rc == 0 && w->event.type == YAML_DOCUMENT_START_EVENT)
		rc = next(w);
	if (rc == 0)
		rc = walk_mapping(w, table_keys, "the keys region:, owners: and groups:");
	if (rc || w->found)
		return rc;
	rc = next(w);                          /* document end */
	if (rc == 0)
		rc = next(w);
	if (rc == 0 && w->event.type != YAML_STREAM_END_EVENT)
		rc = refuse(w, line_of(w), "a second YAML document begins here: expected one");
	return rc;
}

static int walk(struct walk *w)
{
	if (!yaml_parser_initialize(&w->parser))
		return dsm__fail(-ENOMEM, "%s: no memory to load it", w->source->name);
	yaml_parser_set_encoding(&w->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&w->parser, w->source->data, w->source->size);
	int rc = walk_document(w);
	if (w->has_event)
		yaml_event_delete(&w->event);
	yaml_parser_delete(&w->parser);
	return rc;
}

int yaml_explain(const struct yaml_source *source)
{
	struct walk w = { .source = source };
	return walk(&w);
}

uint32_t yaml_line(const struct yaml_source *source, const char *path)
{
	struct walk w = { .source = source, .target = path, .line = 1 };
	walk(&w);
	return w.line;
}
