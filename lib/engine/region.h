/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's memory: built from a table, one contiguous range of addresses over many memfds,
 * so that later transports can register it as one. No sockets, no clients here. */
#ifndef DSM_LIB_ENGINE_REGION_H
#define DSM_LIB_ENGINE_REGION_H

#include "core/directory.h"
#include "core/slot.h"
#include "core/step.h"
#include "core/writer.h"
#include "engine/table.h"

struct region_bank {
	int fd, read_fd;            /* writable; read-only */
	uint32_t bank_epoch;
};

struct region {
	unsigned char *base;
	uint64_t bytes;
	struct region_header *header;
	struct owner_line *lines;
	_Atomic uint32_t *notify;
	_Atomic uint64_t *counters;
	unsigned char *waiters;
	uint64_t waiters_bytes, directory_bytes;
	int header_fd, directory_fd, waiters_fd; /* the first two read-only */
	struct region_bank *banks;
	struct ring *rings;
	struct view view;
	uint64_t *scratch;          /* largest payload */
	uint64_t generation;
	bool locked;                /* its pages stay in memory, also those of a bank that moves */
};

struct region_params { uint32_t tick_ms, lease_ms; int64_t started_ns; bool lock_memory; };

/* -ENOMEM, -ENOSPC (text says how much), -EINVAL from table_finish(). */
int region_build(const struct dsm_table *table, const struct region_params *params, struct region **out);
void region_free(struct region **region);

/* The directory image of a finished table. Caller frees. */
int directory_build(const struct dsm_table *table, uint64_t banks_offset, void **image,
	uint64_t *bytes, uint64_t *region_bytes, uint64_t *waiters_bytes);

/* A sealed memfd with a read-only descriptor beside it; fallocated, so that no page is missing
 * later. Mapped at `at` if that is not NULL. */
int region_memory(const char *what, uint64_t bytes, void *at, int *fd, int *read_fd);
void region_point_rings(struct region *region, uint32_t owner);
/* Fills a new bank's header. */
void region_init_bank(struct region *region, uint32_t owner, uint32_t bank_epoch);

/* ---- takeover.c: the four steps of an owner's death ---- */
/* Fence by new memory: newest verified commits are copied, everybody moves over. */
int takeover_move_bank(struct region *region, uint32_t owner);
/* Newest whole commit of a ring, its payload in region->scratch; false: there is none. */
bool takeover_newest(const struct region *region, const struct ring *ring, struct slot_meta *meta);
/* All grants end with the generation (or, !end, go on after all): no owner on this machine is told
 * any more that a commit is done. */
void takeover_end_grants(struct region *region, bool end);
/* Scrub and pulse; returns how many slots did not verify. */
uint32_t takeover_scrub(struct region *region, uint32_t owner);
/* Grant: epoch + 1, first seq; state. Returns the epoch. */
uint32_t takeover_grant(struct region *region, uint32_t owner, uint32_t pid);
void takeover_set_state(struct region *region, uint32_t owner, uint32_t state, uint32_t pid);

/* ---- own.c: the engine's own writing ---- */
extern const struct writer_sink region_sink; /* context = struct region */
/* `step complete` of an owner whose groups the engine writes; region_wake() after it. */
void region_complete(struct region *region, uint32_t owner, uint64_t step);
/* Wakes who waits for the groups; for marked banks after bumping the notify word. */
void region_wake(struct region *region, const uint32_t *groups, uint32_t n);

static inline void region_count(struct region *region, unsigned counter, uint64_t n)
{
	atomic_fetch_add_explicit(&region->counters[counter], n, memory_order_relaxed);
}

#endif
