/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm client interface: several groups at once, without waiting for each.
 * Return values, thread rule and the errors of every function as in <dsm/dsm.h>.
 */
#ifndef DSM_BATCH_H
#define DSM_BATCH_H

#include <dsm/dsm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DSM_BATCH_GROUPS 16u /**< groups of one dsm_read_begin() */
#define DSM_BATCHES 8u       /**< begun and not ended yet, a handle */

/** Begin to read the newest commit of each of n groups, of any owners, and do something else meanwhile. Over
 *  rdma:// their READs are posted together and go out now; the engine has no part in it. Over shm:// and udp://
 *  nothing happens before dsm_read_end(). frames[i] was made for groups[i]; the frames (not the two
 *  arrays) are the library's until dsm_read_end() or dsm_detach(). Does not allocate; over rdma:// it waits only if an
 *  earlier READ of the same memory is still on its way.
 *  -EINVAL n is 0 or more than DSM_BATCH_GROUPS, or a frame is another group's
 *  -EAGAIN DSM_BATCHES are begun: end one first */
DSM_EXPORT int dsm_read_begin(struct dsm *dsm, const struct dsm_group *groups, struct dsm_frame *const *frames,
	uint32_t n, uint64_t *ticket);
/** Wait until what was begun is there. Each frame then holds what dsm_snapshot() might have given at
 *  some moment since dsm_read_begin(), never older than this handle has already returned; what came torn is
 *  read again. Groups are independent of each other, as with a dsm_snapshot() each. In any order;
 *  blocks at most call_timeout_ms in all. The ticket is used up, whatever is returned.
 *  -EINVAL no such ticket; -ESTALE the table was replaced meanwhile; else the first error
 *  of a group as dsm_snapshot() says it (the frames of the others are full) */
DSM_EXPORT int dsm_read_end(struct dsm *dsm, uint64_t ticket);

#ifdef __cplusplus
}
#endif
#endif
