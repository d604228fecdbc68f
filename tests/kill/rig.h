/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the kill test: an engine, owners, readers. The controller (kill.c) has no
 * handle and no thread of its own; it forks them, kills them, and learns what they saw from a
 * board in shared memory. */
#ifndef DSM_TESTS_KILL_RIG_H
#define DSM_TESTS_KILL_RIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ROLES 2u        /* "pilot"; "far", whose bank is marked: the check decides there. Over rdma both are */
#define GROUPS 2u       /* of each role: small with K = 4, wide with K = 2 */
#define READERS 2u
#define LEASE_MS (board->lease_ms)
#define BOUND_MS (board->bound_ms) /* whatever takes longer hangs */

/* A cell's value: the grant that wrote it, and its number. */
#define VALUE(epoch, n) ((uint64_t)(epoch) << 40 | (n))
#define VALUE_EPOCH(value) ((uint32_t)((value) >> 40))
#define VALUE_NUMBER(value) ((value) & ((UINT64_C(1) << 40) - 1))

struct role_board {
	_Atomic uint64_t acked[GROUPS]; /* last commit that returned: VALUE(epoch, seq) */
	_Atomic uint32_t epoch;         /* of the last grant that an owner reported */
	_Atomic uint32_t grants, refusals;
	_Atomic uint64_t commits;
	_Atomic int ended;              /* why the owner ended: a negative errno; 0 = it has not */
	_Atomic int child;              /* pid of its forked child */
	_Atomic uint64_t ended_seq;     /* first group: last commit that an owner that has ended was told is done */
	_Atomic uint64_t found_seq;     /* first group: what the newest owner found in it */
};

struct seen_board {
	_Atomic uint64_t loops, errors, torn, backwards, generations;
	_Atomic uint64_t seq[ROLES];    /* of the first group */
	_Atomic uint32_t epoch[ROLES];
	_Atomic uint32_t flags[ROLES];
	_Atomic int status;             /* enum dsm_state */
	_Atomic int last_error;
};

struct board {
	_Atomic uint32_t failed, passed, stop, engine_up;
	_Atomic uint32_t losses;        /* connections lost over a network, though nobody was to lose one */
	_Atomic uint64_t boot, saved;   /* the engine's own cell: committed; in a finished save */
	struct role_board roles[ROLES];
	struct seen_board readers[READERS];
	char name[48], state[96];       /* of the engine; of its state file, "" = none */
	char uri[128];                  /* where owners and readers attach */
	char rdma[64];                  /* where the engine serves rdma, "" = it does not */
	uint32_t lease_ms, bound_ms;
	uint32_t slow;                  /* how many times longer an attach takes than over mapped memory */
};
extern struct board *board;

extern const char *const role_names[ROLES];

/* Counts on the board; says what was wrong. Any process. Returns `good`. */
bool rig_check(bool good, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* Over a network, and on a machine so busy that a peer stands still for half a second, an owner may lose
 * its connection instead of doing what it is to do: true, and counted, a limited number of times. */
#define LOSSES_MAX 20u
bool rig_lost(const char *who);

/* What an owner does besides committing. */
struct owner_task {
	uint32_t role;
	char point[40];         /* "name:passage" to die at; "" = none */
	bool take_over, fork_child;
	bool busy;              /* never pauses: a signal hits it within a commit */
};

/* Each forks and returns the pid. */
pid_t rig_engine(const char *point, bool saves);
pid_t rig_reader(uint32_t index);
pid_t rig_owner(const struct owner_task *task);
/* The engine in this process, until board->stop. */
void rig_run_engine(bool saves);

/* ---- debris.c: what is left behind ---- */
struct debris { long fds, memory_maps, resident_kb; };
struct debris debris_of(pid_t pid);
/* Entries of a folder; a checksum of the names, 0 if there are none. */
uint64_t debris_folder(const char *path, unsigned *entries);

#endif
