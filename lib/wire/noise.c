/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the steps are those of the specification's sections 5 and 9: MixHash, MixKey,
 * MixKeyAndHash, EncryptAndHash. HKDF is built on HMAC as section 4.3 wants it; libsodium's
 * keyed BLAKE2b is another function, so HMAC is done by hand, with BLAKE2b's block of 128 bytes.
 */
#include "wire/noise.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define BLOCK 128u      /* of BLAKE2b */

static const char name[] = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b";
static_assert(sizeof(name) - 1 <= NOISE_HASH, "a longer name would have to be hashed");
static_assert(NOISE_KEY == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key");
static_assert(NOISE_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag");
static_assert(NOISE_HANDSHAKE == crypto_scalarmult_BYTES + NOISE_TAG, "handshake");

/* ---- hash ------------------------------------------------------------------------------ */

/* out := BLAKE2b-512(a, b). `out` may be `a`. */
static void hash_two(uint8_t out[NOISE_HASH], const void *a, size_t a_bytes, const void *b,
	size_t b_bytes)
{
	crypto_generichash_blake2b_state state;
	crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH);
	crypto_generichash_blake2b_update(&state, a, a_bytes);
	if (b_bytes)
		crypto_generichash_blake2b_update(&state, b, b_bytes);
	crypto_generichash_blake2b_final(&state, out, NOISE_HASH);
	sodium_memzero(&state, sizeof(state));
}

/* out := HMAC-BLAKE2b(key, a, b), RFC 2104. The key is a hash's length, so shorter than a block. */
static void hmac(uint8_t out[NOISE_HASH], const uint8_t key[NOISE_HASH], const void *a, size_t a_bytes,
	const void *b, size_t b_bytes)
{
	crypto_generichash_blake2b_state state;
	uint8_t pad[BLOCK], inner[NOISE_HASH];
	memset(pad, 0x36, sizeof(pad));
	for (size_t i = 0; i < NOISE_HASH; i++)
		pad[i] ^= key[i];
	crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH);
	crypto_generichash_blake2b_update(&state, pad, sizeof(pad));
	if (a_bytes)
		crypto_generichash_blake2b_update(&state, a, a_bytes);
	if (b_bytes)
		crypto_generichash_blake2b_update(&state, b, b_bytes);
	crypto_generichash_blake2b_final(&state, inner, NOISE_HASH);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	hash_two(out, pad, sizeof(pad), inner, sizeof(inner));
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(inner, sizeof(inner));
}

/* HKDF(chain, input): `chain` becomes the first output, the others are the second and third
 * (third may be NULL). */
static void hkdf(uint8_t chain[NOISE_HASH], const void *input, size_t input_bytes,
	uint8_t second[NOISE_HASH], uint8_t third[NOISE_HASH])
{
	static const uint8_t one = 1, two = 2, three = 3;
	uint8_t temp[NOISE_HASH];
	hmac(temp, chain, input, input_bytes, NULL, 0);
	hmac(chain, temp, &one, 1, NULL, 0);
	hmac(second, temp, chain, NOISE_HASH, &two, 1);
	if (third)
		hmac(third, temp, second, NOISE_HASH, &three, 1);
	sodium_memzero(temp, sizeof(temp));
}

static void mix_hash(struct noise_handshake *hs, const void *data, size_t n)
{
	hash_two(hs->hash, hs->hash, NOISE_HASH, data, n);
}

static void set_key(struct noise_handshake *hs, const uint8_t key[NOISE_HASH])
{
	memcpy(hs->key, key, NOISE_KEY);
	hs->counter = 0;
}

static void mix_key(struct noise_handshake *hs, const uint8_t input[32])
{
	uint8_t key[NOISE_HASH];
	hkdf(hs->chain, input, 32, key, NULL);
	set_key(hs, key);
	sodium_memzero(key, sizeof(key));
}

static void mix_key_and_hash(struct noise_handshake *hs, const uint8_t psk[NOISE_KEY])
{
	uint8_t hash[NOISE_HASH], key[NOISE_HASH];
	hkdf(hs->chain, psk, NOISE_KEY, hash, key);
	mix_hash(hs, hash, NOISE_HASH);
	set_key(hs, key);
	sodium_memzero(hash, sizeof(hash));
	sodium_memzero(key, sizeof(key));
}

/* ---- cipher ---------------------------------------------------------------------------- */

/* 32 zero bits, then the counter, little-endian (section 12.3). */
static void nonce_of(uint64_t counter, uint8_t nonce[12])
{
	memset(nonce, 0, 4);
	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static void seal(const uint8_t key[NOISE_KEY], uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out)
{
	uint8_t nonce[12];
	nonce_of(counter, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, n, ad, ad_bytes, NULL, nonce, key);
}

static int unseal(const uint8_t key[NOISE_KEY], uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out)
{
	uint8_t nonce[12];
	nonce_of(counter, nonce);
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, n, ad, ad_bytes, nonce, key) ?
		-EBADMSG : 0;
}

int noise_seal(const struct noise_cipher *cipher, uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out)
{
	if (counter == UINT64_MAX)
		return -EOVERFLOW;
	seal(cipher->key, counter, ad, ad_bytes, in, n, out);
	return 0;
}

int noise_open(const struct noise_cipher *cipher, uint64_t counter, const void *ad, size_t ad_bytes,
	const void *in, size_t n, void *out)
{
	if (counter == UINT64_MAX || n < NOISE_TAG)
		return -EBADMSG;
	return unseal(cipher->key, counter, ad, ad_bytes, in, n, out);
}

/* ---- handshake ------------------------------------------------------------------------- */

int noise_begin(struct noise_handshake *hs, bool initiator, const uint8_t psk[NOISE_KEY],
	const void *prologue, size_t prologue_bytes)
{
	if (sodium_init() < 0)
		return -EIO;
	memset(hs, 0, sizeof(*hs));
	hs->initiator = initiator;
	memcpy(hs->hash, name, sizeof(name) - 1);
	memcpy(hs->chain, hs->hash, NOISE_HASH);
	mix_hash(hs, prologue, prologue_bytes);
	mix_key_and_hash(hs, psk); /* psk0: before all else, so the key itself need not be kept */
	randombytes_buf(hs->own, sizeof(hs->own));
	crypto_scalarmult_base(hs->own_public, hs->own);
	return 0;
}

static bool turn(const struct noise_handshake *hs, bool writes)
{
	return hs->messages < 2 && (hs->messages == 0) == (hs->initiator == writes);
}

/* Token e, which in a handshake with a pre-shared key goes into the keys as well; then, in the
 * second message, ee. */
static int mix_tokens(struct noise_handshake *hs, const uint8_t ephemeral[32])
{
	uint8_t shared[32];
	mix_hash(hs, ephemeral, 32);
	mix_key(hs, ephemeral);
	if (hs->messages == 0)
		return 0;
	/* libsodium refuses a point of small order: the secret would be known to everybody */
	int rc = crypto_scalarmult(shared, hs->own, hs->other_public) ? -EBADMSG : 0;
	if (rc == 0)
		mix_key(hs, shared);
	sodium_memzero(shared, sizeof(shared));
	return rc;
}

int noise_write(struct noise_handshake *hs, const void *payload, size_t n, void *message, size_t room,
	size_t *bytes)
{
	if (!turn(hs, true))
		return -EINVAL;
	if (n > NOISE_MESSAGE_MAX - NOISE_HANDSHAKE || n + NOISE_HANDSHAKE > room)
		return -EMSGSIZE;
	struct noise_handshake after = *hs;
	uint8_t *out = message;
	int rc = mix_tokens(&after, hs->own_public);
	if (rc == 0) {
		memmove(out + 32, payload ? payload : out, n);
		memcpy(out, hs->own_public, 32);
		seal(after.key, after.counter++, after.hash, NOISE_HASH, out + 32, n, out + 32);
		mix_hash(&after, out + 32, n + NOISE_TAG);
		after.messages++;
		*hs = after;
		*bytes = n + NOISE_HANDSHAKE;
	}
	noise_wipe(&after);
	return rc;
}

int noise_read(struct noise_handshake *hs, const void *message, size_t n, void *payload, size_t room,
	size_t *bytes)
{
	if (!turn(hs, false))
		return -EINVAL;
	if (n < NOISE_HANDSHAKE || n > NOISE_MESSAGE_MAX)
		return -EBADMSG;
	if (n - NOISE_HANDSHAKE > room)
		return -EMSGSIZE;
	struct noise_handshake after = *hs;
	const uint8_t *in = message;
	uint8_t sealed_hash[NOISE_HASH];
	memcpy(after.other_public, in, 32);
	int rc = mix_tokens(&after, after.other_public);
	if (rc == 0) {
		memcpy(sealed_hash, after.hash, NOISE_HASH);
		mix_hash(&after, in + 32, n - 32); /* before the payload may be put over the message */
		rc = unseal(after.key, after.counter++, sealed_hash, NOISE_HASH, in + 32, n - 32, payload);
	}
	if (rc == 0) {
		after.messages++;
		*hs = after;
		*bytes = n - NOISE_HANDSHAKE;
	}
	noise_wipe(&after);
	return rc;
}

int noise_split(struct noise_handshake *hs, struct noise_cipher *send, struct noise_cipher *receive,
	uint8_t hash[NOISE_HASH])
{
	uint8_t second[NOISE_HASH];
	if (hs->messages != 2)
		return -EINVAL;
	hkdf(hs->chain, NULL, 0, second, NULL);
	memcpy(hs->initiator ? send->key : receive->key, hs->chain, NOISE_KEY);
	memcpy(hs->initiator ? receive->key : send->key, second, NOISE_KEY);
	if (hash)
		memcpy(hash, hs->hash, NOISE_HASH);
	sodium_memzero(second, sizeof(second));
	noise_wipe(hs);
	return 0;
}

void noise_wipe(struct noise_handshake *hs)
{
	sodium_memzero(hs, sizeof(*hs));
}

void noise_wipe_cipher(struct noise_cipher *cipher)
{
	sodium_memzero(cipher, sizeof(*cipher));
}
