/* SPDX-License-Identifier: Apache-2.0 */
/* The udp codec against golden bytes that tests/vectors/udp_v1.py made from the byte tables of
 * docs/protocol.md alone. The values here are the same by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/udp.h"

#define NAME 0x04030201u
#define BIG UINT64_C(0xf8f7f6f5f4f3f2f1)

static unsigned char want[UDP_DATAGRAM], made[UDP_DATAGRAM], some[64];
static struct udp_writer w;

static size_t golden(const char *name)
{
	char path[500];
	const char *folder = getenv("DSM_VECTORS");
	snprintf(path, sizeof(path), "%s/udp-v1/%s.bin", folder ? folder : "tests/vectors", name);
	FILE *file = fopen(path, "rb");
	cr_assert_not_null(file, "%s", path);
	size_t n = fread(want, 1, sizeof(want), file);
	fclose(file);
	w = (struct udp_writer){ made, 0, UDP_DATA_ROOM };
	return n;
}

static const unsigned char *count(unsigned first)
{
	for (unsigned i = 0; i < sizeof(some); i++)
		some[i] = (unsigned char)(first + i);
	return some;
}

#define SAME_BYTES(name, n) do { \
	size_t made_ = (n), size_ = golden(name); \
	cr_assert_eq(size_, made_, "%s: %zu bytes, not %zu", name, made_, size_); \
	cr_assert_arr_eq(made, want, made_, "%s", name); \
} while (0)

/* ---- datagrams ---- */

Test(udp_vectors, init)
{
	struct udp_init m = { .client = NAME }, got;
	memcpy(m.key_id, count(0x10), 8);
	memcpy(m.cookie, count(0x20), 16);
	memcpy(m.message, count(0x40), 64);
	SAME_BYTES("datagram-init", udp_put_init(made, &m));
	cr_assert_eq(udp_get_init(want, 1200, &got), 0);
	cr_assert_eq(memcmp(&got, &m, sizeof(m)), 0);
	m = (struct udp_init){ .client = 0xfffffffe };
	memcpy(m.message, count(0x80), 64);
	SAME_BYTES("datagram-init-first", udp_put_init(made, &m));
	cr_assert_eq(udp_get_init(want, 1200, &got), 0);
	cr_assert_eq(memcmp(&got, &m, sizeof(m)), 0);
}

Test(udp_vectors, cookie_and_resp)
{
	struct udp_cookie cookie = { .client = NAME }, c;
	struct udp_resp resp = { .client = NAME }, r;
	memcpy(cookie.cookie, count(0x20), 16);
	SAME_BYTES("datagram-cookie", udp_put_cookie(made, &cookie));
	cr_assert_eq(udp_get_cookie(want, 24, &c), 0);
	cr_assert_eq(memcmp(&c, &cookie, sizeof(c)), 0);
	memcpy(resp.message, count(0x60), 64);
	SAME_BYTES("datagram-resp", udp_put_resp(made, &resp));
	cr_assert_eq(udp_get_resp(want, 72, &r), 0);
	cr_assert_eq(memcmp(&r, &resp, sizeof(r)), 0);
}

Test(udp_vectors, refuse_and_reset)
{
	struct udp_refuse refuse = { NAME, UDP_CAUSE_VERSION, 1, 3 }, f;
	struct udp_reset reset = { 0x0a0b0c0d, UDP_FLOW_BIT | 9 }, r;
	SAME_BYTES("datagram-refuse", udp_put_refuse(made, &refuse));
	cr_assert_eq(udp_get_refuse(want, 12, &f), 0);
	cr_assert(f.client == NAME && f.cause == UDP_CAUSE_VERSION && f.lowest == 1 && f.highest == 3);
	SAME_BYTES("datagram-reset", udp_put_reset(made, &reset));
	cr_assert_eq(udp_get_reset(want, 16, &r), 0);
	cr_assert(r.session == reset.session && r.counter == reset.counter);
}

/* Its frames and tag are any bytes here: what is compared is the head. */
Test(udp_vectors, data)
{
	struct udp_data m = { 0x0a0b0c0d, 0x0102030405060708 }, got;
	cr_assert_eq(golden("datagram-data-control"), 72);
	udp_put_data(made, &m);
	cr_assert_arr_eq(made, want, UDP_DATA_HEAD);
	cr_assert_eq(udp_get_data(want, 72, &got), 0);
	cr_assert(got.to == m.to && got.counter == m.counter);
	cr_assert_eq(golden("datagram-data-data"), 32);
	m = (struct udp_data){ 7, UDP_FLOW_BIT | 5 };
	udp_put_data(made, &m);
	cr_assert_arr_eq(made, want, UDP_DATA_HEAD);
	cr_assert_eq(udp_get_data(want, 32, &got), 0);
	cr_assert(got.to == m.to && got.counter == m.counter);
}

Test(udp_vectors, offer_and_commits)
{
	struct udp_offer offer = { 1, 2, 1400, 0x0a0b0c0d, 5000 }, o;
	static const struct { const char *name; struct udp_commit m; size_t bytes; } commits[] = {
		{ "commit-slot", { 1, 2, UDP_COMMIT_SLOT }, 80 }, { "commit-step", { 2, 3, UDP_COMMIT_STEP }, 32 },
		{ "commit-both", { BIG, 0x01020304, UDP_COMMIT_BOTH }, 80 },
	};
	udp_put_offer(made, &offer);
	SAME_BYTES("offer", UDP_OFFER);
	cr_assert_eq(udp_get_offer(want, &o), 0);
	cr_assert(o.lowest == 1 && o.highest == 2 && o.datagram == 1400 && o.session == 0x0a0b0c0d && o.idle_ms == 5000);
	for (size_t i = 0; i < 3; i++) {
		struct udp_commit m;
		cr_assert_eq(golden(commits[i].name), commits[i].bytes);
		udp_put_commit(made, &commits[i].m);
		cr_assert_arr_eq(made, want, UDP_COMMIT_HEAD, "%s", commits[i].name);
		cr_assert_eq(udp_get_commit(want, commits[i].bytes, &m), 0);
		cr_assert(m.number == commits[i].m.number && m.group == commits[i].m.group && m.kind == commits[i].m.kind);
	}
}

/* ---- frames ---- */

static struct udp_frame first_of(size_t n)
{
	struct udp_frame f;
	const unsigned char *at = want;
	cr_assert_eq(udp_next_frame(&at, want + n, &f), 1);
	cr_assert_eq(at, want + n, "one frame, and nothing after it");
	return f;
}

Test(udp_vectors, stream)
{
	struct udp_segment segment = { 0x01020304, UDP_FIRST | UDP_LAST, 5, count(1) }, s;
	struct udp_ack ack = { 0x01020304, BIG }, a;
	golden("frame-segment");
	cr_assert(udp_put_segment(&w, &segment));
	SAME_BYTES("frame-segment", w.size);
	struct udp_frame f = first_of(17);
	cr_assert_eq(udp_get_segment(&f, &s), 0);
	cr_assert(s.seq == segment.seq && s.flags == 3 && s.bytes == 5 && memcmp(s.data, count(1), 5) == 0);
	cr_assert(udp_put_ack(&w, &ack));
	SAME_BYTES("frame-ack", w.size);
	f = first_of(16);
	cr_assert_eq(udp_get_ack(&f, &a), 0);
	cr_assert(a.next == ack.next && a.beyond == BIG);
}

Test(udp_vectors, reading)
{
	struct udp_read read = { 1, UDP_READ_STEP, 2, 3, 32768, BIG }, r;
	struct udp_answer answer = { 0x0a0b0c0d, 0, BIG, 1024, 64, count(0x30) }, a;
	golden("frame-read");
	cr_assert(udp_put_read(&w, &read));
	SAME_BYTES("frame-read", w.size);
	struct udp_frame f = first_of(32);
	cr_assert_eq(udp_get_read(&f, &r), 0);
	cr_assert(r.id == 1 && r.kind == UDP_READ_STEP && r.index == 2 && r.offset == 3 && r.bytes == 32768 && r.arg == BIG);
	cr_assert(udp_put_answer(&w, &answer));
	SAME_BYTES("frame-answer", w.size);
	f = first_of(88);
	cr_assert_eq(udp_get_answer(&f, &a), 0);
	cr_assert(a.id == answer.id && a.status == 0 && a.seq == BIG && a.offset == 1024 && a.bytes == 64 &&
		memcmp(a.data, count(0x30), 64) == 0);
	answer = (struct udp_answer){ 2, -90, 0, 0, 0, NULL };
	cr_assert(udp_put_answer(&w, &answer));
	SAME_BYTES("frame-answer-no", w.size);
	f = first_of(24);
	cr_assert_eq(udp_get_answer(&f, &a), 0);
	cr_assert(a.id == 2 && a.status == -90 && a.bytes == 0);
}

Test(udp_vectors, liveness)
{
	struct udp_ask ask = { BIG, 3, 3, { 0, 0x01020304, 7 } }, a;
	struct udp_pulse pulse = { BIG, 2, 1, 0, 2, 3, 2, { { UINT64_C(0x100000002), 3, 4 }, { BIG, 5, 6 } },
		{ 10, BIG, 12 }, { { 0, 1 }, { 9, BIG } } }, p;
	golden("frame-ask");
	cr_assert(udp_put_ask(&w, &ask));
	SAME_BYTES("frame-ask", w.size);
	struct udp_frame f = first_of(28);
	cr_assert_eq(udp_get_ask(&f, &a), 0);
	cr_assert(a.beat == BIG && a.first_owner == 3 && a.groups == 3 && a.group[1] == 0x01020304 && a.group[2] == 7);
	cr_assert(udp_put_pulse(&w, &pulse));
	SAME_BYTES("frame-pulse", w.size);
	memset(&p, 0, sizeof(p));
	f = first_of(116);
	cr_assert_eq(udp_get_pulse(&f, &p), 0);
	cr_assert(p.generation == BIG && p.heartbeat == 2 && p.state == 1 && p.owners == 2 && p.counters == 3 &&
		p.groups == 2 && p.line[0].bank_state == UINT64_C(0x100000002) && p.line[1].pid == 6 &&
		p.counter[1] == BIG && p.newest[1].group == 9 && p.newest[1].seq == BIG);
}

Test(udp_vectors, pairs)
{
	struct udp_wait wait = { 5, BIG }, gw;
	struct udp_newest notify = { 6, BIG }, gn;
	struct udp_committed committed = { BIG, -130 }, gc;
	struct udp_close close = { -110 }, ge;
	golden("frame-wait");
	cr_assert(udp_put_wait(&w, &wait));
	SAME_BYTES("frame-wait", w.size);
	struct udp_frame f = first_of(16);
	cr_assert(udp_get_wait(&f, &gw) == 0 && gw.group == 5 && gw.since == BIG);
	cr_assert(udp_put_notify(&w, &notify));
	SAME_BYTES("frame-notify", w.size);
	f = first_of(16);
	cr_assert(udp_get_notify(&f, &gn) == 0 && gn.group == 6 && gn.seq == BIG);
	cr_assert(udp_put_committed(&w, &committed));
	SAME_BYTES("frame-committed", w.size);
	f = first_of(16);
	cr_assert(udp_get_committed(&f, &gc) == 0 && gc.number == BIG && gc.status == -130);
	cr_assert(udp_put_close(&w, &close));
	SAME_BYTES("frame-close", w.size);
	f = first_of(8);
	cr_assert(udp_get_close(&f, &ge) == 0 && ge.status == -110);
}

Test(udp_vectors, subscriptions)
{
	struct udp_subscribe subscribe = { 7, 50000, 1, BIG, 2, { { 3, 0, 0, 0, 0 }, { 0x01020304, 2, 2.5, BIG, 9 } } }, s;
	struct udp_subscribed subscribed = { 7, -28 }, d;
	uint32_t id;
	golden("frame-subscribe");
	cr_assert(udp_put_subscribe(&w, &subscribe));
	SAME_BYTES("frame-subscribe", w.size);
	struct udp_frame f = first_of(80);
	cr_assert_eq(udp_get_subscribe(&f, &s), 0);
	cr_assert(s.id == 7 && s.interval_us == 50000 && s.every_nth == 1 && s.generation == BIG && s.n == 2);
	cr_assert(s.wish[0].group == 3 && s.wish[0].kind == 0 && s.wish[1].group == 0x01020304 && s.wish[1].kind == 2 &&
		s.wish[1].band == 2.5 && s.wish[1].seq == BIG && s.wish[1].epoch == 9);
	cr_assert(udp_put_subscribed(&w, &subscribed));
	SAME_BYTES("frame-subscribed", w.size);
	f = first_of(12);
	cr_assert(udp_get_subscribed(&f, &d) == 0 && d.id == 7 && d.status == -28);
	golden("frame-unsubscribe");
	cr_assert(udp_put_unsubscribe(&w, 0x0a0b0c0d));
	SAME_BYTES("frame-unsubscribe", w.size);
	f = first_of(8);
	cr_assert(udp_get_unsubscribe(&f, &id) == 0 && id == 0x0a0b0c0d);
}

Test(udp_vectors, updates)
{
	struct udp_update update = { 7, 1, BIG, 64, count(0x50) }, lean = { 7, 0, 5, 0, NULL }, u;
	struct udp_updated updated = { 7, 1, BIG }, d;
	golden("frame-update");
	cr_assert(udp_put_update(&w, &update));
	SAME_BYTES("frame-update", w.size);
	struct udp_frame f = first_of(84);
	cr_assert_eq(udp_get_update(&f, &u), 0);
	cr_assert(u.id == 7 && u.index == 1 && u.seq == BIG && u.bytes == 64 && memcmp(u.data, count(0x50), 64) == 0);
	cr_assert(udp_put_update(&w, &lean));
	SAME_BYTES("frame-update-long", w.size);
	f = first_of(20);
	cr_assert(udp_get_update(&f, &u) == 0 && u.index == 0 && u.seq == 5 && u.bytes == 0);
	cr_assert(udp_put_updated(&w, &updated));
	SAME_BYTES("frame-updated", w.size);
	f = first_of(20);
	cr_assert(udp_get_updated(&f, &d) == 0 && d.id == 7 && d.index == 1 && d.seq == BIG);
}

Test(udp_vectors, several_frames_in_one)
{
	struct udp_read first = { 1, UDP_READ_NEWEST, 3, 0, 104, 0 }, second = { 2, UDP_READ_SEQ, 4, 0, 0, 0 };
	struct udp_ask ask = { 0 };
	struct udp_frame f;
	golden("frame-several");
	cr_assert(udp_put_read(&w, &first) && udp_put_ask(&w, &ask) && udp_put_read(&w, &second));
	SAME_BYTES("frame-several", w.size);
	const unsigned char *at = want, *end = want + 80;
	static const uint8_t types[] = { UDP_READ, UDP_ASK, UDP_READ };
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(udp_next_frame(&at, end, &f), 1);
		cr_assert_eq(f.type, types[i]);
	}
	cr_assert_eq(udp_next_frame(&at, end, &f), 0);
}
