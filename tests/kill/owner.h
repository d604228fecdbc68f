/* SPDX-License-Identifier: Apache-2.0 */
/* What runs in the children. */
#ifndef DSM_TESTS_KILL_OWNER_H
#define DSM_TESTS_KILL_OWNER_H

#include <dsm/dsm.h>

#include "rig.h"

#define CELLS_SMALL 4u
#define CELLS_WIDE 100u

/* The two groups of one role at one handle. */
struct groups {
	struct dsm_group group[GROUPS];
	struct dsm_frame *frame[GROUPS];
	struct dsm_cell cells[GROUPS][CELLS_WIDE];
};
static inline unsigned groups_cells(unsigned g)
{
	return g ? CELLS_WIDE : CELLS_SMALL;
}
int groups_find(struct dsm *dsm, uint32_t role, struct groups *out);
void groups_free(struct groups *groups);
/* Value of all cells of a frame; false if they are not all the same: torn. */
bool groups_value(const struct groups *groups, unsigned g, uint64_t *value);

void rig_sleep_us(unsigned us);
void owner_run(const struct owner_task *task);
void reader_run(uint32_t index);

#endif
