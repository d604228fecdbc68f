/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that are begun, and ended later. What a transport had asked for and is whole needs nothing
 * more; everything else is read as dsm_snapshot() reads it. */
#include "dsm/batch.h"

#include <errno.h>

#include "client/handle.h"

_Static_assert(DSM_BATCHES == TRANSPORT_BATCHES && DSM_BATCH_GROUPS == TRANSPORT_BATCH, "one place each");

static int check_groups(struct dsm *dsm, const struct dsm_group *groups, struct dsm_frame *const *frames,
	uint32_t n)
{
	uint32_t index;
	int rc = 0;
	if (!groups || !frames || n == 0 || n > DSM_BATCH_GROUPS)
		return dsm__fail(-EINVAL, "dsm_read_begin(): 1 to %u groups, with a frame each", DSM_BATCH_GROUPS);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rc = handle_group(dsm, groups[i], &index);
		rc = rc ? rc : frame_check(frames[i], groups[i]);
	}
	return rc;
}

int dsm_read_begin(struct dsm *dsm, const struct dsm_group *groups, struct dsm_frame *const *frames,
	uint32_t n, uint64_t *ticket)
{
	int rc = handle_check(dsm);
	if (rc || (rc = check_groups(dsm, groups, frames, n)) != 0)
		return rc;
	if (!ticket)
		return dsm__fail(-EINVAL, "dsm_read_begin(): null pointer for the ticket");
	uint32_t place = 0;
	while (place < DSM_BATCHES && dsm->batches[place].ticket)
		place++;
	if (place == DSM_BATCHES)
		return dsm__fail(-EAGAIN, "%u reads are begun: dsm_read_end() one first", DSM_BATCHES);
	struct batch *b = &dsm->batches[place];
	for (uint32_t i = 0; i < n; i++) {
		b->groups[i] = groups[i];
		b->frames[i] = frames[i];
		frames[i]->full = false;
	}
	b->n = n;
	b->links = dsm->links;
	b->asked = dsm->ops->batch_begin && dsm->ops->batch_begin(dsm->conn, place, groups, n) == 0;
	b->ticket = *ticket = ++dsm->last_batch;
	return 0;
}

/* Out of what came, or by a first attempt, which needs no clock. Anything that stands in the way is
 * read_group()'s to find out. */
static bool take(struct dsm *dsm, const struct batch *b, uint32_t i)
{
	struct dsm_frame *frame = b->frames[i];
	int rc = b->asked ? dsm->ops->batch_take(dsm->conn, (uint32_t)(b - dsm->batches), frame->group,
			frame->payload, &frame->meta) :
		dsm->ops->read(dsm->conn, frame->group, 0, frame->bytes, frame->payload, &frame->meta);
	if (rc || !seen_moves(&dsm->seen[frame->group], &frame->meta))
		return false;
	dsm->stats.reads++;
	frame->flags = read_flags(dsm, frame->group, &frame->meta);
	frame->full = true;
	return true;
}

int dsm_read_end(struct dsm *dsm, uint64_t ticket)
{
	int rc = handle_check(dsm), first = 0;
	uint32_t place = 0, index;
	while (rc == 0 && place < DSM_BATCHES && (ticket == 0 || dsm->batches[place].ticket != ticket))
		place++;
	if (rc || place == DSM_BATCHES)
		return rc ? rc : dsm__fail(-EINVAL, "dsm_read_end(): no such ticket, or it was ended before");
	struct batch *b = &dsm->batches[place];
	uint64_t until = handle_begin(dsm);
	b->ticket = 0;
	b->asked = b->asked && b->links == dsm->links; /* else its memory was another link's */
	for (uint32_t i = 0; i < b->n; i++) {
		if ((rc = handle_group(dsm, b->groups[i], &index)) != 0)
			return rc;
		if (take(dsm, b, i))
			continue;
		until = until ? until : deadline_after(dsm, (int)dsm->call_timeout_ms);
		rc = read_group(dsm, index, b->frames[i], until);
		first = first ? first : rc;
	}
	return first;
}
