/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client over RDMA can do to an engine and to other clients: read what it was shown, and
 * nothing else. Engine, an honest reader and the hostile client are one process here; between them
 * is the device. Usage: hostile ADDRESS, on a machine with an RDMA device (script/guest).
 */
#include "hostile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT 7467
#define CUT_MS 8000
#define CLIENTS 24

static const char *host;
static struct dsm_engine *engine;
static struct dsm *honest, *writer;
static struct dsm_cell cells[3], own;
static unsigned passed, failed;
static struct raw raw, other;

bool check(bool good, const char *format, ...)
{
	if (good) {
		passed++;
		return true;
	}
	va_list args;
	va_start(args, format);
	printf("FAILED: ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	failed++;
	return false;
}

/* ---- the engine and the honest ---- */

static void take_line(const char *text, void *context)
{
	(void)context;
	printf("engine: %s\n", text);
}

static int make_table(struct dsm_table **out)
{
	static const struct dsm_owner_spec owners[] = { { "far", true, "" }, { "near", false, "*" } };
	static const char *const names[] = { "engine", "far", "near" };
	int rc = dsm_table_new("hostile", out);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = dsm_table_owner(*out, &owners[i]);
	for (unsigned i = 0; rc == 0 && i < 3; i++) {
		char group[16];
		snprintf(group, sizeof(group), "g%s", names[i]);
		struct dsm_group_spec g = { names[i], group, "", 0, 0, false };
		struct dsm_cell_spec c = { .group = group, .name = "v", .type = DSM_U64, .precision = -1 };
		rc = dsm_table_group(*out, &g);
		if (rc == 0)
			rc = dsm_table_cell(*out, &c);
	}
	return rc;
}

static bool begin(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own_groups = DSM_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	char address[32], uri[128];
	snprintf(address, sizeof(address), "*:%d", PORT);
	snprintf(uri, sizeof(uri), "rdma://%s:%d", host, PORT);
	o.rdma = address;
	o.log = take_line;
	o.max_clients = CLIENTS;
	o.lease_ms = 5000; /* by hand nobody beats */
	own_groups.owner = "engine";
	int rc = make_table(&table);
	if (rc == 0)
		rc = dsm_engine_open(table, &o, &engine);
	dsm_table_free(&table);
	if (rc == 0)
		rc = dsm_engine_attach(engine, &own_groups, &writer);
	if (rc == 0)
		rc = dsm_cell(writer, "gengine.v", &own);
	struct dsm_options patient = DSM_OPTIONS_INIT;
	patient.attach_timeout_ms = patient.call_timeout_ms = 30000; /* an emulated machine among others */
	if (rc == 0)
		rc = dsm_attach(uri, &patient, &honest);
	static const char *const names[] = { "gengine.v", "gfar.v", "gnear.v" };
	for (unsigned i = 0; rc == 0 && i < 3; i++)
		rc = dsm_cell(honest, names[i], &cells[i]);
	return check(rc == 0, "no engine: %s", dsm_error());
}

struct wanted { const char *name; uint64_t value; };

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	struct wanted *w = context;
	(void)what;
	if (strcmp(name, w->name) == 0)
		w->value = value;
	return 0;
}

/* By the handle in the engine's process: now, not as of half a tick ago. */
static uint64_t counter(const char *name)
{
	struct wanted w = { name, UINT64_MAX };
	dsm_foreach_counter(writer, take_counter, &w);
	return w.value;
}

static bool counts(const char *name, uint64_t more_than)
{
	for (uint64_t end = now_ms() + 5000; now_ms() < end; usleep(20000))
		if (counter(name) > more_than)
			return true;
	return false;
}

/* After each attack: the honest one reads what the engine writes now. */
static void all_is_well(const char *after)
{
	static uint64_t n;
	struct dsm_sample s = { 0 };
	n++;
	struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = n };
	int rc = dsm_write(writer, own, &v);
	for (int i = 0; rc == 0 && i < 200 && (rc = dsm_read(honest, cells[0], &s)) == 0; i++) {
		if (s.value.u64 == n)
			break;
		usleep(1000);
	}
	check(rc == 0 && s.value.u64 == n, "after %s the honest reader has %llu instead of %llu (%d: %s)",
		after, (unsigned long long)s.value.u64, (unsigned long long)n, rc, rc ? dsm_error() : "");
}

static bool greet(struct raw *r, const char *owner, uint32_t flags)
{
	int rc = raw_connect(r, host, PORT);
	if (rc == 0)
		rc = raw_hello(r, owner, flags);
	if (rc == 0)
		rc = raw_map(r, 0, 3);
	return check(rc == 0, "cannot attach by hand as \"%s\": %d %s %s", owner, rc, dsm_error(),
		r->welcome.text);
}

static bool greet_and_join(struct raw *r, const char *owner, uint32_t flags, enum verbs_kind kind)
{
	if (!greet(r, owner, flags))
		return false;
	int rc = raw_join(r, kind, r->welcome.session, r->keys.token);
	return check(rc == 0, "cannot connect a pair of kind %d: %d %s", kind, rc, dsm_error());
}

/* ---- attacks ---- */

/* A client that knows every key and number already, but never said HELLO. */
static void before_hello(void)
{
	struct control_writer w;
	struct control_map map = { 0, 1 };
	if (!greet(&other, "", 0) || !check(raw_connect(&raw, host, PORT) == 0, "%s", dsm_error()))
		return;
	check(raw_work(&raw, VERBS_CONTROL, IBV_WR_RDMA_READ, other.keys.base_addr, other.keys.base_rkey,
		64) != IBV_WC_SUCCESS, "READ was served before HELLO");
	raw_close(&raw);
	check(raw_connect(&raw, host, PORT) == 0, "%s", dsm_error());
	uint64_t bad = counter("bad_messages");
	control_begin(&w, raw.message, sizeof(raw.message), CONTROL_MAP);
	control_put_map(&w, &map);
	raw_send(&raw, &w);
	check(raw_cut(&raw, CUT_MS), "MAP before HELLO was not cut off");
	check(counts("bad_messages", bad), "MAP before HELLO was not counted");
	raw_close(&raw);
	/* and the one that did say it may read */
	check(raw_work(&other, VERBS_CONTROL, IBV_WR_RDMA_READ, other.keys.base_addr,
		other.keys.base_rkey, 64) == IBV_WC_SUCCESS, "READ of the header was refused after HELLO");
	raw_close(&other);
	all_is_well("reading before HELLO");
}

static void joins(void)
{
	uint8_t wrong[16];
	if (!greet(&raw, "", 0) || !greet(&other, "", 0))
		return;
	memcpy(wrong, raw.keys.token, sizeof(wrong));
	wrong[15] ^= 1;
	check(raw_join(&raw, VERBS_READ, raw.welcome.session, wrong) == -EACCES, "a wrong token was accepted");
	check(raw_join(&raw, VERBS_READ, other.welcome.session, raw.keys.token) == -EACCES,
		"another's session was accepted");
	check(raw_join(&raw, VERBS_READ, raw.welcome.session + 1000, raw.keys.token) == -EACCES,
		"no session was accepted");
	check(raw_join(&raw, VERBS_WRITE, raw.welcome.session, raw.keys.token) == -EOWNERDEAD,
		"a write pair without a role was accepted");
	check(raw_join(&raw, VERBS_READ, raw.welcome.session, raw.keys.token) == 0, "%s", dsm_error());
	struct side first = raw.side[0];
	raw.side[0] = (struct side){ 0 };
	check(raw_join(&raw, VERBS_READ, raw.welcome.session, raw.keys.token) == -EBUSY,
		"a second read pair was accepted");
	raw.side[0] = first;
	raw_close(&raw);
	raw_close(&other);
	all_is_well("false joins");
}

struct attack {
	const char *what;
	enum verbs_kind kind;
	enum ibv_wr_opcode opcode;
	int64_t offset;             /* from the start of the memory, or from its end */
	bool from_end;
	enum { BASE, BANK, OWN } memory, key;
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
	{ "WRITE to the header", VERBS_READ, IBV_WR_RDMA_WRITE, 0, false, BASE, BASE, 0, 8, false },
	{ "WRITE to a bank", VERBS_READ, IBV_WR_RDMA_WRITE, 128, false, BANK, BANK, 0, 8, false },
	{ "WRITE of nothing", VERBS_READ, IBV_WR_RDMA_WRITE, 0, false, BASE, BASE, 0, 0, false },
	{ "atomic add", VERBS_READ, IBV_WR_ATOMIC_FETCH_AND_ADD, 128, false, BANK, BANK, 0, 8, false },
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
	{ "READ by the write pair", VERBS_WRITE, IBV_WR_RDMA_READ, 0, false, OWN, OWN, 0, 8, false },
	{ "READ of the header by the write pair", VERBS_WRITE, IBV_WR_RDMA_READ, 0, false, BASE, BASE, 0, 64, false },
	{ "atomic add to the own bank", VERBS_WRITE, IBV_WR_ATOMIC_FETCH_AND_ADD, 72, false, OWN, OWN, 0, 8, false },
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
	uint64_t at[] = { raw.keys.base_addr, raw.bank[0].addr, raw.keys.own_addr };
	uint64_t size[] = { raw.keys.base_bytes, 4096, raw.keys.own_bytes };
	uint32_t key[] = { raw.keys.base_rkey, raw.bank[0].rkey, raw.keys.own_rkey };
	uint64_t cut = counter("protection_errors");
	uint64_t addr = at[a->memory] + (a->from_end ? size[a->memory] : 0) + (uint64_t)a->offset;
	memset(raw.buffer.at, 0xee, 64);
	enum ibv_wc_status status = raw_work(&raw, a->kind, a->opcode, addr, key[a->key] ^ a->key_xor, a->bytes);
	/* the device answers a message before the engine sees it */
	bool message = a->opcode == IBV_WR_SEND;
	check(a->allowed || message ? status == IBV_WC_SUCCESS : status != IBV_WC_SUCCESS, "%s%s%s: %s",
		owner[0] ? "owner: " : "", a->what, a->allowed ? "" : " was not refused",
		ibv_wc_status_str(status));
	if (!a->allowed && a->kind != VERBS_CONTROL) {
		check(counts("protection_errors", cut), "%s was not counted", a->what);
		check(raw_cut(&raw, CUT_MS), "%s: the connection lives on", a->what);
	}
	raw_close(&raw);
	all_is_well(a->what);
}

static void roles(void)
{
	struct control_writer w;
	check(raw_connect(&raw, host, PORT) == 0 && raw_hello(&raw, "near", 0) == -EACCES &&
		strstr(raw.welcome.text, "network: true"), "a local role was given: %s", raw.welcome.text);
	raw_close(&raw);
	check(raw_connect(&raw, host, PORT) == 0 && raw_hello(&raw, "engine", 0) == -EBUSY,
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

/* The second takes over from the first, whose connection and keys then open nothing. */
static void fence(void)
{
	struct control_reader in;
	struct control_event event;
	if (!greet_and_join(&raw, "far", 0, VERBS_WRITE))
		return;
	check(raw_connect(&other, host, PORT) == 0 && raw_hello(&other, "far", 0) == -EBUSY, "two owners at once");
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
	check(raw_work(&other, VERBS_WRITE, IBV_WR_RDMA_WRITE, other.keys.own_addr + 72, raw.keys.own_rkey,
		8) != IBV_WC_SUCCESS || raw.keys.own_rkey == other.keys.own_rkey, "the old key opens the bank");
	raw_close(&raw);
	raw_close(&other);
	all_is_well("a takeover");
}

/* ---- crowds, floods, rubbish ---- */

#define CROWD 40
static struct raw many[CROWD];

/* How many places strangers get; UINT32_MAX: connecting took so long that the first were gone. */
static unsigned strangers(int *rc)
{
	unsigned in = 0;
	uint64_t begin_ms = now_ms();
	*rc = 0;
	while (in < CROWD && (*rc = raw_connect(&many[in], host, PORT)) == 0)
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
	for (int turn = 0; turn < 3 && in == UINT32_MAX; turn++) {
		disperse();
		usleep(300000);
		in = strangers(&rc);
	}
	if (in == UINT32_MAX)
		printf("this machine is too slow for a crowd\n");
	else
		check(rc == -EBUSY && in >= CLIENTS / 4 && in <= CLIENTS / 2 + 1,
			"%u strangers who say nothing have places (%d %s)", in, rc, dsm_error());
	all_is_well("a crowd of strangers");
	check(raw_cut(&many[0], 9000), "who says nothing keeps his place");
	disperse();
	bool good = false;
	for (int i = 0; i < 50 && !good; i++) {
		good = raw_connect(&raw, host, PORT) == 0 && raw_hello(&raw, "", 0) == 0;
		raw_close(&raw);
		usleep(100000);
	}
	check(good, "no place after the crowd has gone: %s", dsm_error());
	all_is_well("the crowd");
}

static void rubbish(void)
{
	uint64_t random = 99, bad = counter("bad_messages");
	for (int i = 0; i < 12; i++) { /* frames: wrong lengths, flags, credits; then messages */
		if (i % 2 ? !greet(&raw, "", 0) : raw_connect(&raw, host, PORT) != 0)
			break;
		for (unsigned k = 0; k < 256; k++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			raw.buffer.at[k] = (unsigned char)(random >> 56);
		}
		if (i >= 6) { /* a good frame of a bad message */
			struct verbs_frame f = { 200, FRAME_FIRST | FRAME_LAST, 0 };
			verbs_put_frame(raw.buffer.at, &f);
		}
		raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, i >= 6 ? 208 : 1 + 50u * (unsigned)i);
		check(raw_cut(&raw, CUT_MS), "rubbish %d was not cut off", i);
		raw_close(&raw);
	}
	check(counts("bad_messages", bad + 11), "rubbish was not counted");
	all_is_well("rubbish");
}

/* Asks and asks, and never takes an answer. */
static void never_reads(void)
{
	unsigned char frame[VERBS_FRAME_HEAD + CONTROL_HEAD];
	struct verbs_frame head = { CONTROL_HEAD, FRAME_FIRST | FRAME_LAST, 0 };
	struct control_writer w;
	if (!greet(&raw, "", 0))
		return;
	verbs_put_frame(frame, &head);
	control_begin(&w, frame + VERBS_FRAME_HEAD, CONTROL_HEAD, CONTROL_CLIENTS);
	control_end(&w);
	memcpy(raw.buffer.at, frame, sizeof(frame));
	uint64_t slow = counter("slow_clients"), bad = counter("bad_messages");
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	for (int i = 0; i < 4000 && status == IBV_WC_SUCCESS; i++)
		status = raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, sizeof(frame));
	check(raw_cut(&raw, CUT_MS), "who never reads is served for ever");
	check(counts("slow_clients", slow) || counter("bad_messages") > bad, "who never reads is not counted");
	raw_close(&raw);
	all_is_well("one who never reads");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: hostile ADDRESS\n");
		return 2;
	}
	host = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (begin()) {
		all_is_well("the start");
		before_hello();
		joins();
		for (size_t i = 0; i < sizeof(reader_attacks) / sizeof(reader_attacks[0]); i++)
			one_attack(&reader_attacks[i], "");
		for (size_t i = 0; i < sizeof(owner_attacks) / sizeof(owner_attacks[0]); i++)
			one_attack(&owner_attacks[i], "far");
		roles();
		fence();
		rubbish();
		never_reads();
		crowd();
		check(counter("network_errors") == 0, "the engine met %llu errors of the device",
			(unsigned long long)counter("network_errors"));
	}
	dsm_detach(&honest);
	dsm_detach(&writer);
	check(dsm_engine_close(&engine) == 0, "%s", dsm_error());
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
