/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages between client and engine: bytes only, no socket, no memory of its own.
 * Little-endian, byte tables in docs/protocol.md. Every reader is bounded: a message that is
 * too short, too long or names nonsense yields -EBADMSG, never a look beyond its end.
 */
#ifndef DSM_LIB_WIRE_CONTROL_H
#define DSM_LIB_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_MAX 65536u          /* bytes of one message */
#define CONTROL_MAGIC 0x434d5344u   /* "DSMC" */
#define CONTROL_HEAD 16u            /* magic u32, version u16, type u16, bytes u32, entries u32 */
#define CONTROL_TEXT_MAX 400u
#define CONTROL_REQUESTS 256u       /* of a client outstanding, and so in one message, at most */
#define CONTROL_NAME_MAX 64u

enum control_type {
	CONTROL_HELLO = 1,      /* client: who I am, which role I want */
	CONTROL_WELCOME = 2,    /* engine: come in (with the header pieces), or why not */
	CONTROL_MAP = 3,        /* client: banks of owners [first, first + count) please */
	CONTROL_MAPPED = 4,     /* engine: here; one descriptor each on shm */
	CONTROL_REQUEST = 5,    /* client: entries to set or add */
	CONTROL_REPLY = 6,      /* engine: outcome of each */
	CONTROL_FORWARD = 7,    /* engine to owner: somebody's request */
	CONTROL_ANSWER = 8,     /* owner: its outcome */
	CONTROL_CLIENTS = 9,    /* client: who else is there */
	CONTROL_CLIENT_LIST = 10,
	CONTROL_EVENT = 11,     /* engine: something happened */
	CONTROL_NOTIFY = 12,    /* owner of a marked bank: groups committed that somebody waits for */
	CONTROL_BYE = 13,       /* client: role given back, no error */
	CONTROL_KEYS = 14,      /* engine, over rdma after a good WELCOME: what may be read and written */
	CONTROL_BEAT = 15,      /* owner over rdma: its heartbeat */
	CONTROL_WAIT = 16,      /* client over rdma: say once which of these groups have a commit after that */
	CONTROL_DEVICES = 17,   /* client: which ADC boards are there */
	CONTROL_DEVICE_LIST = 18,
	CONTROL_TYPE_END
};

struct control_hello {
	uint32_t control_version, layout_version, flags, pid;
	uint8_t client_id[16];
	uint64_t last_number;       /* highest request number ever sent under this id */
	char owner[CONTROL_NAME_MAX], program[32];
};
enum control_hello_flags { HELLO_TAKE_OVER = 1, HELLO_TAKES_REQUESTS = 2 };

struct control_welcome {
	int32_t status;             /* 0 or negative errno; then only text counts */
	uint32_t session, flags, owner, epoch, bank_epoch;
	uint64_t generation, header_bytes, directory_bytes, waiters_bytes;
	char text[CONTROL_TEXT_MAX];
};
enum control_welcome_flags { WELCOME_CLIENT_KNOWN = 1 };

struct control_map { uint32_t first, count; };

/* Over rdma, behind the struct control_map of MAPPED, one for each bank: where it can be read. */
struct control_bank { uint32_t epoch, rkey; uint64_t addr; };

/* Addresses are the engine's, keys of its registrations. Header and directory are one range for
 * reading; `own` is the own bank for writing, all 0 without a role. The token names the session to
 * the read and the write connection. */
struct control_keys {
	uint8_t token[16];
	uint64_t base_addr, base_bytes;
	uint32_t base_rkey, own_rkey;
	uint64_t own_addr, own_bytes;
};

/* One request, forward, or in memory at the client. `data` points into the message. */
struct control_request {
	uint64_t number;            /* of the client's; of the engine's ticket in FORWARD */
	uint32_t cell, client;
	uint8_t op, type;
	uint16_t flags;             /* DSM_HAS_MIN, DSM_HAS_MAX: bounds of an add */
	uint32_t len;               /* as dsm_value.len */
	uint64_t word, floor, ceil; /* scalars as their 8 bytes */
	const unsigned char *data;  /* string, bytes, array */
};
enum control_op { CONTROL_SET = 1, CONTROL_ADD = 2 };

struct control_reply {
	uint64_t number;
	int32_t status;
	uint64_t previous;
	char text[CONTROL_TEXT_MAX];
};

struct control_client {
	uint32_t session, pid, uid;
	uint64_t age_ms, requests, messages;
	char program[32], role[64], transport[16], address[64];
};

/* An ADC board. */
enum control_device_state { CONTROL_DEVICE_HEARD = 1, CONTROL_DEVICE_ALIVE = 2, CONTROL_DEVICE_CLOCK = 4 };
enum control_device_count {
	CONTROL_DEVICE_ACCEPTED, CONTROL_DEVICE_LOST, CONTROL_DEVICE_LATE, CONTROL_DEVICE_DUPLICATE,
	CONTROL_DEVICE_REPLAY, CONTROL_DEVICE_BAD_TAG, CONTROL_DEVICE_SECOND_SOURCE, CONTROL_DEVICE_STARTS,
	CONTROL_DEVICE_SILENCES, CONTROL_DEVICE_OVERRUNS, CONTROL_DEVICE_LINK_LOSSES, CONTROL_DEVICE_COMMITS,
	CONTROL_DEVICE_COMMITS_FAILED, CONTROL_DEVICE_NO_CHANNEL, CONTROL_DEVICE_CLOCK_STEPS,
	CONTROL_DEVICE_COUNTS
};
struct control_device {
	uint32_t id, epoch, seq, tick_us, inputs;
	uint8_t state, flags;       /* flags: as its last datagram has them (wire/adc.h) */
	uint64_t age_ns, counts[CONTROL_DEVICE_COUNTS];
	double rate_hz, clock[4];   /* offset, its error in us; drift, its error in ppm */
	char name[72], owner[CONTROL_NAME_MAX], address[64];
};

struct control_event { uint32_t kind, owner; uint64_t value; };
enum control_event_kind {
	CONTROL_SUPERSEDED = 1, CONTROL_BANK_MOVED = 2, CONTROL_ENDED = 3,
	CONTROL_NEWER = 5,      /* over rdma, once for WAIT `owner`: bit a group of its list in `value` */
	CONTROL_PROBE = 4,      /* over a network: means nothing, but a host that is gone does not take it */
};

/* Groups that somebody waits for. */
#define CONTROL_WAIT_MAX 64u
struct control_wait {
	uint32_t number, n;         /* number: the client's, comes back with NEWER; n from 1 on */
	uint32_t group[CONTROL_WAIT_MAX];
	uint64_t since[CONTROL_WAIT_MAX];
};

/* ---- writing ---- */
struct control_writer {
	unsigned char *data;
	size_t size, room;
	uint32_t entries;
	bool full;                  /* something did not fit; what was put before is whole */
};
void control_begin(struct control_writer *w, void *buffer, size_t room, enum control_type type);
void control_put_hello(struct control_writer *w, const struct control_hello *m);
void control_put_welcome(struct control_writer *w, const struct control_welcome *m);
void control_put_map(struct control_writer *w, const struct control_map *m);
void control_put_u32(struct control_writer *w, uint32_t value); /* MAPPED epochs, NOTIFY groups */
void control_put_u64(struct control_writer *w, uint64_t value); /* generation of REQUEST, tick of BEAT */
void control_put_bank(struct control_writer *w, const struct control_bank *m); /* MAPPED over rdma */
void control_put_keys(struct control_writer *w, const struct control_keys *m);
bool control_put_request(struct control_writer *w, const struct control_request *m);
bool control_put_reply(struct control_writer *w, const struct control_reply *m);
bool control_put_client(struct control_writer *w, const struct control_client *m);
bool control_put_device(struct control_writer *w, const struct control_device *m);
void control_put_event(struct control_writer *w, const struct control_event *m);
void control_put_wait(struct control_writer *w, const struct control_wait *m);
/* Completes the head; bytes to send. */
size_t control_end(struct control_writer *w);

/* ---- reading ---- */
struct control_reader {
	const unsigned char *data;
	size_t size, at;
	enum control_type type;
	uint32_t entries;
};
/* Checks the head against the size. -EBADMSG; -EPROTONOSUPPORT another control version. */
int control_open(struct control_reader *r, const void *data, size_t size);
int control_get_hello(struct control_reader *r, struct control_hello *m);
int control_get_welcome(struct control_reader *r, struct control_welcome *m);
int control_get_map(struct control_reader *r, struct control_map *m);
int control_get_u32(struct control_reader *r, uint32_t *value);
int control_get_u64(struct control_reader *r, uint64_t *value);
int control_get_bank(struct control_reader *r, struct control_bank *m);
int control_get_keys(struct control_reader *r, struct control_keys *m);
int control_get_request(struct control_reader *r, struct control_request *m);
int control_get_reply(struct control_reader *r, struct control_reply *m);
int control_get_client(struct control_reader *r, struct control_client *m);
/* -EBADMSG also for a number that is none. */
int control_get_device(struct control_reader *r, struct control_device *m);
int control_get_event(struct control_reader *r, struct control_event *m);
/* -EBADMSG also: no group, or more than CONTROL_WAIT_MAX. */
int control_get_wait(struct control_reader *r, struct control_wait *m);
/* Bytes that are left over: a good message has none. */
bool control_at_end(const struct control_reader *r);

#endif
