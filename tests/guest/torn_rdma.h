/* SPDX-License-Identifier: Apache-2.0 */
/* The torn-read stress over a network: an engine, two owners that commit (one by mapped memory, one
 * over the transport under test), and a reader, each a process. Every word of a commit derives
 * from its seq, so a commit proves itself. */
#ifndef DSM_TESTS_TORN_RDMA_H
#define DSM_TESTS_TORN_RDMA_H

#include <dsm/engine.h>

#include <stdatomic.h>

#include "core/hooks.h"

static const uint32_t torn_sizes[] = { 64, 256, 1024, 4096, 16384, 65536 };
#define SIZES 6u
enum torn_owner { NEAR, FAR, OWNERS }; /* local memory; over the transport */
#define TORN_SCALAR 64u /* slots of this size hold one u64, others one array of bytes */

/* One combination that is put to the test. */
struct row {
	unsigned size, owner;
	uint32_t slots;
	bool paced;
};

/* What the reader tells the owners, each word written by one side only. */
struct orders {
	_Alignas(64) _Atomic uint32_t turn;     /* grows with every order; an odd one is "commit" */
	unsigned size;
	uint32_t slots;
	uint64_t pace_ns;                       /* 0 = saturating */
	_Alignas(64) _Atomic uint32_t seen;     /* the turn that the owner has taken notice of */
	_Atomic uint64_t commits, failures;
	_Atomic int ready, error;
};
struct torn_board {
	struct orders owner[OWNERS];
	_Atomic int engine_ready;
	_Atomic uint32_t stop;
	char name[64], near_uri[128], uri[128];
};

/* Each in a process of its own; they end with board->stop. */
int torn_engine(struct torn_board *board, bool rdma);
int torn_owner(struct torn_board *board, enum torn_owner who);

void torn_group_name(const struct row *row, char name[64]);

static inline uint64_t torn_word(uint64_t seq, uint64_t index)
{
	return seq * UINT64_C(0x9e3779b97f4a7c15) ^ (index + 1) * UINT64_C(0xd6e8feb86659fd93);
}

/* Engine time of a commit: to 8 ns, and no negative one. */
static inline int64_t torn_time(uint64_t seq)
{
	return (int64_t)((seq * UINT64_C(0xff51afd7ed558ccd) >> 2) & ~UINT64_C(7)) | 8;
}

#endif
