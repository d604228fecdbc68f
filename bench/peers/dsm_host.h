/* SPDX-License-Identifier: Apache-2.0 */
/* An engine in a process of its own, as the daemon is one, and handles to it. */
#ifndef BENCH_DSM_HOST_H
#define BENCH_DSM_HOST_H

#include "harness/bench.h"
#include "harness/child.h"

#include <dsm/dsm.h>
#include <dsm/engine.h>

struct dsm_host {
	struct bench_child child;
	char name[48];       /* of the region; attach to shm://NAME */
	uint64_t open_ns;    /* what building the region took */
	/* describe the table; runs in the engine's process */
	int (*define)(struct dsm_table *table, const void *arg);
	const void *arg;
	const char *rdma;    /* ADDR:PORT that is served beside; NULL = none */
	char udp[32];        /* the same; "" = none */
	bool udp_spin;       /* over udp, engine and clients poll while they wait */
	/* instead of sleeping until the end, in the engine's process; NULL = sleep */
	int (*work)(struct dsm_engine *engine, struct bench_shared *shared, void *arg);
	void *work_arg;
};

/* 0 or -errno with the reason in `out` (may be NULL). To be stopped in any case. */
int dsm_host_start(struct dsm_host *host, int (*define)(struct dsm_table *, const void *),
	const void *arg, struct bench_run *out);
/* The same on one CPU, and reached at rdma://ADDR:PORT too. */
int dsm_host_start_rdma(struct dsm_host *host, const char *rdma, int cpu,
	int (*define)(struct dsm_table *, const void *), const void *arg, struct bench_run *out);
/* The same at a free port of udp://127.0.0.1, without keys; into host->udp. spin: both sides poll. */
int dsm_host_start_udp(struct dsm_host *host, int cpu, bool spin, int (*define)(struct dsm_table *, const void *),
	const void *arg, struct bench_run *out);
/* The same beside shm at one of both, or none; the engine's process does `work`, which says when it is
 * ready and ends as a child's work does (harness/child.h). */
int dsm_host_start_working(struct dsm_host *host, int cpu, const char *rdma, bool udp,
	int (*define)(struct dsm_table *, const void *),
	int (*work)(struct dsm_engine *, struct bench_shared *, void *), void *arg, struct bench_run *out);
void dsm_host_stop(struct dsm_host *host);
/* owner NULL: a reader. */
int dsm_host_attach(const char *name, const char *owner, struct dsm **out);
/* Over the network, to host->rdma. */
int dsm_host_attach_rdma(const struct dsm_host *host, const char *owner, struct dsm **out);
int dsm_host_attach_udp(const struct dsm_host *host, const char *owner, struct dsm **out);

/* Shorthands for tables. */
int dsm_host_owner(struct dsm_table *table, const char *owner);
int dsm_host_group(struct dsm_table *table, const char *owner, const char *group);
int dsm_host_cell(struct dsm_table *table, const char *group, const char *cell, enum dsm_type type,
	uint32_t capacity);

#endif
