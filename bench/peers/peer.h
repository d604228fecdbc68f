/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way for two processes to pass messages, as a small table of operations, and the one
 * engine that measures request and reply over any of them. A peer is opened before the
 * fork, joined by each side after it. A send or receive is one attempt; trying again,
 * partial transfers, deadlines and stopping are the engine's.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "harness/bench.h"
#include "harness/child.h"

#include <sys/types.h>

enum peer_side { PEER_CLIENT = 0, PEER_SERVER = 1 };

#define PEER_LANES_MAX 16u

struct peer {
	const struct peer_ops *ops;
	const struct bench_conf *conf;
	bool spin;            /* never sleep: try again until it works */
	size_t size;          /* of the largest message */
	unsigned lanes;       /* independent messages of one operation */
	enum peer_side side;  /* after join */
	int end[2][2];        /* descriptors: [side][0] in, [1] out; -1 none */
	void *own;            /* the peer's own state */
};

struct peer_ops {
	const char *name;
	bool messages;        /* keeps boundaries; an old message may turn up and is skipped */
	bool loses;           /* a message may not arrive: that is counted, not an error */
	/* False and *why when messages of this size cannot be had. May be NULL. */
	bool (*fits)(size_t size, const char **why);
	/* Both return 0 or -errno and leave everything to close() also when they fail. */
	int (*open)(struct peer *peer);
	int (*join)(struct peer *peer, enum peer_side side);
	/* Bytes moved, or -EAGAIN: try again; -EINTR; -ETIMEDOUT; other -errno. `lane` says
	 * which of the messages of one operation this is; byte transports ignore it. */
	ssize_t (*send)(struct peer *peer, const void *data, size_t size, unsigned lane);
	ssize_t (*recv)(struct peer *peer, void *data, size_t size, unsigned lane);
	/* A third program that every message passes through: what it uses counts as the server's. May be NULL. */
	pid_t (*broker)(const struct peer *peer);
	void (*close)(struct peer *peer); /* also after a failed open; may be called once per process */
};

extern const struct peer_ops peer_pipe, peer_fifo, peer_unix, peer_tcp, peer_udp, peer_mq;
extern const struct peer_ops peer_redis_tcp, peer_redis_unix;
extern const struct peer_ops peer_redis_tcp_persist, peer_redis_unix_persist; /* each change kept in a file */
extern const struct peer_ops peer_dsm;

/* For peers that are descriptors. */
int peer_no_descriptors(struct peer *peer);
int peer_join_descriptors(struct peer *peer, enum peer_side side);
void peer_close_descriptors(struct peer *peer);
/* What an I/O call returned, as send and recv return it. */
ssize_t peer_result(const struct peer *peer, ssize_t n);

/* ---- engine ---- */

/* segments 0: the reply is the request, `size` bytes. Else: so many messages of numeric cells
 * go out, one small message comes back that proves that all of them were seen. */
struct echo_spec {
	const struct peer_ops *ops;
	bool spin;
	size_t size;
	unsigned segments;
	uint64_t interval_ns;
	unsigned n, n_quick;
};
#define ECHO_CELLS 8u /* numeric cells in one segment */
struct echo_segment { uint64_t number; double cell[ECHO_CELLS]; };
struct echo_ack { uint64_t number; double sum; };

/* A bench_row.run: row->arg is a struct echo_spec. */
int echo_run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out);

/* Move all of it. 0 or -errno; -EINTR when told to stop; -ETIMEDOUT after `patience_ns`. */
struct transfer {
	struct peer *peer;
	struct bench_shared *shared; /* ->stop ends a wait; may be NULL */
	uint64_t patience_ns;        /* 0 = none */
};
int transfer_send(const struct transfer *t, const void *data, size_t size, unsigned lane);
int transfer_recv(const struct transfer *t, void *data, size_t size, unsigned lane);

#endif
