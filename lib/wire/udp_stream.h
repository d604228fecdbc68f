/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over datagrams, in order, each once, or not at all: one direction each way. Bytes and
 * times in, segments out; no socket, no clock of its own. All memory is taken by the init functions.
 * The sender keeps segments until they are acknowledged; the receiver puts UDP_WINDOW of them in
 * order. Under the lock of whoever has the flow.
 */
#ifndef DSM_LIB_WIRE_UDP_STREAM_H
#define DSM_LIB_WIRE_UDP_STREAM_H

#include "wire/udp.h"

#define UDP_WINDOW 64u              /* segments beyond the next that are kept */
#define UDP_FLIGHT_MIN 4u           /* segments under way at once: from .. to UDP_WINDOW */
#define UDP_RTO_MIN_NS UINT64_C(2000000)
#define UDP_RTO_MAX_NS UINT64_C(500000000)
#define UDP_RTO_FIRST_NS UINT64_C(50000000)

/* The smoothed round trip and how much it varies (the method of RFC 6298). */
struct udp_rtt { uint64_t smooth_ns, vary_ns; };
void udp_rtt_take(struct udp_rtt *rtt, uint64_t ns);
/* After so long without an answer something was lost. */
uint64_t udp_rtt_timeout(const struct udp_rtt *rtt);

struct udp_slot {                   /* one segment on its way */
	uint64_t sent_ns, first_ns; /* last, and first; any time of the clock, 0 too */
	uint16_t bytes, flags;
	uint8_t acked, again;
	uint8_t sends;              /* 0 = not sent yet */
	unsigned char data[UDP_PIECE];
};

struct udp_sender {
	struct udp_slot *slots;
	uint32_t room;              /* slots; a power of two */
	uint32_t first, next;       /* seqs: oldest not acknowledged, next to be put */
	uint32_t flight;            /* how many may be under way */
	uint32_t backoff;           /* doublings of the timeout */
	struct udp_rtt rtt;
};
/* -ENOMEM. */
int udp_sender_init(struct udp_sender *s, uint32_t slots);
void udp_sender_free(struct udp_sender *s);
/* Segments free. */
uint32_t udp_sender_room(const struct udp_sender *s);
/* A whole message. -EAGAIN there is no room for it now; -EMSGSIZE there never is. `head` comes
 * before `message`; either may be empty, not both. */
int udp_sender_put(struct udp_sender *s, const void *head, size_t head_bytes, const void *message,
	size_t bytes);
/* Writes what is due now, one segment if it fits: true; again until false. */
bool udp_sender_next(struct udp_sender *s, uint64_t now, struct udp_writer *w);
/* When udp_sender_next() has something again; UINT64_MAX nothing to wait for. */
uint64_t udp_sender_due(const struct udp_sender *s, uint64_t now);
/* -EBADMSG: acknowledges what was never sent. */
int udp_sender_ack(struct udp_sender *s, uint64_t now, const struct udp_ack *ack);
static inline bool udp_sender_idle(const struct udp_sender *s) { return s->first == s->next; }
/* Has the oldest segment been going out in vain for more than `ns`? */
bool udp_sender_stuck(const struct udp_sender *s, uint64_t now, uint64_t ns);

struct udp_kept { uint16_t bytes, flags; uint8_t there; unsigned char data[UDP_PIECE]; };
struct udp_receiver {
	struct udp_kept *kept;      /* UDP_WINDOW */
	unsigned char *message;     /* what is being put together, `size` of `room`; 16-byte aligned */
	size_t size, room;
	uint32_t next;              /* seq wanted */
	bool assembling, whole;     /* whole: until the next udp_receiver_message() */
	bool owes;                  /* an ACK */
};
int udp_receiver_init(struct udp_receiver *r, size_t longest);
void udp_receiver_free(struct udp_receiver *r);
/* A segment that came. -EBADMSG: the other breaks the rules. */
int udp_receiver_take(struct udp_receiver *r, const struct udp_segment *m);
/* The next whole message; NULL none. Valid until the next call. -EBADMSG (in *rc): as above. */
const void *udp_receiver_message(struct udp_receiver *r, size_t *bytes, int *rc);
/* What to say now. */
void udp_receiver_ack(struct udp_receiver *r, struct udp_ack *ack);

#endif
