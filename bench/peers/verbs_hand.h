/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READs and WRITEs by hand: what no interface over verbs can be faster than. Two processes, each
 * with a context of its own; the one that is read and written only sleeps. They are relatives,
 * so what the pairs need to know of each other is in memory that both see, and no CM is needed.
 */
#ifndef BENCH_VERBS_HAND_H
#define BENCH_VERBS_HAND_H

#include "harness/bench.h"
#include "harness/child.h"

#include <infiniband/verbs.h>

#define HAND_CHAIN 16u
#define HAND_INLINE 220u    /* bytes of a WRITE posted with the request, if the device takes them: as the library asks for */

/* A device's port and the index of the address in its table of GIDs. */
struct hand_place {
	char device[64];
	uint8_t port;
	int gid_index;
};
/* Where an IPv4 address is. 0; -ENODEV no device has it. */
int hand_find(const char *address, struct hand_place *out);

/* What one end tells the other. */
struct hand_end { uint32_t qpn, rkey; uint64_t addr; union ibv_gid gid; _Atomic int ready; };

struct hand {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	unsigned char *memory;
	size_t bytes;
	uint32_t inline_bytes;
	struct hand_ends *ends; /* shared: here and there */
	struct bench_child child;
	const char *address;
	int cpu;
};

/* Starts the other process, connects; `bytes` of memory at each end. To be closed in any case. */
int hand_open(struct hand *hand, const char *address, size_t bytes, int cpu, struct bench_run *out);
void hand_close(struct hand *hand);

/* One piece: `bytes` at offset `at` of both memories. */
struct hand_piece { uint32_t at, bytes; };
/* Posted in one call, the last signaled; and what waits for one such call, in turn. 0 or -EIO. */
int hand_post(struct hand *hand, enum ibv_wr_opcode opcode, const struct hand_piece *pieces, unsigned n);
int hand_await(struct hand *hand);
/* Both: posted in one call, the last signaled; polls until it has completed. 0 or -EIO. */
int hand_move(struct hand *hand, enum ibv_wr_opcode opcode, const struct hand_piece *pieces, unsigned n);

#endif
