/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server in a process of its own, on the server's CPU, and clients that ask it: each a thread with
 * a connection of its own, one question at a time, the next when the answer is there (closed loop).
 * What is asked is a small table of operations; threads, times and figures are crowd.c's.
 */
#ifndef BENCH_ASKED_H
#define BENCH_ASKED_H

#include "harness/bench.h"
#include "harness/child.h"

#include <sys/types.h>

#define ASKED_CLIENTS_MAX 16u
#define ASKED_BYTES_MAX 1200u
#define ASKED_LOST_NS 100000000u    /* without an answer for so long a question counts as lost */

struct asked {
	const struct asked_ops *ops;
	const struct bench_conf *conf;
	bool spin;                      /* both sides try again until it works; else they sleep */
	unsigned clients;
	uint32_t request, reply;        /* bytes, where the peer may choose */
	int what;                       /* the peer's own: which question */
	pid_t server;                   /* whose processor time is the server's; set by open() */
	struct bench_child child;
	void *own;
};

struct asked_ops {
	const char *name;
	/* Starts the server; to be closed in any case. -ENOTSUP cannot be had here. */
	int (*open)(struct asked *a, struct bench_run *out);
	/* In the client's thread: a connection. 0 or -errno, text in `why`. */
	int (*join)(struct asked *a, unsigned client, void **own, char why[BENCH_WHY_MAX]);
	/* One question and its answer, checked. -ETIMEDOUT lost (where that is possible), else -errno, text
	 * in `why`. */
	int (*ask)(struct asked *a, void *own, uint64_t number, char why[BENCH_WHY_MAX]);
	void (*leave)(struct asked *a, void *own); /* also after a failed join */
	void (*close)(struct asked *a);
};

extern const struct asked_ops asked_udp, asked_tcp, asked_redis, asked_dsm;

/* What is asked of asked_dsm and asked_redis. */
enum asked_what { ASKED_READ, ASKED_COMMIT, ASKED_ADD };

/* ---- crowd.c ---- */
/* Series of a row. */
enum asked_column { ASKED_RTT, ASKED_RATE, ASKED_SERVER_CPU, ASKED_COLUMNS };
/* Asks for a while by a->clients threads; one alone is pinned to the client's CPU, several are where
 * the system puts them. Fills all series of `out`. */
int asked_run(struct asked *a, struct bench_run *out);

#endif
