/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: keys. The handshake before anything else is said, and the seal of what follows. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/error.h"
#include "transport/verbs.h"

/* Whoever has a key wants it asked for: an engine that does not, is another, or somebody between. */
static int agreed(const struct verbs_dial *dial)
{
	bool asked = dial->reply.flags & REPLY_KEYS;
	if (asked == dial->secret.there)
		return 0;
	return asked ? dsm__fail(-EACCES, "rdma: the engine wants a key: give one by key_file or the "
			"environment variable DSM_KEYS (docs/security.md)") :
		dsm__fail(-EACCES, "rdma: the engine lets in without the key that was shown, so it is not "
			"believed; if it is meant to have auth none, attach with DSM_NO_KEY or without DSM_KEYS");
}

/* The next whole message of the handshake, waiting for it. */
static int hear(struct transport_conn *conn, unsigned char *message, size_t room)
{
	for (;;) {
		int lost = verbs_cm_events(conn); /* before what the engine said last is looked for */
		int n = endpoint_recv(&conn->endpoint, message, room);
		if (n > 0)
			return n;
		n = n == -EAGAIN && lost ? lost : n;
		if (n == -ETIMEDOUT)
			return dsm__fail(-ECONNRESET, "rdma: the engine went without a word during the handshake");
		if (n == -ECONNRESET || lost)
			return dsm__fail(-ECONNRESET, "rdma: the engine closed the connection during the "
				"handshake: it has another key of that id, or the key was just taken away");
		if (n != -EAGAIN)
			return dsm__fail(-EBADMSG, "rdma: what answers is no dsm engine");
		uint64_t now = clock_now(&clock_system);
		if (now >= conn->deadline)
			return dsm__fail(-ETIMEDOUT, "rdma: the engine does not answer the handshake");
		verbs_probe(conn, now);
		struct pollfd p = { conn->epoll, POLLIN, 0 };
		poll(&p, 1, 20);
	}
}

int verbs_shake_hands(struct transport_conn *conn, const struct verbs_dial *dial)
{
	unsigned char message[VERBS_AUTH_BYTES + 1], out[VERBS_AUTH_BYTES];
	size_t bytes;
	int rc = agreed(dial);
	if (rc || !dial->secret.there)
		return rc;
	conn->sealed = malloc(STREAM_MESSAGE_MAX);
	if (!conn->sealed)
		return dsm__fail(-ENOMEM, "no memory for a connection");
	rc = verbs_auth_call(&conn->auth, dial->secret.psk, &dial->request, &dial->reply, out);
	if (rc)
		return dsm__fail(rc, "rdma: no handshake can be begun");
	rc = endpoint_send(&conn->endpoint, out, VERBS_AUTH_BYTES);
	if (rc)
		return dsm__fail(-ECONNRESET, "rdma: the connection was lost");
	int n = hear(conn, message, sizeof(message));
	if (n < 0)
		return n;
	rc = verbs_auth_take(&conn->auth, message, (size_t)n, out, &bytes);
	if (rc)
		return dsm__fail(-EACCES, "rdma: the engine's handshake does not fit the key: it does not "
			"have it, or somebody between has changed something");
	rc = endpoint_send(&conn->endpoint, out, bytes);
	return rc ? dsm__fail(-ECONNRESET, "rdma: the connection was lost") : 0;
}

int verbs_say(struct transport_conn *conn, const void *message, size_t bytes)
{
	if (conn->auth.state == VERBS_AUTH_NONE)
		return endpoint_send(&conn->endpoint, message, bytes);
	if (bytes > STREAM_MESSAGE_MAX - NOISE_TAG)
		return -EMSGSIZE;
	int rc = verbs_auth_seal(&conn->auth, message, bytes, conn->sealed);
	if (rc)
		return -ECONNRESET;
	rc = endpoint_send(&conn->endpoint, conn->sealed, bytes + NOISE_TAG);
	if (rc == 0)
		verbs_auth_sent(&conn->auth);
	return rc;
}

int verbs_hear(struct transport_conn *conn, void *message, size_t room)
{
	if (conn->auth.state == VERBS_AUTH_NONE)
		return endpoint_recv(&conn->endpoint, message, room);
	int n = endpoint_recv(&conn->endpoint, conn->sealed, STREAM_MESSAGE_MAX);
	return n > 0 ? verbs_auth_open(&conn->auth, conn->sealed, (size_t)n, message, room) : n;
}
