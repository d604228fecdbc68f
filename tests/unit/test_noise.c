/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake against the vectors of another implementation, and against those who meddle. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "wire/noise.h"

/*
 * The vector "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b" of Cacophony, a Haskell implementation
 * (https://github.com/haskell-cryptography/cacophony, vectors/cacophony.txt, commit 36c1e5c;
 * in the public domain). Numbers only; see NOTICE.
 */
static const char prologue_hex[] = "4a6f686e2047616c74";
static const char psk_hex[] = "54686973206973206d7920417573747269616e20706572737065637469766521";
static const char init_ephemeral_hex[] =
	"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char resp_ephemeral_hex[] =
	"bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
static const struct { const char *payload, *sealed; } vector[] = {
	{ "4c756477696720766f6e204d69736573",
	  "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "ed63df2f5a12aee1185ee9c50305f2ecf12421dcb53c047a63b784cf7c54a105" },
	{ "4d757272617920526f746862617264",
	  "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
	  "0e0fe7d5c0c9b92f7478716c8852f1b4f389edb75e3ebe546fafafd5b6f0f7" },
	{ "462e20412e20486179656b", "0fe04b26dcfbb69f8a6a94c61f1a26ef88769218d32f5d17c068a6" },
	{ "4361726c204d656e676572", "2239e0c540c01f09eb1f4cc5258fd5acfefff18a5a3773f21b7bfe" },
	{ "4a65616e2d426170746973746520536179",
	  "f216cb03d30fb8af1e561fe02a07552d09b416e27a75e62c77d193718b0bdaae9f" },
	{ "457567656e2042f6686d20766f6e2042617765726b",
	  "6e8baf98b944184dd7dc5ef14d8108cbeca626de118a5460f3308e294d61e17238bce29bd9" },
};

static size_t unhex(uint8_t *out, size_t room, const char *text)
{
	size_t n = 0;
	cr_assert_eq(sodium_hex2bin(out, room, text, strlen(text), NULL, &n, NULL), 0);
	return n;
}

static void expect_hex(const uint8_t *data, size_t n, const char *text)
{
	char hex[300];
	sodium_bin2hex(hex, sizeof(hex), data, n);
	cr_expect_str_eq(hex, text);
}

/* noise_begin() has drawn a key already: put the vector's in its place. */
static void fix_ephemeral(struct noise_handshake *hs, const char *text)
{
	unhex(hs->own, sizeof(hs->own), text);
	crypto_scalarmult_base(hs->own_public, hs->own);
}

static uint8_t psk[NOISE_KEY];
static struct noise_handshake init, resp;

static void begin_both(const char *prologue_a, const char *prologue_b)
{
	unhex(psk, sizeof(psk), psk_hex);
	cr_assert_eq(noise_begin(&init, true, psk, prologue_a, strlen(prologue_a)), 0);
	cr_assert_eq(noise_begin(&resp, false, psk, prologue_b, strlen(prologue_b)), 0);
}

Test(noise, vectors_of_another_implementation)
{
	uint8_t prologue[16], payload[64], message[128], opened[64];
	size_t prologue_bytes = unhex(prologue, sizeof(prologue), prologue_hex), bytes = 0;
	unhex(psk, sizeof(psk), psk_hex);
	cr_assert_eq(noise_begin(&init, true, psk, prologue, prologue_bytes), 0);
	cr_assert_eq(noise_begin(&resp, false, psk, prologue, prologue_bytes), 0);
	fix_ephemeral(&init, init_ephemeral_hex);
	fix_ephemeral(&resp, resp_ephemeral_hex);
	for (size_t i = 0; i < 2; i++) {
		size_t n = unhex(payload, sizeof(payload), vector[i].payload);
		cr_assert_eq(noise_write(i ? &resp : &init, payload, n, message, sizeof(message), &bytes), 0);
		expect_hex(message, bytes, vector[i].sealed);
		cr_assert_eq(noise_read(i ? &init : &resp, message, bytes, opened, sizeof(opened), &bytes), 0);
		expect_hex(opened, bytes, vector[i].payload);
	}
	struct noise_cipher a_send, a_receive, b_send, b_receive;
	uint8_t a_hash[NOISE_HASH], b_hash[NOISE_HASH];
	cr_assert_eq(noise_split(&init, &a_send, &a_receive, a_hash), 0);
	cr_assert_eq(noise_split(&resp, &b_send, &b_receive, b_hash), 0);
	cr_expect_arr_eq(a_hash, b_hash, NOISE_HASH);
	for (size_t i = 2; i < sizeof(vector) / sizeof(vector[0]); i++) {
		size_t n = unhex(payload, sizeof(payload), vector[i].payload);
		uint64_t counter = (i - 2) / 2;
		cr_assert_eq(noise_seal(i % 2 ? &b_send : &a_send, counter, NULL, 0, payload, n, message), 0);
		expect_hex(message, n + NOISE_TAG, vector[i].sealed);
		cr_assert_eq(noise_open(i % 2 ? &a_receive : &b_receive, counter, NULL, 0, message,
			n + NOISE_TAG, message), 0);
		expect_hex(message, n, vector[i].payload);
	}
}

/* Both handshakes run to their end over `message`s that nobody touches. */
static void complete(struct noise_cipher c[4])
{
	uint8_t message[NOISE_HANDSHAKE];
	size_t n;
	begin_both("p", "p");
	cr_assert_eq(noise_write(&init, NULL, 0, message, sizeof(message), &n), 0);
	cr_assert_eq(noise_read(&resp, message, n, NULL, 0, &n), 0);
	cr_assert_eq(noise_write(&resp, NULL, 0, message, sizeof(message), &n), 0);
	cr_assert_eq(n, NOISE_HANDSHAKE);
	cr_assert_eq(noise_read(&init, message, n, NULL, 0, &n), 0);
	cr_assert_eq(noise_split(&init, &c[0], &c[1], NULL), 0);
	cr_assert_eq(noise_split(&resp, &c[3], &c[2], NULL), 0);
	cr_assert_arr_eq(c[0].key, c[2].key, NOISE_KEY);
	cr_assert_arr_eq(c[1].key, c[3].key, NOISE_KEY);
	cr_assert(memcmp(c[0].key, c[1].key, NOISE_KEY) != 0);
}

static bool all_zero(const void *data, size_t n)
{
	return sodium_is_zero(data, n);
}

Test(noise, every_handshake_has_other_keys_and_leaves_none)
{
	struct noise_cipher first[4], second[4];
	complete(first);
	cr_expect(all_zero(&init, sizeof(init)) && all_zero(&resp, sizeof(resp)));
	complete(second);
	cr_expect(memcmp(first[0].key, second[0].key, NOISE_KEY) != 0);
	noise_wipe_cipher(&first[0]);
	cr_expect(all_zero(&first[0], sizeof(first[0])));
	begin_both("p", "p");
	noise_wipe(&init);
	cr_expect(all_zero(&init, sizeof(init)));
}

Test(noise, other_key_or_prologue)
{
	uint8_t message[64], out[16];
	size_t n = 77;
	begin_both("version 1", "version 2");
	cr_assert_eq(noise_write(&init, "hello", 5, message, sizeof(message), &n), 0);
	cr_expect_eq(noise_read(&resp, message, n, out, sizeof(out), &n), -EBADMSG);
	psk[31] ^= 1;
	cr_assert_eq(noise_begin(&resp, false, psk, "version 1", 9), 0);
	cr_expect_eq(noise_read(&resp, message, n, out, sizeof(out), &n), -EBADMSG);
	psk[31] ^= 1; /* control: it was the key */
	cr_assert_eq(noise_begin(&resp, false, psk, "version 1", 9), 0);
	cr_expect_eq(noise_read(&resp, message, n, out, sizeof(out), &n), 0);
	cr_expect_eq(n, 5u);
}

/* Forged replies neither pass nor end the handshake: the true one is still taken. */
Test(noise, every_bit_counts_and_the_state_survives)
{
	uint8_t one[64], two[64], forged[64], out[16];
	size_t n1, n2, n;
	begin_both("p", "p");
	cr_assert_eq(noise_write(&init, "ask", 3, one, sizeof(one), &n1), 0);
	struct noise_handshake before = resp;
	for (size_t bit = 0; bit < 8 * n1; bit++) {
		memcpy(forged, one, n1);
		forged[bit / 8] ^= (uint8_t)(1u << bit % 8);
		memset(out, 0xaa, sizeof(out));
		/* the top bit of an X25519 point is ignored by it, not by the hash */
		cr_assert_eq(noise_read(&resp, forged, n1, out, sizeof(out), &n), -EBADMSG, "bit %zu", bit);
		cr_assert_arr_eq(&resp, &before, sizeof(resp));
		cr_assert(memcmp(out, "ask", 3) != 0, "unverified text was given out");
	}
	for (size_t cut = 0; cut < n1; cut++)
		cr_assert_eq(noise_read(&resp, one, cut, out, sizeof(out), &n), -EBADMSG);
	cr_assert_eq(noise_read(&resp, one, n1, out, sizeof(out), &n), 0);
	cr_assert_eq(noise_write(&resp, "yes", 3, two, sizeof(two), &n2), 0);
	for (size_t bit = 0; bit < 8 * n2; bit++) {
		memcpy(forged, two, n2);
		forged[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(noise_read(&init, forged, n2, out, sizeof(out), &n), -EBADMSG, "bit %zu", bit);
	}
	cr_assert_eq(noise_read(&init, two, n2, out, sizeof(out), &n), 0);
	cr_assert_eq(memcmp(out, "yes", 3), 0);
}

/* With a point of small order the secret would be all zero, whoever has the key or not. */
Test(noise, points_of_small_order)
{
	static const uint8_t small[][32] = { { 0 }, { 1 } };
	uint8_t message[64], out[16];
	size_t n;
	for (size_t i = 0; i < 2; i++) {
		begin_both("p", "p");
		/* an initiator that has the key, but sends that point: the responder's answer fails */
		memcpy(init.own_public, small[i], 32);
		cr_assert_eq(noise_write(&init, NULL, 0, message, sizeof(message), &n), 0);
		cr_assert_eq(noise_read(&resp, message, n, out, sizeof(out), &n), 0);
		cr_expect_eq(noise_write(&resp, NULL, 0, message, sizeof(message), &n), -EBADMSG);
	}
}

Test(noise, turns_and_room)
{
	uint8_t message[NOISE_HANDSHAKE + 8], out[8];
	static uint8_t big[NOISE_MESSAGE_MAX + 1];
	struct noise_cipher a, b;
	size_t n = 99;
	begin_both("", "");
	cr_expect_eq(noise_write(&resp, NULL, 0, message, sizeof(message), &n), -EINVAL);
	cr_expect_eq(noise_read(&init, message, sizeof(message), out, sizeof(out), &n), -EINVAL);
	cr_expect_eq(noise_split(&init, &a, &b, NULL), -EINVAL);
	cr_expect_eq(noise_write(&init, "123456789", 9, message, sizeof(message), &n), -EMSGSIZE);
	cr_expect_eq(noise_write(&init, big, NOISE_MESSAGE_MAX - NOISE_HANDSHAKE + 1, big, sizeof(big), &n),
		-EMSGSIZE);
	cr_expect_eq(noise_write(&init, big, SIZE_MAX, big, SIZE_MAX, &n), -EMSGSIZE);
	cr_expect_eq(n, 99u);
	cr_assert_eq(noise_write(&init, "12345678", 8, message, sizeof(message), &n), 0);
	cr_expect_eq(noise_write(&init, NULL, 0, message, sizeof(message), &n), -EINVAL);
	cr_expect_eq(noise_read(&resp, message, n, out, 7, &n), -EMSGSIZE);
	cr_expect_eq(noise_read(&resp, big, sizeof(big), out, sizeof(out), &n), -EBADMSG);
	cr_assert_eq(noise_read(&resp, message, n, out, 8, &n), 0);
	cr_expect_eq(noise_read(&resp, message, sizeof(message), out, 8, &n), -EINVAL);
	cr_assert_eq(noise_write(&resp, NULL, 0, message, sizeof(message), &n), 0);
	cr_assert_eq(noise_read(&init, message, n, NULL, 0, &n), 0);
	cr_expect_eq(noise_write(&init, NULL, 0, message, sizeof(message), &n), -EINVAL);
}

/* The largest handshake message, with the payload read over itself. */
Test(noise, largest_in_place)
{
	static uint8_t message[NOISE_MESSAGE_MAX];
	size_t n, room = NOISE_MESSAGE_MAX - NOISE_HANDSHAKE;
	begin_both("", "");
	memset(message, 7, sizeof(message));
	cr_assert_eq(noise_write(&init, message, room, message, sizeof(message), &n), 0);
	cr_assert_eq(n, NOISE_MESSAGE_MAX);
	cr_assert_eq(noise_read(&resp, message, n, message + 32, room, &n), 0);
	cr_expect_eq(n, room);
	cr_expect(message[32] == 7 && message[32 + room - 1] == 7);
}

Test(noise, datagrams)
{
	struct noise_cipher c[4];
	uint8_t sealed[48], again[48], out[32];
	complete(c);
	cr_assert_eq(noise_seal(&c[0], 5, "head", 4, "some text", 9, sealed), 0);
	cr_expect_eq(noise_open(&c[2], 5, "head", 4, sealed, 25, out), 0);
	cr_expect_eq(memcmp(out, "some text", 9), 0);
	/* in any order, as often as one likes: that is for replay.h */
	cr_assert_eq(noise_seal(&c[0], 3, "head", 4, "x", 1, again), 0);
	cr_expect_eq(noise_open(&c[2], 3, "head", 4, again, 17, out), 0);
	cr_expect_eq(noise_open(&c[2], 4, "head", 4, sealed, 25, out), -EBADMSG);
	cr_expect_eq(noise_open(&c[2], 5, "heaD", 4, sealed, 25, out), -EBADMSG);
	cr_expect_eq(noise_open(&c[2], 5, "head", 3, sealed, 25, out), -EBADMSG);
	cr_expect_eq(noise_open(&c[1], 5, "head", 4, sealed, 25, out), -EBADMSG, "the other direction");
	cr_expect_eq(noise_open(&c[2], 5, "head", 4, sealed, 24, out), -EBADMSG);
	cr_expect_eq(noise_open(&c[2], 5, "head", 4, sealed, 15, out), -EBADMSG);
	cr_expect_eq(noise_open(&c[2], 5, "head", 4, sealed, 0, out), -EBADMSG);
	for (size_t bit = 0; bit < 8 * 25; bit++) {
		memcpy(again, sealed, 25);
		again[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(noise_open(&c[2], 5, "head", 4, again, 25, out), -EBADMSG);
	}
	cr_expect_eq(noise_seal(&c[0], UINT64_MAX, NULL, 0, "x", 1, sealed), -EOVERFLOW);
	cr_expect_eq(noise_open(&c[2], UINT64_MAX, NULL, 0, sealed, 17, out), -EBADMSG);
	cr_expect_eq(noise_seal(&c[0], UINT64_MAX - 1, NULL, 0, "x", 1, sealed), 0);
}
