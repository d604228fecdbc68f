/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm client interface: several groups at once: reading them together, waiting for any of them.
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
 *  nothing happens before dsm_read_end(), which over udp:// asks for all of them by one datagram. frames[i] was
 *  made for groups[i]; the frames (not the two arrays) are the library's until dsm_read_end() or dsm_detach().
 *  Does not allocate; over rdma:// it waits only if an earlier READ of the same memory is still on its way.
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

#define DSM_WAIT_GROUPS 64u  /**< groups of one dsm_wait_any() */

/** Sleep until one of n groups, of any owners, has a commit with seq > since[i]. Bit i of *changed = groups[i]
 *  has; of several that have, all that are known to. A hint, as dsm_group_info.seq is: a read says what is there, and may
 *  come a moment too early for a commit that is still on its way; then wait again with what it gave.
 *  Nothing is read here: dsm_snapshot() or dsm_next() follows. The two arrays are used during the call only.
 *  timeout_ms: total, < 0: no limit; 0: look once and do not sleep (over rdma:// that is a READ, at most each
 *  100 ms). Over rdma:// and udp:// the engine says when, once, by one message for all groups, and a call that finds
 *  nothing has asked it to, also with timeout_ms 0: with DSM_MANUAL that makes dsm_fd() readable. With
 *  dsm_options.poll_us rdma:// looks that often instead. Does not allocate. Over shm:// on Linux before 5.16
 *  several groups are looked at each millisecond.
 *  -EINVAL n is 0 or more than DSM_WAIT_GROUPS; -ETIMEDOUT none has; -ENOTCONN the engine was lost;
 *  -ECANCELED the table was replaced while waiting. *changed is then untouched. */
DSM_EXPORT int dsm_wait_any(struct dsm *dsm, const struct dsm_group *groups, const uint64_t *since, uint32_t n,
	int timeout_ms, uint64_t *changed);

#ifdef __cplusplus
}
#endif
#endif
