/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a viewer sees of an engine: table, cells with their history, owners, the engine's
 * state. Written by the sampler (sample.h) only; viewers get it const. No function here
 * attaches, reads or waits. Includes nothing of dsm but <dsm/dsm.h>.
 */
#ifndef PEEKER_MODEL_H
#define PEEKER_MODEL_H

#include <dsm/dsm.h>

#include <stdatomic.h>

#define NS_PER_S 1000000000u
#define HISTORY_MAX 120      /**< buckets of history a cell has at most */
#define RATE_SLOTS 6         /**< seconds that a rate looks back, and the running one */
#define KEEP_MAX 65536u      /**< bytes of a string, of bytes or of an array that are kept */
#define COUNTERS_MAX 64
#define NOTES_MAX 16

/* ---- the table: constant once it is built, shared by models, freed by the last ---- */

struct cell_meta {
	const char *name, *leaf;     /**< leaf: the name without its group */
	const char *unit, *description;
	uint32_t group, capacity, flags;
	enum dsm_type type;
	double min, max;
	int precision;
	struct dsm_cell id;          /**< of the sampler's handle */
};

struct group_meta {
	const char *name, *description;
	uint32_t owner, first, n;    /**< its cells are first … first + n - 1 */
	uint32_t slots, flags, max_age_ms;
	uint64_t payload_bytes;
	struct dsm_group id;
};

struct table {
	atomic_uint holders;
	uint64_t version;            /**< another one for another table */
	uint32_t cells, groups, owners;
	struct cell_meta *cell;
	struct group_meta *group;
	const char **owner;          /**< names */
	uint32_t *by_name;           /**< cell indices, sorted by name */
	struct text_chunk *texts;
};

/** Build the table that the handle has now, of the cells that match one of the n globs
 *  (n = 0: all). Owner's thread of the handle. Negative errno of the library; -ENOENT: no
 *  cell matches. */
int table_build(struct dsm *dsm, char *const *globs, int n, struct table **out);
struct table *table_hold(struct table *table);
void table_drop(struct table **table);
/** Index of the cell of that name, or UINT32_MAX. */
uint32_t table_find(const struct table *table, const char *name);

/* ---- what changes ---- */

/** One bucket of history; n = 0: nothing valid was seen in that time. */
struct bucket { float min, max, sum; uint32_t n; };

struct cell_state {
	struct dsm_value value;      /**< pointers point into `kept` */
	void *kept;
	uint32_t kept_room;
	bool cut;                    /**< only the first KEEP_MAX bytes are kept; len is the whole */
	bool read;                   /**< has been read at least once */
	uint8_t quality, flags;
	int64_t changed_ns;          /**< engine time */
	uint64_t seq;
	uint32_t epoch;
	uint64_t seen_ns;            /**< own clock when a change was last seen; 0 = not yet */
	uint64_t round;              /**< of the look that last found another value, quality or
	                                  staleness: who has shown round r lacks those above it */
	uint16_t changes[RATE_SLOTS];/**< changes seen, by second; slots as its group's */
	double run_min, run_max, run_sum;
	uint64_t run_n;
	double band[2][2];           /**< min and max of the running second and the one before */
};

struct group_state {
	uint64_t seq, step;
	int64_t time_ns;
	uint32_t epoch;
	uint8_t flags;
	bool read;
	int error;                   /**< of the last attempt to read it, or 0 */
	uint64_t look_ns;            /**< own clock at the last look */
	uint64_t first_seq[RATE_SLOTS], first_ns[RATE_SLOTS]; /**< when that second began */
	uint16_t looks[RATE_SLOTS];
	uint32_t slot, slots_used;   /**< the running second's; how many there are */
};

struct owner_view { enum dsm_owner_state state; uint32_t epoch, pid; uint64_t step; bool network; };

enum engine_state {
	ENGINE_NONE = 0,     /**< not attached yet */
	ENGINE_RUNNING,
	ENGINE_UNKNOWN,      /**< this process slept; waits for the next heartbeat */
	ENGINE_SILENT,       /**< heartbeat stands still */
	ENGINE_LOST,
};

struct engine_view {
	enum engine_state state;
	uint64_t since_ns;           /**< own clock, of the state */
	char name[256], uri[320], transport[16], reason[400];
	char problem[400];           /**< why there is no engine, or no table */
	uint64_t generation, layout_hash, bytes, heartbeat, heartbeat_age_ms, reattached;
	uint32_t layout_version, pid, uid, lease_ms, tick_ms;
	int64_t started_ns;
};

/** Read latency over the last seconds, per group read. */
struct latency { uint64_t reads, p50_ns, p99_ns, p999_ns, max_ns; };

struct counter { char name[32], what[80]; uint64_t value; };
struct note { int64_t wall_ns; char text[160]; };

struct model {
	uint64_t round;              /**< grows with each look at the engine */
	uint64_t now_ns;             /**< own monotonic clock at that look */
	int64_t wall_ns;             /**< own wall clock, for showing the time of day only */
	uint64_t began_ns;           /**< own clock when the run's min, mean and max began */
	uint64_t period_ns, took_ns; /**< asked for; what the last look took */
	struct engine_view engine;
	struct table *table;         /**< NULL until attached */
	struct cell_state *cells;
	struct group_state *groups;
	struct owner_view *owners;
	struct bucket *history;      /**< cells × buckets */
	uint32_t buckets;
	uint64_t bucket_ns, bucket;  /**< length of one; number of the running one */
	int64_t offset_ns;           /**< engine time less own monotonic clock */
	int64_t offset_best_ns[2];   /**< largest seen in this span of time and in the one before */
	uint64_t offset_since_ns;    /**< own clock when this span began */
	bool offset_known;
	struct latency latency;
	struct dsm_stats stats;
	struct counter counters[COUNTERS_MAX];
	uint32_t n_counters;
	struct note notes[NOTES_MAX];/**< newest at notes[(n_notes - 1) % NOTES_MAX] */
	uint32_t n_notes;
};

/** A deep copy, for a viewer that stands still. -ENOMEM */
int model_copy(const struct model *model, struct model **out);
void model_free(struct model **model);
/** Everything that belongs to the table goes; the rest stays. */
void model_clear_table(struct model *model);
/** Room for the table, which is taken over; histories of cells with the same name and type
 *  are carried over. -ENOMEM */
int model_set_table(struct model *model, struct table *table);

/* ---- what is asked of it ---- */

enum age_kind { AGE_NEVER, AGE_EXACT, AGE_AT_LEAST, AGE_UNKNOWN };
/** Seconds since the cell's last change. No two hosts' clocks are compared: over mapped memory
 *  engine time is this machine's clock; else it is taken from commits as they arrive, and
 *  what changed before the first of them is older than the time since. */
enum age_kind model_age(const struct model *model, uint32_t cell, double *age_s);
/** Commits a second of a group over the last seconds. */
double model_group_rate(const struct model *model, uint32_t group);
/** Changes a second of a cell as seen; *capped: it changed at every look, so that the true
 *  rate is anything up to the group's, which is returned. */
double model_cell_rate(const struct model *model, uint32_t cell, bool *capped);
/** Is it a number that can be drawn, and then which? */
bool value_number(const struct dsm_value *value, double *out);
bool type_is_number(enum dsm_type type);
/** Bucket `ago` buckets back (0 = the running one), NULL if there is none. */
const struct bucket *model_bucket(const struct model *model, uint32_t cell, uint32_t ago);

/** What a cell is to whom looks at it, gravest first. */
enum verdict {
	CELL_UNREAD,         /**< not read yet, or not readable */
	CELL_STALE,
	CELL_UNKNOWN,
	CELL_BAD,
	CELL_NEVER,
	CELL_FORCED,
	CELL_SIMULATED,
	CELL_GOOD,
	CELL_VERDICTS
};
enum verdict model_verdict(const struct model *model, uint32_t cell);
/** May the value be taken for valid: good, forced or simulated, and not stale. */
bool verdict_is_valid(enum verdict verdict);
/** Was written and cannot be believed: stale, bad, not read, not known. */
bool verdict_is_doubtful(enum verdict verdict);
/** How many cells of each verdict. */
void model_count(const struct model *model, uint32_t counts[CELL_VERDICTS]);

#endif
