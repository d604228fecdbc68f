/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind struct dsm_subscription; subscribe.c begins, follows and ends one, subscribe_next.c
 * finds what is new. The handle's thread. */
#ifndef DSM_LIB_CLIENT_SUBSCRIBE_H
#define DSM_LIB_CLIENT_SUBSCRIBE_H

#include <dsm/subscribe.h>

#include "client/handle.h"

/* One group. */
struct followed {
	char *name;
	struct dsm_frame *frame;    /* what was delivered, or weighed, last */
	struct filter_state state;  /* of the filter, where it is here; seq, epoch and base: of what was delivered */
	uint64_t looked_ns;         /* when it was read, where nothing tells of commits */
	bool looked;                /* it was read over this link */
	uint8_t flags;              /* delivered */
	bool new_table;             /* its next update says so */
};

struct dsm_subscription {
	struct dsm *dsm;
	uint64_t identity;          /* of the handle: its memory serves another one after a detach */
	uint32_t links;             /* the link that all this is of; 0 = none yet */
	uint64_t first_id, generation;
	bool pushed;                /* the engine sends; else the filter is here */
	bool near;                  /* here: the newest seq is known without a read, or waited for */
	uint32_t n, next;           /* next: whose turn it is */
	struct followed *of;
	struct transport_wish *wish;
	uint32_t parts;
	struct transport_wishes *part; /* TRANSPORT_WISHES of `wish` each */
};

/* Is its handle still that one? */
static inline bool subscription_of(const struct dsm_subscription *s)
{
	return s->dsm->magic == HANDLE_MAGIC && s->dsm->first_id >> (32 + TAG_GENERATIONS) == s->identity;
}

/* ---- subscribe.c ---- */
/* Takes a new link into account. -ENODEV, -ENOMEM, and refusals of subscribe(). */
int subscription_follow(struct dsm_subscription *s);
/* What the engine has said: 0 also while it has not. Turns to the filter here if it knows none. */
int subscription_answered(struct dsm_subscription *s, bool *all);

#endif
