/* SPDX-License-Identifier: Apache-2.0 */
#include "udp_hand.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <dsm/dsm.h>

#include "core/layout.h"
#include "wire/udp_stream.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)

static void take_frame(struct client *c, const struct udp_frame *f)
{
	struct udp_segment s;
	struct udp_writer w;
	unsigned char d[UDP_DATAGRAM];
	if (f->type == UDP_SEGMENT && udp_get_segment(f, &s) == 0 && s.bytes < sizeof(c->message)) {
		memcpy(c->message, s.data, c->message_bytes = s.bytes);
		w = udp_flow_begin(d);
		udp_put_ack(&w, &(struct udp_ack){ s.seq + 1, 0 });
		send(c->fd, d, udp_flow_seal(&c->control, d, &w), 0);
	} else if (f->type == UDP_COMMITTED) {
		udp_get_committed(f, &c->committed);
	} else if (f->type == UDP_ANSWER && udp_get_answer(f, &c->answer) == 0) {
		c->answers++;
		memcpy(c->piece, c->answer.data, c->answer.bytes);
	} else if (f->type == UDP_PROVE) {
		udp_get_prove(f, &c->prove);
	} else if (f->type == UDP_CLOSE) {
		c->closed = true;
	}
}

void listen_for(struct client *c, int ms)
{
	unsigned char d[2048];
	const unsigned char *at, *end;
	struct udp_frame f;
	bool newest;
	struct pollfd p = { c->fd, POLLIN, 0 };
	while (poll(&p, 1, ms) == 1) {
		ssize_t n = recv(c->fd, d, sizeof(d), 0);
		c->came += n > 0 ? (size_t)n : 0;
		if (n > 3 && d[3] == UDP_RESET)
			c->closed = true;
		if (n <= 0 || (udp_flow_open(&c->control, d, (size_t)n, &at, &end, &newest) &&
				udp_flow_open(&c->data, d, (size_t)n, &at, &end, &newest)))
			continue;
		while (udp_next_frame(&at, end, &f) == 1)
			take_frame(c, &f);
		ms = 20;
	}
}

void say(struct client *c, struct udp_flow *flow, const struct udp_writer *w, unsigned char *d)
{
	size_t n = udp_flow_seal(flow, d, w);
	cr_assert_eq(send(c->fd, d, n, 0), (ssize_t)n);
}

void say_segment(struct client *c, bool data, const void *bytes, size_t n, uint16_t flags)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_segment m = { data ? c->commits++ : c->segment++, flags, (uint16_t)n, bytes };
	cr_assert(udp_put_segment(&w, &m));
	say(c, data ? &c->data : &c->control, &w, d);
}

size_t exchange(int fd, const unsigned char d[UDP_DATAGRAM], enum udp_type wanted, unsigned char in[UDP_DATAGRAM],
	int again_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint8_t version;
	for (int tries = 0; tries < 20000 / again_ms; tries++) {
		send(fd, d, UDP_DATAGRAM, 0);
		while (poll(&p, 1, again_ms) == 1) {
			ssize_t n = recv(fd, in, UDP_DATAGRAM, 0);
			int type = n > 0 ? udp_type_of(in, (size_t)n, &version) : 0;
			if (type == (int)wanted)
				return (size_t)n;
			if (type == UDP_REFUSE)
				return 0; /* not what was wanted */
		}
	}
	return 0;
}

bool shake_hands(struct client *c)
{
	static const uint8_t nobody[NOISE_KEY];
	struct noise_handshake hs;
	struct noise_cipher send_key, receive_key;
	struct udp_init init = { .client = 4711 };
	struct udp_cookie cookie;
	struct udp_resp resp;
	struct udp_offer offer = { 1, 1, UDP_DATAGRAM, 0, 0 };
	unsigned char d[UDP_DATAGRAM], in[UDP_DATAGRAM], raw[UDP_OFFER];
	size_t n;
	udp_put_init(d, &init);
	ok(noise_begin(&hs, true, nobody, d, UDP_PROLOGUE));
	udp_put_offer(raw, &offer);
	ok(noise_write(&hs, raw, sizeof(raw), init.message, sizeof(init.message), &n));
	udp_put_init(d, &init);
	cr_assert_eq(exchange(c->fd, d, UDP_COOKIE_IS, in, 200), 24);
	ok(udp_get_cookie(in, 24, &cookie));
	memcpy(init.cookie, cookie.cookie, UDP_COOKIE);
	udp_put_init(d, &init);
	size_t got = exchange(c->fd, d, UDP_RESP, in, 200);
	if (!got)
		return false;
	ok(udp_get_resp(in, got, &resp));
	ok(noise_read(&hs, resp.message, UDP_HANDSHAKE, raw, sizeof(raw), &n));
	ok(udp_get_offer(raw, &offer));
	ok(noise_split(&hs, &send_key, &receive_key, NULL));
	c->control = (struct udp_flow){ .send = send_key, .receive = receive_key, .to = offer.session, .own = 4711 };
	c->data = c->control;
	c->data.bit = UDP_FLOW_BIT;
	return true;
}

int socket_from(in_addr_t host, unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port) };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(bind(fd, (void *)&from, sizeof(from)));
	ok(connect(fd, (void *)&to, sizeof(to)));
	return fd;
}

void connect_from(struct client *c, in_addr_t host, unsigned port)
{
	memset(c, 0, sizeof(*c));
	c->fd = socket_from(host, port);
	cr_assert(shake_hands(c), "no RESP");
}

void say_hello(struct client *c, const char *owner)
{
	unsigned char message[512];
	struct control_writer w;
	struct control_hello hello = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .program = "hostile" };
	snprintf(hello.owner, sizeof(hello.owner), "%s", owner);
	memset(hello.client_id, rand(), sizeof(hello.client_id));
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &hello);
	say_segment(c, false, message, control_end(&w), UDP_FIRST | UDP_LAST);
	for (int i = 0; i < 200 && !c->message_bytes && !c->closed; i++)
		listen_for(c, 50);
}
