/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: a group's payload with the layout to read it by, independent of the handle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"

int frame_check(const struct dsm_frame *frame, struct dsm_group group)
{
	if (!frame)
		return dsm__fail(-EINVAL, "null frame: dsm_frame_new() first");
	if (frame->group_id != group.id)
		return dsm__fail(-EINVAL, "the frame was made for another group");
	return 0;
}

int dsm_frame_new(struct dsm *dsm, struct dsm_group group, struct dsm_frame **out)
{
	uint32_t index = 0;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, group, &index)) != 0)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_frame_new(): null pointer for the frame");
	const struct directory_group *g = &dsm->link->view.groups[index];
	struct dsm_frame *frame = malloc(sizeof(*frame) + g->payload_bytes + 8);
	uint64_t longest = 0;
	for (uint32_t i = 0; i < g->cell_count; i++) {
		const struct directory_cell *c = &dsm->cells[g->first_cell + i];
		if (c->type == DSM_STRING && c->capacity > longest)
			longest = c->capacity;
	}
	struct directory_cell *layout = malloc(g->cell_count * sizeof(*layout) + longest + 1);
	if (!frame || !layout) {
		free(frame);
		free(layout);
		return dsm__fail(-ENOMEM, "no memory for a frame of %llu bytes",
			(unsigned long long)g->payload_bytes);
	}
	memcpy(layout, &dsm->cells[g->first_cell], g->cell_count * sizeof(*layout));
	*frame = (struct dsm_frame){ .group_id = group.id, .group = index, .cells = g->cell_count,
		.first_cell = g->first_cell, .layout = layout, .bytes = g->payload_bytes };
	*out = frame;
	return 0;
}

void dsm_frame_free(struct dsm_frame **frame)
{
	if (!frame || !*frame)
		return;
	free((*frame)->layout);
	free(*frame);
	*frame = NULL;
}

static int need_full(const struct dsm_frame *frame)
{
	if (!frame)
		return dsm__fail(-EINVAL, "null frame");
	if (!frame->full)
		return dsm__fail(-ENODATA, "the frame is empty: dsm_snapshot() into it first");
	return 0;
}

int dsm_frame_info(const struct dsm_frame *frame, struct dsm_frame_info *out)
{
	int rc = need_full(frame);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_frame_info(): null pointer");
	*out = (struct dsm_frame_info){ .group = { frame->group_id }, .seq = frame->meta.seq,
		.step = frame->meta.step, .time_ns = (int64_t)frame->meta.time,
		.epoch = frame->meta.epoch, .cells = frame->cells, .flags = frame->flags };
	return 0;
}

int dsm_frame_read(const struct dsm_frame *frame, struct dsm_cell cell, struct dsm_sample *out)
{
	int rc = need_full(frame);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_frame_read(): null pointer");
	uint32_t i = (uint32_t)cell.id - frame->first_cell;
	if (cell.id >> 32 != frame->group_id >> 32 || i >= frame->cells)
		return dsm__fail(-EINVAL, "the cell is not of the frame's group");
	const struct directory_cell *c = &frame->layout[i];
	const uint64_t *record = frame->payload + c->offset_lo / 8;
	value_decode(c, record, &out->value);
	if (c->type == DSM_STRING && out->value.len == c->capacity && c->capacity % 8 == 0) {
		/* it fills its record: what comes next there is no NUL */
		char *text = (char *)(frame->layout + frame->cells);
		memcpy(text, out->value.str, out->value.len);
		text[out->value.len] = 0;
		out->value.str = text;
	}
	out->changed_ns = (int64_t)(record[0] & ~(uint64_t)PAYLOAD_QUALITY_BITS);
	out->quality = (uint8_t)(record[0] & PAYLOAD_QUALITY_BITS);
	out->seq = frame->meta.seq;
	out->epoch = frame->meta.epoch;
	out->flags = frame->flags;
	return 0;
}
