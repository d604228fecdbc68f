/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients over RDMA, the engine's side: verbs.c listens and takes what the RDMA CM brings,
 * verbs_auth.c decides who comes in, verbs_session.c is one client, verbs_device.c what a
 * device's clients may read. Everything
 * runs under engine->lock; nothing here stops the engine: what the library refuses is counted
 * and logged, the client it concerns is dropped.
 */
#ifndef DSM_LIB_ENGINE_VERBS_H
#define DSM_LIB_ENGINE_VERBS_H

#include "engine/engine.h"
#include "engine/keys.h"
#include "engine/sources.h"
#include "rdma/device.h"
#include "rdma/endpoint.h"
#include "rdma/rc.h"
#include "wire/verbs_auth.h"

#define VERBS_LINGER_NS (500 * UINT64_C(1000000)) /* for a last message to be acknowledged */
#define VERBS_ACCUSE_NS (1000 * UINT64_C(1000000)) /* within this the log names so many violations, */
#define VERBS_ACCUSE_MAX 8u
#define VERBS_ACCUSE_SOURCE 4u /* and so many of one host */
/* New control pairs a tick, and of them one host: each costs a queue pair and registered memory, under
 * the engine's lock. Who gets none comes again. */
#define VERBS_OPENS_MAX 8u
#define VERBS_OPENS_SOURCE 4u
#define VERBS_FRESH_BYTES ((uint64_t)16 << 20) /* registered in one go: some ms */
#define VERBS_HANDSHAKE_NS (5 * UINT64_C(1000000000)) /* from REQ to AUTH3 */
#define VERBS_LINGERING_MAX 64u
#define VERBS_STUCK_NS (30 * UINT64_C(1000000000)) /* a client that takes nothing for so long is cut off */

/* One RDMA device. Its protection domain holds the clients' control and read pairs; what can be
 * reached in it from outside is registered for REMOTE_READ and nothing else. */
struct device {
	struct ibv_context *verbs;
	uint8_t port;
	struct ibv_pd *pd;
	struct ibv_mr *base;        /* header and directory */
	struct ibv_mr **banks;      /* one an owner, registered when somebody asks */
	uint32_t bank_count;
	struct rdma_cm_id *sentinel; /* bound to the device, so that its removal is heard of without clients */
	uint32_t remotes;
	struct farewell *farewells; /* ids that say good-bye when that does no harm */
	uint64_t trouble_ns;
	bool gone;
	struct device *next;
};

struct remote;
/* One queue pair and its CM id. `id->context` of every id but listener and sentinels. */
struct pair {
	struct remote *remote;
	struct rdma_cm_id *id;
	struct ibv_qp *qp;
	int access;                 /* what it must allow */
};

struct remote {
	struct session session;     /* first: they are cast into each other */
	struct device *device;
	struct endpoint ep;
	struct pair pairs[VERBS_WRITE]; /* by kind - 1 */
	uint8_t token[VERBS_TOKEN_BYTES];
	bool has_key;               /* else: auth none */
	struct key key;             /* a copy; its bytes are wiped */
	struct verbs_auth auth;
	bool armed;                 /* wants to hear once of a commit to one of `waits` */
	struct control_wait waits;
	bool cut;                   /* its key was taken away: no last words */
	struct ibv_pd *own_pd;      /* of an owner: exactly one registration lies in it, the own bank */
	struct ibv_mr *own;
	bool violated;              /* reached where it may not */
	uint64_t probed_ns, taken_ns, ticked_ns, linger_until_ns;
	char address[64];
	uint8_t host[SOURCE_BYTES];
	struct remote *next_lingering;
};

struct verbs {
	char host[256];             /* "*" = every address */
	uint16_t port;
	struct rdma_event_channel *channel;
	struct rdma_cm_id *listener;
	bool listener_held;         /* its device counts us */
	struct device *devices;
	struct remote *lingering;
	uint32_t lingering_count;
	uint64_t try_ns;            /* of the next try to listen */
	struct sources opens;       /* in this tick */
	struct sources accused;     /* lines about violations since accused_ns */
	uint64_t accused_ns;
	int timer_fd;               /* of who waits; -1 until somebody does */
	uint32_t armed;
	uint64_t refused_ns;        /* of the last line about a refused key */
	bool auth_none;             /* who shows no key may come in */
	struct keys *keys;          /* NULL = none */
	unsigned char *sealed;      /* one message as it goes over the wire; STREAM_MESSAGE_MAX */
	char said[256];             /* last trouble logged */
};

/* Counts what the library refused; logs dsm_error() unless that was the last said. */
void verbs_trouble(struct dsm_engine *e);

/* ---- verbs_auth.c ---- */
/* Keys, and whether they may be done without. -EINVAL neither keys nor leave. */
int verbs_auth_start(struct dsm_engine *e);
void verbs_auth_stop(struct verbs *v);
/* The key that a request for a control pair names; NULL with auth none. -EACCES, counted. */
int verbs_find_key(struct dsm_engine *e, struct rdma_cm_id *id, const struct verbs_request *request,
	const struct key **key);
/* Before the reply leaves: its flags and nonce, and what the client has to show then. -EIO. */
int remote_await(struct remote *r, const struct key *key, const struct verbs_request *request,
	struct verbs_reply *reply);
/* One message, sealed where there are keys: endpoint_send(), endpoint_recv(). What comes before the
 * client has shown its key is dealt with in remote_hear(). -EACCES it does not fit, counted. */
int remote_say(struct remote *r, const void *message, size_t bytes);
int remote_hear(struct remote *r, void *message, size_t room);
/* Has it been shaking hands for too long? Then counted. */
bool remote_dawdles(struct remote *r, uint64_t now);
int remote_allows(const struct session *s, unsigned what, const char *owner);

/* ---- verbs_wait.c ---- */
void remote_arm(struct session *s, const struct control_wait *list);
void remote_disarm(struct remote *r);

/* ---- verbs_device.c ---- */
/* The device of an id, opened when it is new. */
int device_get(struct dsm_engine *e, struct rdma_cm_id *id, struct device **out);
int device_base(struct dsm_engine *e, struct device *d);
/* Registers a bank for reading if it is not; the bytes that were tried, 0 if it was already. */
uint64_t device_take_bank(struct dsm_engine *e, struct device *d, uint32_t owner);
/* Where and by which key a bank can be read; all 0 if the device did not take it. */
void device_bank(struct dsm_engine *e, struct device *d, uint32_t owner, struct control_bank *out);
void device_bank_leaves(struct device *d, uint32_t owner);
/* What belongs to the present region. */
void device_forget_region(struct device *d);
/* Destroys an id, which tells its peer; later, if the connection broke or the port is down. */
void device_bye(struct dsm_engine *e, struct device *d, struct rdma_cm_id *id, bool broken);
/* Those that waited. `all`: however the port is. */
void device_byes(struct device *d, uint64_t now, bool all);
/* No remote is left on it. `removed`: it goes away, nothing of it may stay open. */
void device_close(struct dsm_engine *e, struct device *d, bool removed);

/* ---- verbs_session.c ---- */
extern const struct session_ops remote_ops;
/* On CONNECT_REQUEST, by kind; 0 accepted, or an errno for the REJ with its text. The id is the
 * remote's if 0 is returned. */
int remote_open(struct dsm_engine *e, struct rdma_cm_id *id, const struct rdma_conn_param *asked,
	const struct verbs_request *request, const struct key *key);
int remote_join(struct dsm_engine *e, struct rdma_cm_id *id, const struct rdma_conn_param *asked,
	const struct verbs_request *request);
void pair_close(struct pair *pair);
/* "10.0.0.1:4711" of who asks. */
void verbs_peer(struct rdma_cm_id *id, char *text, size_t size);
/* Everything at once: also one that lingers and was taken out of that list. */
void remote_destroy(struct remote *r);
/* True: its last messages are on their way, or were given up. */
bool remote_settled(struct remote *r);

#endif
