/* SPDX-License-Identifier: Apache-2.0 */
/* udp: finding the engine and shaking hands with it. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "port/socket.h"
#include "transport/udp.h"

#define FIRST_MS 50                 /* then an INIT goes out again, and each time later */
#define LAST_MS 500
#define BUFFER (1 << 20)
#define COOKIES_AT_ONCE 3u          /* of a dial: who sends one after the other makes nobody send much */

/* One try at one address. */
struct dial {
	struct transport_conn *conn;
	const struct transport_secret *secret;
	struct noise_handshake hs;
	struct udp_init init;
	unsigned char datagram[UDP_DATAGRAM + 1];
	uint32_t cookies;           /* answered at once */
	uint64_t asked_ns;          /* since when INIT goes out with this cookie; 0 = not yet */
	bool done;
};

/* Noise's first message, the same for every INIT of this dial. */
static int first_message(struct dial *d)
{
	unsigned char offer[UDP_OFFER];
	struct udp_offer ours = { UDP_VERSION, UDP_VERSION, UDP_DATAGRAM, 0, 0 };
	size_t n;
	d->init = (struct udp_init){ .client = randombytes_random() };
	memcpy(d->init.key_id, d->secret->id, KEY_ID_BYTES);
	udp_put_init(d->datagram, &d->init); /* its beginning is the prologue */
	int rc = noise_begin(&d->hs, true, d->secret->psk, d->datagram, UDP_PROLOGUE);
	udp_put_offer(offer, &ours);
	if (rc == 0)
		rc = noise_write(&d->hs, offer, sizeof(offer), d->init.message, sizeof(d->init.message), &n);
	return rc ? dsm__fail(rc, "udp: no handshake can be begun") : 0;
}

static int refused(const struct dial *d, const struct udp_refuse *m)
{
	const char *peer = d->conn->peer;
	switch (m->cause) {
	case UDP_CAUSE_VERSION:
		return dsm__fail(-EPROTONOSUPPORT, "udp: %s speaks versions %u to %u of the protocol, this library "
			"%u; use libraries of the same release", peer, m->lowest, m->highest, UDP_VERSION);
	case UDP_CAUSE_KEY:
		return dsm__fail(-EACCES, d->secret->there ? "udp: %s does not know the key that was shown, or it "
			"was taken away; the engine's key file must have it" : "udp: %s wants a key: give one by "
			"key_file or the environment variable DSM_KEYS (docs/security.md)", peer);
	case UDP_CAUSE_FULL:
		return dsm__fail(-EUSERS, "udp: the engine at %s has all the clients it takes", peer);
	default:
		return dsm__fail(-ECONNREFUSED, "udp: the engine at %s is ending", peer);
	}
}

static void take_resp(struct dial *d, const struct udp_resp *m)
{
	struct transport_conn *conn = d->conn;
	unsigned char offer[UDP_OFFER];
	struct udp_offer theirs;
	struct noise_cipher send, receive;
	size_t n;
	/* one that does not verify is somebody else's: the true one may still come */
	if (noise_read(&d->hs, m->message, UDP_HANDSHAKE, offer, sizeof(offer), &n) || n != UDP_OFFER ||
	    udp_get_offer(offer, &theirs) || noise_split(&d->hs, &send, &receive, NULL))
		return;
	struct udp_flow flow = { .send = send, .receive = receive, .to = theirs.session, .own = m->client };
	conn->control.flow = conn->data.flow = flow;
	conn->data.flow.bit = UDP_FLOW_BIT;
	conn->idle_ms = theirs.idle_ms < 100 ? 100 : theirs.idle_ms;
	sodium_memzero(&flow, sizeof(flow));
	noise_wipe_cipher(&send);
	noise_wipe_cipher(&receive);
	d->done = true;
}

/* 1: say INIT again. */
static int take_answer(struct dial *d, size_t n)
{
	struct udp_cookie cookie;
	struct udp_resp resp;
	struct udp_refuse refuse;
	uint8_t version;
	int type = udp_type_of(d->datagram, n, &version);
	if (type == UDP_COOKIE_IS && udp_get_cookie(d->datagram, n, &cookie) == 0 &&
	    cookie.client == d->init.client) {
		bool fresh = memcmp(d->init.cookie, cookie.cookie, UDP_COOKIE) != 0 && d->cookies < COOKIES_AT_ONCE;
		d->cookies += fresh;
		memcpy(d->init.cookie, cookie.cookie, UDP_COOKIE);
		d->asked_ns = fresh ? 0 : d->asked_ns;
		return fresh;
	}
	if (type == UDP_RESP && udp_get_resp(d->datagram, n, &resp) == 0 && resp.client == d->init.client)
		take_resp(d, &resp);
	else if (udp_get_refuse(d->datagram, n, &refuse) == 0 && refuse.client == d->init.client)
		return refused(d, &refuse);
	return 0;
}

static int no_answer(const struct transport_conn *conn, int error)
{
	if (error == -ECONNREFUSED)
		return dsm__fail(-ENOENT, "udp: no engine listens at %s", conn->peer);
	return dsm__fail(error, "udp: %s: %s", conn->peer, port_strerror(-error));
}

/* Answers until `until_ns`. 0: say INIT again, or d->done. */
static int listen_for(struct dial *d, uint64_t until_ns)
{
	uint64_t now;
	while (!d->done && (now = clock_now(&clock_system)) < until_ns) {
		port_wait(&d->conn->control.fd, 1, until_ns - now);
		ssize_t n = port_recv(d->conn->control.fd, d->datagram, sizeof(d->datagram));
		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return no_answer(d->conn, (int)n);
		int rc = n > 0 ? take_answer(d, (size_t)n) : 0;
		if (rc)
			return rc < 0 ? rc : 0;
	}
	return 0;
}

static int shake_hands(struct dial *d, uint64_t deadline)
{
	uint64_t wait_ms = FIRST_MS, now;
	int rc = first_message(d);
	while (rc == 0 && !d->done) {
		now = clock_now(&clock_system);
		uint64_t here = clock_now(d->conn->clock);
		if (here >= deadline)
			return dsm__fail(-ETIMEDOUT, "udp: %s does not answer; is dsmd running there with --udp, "
				"and is the port open?", d->conn->peer);
		d->asked_ns = d->asked_ns ? d->asked_ns : now;
		udp_put_init(d->datagram, &d->init);
		ssize_t n = port_send(d->conn->control.fd, d->datagram, UDP_DATAGRAM);
		if (n < 0 && n != -EAGAIN)
			return no_answer(d->conn, (int)n);
		uint64_t until = now + wait_ms * 1000000u;
		rc = listen_for(d, until - now < deadline - here ? until : now + (deadline - here));
		if (clock_now(&clock_system) >= until) /* not after a cookie, which comes at once */
			wait_ms = 2 * wait_ms > LAST_MS ? LAST_MS : 2 * wait_ms;
	}
	if (rc == 0) /* at most so long: an INIT may have been lost */
		udp_rtt_take(&d->conn->rtt, clock_now(&clock_system) - d->asked_ns);
	return rc;
}

static int dial_one(struct transport_conn *conn, const struct addrinfo *a, const struct transport_secret *secret,
	uint64_t deadline)
{
	struct dial d = { .conn = conn, .secret = secret };
	int fd = port_udp_connect(a, BUFFER);
	if (fd < 0)
		return no_answer(conn, fd);
	conn->control.fd = fd;
	int rc = shake_hands(&d, deadline);
	noise_wipe(&d.hs);
	if (rc == 0 && (fd = port_udp_connect(a, BUFFER)) < 0)
		rc = no_answer(conn, fd);
	if (rc == 0) {
		conn->data.fd = fd;
		return 0;
	}
	port_socket_close(conn->control.fd);
	conn->control.fd = -1;
	return rc;
}

int udp_dial(struct transport_conn *conn, const struct uri *uri, const struct transport_identity *as)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV }, *list = NULL;
	struct transport_secret secret = { 0 };
	char service[8];
	uint16_t port = uri->port ? uri->port : DSM_PORT;
	bool six = strchr(uri->host, ':') != NULL;
	snprintf(service, sizeof(service), "%u", port);
	snprintf(conn->peer, sizeof(conn->peer), "%s%s%s:%u", six ? "[" : "", uri->host, six ? "]" : "", port);
	int rc = port_sockets_start();
	if (rc == 0)
		rc = transport_secret_find(as, &secret);
	if (rc)
		return rc;
	int error = getaddrinfo(uri->host, service, &hints, &list);
	if (error)
		rc = dsm__fail(-ENOENT, "udp: %s: %s", conn->peer, gai_strerror(error));
	bool done = error != 0;
	for (const struct addrinfo *a = list; a && !done; a = a->ai_next) {
		uint64_t now = clock_now(conn->clock);
		uint64_t left = conn->deadline > now ? conn->deadline - now : 0;
		rc = dial_one(conn, a, &secret, a->ai_next ? now + left / 2 : conn->deadline);
		/* what answered has the last word */
		done = rc == 0 || rc == -EACCES || rc == -EUSERS || rc == -EPROTONOSUPPORT;
	}
	if (list)
		freeaddrinfo(list);
	sodium_memzero(&secret, sizeof(secret));
	return rc;
}
