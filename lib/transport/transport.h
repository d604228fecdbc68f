/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of operations a transport. Attempt-level only: retry, deadline, floors and policy
 * live once, in lib/client. A transport exports one symbol, its table; an operation it cannot
 * do answers -ENOTSUP and is never NULL.
 *
 * Threads: "owner" = the handle's thread; "slow" = the slow path, under the handle's lock.
 * Operations marked owner are never called at the same time as each other or as close.
 */
#ifndef DSM_LIB_TRANSPORT_TRANSPORT_H
#define DSM_LIB_TRANSPORT_TRANSPORT_H

#include "core/directory.h"
#include "core/filter.h"
#include "core/slot.h"
#include "core/uri.h"
#include "wire/control.h"

struct transport_conn;   /* each transport's own */

/* As whom: the role wanted (NULL: a reader) and the file of keys (NULL: environment DSM_KEYS);
 * how long an answer is polled for; no key is to be shown, whatever there is. How often a
 * wait looks by itself (0: as the transport does). The clock of deadlines and
 * leases; it outlives the connection. Whom to tell how far a table has come, at the attach only. */
struct transport_identity {
	const char *owner, *key_file;
	uint32_t spin_us;
	bool no_key;
	uint32_t poll_us;
	const struct dsm_clock *clock;
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes); /* NULL = nobody */
	void *progress_context;
};

/* What a connection shows of the engine's life. */
struct transport_pulse {
	uint64_t heartbeat;
	bool ended;                 /* the engine said good-bye in memory */
};

#define TRANSPORT_AHEAD 64u
#define TRANSPORT_BATCHES 8u     /* begun and not taken yet */
#define TRANSPORT_BATCH 16u      /* groups of one */

/* A group that the engine is to send when it changes. */
struct transport_wish {
	uint32_t group;
	uint32_t epoch;             /* with `seq`: what is there already; seq 0 = nothing */
	uint64_t seq;
	struct filter_rule rule;    /* interval and nth are those of all wishes of one subscription */
	/* the transport's */
	uint64_t came;              /* newest seq that came; 0 = never written */
	bool fresh;                 /* came since the caller cleared it */
};
#define TRANSPORT_WISHES 32u    /* of one subscription */
struct transport_wishes {
	uint32_t n;
	struct transport_wish *wish;
	/* the transport's */
	int status;                 /* -EINPROGRESS no answer yet; 0; or the engine's refusal, -ENOTSUP: it
	                             * is older and knows no subscriptions */
	uint32_t id, probe, unknown;
	uint64_t asked_ns, again_ns;
};

/* Groups that are waited for, each until it may have a commit after its `since`. */
#define TRANSPORT_WATCH 64u
struct transport_watch { uint32_t n; const uint32_t *group; const uint64_t *since; };

struct transport_ops {
	size_t size;                /* of this table, so that it can grow */
	const char *scheme;         /* "shm" */
	uint32_t attach_ms;         /* time for an attach, if its caller does not say */
	bool near;                  /* of this machine: an engine answers at once or not at all */

	/* -- connection: slow, or the owner before the handle is shared -- */
	/* One try to reach the engine's control channel; blocks at most timeout_ms. -ENOENT,
	 * -ECONNREFUSED nobody there; -EACCES; -EAGAIN it is there, but not at this moment; *out untouched
	 * on failure. */
	int (*connect)(const struct uri *uri, const struct transport_identity *as, uint32_t timeout_ms,
		struct transport_conn **out);
	/* Frees everything, also half-built. No memory of the connection is valid afterwards. */
	void (*close)(struct transport_conn *conn);
	/* For poll(): readable when recv() has something. */
	int (*fd)(const struct transport_conn *conn);
	/* One whole message, not blocking; one thread at a time (the client: under the handle's lock, since both
	 * its owner's thread and the library's speak). -EAGAIN the queue is full or (recv) empty;
	 * -EPIPE/-ECONNRESET the channel is gone. recv returns the bytes. */
	int (*send)(struct transport_conn *conn, const void *message, size_t bytes);
	int (*recv)(struct transport_conn *conn, void *message, size_t room);
	/* After a good WELCOME: gain sight of header and directory. *directory is `bytes` long,
	 * unchecked, immutable from now on, valid until close. -EBADMSG, -ENOMEM. */
	int (*open)(struct transport_conn *conn, const struct control_welcome *welcome,
		const void **directory, uint64_t *bytes);
	/* The directory was checked: `view` outlives the connection. Prepares the rings. */
	int (*ready)(struct transport_conn *conn, const struct view *view);
	/* owner, under the handle's lock: take over the directory's memory of `old`, whose table is the
	 * same; only if it really is, byte by byte. Pointers into it then live as long as `conn`. */
	int (*inherit)(struct transport_conn *conn, struct transport_conn *old);
	/* After MAPPED (its reader stands behind the struct control_map): banks can be read.
	 * May be called from the slow path; takes effect for the owner at adopt(). */
	int (*mapped)(struct transport_conn *conn, const struct control_map *map,
		struct control_reader *epochs);
	/* owner, under the handle's lock: take banks that mapped() brought into use. */
	int (*adopt)(struct transport_conn *conn);
	/* Optional (NULL: nothing is mapped). After ready(): keeps in memory what of the engine is mapped, and
	 * as far as the process's limit allows what will be. -ENOMEM, -EPERM. */
	int (*lock)(struct transport_conn *conn);
	/* slow, as long as the connection is lost but not closed: let go of whatever others wait for
	 * (a device that is being removed). Reads of the owner go on, from what is known. */
	void (*gone)(struct transport_conn *conn);

	/* -- life: slow; no system call, no blocking -- */
	void (*pulse)(const struct transport_conn *conn, struct transport_pulse *out);
	/* The public part of the header, valid until close. */
	const struct region_header *(*header)(const struct transport_conn *conn);
	/* The owner line's bank_state word; epoch, pid and step may be NULL. */
	uint64_t (*owner_line)(const struct transport_conn *conn, uint32_t owner,
		uint32_t *epoch, uint32_t *pid, uint64_t *step);
	uint64_t (*counter)(const struct transport_conn *conn, uint32_t index);
	/* Optional (NULL: none): system calls that commits made so far to wake waiters. owner. */
	uint64_t (*wakes)(const struct transport_conn *conn);
	/* Own heartbeat as owner. */
	void (*beat)(struct transport_conn *conn, uint32_t owner, uint64_t tick);
	/* Newest seq as hinted by the pulse word. Any thread. */
	uint64_t (*newest)(const struct transport_conn *conn, uint32_t group);

	/* -- reading in place: owner. Optional: NULL where there is no memory to read in place -- */
	/* One ring a group, for ring_quick_read() without a call through this table; zeros for what is
	 * not mapped. Valid until close(); what is in it changes only in adopt() and granted(). */
	const struct ring *(*rings)(const struct transport_conn *conn);

	/* owner. Optional: a call of its user begins; what is asked in it ends at `deadline_ns` of the
	 * handle's clock, however many attempts and questions it takes. Until the next begin(). */
	void (*begin)(struct transport_conn *conn, uint64_t deadline_ns);

	/* -- reading: owner. One attempt; -EAGAIN torn or not whole, try again; -ESTALE the bank
	 * moved, ask MAP for it; -ENODATA that bank was never mapped; others are final. -- */
	/* Newest version's words [offset, offset + bytes) of the payload. */
	int (*read)(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
		uint64_t *to, struct slot_meta *meta);
	/* Version `seq`: ring_read_at()'s errors. */
	int (*read_at)(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
		struct slot_meta *meta);
	/* Newest with step <= `step`; the last complete step of an owner. */
	int (*read_step)(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
		struct slot_meta *meta);
	uint64_t (*step_complete)(const struct transport_conn *conn, uint32_t owner); /* or STEP_TORN */
	/* Optional. read_step() of these groups, at most TRANSPORT_AHEAD, comes next, after the step
	 * complete that it goes by: a wire can be asked for all of them at once. A hint. */
	void (*ahead)(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n);
	/* Optional, both or none: asks for the newest versions of these groups, at most TRANSPORT_BATCH, and does
	 * not wait; then, for each group, one attempt out of what came, as read() of the whole payload: -EAGAIN
	 * read() it. A place, below TRANSPORT_BATCHES, is asked in again when the one before it is not wanted
	 * any more. */
	int (*batch_begin)(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n);
	int (*batch_take)(struct transport_conn *conn, uint32_t place, uint32_t group, uint64_t *to,
		struct slot_meta *meta);
	/* Sleeps until newest() of one of n <= TRANSPORT_WATCH groups has passed its `since`, *wake differs from
	 * `woken`, or `ns`. 0: looks once and does not sleep; over a network the engine has then been
	 * asked to say when, which makes fd() or data_fd() readable. One list at a time: a later one
	 * takes its place. */
	void (*wait)(struct transport_conn *conn, const struct transport_watch *watch,
		const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns);
	/* Optional (NULL: nobody says anything): how often the engine has said that there is a commit. */
	uint64_t (*told)(const struct transport_conn *conn);
	/* Optional: what the owner's operations wait for, where that is not in fd(); readable when
	 * listen() has something to take in. */
	int (*data_fd)(const struct transport_conn *conn);
	/* -- subscriptions: owner. Optional, all or none: NULL where a read costs the engine nothing -- */
	/* Asks the engine to send. `wishes` stays the caller's, and is written until unsubscribe() or
	 * close(). Does not wait: the answer is in wishes->status, by listen(). -ENOSPC too many. */
	int (*subscribe)(struct transport_conn *conn, struct transport_wishes *wishes);
	void (*unsubscribe)(struct transport_conn *conn, struct transport_wishes *wishes);
	/* Takes in what has come; sleeps until something did, *wake differs from `woken`, or `ns`. */
	void (*listen)(struct transport_conn *conn, const _Atomic uint32_t *wake, uint32_t woken, uint64_t ns);
	/* As read() of the whole payload, of what came; it may be newer than wish->came. */
	int (*take)(struct transport_conn *conn, uint32_t group, uint64_t came, uint64_t *to,
		struct slot_meta *meta);
	/* In-place view of words [offset, …) of the newest version; end with borrow_end(). */
	int (*borrow)(struct transport_conn *conn, uint32_t group, uint64_t offset,
		const void **data, struct slot_meta *meta);
	int (*borrow_end)(struct transport_conn *conn, uint32_t group, uint64_t seq);

	/* -- writing: owner -- */
	/* The grant of WELCOME: writable sight of the own bank. */
	int (*granted)(struct transport_conn *conn, uint32_t owner);
	int (*publish)(struct transport_conn *conn, uint32_t group,
		const struct check_fields *fields, const uint64_t *image);
	/* Optional (NULL: both of its parts instead): publish() and complete() of a step of one
	 * group, fields->step. -ESTALE nothing was written, publish() says why; else as complete(). */
	int (*commit)(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
		const uint64_t *image);
	/* Step complete and wake-ups. 0 only if the role was still held after the last store: what
	 * is acknowledged is never lost to a takeover at the same moment. -EOWNERDEAD. */
	int (*complete)(struct transport_conn *conn, uint32_t owner, uint64_t step,
		const uint32_t *groups, uint32_t n);
	/* The next slot's payload in place, invalidated; then its header. */
	int (*loan)(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload);
	int (*loan_end)(struct transport_conn *conn, uint32_t group,
		const struct check_fields *fields);
};

/* The table for a scheme, NULL if this build has none. `index` walks all in the order of
 * preference for an address without a scheme. */
const struct transport_ops *transport_find(const char *scheme);
const struct transport_ops *transport_at(unsigned index);

extern const struct transport_ops transport_shm;
extern const struct transport_ops transport_verbs; /* builds with rdma only */
extern const struct transport_ops transport_udp;

/* The header as it was found: -EPROTONOSUPPORT, -EBADMSG. `bytes` = of its piece. */
int transport_check_header(const struct region_header *header, uint64_t bytes, uint64_t generation);

/* Faults on top of any transport, by `spec` ("drop=0.1,delay=2,tear=0.2,fail=5,seed=7").
 * Takes `conn` over; *ops and *conn become the decorator's. -EINVAL a bad spec. */
int transport_faulty(const char *spec, const struct transport_ops **ops, struct transport_conn **conn);

#endif
