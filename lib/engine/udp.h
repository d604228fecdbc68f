/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of udp: one socket, many sessions. udp.c has start, end and time, udp_socket.c
 * datagrams in and out, udp_hello.c the handshake, udp_session.c what a session is and says,
 * udp_serve.c reads and commits, udp_subscribe.c and udp_push.c subscriptions. All under engine->lock; nothing is allocated for a datagram.
 */
#ifndef DSM_LIB_ENGINE_UDP_H
#define DSM_LIB_ENGINE_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/engine.h"
#include "engine/keys.h"
#include "engine/sources.h"
#include "wire/udp_flow.h"
#include "wire/udp_stream.h"

#define UDP_BATCH 32u               /* datagrams a system call */
#define UDP_SECRET 32u
#define UDP_SECRET_NS (30 * UINT64_C(1000000000))
#define UDP_UNPROVEN_MAX 64u
#define UDP_UNPROVEN_SOURCE 32u     /* of them of one host */
#define UDP_UNPROVEN_NS (5 * UINT64_C(1000000000))
#define UDP_LINGER_NS UINT64_C(1000000000)  /* for the last words of a session */
#define UDP_DIRTY 64u
#define UDP_SHAKES_MAX 64u          /* handshakes a tick: more are not heard, and come again */
#define UDP_SHAKES_SOURCE 32u       /* of them one host: half are left to the others */
#define UDP_QUEUE 256u              /* segments to a client; more above 1024 clients, who are listed at once */
#define UDP_WORK 65536u             /* bytes gone through to answer one datagram, but for its first question */
#define UDP_WORK_TURN (1u << 20)    /* of a turn: after the datagram that spends them time is looked after */
#define UDP_WORK_BURST_NS UINT64_C(16000000)    /* see struct udp_peer, busy_until */

/* Where a datagram came from, and at which address of this machine: answers leave from there. */
struct udp_path { struct sockaddr_storage address; socklen_t bytes; struct in6_addr at; };

/* Where a flow's answers go. The host of a new one has to say a number back before it gets more bytes
 * than came from it: a source address is easily made up. */
struct udp_route { struct udp_path path; bool wanted; uint64_t number; size_t credit; };

/* The other end of a session, also before it is one and while it has last words. */
struct udp_peer {
	struct session session;     /* first: they are cast into each other; in use when `proven` */
	uint32_t name, client;      /* the engine's, the client's */
	bool proven;                /* has sealed a DATA */
	bool closing;               /* the session is gone, its last words are not */
	bool dirty;                 /* has something to say after this batch: udp_mark() */
	bool unheard;               /* has not acknowledged all that was said */
	bool has_key;               /* else: auth none */
	struct key key;             /* a copy; its bytes are wiped */
	uint8_t ephemeral[32];      /* first bytes of its Noise message */
	uint8_t resp[UDP_DATAGRAM / 8];
	uint64_t made_ns, heard_ns, ticked_ns;
	/* A question that goes through more than UDP_WORK costs a nanosecond a byte from here on (this
	 * machine's time); who is more than a burst ahead gets no such question answered. */
	uint64_t busy_until;
	struct udp_flow control, data;
	struct udp_route control_route, data_route;
	struct udp_path home;       /* the last that was proven, by the cookie or a number */
	struct udp_sender sender;
	struct udp_receiver receiver;
	/* an owner's commits */
	struct udp_receiver commits;
	bool may_commit, owes_committed;
	uint64_t committed;
	int32_t refused;            /* status of the commit after that; sticky */
	/* a wait */
	bool armed;
	uint32_t waits;             /* of the datagram that came last with some */
	struct udp_wait wait[UDP_WAITS_MAX];
	struct udp_subscriber *subs; /* NULL: it has never subscribed; udp_subscribe.h */
};

struct udp_batch;
struct udp_server {
	int fd, timer_fd;
	bool timer_on, in_batch, auth_none, ending;
	char address[80];           /* bound, for people */
	uint8_t secret[2][UDP_SECRET];
	uint64_t rotated_ns, accused_ns, active_ns; /* active: the last datagram came */
	uint32_t idle_ms;
	uint32_t queue;             /* segments to a client: at least a quarter of max_clients, 220 bytes each */
	uint32_t room, unproven, closing, armed;
	unsigned came, at;          /* datagrams of the batch; the next one of them to be looked at */
	size_t turn_left;           /* bytes that this turn may go through */
	struct sources shakes;      /* handshakes computed since the tick */
	uint32_t unheard;           /* peers that have not acknowledged all */
	uint32_t dirty_count, dirty[UDP_DIRTY]; /* names of who has something to say; more: everybody is asked */
	bool committed;             /* in this batch: look who waits */
	bool pushing;               /* somebody has subscribed: look at once */
	uint32_t subs, push_at;     /* subscriptions; peer whose turn it was */
	size_t sub_bytes;
	uint64_t pushed_ns;
	struct udp_peer **peers;    /* room; by the low 16 bits of a name */
	struct keys *keys;          /* NULL = none */
	struct udp_batch *batch;
	uint64_t scratch[UDP_READ_MAX / 8];
};

/* ---- udp_socket.c ---- */
/* *loopback: nobody but this machine reaches it. -EINVAL, -EADDRINUSE, -EADDRNOTAVAIL. */
int udp_socket_open(const char *address, int *fd, bool *loopback, char *bound, size_t bound_bytes);
int udp_batch_new(struct udp_batch **out);
void udp_batch_free(struct udp_batch **batch);
/* Up to UDP_BATCH datagrams; how many. Each by udp_batch_get() until the next call. */
unsigned udp_batch_receive(struct udp_server *u);
unsigned char *udp_batch_get(struct udp_server *u, unsigned i, size_t *bytes, const struct udp_path **from);
/* Where the next datagram to be sent is to be written (UDP_DATAGRAM), and then: send that. */
unsigned char *udp_out(struct udp_server *u);
void udp_out_done(struct udp_server *u, const struct udp_path *to, size_t bytes);
void udp_out_flush(struct udp_server *u);
/* The host for limits, 16 bytes: one of IPv6 has 2^64 addresses, and they are one. */
void udp_host_of(const struct udp_path *path, uint8_t host[16]);
bool udp_same_path(const struct udp_path *a, const struct udp_path *b);
bool udp_same_host(const struct udp_path *a, const struct udp_path *b);
void udp_path_text(const struct udp_path *path, char *text, size_t size);

/* ---- udp.c ---- */
/* The peer of a name, or NULL. */
struct udp_peer *udp_find(struct udp_server *u, uint32_t name);
/* Are all places taken that a network may have? It has no users to count by, so it leaves a quarter of
 * them to those of this machine. */
bool udp_is_full(const struct dsm_engine *e);
/* A place and a name for it. -EUSERS. */
int udp_place(struct udp_server *u, struct udp_peer *peer);
void udp_forget(struct udp_server *u, struct udp_peer *peer);
void udp_refused(struct dsm_engine *e, enum counter counter, const struct udp_path *from, const char *why);

/* ---- udp_hello.c ---- */
void udp_on_init(struct dsm_engine *e, const struct udp_path *from, const unsigned char *datagram, size_t bytes);
void udp_refuse(struct udp_server *u, const struct udp_path *to, uint32_t client, enum udp_cause cause);

/* ---- udp_session.c ---- */
extern const struct session_ops udp_ops;
void udp_on_data(struct dsm_engine *e, const struct udp_path *from, unsigned char *datagram, size_t bytes);
static inline void udp_mark(struct udp_server *u, struct udp_peer *peer)
{
	if (!peer->dirty && u->dirty_count < UDP_DIRTY)
		u->dirty[u->dirty_count] = peer->name;
	u->dirty_count += !peer->dirty;
	peer->dirty = true;
}
/* Says what is due: segments, acknowledgements. */
void udp_speak(struct udp_server *u, struct udp_peer *peer, uint64_t now);
void udp_last_word(struct udp_server *u, struct udp_peer *peer);
/* NOTIFY, if what it waits for has come. */
void udp_look(struct dsm_engine *e, struct udp_peer *peer);

/* A datagram that is being filled. One at a time. */
struct udp_voice { struct udp_server *u; struct udp_flow *flow; struct udp_route *to;
	unsigned char *out; struct udp_writer w; };
void udp_voice_begin(struct udp_voice *v, struct udp_server *u, struct udp_flow *flow,
	struct udp_route *to);
/* Sends what is in it, if there is something and its host may get so much; another begins. */
void udp_voice_send(struct udp_voice *v);

/* ---- udp_serve.c ---- */
/* *left is what a datagram may cost yet, UDP_WORK at its first question. May the peer have `work` bytes
 * gone through for it? If not it is not answered, and the client asks again. */
bool udp_may_work(const struct udp_peer *p, uint64_t work, size_t left);
/* That was done: takes it from the datagram, the turn and the peer. */
void udp_worked(struct udp_server *u, struct udp_peer *p, uint64_t work, size_t *left);
/* Answers one READ if its work may be done, also by an error. */
void udp_serve_read(struct dsm_engine *e, struct udp_peer *p, const struct udp_read *m, struct udp_voice *v,
	size_t *left);
/* The newest slot of a group that fits in it, as it lies, in scratch. -EAGAIN not whole just now;
 * -ENODATA never written: *seq is 0. */
int udp_newest_slot(struct dsm_engine *e, uint32_t group, uint64_t *seq);
/* The same of version `seq`: -EAGAIN it is not there any more. */
int udp_version_slot(struct dsm_engine *e, uint32_t group, uint64_t seq);
/* Bytes that this goes through at most. */
size_t udp_work_of(const struct dsm_engine *e, uint32_t group);
void udp_serve_pulse(struct dsm_engine *e, const struct udp_ask *m, struct udp_voice *v);
/* A message of an owner's data flow: 0, or a negative errno that stands in COMMITTED. */
int udp_serve_commit(struct dsm_engine *e, struct udp_peer *peer, const void *message, size_t bytes);

#endif
