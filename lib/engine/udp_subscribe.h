/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions of udp clients at the engine: what each was sent last, and when it is sent more.
 * Under engine->lock; memory is taken when somebody subscribes, never for an update. */
#ifndef DSM_LIB_ENGINE_UDP_SUBSCRIBE_H
#define DSM_LIB_ENGINE_UDP_SUBSCRIBE_H

#include "core/filter.h"
#include "engine/udp.h"

#define UDP_SUBS_MAX 32u                /* subscriptions of a session */
#define UDP_SUB_BYTES ((size_t)1 << 20) /* memory of a session's */
#define UDP_SUBS_BYTES ((size_t)64 << 20)   /* of all sessions' */

/* One group of a subscription. */
struct udp_entry {
	struct filter_rule rule;
	struct filter_state state;
	uint32_t group;
	uint32_t sends;             /* of this version */
	bool unheard;               /* what went has not been acknowledged */
};
struct udp_subscription { uint32_t id, n; size_t bytes; struct udp_entry entry[]; };

struct udp_subscriber {
	struct udp_subscription *sub[UDP_SUBS_MAX];
	uint32_t subs, entries;
	uint32_t at_sub, at_entry;  /* where the next turn begins: nobody is last for ever */
	uint32_t unheard;           /* datagrams since its last word */
	uint32_t backoff;
	uint64_t deaf_until;        /* it says nothing: not before that, and one datagram */
	size_t bytes;
	struct udp_rtt rtt;
};

/* ---- udp_subscribe.c ---- */
/* Each takes what its work costs from *left. -EBADMSG: the session ends. */
int udp_on_subscribe(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f, struct udp_voice *v,
	size_t *left);
int udp_on_unsubscribe(struct dsm_engine *e, struct udp_peer *p, const struct udp_frame *f);
int udp_on_updated(struct udp_peer *p, const struct udp_frame *f, uint64_t now);
void udp_subs_free(struct udp_server *u, struct udp_peer *p);

/* ---- udp_push.c ---- */
/* Sends who is due what is due, within bounds; the rest in the next turn. */
void udp_push(struct dsm_engine *e, uint64_t now);

#endif
