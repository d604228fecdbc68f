/* SPDX-License-Identifier: Apache-2.0 */
/* A reference and the verdicts that come of it; see compare.h. */
#include "compare.h"

#include "expect.h"
#include "sample.h"
#include "text.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two engines are not looked at in the same instant: a difference between them counts when it
 * has lasted this long. */
#define GRACE_MS 1500
/* Above it a double does not tell one whole number from the next. */
#define WHOLE_MAX 9007199254740992.0

/* What is expected of one live cell. */
struct wanted {
	bool there, unusable;    /* unusable: the text is no value of the cell's type */
	bool none;               /* no value: never written, or not a number */
	const struct expected *entry;
	struct dsm_value value;
	void *kept;
	uint32_t other;          /* its index in the other engine's table */
	uint64_t differs_ns;     /* since when; 0 = it does not */
	struct tolerance tolerance;
};

struct reference {
	struct reference_options options;
	struct expectations file;
	struct sampler *engine;  /* NULL: a file */
	uint64_t other_version;  /* of the other engine's table */
	struct wanted *wanted;   /* by live cell */
	struct comparison cmp;
};

enum cmp comparison_of(const struct comparison *cmp, uint32_t cell)
{
	return cmp && cell < cmp->cells ? (enum cmp)cmp->of[cell] : CMP_NONE;
}

int reference_grace_ms(const struct reference *r)
{
	return r->engine ? GRACE_MS : 0;
}

/* ---- life ---- */

static bool is_file(const char *what)
{
	return !strstr(what, "://") && (strchr(what, '/') || access(what, F_OK) == 0);
}

static int open_engine(struct reference *r, char *error, size_t size)
{
	struct sampler_options options = {
		.uri = r->options.what, .program = "peeker --against",
		.period_s = r->options.period_s, .timeout_s = r->options.timeout_s,
		.globs = r->options.globs, .n_globs = r->options.n_globs,
	};

	snprintf(r->cmp.about, sizeof r->cmp.about, "engine %s", r->options.what);
	return sampler_start(&options, &r->engine, error, size);
}

int reference_open(const struct reference_options *options, struct reference **out, char *error,
	size_t size)
{
	struct reference *r = calloc(1, sizeof *r);
	char why[400];
	int result;

	if (!r)
		return -ENOMEM;
	r->options = *options;
	if (is_file(options->what)) {
		result = expectations_read(options->what, &r->file, why, sizeof why);
		snprintf(r->cmp.about, sizeof r->cmp.about, "%s", options->what);
	} else {
		result = open_engine(r, why, sizeof why);
	}
	if (result) {
		snprintf(error, size, "%s: %s", options->what, why);
		free(r);
		return result;
	}
	*out = r;
	return 0;
}

static void forget_wanted(struct reference *r)
{
	for (uint32_t i = 0; r->wanted && i < r->cmp.cells; i++)
		free(r->wanted[i].kept);
	free(r->wanted);
	free(r->cmp.of);
	r->wanted = NULL;
	r->cmp.of = NULL;
	r->cmp.cells = 0;
}

void reference_close(struct reference **reference)
{
	struct reference *r = *reference;

	if (!r)
		return;
	forget_wanted(r);
	sampler_stop(&r->engine);
	expectations_free(&r->file);
	free(r);
	*reference = NULL;
}

/* ---- which cell is which ---- */

static struct tolerance tolerance_for(const struct reference *r, const char *name)
{
	struct tolerance t = { .glob = "*" };

	for (int i = 0; i < r->options.n_tolerances; i++)
		if (fnmatch(r->options.tolerances[i].glob, name, FNM_NOESCAPE) == 0)
			t = r->options.tolerances[i];
	return t;
}

static bool is_asked_for(const struct reference *r, const char *name)
{
	for (int i = 0; i < r->options.n_globs; i++)
		if (fnmatch(r->options.globs[i], name, FNM_NOESCAPE) == 0)
			return true;
	return r->options.n_globs == 0;
}

static void miss(struct reference *r, const char *name)
{
	if (!is_asked_for(r, name))
		return;
	if (r->cmp.missing++ == 0)
		snprintf(r->cmp.missing_name, sizeof r->cmp.missing_name, "%s", name);
}

static void want_entry(struct reference *r, const struct model *model,
	const struct expected *entry)
{
	uint32_t cell = table_find(model->table, entry->name);

	if (cell == UINT32_MAX) {
		miss(r, entry->name);
		return;
	}
	const struct cell_meta *meta = &model->table->cell[cell];
	struct wanted *w = &r->wanted[cell];
	const char *text = entry->text;
	bool good = entry->quality && strncmp(entry->quality, "never", 5) != 0;
	if (!text && good && (meta->type == DSM_STRING || meta->type == DSM_BYTES))
		text = ""; /* CSV does not tell an empty text from none; the quality does */
	free(w->kept);
	w->kept = NULL;
	w->there = true;
	w->entry = entry;
	w->none = !text;
	w->unusable = text && value_parse(text, meta, &w->value, &w->kept) != 0;
}

static void want_others(struct reference *r, const struct model *model,
	const struct table *other)
{
	for (uint32_t i = 0; i < other->cells; i++) {
		uint32_t cell = table_find(model->table, other->cell[i].name);
		if (cell == UINT32_MAX) {
			miss(r, other->cell[i].name);
			continue;
		}
		r->wanted[cell].there = true;
		r->wanted[cell].other = i;
		r->wanted[cell].unusable = other->cell[i].type != model->table->cell[cell].type;
	}
}

static int match_tables(struct reference *r, const struct model *model,
	const struct model *other)
{
	uint64_t other_version = other && other->table ? other->table->version : 0;

	if (r->wanted && r->cmp.table_version == model->table->version &&
	    r->other_version == other_version)
		return 0;
	forget_wanted(r);
	r->wanted = calloc(model->table->cells + 1, sizeof *r->wanted);
	r->cmp.of = calloc(model->table->cells + 1, 1);
	if (!r->wanted || !r->cmp.of)
		return -ENOMEM;
	r->cmp.cells = model->table->cells;
	r->cmp.table_version = model->table->version;
	r->cmp.missing = 0;
	r->other_version = other_version;
	for (uint32_t i = 0; i < r->cmp.cells; i++)
		r->wanted[i].tolerance = tolerance_for(r, model->table->cell[i].name);
	for (size_t i = 0; i < r->file.n; i++)
		want_entry(r, model, &r->file.entry[i]);
	if (other && other->table)
		want_others(r, model, other->table);
	return 0;
}

/* ---- verdicts ---- */

static bool has_no_value(const struct cell_state *state)
{
	return state->quality == DSM_NEVER_WRITTEN ||
		(state->value.type == DSM_F64 && !isfinite(state->value.f64));
}

/* "bad,stale(owner)": only the owner's word is compared; stale is what one sees oneself. */
static bool same_quality(const char *expected, uint8_t quality)
{
	const char *name = dsm_quality_name(quality);
	size_t n = strcspn(expected, ",");

	return strlen(name) == n && strncmp(expected, name, n) == 0;
}

static bool equals_entry(const struct wanted *w, const struct cell_state *state)
{
	if (w->unusable || state->cut)
		return false;
	if (w->entry->quality && !same_quality(w->entry->quality, state->quality))
		return false;
	if (w->none || has_no_value(state))
		return w->none && has_no_value(state);
	return value_equal(&state->value, &w->value, &w->tolerance);
}

/* Was the number, within the tolerance, what the other was during the last second or two? */
static bool is_in_band(const struct cell_state *state, const struct cell_state *other,
	const struct tolerance *t)
{
	double number;

	if (!value_number(&state->value, &number) || fabs(number) > WHOLE_MAX)
		return false;
	for (int i = 0; i < 2; i++) {
		double slack = t->absolute, low = other->band[i][0], high = other->band[i][1];
		if (t->relative * fabs(number) > slack)
			slack = t->relative * fabs(number);
		if (!isnan(low) && number >= low - slack && number <= high + slack)
			return true;
	}
	return false;
}

static bool equals_other(const struct wanted *w, const struct cell_state *state,
	const struct cell_state *other)
{
	if (w->unusable || state->quality != other->quality)
		return false;
	if (has_no_value(state) || has_no_value(other))
		return has_no_value(state) && has_no_value(other);
	if (state->cut || other->cut)
		return false;
	return value_equal(&state->value, &other->value, &w->tolerance) ||
		is_in_band(state, other, &w->tolerance) || is_in_band(other, state, &w->tolerance);
}

static enum cmp judge(struct reference *r, const struct model *model, const struct model *other,
	uint32_t cell)
{
	struct wanted *w = &r->wanted[cell];
	const struct cell_state *state = &model->cells[cell];

	if (!w->there || model_verdict(model, cell) == CELL_UNREAD)
		return CMP_NONE;
	if (other && model_verdict(other, w->other) == CELL_UNREAD)
		return CMP_UNREAD;
	bool equal = other ? equals_other(w, state, &other->cells[w->other]) : equals_entry(w, state);
	if (equal) {
		w->differs_ns = 0;
		return CMP_EQUAL;
	}
	if (!w->differs_ns)
		w->differs_ns = model->now_ns;
	uint64_t grace_ns = (uint64_t)reference_grace_ms(r) * 1000000u;
	return model->now_ns - w->differs_ns >= grace_ns ? CMP_DEVIATES : CMP_PENDING;
}

/* The other engine must be there and alive, or equal numbers mean nothing. */
static void take_problem(struct reference *r, const struct model *other)
{
	char *to = r->cmp.problem;

	*to = '\0';
	r->cmp.unsure = other && other->engine.state == ENGINE_UNKNOWN;
	if (!other)
		return;
	if (!other->table)
		snprintf(to, sizeof r->cmp.problem, "%s", other->engine.problem);
	else if (other->engine.state != ENGINE_RUNNING)
		snprintf(to, sizeof r->cmp.problem, "the reference is %s",
			engine_state_name(other->engine.state));
	snprintf(r->cmp.about, sizeof r->cmp.about, "engine %s", other->engine.uri);
}

const struct comparison *reference_compare(struct reference *r, const struct model *model)
{
	struct comparison *cmp = &r->cmp;

	if (!model->table)
		return cmp;
	const struct model *other = r->engine ? sampler_lock(r->engine) : NULL;
	take_problem(r, other);
	int error = match_tables(r, model, other);
	cmp->equal = cmp->deviating = cmp->pending = cmp->none = cmp->unread = 0;
	for (uint32_t i = 0; i < cmp->cells && !error; i++) {
		enum cmp verdict = other && !other->table ? CMP_NONE : judge(r, model, other, i);
		cmp->of[i] = (uint8_t)verdict;
		cmp->equal += verdict == CMP_EQUAL;
		cmp->deviating += verdict == CMP_DEVIATES;
		cmp->pending += verdict == CMP_PENDING;
		cmp->unread += verdict == CMP_UNREAD;
		cmp->none += verdict == CMP_NONE || verdict == CMP_UNREAD;
	}
	if (r->engine)
		sampler_unlock(r->engine);
	return error ? NULL : cmp;
}

char *reference_text(struct reference *r, uint32_t cell, int precision, char *buf, size_t size)
{
	const struct wanted *w = cell < r->cmp.cells ? &r->wanted[cell] : NULL;

	*buf = '\0';
	if (!w || !w->there)
		return buf;
	if (r->engine) {
		const struct model *other = sampler_lock(r->engine);
		if (other->table && other->table->version == r->other_version)
			text_whole_value(&other->cells[w->other], precision, buf, size);
		sampler_unlock(r->engine);
	} else if (w->none) {
		snprintf(buf, size, "-");
	} else {
		snprintf(buf, size, "%s", w->entry->text ? w->entry->text : "");
	}
	return buf;
}

const char *reference_quality(struct reference *r, const struct model *model, uint32_t cell)
{
	const struct wanted *w = cell < r->cmp.cells ? &r->wanted[cell] : NULL;
	uint8_t quality = model->cells[cell].quality;
	const char *expected = "";

	if (!w || !w->there)
		return "";
	if (!r->engine)
		return w->entry->quality && !same_quality(w->entry->quality, quality) ?
			w->entry->quality : "";
	const struct model *other = sampler_lock(r->engine);
	if (other->table && other->table->version == r->other_version &&
	    other->cells[w->other].quality != quality)
		expected = dsm_quality_name(other->cells[w->other].quality);
	sampler_unlock(r->engine);
	return expected;
}
