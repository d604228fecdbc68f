/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger, or a peer that has gone mad, can send over udp. The first byte chooses: 0 datagrams,
 * 1 frames, 2 offers and commits (what decodes is encoded to the same bytes again), 3 a stream between
 * two honest sides over a network that the input plays, 4 a stream under hostile segments and
 * acknowledgements, 5 a flow. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/udp.h"
#include "wire/udp_flow.h"
#include "wire/udp_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

static void same(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	must(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
}

/* ---- 0: datagrams ---- */

static void datagram(const uint8_t *data, size_t size)
{
	unsigned char again[UDP_DATAGRAM];
	struct udp_init init;
	struct udp_cookie cookie;
	struct udp_resp resp;
	struct udp_refuse refuse;
	struct udp_reset reset;
	struct udp_data head;
	uint8_t version;
	udp_type_of(data, size, &version);
	if (udp_get_init(data, size, &init) == 0) {
		udp_put_init(again, &init);
		same(again, 96, data, 96); /* what follows is filling */
	}
	if (udp_get_cookie(data, size, &cookie) == 0)
		same(again, udp_put_cookie(again, &cookie), data, size);
	if (udp_get_resp(data, size, &resp) == 0)
		same(again, udp_put_resp(again, &resp), data, size);
	if (udp_get_refuse(data, size, &refuse) == 0) {
		size_t n = udp_put_refuse(again, &refuse);
		again[2] = data[2]; /* of whatever version */
		same(again, n, data, size);
	}
	if (udp_get_reset(data, size, &reset) == 0)
		same(again, udp_put_reset(again, &reset), data, size);
	if (udp_get_data(data, size, &head) == 0) {
		must(size >= UDP_DATA_HEAD + NOISE_TAG && size <= UDP_DATAGRAM);
		udp_put_data(again, &head);
		same(again, UDP_DATA_HEAD, data, UDP_DATA_HEAD);
	}
}

/* ---- 1: frames ---- */

static void frame_again(const struct udp_frame *f)
{
	unsigned char again[UDP_DATAGRAM];
	struct udp_writer w = { again, 0, sizeof(again) };
	union {
		struct udp_segment segment; struct udp_ack ack; struct udp_read read; struct udp_answer answer;
		struct udp_ask ask; struct udp_pulse pulse; struct udp_wait wait; struct udp_newest newest;
		struct udp_committed committed; struct udp_close close; struct udp_prove prove;
		struct udp_subscribe subscribe; struct udp_subscribed subscribed; uint32_t id; struct udp_update update;
		struct udp_updated updated;
	} m;
	bool put = false;
	switch (f->type) {
	case UDP_SEGMENT: put = !udp_get_segment(f, &m.segment) && udp_put_segment(&w, &m.segment); break;
	case UDP_ACK: put = !udp_get_ack(f, &m.ack) && udp_put_ack(&w, &m.ack); break;
	case UDP_READ: put = !udp_get_read(f, &m.read) && udp_put_read(&w, &m.read); break;
	case UDP_ANSWER: put = !udp_get_answer(f, &m.answer) && udp_put_answer(&w, &m.answer); break;
	case UDP_ASK: put = !udp_get_ask(f, &m.ask) && udp_put_ask(&w, &m.ask); break;
	case UDP_PULSE: put = !udp_get_pulse(f, &m.pulse) && udp_put_pulse(&w, &m.pulse); break;
	case UDP_WAIT: put = !udp_get_wait(f, &m.wait) && udp_put_wait(&w, &m.wait); break;
	case UDP_NOTIFY: put = !udp_get_notify(f, &m.newest) && udp_put_notify(&w, &m.newest); break;
	case UDP_COMMITTED: put = !udp_get_committed(f, &m.committed) && udp_put_committed(&w, &m.committed); break;
	case UDP_CLOSE: put = !udp_get_close(f, &m.close) && udp_put_close(&w, &m.close); break;
	case UDP_PROVE: put = !udp_get_prove(f, &m.prove) && udp_put_prove(&w, &m.prove); break;
	case UDP_SUBSCRIBE: put = !udp_get_subscribe(f, &m.subscribe) && udp_put_subscribe(&w, &m.subscribe); break;
	case UDP_SUBSCRIBED: put = !udp_get_subscribed(f, &m.subscribed) && udp_put_subscribed(&w, &m.subscribed); break;
	case UDP_UNSUBSCRIBE: put = !udp_get_unsubscribe(f, &m.id) && udp_put_unsubscribe(&w, m.id); break;
	case UDP_UPDATE: put = !udp_get_update(f, &m.update) && udp_put_update(&w, &m.update); break;
	case UDP_UPDATED: put = !udp_get_updated(f, &m.updated) && udp_put_updated(&w, &m.updated); break;
	default: break;
	}
	if (put)
		same(again, w.size, f->body - UDP_FRAME_HEAD, UDP_FRAME_HEAD + (size_t)f->bytes);
}

static void frames(const uint8_t *data, size_t size)
{
	const unsigned char *at = data, *end = data + size;
	struct udp_frame f;
	while (udp_next_frame(&at, end, &f) == 1) {
		must(f.body + f.bytes <= end && at <= end);
		frame_again(&f);
	}
}

/* ---- 2: what is inside of a handshake and of segments ---- */

static void inner(const uint8_t *data, size_t size)
{
	unsigned char again[UDP_COMMIT_HEAD];
	struct udp_offer offer;
	struct udp_commit commit;
	if (size == UDP_OFFER && udp_get_offer(data, &offer) == 0) {
		udp_put_offer(again, &offer);
		same(again, 12, data, 12); /* the last word is not looked at */
	}
	if (udp_get_commit(data, size, &commit) == 0) {
		udp_put_commit(again, &commit);
		same(again, UDP_COMMIT_HEAD, data, UDP_COMMIT_HEAD);
	}
}

/* ---- 3: two honest sides; the input is the network ---- */

#define POOL 64u
#define MESSAGES 4096u

static struct network {
	struct udp_sender sender;
	struct udp_receiver receiver;
	struct { unsigned char data[UDP_DATA_ROOM]; size_t size; } pool[POOL]; /* segments under way */
	struct udp_ack acks[POOL];
	uint32_t segments, ack_count;
	uint64_t now;
	uint32_t put, got;              /* messages */
} net;

static size_t length_of(uint32_t number)
{
	return 1 + number * 2654435761u % 5000;
}

static void put_message(void)
{
	static unsigned char message[5000];
	size_t n = length_of(net.put), head = n < 16 ? n : 16;
	memset(message, (int)(net.put & 255), n);
	int rc = udp_sender_put(&net.sender, message, head, message + head, n - head);
	must(rc == 0 || rc == -EAGAIN);
	net.put += rc == 0;
}

static void take_messages(void)
{
	size_t n;
	int rc;
	for (const unsigned char *m; (m = udp_receiver_message(&net.receiver, &n, &rc)); net.got++) {
		must(net.got < net.put && n == length_of(net.got)); /* in order, each once, whole */
		must(m[0] == (net.got & 255) && m[n - 1] == (net.got & 255));
	}
	must(rc == 0);
}

static void send_some(void)
{
	uint32_t at = net.segments % POOL;
	struct udp_writer w = { net.pool[at].data, 0, UDP_DATA_ROOM };
	if (!udp_sender_next(&net.sender, net.now, &w))
		return;
	net.pool[at].size = w.size;
	net.segments++;
}

static void deliver(uint32_t which)
{
	const unsigned char *at = net.pool[which % POOL].data, *end = at + net.pool[which % POOL].size;
	struct udp_frame f;
	struct udp_segment m;
	while (udp_next_frame(&at, end, &f) == 1) {
		must(udp_get_segment(&f, &m) == 0 && udp_receiver_take(&net.receiver, &m) == 0);
		take_messages();
	}
}

static void step(uint8_t what, uint8_t which)
{
	switch (what % 8) {
	case 0: put_message(); break;
	case 1: case 2:
		for (unsigned i = 0; i <= which % 16u; i++)
			send_some();
		break;
	case 3: case 4: deliver(which); break;
	case 5:
		udp_receiver_ack(&net.receiver, &net.acks[net.ack_count++ % POOL]);
		if (which & 1)
			must(udp_sender_ack(&net.sender, net.now, &net.acks[(net.ack_count - 1) % POOL]) == 0);
		break;
	case 6: /* one that was held up, however long */
		if (net.ack_count)
			must(udp_sender_ack(&net.sender, net.now,
				&net.acks[which % (net.ack_count < POOL ? net.ack_count : POOL)]) == 0);
		break;
	default: net.now += (uint64_t)which * which * 20000; break;
	}
}

static void stream(const uint8_t *data, size_t size)
{
	net.segments = net.ack_count = net.put = net.got = 0;
	net.now = 1;
	memset(net.pool, 0, sizeof(net.pool));
	must(udp_sender_init(&net.sender, 64) == 0 && udp_receiver_init(&net.receiver, 8192) == 0);
	for (size_t i = 0; i + 1 < size && net.put < MESSAGES; i += 2)
		step(data[i], data[i + 1]);
	/* the network is well again: everything comes */
	for (unsigned i = 0; i < 4000 && !(net.got == net.put && udp_sender_idle(&net.sender)); i++) {
		uint32_t first = net.segments;
		net.now += UDP_RTO_MAX_NS;
		for (unsigned k = 0; k < POOL / 2; k++)
			send_some();
		for (uint32_t k = first; k != net.segments; k++)
			deliver(k);
		step(5, 1);
	}
	must(net.got == net.put && udp_sender_idle(&net.sender));
	udp_sender_free(&net.sender);
	udp_receiver_free(&net.receiver);
}

/* ---- 4: one that keeps no rules ---- */

static void hostile(const uint8_t *data, size_t size)
{
	const unsigned char *at = data, *end = data + size;
	struct udp_sender s;
	struct udp_receiver r;
	struct udp_frame f;
	unsigned char out[UDP_DATA_ROOM];
	uint64_t now = 1;
	must(udp_sender_init(&s, 64) == 0 && udp_receiver_init(&r, 4096) == 0);
	udp_sender_put(&s, "head", 4, out, 0);
	while (udp_next_frame(&at, end, &f) == 1) {
		struct udp_segment m;
		struct udp_ack ack;
		struct udp_writer w = { out, 0, sizeof(out) };
		size_t n = 0;
		int rc = 0;
		if (udp_get_segment(&f, &m) == 0 && udp_receiver_take(&r, &m) == 0)
			while (udp_receiver_message(&r, &n, &rc))
				must(n > 0 && n <= r.room && (udp_sender_put(&s, "", 0, r.message, n) <= 0));
		if (udp_get_ack(&f, &ack) == 0)
			rc = udp_sender_ack(&s, now, &ack);
		must(s.next - s.first <= s.room && s.flight >= UDP_FLIGHT_MIN && s.flight <= UDP_WINDOW);
		if (rc)
			break; /* its session would end here */
		while (udp_sender_next(&s, now, &w))
			must(w.size <= w.room);
		udp_receiver_ack(&r, &ack);
		now += 3000000;
	}
	udp_sender_free(&s);
	udp_receiver_free(&r);
}

/* ---- 5: a flow ---- */

static void flow(const uint8_t *data, size_t size)
{
	struct udp_flow mine = { .send.key = { 1 }, .receive.key = { 2 }, .to = 7, .own = 9 };
	struct udp_flow theirs = { .send.key = { 2 }, .receive.key = { 1 }, .to = 9, .own = 7 };
	unsigned char copy[UDP_DATAGRAM + 64], sealed[UDP_DATAGRAM];
	const unsigned char *at, *end;
	bool newest;
	size_t n = size < sizeof(copy) ? size : sizeof(copy);
	memcpy(copy, data, n);
	must(udp_flow_open(&theirs, copy, n, &at, &end, &newest) != 0); /* nobody can forge a seal */
	struct udp_writer w = udp_flow_begin(sealed);
	w.size = n < w.room ? n : w.room;
	memcpy(w.data, data, w.size);
	size_t whole = udp_flow_seal(&mine, sealed, &w);
	must(whole == w.size + UDP_DATA_HEAD + NOISE_TAG);
	memcpy(copy, sealed, whole);
	if (size) { /* one byte changed, anywhere */
		copy[data[0] * whole / 256] ^= (unsigned char)(data[size - 1] | 1);
		must(udp_flow_open(&theirs, copy, whole, &at, &end, &newest) != 0);
	}
	memcpy(copy, sealed, whole);
	must(udp_flow_open(&theirs, copy, whole, &at, &end, &newest) == 0 && newest);
	same(at, (size_t)(end - at), data, w.size);
	memcpy(copy, sealed, whole);
	must(udp_flow_open(&theirs, copy, whole, &at, &end, &newest) == -EALREADY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ways[])(const uint8_t *data, size_t size) = {
		datagram, frames, inner, stream, hostile, flow,
	};
	if (size >= 1 && data[0] < sizeof(ways) / sizeof(ways[0]))
		ways[data[0]](data + 1, size - 1);
	return 0;
}
