/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verb watch: values as they change. Follows each group by a cursor, so that every commit
 * the ring still holds is seen; says what was lost. With --rate, --nth or --deadband a
 * subscription brings what is left. Survives engine restarts.
 */
#include "values.h"

#include <dsm/batch.h>
#include <dsm/subscribe.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define NS_PER_MS 1000000u
/* Longest sleep for a commit in one piece; signals, staleness and events are looked at then. */
#define SLICE_MS 100
/* The library waits for DSM_WAIT_GROUPS groups; more are looked at in turn this often. */
#define POLL_MS 10
/* How often staleness is looked at: no commit tells of it. */
#define REFRESH_MS 250
/* How often losses are reported. */
#define REPORT_MS 1000
/* Above so many cells a side-by-side row is printed per look and not per commit: rows as
 * long as the table for each of its groups would grow with the square of the table. */
#define ROW_PER_COMMIT_MAX 1000

struct watching {
	struct cli *cli;
	struct selection sel;
	struct show show;
	uint64_t lost, reported_ns, refreshed_ns;
};

static void report_losses(struct watching *watching, bool now)
{
	uint64_t at = now_ns();

	if (!watching->lost || (!now && at - watching->reported_ns < (uint64_t)REPORT_MS * NS_PER_MS))
		return;
	cli_say(watching->cli, "%" PRIu64 " commits were overwritten before they could be read",
		watching->lost);
	watching->lost = 0;
	watching->reported_ns = at;
}

/* What happened to the engine; what happened to owners is seen in the values' staleness. */
static void report_events(struct cli *cli)
{
	struct dsm_event event;

	while (dsm_next_event(cli->dsm, &event) == 0) {
		switch (event.kind) {
		case DSM_EVENT_ATTACHED:
		case DSM_EVENT_OWNER:
		case DSM_EVENT_REQUEST:
			break;
		default:
			cli_say(cli, "%s", *event.text ? event.text : dsm_event_name(event.kind));
		}
	}
}

/* Read all, print the present state, and put the cursors behind it. */
static int begin_following(struct watching *watching, enum show_what what)
{
	struct selection *sel = &watching->sel;
	int error = selection_read_all(watching->cli, sel);

	for (size_t g = 0; g < sel->n_groups && !error; g++) {
		struct dsm_frame_info info;
		error = dsm_frame_info(sel->groups[g].frame, &info);
		if (!error)
			error = dsm_cursor_open(sel->dsm, sel->groups[g].group, info.seq,
				&sel->groups[g].cursor);
	}
	if (!error)
		error = show_group(&watching->show, SIZE_MAX, what, wall_ns());
	out_flush(watching->cli->out);
	watching->refreshed_ns = now_ns();
	return error;
}

static bool may_go_on(const struct watching *watching)
{
	return watching->show.left && !cli_ended(watching->cli) &&
		cli_remaining_ms(watching->cli, 1) > 0;
}

/* Every commit of the group that the cursor still gives. */
static int drain(struct watching *watching, size_t g)
{
	struct picked *picked = &watching->sel.groups[g];
	enum show_what what = watching->sel.n > ROW_PER_COMMIT_MAX ? SHOW_LATER : SHOW_CHANGES;
	struct dsm_frame_info info;
	uint64_t lost = 0;
	int error;

	while ((error = dsm_next(picked->cursor, picked->frame, &lost)) == 0) {
		if (lost != UINT64_MAX)
			watching->lost += lost;
		error = dsm_frame_info(picked->frame, &info);
		if (!error)
			error = show_group(&watching->show, g, what, info.time_ns);
		if (error || !may_go_on(watching))
			return error;
		report_losses(watching, false);
	}
	return error == -EAGAIN ? 0 : error;
}

/* Staleness changes without a commit. Groups with commits not yet shown are left to drain(),
 * or their older commits would be shown after the newest. */
static int refresh(struct watching *watching)
{
	struct selection *sel = &watching->sel;

	if (now_ns() - watching->refreshed_ns < (uint64_t)REFRESH_MS * NS_PER_MS)
		return 0;
	watching->refreshed_ns = now_ns();
	for (size_t g = 0; g < sel->n_groups && may_go_on(watching); g++) {
		struct dsm_frame_info info;
		int error = selection_read(sel, g);
		if (!error)
			error = dsm_frame_info(sel->groups[g].frame, &info);
		if (!error && info.seq == dsm_cursor_seq(sel->groups[g].cursor))
			error = show_group(&watching->show, g, SHOW_LATER, 0);
		if (error)
			return error;
	}
	return 0;
}

static bool has_news(struct watching *watching, size_t g)
{
	struct picked *picked = &watching->sel.groups[g];
	struct dsm_group_info info;

	/* A failure counts as news: dsm_next() will say what it is. */
	return dsm_group_info(watching->cli->dsm, picked->group, &info) != 0 ||
		info.seq != dsm_cursor_seq(picked->cursor);
}

static bool can_wait(const struct watching *watching)
{
	const struct selection *sel = &watching->sel;

	/* rows per look, which are few only if looks are */
	return sel->n_groups == 1 || (sel->n_groups <= DSM_WAIT_GROUPS && sel->n <= ROW_PER_COMMIT_MAX);
}

/* For a commit to any of the groups. */
static int wait_for_news(struct watching *watching)
{
	struct dsm_group groups[DSM_WAIT_GROUPS];
	uint64_t since[DSM_WAIT_GROUPS], changed;
	uint32_t n = 0;

	for (; n < watching->sel.n_groups; n++) {
		groups[n] = watching->sel.groups[n].group;
		since[n] = dsm_cursor_seq(watching->sel.groups[n].cursor);
	}
	int error = dsm_wait_any(watching->cli->dsm, groups, since, n, cli_remaining_ms(watching->cli, SLICE_MS),
		&changed);

	return error == -ETIMEDOUT || error == -EAGAIN || error == -EINTR ? 0 : error;
}

/* One look at everything; `pause_ms` adapts, so that a huge selection takes a part of one
 * processor only. */
static int look_around(struct watching *watching, uint64_t *pause_ms)
{
	struct cli *cli = watching->cli;
	struct selection *sel = &watching->sel;
	uint64_t start = now_ns();
	int error = 0;

	for (size_t g = 0; g < sel->n_groups && !error && may_go_on(watching); g++)
		if (has_news(watching, g))
			error = drain(watching, g);
	if (!error)
		error = refresh(watching);
	if (!error)
		error = show_pending(&watching->show, wall_ns());
	out_flush(cli->out);
	uint64_t took_ms = (now_ns() - start) / NS_PER_MS;
	*pause_ms = took_ms * 4 > POLL_MS ? took_ms * 4 : POLL_MS;
	return error;
}

/* Until the end, or an error that a new selection may mend. */
static int follow(struct watching *watching)
{
	struct cli *cli = watching->cli;
	uint64_t pause_ms = POLL_MS;
	int error = 0;

	while (may_go_on(watching)) {
		report_events(cli);
		report_losses(watching, false);
		bool lost = can_wait(watching) && (error = wait_for_news(watching)) == -ENOTCONN;
		if (!error || lost)
			error = look_around(watching, &pause_ms);
		if (error && error != -ENOTCONN)
			return error;
		if (can_wait(watching) && !lost && !error)
			pause_ms = 0; /* it has slept in wait_for_news() */
		else if (lost || error)
			pause_ms = SLICE_MS; /* it comes back by itself; the events say so */
		cli_sleep_until(cli, now_ns() + (uint64_t)pause_ms * NS_PER_MS);
	}
	return 0;
}

/* ---- fewer commits: a subscription instead of cursors ---- */

struct thinning {
	bool wanted;
	enum dsm_deadband kind;
	double deadband;
	struct dsm_subscription_options options;
};

static enum status take_thinning(const struct cli *cli, struct thinning *t)
{
	const struct settings *set = &cli->set;
	char *end;

	*t = (struct thinning){ .options = DSM_SUBSCRIPTION_OPTIONS_INIT,
		.wanted = set->rate || set->nth || set->deadband };
	if (set->nth > UINT32_MAX)
		return cli_usage(cli, "--nth %" PRIu64 ": expected at most %" PRIu32, set->nth, UINT32_MAX);
	t->options.every_nth = (uint32_t)set->nth;
	if (set->rate) {
		t->options.max_rate_hz = strtod(set->rate, &end);
		if (end == set->rate || *end || !(t->options.max_rate_hz >= 0.001 && t->options.max_rate_hz <= 1e6))
			return cli_usage(cli, "--rate \"%s\": expected 0.001 to 1000000 a second", set->rate);
	}
	if (set->deadband) {
		t->deadband = strtod(set->deadband, &end);
		t->kind = *end == '%' ? DSM_DEADBAND_PERCENT : DSM_DEADBAND_ABSOLUTE;
		if (end == set->deadband || end[*end == '%'] || !isfinite(t->deadband) || t->deadband < 0)
			return cli_usage(cli, "--deadband \"%s\": expected a number from 0 on, or one with %%",
				set->deadband);
	}
	return STATUS_OK;
}

static int subscribe(struct watching *watching, const struct thinning *t, struct dsm_subscription **out)
{
	struct selection *sel = &watching->sel;
	struct dsm_interest *interests = calloc(sel->n_groups, sizeof *interests);

	if (!interests)
		return -ENOMEM;
	for (size_t g = 0; g < sel->n_groups; g++)
		interests[g] = (struct dsm_interest){ .group = sel->groups[g].group, .kind = t->kind,
			.deadband = t->deadband };
	int error = dsm_subscribe(sel->dsm, interests, (uint32_t)sel->n_groups, &t->options, out);
	free(interests);
	return error;
}

/* The update's frame is the subscription's: it is only lent to the picked group. */
static int show_update(struct watching *watching, const struct dsm_update *update, const struct dsm_frame *frame)
{
	struct picked *picked = &watching->sel.groups[update->index];
	struct dsm_frame *own = picked->frame;
	struct dsm_frame_info info;
	int error = dsm_frame_info(frame, &info);

	if (error)
		return error;
	picked->frame = (struct dsm_frame *)(uintptr_t)frame;
	error = show_group(&watching->show, update->index, SHOW_CHANGES, info.time_ns);
	picked->frame = own;
	out_flush(watching->cli->out);
	return error;
}

/* As begin_following() and follow(), with what the subscription lets through. */
static int follow_thinned(struct watching *watching, enum show_what what, const struct thinning *t)
{
	struct cli *cli = watching->cli;
	struct dsm_subscription *subscription = NULL;
	int error = selection_read_all(cli, &watching->sel);

	if (!error)
		error = show_group(&watching->show, SIZE_MAX, what, wall_ns());
	out_flush(cli->out);
	if (!error)
		error = subscribe(watching, t, &subscription);
	while (!error && may_go_on(watching)) {
		const struct dsm_frame *frame;
		struct dsm_update update;
		error = dsm_next_update(subscription, cli_remaining_ms(cli, SLICE_MS), &frame, &update);
		report_events(cli);
		if (!error)
			error = update.new_table ? -ESTALE : show_update(watching, &update, frame);
		else if (error == -ETIMEDOUT || error == -EAGAIN || error == -EINTR)
			error = 0;
		else if (error == -ENODEV)
			error = -ESTALE; /* a new selection says what is gone */
	}
	dsm_unsubscribe(&subscription);
	return error;
}

static enum status watch_events(struct cli *cli, const struct thinning *thinning)
{
	struct watching watching = { .cli = cli };
	enum show_what what = cli->set.changes ? SHOW_NONE : SHOW_ALL;
	uint64_t left = cli->set.has_count ? cli->set.count : UINT64_MAX;
	enum status status;
	int error;

	do {
		out_end(cli->out);
		show_free(&watching.show);
		selection_free(&watching.sel);
		status = selection_make(cli, cli->args, cli->n_args, &watching.sel);
		error = show_init(&watching.show, cli, &watching.sel);
		watching.show.left = left;
		if (watching.sel.n == 0)
			break;
		if (!error && thinning->wanted) {
			error = follow_thinned(&watching, what, thinning);
		} else if (!error) {
			error = begin_following(&watching, what);
			if (!error)
				error = follow(&watching);
		}
		left = watching.show.left;
	} while (error == -ESTALE || error == -ECANCELED);
	report_losses(&watching, true);
	if (error)
		status = cli_worse(status, cli_fail(cli, error));
	else if (cli->set.has_count && left > 0 && !cli_ended(cli) && watching.sel.n > 0) {
		cli_say(cli, "%" PRIu64 " of %" PRIu64 " lines within %g s", cli->set.count - left,
			cli->set.count, cli->set.timeout_s);
		status = cli_worse(status, STATUS_TIMEOUT);
	}
	out_end(cli->out);
	show_free(&watching.show);
	selection_free(&watching.sel);
	return status;
}

enum status verb_watch(struct cli *cli)
{
	if (cli->set.once || cli->set.interval_s >= 0) {
		if (cli->set.rate || cli->set.nth || cli->set.deadband)
			return cli_usage(cli, "--rate, --nth and --deadband do not go with --once and -i");
		return verb_get(cli);
	}
	struct thinning thinning;
	enum status status = take_thinning(cli, &thinning);
	if (!status)
		status = cli_output(cli);
	if (!status)
		status = cli_attach(cli, NULL, 0);
	return status ? status : watch_events(cli, &thinning);
}
