/* SPDX-License-Identifier: Apache-2.0 */
/* The shm transport's connection; shm.c has channel and life, shm_map.c memory, shm_ring.c the
 * reading and writing. */
#ifndef DSM_LIB_TRANSPORT_SHM_H
#define DSM_LIB_TRANSPORT_SHM_H

#include "core/piece.h"
#include "core/step.h"
#include "transport/channel.h"
#include "transport/transport.h"

struct shm_bank {
	struct piece piece;
	uint32_t bank_epoch;
	bool present, writable;
};

struct transport_conn {
	int fd;
	int fds[CHANNEL_FDS_MAX];   /* came with the last message */
	uint32_t fd_count;
	struct piece header, directory, waiters;
	struct control_welcome welcome;
	const struct view *view;
	struct shm_bank *banks, *moved; /* per owner: in use; mapped but not yet adopted */
	struct ring *rings;         /* one a group, each in a line of its own */
	void *rings_memory;
	uint64_t *scratch;          /* largest marked payload */
	const struct owner_line *lines;
	const _Atomic uint32_t *notify;
	const _Atomic uint64_t *counters;
	int own_fd;                 /* own bank, writable; from WELCOME until granted() */
	uint32_t own_owner, own_epoch;
	struct bank_header *own_bank;
	const _Atomic uint32_t *own_waiters; /* of its first group */
	uint32_t own_first;
	bool any_moved, locked;
	uint64_t wakes;             /* by commits */
	/* engine in this process: a second mapping of the own bank, instead of a descriptor */
	void *(*own_memory)(void *context, uint32_t owner, uint64_t *bytes);
	void *own_context;
};

/* A connection over a channel that exists already (the engine's own process). */
int shm_adopt_channel(int fd, void *(*own_memory)(void *, uint32_t, uint64_t *), void *context,
	struct transport_conn **out);

int shm_enter(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes);
int shm_ready(struct transport_conn *conn, const struct view *view);
int shm_inherit(struct transport_conn *conn, struct transport_conn *old);
int shm_mapped(struct transport_conn *conn, const struct control_map *map,
	struct control_reader *epochs);
int shm_adopt(struct transport_conn *conn);
int shm_granted(struct transport_conn *conn, uint32_t owner);
int shm_lock(struct transport_conn *conn);
void shm_unmap_all(struct transport_conn *conn);

int shm_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta);
int shm_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta);
int shm_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta);
uint64_t shm_newest(const struct transport_conn *conn, uint32_t group);
uint64_t shm_step_complete(const struct transport_conn *conn, uint32_t owner);
void shm_wait(struct transport_conn *conn, const struct transport_watch *watch,
	const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns);
int shm_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta);
int shm_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq);
int shm_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image);
int shm_commit(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image);
int shm_complete(struct transport_conn *conn, uint32_t owner, uint64_t step,
	const uint32_t *groups, uint32_t n);
int shm_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload);
int shm_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields);

#endif
