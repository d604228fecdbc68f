/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a commit, and following a group commit by commit. */
#include <errno.h>
#include <stdlib.h>

#include "client/handle.h"

/* Torn attempts at one slot before a cursor believes that its commit is gone. */
#define PATIENCE 32u

int dsm_wait(struct dsm *dsm, struct dsm_group group, uint64_t since_seq, int timeout_ms,
	struct dsm_frame *frame)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, group, &index)) != 0 || (rc = frame_check(frame, group)) != 0)
		return rc;
	uint64_t deadline = deadline_after(dsm, timeout_ms), changed;
	struct transport_watch watch = { 1, &index, &since_seq };
	for (;;) {
		rc = wait_newer(dsm, &watch, deadline, &changed);
		if (rc == 0)
			rc = read_group(dsm, index, frame, deadline);
		/* a pulse is a hint: what verified may be older still */
		if (rc || frame->meta.seq > since_seq)
			return rc;
		if (clock_now(dsm->clock) >= deadline)
			return dsm__fail(-ETIMEDOUT, "no new whole commit in time");
	}
}

/* ---- cursors ---- */

struct dsm_cursor {
	struct dsm *dsm;
	struct dsm_group group;
	uint64_t next;              /* the commit to deliver */
	uint64_t known;             /* a verified seq, from an operation before this one */
	uint64_t generation;
	uint64_t skip_from;         /* first not yet delivered, for *lost */
	bool unknown;
};

static uint64_t generation_of(const struct dsm *dsm)
{
	return dsm->link->welcome.generation;
}

/* Where to start must not be a hint: a torn one, too high, would leave out what was never lost. Only
 * of arrays, which are not worth reading for it, the hint is taken. */
static int newest_now(struct dsm *dsm, struct dsm_group group, uint32_t index, uint64_t *seq)
{
	struct dsm_frame *frame = NULL;
	*seq = dsm->ops->newest(dsm->conn, index);
	if (dsm->link->view.groups[index].payload_bytes > READ_CELL_MAX)
		return 0;
	int rc = dsm_frame_new(dsm, group, &frame);
	if (rc == 0)
		rc = dsm_snapshot(dsm, group, frame);
	if (rc == 0)
		*seq = frame->meta.seq;
	dsm_frame_free(&frame);
	return rc;
}

int dsm_cursor_open(struct dsm *dsm, struct dsm_group group, uint64_t since_seq,
	struct dsm_cursor **out)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, group, &index)) != 0)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_cursor_open(): null pointer for the cursor");
	struct dsm_cursor *cursor = calloc(1, sizeof(*cursor));
	if (!cursor)
		return dsm__fail(-ENOMEM, "no memory for a cursor");
	uint64_t newest;
	if ((rc = newest_now(dsm, group, index, &newest)) != 0) {
		free(cursor);
		return rc;
	}
	uint32_t slots = dsm->link->view.groups[index].slots;
	cursor->dsm = dsm;
	cursor->group = group;
	cursor->generation = generation_of(dsm);
	cursor->next = since_seq == UINT64_MAX ? newest + 1 : since_seq + 1;
	if (newest >= slots && cursor->next <= newest - slots)
		cursor->next = newest - slots + 1;
	cursor->skip_from = cursor->next;
	*out = cursor;
	return 0;
}

static int run_at(struct dsm *dsm, struct attempt *a, struct slot_meta *meta)
{
	return dsm->ops->read_at(dsm->conn, a->group, a->seq, a->to, meta);
}

/* A verified seq of the group, now. Reads the whole newest commit: only when slot c was not c. */
static int verified_now(struct dsm *dsm, struct dsm_group group, struct dsm_frame *frame, uint64_t *seq)
{
	int rc = dsm_snapshot(dsm, group, frame);
	frame->full = false;
	*seq = rc ? 0 : frame->meta.seq;
	return rc;
}

/* Commit c is lost iff a verified seq >= c was known before this operation began, or >= c + K is
 * verified now, and slot c does not verify as c; a verified older seq there means not yet.
 * One attempt that came back torn is no verdict: `patient` asks for another first. */
static int next_attempt(struct dsm_cursor *cur, struct dsm_frame *frame, uint32_t index, bool patient)
{
	struct dsm *dsm = cur->dsm;
	uint32_t slots = dsm->link->view.groups[index].slots;
	struct attempt a = { .run = run_at, .group = index, .seq = cur->next, .to = frame->payload };
	uint64_t now = 0;
	int rc = run_at(dsm, &a, &frame->meta);
	if (rc == 0) {
		cur->known = cur->next > cur->known ? cur->next : cur->known;
		cur->next++;
		return 0;
	}
	if (rc == -ENOENT && cur->known < cur->next)
		return -EAGAIN;
	if (rc == -ESTALE || rc == -ENODATA || rc == -EAGAIN || rc == -EOVERFLOW) {
		uint64_t before = cur->known;
		bool torn = rc == -EAGAIN;
		rc = verified_now(dsm, cur->group, frame, &now);
		if (rc)
			return rc;
		if (now > cur->known)
			cur->known = now;
		bool lost = (before >= cur->next && !(torn && patient)) ||
			(now >= slots && now - slots >= cur->next);
		if (!lost)
			return -EAGAIN;
	}
	/* lost: go on at the oldest that the ring can still hold */
	uint64_t oldest = cur->known >= slots ? cur->known - slots + 1 : 1;
	cur->next = oldest > cur->next ? oldest : cur->next + 1;
	return -EOVERFLOW;
}

/* True if there is a new one: numbers begin anew, and how many were lost is unknown. */
static bool follow_generation(struct dsm_cursor *cur)
{
	if (cur->generation == generation_of(cur->dsm))
		return false;
	cur->generation = generation_of(cur->dsm);
	cur->next = cur->skip_from = 1;
	cur->known = 0;
	cur->unknown = true;
	return true;
}

int dsm_next(struct dsm_cursor *cur, struct dsm_frame *frame, uint64_t *lost)
{
	uint32_t index = 0;
	if (!cur)
		return dsm__fail(-EINVAL, "null cursor");
	struct dsm *dsm = cur->dsm;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, cur->group, &index)) != 0 ||
	    (rc = frame_check(frame, cur->group)) != 0)
		return rc;
	follow_generation(cur);
	frame->full = false;
	dsm->stats.reads++;
	uint32_t tries = 0;
	for (uint32_t i = 0; i < dsm->tries; i++) {
		rc = next_attempt(cur, frame, index, ++tries < PATIENCE);
		if (rc == -EOVERFLOW || follow_generation(cur)) {
			tries = 0;
			continue;
		}
		if (rc == -EAGAIN && dsm->ops->newest(dsm->conn, index) >= cur->next)
			continue; /* it is there or overwritten: look again */
		if (rc == -EAGAIN)
			return dsm__fail(rc, "nothing new yet");
		if (rc)
			return rc;
		frame->flags = read_flags(dsm, index, &frame->meta);
		frame->full = true;
		if (lost)
			*lost = cur->unknown ? UINT64_MAX : cur->next - 1 - cur->skip_from;
		cur->unknown = false;
		cur->skip_from = cur->next;
		return 0;
	}
	return dsm__fail(-EAGAIN, "the writer overran the ring in each of %u tries", dsm->tries);
}

uint64_t dsm_cursor_seq(const struct dsm_cursor *cursor)
{
	return cursor ? cursor->next - 1 : 0;
}

void dsm_cursor_close(struct dsm_cursor **cursor)
{
	if (cursor) {
		free(*cursor);
		*cursor = NULL;
	}
}
