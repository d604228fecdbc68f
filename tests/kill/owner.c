/* SPDX-License-Identifier: Apache-2.0 */
/* An owner: checks what its predecessor left, goes on from there, and reports each commit
 * that has returned before it begins the next. */
#include "owner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int groups_find(struct dsm *dsm, uint32_t role, struct groups *out)
{
	char name[64];
	int rc = 0;
	for (unsigned g = 0; rc == 0 && g < GROUPS; g++) {
		const char *kind = g ? "wide" : "small";
		snprintf(name, sizeof(name), "%s.%s", role_names[role], kind);
		rc = dsm_group(dsm, name, &out->group[g]);
		if (rc == 0)
			rc = dsm_frame_new(dsm, out->group[g], &out->frame[g]);
		for (unsigned c = 0; rc == 0 && c < groups_cells(g); c++) {
			snprintf(name, sizeof(name), "%s.%s.c%u", role_names[role], kind, c);
			rc = dsm_cell(dsm, name, &out->cells[g][c]);
		}
	}
	return rc;
}

void groups_free(struct groups *groups)
{
	for (unsigned g = 0; g < GROUPS; g++)
		dsm_frame_free(&groups->frame[g]);
}

bool groups_value(const struct groups *groups, unsigned g, uint64_t *value)
{
	struct dsm_sample s;
	bool same = true;
	for (unsigned c = 0; c < groups_cells(g); c++) {
		if (dsm_frame_read(groups->frame[g], groups->cells[g][c], &s))
			return false;
		if (c == 0)
			*value = s.value.u64;
		same &= s.value.u64 == *value;
	}
	return same;
}

struct owner {
	struct dsm *dsm;
	struct role_board *board;
	uint32_t role, epoch;
	struct groups groups;
	uint64_t found[GROUPS]; /* seq left by the predecessor */
	uint64_t number, done;  /* value of the last commit; commits that have returned */
};

/* A stopped owner that goes on may report late: a later grant's report stands. */
static void report(struct owner *o, unsigned g, uint64_t seq)
{
	uint64_t mine = VALUE(o->epoch, seq), there = atomic_load(&o->board->acked[g]);
	while (mine > there && !atomic_compare_exchange_weak(&o->board->acked[g], &there, mine))
		;
}

/* The last commit that was reported is there, or the one that was under way; whole. */
static bool check_found(struct owner *o)
{
	uint64_t newest = 0;
	for (unsigned g = 0; g < GROUPS; g++) {
		struct dsm_frame_info info;
		uint64_t value = 0, acked = VALUE_NUMBER(atomic_load(&o->board->acked[g]));
		int rc = dsm_snapshot(o->dsm, o->groups.group[g], o->groups.frame[g]);
		if (!rig_check(rc == 0 || rig_lost("a successor"), "successor of %s reads group %u: %s", role_names[o->role], g, dsm_error()) || rc)
			return false;
		dsm_frame_info(o->groups.frame[g], &info);
		rig_check(groups_value(&o->groups, g, &value), "successor of %s: group %u torn", role_names[o->role], g);
		rig_check(info.seq == acked || info.seq == acked + 1, "%s group %u: seq %llu readable, %llu was "
			"reported", role_names[o->role], g, (unsigned long long)info.seq, (unsigned long long)acked);
		rig_check(info.seq == 0 || VALUE_EPOCH(value) == info.epoch, "%s group %u: epoch %u, value of %u",
			role_names[o->role], g, info.epoch, VALUE_EPOCH(value));
		rig_check(info.epoch < o->epoch, "%s: a commit of epoch %u before grant %u was used",
			role_names[o->role], info.epoch, o->epoch);
		newest = VALUE_NUMBER(value) > newest ? VALUE_NUMBER(value) : newest;
		o->found[g] = info.seq;
		report(o, g, info.seq);
	}
	atomic_store(&o->board->found_seq, o->found[0]);
	o->number = newest;
	return true;
}

static int commit_once(struct owner *o)
{
	uint64_t value = VALUE(o->epoch, o->number + 1);
	int rc = dsm_begin(o->dsm, 0);
	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned c = 0; rc == 0 && c < groups_cells(g); c++)
			rc = dsm_set_u64(o->dsm, o->groups.cells[g][c], value);
	if (rc == 0)
		rc = dsm_commit(o->dsm, NULL);
	if (rc == 0)
		o->number++;
	return rc;
}

/* The successor's first commit is the next seq. */
static void check_first(struct owner *o)
{
	for (unsigned g = 0; g < GROUPS; g++) {
		struct dsm_frame_info info = { 0 };
		int rc = dsm_snapshot(o->dsm, o->groups.group[g], o->groups.frame[g]);
		if (rc == 0)
			rc = dsm_frame_info(o->groups.frame[g], &info);
		rig_check(rc == 0 && info.seq == o->found[g] + 1 && info.epoch == o->epoch, "%s group %u: first "
			"commit has seq %llu epoch %u, expected %llu and %u", role_names[o->role], g,
			(unsigned long long)info.seq, info.epoch, (unsigned long long)o->found[g] + 1, o->epoch);
	}
}

static int granted(struct owner *o, const struct owner_task *task)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_owner_info info;
	opts.owner = role_names[task->role];
	opts.flags = task->take_over ? DSM_TAKE_OVER : 0;
	opts.attach_timeout_ms = BOUND_MS / 2;
	opts.call_timeout_ms = BOUND_MS / 2;
	int rc = dsm_attach(board->uri, &opts, &o->dsm);
	if (rc) {
		atomic_fetch_add(&o->board->refusals, 1);
		return rc;
	}
	for (uint32_t i = 0; dsm_owner_info(o->dsm, i, &info) == 0; i++)
		if (info.index == i && info.name[0] == role_names[task->role][0])
			o->epoch = info.epoch;
	return groups_find(o->dsm, task->role, &o->groups);
}

/* An engine that starts anew forgets epochs; what was reported before it counts no more. */
static bool generation_changed(struct owner *o)
{
	struct dsm_status status;
	return dsm_status(o->dsm, &status) == 0 && status.reattached > 0;
}

static int work(struct owner *o, bool busy)
{
	for (bool first = true;; first = false) {
		int rc = commit_once(o);
		if (rc)
			return rc;
		if (first)
			check_first(o);
		o->done++;
		if (!generation_changed(o))
			for (unsigned g = 0; g < GROUPS; g++)
				report(o, g, o->found[g] + o->done);
		atomic_fetch_add(&o->board->commits, 1);
		if (atomic_load(&board->stop))
			return 0;
		if (!busy && o->number % 16 == 0)
			rig_sleep_us(100);
	}
}

static void fork_child(struct owner *o)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 0); /* outlives the owner: the controller ends it */
		alarm(BOUND_MS / 1000 * 2);
		for (;;)
			pause();
	}
	atomic_store(&o->board->child, pid);
}

void owner_run(const struct owner_task *task)
{
	struct owner o = { .role = task->role, .board = &board->roles[task->role] };
	int rc = granted(&o, task);
	if (rc == 0) {
		uint32_t before = atomic_load(&o.board->epoch);
		rig_check(o.epoch > before, "%s: granted epoch %u after %u", role_names[o.role], o.epoch, before);
		atomic_store(&o.board->epoch, o.epoch);
		if (check_found(&o)) {
			if (task->fork_child)
				fork_child(&o);
			atomic_fetch_add(&o.board->grants, 1);
			rc = work(&o, task->busy);
		}
	} else {
		rig_check(rc == -EOWNERDEAD || rig_lost("an owner"), "%s: %d %s", role_names[o.role], rc, dsm_error());
	}
	groups_free(&o.groups);
	dsm_detach(&o.dsm);
	atomic_store(&o.board->ended_seq, o.found[0] + o.done);
	atomic_store(&o.board->ended, rc ? rc : -ECANCELED);
}
