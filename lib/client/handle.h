/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is behind struct dsm. Two threads meet here: the owner's (reads, writes, waits) and the
 * slow path (messages, heartbeats, re-attach). What both touch is atomic or under `lock`; the
 * read path takes no lock: only the owner's thread replaces `link`, when `attention` says so.
 */
#ifndef DSM_LIB_CLIENT_HANDLE_H
#define DSM_LIB_CLIENT_HANDLE_H

#include <pthread.h>

#include "client/attach.h"
#include "client/list.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/writer.h"
#include "transport/transport.h"

#define HANDLE_MAGIC 0x6873646du
#define TAG_GENERATIONS 8u  /* low bits of a tag count the tables one handle has seen */
#define WINDOW CONTROL_REQUESTS
#define EVENTS 64u
#define FORWARDS 256u
#define READ_CELL_MAX ((uint64_t)1 << 20) /* dsm_read() copies cells up to this */

/* Bits of dsm.attention. The low ones are enum dsm_sample_flags as they go into samples. */
#define ATTEND_FLAGS 0x0fu
#define ATTEND_ADOPT 0x10u      /* a new link or bank waits to be taken into use */
#define ATTEND_SUPERSEDED 0x20u
#define ATTEND_LOST 0x40u
#define ATTEND_NO_RINGS 0x80u   /* this link has no memory that can be read in place */
#define ATTEND_STOP (ATTEND_ADOPT)

/* One connection with its checked directory. */
struct link {
	const struct transport_ops *ops;
	struct transport_conn *conn;
	struct view view;
	struct control_welcome welcome;
	uint64_t layout_hash;
	char uri[320], reason[400];
	/* messages that came before the link was in use: u32 length, bytes; for slow_install() */
	unsigned char *early;
	size_t early_bytes;
};

struct group_seen {
	uint64_t seq;               /* floor: never return less */
	uint32_t epoch;
	_Atomic uint32_t aged;      /* DSM_STALE_AGE or 0, by the slow path */
};

struct age_watch { uint32_t group; uint64_t newest, moved_ns; };

struct pending {
	struct control_request request; /* data = own copy */
	unsigned char *copy;
	int32_t status;
	uint64_t previous;
	enum { FREE, SENT, UNSENT, DONE } state;
	bool abandoned;             /* its caller ran out of time: the answer frees the place */
	char text[160];
};

struct forward {
	struct control_request request;
	unsigned char *copy;
};

/* Reads that were begun; ticket 0: none. */
struct batch {
	uint64_t ticket;
	uint32_t n, links;
	bool asked;                 /* the transport has it under way */
	struct dsm_group groups[TRANSPORT_BATCH];
	struct dsm_frame *frames[TRANSPORT_BATCH];
};

struct dsm {
	/* What the short ways touch, first. This page becomes zeros in a forked child (however it was
	 * forked) and when the handle is detached: nothing that has to be freed stands in it. */
	_Atomic uint32_t plain_cells; /* cell_count while there is nothing to attend to, else 0 */
	uint32_t usable;            /* 1 from handle_new() on */
	uint64_t first_id;          /* id of cell and group 0: the tag in the high half */
	const struct directory_cell *cells;
	struct ring_quick *quick;   /* one a cell: the short way, once it was read the long way */
	struct dsm_stats stats;
	unsigned char hot_end[DSM_PAGE - 32 - sizeof(struct dsm_stats)];
	uint32_t magic;             /* a page away: not wiped */
	_Atomic uint32_t attention;
	uint32_t cell_count;
	_Atomic uint32_t wake;      /* bumped to get the owner out of dsm_wait() */
	const struct transport_ops *ops;
	struct transport_conn *conn;
	const struct ring *rings;   /* of conn; see transport_ops.rings */
	/* owner's thread */
	struct group_seen *seen;
	void *quick_memory;
	struct link *link;
	uint64_t *value;            /* dsm_read() of a string, bytes or array */
	struct writer writer;
	bool has_writer, loaned, borrowing;
	uint32_t lent_cell;
	uint64_t lent_seq;
	uint64_t *lent_payload;
	struct batch batches[TRANSPORT_BATCHES];
	uint64_t last_batch;
	uint32_t tries, call_timeout_ms;
	uint32_t links;             /* taken into use so far: whoever keeps something of one looks */
	/* constant */
	struct dsm_options options;
	char *owner_name, *program, *fault, *key_file;
	struct uri uri;
	bool any_scheme;
	const struct inproc *inproc;
	const struct dsm_clock *clock;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct link *next;          /* waits for adopt() */
	uint8_t client_id[16];
	struct pending window[WINDOW];
	uint64_t next_number;       /* of the next request; numbers start at 1 */
	uint32_t unsent;
	struct forward forwards[FORWARDS];
	uint32_t forward_head, forward_count;
	struct dsm_event events[EVENTS];
	uint32_t event_head, event_count;
	uint64_t events_dropped;
	struct asked_list clients;  /* struct control_client */
	struct asked_list devices;  /* struct control_device */
	struct age_watch *ages;
	uint32_t age_count;
	uint32_t *owner_states;
	unsigned char *message;     /* CONTROL_MAX, of the slow path: what has come */
	unsigned char *requests;    /* CONTROL_MAX behind it, under lock: what goes */
	uint64_t heartbeat, moved_ns, pass_ns, retry_ns, backoff_ms, beat, reattached;
	bool lost, stale, attached_once;
	bool trying;                /* to attach again */
	/* of whoever runs the slow path: its thread for that */
	bool has_trier;
	pthread_t trier;
	_Atomic bool deposed;       /* the role was given to somebody else: not claimed again */
	/* registry of the library's thread */
	struct dsm *list_next;
	bool in_pass, listed;
	_Atomic bool leaving;       /* a try to re-attach is in vain */
	int manual_fd, manual_timer;
};

/* ---- devices.c, status.c ---- */
/* A part of the list has come. Under lock. */
void devices_message(struct dsm *dsm, struct control_reader *r);
void clients_message(struct dsm *dsm, struct control_reader *r);

/* ---- attach.c ---- */
int handle_bad(const struct dsm *dsm);
/* Takes a new link or moved banks into use. Owner's thread. */
int handle_attend(struct dsm *dsm);

/* Attached, and in the process that attached. One look serves for both: handles are never freed,
 * and the page is zeros in a child. */
static inline bool handle_usable(const struct dsm *dsm)
{
	return __builtin_expect(dsm && dsm->usable, 1);
}

/* For the short ways: the handle is usable, there is nothing to attend to and nothing to say about
 * any sample, and the cell is one of it, all by one comparison. False: the long way finds out. */
static inline bool handle_plain(const struct dsm *dsm, struct dsm_cell cell, uint64_t *index)
{
	return __builtin_expect(dsm && (*index = cell.id - dsm->first_id) <
		atomic_load_explicit(&dsm->plain_cells, memory_order_acquire), 1);
}

/* The same without a cell. */
static inline bool handle_calm(const struct dsm *dsm)
{
	return __builtin_expect(dsm && atomic_load_explicit(&dsm->plain_cells, memory_order_acquire), 1);
}

/* Changes attention, and with it whether the short ways are open. Under lock. */
static inline void handle_flags(struct dsm *dsm, uint32_t set, uint32_t clear)
{
	uint32_t now = (atomic_load_explicit(&dsm->attention, memory_order_relaxed) & ~clear) | set;
	atomic_store_explicit(&dsm->attention, now, memory_order_release);
	atomic_store_explicit(&dsm->plain_cells, now ? 0 : dsm->cell_count, memory_order_release);
}

static inline int handle_check(struct dsm *dsm)
{
	if (!handle_usable(dsm))
		return handle_bad(dsm);
	if (__builtin_expect(atomic_load_explicit(&dsm->attention, memory_order_acquire) &
			ATTEND_STOP, 0))
		return handle_attend(dsm);
	return 0;
}

int handle_bad_id(const struct dsm *dsm, uint64_t id, const char *what);

static inline int handle_cell(const struct dsm *dsm, struct dsm_cell cell, uint32_t *index)
{
	*index = (uint32_t)cell.id;
	if (__builtin_expect(cell.id - dsm->first_id >= dsm->cell_count, 0))
		return handle_bad_id(dsm, cell.id, "cell");
	return 0;
}

static inline int handle_group(const struct dsm *dsm, struct dsm_group group, uint32_t *index)
{
	*index = (uint32_t)group.id;
	if (__builtin_expect(group.id - dsm->first_id >= dsm->link->view.group_count, 0))
		return handle_bad_id(dsm, group.id, "group");
	return 0;
}

static inline uint64_t handle_id(const struct dsm *dsm, uint32_t index)
{
	return dsm->first_id | index;
}

/* Which table of which handle ids belong to. */
static inline uint32_t handle_tag(const struct dsm *dsm)
{
	return (uint32_t)(dsm->first_id >> 32);
}

/* A call that may ask over a network begins. When it is to end; 0 where a transport asks nobody. */
uint64_t deadline_after(const struct dsm *dsm, int timeout_ms);
static inline uint64_t handle_begin(struct dsm *dsm)
{
	if (__builtin_expect(!dsm->ops->begin, 1))
		return 0;
	uint64_t deadline = deadline_after(dsm, (int)dsm->call_timeout_ms);
	dsm->ops->begin(dsm->conn, deadline);
	return deadline;
}

/* ---- link.c ---- */
int link_open(struct dsm *dsm, uint32_t timeout_ms, struct link **out);
void link_close(struct link **link);

/* ---- slow.c: all under dsm->lock ---- */
void slow_step(struct dsm *dsm);
/* Re-attaches when it is time: beside the library's thread, or (DSM_MANUAL) here, and may then block.
 * Called without the lock. */
void slow_reattach(struct dsm *dsm);
void slow_install(struct dsm *dsm, struct link *link);
/* Waits for a try of slow_reattach() that is under way. */
void slow_end_try(struct dsm *dsm);
void slow_event(struct dsm *dsm, enum dsm_event_kind kind, uint64_t value, const char *format, ...)
	__attribute__((format(PRINTF_FORMAT, 4, 5)));
/* Bumps dsm->wake and wakes a dsm_wait(). */
void slow_wake(struct dsm *dsm);
/* The control channel of the newest link. */
struct link *slow_link(struct dsm *dsm);
/* Waits, with the lock held, for a change or until deadline_ns: false when it is over. */
bool slow_wait(struct dsm *dsm, uint64_t deadline_ns);

/* ---- thread.c ---- */
int thread_join(struct dsm *dsm);
void thread_leave(struct dsm *dsm);
void thread_poke(void);
#define TICK_NS 20000000u       /* the slow path comes at least so often */
/* Once round: re-attach, messages, liveness. */
void thread_pass(struct dsm *dsm);

/* ---- wait_any.c ---- */
/* Sleeps until newest() of a group has passed its `since`; *changed: bit a group, not 0. Looks once whatever
 * the deadline. -ETIMEDOUT, -ENOTCONN, -ECANCELED another table. */
int wait_newer(struct dsm *dsm, const struct transport_watch *watch, uint64_t deadline, uint64_t *changed);

/* ---- manual.c ---- */
int manual_begin(struct dsm *dsm);
void manual_end(struct dsm *dsm);

/* ---- read.c ---- */
/* Repeats an attempt until it is final; moves the floor. */
struct dsm_frame;
struct attempt {
	int (*run)(struct dsm *dsm, struct attempt *attempt, struct slot_meta *meta);
	uint32_t group;
	uint64_t offset, bytes, seq;
	uint64_t *to;
	uint64_t until;             /* by the handle's clock: its caller's deadline; 0 = call_timeout_ms alone */
};
/* False: older than what this handle has returned already. Else it is the new floor. */
static inline bool seen_moves(struct group_seen *seen, const struct slot_meta *meta)
{
	if (meta->epoch < seen->epoch || (meta->epoch == seen->epoch && meta->seq < seen->seq))
		return false;
	seen->epoch = meta->epoch;
	seen->seq = meta->seq;
	return true;
}
int read_attempts(struct dsm *dsm, struct attempt *attempt, struct slot_meta *meta);
/* dsm_snapshot() of a group and frame that fit together, no longer than `until` (0: as ever). */
int read_group(struct dsm *dsm, uint32_t group, struct dsm_frame *frame, uint64_t until);
uint8_t read_flags(const struct dsm *dsm, uint32_t group, const struct slot_meta *meta);
struct dsm_frame {
	uint64_t group_id;
	uint32_t group, cells, first_cell;
	struct directory_cell *layout; /* own copy: a frame outlives its handle */
	struct slot_meta meta;
	uint8_t flags;
	bool full;
	uint64_t bytes;
	uint64_t payload[];
};
int frame_check(const struct dsm_frame *frame, struct dsm_group group);

/* ---- request.c: under lock ---- */
void request_reply(struct dsm *dsm, struct control_reader *r);
void request_forward(struct dsm *dsm, struct control_reader *r);
void request_flush(struct dsm *dsm);
/* After a new link in place of `before` (NULL at the first attach): send again what was not
 * answered, where that is safe, or fail it as unknown. */
void request_resume(struct dsm *dsm, const struct link *before, const struct link *now);
void request_free(struct dsm *dsm);
void request_new_identity(struct dsm *dsm);

/* ---- write.c ---- */
int write_adopt(struct dsm *dsm, struct link *old, bool same_layout);
extern const struct writer_sink write_sink;

#endif
