/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm host interface: build a table, hold its region in memory, serve it. dsmd is this
 * behind a configuration file; a simulation can be the engine in its own process.
 *
 * Return values and error texts as in <dsm/dsm.h>. A table and an engine belong to one
 * thread each; the engine's own thread serves clients in the background.
 */
#ifndef DSM_ENGINE_H
#define DSM_ENGINE_H

#include <dsm/dsm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A table definition under construction. */
struct dsm_table;
/** A region with its server. */
struct dsm_engine;

/* ---- table ---------------------------------------------------------------------- */

#define DSM_NAME_MAX 200          /**< bytes of "group.cell" */
#define DSM_CELLS_MAX 1000000u
#define DSM_OWNERS_MAX 1024u
#define DSM_SLOTS_MAX 1024u
#define DSM_ARRAY_MAX ((uint64_t)1 << 30)    /**< bytes of one cell */

struct dsm_owner_spec {
	const char *name;
	bool network;        /**< may attach through a network (its bank is then always checked) */
	const char *users;   /**< "" = the engine's own user and root; "*" = everybody; else a
	                          comma-separated list of user names or numbers */
};
struct dsm_group_spec {
	const char *owner, *name, *description;
	uint32_t slots;      /**< K: a power of two, 2..1024; 0 = 4 (2 above 64 MiB) */
	uint32_t max_age_ms; /**< 0 = none */
	bool no_save;
};
struct dsm_cell_spec {
	const char *group, *name, *unit, *description;
	enum dsm_type type;
	uint32_t capacity;   /**< n of string(n), bytes(n), f64[n]; ignored otherwise */
	uint32_t flags;      /**< enum dsm_cell_flags */
	double min, max;
	int precision;       /**< -1 = shortest exact */
};

/** The owner "engine" is there from the start. Names: letters, digits, '_', '-', and in
 *  group names '.' too; at most DSM_NAME_MAX bytes together. */
DSM_EXPORT int dsm_table_new(const char *region, struct dsm_table **out);
DSM_EXPORT void dsm_table_free(struct dsm_table **table);
/** Add; strings are copied. -EEXIST the name is taken; -ENOENT unknown owner or group;
 *  -EINVAL a bad name, type, capacity, slots or range; -E2BIG a limit above; -ENOMEM. */
DSM_EXPORT int dsm_table_owner(struct dsm_table *table, const struct dsm_owner_spec *spec);
DSM_EXPORT int dsm_table_group(struct dsm_table *table, const struct dsm_group_spec *spec);
DSM_EXPORT int dsm_table_cell(struct dsm_table *table, const struct dsm_cell_spec *spec);
/** Read a YAML file (docs/table.md). The error text begins "FILE:LINE: KEY: …". */
DSM_EXPORT int dsm_table_load(const char *path, struct dsm_table **out);

struct dsm_table_info { const char *region; uint32_t owners, groups, cells; uint64_t region_bytes; };
DSM_EXPORT int dsm_table_info(const struct dsm_table *table, struct dsm_table_info *out);

/* ---- engine --------------------------------------------------------------------- */

struct dsm_engine_options {
	size_t size;             /**< sizeof(struct dsm_engine_options), by the INIT macro */
	const char *name;        /**< name served; NULL = the table's region */
	uint32_t tick_ms;        /**< heartbeat; default 50, 5..1000 */
	uint32_t lease_ms;       /**< default 500, at least 2 ticks */
	uint32_t max_clients;    /**< default 1024; one user (not root, not the engine's) gets half */
	const char *readers;     /**< who may read: as dsm_owner_spec.users; NULL = "*" */
	const char *requesters;  /**< who may send requests; NULL = "*" */
	const char *state_file;  /**< NULL = none */
	uint32_t save_interval_ms; /**< 0 = only at the end */
	bool restore;            /**< take values from state_file at start */
	bool lock_memory;        /**< mlock() the region, after a reload too; -ENOMEM, -EPERM: the limit forbids */
	const struct dsm_clock *clock;
	void (*log)(const char *text, void *context); /**< one line, no newline; any thread */
	void *context;
	/** Serve rdma://…, too: "ADDR[:PORT]" of an RDMA device of this machine, or "*[:PORT]" for
	 *  all; the port is DSM_PORT by default. NULL = not. A device may come later. Clients need a
	 *  key of the key file whose role allows what they do, unless auth_none. Control messages are
	 *  then sealed; what READ and WRITE carry is plain on the wire, with keys or without: values,
	 *  and rkeys that who can forge packets can use (docs/security.md). */
	const char *rdma;
	/** Take datagrams of the table's ADC boards (docs/adc.md): "ADDR[:PORT]", "[ADDR6][:PORT]" or
	 *  "*[:PORT]"; the port is DSM_ADC_PORT by default. NULL = not. They are believed only with a
	 *  board's key, so this needs keys. */
	const char *adc;
	const char *keys;        /**< key file (docs/security.md); NULL = environment DSM_KEYS */
	/** Serve udp://…, too: "ADDR[:PORT]", "[ADDR6][:PORT]" or "*[:PORT]"; the port is DSM_PORT by
	 *  default. NULL = not. Clients need a key of the key file whose role allows what they do,
	 *  unless auth_none. */
	const char *udp;
	/** rdma and udp without keys: whoever reaches their ports reads (if `readers` is "*"), sends
	 *  requests (if `requesters` is "*") and may hold the owners that are marked `network`. Without
	 *  keys that has to be said, except for udp at a loopback address, which only this machine
	 *  reaches. */
	bool auth_none;
	/** udp: so long the engine's thread looks for a next datagram before it sleeps, which costs a
	 *  processor while clients ask; default 0, at most 1000000. */
	uint32_t udp_spin_us;
};
#define DSM_ADC_PORT 7462    /**< UDP */
#define DSM_ENGINE_OPTIONS_INIT \
	{ sizeof(struct dsm_engine_options), 0, 0, 0, 0, 0, 0, 0, 0, false, false, 0, 0, 0, 0, 0, 0, 0, \
		false, 0 }

/** Build the region and start serving shm://NAME. The table may be freed afterwards.
 *  -EADDRINUSE an engine of that name runs already (text names its pid); -ENOMEM, -ENOSPC;
 *  -EINVAL an option out of range, or rdma or udp with neither keys nor auth_none; with restore, a damaged state file is no error: the
 *  previous one is used, the log says which and why; -ENOTSUP `rdma` in a build without it;
 *  -EADDRINUSE its port is taken. */
DSM_EXPORT int dsm_engine_open(const struct dsm_table *table,
	const struct dsm_engine_options *opts, struct dsm_engine **out);
/** What dsm_engine_open() would refuse about these options, found without opening anything. */
DSM_EXPORT int dsm_engine_check(const struct dsm_table *table, const struct dsm_engine_options *opts);
/** Save the state, say good-bye to the clients, free everything. Sets *engine to NULL. An error of
 *  the last save is returned, the engine is closed all the same; -EBUSY: handles of
 *  dsm_engine_attach() are still open, nothing was done. */
DSM_EXPORT int dsm_engine_close(struct dsm_engine **engine);
/** A handle inside the engine's own process. owner NULL = read only; "engine" = write the
 *  engine's groups from here: from then on requests to them come to this handle. */
DSM_EXPORT int dsm_engine_attach(struct dsm_engine *engine, const struct dsm_options *opts,
	struct dsm **out);
/** New generation with another table; values of cells with the same name and type are
 *  carried over. On error the old generation goes on. */
DSM_EXPORT int dsm_engine_reload(struct dsm_engine *engine, const struct dsm_table *table);
/** Read the key file (or DSM_KEYS) again for clients of rdma and udp. Who has a key that is still there
 *  notices nothing; who has not is cut off. On error the old keys go on: -EACCES, -EINVAL, -ENOENT. */
DSM_EXPORT int dsm_engine_reload_keys(struct dsm_engine *engine);
/** Save now. -ENOENT no state file configured; -ENOSPC and others: the old file stays. */
DSM_EXPORT int dsm_engine_save(struct dsm_engine *engine);
/** What is in a state file, for tools: calls fn for each cell. -EBADMSG damaged (text says
 *  where), -EPROTONOSUPPORT another version. */
DSM_EXPORT int dsm_state_foreach(const char *path,
	int (*fn)(const char *name, const char *unit, const struct dsm_sample *sample, void *context), void *context);

#ifdef __cplusplus
}
#endif
#endif
