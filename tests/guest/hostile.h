/* SPDX-License-Identifier: Apache-2.0 */
/* A client over RDMA that speaks by hand: what a well-behaved one never would. */
#ifndef DSM_TESTS_HOSTILE_H
#define DSM_TESTS_HOSTILE_H

#include <stdbool.h>

#include <dsm/engine.h>

#include "rdma/endpoint.h"
#include "rdma/rc.h"
#include "wire/control.h"
#include "wire/key.h"
#include "wire/verbs_auth.h"

/* A queue pair with a completion queue and a buffer of its own. */
struct side {
	struct rdma_cm_id *id;
	struct ibv_qp *qp;
	struct ibv_cq *cq;
};

/* A key that this client has, or says that it has. */
struct raw_key { uint8_t id[KEY_ID_BYTES], psk[KEY_BYTES]; };

struct raw {
	struct rdma_event_channel *channel;
	struct ibv_pd *pd;
	struct pages buffer;
	struct rdma_cm_id *id;
	struct ibv_qp *qp;
	struct endpoint ep;
	struct verbs_request request;
	struct verbs_reply reply;
	struct verbs_auth auth;
	uint32_t proof_for;         /* added to the queue pair's number in a proof */
	struct side side[2];        /* read, write */
	struct ibv_wc wc;           /* last completion of other work on the control pair */
	bool has_wc;
	struct control_welcome welcome;
	struct control_keys keys;
	struct control_bank bank[8];
	unsigned char message[CONTROL_MAX];
};

/* All are bounded by a few seconds; negative errno as the library's. */
/* Connects the control pair and says which key it has (NULL: none); no handshake. An engine that has too
 * many at once is asked again. */
int raw_dial(struct raw *r, const struct raw_key *key);
/* The next whole message as it came; its bytes. -ETIMEDOUT, -ECONNRESET. */
int raw_hear(struct raw *r, void *message, size_t room, unsigned ms);
/* raw_dial() and the whole handshake. */
int raw_connect(struct raw *r, const struct raw_key *key);
void raw_close(struct raw *r);
int raw_send(struct raw *r, struct control_writer *w);
/* The next message of `type` (others are passed over); 0 with r->message and *in; -ETIMEDOUT,
 * -ECONNRESET. */
int raw_expect(struct raw *r, enum control_type type, unsigned ms, struct control_reader *in);
/* HELLO to WELCOME (whose status is returned) and KEYS. */
int raw_hello(struct raw *r, const char *owner, uint32_t flags);
int raw_map(struct raw *r, uint32_t first, uint32_t count);
/* The read or write pair, as this session and token. */
int raw_join(struct raw *r, enum verbs_kind kind, uint32_t session, const uint8_t *token);
/* One piece of work; its completion's status. Data is at r->buffer.at. */
enum ibv_wc_status raw_work(struct raw *r, enum verbs_kind kind, enum ibv_wr_opcode opcode,
	uint64_t addr, uint32_t rkey, uint32_t bytes);
/* Asks for a connection with this private data, and does not wait. */
int raw_ask(struct raw *r, const void *data, uint8_t bytes);
/* And waits: the status of the engine's REJ, 0 accepted. */
int raw_junk(struct raw *r, const void *data, uint8_t bytes);
/* True once the engine has cut the connection off. */
bool raw_cut(struct raw *r, unsigned ms);

/* ---- the scene: hostile.c ---- */
#define HOSTILE_PORT 7467
#define HOSTILE_CLIENTS 24          /* places at the engine */
#define CUT_MS 8000                 /* within this a client is cut off */
extern const char *host;
extern uint32_t raw_promise;        /* RECVs that a client says it has; it has ENDPOINT_RECVS */
extern struct raw raw, other;
extern struct dsm_engine *engine;
/* The key that fits a role; "" = a reader. */
const struct raw_key *key_for(const char *owner);
/* The engine's key file, without that role's. */
bool write_keys(const char *without);
/* A control pair with its handshake, HELLO, MAP of all three banks. */
bool greet(struct raw *r, const char *owner, uint32_t flags);
bool greet_and_join(struct raw *r, const char *owner, uint32_t flags, enum verbs_kind kind);
/* By the handle in the engine's process: now, not as of half a tick ago. */
uint64_t counter(const char *name);
/* The heartbeat: how many ticks the engine has done. */
uint64_t engine_ticks(void);
/* Does it get above that within 5 s? */
bool counts(const char *name, uint64_t more_than);
/* Does the engine log a line with that within 5 s, or has it lately? */
bool logs(const char *part);
/* The honest one reads what the engine writes now. */
void all_is_well(const char *after);

/* Somebody else, who reads all the time: are the values right, and how long does it take? */
bool watch_begin(const char *uri);
void watch_attacks(void);           /* until here it was calm */
void watch_check(const char *after); /* so far */
uint64_t watch_reads(void);
void watch_end(void);
extern _Atomic uint64_t written;    /* the newest value of gengine.v, before it is written */

/* ---- attacks ---- */
void keys_attacks(void);            /* hostile_keys.c */
void fake_engines(void);            /* hostile_fake.c */
void reach_attacks(void);           /* hostile_reach.c */
void crowd_attacks(void);           /* hostile_crowd.c */
void flood_attacks(void);           /* hostile_flood.c */

/* ---- counting ---- */
bool check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t now_ms(void);

#endif
