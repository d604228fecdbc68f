/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of keys over rdma as a state machine: each message once, in its order, of this
 * connection and no other; afterwards nothing that is not sealed for its very place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "wire/verbs_auth.h"

static const uint8_t psk[NOISE_KEY] = "thirty-two bytes that both have";
static struct verbs_auth client, engine;
static struct verbs_request request;
static struct verbs_reply reply;
static unsigned char auth1[VERBS_AUTH_BYTES], auth2[VERBS_AUTH_BYTES], auth3[VERBS_AUTH_BYTES];
static unsigned char none[VERBS_AUTH_BYTES];
static size_t n;

static void set_up(void)
{
	request = (struct verbs_request){ .kind = VERBS_CONTROL, .credits = 32, .key_id = { 1, 2, 3 } };
	reply = (struct verbs_reply){ .kind = VERBS_CONTROL, .credits = 32, .flags = REPLY_KEYS, .nonce = { 9 } };
}

static void begin(void)
{
	cr_assert_eq(verbs_auth_await(&engine, psk, &request, &reply), 0);
	cr_assert_eq(verbs_auth_call(&client, psk, &request, &reply, auth1), 0);
}

static void up_to_second(void)
{
	begin();
	cr_assert_eq(verbs_auth_take(&engine, auth1, VERBS_AUTH_BYTES, auth2, &n), 0);
	cr_assert_eq(n, VERBS_AUTH_BYTES);
	cr_assert_eq(engine.state, VERBS_AUTH_THIRD);
}

static void up_to_third(void)
{
	up_to_second();
	cr_assert_eq(verbs_auth_take(&client, auth2, VERBS_AUTH_BYTES, auth3, &n), 0);
	cr_assert_eq(n, VERBS_AUTH_LAST);
	cr_assert_eq(client.state, VERBS_AUTH_SEALED);
}

static void all(void)
{
	up_to_third();
	cr_assert_eq(verbs_auth_take(&engine, auth3, VERBS_AUTH_LAST, none, &n), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(engine.state, VERBS_AUTH_SEALED);
}

TestSuite(verbs_auth, .init = set_up);

/* After a failure nothing passes any more, the right message neither. */
static void refused(struct verbs_auth *a, const void *message, size_t bytes, int rc)
{
	unsigned char out[64];
	n = 77;
	cr_assert_eq(verbs_auth_take(a, message, bytes, none, &n), rc);
	cr_assert_eq(n, 0, "nothing is answered");
	cr_assert_eq(a->state, VERBS_AUTH_FAILED);
	cr_assert_eq(verbs_auth_take(a, auth1, VERBS_AUTH_BYTES, none, &n), -EINVAL);
	cr_assert_eq(verbs_auth_take(a, auth3, VERBS_AUTH_LAST, none, &n), -EINVAL);
	cr_assert_eq(verbs_auth_seal(a, "x", 1, out), -EINVAL);
	cr_assert_eq(verbs_auth_open(a, auth3, VERBS_AUTH_LAST, out, sizeof(out)), -EINVAL);
}

Test(verbs_auth, three_messages_and_then_both_ways)
{
	unsigned char wire[64], text[64];
	all();
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(verbs_auth_seal(&client, "hello", 5, wire), 0);
		verbs_auth_sent(&client);
		cr_assert_eq(verbs_auth_open(&engine, wire, 5 + NOISE_TAG, text, sizeof(text)), 5);
		cr_assert_arr_eq(text, "hello", 5);
		cr_assert_eq(verbs_auth_seal(&engine, "welcome", 7, wire), 0);
		verbs_auth_sent(&engine);
		cr_assert_eq(verbs_auth_open(&client, wire, 7 + NOISE_TAG, text, sizeof(text)), 7);
	}
	verbs_auth_wipe(&engine);
	static const struct verbs_auth zero;
	cr_assert_eq(memcmp(&engine, &zero, sizeof(zero)), 0);
}

/* What could not be sent is sealed again under the same number, and that is what counts. */
Test(verbs_auth, only_what_was_sent_counts)
{
	unsigned char wire[64], text[64];
	all();
	cr_assert_eq(verbs_auth_seal(&client, "lost", 4, wire), 0);
	cr_assert_eq(verbs_auth_seal(&client, "sent", 4, wire), 0);
	verbs_auth_sent(&client);
	cr_assert_eq(verbs_auth_open(&engine, wire, 4 + NOISE_TAG, text, sizeof(text)), 4);
	cr_assert_arr_eq(text, "sent", 4);
}

Test(verbs_auth, each_bit_flipped)
{
	unsigned char bad[VERBS_AUTH_BYTES];
	for (unsigned bit = 0; bit < VERBS_AUTH_BYTES * 8; bit++) {
		/* the version says so by itself */
		int rc = bit / 8 == 4 || bit / 8 == 5 ? -EPROTONOSUPPORT : -EBADMSG;
		begin();
		memcpy(bad, auth1, sizeof(bad));
		bad[bit / 8] ^= (unsigned char)(1u << bit % 8);
		refused(&engine, bad, sizeof(bad), rc);
		up_to_second();
		memcpy(bad, auth2, sizeof(bad));
		bad[bit / 8] ^= (unsigned char)(1u << bit % 8);
		refused(&client, bad, sizeof(bad), rc);
		if (bit >= VERBS_AUTH_LAST * 8)
			continue;
		up_to_third();
		memcpy(bad, auth3, VERBS_AUTH_LAST);
		bad[bit / 8] ^= (unsigned char)(1u << bit % 8);
		refused(&engine, bad, VERBS_AUTH_LAST, -EBADMSG);
	}
}

Test(verbs_auth, each_length)
{
	unsigned char bad[VERBS_AUTH_BYTES + 8] = { 0 };
	for (size_t bytes = 0; bytes <= sizeof(bad); bytes++) {
		begin();
		memcpy(bad, auth1, VERBS_AUTH_BYTES);
		if (bytes != VERBS_AUTH_BYTES)
			refused(&engine, bad, bytes, -EBADMSG);
		up_to_second();
		memcpy(bad, auth2, VERBS_AUTH_BYTES);
		if (bytes != VERBS_AUTH_BYTES)
			refused(&client, bad, bytes, -EBADMSG);
		up_to_third();
		memcpy(bad, auth3, VERBS_AUTH_LAST);
		if (bytes != VERBS_AUTH_LAST)
			refused(&engine, bad, bytes, -EBADMSG);
	}
}

Test(verbs_auth, out_of_order_or_twice)
{
	begin();
	refused(&engine, auth2, VERBS_AUTH_BYTES, -EBADMSG);
	begin();
	refused(&engine, auth3, VERBS_AUTH_LAST, -EBADMSG);
	up_to_second();
	refused(&engine, auth1, VERBS_AUTH_BYTES, -EBADMSG);
	up_to_second();
	refused(&client, auth1, VERBS_AUTH_BYTES, -EBADMSG); /* sent back */
	all();
	cr_assert_eq(verbs_auth_take(&engine, auth3, VERBS_AUTH_LAST, none, &n), -EINVAL); /* once more */
	cr_assert_eq(engine.state, VERBS_AUTH_FAILED);
	all();
	cr_assert_eq(verbs_auth_take(&client, auth2, VERBS_AUTH_BYTES, none, &n), -EINVAL);
}

/* A recording of all that a client said is of no use at the next connection: the engine's nonce is new. */
Test(verbs_auth, a_recording_of_another_connection)
{
	unsigned char first[VERBS_AUTH_BYTES], third[VERBS_AUTH_BYTES];
	all();
	memcpy(first, auth1, sizeof(first));
	memcpy(third, auth3, sizeof(third));
	reply.nonce[0]++;
	begin();
	refused(&engine, first, sizeof(first), -EBADMSG);
	reply.nonce[0]--; /* were it not new: AUTH3 would not verify, because the engine's own key is */
	begin();
	cr_assert_eq(verbs_auth_take(&engine, first, sizeof(first), auth2, &n), 0);
	refused(&engine, third, VERBS_AUTH_LAST, -EBADMSG);
}

/* Whatever the two sides did not see alike. */
Test(verbs_auth, what_was_changed_on_the_way)
{
	for (unsigned what = 0; what < 5; what++) {
		struct verbs_request q = request;
		struct verbs_reply p = reply;
		q.credits += what == 0;
		q.key_id[7] ^= what == 1;
		p.credits += what == 2;
		p.nonce[15] ^= what == 3;
		p.flags ^= what == 4 ? REPLY_KEYS : 0;
		begin();
		cr_assert_eq(verbs_auth_call(&client, psk, &q, &p, auth1), 0);
		refused(&engine, auth1, VERBS_AUTH_BYTES, -EBADMSG);
	}
}

Test(verbs_auth, another_key)
{
	uint8_t wrong[NOISE_KEY];
	memcpy(wrong, psk, sizeof(wrong));
	wrong[31] ^= 128;
	begin();
	cr_assert_eq(verbs_auth_call(&client, wrong, &request, &reply, auth1), 0);
	refused(&engine, auth1, VERBS_AUTH_BYTES, -EBADMSG);
	/* an engine that does not have it says AUTH2 to no avail */
	begin();
	cr_assert_eq(verbs_auth_await(&engine, wrong, &request, &reply), 0);
	cr_assert_eq(verbs_auth_call(&client, wrong, &request, &reply, auth1), 0);
	cr_assert_eq(verbs_auth_take(&engine, auth1, VERBS_AUTH_BYTES, auth2, &n), 0);
	cr_assert_eq(verbs_auth_call(&client, psk, &request, &reply, auth1), 0);
	refused(&client, auth2, VERBS_AUTH_BYTES, -EBADMSG);
}

Test(verbs_auth, before_it_is_done_nothing_is_sealed_or_opened)
{
	unsigned char wire[64];
	begin();
	cr_assert_eq(verbs_auth_seal(&engine, "x", 1, wire), -EINVAL);
	cr_assert_eq(verbs_auth_open(&engine, auth1, VERBS_AUTH_BYTES, wire, sizeof(wire)), -EINVAL);
	up_to_second();
	cr_assert_eq(verbs_auth_seal(&engine, "x", 1, wire), -EINVAL);
	struct verbs_auth off = { 0 };
	cr_assert_eq(verbs_auth_seal(&off, "x", 1, wire), -EINVAL);
	cr_assert_eq(verbs_auth_take(&off, auth1, VERBS_AUTH_BYTES, none, &n), -EINVAL);
}

Test(verbs_auth, sealed_messages_have_one_place)
{
	unsigned char first[64], second[64], text[64];
	for (unsigned how = 0; how < 6; how++) {
		all();
		cr_assert_eq(verbs_auth_seal(&client, "first", 5, first), 0);
		verbs_auth_sent(&client);
		cr_assert_eq(verbs_auth_seal(&client, "second", 6, second), 0);
		if (how == 0) { /* left out */
			cr_assert_eq(verbs_auth_open(&engine, second, 6 + NOISE_TAG, text, 64), -EBADMSG);
		} else if (how == 1) { /* twice */
			cr_assert_eq(verbs_auth_open(&engine, first, 5 + NOISE_TAG, text, 64), 5);
			cr_assert_eq(verbs_auth_open(&engine, first, 5 + NOISE_TAG, text, 64), -EBADMSG);
		} else if (how == 2) { /* back to where it came from */
			cr_assert_eq(verbs_auth_open(&client, first, 5 + NOISE_TAG, text, 64), -EBADMSG);
			continue;
		} else if (how == 3) { /* cut short */
			cr_assert_eq(verbs_auth_open(&engine, first, 4 + NOISE_TAG, text, 64), -EBADMSG);
		} else if (how == 4) { /* not even a seal */
			cr_assert_eq(verbs_auth_open(&engine, first, NOISE_TAG - 1, text, 64), -EBADMSG);
		} else { /* more than there is room for */
			cr_assert_eq(verbs_auth_open(&engine, first, 5 + NOISE_TAG, text, 4), -EMSGSIZE);
		}
		cr_assert_eq(engine.state, VERBS_AUTH_FAILED);
		cr_assert_eq(verbs_auth_open(&engine, first, 5 + NOISE_TAG, text, 64), -EINVAL);
	}
}

Test(verbs_auth, a_proof_is_for_one_pair)
{
	static const uint8_t token[VERBS_TOKEN_BYTES] = { 1, 2, 3 };
	uint8_t proof[VERBS_PROOF_BYTES], again[VERBS_PROOF_BYTES], other[VERBS_TOKEN_BYTES] = { 1, 2, 4 };
	verbs_proof(token, VERBS_READ, 7, 99, proof);
	verbs_proof(token, VERBS_READ, 7, 99, again);
	cr_assert_arr_eq(proof, again, sizeof(proof));
	cr_assert_neq(memcmp(proof, token, sizeof(proof)), 0);
	verbs_proof(token, VERBS_WRITE, 7, 99, again);
	cr_assert_neq(memcmp(proof, again, sizeof(proof)), 0);
	verbs_proof(token, VERBS_READ, 8, 99, again);
	cr_assert_neq(memcmp(proof, again, sizeof(proof)), 0);
	verbs_proof(token, VERBS_READ, 7, 98, again);
	cr_assert_neq(memcmp(proof, again, sizeof(proof)), 0);
	verbs_proof(other, VERBS_READ, 7, 99, again);
	cr_assert_neq(memcmp(proof, again, sizeof(proof)), 0);
}
