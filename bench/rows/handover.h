/* SPDX-License-Identifier: Apache-2.0 */
/* A large array filled by one process, handed to another, read there: as a table of operations. */
#ifndef BENCH_HANDOVER_H
#define BENCH_HANDOVER_H

#include "peers/peer.h"

struct handover {
	const struct handover_ops *ops;
	const struct bench_conf *conf;
	struct bench_shared *shared; /* the consumer's; NULL in the producer */
	size_t bytes;
	enum peer_side side;         /* client = producer */
	struct peer peer;            /* where bytes go through a descriptor */
	uint64_t *memory;            /* private buffer, or the mapping both have */
	_Atomic uint64_t *turn;      /* in shared memory: hand-overs made */
	uint64_t turns_seen;
	void *own;
};

struct handover_ops {
	const char *name;
	const struct peer_ops *peer;                /* of a byte stream */
	int (*open)(struct handover *h);            /* before the fork */
	int (*join)(struct handover *h);            /* each side */
	int (*begin)(struct handover *h, uint64_t **memory);      /* producer: what to fill */
	int (*give)(struct handover *h);                          /* producer: filled */
	int (*take)(struct handover *h, const uint64_t **memory); /* consumer: waits for it */
	int (*done)(struct handover *h);                          /* consumer: has read it */
	void (*close)(struct handover *h);          /* each side */
};

extern const struct handover_ops handover_dsm;

/* Has the run been stopped, as the consumer sees it? */
bool handover_stopped(const struct handover *h);

#endif
