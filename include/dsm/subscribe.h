/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm client interface: subscriptions. Groups that change come by themselves, as often as is wanted.
 * Return values, thread rule and the errors of every function as in <dsm/dsm.h>.
 */
#ifndef DSM_SUBSCRIBE_H
#define DSM_SUBSCRIBE_H

#include <dsm/dsm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Groups whose changes come by themselves. Opaque; belongs to its handle, whose thread uses it. */
struct dsm_subscription;

/** What counts as a change of a group. Without a deadband every commit does. With one, a commit in
 *  which a bool, i64, u64 or f64 differs from the value that was sent last by more than the band; and
 *  every change of a quality, string, bytes or array. The flags of a sample always count. */
enum dsm_deadband {
	DSM_DEADBAND_NONE = 0,
	DSM_DEADBAND_ABSOLUTE = 1, /**< in the cell's unit */
	DSM_DEADBAND_PERCENT = 2,  /**< of the absolute value of what was sent last */
};

/** What a subscriber has of a group already, as an update gave it: dsm_update.resume. */
struct dsm_resume { uint64_t generation, seq; uint32_t epoch; };

/** One group that is subscribed to. */
struct dsm_interest {
	struct dsm_group group;
	enum dsm_deadband kind;
	double deadband;         /**< finite, not negative */
	struct dsm_resume resume; /**< zeros: nothing. What has not changed since is not sent */
};

/** Start from DSM_SUBSCRIPTION_OPTIONS_INIT. */
struct dsm_subscription_options {
	size_t size;             /**< set by the INIT macro */
	double max_rate_hz;      /**< updates of a group a second at most, 0.001..1000000; 0 = no limit */
	uint32_t every_nth;      /**< only when so many commits have come since the last update; 0 and 1: all.
	                              The last commits may then never be seen */
};
#define DSM_SUBSCRIPTION_OPTIONS_INIT { sizeof(struct dsm_subscription_options), 0, 0 }
#define DSM_SUBSCRIPTION_MAX 1024u   /**< groups of one subscription */

/** Subscribe to n groups: of each a snapshot first (unless `resume` says that it is there), then the
 *  newest commit when the group changes, within rate, nth and deadband. Never a backlog: who is slow
 *  misses what lies between, and holds nobody up. Over udp:// the engine filters and sends, and sends
 *  again what got lost; over shm:// and rdma://, where a read costs the engine nothing, the library
 *  filters. `opts` NULL: defaults. Allocates; ends with dsm_unsubscribe(). Over udp:// blocks until the
 *  engine has answered, at most call_timeout_ms.
 *  A subscription goes on by itself after a re-attach, with what it had; after an engine restart it
 *  begins with snapshots again.
 *  -EINVAL   no group, a rate, nth or deadband out of range
 *  -E2BIG    more than DSM_SUBSCRIPTION_MAX groups
 *  -EMSGSIZE udp://, rdma://: a group that cannot be read there
 *  -ENOSPC   udp://: this session has all the subscriptions that the engine lets it have
 *  -ENOTCONN the engine is gone; -ETIMEDOUT it does not answer; -ENOMEM */
DSM_EXPORT int dsm_subscribe(struct dsm *dsm, const struct dsm_interest *interests, uint32_t n,
	const struct dsm_subscription_options *opts, struct dsm_subscription **out);
/** Ends it, and its frames. Accepts NULL and a pointer to NULL; also after dsm_detach(). Does not block. */
DSM_EXPORT void dsm_unsubscribe(struct dsm_subscription **subscription);

enum dsm_update_why {
	DSM_UPDATE_SNAPSHOT = 1, /**< the first of the group, or of a new generation */
	DSM_UPDATE_CHANGE = 2,   /**< a newer commit */
	DSM_UPDATE_STATE = 3,    /**< the values of before; their flags have changed (owner, engine, age) */
};
struct dsm_update {
	uint32_t index;          /**< of the group in what was subscribed to */
	enum dsm_update_why why;
	struct dsm_group group;  /**< its id now; another one after the table was replaced */
	uint64_t skipped;        /**< commits between the last update and this one; 0 with a snapshot */
	struct dsm_resume resume; /**< what the subscriber has from now on */
	bool new_table;          /**< the table was replaced: cells must be looked up again */
};
/** The next group that has something new, fairly in turn. *frame is the subscription's, valid until
 *  the next call on it; read it with dsm_frame_info() and dsm_frame_read(). Sleeps until there is one;
 *  timeout_ms < 0: no limit; 0: do not sleep (a group of more than 1 KiB is fetched over udp://, which
 *  blocks for at most call_timeout_ms). While the engine is away it waits for it.
 *  -ETIMEDOUT nothing new; -ENOTCONN the engine was lost and DSM_NO_REATTACH given
 *  -ENODEV   the table was replaced, and a group (text names it) is not in the new one
 *  -ENOSPC, -EMSGSIZE as dsm_subscribe(), after a re-attach; -ENOMEM */
DSM_EXPORT int dsm_next_update(struct dsm_subscription *subscription, int timeout_ms,
	const struct dsm_frame **frame, struct dsm_update *info);

#ifdef __cplusplus
}
#endif
#endif
