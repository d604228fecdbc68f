/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm client interface: attach to an engine's cell table, read, write, wait.
 *
 * Every function returns 0 (or a count where it says so) or a negative errno; the
 * text of the last failure of the calling thread is dsm_error(). The library never
 * prints, exits, aborts or installs a signal handler.
 *
 * Thread rule: a handle belongs to one thread at a time; open several. Every function
 * that takes a handle may be called only by the thread that owns it just now.
 * A handle used in a forked child answers -ECHILD: attach again there.
 *
 * Errors any function with a handle may return, besides its own:
 *   -EINVAL   a null handle or argument; -EBADF a handle that was detached (known as
 *             such until eight more have been detached);
 *   -ECHILD   the handle was opened before fork() in the parent process;
 *   -EXDEV    a cell or group id of another handle;
 *   -ESTALE   the id is of a table that the engine has replaced: look it up again.
 */
#ifndef DSM_DSM_H
#define DSM_DSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dsm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(DSM_BUILDING)
#define DSM_EXPORT __declspec(dllexport)
#elif defined(_WIN32)
#define DSM_EXPORT
#elif defined(__GNUC__)
#define DSM_EXPORT __attribute__((visibility("default")))
#else
#define DSM_EXPORT
#endif

#ifdef _WIN32 /* what <errno.h> lacks there */
#ifndef ESTALE
#define ESTALE 170
#endif
#ifndef EUSERS
#define EUSERS 168
#endif
#endif

/** Port of rdma:// and udp:// where none is given. */
#define DSM_PORT 7461

/** A connection to one engine. Opaque. */
struct dsm;
/** A consistent copy of one group. Opaque; owned by the caller. */
struct dsm_frame;
/** A position in the commits of one group. Opaque; belongs to its handle. */
struct dsm_cursor;

/** Name of a cell or group within one handle. Plain values: copy them freely. They stay
 *  valid until dsm_detach(), also over an engine restart with the same table. */
struct dsm_cell { uint64_t id; };
struct dsm_group { uint64_t id; };

/** Type of a cell. The numbers are part of the layout. */
enum dsm_type {
	DSM_BOOL = 1,
	DSM_I64 = 2,
	DSM_U64 = 3,
	DSM_F64 = 4,
	DSM_STRING = 5,    /**< UTF-8, at most n bytes, no NUL inside */
	DSM_BYTES = 6,     /**< at most n bytes */
	DSM_F64_ARRAY = 7, /**< exactly n doubles */
};

/** Quality its owner gave a cell. Whether the owner is alive is another fact: see
 *  dsm_sample.flags. */
enum dsm_quality {
	DSM_NEVER_WRITTEN = 0,
	DSM_GOOD = 1,
	DSM_BAD = 2,
	DSM_FORCED = 3,
	DSM_SIMULATED = 4,
};

/** Flags of a sample or frame; 0 = the value is current. */
enum dsm_sample_flags {
	DSM_STALE_ENGINE = 1, /**< the engine's heartbeat has not moved for a lease */
	DSM_STALE_OWNER = 2,  /**< the owner is dead, superseded, or silent for a lease */
	DSM_STALE_AGE = 4,    /**< no commit for longer than the group's maximum age */
	DSM_UNKNOWN = 8,      /**< this process was suspended: liveness not yet known again */
};

/** A typed value. `len`: bytes of a string or of bytes, elements of an array, else 1. */
struct dsm_value {
	enum dsm_type type;
	uint32_t len;
	union {
		bool b;
		int64_t i64;
		uint64_t u64;
		double f64;
		const char *str;     /**< not NUL-terminated when you build one; `len` decides */
		const void *bytes;
		const double *f64s;
	};
};

/** One cell as read. Pointers in `value` point into the handle (dsm_read) or frame
 *  (dsm_frame_read) and are valid until the next call on it. Strings read are
 *  NUL-terminated too. */
struct dsm_sample {
	struct dsm_value value;
	int64_t changed_ns;    /**< engine time (Unix ns, to 8 ns) of the last change; 0 never */
	uint64_t seq;          /**< number of the commit within its group; 0 never written */
	uint32_t epoch;        /**< grant of the owner that made the commit */
	uint8_t quality;       /**< enum dsm_quality */
	uint8_t flags;         /**< enum dsm_sample_flags */
};

/* ---- attach ------------------------------------------------------------------- */

enum dsm_attach_flags {
	DSM_TAKE_OVER = 1,     /**< claim the owner even from a live holder: the engine fences it */
	DSM_NO_REATTACH = 2,   /**< do not come back by itself when the engine is lost */
	DSM_MANUAL = 4,        /**< no library thread: the caller polls dsm_fd(), dsm_dispatch() */
	DSM_TAKES_REQUESTS = 8,/**< owner: requests by others are forwarded, see dsm_next_request() */
	DSM_LOCK_MEMORY = 16,  /**< shm: mlock() what of the engine is mapped, also after a re-attach, until it is
	                            unmapped; -ENOMEM/-EPERM if the limit forbids */
	DSM_NO_KEY = 32,       /**< show no key, whatever DSM_KEYS has: for an engine with auth none. Without
	                            it a client that has a key accepts no engine that does not ask for it */
};

/** Time for deadlines, heartbeats and leases; tests inject theirs. Must be callable from
 *  the owner's thread and the library's. */
struct dsm_clock {
	uint64_t (*now_ns)(void *context);   /**< monotonic, ns */
	uint64_t (*stamp_ns)(void *context); /**< engine time for stamps, Unix ns */
	void *context;
};

/** Start from DSM_OPTIONS_INIT; 0/NULL in a field means its default. */
struct dsm_options {
	size_t size;             /**< sizeof(struct dsm_options); set by DSM_OPTIONS_INIT */
	const char *owner;       /**< owner role to claim; NULL = read only */
	uint32_t flags;          /**< enum dsm_attach_flags */
	uint32_t attach_timeout_ms; /**< total, over all transports and tries; default 2000, rdma:// 10000, udp:// 5000 */
	uint32_t call_timeout_ms;   /**< total deadline of one read or snapshot; default 1000 */
	uint32_t tries;          /**< attempts of one read before -EAGAIN; default 1000 */
	const char *program;     /**< shown by `dsm ps`; default: the process's name */
	const struct dsm_clock *clock; /**< must outlive the handle; NULL = the system's */
	const char *fault;       /**< faults to inject, "tear=0.1,fail=3,seed=7"; see docs/testing.md */
	const char *key_file;    /**< keys for rdma:// and udp:// (docs/security.md), mode 0600; of its lines the one that
	                              fits the role best is used. NULL = environment DSM_KEYS, else none */
	uint32_t spin_us;        /**< udp://: so long a call polls for an answer before it sleeps, which costs
	                              a processor; default 0, at most 1000 */
	uint32_t poll_us;        /**< rdma://: dsm_wait() reads the pulse over the wire this often, 50 to
	                              1000000; default 0: the engine says when there is a commit, within a
	                              millisecond or two, and the wire is quiet until then */
	/** udp://: how much of the table's description has come, about ten times a second while dsm_attach()
	 *  fetches it and once at its end; in the thread that attaches, never at a re-attach. It must not
	 *  use the library. NULL = nobody wants to know */
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_context;
};
#define DSM_OPTIONS_INIT { sizeof(struct dsm_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** Attach to the engine at `uri`: "shm://NAME", "rdma://HOST[:PORT]", "udp://HOST[:PORT]",
 *  or a bare "NAME" or "HOST": the best that works (shm, rdma, udp). NULL: environment
 *  variable DSM_URI, else "rig". `opts` NULL: read only, defaults. Blocks at most
 *  attach_timeout_ms. On success *out is the handle, to be ended by dsm_detach().
 *  -EINVAL      the URI does not parse; text names the place
 *  -ENOENT      no engine of that name; text says what was tried, transport by transport
 *  -EACCES      the engine refuses this user, or this key, the role
 *  -EBUSY       the owner role is held by a live process (text names it); see DSM_TAKE_OVER
 *  -ENODEV      the table has no such owner, or no RDMA device leads there
 *  -EUSERS      the engine has all the clients it takes, or half of them are this user's
 *  -EPROTONOSUPPORT  another layout or control version; text gives both
 *  -ECONNRESET  the connection ended meanwhile; -EAGAIN what the role holds was not read in time; -ETIMEDOUT
 *  -ENOTSUP     not in this build; -EBADMSG no dsm engine; -EHOSTUNREACH, -ENETUNREACH; -ENOMEM; -EMFILE */
DSM_EXPORT int dsm_attach(const char *uri, const struct dsm_options *opts, struct dsm **out);

/** End a handle, set *dsm to NULL. Accepts NULL and a pointer to NULL. An owner gives its
 *  role back; its groups read as stale from then on. Frames stay valid; cursors end. */
DSM_EXPORT void dsm_detach(struct dsm **dsm);

/* ---- the table ------------------------------------------------------------------ */

enum dsm_cell_flags {
	DSM_HAS_MIN = 1, DSM_HAS_MAX = 2, DSM_CLAMP = 4 /**< out of range: clamp, else refuse */
};

struct dsm_cell_info {
	struct dsm_cell cell;
	struct dsm_group group;
	const char *name, *group_name, *owner_name; /* valid until the table is replaced */
	const char *unit, *description;             /* "" when the table gives none */
	enum dsm_type type;
	uint32_t capacity;       /**< n of string, bytes, array; 1 otherwise */
	uint32_t flags;          /**< enum dsm_cell_flags */
	double min, max;
	int precision;           /**< digits after the point to show; -1 = shortest exact */
};

enum dsm_group_flags {
	DSM_GROUP_UNCHECKED = 1, /**< above 64 MiB: mapped memory only, carries no check word */
	DSM_GROUP_NO_SAVE = 2,   /**< left out of the state file */
};

struct dsm_group_info {
	struct dsm_group group;
	const char *name, *owner_name, *description;
	uint32_t owner, cells, slots, flags;
	uint64_t payload_bytes, slot_bytes;
	uint32_t max_age_ms;     /**< 0 = none */
	uint64_t seq;            /**< newest commit now (a hint) */
};

enum dsm_owner_state { DSM_VACANT = 0, DSM_ALIVE = 1, DSM_SILENT = 2, DSM_DEAD = 3 };

struct dsm_owner_info {
	const char *name;
	uint32_t index, groups, epoch, pid;
	enum dsm_owner_state state;
	bool network;            /**< its bank may be written through a network */
	uint64_t step;           /**< last complete step */
};

struct dsm_region_info {
	const char *name, *uri, *transport, *reason; /**< reason: why this transport was chosen */
	uint64_t generation, layout_hash, bytes;
	uint32_t owners, groups, cells, layout_version, engine_pid, engine_uid;
	uint64_t heartbeat, heartbeat_age_ms;
	uint32_t lease_ms, tick_ms;
	int64_t started_ns;      /**< engine time */
};

/** Find a cell "group.cell" or a group by name. Does not block, does not allocate.
 *  -ENOENT no such name (text offers near ones). */
DSM_EXPORT int dsm_cell(struct dsm *dsm, const char *name, struct dsm_cell *out);
DSM_EXPORT int dsm_group(struct dsm *dsm, const char *name, struct dsm_group *out);
DSM_EXPORT int dsm_cell_info(struct dsm *dsm, struct dsm_cell cell, struct dsm_cell_info *out);
DSM_EXPORT int dsm_group_info(struct dsm *dsm, struct dsm_group group, struct dsm_group_info *out);
/** -ERANGE: index >= dsm_region_info.owners. */
DSM_EXPORT int dsm_owner_info(struct dsm *dsm, uint32_t index, struct dsm_owner_info *out);
DSM_EXPORT int dsm_region_info(struct dsm *dsm, struct dsm_region_info *out);

/** Call fn for every cell (group) whose name matches the glob (NULL = all) in table order;
 *  a non-zero return of fn ends the walk and is returned. */
DSM_EXPORT int dsm_foreach_cell(struct dsm *dsm, const char *glob,
	int (*fn)(const struct dsm_cell_info *info, void *context), void *context);
DSM_EXPORT int dsm_foreach_group(struct dsm *dsm, const char *glob,
	int (*fn)(const struct dsm_group_info *info, void *context), void *context);

/* ---- read ----------------------------------------------------------------------- */

/** Newest committed value of one cell. Over shm: no system call, no lock, no clock.
 *  Never a value older than this handle has already returned for the group.
 *  -EAGAIN     no whole version within options.tries; -ETIMEDOUT within call_timeout_ms
 *  -ENOTCONN   lost before anything could be read
 *  A cell never written is no error: quality DSM_NEVER_WRITTEN, value zero. */
DSM_EXPORT int dsm_read(struct dsm *dsm, struct dsm_cell cell, struct dsm_sample *out);

/** The number of a bool, i64, u64 or f64 cell. -EINVAL another type; -ENODATA never
 *  written or bad (*out is then untouched). */
DSM_EXPORT int dsm_read_f64(struct dsm *dsm, struct dsm_cell cell, double *out);

/** A frame able to hold `group`. Allocates; free with dsm_frame_free() (any time, also
 *  after dsm_detach). -ENOMEM */
DSM_EXPORT int dsm_frame_new(struct dsm *dsm, struct dsm_group group, struct dsm_frame **out);
DSM_EXPORT void dsm_frame_free(struct dsm_frame **frame);

/** Copy the newest commit of `group`, never a mix of two. Errors as dsm_read(), and
 *  -EINVAL: the frame was made for another group. */
DSM_EXPORT int dsm_snapshot(struct dsm *dsm, struct dsm_group group, struct dsm_frame *frame);

/** Copy n groups of one owner as they were after one and the same step of it.
 *  -EINVAL groups of different owners; -EAGAIN the owner overran the rings each time. */
DSM_EXPORT int dsm_snapshot_step(struct dsm *dsm, const struct dsm_group *groups, uint32_t n,
	struct dsm_frame *const *frames, uint64_t *step);

struct dsm_frame_info {
	struct dsm_group group;
	uint64_t seq, step;
	int64_t time_ns;         /**< engine time of the commit */
	uint32_t epoch, cells;
	uint8_t flags;           /**< enum dsm_sample_flags */
};
DSM_EXPORT int dsm_frame_info(const struct dsm_frame *frame, struct dsm_frame_info *out);
/** A cell of a frame. -EINVAL the cell is not of the frame's group; -ENODATA frame empty. */
DSM_EXPORT int dsm_frame_read(const struct dsm_frame *frame, struct dsm_cell cell,
	struct dsm_sample *out);

/** Sleep until the group has a commit with seq > since_seq, then copy the newest into
 *  `frame`; for several groups dsm_wait_any(). timeout_ms: total, < 0: no limit; 0: look once.
 *  Costs the writer a wake-up call only while somebody waits. -ETIMEDOUT; -ENOTCONN the engine
 *  was lost; -ECANCELED the table was replaced while waiting. */
DSM_EXPORT int dsm_wait(struct dsm *dsm, struct dsm_group group, uint64_t since_seq,
	int timeout_ms, struct dsm_frame *frame);

/** Follow a group commit by commit. The first dsm_next() gives the first commit after
 *  since_seq that the ring still holds (UINT64_MAX: the first one after now). */
DSM_EXPORT int dsm_cursor_open(struct dsm *dsm, struct dsm_group group, uint64_t since_seq,
	struct dsm_cursor **out);
/** The next commit, in order. *lost (may be NULL) = commits between the last one and this
 *  that the ring has lost; UINT64_MAX when a new generation makes the number unknown.
 *  -EAGAIN: nothing new yet; then dsm_wait() with dsm_cursor_seq(). */
DSM_EXPORT int dsm_next(struct dsm_cursor *cursor, struct dsm_frame *frame, uint64_t *lost);
DSM_EXPORT uint64_t dsm_cursor_seq(const struct dsm_cursor *cursor);
DSM_EXPORT void dsm_cursor_close(struct dsm_cursor **cursor);

/** Look at a bytes or array cell in place, without a copy (mapped memory only; -ENOTSUP
 *  elsewhere). What *data shows is valid only if dsm_return() then says 0. One borrow at a
 *  time per handle: -EBUSY. -ENODATA never written; -EAGAIN, -ETIMEDOUT as dsm_read(). */
DSM_EXPORT int dsm_borrow(struct dsm *dsm, struct dsm_cell cell, const void **data,
	uint64_t *bytes, struct dsm_sample *meta);
/** End the borrow. 0: the data was one whole commit all the time; -EAGAIN: it was
 *  overwritten meanwhile, throw away what you took from it. */
DSM_EXPORT int dsm_return(struct dsm *dsm);

/* ---- write (owner) ---------------------------------------------------------------- */

/** Begin a commit. time_ns: engine time for its stamps, 0 = now (reads the clock).
 *  -EPERM no owner role; -EBUSY one is open already; -EOWNERDEAD superseded: the role is
 *  lost, nothing will be written. */
DSM_EXPORT int dsm_begin(struct dsm *dsm, int64_t time_ns);
/** Set a cell in the private image. Quality becomes DSM_GOOD. Bad input changes nothing:
 *  -EPERM   the group belongs to another owner (text names it): dsm_request()
 *  -EINVAL  wrong type; -EMSGSIZE string, bytes or array longer than the cell
 *  -EILSEQ  not UTF-8, or NUL inside; -EDOM NaN or infinity (set quality bad instead)
 *  -ERANGE  out of range and the table says refuse
 *  -ENOTCONN no commit open (call dsm_begin()) */
DSM_EXPORT int dsm_set(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *value);
DSM_EXPORT int dsm_set_f64(struct dsm *dsm, struct dsm_cell cell, double value);
DSM_EXPORT int dsm_set_i64(struct dsm *dsm, struct dsm_cell cell, int64_t value);
DSM_EXPORT int dsm_set_u64(struct dsm *dsm, struct dsm_cell cell, uint64_t value);
DSM_EXPORT int dsm_set_bool(struct dsm *dsm, struct dsm_cell cell, bool value);
DSM_EXPORT int dsm_set_string(struct dsm *dsm, struct dsm_cell cell, const char *value);
/** Give quality without touching the value. -EINVAL not one of enum dsm_quality. */
DSM_EXPORT int dsm_set_quality(struct dsm *dsm, struct dsm_cell cell, enum dsm_quality quality);
/** Publish all groups touched since dsm_begin() as one step; each group becomes visible
 *  whole. With none touched: nothing happens. *step may be NULL. Release order: who reads
 *  the commit sees all that this thread did before. While the engine is away commits go on
 *  and reach the readers that have the memory mapped already; at the re-attach, if the table is the
 *  same, the image is published again (not what was lent by dsm_loan()). dsm_status() tells. What was
 *  acknowledged before a reload is carried over. -EOWNERDEAD superseded; the handle then comes back as
 *  a reader. -ENOTCONN the connection was lost or renewed meanwhile, or the engine reloads, and
 *  whether this commit survived is not known: commit again. */
DSM_EXPORT int dsm_commit(struct dsm *dsm, uint64_t *step);
/** Drop the open commit; the image goes back to what was last published. Gives an open loan up too. */
DSM_EXPORT void dsm_abort(struct dsm *dsm);
/** Begin, set, commit of one cell. */
DSM_EXPORT int dsm_write(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *value);

/** Write a bytes or array cell in place: *data is the next slot's memory (64-byte aligned,
 *  its content is old and undefined), seen by nobody until dsm_publish(). The cell must be
 *  the only one of its group: -EINVAL. One loan at a time: -EBUSY. dsm_abort() gives it up. Until
 *  then a re-attach is not taken into use. */
DSM_EXPORT int dsm_loan(struct dsm *dsm, struct dsm_cell cell, void **data, uint64_t *capacity);
/** Publish the loan; `bytes` used (arrays: the whole). The memory is the readers' afterwards.
 *  -EMSGSIZE bytes > capacity. Values are not checked for NaN. */
DSM_EXPORT int dsm_publish(struct dsm *dsm, uint64_t bytes, int64_t time_ns);

/* ---- requests and adds ----------------------------------------------------------- */

/** Ask the owner of the cell to set it. Blocks until answered or timeout_ms (total).
 *  0 applied; -EPERM the owner takes no requests, or this user may not ask; -EOWNERDEAD no
 *  live owner; -ECONNRESET the engine was lost and the outcome is unknown; -ETIMEDOUT;
 *  value errors as dsm_set(). */
DSM_EXPORT int dsm_request(struct dsm *dsm, struct dsm_cell cell,
	const struct dsm_value *value, int timeout_ms);

/** What dsm_add() may do: result within [floor, ceil] or nothing happens (-ERANGE). */
struct dsm_bounds { uint32_t flags; /**< DSM_HAS_MIN | DSM_HAS_MAX */ struct dsm_value floor, ceil; };

/** After an engine restart from its state file a request may answer -EALREADY: it was answered
 *  before, the answer is no longer known.
 *
 *  Add to an i64, u64 or f64 cell and get the value before: counter, semaphore, ticket.
 *  Own cells: by a local commit. Others': by request, exactly once. bounds may be NULL.
 *  *previous is set with 0 and with -ERANGE (bounds or overflow; nothing changed).
 *  A u64 cell's delta is taken as signed: 2^64 - 1 subtracts 1.
 *  -EINVAL delta's or a bound's type is not the cell's, or a bound is NaN; others as dsm_request(). */
DSM_EXPORT int dsm_add(struct dsm *dsm, struct dsm_cell cell, const struct dsm_value *delta,
	const struct dsm_bounds *bounds, int timeout_ms, struct dsm_value *previous);
/** The same, pipelined: begin up to 256, then end them in any order. -EAGAIN window full. */
DSM_EXPORT int dsm_add_begin(struct dsm *dsm, struct dsm_cell cell,
	const struct dsm_value *delta, const struct dsm_bounds *bounds, uint64_t *ticket);
DSM_EXPORT int dsm_add_end(struct dsm *dsm, uint64_t ticket, int timeout_ms,
	struct dsm_value *previous);

/** A request that somebody else made to this owner (DSM_TAKES_REQUESTS). */
struct dsm_request_info {
	uint64_t ticket;
	struct dsm_cell cell;
	bool is_add;
	struct dsm_value value;     /**< value or delta; valid until the next call on the handle */
	struct dsm_bounds bounds;   /**< of an add */
	uint32_t client;            /**< session number as in `dsm ps` */
};
/** Next forwarded request. -EAGAIN none. */
DSM_EXPORT int dsm_next_request(struct dsm *dsm, struct dsm_request_info *out);
/** Apply it by a commit of its own and answer; or answer with a refusal (negative errno). */
DSM_EXPORT int dsm_request_apply(struct dsm *dsm, const struct dsm_request_info *request);
DSM_EXPORT int dsm_request_refuse(struct dsm *dsm, const struct dsm_request_info *request, int error);

/* ---- life ------------------------------------------------------------------------- */

enum dsm_event_kind {
	DSM_EVENT_ATTACHED = 1,    /**< first attach, or again */
	DSM_EVENT_STALE = 2,       /**< engine's heartbeat stands still */
	DSM_EVENT_LIVE = 3,        /**< it moves again */
	DSM_EVENT_LOST = 4,        /**< connection gone; values stay readable, stale */
	DSM_EVENT_GENERATION = 5,  /**< engine restarted or reloaded, same table */
	DSM_EVENT_TABLE_CHANGED = 6, /**< another table: ids must be looked up again */
	DSM_EVENT_SUPERSEDED = 7,  /**< the owner role went to somebody else */
	DSM_EVENT_REQUEST = 8,     /**< dsm_next_request() has something */
	DSM_EVENT_OWNER = 9,       /**< an owner's state changed; value = its index */
};
struct dsm_event { enum dsm_event_kind kind; uint64_t value; uint64_t dropped; char text[160]; };
/** Oldest event not yet taken. -EAGAIN none. At most 64 are kept; `dropped` counts the rest. */
DSM_EXPORT int dsm_next_event(struct dsm *dsm, struct dsm_event *out);
DSM_EXPORT const char *dsm_event_name(enum dsm_event_kind kind);

enum dsm_state { DSM_ATTACHED = 1, DSM_ENGINE_STALE = 2, DSM_LOST = 3 };
struct dsm_status {
	enum dsm_state state;
	uint64_t heartbeat_age_ms; /**< by this process's own clock */
	uint64_t reattached;       /**< how often */
	bool owner_lost;           /**< the role was superseded */
	bool unknown;              /**< suspended; waits for the next heartbeat */
};
DSM_EXPORT int dsm_status(struct dsm *dsm, struct dsm_status *out);

/** Counters of this handle. */
struct dsm_stats {
	uint64_t reads, retries, torn, commits;
	uint64_t wakes; /**< system calls that commits made to wake waiters of this machine's memory */
	uint64_t told;  /**< answers of the engine to who waits for a commit: rdma://, udp:// */
	uint64_t waits, requests, reattaches, events_dropped;
};
DSM_EXPORT int dsm_stats(struct dsm *dsm, struct dsm_stats *out);

/** Counters of the engine, in a fixed order; read from its memory, the engine is not asked. */
DSM_EXPORT int dsm_foreach_counter(struct dsm *dsm,
	int (*fn)(const char *name, const char *what, uint64_t value, void *context), void *context);

struct dsm_client_info {
	uint32_t session, pid, uid;    /**< of a client over a network pid is 0 and uid UINT32_MAX */
	char program[32], role[64], transport[16], address[64];
	uint64_t age_ms, requests, messages;
};
/** The engine's clients. Blocks for one round trip. */
DSM_EXPORT int dsm_foreach_client(struct dsm *dsm, int timeout_ms,
	int (*fn)(const struct dsm_client_info *info, void *context), void *context);

/** For DSM_MANUAL: a descriptor for poll(POLLIN), which dsm_fd() returns, and what to do when it is ready or
 *  at least every dsm_region_info.tick_ms. Without DSM_MANUAL: -EINVAL. dsm_dispatch() does not block. For
 *  commits: after it, dsm_wait() or dsm_wait_any() with timeout 0; one that finds nothing has asked the engine,
 *  whose answer makes the descriptor readable (rdma://, udp://). Over shm:// the tick finds them, each 20 ms. */
DSM_EXPORT int dsm_fd(struct dsm *dsm);
DSM_EXPORT int dsm_dispatch(struct dsm *dsm);

/* ---- keys ------------------------------------------------------------------------- */

#define DSM_KEY_TEXT 45  /**< bytes that every key fits in as text, with its NUL */
/** A new key from the kernel's random numbers, as base64 for a key file (docs/security.md): `bytes`
 *  is 32 for a role, 16 for an ADC device. Wipe buf when it is no longer needed. May block early
 *  after the machine's start, until the kernel has collected enough.
 *  -EINVAL another size; -EMSGSIZE buf is too small; -EIO no random numbers. */
DSM_EXPORT int dsm_key_new(uint32_t bytes, char *buf, size_t size);

/* ---- errors and words -------------------------------------------------------------- */

/** What the last failing call of this thread says: what, where, what to do. Never NULL;
 *  valid until the thread's next failing call. */
DSM_EXPORT const char *dsm_error(void);
/** Short meaning of a (negative or positive) errno as this library uses it. */
DSM_EXPORT const char *dsm_strerror(int error);
/** "f64", "good", "vacant" … ; "?" for a number that is none. */
DSM_EXPORT const char *dsm_type_name(enum dsm_type type);
DSM_EXPORT const char *dsm_quality_name(enum dsm_quality quality);
DSM_EXPORT const char *dsm_owner_state_name(enum dsm_owner_state state);
/** "" or words such as "stale(owner)" joined by a comma, into buf; returns buf. */
DSM_EXPORT char *dsm_flags_text(uint32_t flags, char *buf, size_t size);
/** Value as text, shortest that reads back the same, precision >= 0: that many digits.
 *  Returns the length that was needed, as snprintf. Strings are not quoted. */
DSM_EXPORT int dsm_value_format(const struct dsm_value *value, int precision, char *buf, size_t size);
/** Text to a value of the cell's type; strings point into `text`. -EINVAL (text says what was
 *  expected), -ERANGE; bytes are hexadecimal; arrays cannot be parsed: -ENOTSUP. `scratch`
 *  takes decoded bytes. */
DSM_EXPORT int dsm_value_parse(const char *text, enum dsm_type type, struct dsm_value *out,
	void *scratch, size_t scratch_size);

#ifdef __cplusplus
}
#endif
#endif
