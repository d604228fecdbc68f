/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the udp transport says in bytes: datagrams, and the frames inside of a sealed one. No
 * socket, no clock, no cipher, no memory of its own. Little-endian, byte tables in
 * docs/protocol.md, section 5. Everything read here comes from a stranger: a length or value that
 * cannot be yields -EBADMSG, never a look beyond the end.
 */
#ifndef DSM_LIB_WIRE_UDP_H
#define DSM_LIB_WIRE_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/key.h"
#include "wire/noise.h"

#define UDP_VERSION 1u
#define UDP_DATAGRAM 1200u          /* bytes of the longest; an INIT has exactly so many */
#define UDP_COOKIE 16u
#define UDP_OFFER 16u               /* payload of a handshake message */
#define UDP_HANDSHAKE (NOISE_HANDSHAKE + UDP_OFFER)
#define UDP_PROLOGUE 16u            /* first bytes of INIT: what Noise's prologue is */
#define UDP_DATA_HEAD 16u           /* of DATA, in the clear, under the seal */
#define UDP_DATA_ROOM (UDP_DATAGRAM - UDP_DATA_HEAD - NOISE_TAG)
#define UDP_FLOW_BIT (UINT64_C(1) << 63) /* of a DATA's counter: the data flow */

enum udp_type {
	UDP_INIT = 1,       /* client: I would like to; with or without a cookie */
	UDP_COOKIE_IS = 2,  /* engine: say that again with this */
	UDP_RESP = 3,       /* engine: come in */
	UDP_DATA = 4,       /* both: frames, sealed */
	UDP_REFUSE = 5,     /* engine: no, to an INIT */
	UDP_RESET = 6,      /* engine: no such session, to a DATA */
};

struct udp_init {
	uint32_t client;            /* random, the client's name for this session */
	uint8_t key_id[KEY_ID_BYTES];   /* zeros: no key */
	uint8_t cookie[UDP_COOKIE];     /* zeros: none yet */
	uint8_t message[UDP_HANDSHAKE]; /* Noise's first */
};
struct udp_cookie { uint32_t client; uint8_t cookie[UDP_COOKIE]; };
struct udp_resp { uint32_t client; uint8_t message[UDP_HANDSHAKE]; };
struct udp_refuse { uint32_t client; uint8_t cause, lowest, highest; };
enum udp_cause {
	UDP_CAUSE_VERSION = 1,  /* lowest..highest is what the engine speaks */
	UDP_CAUSE_KEY = 2,      /* no key shown, or one that is not known here */
	UDP_CAUSE_FULL = 3,     /* all places are taken */
	UDP_CAUSE_ENDING = 4,
	UDP_CAUSE_END
};
struct udp_data { uint32_t to; uint64_t counter; };
struct udp_reset { uint32_t session; uint64_t counter; };

/* Payload of both handshake messages, sealed by Noise. */
struct udp_offer {
	uint8_t lowest, highest;    /* versions; alike in RESP: the one that is spoken */
	uint16_t datagram;          /* longest that this side takes, at least UDP_DATAGRAM */
	uint32_t session;           /* RESP: the engine's name for the session; INIT: 0 */
	uint32_t idle_ms;           /* RESP: so long a silent session lives; INIT: 0 */
};

/* Of a whole datagram: its type, or -EBADMSG (none of ours), -EPROTONOSUPPORT (another version;
 * *version is it). Says nothing of the length. */
int udp_type_of(const void *datagram, size_t bytes, uint8_t *version);

/* Each writes a whole datagram and returns its bytes; each reader wants exactly one. */
size_t udp_put_init(unsigned char out[UDP_DATAGRAM], const struct udp_init *m);
int udp_get_init(const void *datagram, size_t bytes, struct udp_init *m);
size_t udp_put_cookie(unsigned char *out, const struct udp_cookie *m);
int udp_get_cookie(const void *datagram, size_t bytes, struct udp_cookie *m);
size_t udp_put_resp(unsigned char *out, const struct udp_resp *m);
int udp_get_resp(const void *datagram, size_t bytes, struct udp_resp *m);
size_t udp_put_refuse(unsigned char *out, const struct udp_refuse *m);
int udp_get_refuse(const void *datagram, size_t bytes, struct udp_refuse *m);
size_t udp_put_reset(unsigned char *out, const struct udp_reset *m);
int udp_get_reset(const void *datagram, size_t bytes, struct udp_reset *m);
/* Head of a DATA only: the sealed part follows at UDP_DATA_HEAD. */
void udp_put_data(unsigned char *out, const struct udp_data *m);
int udp_get_data(const void *datagram, size_t bytes, struct udp_data *m);
void udp_put_offer(unsigned char out[UDP_OFFER], const struct udp_offer *m);
int udp_get_offer(const unsigned char in[UDP_OFFER], struct udp_offer *m);

/* ---- frames: what is inside of a DATA, one after the other ---- */
#define UDP_FRAME_HEAD 4u           /* type u8, 0 u8, bytes of the body u16 */
#define UDP_PIECE 1024u             /* bytes of a message, or of a slot, in one frame at most */
#define UDP_OWNERS_MAX 24u          /* in one PULSE */
#define UDP_AGES_MAX 16u            /* groups in one ASK and PULSE */
#define UDP_COUNTERS_MAX 64u
#define UDP_READ_MAX 32768u         /* bytes of one READ; at most 32 pieces */
#define UDP_SLOT_MAX (((uint64_t)1 << 20) + 4096) /* a group of one cell of 1 MiB fits */

enum udp_frame_type {
	UDP_SEGMENT = 1,    /* both: a piece of a message, in order and surely */
	UDP_ACK = 2,        /* both: which segments have come */
	UDP_READ = 3,       /* client: bytes of a slot, please */
	UDP_ANSWER = 4,     /* engine: here, one piece of them */
	UDP_ASK = 5,        /* client: PULSE please; I am alive */
	UDP_PULSE = 6,      /* engine: the state of things */
	UDP_WAIT = 7,       /* client: tell me when the group goes beyond */
	UDP_NOTIFY = 8,     /* engine: it has */
	UDP_COMMITTED = 9,  /* engine: how far commits were carried out */
	UDP_CLOSE = 10,     /* both: this session ends */
	UDP_PROVE = 11,     /* engine: say this back, from where it comes to; client: here it is */
	UDP_SUBSCRIBE = 12, /* client: send me these groups when they change */
	UDP_SUBSCRIBED = 13,    /* engine: I shall, or why not */
	UDP_UNSUBSCRIBE = 14,   /* client: no more */
	UDP_UPDATE = 15,    /* engine: a group that was subscribed to, newest version */
	UDP_UPDATED = 16,   /* client: it has come */
	UDP_FRAME_END
};

enum udp_segment_flags { UDP_FIRST = 1, UDP_LAST = 2 };
struct udp_segment { uint32_t seq; uint16_t flags, bytes; const unsigned char *data; };
struct udp_ack { uint32_t next; uint64_t beyond; }; /* bit i: next + 1 + i has come too */

enum udp_read_kind {
	UDP_READ_BASE = 1,      /* header and directory; arg = offset in the region, `offset` 0 */
	UDP_READ_NEWEST = 2,    /* of a group */
	UDP_READ_VERSION = 3,   /* the slot that would hold seq = arg */
	UDP_READ_STEP = 4,      /* newest with step <= arg */
	UDP_READ_SEQ = 5,       /* no bytes: the newest seq */
	UDP_READ_COMPLETE = 6,  /* no bytes: last complete step of an owner */
	UDP_READ_END
};
struct udp_read {
	uint32_t id;                /* the client's, comes back */
	uint8_t kind;
	uint32_t index;             /* group; owner of COMPLETE */
	uint32_t offset, bytes;     /* of the slot, header included */
	uint64_t arg;
};
struct udp_answer {
	uint32_t id;
	int32_t status;             /* 0 or a negative errno; then no bytes */
	uint64_t seq;               /* of the slot that the bytes are of; newest; step */
	uint32_t offset;            /* of these bytes */
	uint16_t bytes;
	const unsigned char *data;
};

struct udp_ask {
	uint64_t beat;              /* an owner's heartbeat; 0 = none */
	uint32_t first_owner;       /* from whom on lines are wanted */
	uint32_t groups;            /* how many of group[]: whose newest seq is wanted */
	uint32_t group[UDP_AGES_MAX];
};
struct udp_line { uint64_t bank_state; uint32_t epoch, pid; };
struct udp_newest { uint32_t group; uint64_t seq; };
struct udp_pulse {
	uint64_t generation, heartbeat;
	uint32_t state, first_owner;
	uint16_t owners, counters, groups;
	struct udp_line line[UDP_OWNERS_MAX];
	uint64_t counter[UDP_COUNTERS_MAX];
	struct udp_newest newest[UDP_AGES_MAX];
};
#define UDP_WAITS_MAX 64u           /* WAITs of one datagram, which are one list */
struct udp_wait { uint32_t group; uint64_t since; };
struct udp_committed { uint64_t number; int32_t status; }; /* all up to `number`; status of the next */
struct udp_close { int32_t status; };
struct udp_prove { uint64_t number; };  /* random */

#define UDP_WISHES_MAX 32u          /* groups of one subscription */
/* One group: what counts as a change (numbers of enum filter_kind; `band` finite, not negative), and what
 * the client has of it already (seq 0: nothing). */
struct udp_wish { uint32_t group, kind; double band; uint64_t seq; uint32_t epoch; };
struct udp_subscribe {
	uint32_t id;                /* the client's, not 0; again: the same question again */
	uint32_t interval_us;       /* between two updates of a group at least */
	uint32_t every_nth;         /* of its commits; at least 1 */
	uint64_t generation;        /* that the seqs are of */
	uint32_t n;
	struct udp_wish wish[UDP_WISHES_MAX];
};
struct udp_subscribed { uint32_t id; int32_t status; };
struct udp_update {
	uint32_t id, index;         /* of the subscription, of the group in it */
	uint64_t seq;               /* 0: never written */
	uint16_t bytes;             /* of the whole slot; 0 with a seq: too long, READ it */
	const unsigned char *data;
};
struct udp_updated { uint32_t id, index; uint64_t seq; };

/* Into the inside of a DATA. A frame that does not fit is left out whole: false. */
struct udp_writer { unsigned char *data; size_t size, room; };
bool udp_put_segment(struct udp_writer *w, const struct udp_segment *m);
bool udp_put_ack(struct udp_writer *w, const struct udp_ack *m);
bool udp_put_read(struct udp_writer *w, const struct udp_read *m);
bool udp_put_answer(struct udp_writer *w, const struct udp_answer *m);
bool udp_put_ask(struct udp_writer *w, const struct udp_ask *m);
bool udp_put_pulse(struct udp_writer *w, const struct udp_pulse *m);
bool udp_put_wait(struct udp_writer *w, const struct udp_wait *m);
bool udp_put_notify(struct udp_writer *w, const struct udp_newest *m);
bool udp_put_committed(struct udp_writer *w, const struct udp_committed *m);
bool udp_put_close(struct udp_writer *w, const struct udp_close *m);
bool udp_put_prove(struct udp_writer *w, const struct udp_prove *m);
bool udp_put_subscribe(struct udp_writer *w, const struct udp_subscribe *m);
bool udp_put_subscribed(struct udp_writer *w, const struct udp_subscribed *m);
bool udp_put_unsubscribe(struct udp_writer *w, uint32_t id);
bool udp_put_update(struct udp_writer *w, const struct udp_update *m);
bool udp_put_updated(struct udp_writer *w, const struct udp_updated *m);
/* Head of a frame whose body has `bytes`; where that goes, or NULL: it does not fit. */
unsigned char *udp_frame_begin(struct udp_writer *w, enum udp_frame_type type, size_t bytes);

/* One frame: data points into what was read. */
struct udp_frame { uint8_t type; uint16_t bytes; const unsigned char *body; };
/* 1 a frame, 0 the end, -EBADMSG. What has a type that is not known is passed over by the caller. */
int udp_next_frame(const unsigned char **at, const unsigned char *end, struct udp_frame *frame);
int udp_get_segment(const struct udp_frame *f, struct udp_segment *m);
int udp_get_ack(const struct udp_frame *f, struct udp_ack *m);
int udp_get_read(const struct udp_frame *f, struct udp_read *m);
int udp_get_answer(const struct udp_frame *f, struct udp_answer *m);
int udp_get_ask(const struct udp_frame *f, struct udp_ask *m);
int udp_get_pulse(const struct udp_frame *f, struct udp_pulse *m);
int udp_get_wait(const struct udp_frame *f, struct udp_wait *m);
int udp_get_notify(const struct udp_frame *f, struct udp_newest *m);
int udp_get_committed(const struct udp_frame *f, struct udp_committed *m);
int udp_get_close(const struct udp_frame *f, struct udp_close *m);
int udp_get_prove(const struct udp_frame *f, struct udp_prove *m);
int udp_get_subscribe(const struct udp_frame *f, struct udp_subscribe *m);
int udp_get_subscribed(const struct udp_frame *f, struct udp_subscribed *m);
int udp_get_unsubscribe(const struct udp_frame *f, uint32_t *id);
int udp_get_update(const struct udp_frame *f, struct udp_update *m);
int udp_get_updated(const struct udp_frame *f, struct udp_updated *m);

/* ---- commits: messages of the data flow's stream, client to engine ---- */
#define UDP_COMMIT_HEAD 16u
enum udp_commit_kind {
	UDP_COMMIT_SLOT = 1,    /* a slot follows; its step is not complete by that */
	UDP_COMMIT_STEP = 2,    /* step u64 and groups u32 each follow: the step is complete */
	UDP_COMMIT_BOTH = 3,    /* a slot follows, and its step is complete */
};
struct udp_commit { uint64_t number; uint32_t group; uint8_t kind; }; /* numbers from 1, without a gap */
void udp_put_commit(unsigned char out[UDP_COMMIT_HEAD], const struct udp_commit *m);
int udp_get_commit(const void *message, size_t bytes, struct udp_commit *m);

#endif
