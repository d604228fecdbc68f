/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, revision 34) on libsodium:
 * two messages, then two keys. Bytes only: no socket, no clock, no allocation, no retries. Who
 * calls it (udp and rdma, client and engine) carries the messages. One pattern and one suite are
 * built, so that nothing is there to be negotiated down.
 */
#ifndef DSM_LIB_WIRE_NOISE_H
#define DSM_LIB_WIRE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY 32u           /* bytes of a pre-shared key, of a cipher's key */
#define NOISE_HASH 64u          /* of the handshake's hash */
#define NOISE_TAG 16u           /* what sealing adds */
#define NOISE_HANDSHAKE 48u     /* what a handshake message has beside its payload */
#define NOISE_MESSAGE_MAX 65535u

/*
 * One side of a handshake. The initiator writes, then reads; the responder the reverse. Its
 * content is secret until noise_wipe() or noise_split().
 */
struct noise_handshake {
	uint8_t chain[NOISE_HASH], hash[NOISE_HASH];
	uint8_t key[NOISE_KEY];         /* of the payload that comes next */
	uint8_t own[32], own_public[32], other_public[32]; /* ephemeral */
	uint64_t counter;               /* of key */
	bool initiator;
	uint8_t messages;               /* behind us; 2 = split */
};

/* One direction after the handshake. */
struct noise_cipher {
	uint8_t key[NOISE_KEY];
};

/* Begins with a new ephemeral key. `prologue` is what both sides must have seen alike (a cookie,
 * a key id, versions): if they differ, the first message does not verify.
 * -EIO: libsodium cannot start (no random numbers). */
int noise_begin(struct noise_handshake *hs, bool initiator, const uint8_t psk[NOISE_KEY],
	const void *prologue, size_t prologue_bytes);

/* Writes the next message: n + NOISE_HANDSHAKE bytes. -EINVAL not this side's turn; -EMSGSIZE
 * longer than `room` or than Noise allows; -EBADMSG the other's key is none. */
int noise_write(struct noise_handshake *hs, const void *payload, size_t n, void *message, size_t room,
	size_t *bytes);

/* Reads the other's message. -EBADMSG: it does not verify (another key, another prologue, or
 * changed on the way); then the state is as before, so that a forged message does not end a
 * handshake that goes on. -EINVAL not the other's turn; -EMSGSIZE the payload is longer than `room`.
 * Nothing of a payload that does not verify is left in `payload`. */
int noise_read(struct noise_handshake *hs, const void *message, size_t n, void *payload, size_t room,
	size_t *bytes);

/* After both messages: the two directions, and (if not NULL) the hash that names this session.
 * Wipes the handshake. -EINVAL: it is not complete. */
int noise_split(struct noise_handshake *hs, struct noise_cipher *send, struct noise_cipher *receive,
	uint8_t hash[NOISE_HASH]);

/* Also for a handshake that was never begun, if it is zero. */
void noise_wipe(struct noise_handshake *hs);
void noise_wipe_cipher(struct noise_cipher *cipher);

/*
 * Datagrams carry their counter with them: each may be sealed once per key and direction, which
 * is the sender's business (count from 0), and opened in any order; that it is opened only once
 * is the business of wire/replay.h. `out` may be `in`. -EOVERFLOW: the last counter is kept by
 * Noise; a session that came so far begins anew.
 */
int noise_seal(const struct noise_cipher *cipher, uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out);
/* n bytes with the tag to n - NOISE_TAG. -EBADMSG: shorter than a tag, or it does not verify. */
int noise_open(const struct noise_cipher *cipher, uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out);

#endif
