/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that looks at everything all the time, and never stops because somebody dies. */
#include "owner.h"

#include <errno.h>
#include <stdio.h>

struct floor { uint64_t generation, seq[ROLES][GROUPS]; uint32_t epoch[ROLES][GROUPS]; };

struct reader {
	struct dsm *dsm;
	struct seen_board *seen;
	struct groups roles[ROLES];
	struct floor floor;
};

static uint64_t generation_of(struct reader *r)
{
	struct dsm_region_info info = { 0 };
	return dsm_region_info(r->dsm, &info) == 0 ? info.generation : 0;
}

static void failed(struct reader *r, int rc)
{
	struct dsm_status status;
	atomic_store(&r->seen->last_error, rc);
	bool lost = dsm_status(r->dsm, &status) == 0 && status.state != DSM_ATTACHED;
	if (!lost)
		atomic_fetch_add(&r->seen->errors, 1);
}

static void look(struct reader *r, uint32_t role, unsigned g)
{
	struct groups *groups = &r->roles[role];
	struct dsm_frame_info info = { 0 };
	uint64_t value = 0, before = generation_of(r);
	int rc = dsm_snapshot(r->dsm, groups->group[g], groups->frame[g]);
	if (rc || dsm_frame_info(groups->frame[g], &info)) {
		failed(r, rc);
		return;
	}
	if (!groups_value(groups, g, &value) || (info.seq && VALUE_EPOCH(value) != info.epoch &&
			r->floor.generation == before && atomic_load(&r->seen->generations) == 1))
		atomic_fetch_add(&r->seen->torn, 1);
	uint64_t after = generation_of(r);
	if (after != r->floor.generation || before != after) {
		r->floor = (struct floor){ .generation = after };
		atomic_fetch_add(&r->seen->generations, 1);
	} else if (info.epoch < r->floor.epoch[role][g] ||
		   (info.epoch == r->floor.epoch[role][g] && info.seq < r->floor.seq[role][g])) {
		atomic_fetch_add(&r->seen->backwards, 1);
	} else {
		r->floor.epoch[role][g] = info.epoch;
		r->floor.seq[role][g] = info.seq;
	}
	if (g == 0) {
		atomic_store(&r->seen->flags[role], info.flags);
		atomic_store(&r->seen->epoch[role], info.epoch);
		atomic_store(&r->seen->seq[role], info.seq); /* last: who sees it sees its flags */
	}
}

/* Both groups as of one step carry the same number. A predecessor that died within a step may
 * have left rings too short for it: -EAGAIN until the successor's next. */
static void look_step(struct reader *r, uint32_t role)
{
	struct groups *groups = &r->roles[role];
	uint64_t step, values[GROUPS] = { 0 };
	int rc = dsm_snapshot_step(r->dsm, groups->group, GROUPS, groups->frame, &step);
	if (rc)
		return;
	for (unsigned g = 0; g < GROUPS; g++)
		if (!groups_value(groups, g, &values[g]))
			atomic_fetch_add(&r->seen->torn, 1);
	if (values[0] != values[1])
		atomic_fetch_add(&r->seen->torn, 1);
}

/* Reader 1 sleeps for commits as well: nobody's death may leave it asleep for ever. */
static void sleep_for(struct reader *r, uint32_t role)
{
	struct groups *groups = &r->roles[role];
	int rc = dsm_wait(r->dsm, groups->group[0], r->floor.seq[role][0], 5, groups->frame[0]);
	if (rc && rc != -ETIMEDOUT && rc != -ENOTCONN)
		failed(r, rc);
}

void reader_run(uint32_t index)
{
	struct reader r = { .seen = &board->readers[index] };
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm_status status;
	struct dsm_event event;
	o.attach_timeout_ms = BOUND_MS;
	o.tries = 200;
	int rc;
	do {
		rc = dsm_attach(board->uri, &o, &r.dsm);
	} while (rc && rig_lost("a reader"));
	for (uint32_t role = 0; rc == 0 && role < ROLES; role++)
		rc = groups_find(r.dsm, role, &r.roles[role]);
	if (!rig_check(rc == 0, "reader: %d %s", rc, dsm_error()))
		return;
	while (!atomic_load(&board->stop)) {
		for (uint32_t role = 0; role < ROLES; role++) {
			for (unsigned g = 0; g < GROUPS; g++)
				for (unsigned i = 0; i < 20; i++)
					look(&r, role, g);
			look_step(&r, role);
			if (index == 1)
				sleep_for(&r, role);
		}
		while (dsm_next_event(r.dsm, &event) == 0)
			;
		if (dsm_status(r.dsm, &status) == 0)
			atomic_store(&r.seen->status, status.state);
		atomic_fetch_add(&r.seen->loops, 1);
		rig_sleep_us(200);
	}
	for (uint32_t role = 0; role < ROLES; role++)
		groups_free(&r.roles[role]);
	dsm_detach(&r.dsm);
}
