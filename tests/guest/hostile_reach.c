/* SPDX-License-Identifier: Apache-2.0 */
/* What a client with a key can reach: what it was shown, and nothing else. */
#include "hostile.h"
#include "engine/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void join_refused(const char *what, enum verbs_kind kind, uint32_t session, const uint8_t *token,
	int status, const char *name)
{
	uint64_t before = counter(name);
	int rc = raw_join(&raw, kind, session, token);
	check(rc == status, "%s was accepted: %d", what, rc);
	check(counts(name, before) && counter(name) == before + 1, "%s was counted %lld times in %s", what,
		(long long)(counter(name) - before), name);
}

static void joins(void)
{
	uint8_t wrong[16];
	if (!greet(&raw, "", 0) || !greet(&other, "", 0))
		return;
	memcpy(wrong, raw.keys.token, sizeof(wrong));
	wrong[15] ^= 1;
	join_refused("a wrong token", VERBS_READ, raw.welcome.session, wrong, -EACCES, "refused_token");
	join_refused("another's session", VERBS_READ, other.welcome.session, raw.keys.token, -EACCES, "refused_token");
	join_refused("no session", VERBS_READ, raw.welcome.session + 1000, raw.keys.token, -EACCES, "refused_token");
	join_refused("a write pair without a role", VERBS_WRITE, raw.welcome.session, raw.keys.token, -EOWNERDEAD,
		"refused_pair");
	raw.proof_for = 1; /* as who has seen somebody else's on the wire */
	join_refused("the proof of another queue pair", VERBS_READ, raw.welcome.session, raw.keys.token, -EACCES,
		"refused_token");
	raw.proof_for = 0;
	check(raw_join(&raw, VERBS_READ, raw.welcome.session, raw.keys.token) == 0, "%s", dsm_error());
	struct side first = raw.side[0];
	raw.side[0] = (struct side){ 0 };
	join_refused("a second read pair", VERBS_READ, raw.welcome.session, raw.keys.token, -EBUSY, "refused_pair");
	raw.side[0] = first;
	raw_close(&raw);
	raw_close(&other);
	all_is_well("false joins");
}

static struct raw rival; /* an owner that does what he may */

struct attack {
	const char *what;
	enum verbs_kind kind;
	enum ibv_wr_opcode opcode;
	int64_t offset;             /* from the start of the memory, or from its end */
	bool from_end;
	enum { BASE, BANK, OWN, RIVAL } memory, key;
	uint32_t key_xor, bytes;
	bool allowed;
};

static const struct attack reader_attacks[] = {
	{ "READ of the header", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0, 64, true },
	{ "READ of the last bytes", VERBS_READ, IBV_WR_RDMA_READ, -64, true, BASE, BASE, 0, 64, true },
	{ "READ of a bank", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BANK, BANK, 0, 4096, true },
	{ "READ past the end", VERBS_READ, IBV_WR_RDMA_READ, -63, true, BASE, BASE, 0, 64, false },
	{ "READ before the start", VERBS_READ, IBV_WR_RDMA_READ, -1, false, BASE, BASE, 0, 64, false },
	{ "READ of a bank by the header's key", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BANK, BASE, 0, 64, false },
	{ "READ by a guessed key", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0x100, 64, false },
	{ "READ by another guessed key", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 1, 64, false },
	{ "READ of one byte past a bank", VERBS_READ, IBV_WR_RDMA_READ, 0, true, BANK, BANK, 0, 1, false },
	{ "READ of a bank's last byte", VERBS_READ, IBV_WR_RDMA_READ, -1, true, BANK, BANK, 0, 1, true },
	{ "READ of one byte before a bank", VERBS_READ, IBV_WR_RDMA_READ, -1, false, BANK, BANK, 0, 1, false },
	{ "READ by a key of the next entry", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0x300, 64, false },
	{ "READ by a key far away", VERBS_READ, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0x7fff00, 64, false },
	{ "READ by an owner's key", VERBS_READ, IBV_WR_RDMA_READ, 0, false, RIVAL, RIVAL, 0, 8, false },
	{ "WRITE by an owner's key", VERBS_READ, IBV_WR_RDMA_WRITE, 72, false, RIVAL, RIVAL, 0, 8, false },
	{ "WRITE by an owner's key over the control pair", VERBS_CONTROL, IBV_WR_RDMA_WRITE, 72, false, RIVAL,
		RIVAL, 0, 8, false },
	{ "atomic add by an owner's key", VERBS_READ, IBV_WR_ATOMIC_FETCH_AND_ADD, 72, false, RIVAL, RIVAL, 0, 8,
		false },
	{ "WRITE to the header", VERBS_READ, IBV_WR_RDMA_WRITE, 0, false, BASE, BASE, 0, 8, false },
	{ "WRITE to a bank", VERBS_READ, IBV_WR_RDMA_WRITE, 128, false, BANK, BANK, 0, 8, false },
	{ "WRITE of nothing", VERBS_READ, IBV_WR_RDMA_WRITE, 0, false, BASE, BASE, 0, 0, false },
	{ "atomic add", VERBS_READ, IBV_WR_ATOMIC_FETCH_AND_ADD, 128, false, BANK, BANK, 0, 8, false },
	{ "compare and swap", VERBS_READ, IBV_WR_ATOMIC_CMP_AND_SWP, 128, false, BANK, BANK, 0, 8, false },
	{ "compare and swap by an owner's key", VERBS_READ, IBV_WR_ATOMIC_CMP_AND_SWP, 72, false, RIVAL, RIVAL, 0, 8,
		false },
	{ "compare and swap by the control pair", VERBS_CONTROL, IBV_WR_ATOMIC_CMP_AND_SWP, 128, false, BANK,
		BANK, 0, 8, false },
	{ "message on the read pair", VERBS_READ, IBV_WR_SEND, 0, false, BASE, BASE, 0, 0, false },
	{ "WRITE by the control pair", VERBS_CONTROL, IBV_WR_RDMA_WRITE, 128, false, BANK, BANK, 0, 8, false },
	{ "atomic add by the control pair", VERBS_CONTROL, IBV_WR_ATOMIC_FETCH_AND_ADD, 128, false, BANK,
		BANK, 0, 8, false },
};
static const struct attack owner_attacks[] = {
	{ "WRITE to the own bank", VERBS_WRITE, IBV_WR_RDMA_WRITE, 72, false, OWN, OWN, 0, 8, true },
	{ "WRITE at the own bank's end", VERBS_WRITE, IBV_WR_RDMA_WRITE, -8, true, OWN, OWN, 0, 8, true },
	{ "WRITE past the own bank", VERBS_WRITE, IBV_WR_RDMA_WRITE, -7, true, OWN, OWN, 0, 8, false },
	{ "WRITE before the own bank", VERBS_WRITE, IBV_WR_RDMA_WRITE, -1, false, OWN, OWN, 0, 8, false },
	{ "WRITE to the header by the own key", VERBS_WRITE, IBV_WR_RDMA_WRITE, 0, false, BASE, OWN, 0, 8, false },
	{ "WRITE to another bank by its key", VERBS_WRITE, IBV_WR_RDMA_WRITE, 128, false, BANK, BANK, 0, 8, false },
	{ "WRITE to another owner's bank by his key", VERBS_WRITE, IBV_WR_RDMA_WRITE, 72, false, RIVAL, RIVAL, 0, 8,
		false },
	{ "WRITE to another owner's bank by the own key", VERBS_WRITE, IBV_WR_RDMA_WRITE, 72, false, RIVAL, OWN, 0,
		8, false },
	{ "READ of another owner's bank by his key", VERBS_READ, IBV_WR_RDMA_READ, 72, false, RIVAL, RIVAL, 0, 8,
		false },
	{ "READ by the write pair", VERBS_WRITE, IBV_WR_RDMA_READ, 0, false, OWN, OWN, 0, 8, false },
	{ "READ of the header by the write pair", VERBS_WRITE, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0, 64, false },
	{ "atomic add to the own bank", VERBS_WRITE, IBV_WR_ATOMIC_FETCH_AND_ADD, 72, false, OWN, OWN, 0, 8, false },
	{ "compare and swap in the own bank", VERBS_WRITE, IBV_WR_ATOMIC_CMP_AND_SWP, 72, false, OWN, OWN, 0, 8,
		false },
	{ "compare and swap in another owner's bank", VERBS_WRITE, IBV_WR_ATOMIC_CMP_AND_SWP, 72, false, RIVAL, RIVAL,
		0, 8, false },
	{ "WRITE by the read pair with the own key", VERBS_READ, IBV_WR_RDMA_WRITE, 72, false, OWN, OWN, 0, 8, false },
	{ "READ by the read pair with the own key", VERBS_READ, IBV_WR_RDMA_READ, 0, false, OWN, OWN, 0, 8, false },
};

static void one_attack(const struct attack *a, const char *owner)
{
	if (a->kind == VERBS_CONTROL ? !greet(&raw, owner, 0) : !greet_and_join(&raw, owner, 0, a->kind)) {
		raw_close(&raw);
		return;
	}
	/* "engine"'s bank is the first, and nobody's from outside */
	uint64_t at[] = { raw.keys.base_addr, raw.bank[0].addr, raw.keys.own_addr, rival.keys.own_addr };
	uint64_t size[] = { raw.keys.base_bytes, engine->region->view.owners[0].bank_bytes, raw.keys.own_bytes,
		rival.keys.own_bytes };
	uint32_t key[] = { raw.keys.base_rkey, raw.bank[0].rkey, raw.keys.own_rkey, rival.keys.own_rkey };
	uint64_t cut = counter("protection_errors");
	uint64_t addr = at[a->memory] + (a->from_end ? size[a->memory] : 0) + (uint64_t)a->offset;
	memset(raw.buffer.at, 0xee, 64);
	enum ibv_wc_status status = raw_work(&raw, a->kind, a->opcode, addr, key[a->key] ^ a->key_xor, a->bytes);
	/* the device answers a message before the engine sees it */
	bool message = a->opcode == IBV_WR_SEND;
	check(a->allowed || message ? status == IBV_WC_SUCCESS : status != IBV_WC_SUCCESS, "%s%s%s: %s",
		owner[0] ? "owner: " : "", a->what, a->allowed ? "" : " was not refused",
		ibv_wc_status_str(status));
	if (!a->allowed) {
		check(counts("protection_errors", cut), "%s was not counted", a->what);
		check(raw_cut(&raw, CUT_MS), "%s: the connection lives on", a->what);
	}
	raw_close(&raw);
	all_is_well(a->what);
}

/* Reaches where it may not; the log has to say who that was. */
static void is_named(struct raw *r, const char *which)
{
	char name[96];
	uint64_t cut = counter("protection_errors");
	snprintf(name, sizeof(name), "client %s:%u (hostile) was cut off", host, ntohs(rdma_get_src_port(r->id)));
	check(raw_work(r, VERBS_READ, IBV_WR_RDMA_WRITE, r->bank[0].addr + 128, r->bank[0].rkey, 8) != IBV_WC_SUCCESS,
		"WRITE to a bank was not refused");
	check(counts("protection_errors", cut), "the %s who violates was not counted", which);
	check(logs(name), "the %s who violates is not in the log: %s", which, name);
}

/* One who goes on and on does not keep another out of the log. */
static void accused(void)
{
	if (!greet_and_join(&raw, "", 0, VERBS_READ) || !greet_and_join(&other, "", 0, VERBS_READ))
		return;
	usleep(1200000);
	is_named(&raw, "first");
	usleep(400000);
	is_named(&other, "second");
	raw_close(&raw);
	raw_close(&other);
	all_is_well("two who are named");
}

static void roles(void)
{
	struct control_writer w;
	check(raw_connect(&raw, key_for("near")) == 0 && raw_hello(&raw, "near", 0) == -EACCES &&
		strstr(raw.welcome.text, "network: true"), "a local role was given: %s", raw.welcome.text);
	raw_close(&raw);
	check(raw_connect(&raw, key_for("engine")) == 0 && raw_hello(&raw, "engine", 0) == -EBUSY,
		"the engine's role was given");
	raw_close(&raw);
	for (unsigned i = 0; i < 2; i++) { /* what only an owner may say */
		uint64_t bad = counter("bad_messages");
		if (!greet(&raw, "", 0))
			return;
		control_begin(&w, raw.message, sizeof(raw.message), i ? CONTROL_BEAT : CONTROL_NOTIFY);
		if (i)
			control_put_u64(&w, 1);
		else
			control_put_u32(&w, 0);
		raw_send(&raw, &w);
		check(raw_cut(&raw, CUT_MS) && counts("bad_messages", bad), "a reader may say %s", i ? "BEAT" : "NOTIFY");
		raw_close(&raw);
	}
	all_is_well("false roles");
}

/* Somebody whose pair is as good as ever tries the key of a bank that another had before. */
static void old_key(struct raw *by, enum verbs_kind kind, const struct control_keys *old, const char *who)
{
	const _Atomic uint64_t *word = (const void *)(uintptr_t)(old->own_addr + 72); /* the engine is in this process */
	uint64_t cut = counter("protection_errors");
	memset(by->buffer.at, 0xee, 64);
	check(raw_work(by, kind, IBV_WR_RDMA_WRITE, old->own_addr + 72, old->own_rkey, 8) != IBV_WC_SUCCESS,
		"the old key opens the bank to %s", who);
	check(counts("protection_errors", cut), "the old key in the hands of %s was not counted", who);
	/* at an owner's end the engine writes there itself */
	check(atomic_load(word) != UINT64_C(0xeeeeeeeeeeeeeeee), "%s has written by the old key", who);
	check(raw_cut(by, CUT_MS), "%s who tried the old key lives on", who);
}

/* The second takes over from the first, whose connection and keys then open nothing. */
static void fence(void)
{
	struct control_reader in;
	struct control_event event;
	if (!greet_and_join(&raw, "far", 0, VERBS_WRITE) || !greet_and_join(&rival, "rival", 0, VERBS_WRITE))
		return;
	check(raw_connect(&other, key_for("far")) == 0 && raw_hello(&other, "far", 0) == -EBUSY, "two owners at once");
	raw_close(&other);
	uint64_t begin_ms = now_ms();
	if (!greet_and_join(&other, "far", 1, VERBS_WRITE))
		return;
	printf("taken over in %llu ms, connecting included\n", (unsigned long long)(now_ms() - begin_ms));
	memset(raw.buffer.at, 0xee, 64);
	check(raw_work(&raw, VERBS_WRITE, IBV_WR_RDMA_WRITE, raw.keys.own_addr + 72, raw.keys.own_rkey, 8) !=
		IBV_WC_SUCCESS, "the fenced owner still writes");
	int told = 0;
	do { /* PROBEs come before it */
		event.kind = 0;
		told = raw_expect(&raw, CONTROL_EVENT, CUT_MS, &in);
	} while (told == 0 && control_get_event(&in, &event) == 0 && event.kind == CONTROL_PROBE);
	check(event.kind == CONTROL_SUPERSEDED, "the fenced owner was not told (%d)", told);
	check(raw_join(&raw, VERBS_WRITE, raw.welcome.session, raw.keys.token) == -EOWNERDEAD,
		"the fenced owner has a write pair again");
	check(raw_join(&raw, VERBS_READ, raw.welcome.session, raw.keys.token) == 0 && raw_work(&raw,
		VERBS_READ, IBV_WR_RDMA_READ, raw.keys.base_addr, raw.keys.base_rkey, 64) == IBV_WC_SUCCESS,
		"the fenced owner may not read any more");
	memset(other.buffer.at, 0x11, 64);
	check(raw_work(&other, VERBS_WRITE, IBV_WR_RDMA_WRITE, other.keys.own_addr + 72, other.keys.own_rkey,
		8) == IBV_WC_SUCCESS, "the successor does not write");
	check(raw.keys.own_rkey != other.keys.own_rkey && raw.keys.own_addr == other.keys.own_addr,
		"the successor has the key that the fenced owner had, or another bank");
	struct control_keys old = raw.keys;
	old_key(&raw, VERBS_READ, &old, "the fenced owner");
	old_key(&rival, VERBS_WRITE, &old, "another owner");
	old_key(&other, VERBS_WRITE, &old, "the successor");
	raw_close(&raw);
	raw_close(&rival);
	raw_close(&other);
	all_is_well("a takeover");
}

/* He has noticed nothing: his pairs are there, his key opens his bank. */
static void rival_is_well(void)
{
	memset(rival.buffer.at, 0x22, 64);
	check(raw_work(&rival, VERBS_WRITE, IBV_WR_RDMA_WRITE, rival.keys.own_addr + 72, rival.keys.own_rkey, 8) ==
		IBV_WC_SUCCESS, "the other owner cannot write any more");
	check(raw_work(&rival, VERBS_CONTROL, IBV_WR_RDMA_READ, rival.keys.base_addr, rival.keys.base_rkey, 64) ==
		IBV_WC_SUCCESS, "the other owner cannot read any more");
	raw_close(&rival);
}

void reach_attacks(void)
{
	joins();
	if (!greet_and_join(&rival, "rival", 0, VERBS_WRITE))
		return;
	for (size_t i = 0; i < sizeof(reader_attacks) / sizeof(reader_attacks[0]); i++)
		one_attack(&reader_attacks[i], "");
	for (size_t i = 0; i < sizeof(owner_attacks) / sizeof(owner_attacks[0]); i++)
		one_attack(&owner_attacks[i], "far");
	rival_is_well();
	accused();
	roles();
	fence();
}
