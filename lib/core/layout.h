/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The region in memory: header, owner lines, notify words, counters | directory | banks, each on
 * its own pages and in its own memfd; the waiter counts in one more. Little-endian, 64-byte
 * aligned; byte tables in docs/protocol.md, golden images in tests/vectors. Structures and
 * limits only: no algorithm here. Everything shared and changing is a C11 atomic.
 */
#ifndef DSM_LIB_CORE_LAYOUT_H
#define DSM_LIB_CORE_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <dsm/version.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the region is little-endian and this code reads it as it lies; a big-endian host needs swaps"
#endif

#define DSM_LINE 64u
#define DSM_PAGE 4096u
#define DSM_REGION_MAGIC UINT64_C(0x314e475244534d44)  /* "DMSDRGN1" */
#define DSM_DIRECTORY_MAGIC UINT64_C(0x3152494444534d44)
#define DSM_BANK_MAGIC UINT64_C(0x314b4e4244534d44)
#define DSM_COUNTERS 64u
#define DSM_SLOT_HEADER 40u
#define DSM_NONE UINT32_MAX
/* Above this a group is never served through a network and carries no check word. */
#define DSM_UNCHECKED_ABOVE ((uint64_t)64 << 20)
#define DSM_OWNERS_LIMIT 1024u
#define DSM_GROUPS_LIMIT 1000000u
#define DSM_CELLS_LIMIT 1000000u

#define LAYOUT_AT(type, field, offset) \
	static_assert(offsetof(struct type, field) == (offset), #type "." #field)

/* First page of the header piece. Written by the engine only. `layout_version` is published
 * last (release): who reads it with acquire and finds his own sees all that is not atomic. */
struct region_header {
	uint64_t magic;
	_Atomic uint32_t layout_version;
	uint32_t header_bytes;      /* all of the header piece */
	uint64_t layout_hash;       /* XXH3 over the directory */
	uint64_t generation;        /* random, new at every engine start and reload */
	uint64_t directory_offset;  /* offsets are from the start of the region */
	uint64_t directory_bytes;
	uint64_t banks_offset;
	uint64_t region_bytes;
	uint32_t owner_count, group_count, cell_count;
	uint32_t owners_offset;     /* owner lines, in the header piece */
	uint32_t notify_offset;     /* one u32 a group */
	uint32_t counters_offset;   /* DSM_COUNTERS u64 */
	uint32_t waiters_bytes;     /* size of the waiter piece */
	uint32_t engine_pid, engine_uid;
	uint32_t tick_ms, lease_ms;
	int64_t started_ns;
	uint8_t pad0[8];
	/* own line: the only words of this page that change */
	_Atomic uint64_t heartbeat; /* +1 each tick */
	_Atomic uint32_t state;     /* enum region_state */
	uint8_t pad1[52];
};
enum region_state { REGION_RUNNING = 1, REGION_ENDED = 2 };
static_assert(sizeof(struct region_header) == 192, "region header");
LAYOUT_AT(region_header, magic, 0); LAYOUT_AT(region_header, layout_version, 8);
LAYOUT_AT(region_header, header_bytes, 12); LAYOUT_AT(region_header, layout_hash, 16);
LAYOUT_AT(region_header, generation, 24); LAYOUT_AT(region_header, directory_offset, 32);
LAYOUT_AT(region_header, directory_bytes, 40); LAYOUT_AT(region_header, banks_offset, 48);
LAYOUT_AT(region_header, region_bytes, 56); LAYOUT_AT(region_header, owner_count, 64);
LAYOUT_AT(region_header, group_count, 68); LAYOUT_AT(region_header, cell_count, 72);
LAYOUT_AT(region_header, owners_offset, 76); LAYOUT_AT(region_header, notify_offset, 80);
LAYOUT_AT(region_header, counters_offset, 84); LAYOUT_AT(region_header, waiters_bytes, 88);
LAYOUT_AT(region_header, engine_pid, 92); LAYOUT_AT(region_header, engine_uid, 96);
LAYOUT_AT(region_header, tick_ms, 100); LAYOUT_AT(region_header, lease_ms, 104);
LAYOUT_AT(region_header, started_ns, 112); LAYOUT_AT(region_header, heartbeat, 128);
LAYOUT_AT(region_header, state, 136);

/* Bit of an owner line's epoch: the generation ends, and the grant with it. */
#define DSM_GRANT_ENDED 0x80000000u
/* One line an owner, written by the engine only. */
struct owner_line {
	/* low 32 bits: bank epoch (which memory holds the bank); high 32: enum dsm_owner_state.
	 * One word, because the read path rechecks both after the copy. */
	_Atomic uint64_t bank_state;
	_Atomic uint32_t epoch;     /* number of the last grant; 0 = never granted; DSM_GRANT_ENDED */
	_Atomic uint32_t pid;       /* holder on this machine; 0 = none or remote */
	_Atomic uint64_t first_seq; /* of the grant: highest verified seq of the bank + 1 */
	_Atomic uint64_t takeovers;
	uint8_t pad[32];
};
static_assert(sizeof(struct owner_line) == 64, "owner line");
LAYOUT_AT(owner_line, bank_state, 0); LAYOUT_AT(owner_line, epoch, 8);
LAYOUT_AT(owner_line, pid, 12); LAYOUT_AT(owner_line, first_seq, 16);
LAYOUT_AT(owner_line, takeovers, 24);

/* ---- directory: immutable within a generation (sealed), validated once by the client ---- */
struct directory {
	uint64_t magic;
	uint32_t owner_count, group_count, cell_count, pad0;
	uint32_t owners_offset, groups_offset, cells_offset; /* from the start of the directory */
	uint32_t index_offset;      /* name index: index_size u32, open addressing */
	uint32_t index_size;        /* power of two; entry 0 = empty, else 1 + cell, or 1 + cells + group */
	uint32_t pool_offset;       /* strings, each NUL-terminated; offset 0 is "" */
	uint32_t pool_bytes;
	uint32_t region_name;       /* pool offset */
	uint8_t pad1[8];
};
static_assert(sizeof(struct directory) == 64, "directory");
LAYOUT_AT(directory, magic, 0); LAYOUT_AT(directory, owner_count, 8);
LAYOUT_AT(directory, group_count, 12); LAYOUT_AT(directory, cell_count, 16);
LAYOUT_AT(directory, owners_offset, 24); LAYOUT_AT(directory, groups_offset, 28);
LAYOUT_AT(directory, cells_offset, 32); LAYOUT_AT(directory, index_offset, 36);
LAYOUT_AT(directory, index_size, 40); LAYOUT_AT(directory, pool_offset, 44);
LAYOUT_AT(directory, pool_bytes, 48); LAYOUT_AT(directory, region_name, 52);

enum owner_flags { OWNER_NETWORK = 1 };
struct directory_owner {
	uint32_t name;
	uint32_t flags;
	uint32_t first_group, group_count;
	uint64_t bank_offset, bank_bytes;   /* in the region, page multiples */
	uint32_t waiters_offset;    /* in the waiter piece: one u32 a group, own page(s) */
	uint8_t pad[28];
};
static_assert(sizeof(struct directory_owner) == 64, "directory owner");
LAYOUT_AT(directory_owner, name, 0); LAYOUT_AT(directory_owner, flags, 4);
LAYOUT_AT(directory_owner, first_group, 8); LAYOUT_AT(directory_owner, group_count, 12);
LAYOUT_AT(directory_owner, bank_offset, 16); LAYOUT_AT(directory_owner, bank_bytes, 24);
LAYOUT_AT(directory_owner, waiters_offset, 32);

struct directory_group {
	uint32_t name, description;
	uint32_t owner;
	uint32_t first_cell, cell_count;
	uint32_t slots;             /* K, a power of two */
	uint32_t flags;             /* enum dsm_group_flags */
	uint32_t max_age_ms;
	uint64_t payload_bytes;     /* multiple of 8 */
	uint64_t slot_bytes;        /* multiple of 64 */
	uint64_t ring_offset;       /* in the bank */
	uint64_t pulse_offset;      /* in the bank: DSM_PULSE_BYTES before the ring */
};
static_assert(sizeof(struct directory_group) == 64, "directory group");
LAYOUT_AT(directory_group, name, 0); LAYOUT_AT(directory_group, description, 4);
LAYOUT_AT(directory_group, owner, 8); LAYOUT_AT(directory_group, first_cell, 12);
LAYOUT_AT(directory_group, cell_count, 16); LAYOUT_AT(directory_group, slots, 20);
LAYOUT_AT(directory_group, flags, 24); LAYOUT_AT(directory_group, max_age_ms, 28);
LAYOUT_AT(directory_group, payload_bytes, 32); LAYOUT_AT(directory_group, slot_bytes, 40);
LAYOUT_AT(directory_group, ring_offset, 48); LAYOUT_AT(directory_group, pulse_offset, 56);

struct directory_cell {
	uint32_t name, unit, description;
	uint32_t group;
	uint32_t offset_lo;         /* of the record in the payload */
	uint32_t capacity;
	uint8_t type, flags;
	int8_t precision;
	uint8_t pad0;
	uint32_t alarm;             /* pool of alarm limits, 0 = none; reserved */
	double min, max;
	uint8_t pad1[16];
};
static_assert(sizeof(struct directory_cell) == 64, "directory cell");
LAYOUT_AT(directory_cell, name, 0); LAYOUT_AT(directory_cell, unit, 4);
LAYOUT_AT(directory_cell, description, 8); LAYOUT_AT(directory_cell, group, 12);
LAYOUT_AT(directory_cell, offset_lo, 16); LAYOUT_AT(directory_cell, capacity, 20);
LAYOUT_AT(directory_cell, type, 24); LAYOUT_AT(directory_cell, flags, 25);
LAYOUT_AT(directory_cell, precision, 26); LAYOUT_AT(directory_cell, alarm, 28);
LAYOUT_AT(directory_cell, min, 32); LAYOUT_AT(directory_cell, max, 40);

/* ---- bank: its header, then each group's pulse word and ring ----
 * A pulse is the last word of the line before its ring: one READ of a network fetches both, and
 * no two groups share a line, so that their writers' and readers' caches have nothing to quarrel
 * about. */
#define DSM_PULSE_BYTES 8u
struct bank_header {
	uint64_t magic;
	uint32_t owner, bank_epoch;
	uint64_t generation;
	uint8_t pad0[40];
	_Atomic uint64_t step_complete; /* written by the owner, release, after a step's last group */
	_Atomic uint64_t step_check;    /* of step_complete: core/step.h */
	uint8_t pad1[48];
	_Atomic uint64_t owner_tick;    /* owner's heartbeat, written by its slow path */
	uint8_t pad2[56];
};
static_assert(sizeof(struct bank_header) == 192, "bank header");
LAYOUT_AT(bank_header, magic, 0); LAYOUT_AT(bank_header, owner, 8);
LAYOUT_AT(bank_header, bank_epoch, 12); LAYOUT_AT(bank_header, generation, 16);
LAYOUT_AT(bank_header, step_complete, 64); LAYOUT_AT(bank_header, step_check, 72);
LAYOUT_AT(bank_header, owner_tick, 128);

struct slot {
	_Atomic uint64_t seq;       /* 0 = invalid or never written */
	_Atomic uint64_t epoch_length; /* low: epoch; high: payload bytes */
	_Atomic uint64_t time;      /* engine time, Unix ns */
	_Atomic uint64_t step;
	_Atomic uint64_t check;
	_Atomic uint64_t payload[]; /* payload_bytes / 8 words, then zeros up to slot_bytes */
};
static_assert(sizeof(struct slot) == DSM_SLOT_HEADER, "slot header");
LAYOUT_AT(slot, seq, 0); LAYOUT_AT(slot, epoch_length, 8); LAYOUT_AT(slot, time, 16);
LAYOUT_AT(slot, step, 24); LAYOUT_AT(slot, check, 32); LAYOUT_AT(slot, payload, 40);
static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "plain atomics");

static inline uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static inline uint64_t slot_bytes_for(uint64_t payload_bytes)
{
	return round_up(DSM_SLOT_HEADER + payload_bytes, DSM_LINE);
}

#endif
