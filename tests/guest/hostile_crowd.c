/* SPDX-License-Identifier: Apache-2.0 */
/* Crowds and rubbish: what costs the engine time, memory or places. */
#include "hostile.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CROWD 40
static struct raw many[CROWD];

/* One who is not through: says nothing, or AUTH1 and no more, or shows his key and then says nothing. */
static int half_open(struct raw *r, unsigned how)
{
	unsigned char out[VERBS_AUTH_BYTES];
	const struct raw_key *key = key_for("");
	int rc = how == 2 ? raw_connect(r, key) : raw_dial(r, key);
	if (rc == 0 && how == 1)
		rc = verbs_auth_call(&r->auth, key->psk, &r->request, &r->reply, out);
	return rc || how != 1 ? rc : endpoint_send(&r->ep, out, sizeof(out));
}

/* How many places strangers get; UINT32_MAX: connecting took so long that the first may have been gone. */
static unsigned strangers(int *rc)
{
	unsigned in = 0;
	uint64_t begin_ms = now_ms();
	*rc = 0;
	while (in < CROWD && (*rc = half_open(&many[in], in % 3)) == 0)
		in++;
	return now_ms() - begin_ms < 4500 ? in : UINT32_MAX;
}

static void disperse(void)
{
	for (unsigned i = 0; i < CROWD; i++)
		raw_close(&many[i]);
}

static void crowd(void)
{
	int rc = 0;
	unsigned in = UINT32_MAX;
	uint64_t full = counter("refused_full"), late = counter("refused_key");
	for (int turn = 0; turn < 5 && in == UINT32_MAX; turn++) {
		disperse();
		usleep(300000);
		in = strangers(&rc);
	}
	if (in == UINT32_MAX)
		printf("skipped: how many places strangers get: connecting took longer than they may stay\n");
	else
		check(rc == -EUSERS && in >= HOSTILE_CLIENTS / 4 && in <= HOSTILE_CLIENTS / 2 + 1,
			"%u half-open handshakes have places (%d %s)", in, rc, dsm_error());
	check(counts("refused_full", full), "who found no place was not counted");
	all_is_well("a crowd of strangers");
	check(raw_cut(&many[0], 9000), "who says nothing keeps his place");
	check(raw_cut(&many[1], CUT_MS), "who says AUTH1 and no more keeps his place");
	check(raw_cut(&many[2], CUT_MS), "who says no HELLO keeps his place");
	check(counts("refused_key", late + 1), "handshakes that were not ended were not counted");
	disperse();
	bool good = false;
	for (int i = 0; i < 50 && !good; i++) {
		good = raw_connect(&raw, key_for("")) == 0 && raw_hello(&raw, "", 0) == 0;
		raw_close(&raw);
		usleep(100000);
	}
	check(good, "no place after the crowd has gone: %s", dsm_error());
	all_is_well("the crowd");
}

/* One message, sealed, as the one frame that it is: into the buffer, from which work is posted. */
static size_t sealed_frame(const unsigned char *message, size_t n)
{
	struct verbs_frame f = { (uint32_t)(n + NOISE_TAG), FRAME_FIRST | FRAME_LAST, 0 };
	verbs_put_frame(raw.buffer.at, &f);
	if (verbs_auth_seal(&raw.auth, message, n, raw.buffer.at + VERBS_FRAME_HEAD) == 0)
		verbs_auth_sent(&raw.auth);
	return VERBS_FRAME_HEAD + n + NOISE_TAG;
}

static void rubbish(void)
{
	unsigned char message[200];
	uint64_t random = 99, bad = counter("bad_messages");
	for (int i = 0; i < 12; i++) { /* frames: wrong lengths, flags, credits; then messages */
		if (i % 2 ? !greet(&raw, "", 0) : raw_connect(&raw, key_for("")) != 0)
			break;
		for (unsigned k = 0; k < 256; k++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			raw.buffer.at[k] = (unsigned char)(random >> 56);
		}
		size_t bytes = 1 + 50u * (unsigned)i;
		if (i >= 6) /* a good frame of a bad message */
			bytes = sealed_frame(memcpy(message, raw.buffer.at, sizeof(message)), sizeof(message));
		raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, (uint32_t)bytes);
		check(raw_cut(&raw, CUT_MS), "rubbish %d was not cut off", i);
		raw_close(&raw);
	}
	check(counts("bad_messages", bad + 11), "rubbish was not counted");
	all_is_well("rubbish");
}

/* Asks and asks, and never takes an answer. */
static void never_reads(void)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	if (!greet(&raw, "", 0))
		return;
	control_begin(&w, message, sizeof(message), CONTROL_CLIENTS);
	control_end(&w);
	uint64_t slow = counter("slow_clients"), bad = counter("bad_messages");
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	for (int i = 0; i < 4000 && status == IBV_WC_SUCCESS; i++)
		status = raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0,
			(uint32_t)sealed_frame(message, sizeof(message)));
	check(raw_cut(&raw, CUT_MS), "who never reads is served for ever");
	check(counts("slow_clients", slow) || counter("bad_messages") > bad, "who never reads is not counted");
	raw_close(&raw);
	all_is_well("one who never reads");
}

/* Requests for connections that are none. */
static void junk(void)
{
	static const struct { const char *what; uint8_t at, value; int status; const char *counter; } parts[] = {
		{ "another magic", 0, 'X', -EBADMSG, "bad_messages" },
		{ "another version", 4, 9, -EPROTONOSUPPORT, "refused_version" },
		{ "no such kind", 6, 7, -EBADMSG, "bad_messages" },
		{ "a session where none is", 8, 1, -EBADMSG, "bad_messages" },
		{ "impossible credits", 12, 1, -EBADMSG, "bad_messages" },
		{ "credits without end", 15, 255, -EBADMSG, "bad_messages" },
	};
	unsigned char good[VERBS_REQUEST_BYTES], bytes[56];
	struct verbs_request q = { .kind = VERBS_CONTROL, .credits = ENDPOINT_RECVS };
	memcpy(q.key_id, key_for("")->id, KEY_ID_BYTES);
	verbs_put_request(good, &q);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t before = counter(parts[i].counter);
		memcpy(bytes, good, sizeof(good));
		bytes[parts[i].at] = parts[i].value;
		int rc = raw_junk(&raw, bytes, sizeof(good));
		check(rc == parts[i].status, "private data with %s: %d", parts[i].what, rc);
		check(counts(parts[i].counter, before), "private data with %s was not counted", parts[i].what);
		raw_close(&raw);
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	for (uint8_t n = 0; n <= sizeof(bytes); n = (uint8_t)(n + 28)) {
		int rc = raw_junk(&raw, bytes, n);
		check(rc == -EBADMSG, "%u bytes of junk: %d", n, rc);
		raw_close(&raw);
	}
	all_is_well("junk in private data");
}

/* One message in frames that never ends, and one that is cut short and yet sealed. */
static void sizes(void)
{
	struct verbs_frame f = { VERBS_FRAME_MAX - VERBS_FRAME_HEAD, FRAME_FIRST, 0 };
	unsigned char message[400];
	struct control_hello h = { .control_version = DSM_CONTROL_VERSION };
	struct control_writer w;
	uint64_t bad = counter("bad_messages");
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	if (!check(raw_connect(&raw, key_for("")) == 0, "%s", dsm_error()))
		return;
	for (int i = 0; i < 20 && status == IBV_WC_SUCCESS; i++) {
		verbs_put_frame(raw.buffer.at, &f);
		f.flags = 0;
		status = raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, VERBS_FRAME_MAX);
	}
	check(raw_cut(&raw, CUT_MS) && counts("bad_messages", bad), "a message without end is put together");
	raw_close(&raw);
	bad = counter("bad_messages");
	if (!check(raw_connect(&raw, key_for("")) == 0, "%s", dsm_error()))
		return;
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &h);
	control_end(&w);
	raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, (uint32_t)sealed_frame(message, CONTROL_HEAD + 4));
	check(raw_cut(&raw, CUT_MS) && counts("bad_messages", bad), "a HELLO that was cut short is taken");
	raw_close(&raw);
	all_is_well("messages too long and too short");
}

/* Asks as often as it has credits for, and never looks at a completion: its queue runs over, not ours. */
static void never_reaps(void)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	int rc = 0;
	if (!greet(&raw, "", 0))
		return;
	control_begin(&w, message, sizeof(message), CONTROL_CLIENTS);
	control_end(&w);
	for (unsigned i = 0; i < 24 && rc == 0; i++) {
		/* each from a place of its own: none is known to have left */
		unsigned char *at = raw.buffer.at + 1024 + 128 * i;
		size_t bytes = sealed_frame(message, sizeof(message));
		memcpy(at, raw.buffer.at, bytes);
		struct ibv_sge sge = { (uintptr_t)at, (uint32_t)bytes, raw.buffer.mr->lkey };
		struct ibv_send_wr wr = { .wr_id = 7, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
			.send_flags = IBV_SEND_SOLICITED }, *bad;
		rc = ibv_post_send(raw.qp, &wr, &bad);
	}
	check(rc == 0, "cannot post without reaping: %d", rc);
	for (int i = 0; i < 3; i++)
		all_is_well("one who never reaps");
	raw_close(&raw);
	all_is_well("one who never reaped and is gone");
}

/* A list of `entries` as its head says, of which `n` come: groups from `group` on. */
static int send_waits(uint32_t number, uint32_t entries, uint32_t n, uint32_t group, uint64_t since)
{
	struct control_writer w;
	control_begin(&w, raw.message, sizeof(raw.message), CONTROL_WAIT);
	control_put_u32(&w, number);
	for (uint32_t i = 0; i < n; i++) {
		control_put_u32(&w, i + 1 < n ? 0 : group);
		control_put_u64(&w, since);
	}
	w.entries = entries;
	return raw_send(&raw, &w);
}

static int send_wait(uint32_t number, uint64_t since)
{
	return send_waits(number, 1, 1, 0, since);
}

/* How many times it is told of commits within `ms`, PROBEs apart; the last of them. */
static unsigned told(unsigned ms, struct control_event *last)
{
	struct control_reader in;
	struct control_event e = { 0 };
	unsigned n = 0;
	for (uint64_t end = now_ms() + ms, now; (now = now_ms()) < end;)
		if (raw_expect(&raw, CONTROL_EVENT, (unsigned)(end - now), &in) == 0 && control_get_event(&in, &e) == 0 &&
		    e.kind == CONTROL_NEWER) {
			n++;
			*last = e;
		}
	return n;
}

/* Waits for a commit and never asks again: is told once, however many there are. */
static void never_rearms(void)
{
	struct control_event e = { 0 };
	if (!greet(&raw, "", 0))
		return;
	check(send_wait(7, atomic_load(&written)) == 0, "WAIT cannot be sent");
	check(told(300, &e) == 0, "told of a commit that is none");
	for (unsigned i = 0; i < 5; i++)
		all_is_well("one who waits");
	check(told(1500, &e) == 1 && e.owner == 7 && e.value == 1, "told not once, or not of that");
	check(send_wait(8, atomic_load(&written)) == 0, "WAIT cannot be sent again");
	all_is_well("one who waits again");
	check(told(1500, &e) == 1 && e.owner == 8, "who asks again is not told again");
	check(send_wait(9, 0) == 0 && told(1500, &e) == 1, "what is there already is not told at once");
	/* the last list is the one that counts, and only the last */
	for (uint32_t i = 0; i < 8; i++)
		check(send_waits(20 + i, CONTROL_WAIT_MAX, CONTROL_WAIT_MAX, 0, UINT64_MAX) == 0, "WAIT cannot be sent");
	check(send_waits(30, CONTROL_WAIT_MAX, CONTROL_WAIT_MAX, 0, 0) == 0 && told(1500, &e) == 1 && e.owner == 30 &&
		e.value == UINT64_MAX, "of nine lists not the last one is answered");
	raw_close(&raw);
	all_is_well("one who never asks again");
}

/* Says that it has more RECVs than it has, and posts none anew: what it asks for finds no RECV, and the engine's
 * device tries that a few times only (RC_RNR_RETRIES). With a number that means for ever the session would
 * still be there when RECVs are posted again, which raw_cut() does. */
static void takes_recvs_away(void)
{
	unsigned char message[CONTROL_HEAD + 16];
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	struct control_writer w;
	raw_promise = 4 * ENDPOINT_RECVS;
	bool in = greet(&raw, "", 0);
	raw_promise = ENDPOINT_RECVS;
	if (!in)
		return;
	for (uint32_t i = 0; i < 3 * ENDPOINT_RECVS && status == IBV_WC_SUCCESS; i++) {
		struct control_wait m = { .number = i, .n = 1 };
		control_begin(&w, message, sizeof(message), CONTROL_WAIT);
		control_put_wait(&w, &m);
		status = raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, (uint32_t)sealed_frame(message, control_end(&w)));
	}
	for (int i = 0; i < 5; i++)
		all_is_well("one who takes RECVs away");
	usleep(500000);
	check(raw_cut(&raw, CUT_MS), "who has no RECVs is waited for");
	raw_close(&raw);
	all_is_well("one who took RECVs away");
}

/* Each ends that connection, is counted, and harms nobody. */
static void bad_waits(void)
{
	static const struct { const char *what; uint32_t entries, n, group; } bad[] = {
		{ "no group", 0, 0, 0 }, { "65 groups", CONTROL_WAIT_MAX + 1, CONTROL_WAIT_MAX + 1, 0 },
		{ "more groups than a message could have", 1u << 20, 3, 0 }, { "a list that is cut short", 3, 2, 0 },
		{ "a list that is longer than it says", 2, 3, 0 }, { "a group that is none", 3, 3, 1000 },
		{ "a group that is none", 1, 1, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t before = counter("bad_messages");
		if (!greet(&raw, "", 0))
			return;
		send_waits(1, bad[i].entries, bad[i].n, bad[i].group, 0);
		check(raw_cut(&raw, CUT_MS) && counts("bad_messages", before), "WAIT with %s is taken", bad[i].what);
		raw_close(&raw);
	}
	all_is_well("those who wait for what is none");
}

void crowd_attacks(void)
{
	junk();
	sizes();
	rubbish();
	never_reads();
	never_reaps();
	never_rearms();
	bad_waits();
	takes_recvs_away();
	crowd();
}
