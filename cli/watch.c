/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verb watch: values as they change. Follows each group by a cursor, so that every commit
 * the ring still holds is seen; says what was lost. Survives engine restarts.
 */
#include "values.h"

#include <errno.h>
#include <inttypes.h>

#define NS_PER_MS 1000000u
/* Longest sleep for a commit in one piece; signals, staleness and events are looked at then. */
#define SLICE_MS 100
/* The library waits for one group only; several are looked at in turn this often. */
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

static int wait_for_one(struct watching *watching)
{
	struct picked *picked = &watching->sel.groups[0];
	int error = dsm_wait(watching->cli->dsm, picked->group, dsm_cursor_seq(picked->cursor),
		cli_remaining_ms(watching->cli, SLICE_MS), picked->frame);

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
		bool lost = watching->sel.n_groups == 1 && (error = wait_for_one(watching)) == -ENOTCONN;
		if (!error || lost)
			error = look_around(watching, &pause_ms);
		if (error && error != -ENOTCONN)
			return error;
		if (watching->sel.n_groups == 1 && !lost && !error)
			pause_ms = 0; /* it has slept in wait_for_one() */
		else if (lost || error)
			pause_ms = SLICE_MS; /* it comes back by itself; the events say so */
		cli_sleep_until(cli, now_ns() + (uint64_t)pause_ms * NS_PER_MS);
	}
	return 0;
}

static enum status watch_events(struct cli *cli)
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
		if (!error)
			error = begin_following(&watching, what);
		if (!error)
			error = follow(&watching);
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
	if (cli->set.once || cli->set.interval_s >= 0)
		return verb_get(cli);
	enum status status = cli_output(cli);
	if (!status)
		status = cli_attach(cli, NULL, 0);
	return status ? status : watch_events(cli);
}
