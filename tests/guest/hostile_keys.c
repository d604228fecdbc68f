/* SPDX-License-Identifier: Apache-2.0 */
/* Who has no key, another one, or does not do what the handshake asks for. */
#include "hostile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the engine said of a client that knows everything, for those who try to use it. */
static struct control_keys known;
static unsigned char recorded[VERBS_AUTH_BYTES];

static int dial(const struct raw_key *key)
{
	return raw_dial(&raw, key);
}

static void closed(const char *what, const char *name, uint64_t before)
{
	check(raw_cut(&raw, CUT_MS), "%s: the connection lives on", what);
	check(counts(name, before), "%s was not counted in %s", what, name);
	raw_close(&raw);
	all_is_well(what);
}

static bool reads(void)
{
	return raw_work(&raw, VERBS_CONTROL, IBV_WR_RDMA_READ, known.base_addr, known.base_rkey, 64) ==
		IBV_WC_SUCCESS;
}

static void wrong_keys(void)
{
	struct raw_key wrong = *key_for("");
	uint64_t before = counter("refused_key");
	check(dial(NULL) == -EACCES && strstr(dsm_error(), "wants a key"), "without a key: %s", dsm_error());
	check(counts("refused_key", before), "no key was not counted");
	raw_close(&raw);
	wrong.id[0] ^= 1;
	check(dial(&wrong) == -EACCES && strstr(dsm_error(), "does not know the key"), "an unknown key: %s",
		dsm_error());
	check(counts("refused_key", before + 1), "an unknown key was not counted");
	raw_close(&raw);
	wrong.id[0] ^= 1;
	wrong.psk[7] ^= 1;
	check(raw_connect(&raw, &wrong) != 0, "a wrong key with a right id comes in");
	closed("a wrong key", "refused_key", before + 2);
}

/* READ in each state before HELLO was accepted, by who knows address and rkey already. */
static void reads_too_early(void)
{
	unsigned char out[VERBS_AUTH_BYTES], in[VERBS_AUTH_BYTES];
	const struct raw_key *key = key_for("");
	for (unsigned state = 0; state < 3; state++) {
		int rc = state == 2 ? raw_connect(&raw, key) : dial(key);
		if (rc == 0 && state == 1) {
			rc = verbs_auth_call(&raw.auth, key->psk, &raw.request, &raw.reply, out);
			memcpy(recorded, out, sizeof(out));
			if (rc == 0)
				rc = endpoint_send(&raw.ep, out, sizeof(out));
			if (rc == 0)
				rc = raw_hear(&raw, in, sizeof(in), CUT_MS) == sizeof(in) ? 0 : -EPROTO;
		}
		check(rc == 0, "state %u cannot be reached: %d %s", state, rc, dsm_error());
		check(!reads(), "READ was served %s", state == 0 ? "before the handshake" :
			state == 1 ? "in the middle of the handshake" : "before HELLO");
		raw_close(&raw);
	}
	all_is_well("reading too early");
}

struct wrong_message {
	const char *what;
	bool second;                /* in place of AUTH3, else of AUTH1 */
	enum { FLIPPED, SHORT, LONG, TWICE, RECORDED, PLAIN_HELLO, SEALED_HELLO } how;
};
static const struct wrong_message wrong_messages[] = {
	{ "AUTH1 with a bit flipped", false, FLIPPED },
	{ "AUTH1 cut short", false, SHORT },
	{ "AUTH1 with a byte more", false, LONG },
	{ "AUTH1 of another connection", false, RECORDED },
	{ "HELLO in place of AUTH1", false, PLAIN_HELLO },
	{ "AUTH1 again in place of AUTH3", true, TWICE },
	{ "AUTH3 with a bit flipped", true, FLIPPED },
	{ "AUTH3 cut short", true, SHORT },
	{ "HELLO in place of AUTH3", true, PLAIN_HELLO },
	{ "a sealed HELLO in place of AUTH3", true, SEALED_HELLO },
};

static size_t hello(unsigned char *at, size_t room)
{
	struct control_hello h = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .pid = 1 };
	struct control_writer w;
	control_begin(&w, at, room, CONTROL_HELLO);
	control_put_hello(&w, &h);
	return control_end(&w);
}

static void one_wrong_message(const struct wrong_message *m)
{
	unsigned char first[VERBS_AUTH_BYTES], in[VERBS_AUTH_BYTES], out[512] = { 0 }, plain[400];
	size_t bytes = VERBS_AUTH_BYTES;
	const struct raw_key *key = key_for("");
	uint64_t before = counter("refused_key");
	int rc = dial(key);
	if (rc == 0)
		rc = verbs_auth_call(&raw.auth, key->psk, &raw.request, &raw.reply, first);
	memcpy(out, first, sizeof(first));
	if (rc == 0 && m->second) {
		rc = endpoint_send(&raw.ep, first, sizeof(first));
		int n = rc ? rc : raw_hear(&raw, in, sizeof(in), CUT_MS);
		rc = n < 0 ? n : verbs_auth_take(&raw.auth, in, (size_t)n, out, &bytes);
	}
	check(rc == 0, "%s: %d %s", m->what, rc, dsm_error());
	switch (m->how) {
	case FLIPPED: out[bytes / 2] ^= 4; break;
	case SHORT: bytes--; break;
	case LONG: bytes++; break;
	case TWICE: memcpy(out, first, bytes = sizeof(first)); break;
	case RECORDED: memcpy(out, recorded, bytes); break;
	case PLAIN_HELLO: bytes = hello(out, sizeof(out)); break;
	case SEALED_HELLO:
		bytes = hello(plain, sizeof(plain));
		verbs_auth_seal(&raw.auth, plain, bytes, out); /* counter 1: AUTH3 was never sent */
		bytes += NOISE_TAG;
		break;
	}
	if (rc == 0)
		endpoint_send(&raw.ep, out, bytes);
	closed(m->what, "refused_key", before);
}

/* Who has shown his key, and then says something that is not sealed, or sealed for another time. */
static void seals(void)
{
	static const char *const what[] = { "a message that is not sealed", "a message twice", "a bit flipped",
		"a seal without anything in it" };
	unsigned char plain[400], out[512];
	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = counter("bad_messages");
		size_t n = hello(plain, sizeof(plain));
		int rc = raw_connect(&raw, key_for(""));
		check(rc == 0, "%s: %s", what[i], dsm_error());
		if (rc == 0 && i == 0)
			rc = endpoint_send(&raw.ep, plain, n);
		if (rc == 0 && i) {
			rc = verbs_auth_seal(&raw.auth, plain, i == 3 ? 0 : n, out);
			out[n / 2] ^= i == 2;
			n = (i == 3 ? 0 : n) + NOISE_TAG;
		}
		for (unsigned k = 0; rc == 0 && i && k < (i == 1 ? 2 : 1); k++)
			rc = endpoint_send(&raw.ep, out, n);
		closed(what[i], "bad_messages", before);
	}
}

/* A key that lets read lets do no more. */
static void roles_of_keys(void)
{
	uint64_t before = counter("refused_role");
	check(raw_connect(&raw, key_for("")) == 0 && raw_hello(&raw, "far", 0) == -EACCES &&
		strstr(raw.welcome.text, "does not allow"), "a reader's key gives a role: %s", raw.welcome.text);
	raw_close(&raw);
	check(raw_connect(&raw, key_for("rival")) == 0 && raw_hello(&raw, "far", 0) == -EACCES,
		"an owner's key gives another role: %s", raw.welcome.text);
	raw_close(&raw);
	check(counts("refused_role", before + 1), "roles that a key does not allow were not counted");
	all_is_well("roles of keys");
}

/* A key is taken away: who has it goes at once, also in the middle of a handshake, nobody else does. */
static void a_key_goes(void)
{
	static struct raw half;
	uint64_t before = counter("refused_key");
	if (!greet(&raw, "far", 0))
		return;
	check(raw_dial(&half, key_for("far")) == 0, "%s", dsm_error());
	check(write_keys("owner:far") && dsm_engine_reload_keys(engine) == 0, "reload: %s", dsm_error());
	check(raw_cut(&half, CUT_MS), "half a handshake goes on without its key");
	raw_close(&half);
	check(raw_work(&raw, VERBS_CONTROL, IBV_WR_RDMA_READ, raw.keys.base_addr, raw.keys.base_rkey, 64) !=
		IBV_WC_SUCCESS, "READ is served after the key has gone");
	check(raw_cut(&raw, CUT_MS), "a session goes on without its key");
	check(counts("refused_key", before + 1), "sessions whose key has gone were not counted");
	raw_close(&raw);
	check(dial(key_for("far")) == -EACCES, "a key that was taken away lets in");
	raw_close(&raw);
	check(raw_work(&other, VERBS_CONTROL, IBV_WR_RDMA_READ, known.base_addr, known.base_rkey, 64) ==
		IBV_WC_SUCCESS, "another's session has ended with that key");
	all_is_well("a key that goes");
	check(write_keys("") && dsm_engine_reload_keys(engine) == 0, "reload: %s", dsm_error());
	check(greet(&raw, "far", 0), "a key that is back lets nobody in");
	raw_close(&raw);
}

void keys_attacks(void)
{
	if (!greet(&other, "", 0))
		return;
	known = other.keys;
	wrong_keys();
	reads_too_early();
	for (size_t i = 0; i < sizeof(wrong_messages) / sizeof(wrong_messages[0]); i++)
		one_wrong_message(&wrong_messages[i]);
	seals();
	roles_of_keys();
	a_key_goes();
	/* and the one that did all of it may read */
	check(raw_work(&other, VERBS_CONTROL, IBV_WR_RDMA_READ, known.base_addr, known.base_rkey, 64) ==
		IBV_WC_SUCCESS, "READ of the header was refused after HELLO");
	raw_close(&other);
}
