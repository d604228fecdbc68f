/* SPDX-License-Identifier: Apache-2.0 */
/* Verb wait: sleep until a group commits, or a cell changes or has a value. */
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u
/* Longest sleep in one piece: signals and staleness are looked at then. */
#define SLICE_MS 100

enum op { OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT };

/* What is waited for. */
struct target {
	const char *name;
	bool is_cell;
	struct dsm_cell cell;
	struct dsm_group group;
	/* --value */
	bool has_value;
	enum op op;
	struct dsm_value value;
	void *scratch;
	/* otherwise: a commit after `since`, or a change of the cell after `first` */
	bool by_seq;
	uint64_t since;
	struct dsm_sample first;
};

static enum op split_op(const char **text)
{
	static const struct { const char *word; enum op op; } ops[] = {
		{ "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE }, { "=", OP_EQ },
		{ "<", OP_LT }, { ">", OP_GT },
	};

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		size_t len = strlen(ops[i].word);
		if (strncmp(*text, ops[i].word, len) != 0)
			continue;
		*text += len;
		return ops[i].op;
	}
	return OP_EQ;
}

#define SIGN(a, b) ((a) < (b) ? -1 : (a) > (b))

static int compare_bytes(const void *a, size_t na, const void *b, size_t nb)
{
	int order = memcmp(a, b, na < nb ? na : nb);

	return order ? order : SIGN(na, nb);
}

/* Both of the cell's type; arrays cannot be parsed and do not come here. */
static int compare(const struct dsm_value *a, const struct dsm_value *b)
{
	switch (a->type) {
	case DSM_BOOL:
		return SIGN(a->b, b->b);
	case DSM_I64:
		return SIGN(a->i64, b->i64);
	case DSM_U64:
		return SIGN(a->u64, b->u64);
	case DSM_F64:
		return SIGN(a->f64, b->f64);
	case DSM_STRING:
		return compare_bytes(a->str, a->len, b->str, b->len);
	case DSM_BYTES:
		return compare_bytes(a->bytes, a->len, b->bytes, b->len);
	default:
		return 1;
	}
}

static bool holds(enum op op, int order)
{
	switch (op) {
	case OP_EQ:
		return order == 0;
	case OP_NE:
		return order != 0;
	case OP_LE:
		return order <= 0;
	case OP_GE:
		return order >= 0;
	case OP_LT:
		return order < 0;
	case OP_GT:
		return order > 0;
	}
	return false;
}

/* Whether the frame shows what is waited for; > 0 yes, 0 not yet. */
static int is_met(const struct target *target, const struct dsm_frame *frame)
{
	struct dsm_frame_info info;
	struct dsm_sample sample;
	int error = dsm_frame_info(frame, &info);

	if (error)
		return error;
	if (target->by_seq)
		return info.seq > target->since;
	error = dsm_frame_read(frame, target->cell, &sample);
	if (error)
		return error;
	if (target->has_value) /* what is stale or bad is not known to be so */
		return !sample_is_doubtful(&sample) &&
			holds(target->op, compare(&sample.value, &target->value));
	return sample.changed_ns != target->first.changed_ns ||
		sample.quality != target->first.quality;
}

static enum status parse_value(struct cli *cli, struct target *target)
{
	const char *text = cli->set.value;
	struct dsm_cell_info info;

	if (!text)
		return STATUS_OK;
	size_t size = strlen(text) + 1;
	int error = dsm_cell_info(cli->dsm, target->cell, &info);
	if (error)
		return cli_fail(cli, error);
	target->has_value = true;
	target->op = split_op(&text);
	target->scratch = malloc(size);
	if (!target->scratch)
		return cli_fail(cli, -ENOMEM);
	error = dsm_value_parse(text, info.type, &target->value, target->scratch, size);
	if (error) {
		cli_say(cli, "--value \"%s\": %s", text, dsm_error());
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

/* Name to ids; again when the table was replaced. */
static enum status resolve(struct cli *cli, struct target *target)
{
	struct dsm_cell_info info;
	int error = dsm_cell(cli->dsm, target->name, &target->cell);

	target->is_cell = error == 0;
	if (target->is_cell)
		error = dsm_cell_info(cli->dsm, target->cell, &info);
	if (target->is_cell && !error)
		target->group = info.group;
	else if (dsm_group(cli->dsm, target->name, &target->group) == 0)
		error = 0;
	else
		error = dsm_cell(cli->dsm, target->name, &target->cell);
	if (error)
		return cli_fail(cli, error);
	if (cli->set.value && !target->is_cell)
		return cli_usage(cli, "--value needs a cell; %s is a group", target->name);
	target->by_seq = !cli->set.value && (cli->set.has_since || !target->is_cell);
	return STATUS_OK;
}

/* Where the wait begins: what is there now. */
static int take_bearings(const struct cli *cli, struct target *target, struct dsm_frame *frame)
{
	struct dsm_frame_info info;
	int error = dsm_snapshot(cli->dsm, target->group, frame);

	if (!error)
		error = dsm_frame_info(frame, &info);
	if (!error && target->is_cell)
		error = dsm_frame_read(frame, target->cell, &target->first);
	if (!error)
		target->since = cli->set.has_since ? cli->set.since : info.seq;
	return error;
}

/* Commits are numbered anew by a new generation: every one of its is later. */
static void heed_events(struct cli *cli, struct target *target)
{
	struct dsm_event event;

	while (dsm_next_event(cli->dsm, &event) == 0) {
		if (event.kind == DSM_EVENT_GENERATION || event.kind == DSM_EVENT_TABLE_CHANGED)
			target->since = 0;
		if (event.kind == DSM_EVENT_LOST || event.kind == DSM_EVENT_STALE)
			cli_say(cli, "%s; waiting on", *event.text ? event.text :
				dsm_event_name(event.kind));
	}
}

static enum status timed_out(const struct cli *cli, const struct target *target)
{
	struct dsm_group_info group;
	struct dsm_owner_info owner;
	const char *what = target->has_value ? "did not have the value" :
		target->by_seq ? "had no commit" : "did not change";

	if (dsm_group_info(cli->dsm, target->group, &group) == 0 &&
	    dsm_owner_info(cli->dsm, group.owner, &owner) == 0)
		cli_say(cli, "%s %s within %g s; its owner %s is %s, newest commit %" PRIu64,
			target->name, what, cli->set.timeout_s, owner.name,
			dsm_owner_state_name(owner.state), group.seq);
	else
		cli_say(cli, "%s %s within %g s", target->name, what, cli->set.timeout_s);
	return STATUS_TIMEOUT;
}

/* Sleeps for the next commit and no longer than a slice. */
static int sleep_for_commit(struct cli *cli, const struct target *target,
	struct dsm_frame *frame)
{
	struct dsm_frame_info info;
	int error = dsm_frame_info(frame, &info);

	if (error)
		return error;
	error = dsm_wait(cli->dsm, target->group, info.seq, cli_remaining_ms(cli, SLICE_MS), frame);
	if (error == -ETIMEDOUT || error == -EAGAIN || error == -EINTR)
		error = dsm_snapshot(cli->dsm, target->group, frame); /* for its staleness */
	if (error == -ENOTCONN) {
		cli_sleep_until(cli, now_ns() + (uint64_t)SLICE_MS * NS_PER_MS);
		error = 0; /* it comes back by itself */
	}
	return error;
}

/* 0 = met, -ETIME, -EINTR, or an error. */
static int wait_until_met(struct cli *cli, struct target *target, struct dsm_frame *frame)
{
	for (;;) {
		int met = is_met(target, frame);
		if (met)
			return met < 0 ? met : 0;
		if (cli_ended(cli))
			return -EINTR;
		if (cli_remaining_ms(cli, 1) == 0)
			return -ETIME;
		heed_events(cli, target);
		int error = sleep_for_commit(cli, target, frame);
		if (error)
			return error;
	}
}

/* Print the cell, or all cells of the group, from the frame that met the condition. */
static enum status print_met(struct cli *cli, struct target *target, struct dsm_frame **frame)
{
	struct selection sel;
	struct show show;
	char *words[] = { (char *)(uintptr_t)target->name };
	enum status status = selection_make(cli, words, 1, &sel);

	int error = show_init(&show, cli, &sel);
	if (!error && sel.n_groups == 1) {
		sel.groups[0].frame = *frame;
		*frame = NULL;
		error = show_group(&show, SIZE_MAX, SHOW_ALL, wall_ns());
	}
	if (error)
		status = cli_worse(status, cli_fail(cli, error));
	else if (show.doubtful)
		status = cli_worse(status, STATUS_STALE);
	out_end(cli->out);
	show_free(&show);
	selection_free(&sel);
	return status;
}

static enum status wait_for(struct cli *cli, struct target *target)
{
	struct dsm_frame *frame = NULL;
	enum status status;
	int error;

	do {
		dsm_frame_free(&frame);
		free(target->scratch);
		target->scratch = NULL;
		status = resolve(cli, target);
		if (!status)
			status = parse_value(cli, target);
		if (status)
			return status;
		error = dsm_frame_new(cli->dsm, target->group, &frame);
		if (!error)
			error = take_bearings(cli, target, frame);
		if (!error)
			error = wait_until_met(cli, target, frame);
	} while (error == -ESTALE || error == -ECANCELED);
	if (error == -ETIME)
		status = timed_out(cli, target);
	else if (error && error != -EINTR)
		status = cli_fail(cli, error);
	else if (!error)
		status = print_met(cli, target, &frame);
	dsm_frame_free(&frame);
	return status;
}

enum status verb_wait(struct cli *cli)
{
	struct target target = { .name = cli->args[0] };

	if (cli->set.value && cli->set.has_since)
		return cli_usage(cli, "--since or --value, not both");
	if (strpbrk(target.name, "*?["))
		return cli_usage(cli, "wait is for one group or cell, not \"%s\"", target.name);
	if (cli->set.terse && !cli->set.format)
		cli->set.format = format_raw.name;
	enum status status = cli_output(cli);
	if (!status)
		status = cli_attach(cli, NULL, 0);
	if (!status)
		status = wait_for(cli, &target);
	free(target.scratch);
	return status;
}
