/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rdma transport's connection at the client: three queue pairs, each with one job.
 *   control  messages (sealed, with keys), and READs of what the slow path watches; under control_lock
 *   read     READs by the handle's own thread
 *   write    an owner's WRITEs by the handle's own thread
 * verbs.c has channel and life of the connection, verbs_auth.c keys, verbs_open.c what follows WELCOME, verbs_watch.c
 * what the slow path knows, verbs_fetch.c posting and reaping, verbs_read.c rings and slots,
 * verbs_large.c what does not fit into one READ, verbs_batch.c READs of many groups, verbs_write.c the owner's side.
 *
 * After a loss nothing is reposted. The slow path lets go of the device at once (a removal waits
 * for it), though the handle's thread may be reading: `gone` and `in_use`, each stored before the
 * other is loaded (seq_cst), so that one of the two sees the other.
 */
#ifndef DSM_LIB_TRANSPORT_VERBS_H
#define DSM_LIB_TRANSPORT_VERBS_H

#include <pthread.h>

#include "rdma/device.h"
#include "rdma/endpoint.h"
#include "rdma/pages.h"
#include "rdma/rc.h"
#include "transport/secret.h"
#include "wire/verbs_auth.h"

#define VERBS_PIECE ((uint64_t)256 << 10)   /* of a large slot; a device's longest message is longer */
#define VERBS_BOUNCE (4 * VERBS_PIECE)
#define VERBS_SMALL 4096u                   /* a ring up to this is read whole */
#define VERBS_INLINE 220u                   /* of a WRITE; devices commonly take that much at once */
#define VERBS_CHAIN 16u                     /* READs a post */
#define VERBS_SPIN_NS 100000u               /* then sleep on the completion channel */
#define VERBS_PULSE_BEHIND 128u             /* a pulse further behind what verifies was torn */
#define VERBS_STILL 8u                      /* attempts with the same pulse: its writer is dead */
#define VERBS_ATTEMPT_NS UINT64_C(150000000) /* of one attempt; then it is the caller's turn to look at his deadline */
#define VERBS_AGES 32u                      /* pulses of groups with a maximum age, a pass */

struct verbs_bank { uint64_t addr; uint32_t rkey, epoch; bool present; };

/* One queue pair with its id. */
struct verbs_pair { struct rdma_cm_id *id; struct ibv_qp *qp; };

/* READs and WRITEs of the handle's thread, reaped in the order in which they were posted. */
struct verbs_queue {
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct verbs_pair pair;
	uint64_t posted, done;      /* tickets: of the last signaled post, of the last completion */
	uint32_t depth;             /* READs outstanding on the wire */
};

/* A piece of the engine's memory and where it goes to, or comes from. */
struct verbs_span { uint64_t remote; uint32_t rkey, bytes; void *at; };

/* The last verified version of a group, kept for the time after a loss. Payload follows, placed so
 * that what begins on a 64-byte line in a slot does so here. */
struct verbs_last { uint64_t seq, time, step; uint32_t epoch, valid; uint64_t pad; };
_Static_assert(sizeof(struct verbs_last) == DSM_SLOT_HEADER, "as a slot's header");

struct transport_conn {
	int pid;                    /* of who made it; a forked child only forgets it */
	int epoll;                  /* fd(): control queue and CM events */
	uint64_t deadline;          /* of the attach */
	uint64_t probed_ns;         /* during it: when the engine was last asked whether it is there */
	struct rdma_event_channel *events;
	struct ibv_context *cm_verbs, *verbs; /* librdmacm's; ours */
	uint8_t port;               /* of the device */
	uint64_t trouble_ns;        /* of the loss, or when the port was last seen down after it */
	struct ibv_pd *pd;          /* of control and read */
	bool held, removed;         /* dsm__rdma_open(); the device is going away */
	/* control */
	pthread_mutex_t control_lock;
	struct verbs_pair control;
	struct endpoint endpoint;
	struct verbs_auth auth;
	unsigned char *sealed;      /* with keys: a message as it goes over the wire; STREAM_MESSAGE_MAX */
	struct pages watch_pages;   /* header, owner lines, counters, pulses */
	uint32_t watch_lines, watch_counters, watch_pulses; /* offsets in them */
	uint32_t watching;          /* READs of the watch outstanding */
	uint64_t watch_ns;          /* of the last one */
	uint32_t *ages, age_count, age_next; /* groups whose pulse is watched */
	uint32_t age_groups[VERBS_AGES], age_asked; /* those that are being looked at */
	/* what the slow path knows; written by it, read by anybody */
	struct region_header header;
	struct owner_line *lines;
	_Atomic uint64_t counters[DSM_COUNTERS];
	_Atomic uint64_t *newest;   /* a group; a hint but for own groups */
	/* of WELCOME, KEYS, directory, MAPPED */
	struct control_welcome welcome;
	struct control_keys keys;
	const struct view *view;
	void *directory;
	uint64_t directory_bytes, directory_room;
	struct verbs_bank *banks, *moved;
	uint64_t *steps;            /* last complete step of an owner, when it was read last */
	bool any_moved;
	/* reading, the handle's thread */
	struct verbs_queue read;
	struct pages ring_pages, bounce;
	const unsigned char *ring_at; /* where the ring is that was fetched last */
	struct verbs_batches *batches;
	uint32_t small;             /* bytes of pulse and ring that are read at once */
	uint32_t spins;             /* polls in VERBS_SPIN_NS */
	unsigned char *large;       /* slot put together from pieces */
	uint64_t large_room;
	unsigned char *last;        /* struct verbs_last a group */
	uint64_t *last_at;
	uint64_t last_room;
	uint32_t still_group, still_count;
	uint64_t still_pulse, still_seq;
	/* writing, the handle's thread */
	struct verbs_queue write;
	struct pages source;        /* a slot and a pulse word a group; the step's word */
	uint64_t *source_at;        /* of own groups */
	uint32_t own_owner;
	bool own_loaded;
	uint32_t inline_bytes;      /* WRITEs up to this take their data along when posted */
	struct ibv_send_wr *chain;
	struct ibv_sge *chain_sge;
	uint32_t chained;
	uint64_t chained_bytes;
	bool superseded;
	uint64_t write_lost_ns;
	_Atomic int write_broken;
	/* notifying: bit a group that was committed since the engine was told */
	_Atomic uint64_t *notify;
	_Atomic uint32_t notify_wanted, notify_armed;
	_Atomic uint64_t notified_ns; /* when the engine was told last */
	int notify_timer;           /* in fd(); -1 none */
	uint64_t beat_ns;
	/* waiting for a commit; told: + 1 for each answer to a WAIT */
	uint64_t poll_ns;           /* the caller's period; 0: the engine is asked to tell */
	uint64_t looked_ns;         /* when the pulses were read last for a wait */
	bool wait_armed;            /* under control_lock, as the list that the engine has */
	struct control_wait waits;
	_Atomic uint32_t told;
	/* loss */
	_Atomic int broken;         /* negative errno, set once */
	_Atomic uint32_t in_use, gone;
	bool released;
};

/* ---- verbs.c ---- */
/* The connection is lost: nothing is posted any more, the slow path finds it out. Returns -ENOTCONN. */
int verbs_lost(struct transport_conn *conn, int error);
/* What a call of rdma/rc.h returned while connecting: a device that is being removed is noted. */
int verbs_noted(struct transport_conn *conn, int rc);
/* May the handle's thread use the device? Then verbs_leave() when done. */
static inline bool verbs_enter(struct transport_conn *conn)
{
	atomic_store_explicit(&conn->in_use, 1, memory_order_seq_cst);
	/* pairs with the slow path's store of gone and load of in_use */
	if (__builtin_expect(!atomic_load_explicit(&conn->gone, memory_order_seq_cst) &&
			!atomic_load_explicit(&conn->broken, memory_order_relaxed), 1))
		return true;
	atomic_store_explicit(&conn->in_use, 0, memory_order_release);
	return false;
}
static inline void verbs_leave(struct transport_conn *conn)
{
	atomic_store_explicit(&conn->in_use, 0, memory_order_release);
}

/* What the CM has to say of this connection: 0, or why it is lost. control_lock held, or as verbs_auth.c. */
int verbs_cm_events(struct transport_conn *conn);

/* ---- verbs_auth.c: control_lock held, or the connection is nobody else's yet ---- */
/* The key that is shown, and what is said of it in the request. */
struct verbs_dial { struct transport_secret secret; struct verbs_request request; struct verbs_reply reply; };
/* After the reply, until conn->deadline: the handshake, if there is a key. -EACCES the engine does
 * not do what the key asks for; -ECONNRESET, -ETIMEDOUT, -ENOMEM. */
int verbs_shake_hands(struct transport_conn *conn, const struct verbs_dial *dial);
/* One message, sealed where there are keys: endpoint_send(), endpoint_recv(). What does not verify is
 * -EBADMSG, for good. */
int verbs_say(struct transport_conn *conn, const void *message, size_t bytes);
int verbs_hear(struct transport_conn *conn, void *message, size_t room);
/* To be called while an attach waits for a message. */
void verbs_probe(struct transport_conn *conn, uint64_t now);

/* ---- verbs_open.c ---- */
int verbs_enter_region(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes);
int verbs_ready(struct transport_conn *conn, const struct view *view);
int verbs_inherit(struct transport_conn *conn, struct transport_conn *old);
int verbs_mapped(struct transport_conn *conn, const struct control_map *map,
	struct control_reader *banks);
int verbs_adopt(struct transport_conn *conn);
/* A queue pair of the handle's thread, connected. */
int verbs_queue_open(struct transport_conn *conn, struct verbs_queue *queue, struct ibv_pd *pd,
	uint32_t sends, enum verbs_kind kind);
void verbs_queue_close(struct verbs_queue *queue);
/* Memory that costs nothing until it is touched. */
void *verbs_reserve(uint64_t bytes);

/* ---- verbs_watch.c: slow path, control_lock held ---- */
int verbs_watch_init(struct transport_conn *conn);
void verbs_watch(struct transport_conn *conn);
void verbs_watched(void *context, const struct ibv_wc *wc);
void verbs_take_header(struct transport_conn *conn, const unsigned char *header);
void verbs_pulse(const struct transport_conn *conn, struct transport_pulse *out);
const struct region_header *verbs_header(const struct transport_conn *conn);
uint64_t verbs_owner_line(const struct transport_conn *conn, uint32_t owner, uint32_t *epoch,
	uint32_t *pid, uint64_t *step);
uint64_t verbs_counter(const struct transport_conn *conn, uint32_t index);
uint64_t verbs_newest(const struct transport_conn *conn, uint32_t group);

/* ---- verbs_fetch.c: between verbs_enter() and verbs_leave() ---- */
void verbs_calibrate(struct transport_conn *conn);
/* Posts n <= VERBS_CHAIN READs in one call; *ticket is for verbs_await(). */
int verbs_post_reads(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n,
	uint32_t lkey, uint64_t *ticket);
/* -EAGAIN not within `ns`: it stays outstanding, and nothing may use its memory before it was
 * waited for; -ENOTCONN lost. */
int verbs_await(struct transport_conn *conn, struct verbs_queue *queue, uint64_t ticket, uint64_t ns);
/* All that is outstanding, then these READs. */
int verbs_fetch(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n, uint32_t lkey);
/* The same for an attach, which has no second attempt: until conn->deadline. */
int verbs_fetch_attaching(struct transport_conn *conn, const struct verbs_span *spans, uint32_t n, uint32_t lkey);
/* Any number of bytes in pieces through the bounce buffer. */
int verbs_fetch_large(struct transport_conn *conn, uint64_t remote, uint32_t rkey, uint64_t bytes,
	unsigned char *to);

/* ---- verbs_read.c ---- */
int verbs_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta);
int verbs_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta);
int verbs_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta);
uint64_t verbs_step_complete(const struct transport_conn *conn, uint32_t owner);
/* Reads the pulses, as hints. -EAGAIN, -ENOTCONN; a group that cannot be read here is passed over. */
int verbs_look(struct transport_conn *conn, const uint32_t *groups, uint32_t n);
int verbs_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta);
int verbs_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq);
/* The newest in a ring that was READ: `line` ends with the pulse, the slots are behind it. -EAGAIN, -ENODATA. */
int verbs_judge_ring(struct transport_conn *conn, uint32_t group, const unsigned char *line,
	const unsigned char **slot, struct slot_meta *meta);
/* Its pulse and ring are read at once. */
bool verbs_is_small(const struct transport_conn *conn, const struct directory_group *g);
/* The slot at `at` is that of `index` and whole. */
bool verbs_slot_holds(const struct transport_conn *conn, uint32_t group, const unsigned char *at,
	uint64_t index, struct slot_meta *meta);
/* -ENODATA never mapped; -ENOMEM the engine could not register it. */
int verbs_bank_there(const struct transport_conn *conn, uint32_t owner);
/* The newest seq that verified for this handle; 0 none. */
uint64_t verbs_seen(const struct transport_conn *conn, uint32_t group);
/* Keeps a verified version; the newest known. */
void verbs_keep(struct transport_conn *conn, uint32_t group, const unsigned char *slot,
	const struct slot_meta *meta);
/* A pulse as a hint, and what verified. Own groups are known better than any READ knows them. */
void verbs_learn(struct transport_conn *conn, uint32_t group, uint64_t pulse, uint64_t seq);
/* Is a verified `seq` what the pulse promised, or newer? */
bool verbs_is_newest(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t pulse);
/* Has the pulse been the same for so many attempts that its writer must be dead? `seq` verified. */
bool verbs_still(struct transport_conn *conn, uint32_t group, uint64_t pulse, uint64_t seq);

/* ---- verbs_large.c: groups whose ring does not fit into one READ; *slot: until the next READ ---- */
int verbs_large_newest(struct transport_conn *conn, uint32_t group, const unsigned char **slot,
	struct slot_meta *meta);
int verbs_large_at(struct transport_conn *conn, uint32_t group, uint64_t seq, const unsigned char **slot,
	struct slot_meta *meta);

/* ---- verbs_batch.c ---- */
#define VERBS_BATCH_SENDS (2u * (TRANSPORT_BATCHES * TRANSPORT_BATCH + TRANSPORT_AHEAD))
/* After the view is known. Without the memory for it everything is read by itself. */
void verbs_batch_init(struct transport_conn *conn);
bool verbs_batch_use(struct transport_conn *conn, const struct pages *pages);
void verbs_batch_release(struct transport_conn *conn);
int verbs_batch_begin(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n);
int verbs_batch_take(struct transport_conn *conn, uint32_t place, uint32_t group, uint64_t *to,
	struct slot_meta *meta);
void verbs_ahead(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n);
/* Of what it asked for: the newest in a small ring, as verbs_judge_ring(); -ENOENT it was not asked for.
 * Valid until the next verbs_ahead(). Between verbs_enter() and verbs_leave(). */
int verbs_ahead_ring(struct transport_conn *conn, uint32_t group, const unsigned char **slot, struct slot_meta *meta);
/* The slot of exactly that step, verified. NULL: it was not asked for, or another one is there. */
const unsigned char *verbs_ahead_slot(struct transport_conn *conn, uint32_t group, uint64_t step,
	struct slot_meta *meta);

/* ---- verbs_write.c ---- */
int verbs_granted(struct transport_conn *conn, uint32_t owner);
/* The newest seq of each own group, exact; once, when the bank can be read. */
int verbs_load_pulses(struct transport_conn *conn);
int verbs_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image);
int verbs_complete(struct transport_conn *conn, uint32_t owner, uint64_t step,
	const uint32_t *groups, uint32_t n);
int verbs_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload);
int verbs_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields);
void verbs_beat(struct transport_conn *conn, uint32_t owner, uint64_t tick);

/* ---- verbs_wait.c ---- */
void verbs_wait(struct transport_conn *conn, const struct transport_watch *watch,
	const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns);
/* control_lock held: the engine has answered WAIT `number`; bit a group of its list. */
void verbs_told(struct transport_conn *conn, uint32_t number, uint64_t mask);
uint64_t verbs_told_times(const struct transport_conn *conn);

/* ---- verbs_notify.c ---- */
int verbs_notify_init(struct transport_conn *conn);
/* The handle's thread: these groups have just been committed. */
void verbs_committed(struct transport_conn *conn, const uint32_t *groups, uint32_t n);
/* control_lock held: tells the engine what was committed, if it has taken the last word of it. */
void verbs_notify(struct transport_conn *conn);

#endif
