/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys over rdma: the handshake that comes first on a control connection, and the seal of all that
 * follows there. Noise_NNpsk0 (noise.h) with the CM's private data of both sides as prologue:
 *     client  AUTH1  Noise's first message
 *     engine  AUTH2  Noise's second
 *     client  AUTH3  sealed: it is alive and has the key; what it said is not a recording
 * The connection is reliable and ordered, so each direction's counter goes along unsaid, and a
 * message that does not fit ends the connection. Bytes only: no verbs, no clock, no allocation. One
 * thread at a time.
 */
#ifndef DSM_LIB_WIRE_VERBS_AUTH_H
#define DSM_LIB_WIRE_VERBS_AUTH_H

#include "wire/noise.h"
#include "wire/verbs.h"

#define VERBS_AUTH_MAGIC 0x414d5344u    /* "DSMA" */
#define VERBS_AUTH_HEAD 8u              /* magic u32, version u16, type u16 */
#define VERBS_AUTH_BYTES 56u            /* of AUTH1 and AUTH2: head and Noise's message */
#define VERBS_AUTH_LAST 24u             /* of AUTH3: the head, sealed */

enum verbs_auth_state {
	VERBS_AUTH_NONE,            /* zero: no keys; messages pass as they are */
	VERBS_AUTH_FIRST,           /* the engine waits for AUTH1 */
	VERBS_AUTH_SECOND,          /* the client waits for AUTH2 */
	VERBS_AUTH_THIRD,           /* the engine waits for AUTH3 */
	VERBS_AUTH_SEALED,          /* done */
	VERBS_AUTH_FAILED,          /* for good */
};

/* Secret from begin to verbs_auth_wipe(). */
struct verbs_auth {
	enum verbs_auth_state state;
	struct noise_handshake hs;
	struct noise_cipher send, receive;
	uint64_t sent, received;    /* messages under these */
};

/* The engine, with the key that `request` named, before it says `reply`. -EIO: no random numbers. */
int verbs_auth_await(struct verbs_auth *a, const uint8_t psk[NOISE_KEY],
	const struct verbs_request *request, const struct verbs_reply *reply);
/* The client, when it has the reply: AUTH1. -EIO. */
int verbs_auth_call(struct verbs_auth *a, const uint8_t psk[NOISE_KEY],
	const struct verbs_request *request, const struct verbs_reply *reply,
	unsigned char out[VERBS_AUTH_BYTES]);
/* What came while the state is none of NONE, SEALED, FAILED. 0, and *bytes of an answer in `out`, if
 * one is to be sent (0: none). -EBADMSG another message than awaited, or it does not verify;
 * -EPROTONOSUPPORT another version of it; -EINVAL nothing is awaited. After an error the state is
 * FAILED and nothing passes any more. */
int verbs_auth_take(struct verbs_auth *a, const void *message, size_t n,
	unsigned char out[VERBS_AUTH_BYTES], size_t *bytes);
/* For state SEALED. n + NOISE_TAG bytes into `out`. Only what is said by verbs_auth_sent() to have
 * left counts: what was sealed and could not be sent must never leave. -EINVAL, -EOVERFLOW. */
int verbs_auth_seal(const struct verbs_auth *a, const void *message, size_t n, void *out);
void verbs_auth_sent(struct verbs_auth *a);
/* The next message of the other side to `out`: its bytes, n - NOISE_TAG. -EBADMSG it does not
 * verify; then the state is FAILED. -EMSGSIZE more than `room`; -EINVAL. */
int verbs_auth_open(struct verbs_auth *a, const void *sealed, size_t n, void *out, size_t room);
/* Also of one that is zero, which it then is again. */
void verbs_auth_wipe(struct verbs_auth *a);

/* What a read or write pair shows in its request instead of the token: it holds for that kind,
 * session and queue pair only, so who sees it on the wire has no use for it. */
void verbs_proof(const uint8_t token[VERBS_TOKEN_BYTES], uint16_t kind, uint32_t session, uint32_t qp_num,
	uint8_t proof[VERBS_PROOF_BYTES]);

#endif
