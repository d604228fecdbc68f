/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADC datagrams to cells: which are believed, what their numbers mean, whether a board is alive. Pure
 * logic: no socket, no thread, no clock of its own (every call brings the time), nothing allocated
 * after ingest_new(). Who receives (ingest_socket.c) calls ingest_datagram() and ingest_tick() from
 * one thread; what is to be committed goes out through a sink. What the keys of the table file mean:
 * docs/adc.md.
 */
#ifndef DSM_LIB_ENGINE_INGEST_H
#define DSM_LIB_ENGINE_INGEST_H

#include <dsm/dsm.h>

#include "engine/keys.h"
#include "engine/table.h"

#define INGEST_SILENT_TICKS 20u     /* missed: its owner is not alive */
#define INGEST_SOURCE_MAX 28u       /* bytes of a socket address, IPv6 included */

struct ingest;

/* Where a datagram came from: compared as a whole, never looked into. */
struct ingest_source {
	uint8_t bytes[INGEST_SOURCE_MAX];
	uint8_t n;
};

/* One cell's new value. DSM_BAD: only the quality is to be set. */
struct ingest_value {
	uint32_t input;             /* of the device, in the order of the table file */
	enum dsm_quality quality;
	struct dsm_value value;
};

struct ingest_sink {
	void *context;
	/* All inputs of a device as one commit; taken age_ns before now. Negative: counted as failed. */
	int (*commit)(void *context, uint32_t device, const struct ingest_value *values, uint32_t n,
		uint64_t age_ns);
	/* true: the first accepted datagram, after a silence or of a board that started anew (however
	 * quickly); false: INGEST_SILENT_TICKS without one. */
	void (*alive)(void *context, uint32_t device, bool alive);
};

/* What became of a datagram; each is counted. */
enum ingest_verdict {
	INGEST_ACCEPTED = 0,
	INGEST_FOREIGN = 1,         /* no datagram of version 1: length, magic, version, unknown bits */
	INGEST_UNKNOWN = 2,         /* no such device in the table */
	INGEST_BAD_TAG = 3,
	INGEST_SECOND_SOURCE = 4,   /* authentic, but another address than the live one */
	INGEST_DUPLICATE = 5,       /* seen before */
	INGEST_LATE = 6,            /* never seen, but overtaken by a newer one */
	INGEST_REPLAY = 7,          /* older than what can be told, or from before a restart */
	INGEST_VERDICTS
};

/* Highest (epoch, seq) of a device: what has to survive a restart. */
struct ingest_mark {
	uint32_t device, epoch, seq;
	bool heard;                 /* in this run; else it is the mark that was restored */
};

/* Copies what it needs of table and keys. -ENOKEY a device has no key (text names it); -ENOMEM;
 * -ENODATA the table has no devices. */
int ingest_new(const struct dsm_table *table, const struct keys *keys, const struct ingest_sink *sink,
	struct ingest **out);
void ingest_free(struct ingest **ingest);

/* Before what came is fetched, and at the latest when ingest_next_ns() says so. Who comes by much later than
 * that stood still himself: then boards that live get half a silence more, for what they sent meanwhile may
 * be anywhere on its way. */
void ingest_look(struct ingest *ingest, uint64_t now_ns);
enum ingest_verdict ingest_datagram(struct ingest *ingest, const struct ingest_source *source,
	const void *bytes, size_t n, uint64_t now_ns);
/* What time alone brings: silence, and commits that waited for their turn. seen_ns <= now_ns: all that came
 * before it has been given; silence is judged up to there, since what lies unfetched is no silence. */
void ingest_tick(struct ingest *ingest, uint64_t now_ns, uint64_t seen_ns);
/* When ingest_look() and ingest_tick() are next due, four times a silence at least; UINT64_MAX never, until
 * a datagram comes. */
uint64_t ingest_next_ns(const struct ingest *ingest);

/* ---- over a restart or reload ---- */
/* Marks of devices that have been heard; at most `room`; returns how many there are. */
uint32_t ingest_marks(const struct ingest *ingest, struct ingest_mark *out, uint32_t room);
/* Before the first datagram: nothing up to the mark is believed. Unknown devices are passed over. */
void ingest_restore(struct ingest *ingest, const struct ingest_mark *mark);
/* A reload: what is known of devices that both have (marks, counters, who is alive) goes on. */
void ingest_carry(struct ingest *ingest, const struct ingest *from);
/* Presses counted in an earlier run (the cell's value): they are added to those of this one. */
void ingest_add_presses(struct ingest *ingest, uint32_t device, uint32_t input, uint64_t total);

/* ---- looking ---- */
struct ingest_info {
	const char *name, *owner;
	struct ingest_source source; /* of the last accepted one */
	uint32_t id, epoch, seq;
	uint32_t inputs;
	bool heard, alive;
	uint8_t flags;              /* of the last datagram: reset reason, fault, simulated … */
	uint32_t tick_us;
	uint64_t age_ns;            /* since the last accepted one */
	double rate_hz;             /* accepted, over the last whole second */
	uint64_t verdicts[INGEST_VERDICTS]; /* INGEST_FOREIGN and INGEST_UNKNOWN are 0 here */
	uint64_t lost;              /* ticks that brought nothing; a late one is lost no more */
	uint64_t starts;            /* of the board, seen by a greater epoch */
	uint64_t silences;          /* how often it fell silent */
	uint64_t overruns, link_losses; /* told by the board: samples lost, network away */
	uint64_t commits, commits_failed, no_channel;
	/* The board's clock against the engine's; the offset includes the shortest way of a datagram. */
	bool clock_known;
	double offset_us, offset_error_us; /* engine's clock minus uptime, now */
	double drift_ppm, drift_error_ppm; /* > 0: the board's clock is slow */
	uint64_t clock_steps;       /* the board's clock jumped, and the estimate began anew */
};
uint32_t ingest_devices(const struct ingest *ingest);
void ingest_info(const struct ingest *ingest, uint32_t device, uint64_t now_ns, struct ingest_info *out);
/* The name and type of the cell behind an input. */
const char *ingest_cell(const struct ingest *ingest, uint32_t device, uint32_t input, enum dsm_type *type);
bool ingest_counts_presses(const struct ingest *ingest, uint32_t device, uint32_t input);
/* All devices together, and what belongs to none. */
uint64_t ingest_count(const struct ingest *ingest, enum ingest_verdict verdict);

#endif
