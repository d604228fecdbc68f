/* SPDX-License-Identifier: Apache-2.0 */
/* Values as rows, and the verb get; see values.h. */
#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const enum fact people_facts[] = {
	FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_AGE,
};
static const enum fact raw_facts[] = {
	FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_TIME, FACT_SEQ,
};
static const enum fact ordered_facts[] = {
	FACT_TIME, FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY, FACT_SEQ,
};
static const enum fact terse_facts[] = { FACT_VALUE };

/* People who watch want to know when; those who look once, how long ago. */
static const enum fact watch_facts[] = {
	FACT_TIME, FACT_CELL, FACT_VALUE, FACT_UNIT, FACT_QUALITY,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void choose_view(struct show *show)
{
	const struct cli *cli = show->cli;
	const struct format *format = cli->out->format;

	if (cli->set.terse)
		view_init(&show->view, terse_facts, COUNT(terse_facts));
	else if (format->ordered)
		view_init(&show->view, ordered_facts, COUNT(ordered_facts));
	else if (format->for_people && cli->verb->bit == VERB_WATCH)
		view_init(&show->view, watch_facts, COUNT(watch_facts));
	else if (format->for_people)
		view_init(&show->view, people_facts, COUNT(people_facts));
	else
		view_init(&show->view, raw_facts, COUNT(raw_facts));
}

static bool is_wide(const struct show *show)
{
	return show->cli->out->format->wide;
}

/* Names and units are copied: columns outlive a replaced table. */
static int init_wide(struct show *show)
{
	const struct selection *sel = show->sel;
	struct dsm_cell_info info;

	show->columns = calloc(sel->n + 2, sizeof *show->columns);
	show->fields = calloc(sel->n + 2, sizeof *show->fields);
	show->samples = calloc(sel->n + 1, sizeof *show->samples);
	show->names = calloc(sel->n + 1, sizeof *show->names);
	show->units = calloc(sel->n + 1, sizeof *show->units);
	if (!show->columns || !show->fields || !show->samples || !show->names || !show->units)
		return -ENOMEM;
	show->columns[0] = (struct column){ .key = "t", .unit = "s" };
	show->columns[sel->n + 1] = (struct column){ .key = "quality" };
	for (size_t i = 0; i < sel->n; i++) {
		int error = dsm_cell_info(sel->dsm, sel->items[i].cell, &info);
		if (error)
			return error;
		show->names[i] = strdup(info.name);
		show->units[i] = strdup(info.unit);
		if (!show->names[i] || !show->units[i])
			return -ENOMEM;
		show->columns[i + 1] = (struct column){ .key = show->names[i], .unit = show->units[i] };
	}
	return 0;
}

int show_init(struct show *show, struct cli *cli, struct selection *sel)
{
	*show = (struct show){ .cli = cli, .sel = sel, .left = UINT64_MAX };
	choose_view(show);
	if (is_wide(show)) {
		int error = init_wide(show);
		if (error)
			return error;
		out_begin(cli->out, show->columns, sel->n + 2, false);
	} else {
		view_begin(&show->view, cli->out, false);
	}
	return 0;
}

void show_free(struct show *show)
{
	for (size_t i = 0; show->names && i < show->sel->n; i++)
		free(show->names[i]);
	for (size_t i = 0; show->units && i < show->sel->n; i++)
		free(show->units[i]);
	free(show->names);
	free(show->units);
	free(show->columns);
	free(show->fields);
	free(show->samples);
	*show = (struct show){ 0 };
}

/* Cells that are not plainly good, as "name=quality name=quality"; "good" if all are. */
static char *qualities(struct show *show)
{
	char quality[96];
	size_t doubtful = 0;
	struct memory memory;

	if (memory_open(&memory))
		return NULL;
	for (size_t i = 0; i < show->sel->n; i++) {
		const struct dsm_sample *sample = &show->samples[i];
		if (sample->quality == DSM_GOOD && !sample_is_doubtful(sample))
			continue;
		fprintf(memory.file, "%s%s=%s", doubtful++ ? " " : "", show->names[i],
			sample_quality(sample, quality, sizeof quality));
	}
	if (doubtful == 0)
		fputs(dsm_quality_name(DSM_GOOD), memory.file);
	char *text = memory_take(&memory);
	memory_close(&memory);
	return text;
}

static int wide_row(struct show *show, int64_t time_ns)
{
	struct selection *sel = show->sel;

	for (size_t i = 0; i < sel->n; i++) {
		const struct picked *picked = &sel->groups[sel->items[i].group];
		int error = dsm_frame_read(picked->frame, sel->items[i].cell, &show->samples[i]);
		if (error)
			return error;
		show->fields[i + 1] = sample_value(&show->samples[i], -1);
	}
	char *quality = qualities(show);
	show->fields[0] = field_time(time_ns);
	show->fields[sel->n + 1] = field_text(quality ? quality : "");
	out_row(show->cli->out, show->fields);
	free(quality);
	show->left--;
	return 0;
}

/* 1 = it differs from what was last looked at, 0 = it does not. */
static int look(struct show *show, struct item *item, struct dsm_sample *sample)
{
	const struct picked *picked = &show->sel->groups[item->group];
	int error = dsm_frame_read(picked->frame, item->cell, sample);

	if (error)
		return error;
	bool same = item->seen && item->changed_ns == sample->changed_ns &&
		item->quality == sample->quality && item->flags == sample->flags;
	item->seen = true;
	item->changed_ns = sample->changed_ns;
	item->quality = sample->quality;
	item->flags = sample->flags;
	show->doubtful |= sample_is_doubtful(sample);
	return !same;
}

int show_group(struct show *show, size_t g, enum show_what what, int64_t time_ns)
{
	struct selection *sel = show->sel;
	bool all = g == SIZE_MAX;
	size_t n = all ? sel->n : sel->groups[g].n;
	struct dsm_cell_info info;
	struct dsm_sample sample;
	bool any = what == SHOW_ALL;
	bool only_changes = what == SHOW_CHANGES || what == SHOW_LATER;

	for (size_t k = 0; k < n && show->left && !cli_ended(show->cli); k++) {
		struct item *item = &sel->items[all ? k : sel->order[sel->groups[g].first + k]];
		int changed = look(show, item, &sample);
		if (changed < 0)
			return changed;
		any |= changed;
		if (is_wide(show) || what == SHOW_NONE || (only_changes && !changed))
			continue;
		int error = dsm_cell_info(sel->dsm, item->cell, &info);
		if (error)
			return error;
		view_row(&show->view, show->cli->out, &info, &sample);
		show->left--;
	}
	if (is_wide(show) && any && what != SHOW_NONE)
		show->pending = true;
	return what == SHOW_LATER ? 0 : show_pending(show, time_ns);
}

int show_pending(struct show *show, int64_t time_ns)
{
	bool due = show->pending;

	show->pending = false;
	return due && show->left && !cli_ended(show->cli) ? wide_row(show, time_ns) : 0;
}

/* ---- get ---- */

struct rounds {
	struct selection sel;
	struct show show;
};

/* Select anew: the first time, and when the engine has replaced the table. */
static enum status select_anew(struct cli *cli, struct rounds *rounds)
{
	out_end(cli->out);
	show_free(&rounds->show);
	selection_free(&rounds->sel);
	enum status status = selection_make(cli, cli->args, cli->n_args, &rounds->sel);
	int error = show_init(&rounds->show, cli, &rounds->sel);
	if (error)
		return cli_fail(cli, error);
	return status;
}

static enum status one_round(struct cli *cli, void *context)
{
	struct rounds *rounds = context;
	enum show_what what = cli->set.changes ? SHOW_CHANGES : SHOW_ALL;
	enum status status = STATUS_OK;
	int error = selection_read_all(cli, &rounds->sel);

	if (error == -ESTALE) {
		status = select_anew(cli, rounds);
		error = selection_read_all(cli, &rounds->sel);
	}
	rounds->show.doubtful = false;
	if (!error && rounds->sel.n > 0)
		error = show_group(&rounds->show, SIZE_MAX, what, wall_ns());
	if (error)
		return cli_worse(status, cli_fail(cli, error));
	return cli_worse(status, rounds->show.doubtful ? STATUS_STALE : STATUS_OK);
}

enum status verb_get(struct cli *cli)
{
	struct rounds rounds = { 0 };
	bool repeats = cli->set.interval_s >= 0;

	if (cli->set.terse && !cli->set.format)
		cli->set.format = format_raw.name;
	enum status status = cli_output(cli);
	if (!status)
		status = cli_attach(cli, NULL, repeats ? 0 : DSM_NO_REATTACH);
	if (status)
		return status;
	status = select_anew(cli, &rounds);
	if (rounds.sel.n > 0)
		status = cli_worse(status, cli_repeat(cli, one_round, &rounds));
	out_end(cli->out);
	show_free(&rounds.show);
	selection_free(&rounds.sel);
	if (status == STATUS_STALE && cli->verb->bit == VERB_WATCH && !cli->set.once)
		return STATUS_OK; /* who watches has seen it come and go */
	return status;
}
