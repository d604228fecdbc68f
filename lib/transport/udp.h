/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The udp transport's connection at the client: one session with two flows, each with a socket of
 * its own, so that the two threads of a handle never take each other's datagrams.
 *   control  messages and the engine's pulse; the slow path, under the handle's lock
 *   data     reads, waits and an owner's commits; the handle's own thread
 * udp.c has the control flow and the table of operations, udp_dial.c the handshake, udp_key.c the
 * key, udp_open.c what follows WELCOME, udp_fetch.c the table as bytes, udp_ask.c questions and their answers, udp_read.c reads, udp_many.c those of many groups,
 * udp_write.c commits, udp_subscribe.c subscriptions. A read takes no lock and allocates nothing.
 */
#ifndef DSM_LIB_TRANSPORT_UDP_H
#define DSM_LIB_TRANSPORT_UDP_H

#include "core/clock.h"
#include "port/port.h"
#include "transport/secret.h"
#include "wire/udp_flow.h"
#include "wire/udp_stream.h"

#define UDP_SEQS 32u                /* READs of a seq in one datagram */
#define UDP_SUBS 32u                /* subscriptions of a connection */
#define UDP_ACKS 58u                /* updates of one datagram: no more fit, and their answers fit in one */

struct udp_pipe { int fd; struct udp_flow flow; };

/* The last verified version of a group, kept for the time after a loss. Payload follows, placed so
 * that what begins on a 64-byte line in a slot does so here. */
struct udp_last { uint64_t seq, time, step; uint32_t epoch, valid; uint64_t pad; };
_Static_assert(sizeof(struct udp_last) == DSM_SLOT_HEADER, "as a slot's header");

/* What the handle's thread waits for. */
struct udp_expect {
	uint32_t id, ids;           /* ids of answers: from, how many */
	unsigned char *to;          /* bytes of one answer; offsets from here */
	uint32_t offset, bytes;     /* which bytes of the slot */
	uint32_t pieces;            /* bit a piece of UDP_PIECE that is still missing */
	bool any;                   /* a piece has come: seq is theirs */
	uint32_t more;              /* others that stand behind this one, each for an answer of its own */
	bool done;                  /* status and seq are there, and all pieces if status is 0 */
	int32_t status;
	uint64_t seq;
	uint64_t *seqs;             /* of ids > 1: the seq of each */
	uint32_t seqs_missing;      /* bit an id */
};

struct transport_conn {
	int pid;                    /* of who made it; a forked child only forgets it */
	struct port_alarm alarm;    /* fd(): control socket and timer */
	/* the handle's: for deadlines and leases; the wire's own times, until when something is sent again,
	 * are the system's */
	const struct dsm_clock *clock;
	uint64_t deadline;          /* of the attach */
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_context;
	uint32_t idle_ms;           /* the engine's: so long a silent session lives */
	char peer[300];             /* "HOST:PORT", for people */
	/* control */
	struct udp_pipe control;
	struct udp_sender sender;
	struct udp_receiver receiver;
	uint64_t heard_ns, pumped_ns, asked_ns;
	uint64_t suspect_ns;        /* somebody says that the session is no more; 0 = nobody */
	uint64_t beat, first_beats; /* the handle's; those of the attach, before the first of it */
	uint32_t next_owner;        /* whose line is asked for next */
	uint32_t *ages, age_count, age_next; /* groups whose newest seq is asked for */
	bool ended, superseded;
	bool full;                  /* ended because all places are taken */
	bool owes_prove;
	struct udp_prove prove;     /* to be said back */
	uint64_t write_lost_ns;
	/* what the slow path knows; written by it, read by anybody */
	struct region_header header;
	struct owner_line *lines;
	_Atomic uint64_t counters[DSM_COUNTERS];
	_Atomic uint64_t *newest;   /* a group; a hint but for own groups */
	_Atomic int broken;         /* negative errno, set once */
	_Atomic bool silent;        /* nothing has come from the engine for a lease */
	/* of WELCOME, directory */
	struct control_welcome welcome;
	const struct view *view;
	void *directory;
	uint64_t directory_bytes, directory_room;
	/* the handle's thread */
	struct udp_pipe data;
	struct udp_rtt rtt;
	uint64_t spin_ns;           /* a datagram is polled for so long */
	uint32_t next_id;
	uint64_t call_deadline;     /* of the call that goes on, by `clock`; 0 = none */
	uint64_t *slot;             /* the one that is being read */
	uint64_t slot_room;
	unsigned char *last;        /* struct udp_last a group */
	uint64_t *last_at;
	uint64_t last_room;
	uint64_t *steps;            /* last complete step of an owner, when it was read last */
	uint64_t *seqs;             /* room for UDP_SEQS */
	struct udp_many *many;
	struct udp_wait waits[UDP_WAITS_MAX]; /* what the engine was asked to say */
	uint32_t wait_count;
	uint64_t waited_ns, told;   /* when it was asked last; NOTIFYs that came */
	struct transport_wishes *subs[UDP_SUBS];
	uint32_t next_sub, sub_count;
	uint32_t came;              /* counts what subscriptions brought */
	uint32_t ack_count, stranger;   /* stranger: a subscription that is none of ours any more; 0 */
	struct udp_updated acks[UDP_ACKS];
	/* an owner's */
	uint32_t own_owner;
	bool own_loaded;
	struct udp_sender commits;
	unsigned char *stage;       /* UDP_COMMIT_HEAD before a line, then a slot */
	uint64_t stage_room;
	uint32_t staged;            /* group; DSM_NONE */
	uint64_t number, committed; /* last that was sent, last that was carried out */
	int32_t refused;
	_Atomic int write_broken;
};

/* ---- udp_dial.c ---- */
/* Sockets and handshake, until conn->deadline. -ENOENT, -EACCES, -EUSERS, -EPROTONOSUPPORT, -ETIMEDOUT. */
int udp_dial(struct transport_conn *conn, const struct uri *uri, const struct transport_identity *as);

/* ---- udp.c ---- */
int udp_lost(struct transport_conn *conn, int error);
/* What the control flow owes, while an attach asks for other things: a role that was granted has to
 * show that it lives. Messages wait for recv. */
void udp_pump(struct transport_conn *conn);

/* ---- udp_open.c ---- */
int udp_open(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes);
int udp_ready(struct transport_conn *conn, const struct view *view);
int udp_inherit(struct transport_conn *conn, struct transport_conn *old);
int udp_mapped(struct transport_conn *conn, const struct control_map *map, struct control_reader *epochs);
int udp_adopt(struct transport_conn *conn);

/* ---- udp_fetch.c ---- */
/* Bytes [offset, offset + bytes) of header and directory, until the attach's deadline; the control flow
 * has its turn meanwhile. `tell`: what conn->progress wants to know. -ETIMEDOUT, -ECONNRESET. */
int udp_fetch(struct transport_conn *conn, uint64_t offset, uint64_t bytes, unsigned char *to, bool tell);

/* ---- udp_ask.c: the handle's thread ---- */
/* So long an answer is waited for before it is asked for again. */
uint64_t udp_ask_wait(const struct transport_conn *conn);
/* Seals and sends what is in the writer, if there is something. */
void udp_data_send(struct transport_conn *conn, unsigned char *datagram, struct udp_writer *w);
/* Waits for one datagram at most so long and takes what is in it. -EAGAIN none came; -ENOTCONN. */
int udp_data_receive(struct transport_conn *conn, uint64_t ns, struct udp_expect *x);
/* Asks and waits, again if need be. `m` without id. -EAGAIN no answer in this attempt; -ENOTCONN; a
 * status of the engine. x->seq is then known. */
int udp_ask(struct transport_conn *conn, struct udp_read *m, unsigned char *to, uint64_t *seq);
/* The newest seq of n <= UDP_SEQS groups from `first` on, into conn->seqs. */
int udp_ask_seqs(struct transport_conn *conn, uint32_t first, uint32_t n);
/* May the engine be asked? -ENOTCONN. */
static inline int udp_there(const struct transport_conn *conn)
{
	return atomic_load_explicit(&conn->broken, memory_order_relaxed) ||
		atomic_load_explicit(&conn->silent, memory_order_relaxed) ? -ENOTCONN : 0;
}

/* Until the call that goes on is to end, ns; 0: it is over. */
uint64_t udp_call_left(const struct transport_conn *conn);

/* ---- udp_many.c: the handle's thread ---- */
int udp_many_init(struct transport_conn *conn);
void udp_ahead(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n);
int udp_batch_begin(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n);
int udp_batch_take(struct transport_conn *conn, uint32_t place, uint32_t group, uint64_t *to, struct slot_meta *meta);
/* As udp_read_step(), out of what udp_ahead() was told of. -EAGAIN: read it. */
int udp_many_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to, struct slot_meta *meta);

/* ---- udp_read.c ---- */
int udp_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes, uint64_t *to,
	struct slot_meta *meta);
int udp_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta);
int udp_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta);
uint64_t udp_step_complete(const struct transport_conn *conn, uint32_t owner);
void udp_wait(struct transport_conn *conn, const struct transport_watch *watch, const _Atomic uint32_t *wake,
	uint32_t woken, uint64_t ns);
uint64_t udp_told(const struct transport_conn *conn);
int udp_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta);
int udp_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq);

/* What stands in `slot`: is it whole, and of `seq`? -EAGAIN. */
int udp_verify(const struct transport_conn *conn, uint32_t group, uint64_t seq, const uint64_t *slot,
	struct slot_meta *meta);
/* Keeps it for the time after a loss, if it is newer than what is kept. */
void udp_keep(struct transport_conn *conn, uint32_t group, const uint64_t *slot, const struct slot_meta *meta);
/* What was kept, at least of `seq`. -EAGAIN there is nothing so new. */
int udp_kept(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to, struct slot_meta *meta);

/* ---- udp_subscribe.c ---- */
int udp_subscribe(struct transport_conn *conn, struct transport_wishes *wishes);
void udp_unsubscribe(struct transport_conn *conn, struct transport_wishes *wishes);
void udp_listen(struct transport_conn *conn, const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns);
int udp_take(struct transport_conn *conn, uint32_t group, uint64_t came, uint64_t *to, struct slot_meta *meta);
/* Frames of the data flow. -EBADMSG. */
int udp_on_subscribed(struct transport_conn *conn, const struct udp_frame *f);
int udp_on_update(struct transport_conn *conn, const struct udp_frame *f);
void udp_on_probe(struct transport_conn *conn, uint32_t id);
/* Says what has come, after a datagram. */
void udp_say_updated(struct transport_conn *conn);

/* ---- udp_write.c ---- */
int udp_granted(struct transport_conn *conn, uint32_t owner);
int udp_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image);
int udp_complete(struct transport_conn *conn, uint32_t owner, uint64_t step, const uint32_t *groups, uint32_t n);
int udp_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload);
int udp_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields);
/* Is the group one that goes over udp? -EMSGSIZE. */
int udp_fits(const struct transport_conn *conn, uint32_t group);

#endif
