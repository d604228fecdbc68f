/* SPDX-License-Identifier: Apache-2.0 */
/* The udp transport's datagrams, frames and stream as bytes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/udp.h"
#include "wire/udp_flow.h"
#include "wire/udp_stream.h"

/* ---- datagrams ---- */

Test(udp_wire, an_init_is_as_long_as_a_datagram_may_be)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_init in = { .client = 0x01020304 }, out;
	memset(in.key_id, 0x11, sizeof(in.key_id));
	memset(in.cookie, 0x22, sizeof(in.cookie));
	memset(in.message, 0x33, sizeof(in.message));
	cr_assert_eq(udp_put_init(d, &in), UDP_DATAGRAM);
	cr_assert_eq(memcmp(d, "DU\1\1\4\3\2\1", 8), 0);
	cr_assert_eq(udp_get_init(d, UDP_DATAGRAM, &out), 0);
	cr_assert_eq(memcmp(&in, &out, sizeof(in)), 0);
	cr_assert_eq(udp_get_init(d, UDP_DATAGRAM - 1, &out), -EBADMSG);
	d[2] = 2;
	uint8_t version;
	cr_assert_eq(udp_type_of(d, UDP_DATAGRAM, &version), -EPROTONOSUPPORT);
	cr_assert_eq(version, 2);
}

Test(udp_wire, answers_before_the_handshake_are_short)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_cookie cookie = { .client = 7 };
	struct udp_resp resp = { .client = 8 };
	struct udp_refuse refuse = { 9, UDP_CAUSE_KEY, 1, 1 };
	struct udp_reset reset = { 10, UDP_FLOW_BIT | 5 };
	cr_assert_eq(udp_put_cookie(d, &cookie), 24);
	cr_assert_eq(udp_get_cookie(d, 24, &cookie), 0);
	cr_assert_eq(udp_put_resp(d, &resp), 72);
	cr_assert_eq(udp_get_resp(d, 72, &resp), 0);
	cr_assert_eq(udp_get_resp(d, 73, &resp), -EBADMSG);
	cr_assert_eq(udp_put_refuse(d, &refuse), 12);
	d[2] = 9; /* whatever version it is of */
	cr_assert_eq(udp_get_refuse(d, 12, &refuse), 0);
	d[8] = UDP_CAUSE_END;
	cr_assert_eq(udp_get_refuse(d, 12, &refuse), -EBADMSG);
	cr_assert_eq(udp_put_reset(d, &reset), 16);
	cr_assert_eq(udp_get_reset(d, 16, &reset), 0);
	cr_assert_eq(reset.session, 10);
	cr_assert_eq(reset.counter, UDP_FLOW_BIT | 5);
	cr_assert_eq(udp_get_reset(d, 15, &reset), -EBADMSG);
}

/* ---- frames ---- */

static struct udp_frame only(const unsigned char *data, size_t size)
{
	struct udp_frame f;
	const unsigned char *at = data;
	cr_assert_eq(udp_next_frame(&at, data + size, &f), 1);
	cr_assert_eq(udp_next_frame(&at, data + size, &f), 0);
	return f;
}

Test(udp_wire, frames_come_back)
{
	unsigned char d[UDP_DATA_ROOM];
	struct udp_writer w = { d, 0, sizeof(d) };
	struct udp_read read = { 1, UDP_READ_STEP, 2, 3, 4, 5 }, r;
	cr_assert(udp_put_read(&w, &read));
	struct udp_frame f = only(d, w.size);
	cr_assert_eq(udp_get_read(&f, &r), 0);
	cr_assert(r.id == 1 && r.kind == UDP_READ_STEP && r.index == 2 && r.offset == 3 && r.bytes == 4 && r.arg == 5);
	w.size = 0;
	struct udp_answer answer = { 1, 0, 99, 1024, 3, (const unsigned char *)"abc" }, a;
	cr_assert(udp_put_answer(&w, &answer));
	f = only(d, w.size);
	cr_assert_eq(udp_get_answer(&f, &a), 0);
	cr_assert(a.id == 1 && a.seq == 99 && a.offset == 1024 && a.bytes == 3 && memcmp(a.data, "abc", 3) == 0);
	w.size = 0;
	answer.status = -EAGAIN; /* with bytes: cannot be */
	cr_assert(udp_put_answer(&w, &answer));
	f = only(d, w.size);
	cr_assert_eq(udp_get_answer(&f, &a), -EBADMSG);
	w.size = 0;
	struct udp_pulse pulse = { .generation = 1, .heartbeat = 2, .state = 1, .owners = UDP_OWNERS_MAX,
		.counters = UDP_COUNTERS_MAX, .groups = UDP_AGES_MAX }, p;
	pulse.line[23] = (struct udp_line){ 4, 5, 6 };
	pulse.newest[15] = (struct udp_newest){ 7, 8 };
	cr_assert(udp_put_pulse(&w, &pulse), "the largest fits into a datagram");
	f = only(d, w.size);
	cr_assert_eq(udp_get_pulse(&f, &p), 0);
	cr_assert(p.line[23].pid == 6 && p.newest[15].seq == 8 && p.counters == UDP_COUNTERS_MAX);
	w.size = 0;
	struct udp_committed c = { 77, -EOWNERDEAD }, got;
	cr_assert(udp_put_committed(&w, &c));
	f = only(d, w.size);
	cr_assert_eq(udp_get_committed(&f, &got), 0);
	cr_assert(got.number == 77 && got.status == -EOWNERDEAD);
	w.size = 0;
	struct udp_prove prove;
	cr_assert(udp_put_prove(&w, &(struct udp_prove){ UINT64_MAX - 1 }));
	f = only(d, w.size);
	cr_assert_eq(udp_get_prove(&f, &prove), 0);
	cr_assert_eq(prove.number, UINT64_MAX - 1);
	f.bytes--;
	cr_assert_eq(udp_get_prove(&f, &prove), -EBADMSG);
}

Test(udp_wire, a_frame_never_reaches_beyond_the_end)
{
	unsigned char d[64] = { UDP_ACK, 0, 12, 0 };
	struct udp_frame f;
	for (size_t n = 1; n < 16; n++) {
		const unsigned char *at = d;
		cr_assert_eq(udp_next_frame(&at, d + n, &f), -EBADMSG, "%zu bytes", n);
	}
	d[2] = 255;
	d[3] = 255;
	const unsigned char *at = d;
	cr_assert_eq(udp_next_frame(&at, d + sizeof(d), &f), -EBADMSG);
	struct udp_writer w = { d, 0, 15 }; /* one byte short */
	struct udp_ack ack = { 0 };
	cr_assert_not(udp_put_ack(&w, &ack));
	cr_assert_eq(w.size, 0);
}

/* ---- flows ---- */

Test(udp_wire, a_datagram_opens_once_and_only_unchanged)
{
	struct udp_flow a = { .to = 1, .own = 2, .bit = UDP_FLOW_BIT }, b = { .to = 2, .own = 1, .bit = UDP_FLOW_BIT };
	memset(a.send.key, 5, sizeof(a.send.key));
	b.receive = a.send;
	unsigned char d[UDP_DATAGRAM], copy[UDP_DATAGRAM];
	const unsigned char *at, *end;
	bool newest;
	struct udp_writer w = udp_flow_begin(d);
	struct udp_close close = { -EPIPE };
	cr_assert(udp_put_close(&w, &close));
	size_t n = udp_flow_seal(&a, d, &w);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		memcpy(copy, d, n);
		copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
		cr_assert_lt(udp_flow_open(&b, copy, n, &at, &end, &newest), 0, "bit %zu", bit);
	}
	memcpy(copy, d, n);
	cr_assert_eq(udp_flow_open(&b, copy, n, &at, &end, &newest), 0);
	cr_assert(newest);
	cr_assert_eq(end - at, 8);
	cr_assert_eq(udp_flow_open(&b, d, n, &at, &end, &newest), -EALREADY);
	b.bit = 0;
	w = udp_flow_begin(d);
	n = udp_flow_seal(&a, d, &w);
	cr_assert_eq(udp_flow_open(&b, d, n, &at, &end, &newest), -ENOENT, "another flow");
}

/* ---- the stream, with loss, repetition and disorder ---- */

static uint64_t dice(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

#define MESSAGES 200u
#define ON_THE_WAY 512u

struct way { unsigned char d[ON_THE_WAY][UDP_DATA_ROOM]; size_t n[ON_THE_WAY]; unsigned count; uint64_t seed; unsigned loss; };

static void send_over(struct way *way, const struct udp_writer *w)
{
	for (unsigned copies = 1 + (dice(&way->seed) % 10 == 0); copies; copies--) {
		if (dice(&way->seed) % 100 < way->loss || way->count == ON_THE_WAY)
			continue;
		memcpy(way->d[way->count], w->data, w->size);
		way->n[way->count++] = w->size;
	}
}

static bool arrive(struct way *way, unsigned char *d, size_t *n)
{
	if (way->count == 0)
		return false;
	unsigned i = (unsigned)(dice(&way->seed) % way->count); /* any order */
	memcpy(d, way->d[i], *n = way->n[i]);
	way->count--;
	memmove(way->d[i], way->d[way->count], way->n[way->count]);
	way->n[i] = way->n[way->count];
	return true;
}

static size_t length_of(unsigned i)
{
	return i % 7 == 0 ? 20000 : 1 + i * 13 % 3000;
}

static void take_all(struct udp_receiver *r, unsigned *got)
{
	size_t n;
	int rc;
	const unsigned char *m;
	while ((m = udp_receiver_message(r, &n, &rc)) != NULL) {
		cr_assert_eq(n, length_of(*got), "message %u", *got);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(m[i], (unsigned char)(*got + i));
		++*got;
	}
	cr_assert_eq(rc, 0);
}

/* A clock that begins at 0 is a clock as any other. */
Test(udp_wire, what_went_out_at_time_zero_has_gone_out)
{
	struct udp_sender s;
	unsigned char d[UDP_DATA_ROOM], message[UDP_PIECE * 3] = { 0 };
	cr_assert_eq(udp_sender_init(&s, 4), 0);
	cr_assert_eq(udp_sender_put(&s, NULL, 0, message, sizeof(message)), 0);
	cr_assert_not(udp_sender_stuck(&s, 5, 1), "it has not gone out yet");
	for (int i = 0; i < 3; i++) {
		struct udp_writer w = { d, 0, sizeof(d) };
		cr_assert(udp_sender_next(&s, 0, &w));
	}
	struct udp_writer w = { d, 0, sizeof(d) };
	cr_assert_not(udp_sender_next(&s, 0, &w), "again at once, and for ever");
	cr_assert_eq(udp_sender_due(&s, 0), UDP_RTO_FIRST_NS);
	cr_assert_not(udp_sender_stuck(&s, 5, 5));
	cr_assert(udp_sender_stuck(&s, 6, 5));
	cr_assert(udp_sender_next(&s, UDP_RTO_FIRST_NS, &w));
	cr_assert(udp_sender_stuck(&s, 6, 5), "since it went out first");
	struct udp_ack ack = { 1, 1 };
	cr_assert_eq(udp_sender_ack(&s, UDP_RTO_FIRST_NS, &ack), 0);
	ack = (struct udp_ack){ 3, 0 };
	cr_assert_eq(udp_sender_ack(&s, UDP_RTO_FIRST_NS, &ack), 0);
	cr_assert(udp_sender_idle(&s));
	udp_sender_free(&s);
}

Test(udp_wire, messages_arrive_in_order_and_once_over_a_bad_network, .timeout = 60)
{
	static struct way there = { .seed = 12345, .loss = 30 }, back = { .seed = 54321, .loss = 30 };
	struct udp_sender s;
	struct udp_receiver r;
	unsigned char d[UDP_DATA_ROOM], *message = malloc(20000);
	unsigned put = 0, got = 0;
	uint64_t now = 1;
	cr_assert_eq(udp_sender_init(&s, 128), 0);
	cr_assert_eq(udp_receiver_init(&r, 65536), 0);
	for (unsigned round = 0; got < MESSAGES && round < 200000; round++) {
		now += 1000000;
		for (; put < MESSAGES; put++) {
			for (size_t i = 0; i < length_of(put); i++)
				message[i] = (unsigned char)(put + i);
			if (udp_sender_put(&s, message, length_of(put) / 3, message + length_of(put) / 3,
				    length_of(put) - length_of(put) / 3))
				break;
		}
		struct udp_writer w = { d, 0, sizeof(d) };
		while (udp_sender_next(&s, now, &w)) {
			send_over(&there, &w);
			w.size = 0;
		}
		size_t n;
		for (int i = 0; i < 5 && arrive(&there, d, &n); i++) {
			struct udp_segment m;
			struct udp_frame f = only(d, n);
			cr_assert_eq(udp_get_segment(&f, &m), 0);
			cr_assert_eq(udp_receiver_take(&r, &m), 0);
			take_all(&r, &got);
			struct udp_ack ack;
			udp_receiver_ack(&r, &ack);
			w = (struct udp_writer){ d, 0, sizeof(d) };
			udp_put_ack(&w, &ack);
			send_over(&back, &w);
		}
		for (int i = 0; i < 5 && arrive(&back, d, &n); i++) {
			struct udp_ack ack;
			struct udp_frame f = only(d, n);
			cr_assert_eq(udp_get_ack(&f, &ack), 0);
			cr_assert_eq(udp_sender_ack(&s, now, &ack), 0);
		}
	}
	cr_assert_eq(got, MESSAGES);
	struct udp_ack never = { s.next + 1000, 0 };
	cr_assert_eq(udp_sender_ack(&s, now, &never), -EBADMSG);
	udp_sender_free(&s);
	udp_receiver_free(&r);
	free(message);
}
