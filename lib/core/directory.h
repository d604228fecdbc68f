/* SPDX-License-Identifier: Apache-2.0 */
/* The directory as read: a view with pointers into it, its validation (it may come from a
 * hostile engine) and name look-up. Immutable once checked. */
#ifndef DSM_LIB_CORE_DIRECTORY_H
#define DSM_LIB_CORE_DIRECTORY_H

#include <dsm/dsm.h>

#include "core/layout.h"
#include "core/payload.h"

struct view {
	const struct directory *head;
	const struct directory_owner *owners;
	const struct directory_group *groups;
	const struct directory_cell *cells;
	const uint32_t *index;
	const char *pool;
	uint32_t owner_count, group_count, cell_count, index_mask;
};

/* Checks every offset, size, name and sum before anything is believed; `region_bytes` and
 * `waiters_bytes` bound what may be named. -EBADMSG with the text of what is wrong. */
int view_init(struct view *view, const void *directory, uint64_t bytes, uint64_t banks_offset,
	uint64_t region_bytes, uint64_t waiters_bytes);

/* DSM_NONE if there is none. */
uint32_t view_find_cell(const struct view *view, const char *name);
uint32_t view_find_group(const struct view *view, const char *name);
uint32_t view_find_owner(const struct view *view, const char *name);
uint64_t directory_hash_name(const char *name, size_t bytes);
uint64_t directory_hash(const void *directory, uint64_t bytes);

static inline const char *view_text(const struct view *view, uint32_t offset)
{
	return view->pool + offset;
}

#endif
