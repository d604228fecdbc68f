/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rdma transport says in bytes beside the control messages: the private data of the
 * RDMA CM's REQ, REP and REJ, and the head of a frame. No verbs, no memory of its own.
 * Little-endian, byte tables in docs/protocol.md. Everything read here comes from a stranger.
 */
#ifndef DSM_LIB_WIRE_VERBS_H
#define DSM_LIB_WIRE_VERBS_H

#include <stddef.h>
#include <stdint.h>

#define VERBS_MAGIC 0x564d5344u     /* "DSMV" */
#define VERBS_VERSION 2u
#define VERBS_REQUEST_BYTES 40u
#define VERBS_REPLY_BYTES 32u
#define VERBS_REJECT_HEAD 12u
#define VERBS_REJECT_MAX 120u
#define VERBS_TOKEN_BYTES 16u
#define VERBS_PROOF_BYTES 16u
#define VERBS_KEY_ID_BYTES 8u
#define VERBS_NONCE_BYTES 16u
#define VERBS_FRAME_HEAD 8u
#define VERBS_FRAME_MAX 4096u       /* head and bytes of one SEND */
#define VERBS_CREDITS_MIN 2u        /* one for data, one for credits */
#define VERBS_CREDITS_MAX 1024u

/* What a queue pair is for. */
enum verbs_kind { VERBS_CONTROL = 1, VERBS_READ = 2, VERBS_WRITE = 3 };

struct verbs_request {
	uint16_t kind;
	uint32_t session;           /* of WELCOME; 0 for control */
	uint32_t credits;           /* RECVs posted by who sends this; 0 unless control */
	uint8_t proof[VERBS_PROOF_BYTES]; /* that the token of KEYS is known: verbs_proof(); zeros for control */
	uint8_t key_id[VERBS_KEY_ID_BYTES]; /* which key will be shown (wire/key.h); zeros: none, or not control */
};
enum verbs_reply_flags { REPLY_KEYS = 1 }; /* the handshake of verbs_auth.h comes first */
struct verbs_reply {
	uint16_t kind;
	uint32_t credits, flags;    /* flags 0 unless control */
	uint8_t nonce[VERBS_NONCE_BYTES]; /* random with REPLY_KEYS, else zeros */
};
struct verbs_reject { int32_t status; char text[VERBS_REJECT_MAX - VERBS_REJECT_HEAD + 1]; };

/* `bytes` as the CM hands them over: it pads private data with zeros, so more than enough is
 * fine. -EBADMSG; -EPROTONOSUPPORT another version. */
void verbs_put_request(unsigned char out[VERBS_REQUEST_BYTES], const struct verbs_request *m);
int verbs_get_request(const void *data, size_t bytes, struct verbs_request *m);
void verbs_put_reply(unsigned char out[VERBS_REPLY_BYTES], const struct verbs_reply *m);
int verbs_get_reply(const void *data, size_t bytes, struct verbs_reply *m);
/* Returns the bytes used; a long text is cut. */
size_t verbs_put_reject(unsigned char out[VERBS_REJECT_MAX], const struct verbs_reject *m);
int verbs_get_reject(const void *data, size_t bytes, struct verbs_reject *m);

/* ---- frames ---- */
enum verbs_frame_flags { FRAME_FIRST = 1, FRAME_LAST = 2 };
struct verbs_frame {
	uint32_t length;            /* bytes that follow; 0 = credits only */
	uint16_t flags;             /* 0 if credits only */
	uint16_t credits;           /* RECVs posted anew since the last frame */
};
void verbs_put_frame(unsigned char out[VERBS_FRAME_HEAD], const struct verbs_frame *m);
/* `bytes` = all that was received. -EBADMSG unless length and flags fit them. */
int verbs_get_frame(const void *data, size_t bytes, struct verbs_frame *m);

#endif
