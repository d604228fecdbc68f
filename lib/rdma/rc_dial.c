/* SPDX-License-Identifier: Apache-2.0 */
/* The side that calls: address, route, connection, within a time. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "rdma/rc.h"

#define ADDRESSES_MAX 8
#define PIECE_MS 500u       /* what an address that nobody was woken for costs */
#define NO_LISTENER 8       /* reject reason of the CM: invalid service id */

int rc_channel(struct rdma_event_channel **out)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	if (!channel)
		return dsm__fail(-ENODEV, "rdma: this machine has no RDMA device that can be used (%s); "
			"on Ethernet, `rdma link add` makes one", strerror(errno));
	int flags = fcntl(channel->fd, F_GETFL);
	if (flags < 0 || fcntl(channel->fd, F_SETFL, flags | O_NONBLOCK)) {
		int error = -errno;
		rdma_destroy_event_channel(channel);
		return dsm__fail(error, "rdma: event channel: %s", strerror(-error));
	}
	*out = channel;
	return 0;
}

/* The end of a connected pair on the same channel, as an error without a text. */
static int ended(const struct rdma_cm_event *event)
{
	return event->event == RDMA_CM_EVENT_DEVICE_REMOVAL ? -ESHUTDOWN :
		event->event == RDMA_CM_EVENT_DISCONNECTED ? -ECONNRESET : 0;
}

/* The next event of `id`; the caller acknowledges it. */
static int next_event(struct rdma_cm_id *id, uint64_t deadline, struct rdma_cm_event **out)
{
	for (;;) {
		struct rdma_cm_event *event;
		if (rdma_get_cm_event(id->channel, &event) == 0) {
			if (event->id == id) {
				*out = event;
				return 0;
			}
			int rc = ended(event);
			rdma_ack_cm_event(event);
			if (rc)
				return dsm__fail(rc, rc == -ESHUTDOWN ? "rdma: the device is being removed" :
					"rdma: the engine closed the connection");
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return dsm__fail(-errno, "rdma: no events: %s", strerror(errno));
		uint64_t now = clock_now(&clock_system);
		if (now >= deadline)
			return -ETIMEDOUT;
		struct pollfd p = { id->channel->fd, POLLIN, 0 };
		uint64_t ms = (deadline - now) / 1000000u + 1;
		poll(&p, 1, ms > 1000 ? 1000 : (int)ms);
	}
}

static int expect(struct rdma_cm_id *id, enum rdma_cm_event_type want, uint64_t deadline,
	const char *host)
{
	struct rdma_cm_event *event;
	int status = next_event(id, deadline, &event);
	if (status && status != -ETIMEDOUT)
		return status;
	if (status == 0) {
		bool good = event->event == want;
		status = event->status < 0 ? event->status : -EHOSTUNREACH;
		rdma_ack_cm_event(event);
		if (good)
			return 0;
	}
	if (status == -ETIMEDOUT)
		return dsm__fail(status, "rdma: no way to \"%s\" was found in time", host);
	return status == -ENODEV ? dsm__fail(status, "rdma: no RDMA device of this machine leads to "
		"\"%s\"", host) : dsm__fail(status, "rdma: \"%s\": %s", host, strerror(-status));
}

/* One piece of the time; -ETIMEDOUT: it is over. */
static int resolve_piece(struct rdma_event_channel *channel, const char *host, struct sockaddr *to,
	uint64_t deadline, struct rdma_cm_id **out)
{
	struct rdma_cm_id *id;
	uint32_t ms = rc_ms_left(clock_now(&clock_system), deadline);
	if (rdma_create_id(channel, &id, NULL, RDMA_PS_TCP))
		return dsm__fail(-errno, "rdma: cannot make a connection: %s", strerror(errno));
	int rc = 0;
	if (rdma_resolve_addr(id, NULL, to, (int)(ms < PIECE_MS ? ms : PIECE_MS)))
		rc = errno == ENODEV ? dsm__fail(-ENODEV, "rdma: no RDMA device of this machine leads to "
			"\"%s\"", host) : dsm__fail(-errno, "rdma: \"%s\": %s", host, strerror(errno));
	if (rc == 0)
		rc = expect(id, RDMA_CM_EVENT_ADDR_RESOLVED, deadline, host);
	if (rc)
		rdma_destroy_id(id);
	else
		*out = id;
	return rc;
}

/* Linux looks whether it knows the next hop's address when it is asked, when it has learnt one, and when
 * the time is over. What it learns between the first look and the request's place in its list wakes
 * nobody (drivers/infiniband/core/addr.c), so the time is asked for in pieces. */
static int resolve_one(struct rdma_event_channel *channel, const char *host, struct sockaddr *to,
	uint64_t deadline, struct rdma_cm_id **out)
{
	struct rdma_cm_id *id = NULL;
	int rc;
	do {
		rc = resolve_piece(channel, host, to, deadline, &id);
	} while (rc == -ETIMEDOUT && clock_now(&clock_system) < deadline);
	if (rc)
		return rc;
	if (rdma_resolve_route(id, (int)rc_ms_left(clock_now(&clock_system), deadline)))
		rc = dsm__fail(-errno, "rdma: no route to \"%s\": %s", host, strerror(errno));
	if (rc == 0)
		rc = expect(id, RDMA_CM_EVENT_ROUTE_RESOLVED, deadline, host);
	if (rc)
		rdma_destroy_id(id);
	else
		*out = id;
	return rc;
}

int rc_resolve(struct rdma_event_channel *channel, const char *host, uint16_t port,
	uint32_t timeout_ms, struct rdma_cm_id **out)
{
	uint64_t deadline = clock_now(&clock_system) + timeout_ms * UINT64_C(1000000);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char service[8];
	snprintf(service, sizeof(service), "%u", port);
	int rc = getaddrinfo(host, service, &hints, &list);
	if (rc)
		return dsm__fail(-ENOENT, "rdma: \"%s\" is no host: %s", host, gai_strerror(rc));
	rc = -ENOENT;
	unsigned left = 0;
	for (struct addrinfo *a = list; a && left < ADDRESSES_MAX; a = a->ai_next)
		left++;
	/* each address has its share of the time, so that a dead one does not use up the next one's */
	for (struct addrinfo *a = list; left && rc; a = a->ai_next, left--) {
		uint64_t now = clock_now(&clock_system);
		uint64_t share = now < deadline ? (deadline - now) / left : 0;
		rc = resolve_one(channel, host, a->ai_addr, now + share, out);
	}
	freeaddrinfo(list);
	return rc;
}

int rc_resolve_to(struct rdma_event_channel *channel, struct sockaddr *to, uint32_t timeout_ms,
	struct rdma_cm_id **out)
{
	return resolve_one(channel, "the engine", to,
		clock_now(&clock_system) + timeout_ms * UINT64_C(1000000), out);
}

/* ---- connecting ---- */

static int rejected(const struct rdma_cm_event *event)
{
	struct verbs_reject reject;
	if (event->event == RDMA_CM_EVENT_REJECTED) {
		if (verbs_get_reject(event->param.conn.private_data, event->param.conn.private_data_len,
				&reject) == 0)
			return dsm__fail(reject.status, "rdma: refused: %s",
				reject.text[0] ? reject.text : strerror(-reject.status));
		if (event->status == NO_LISTENER)
			return dsm__fail(-ECONNREFUSED, "rdma: nobody listens there");
		return dsm__fail(-ECONNREFUSED, "rdma: refused (CM reason %d)", event->status);
	}
	return dsm__fail(-EHOSTUNREACH, "rdma: no connection: %s (%s)", rdma_event_str(event->event),
		strerror(event->status < 0 ? -event->status : 0));
}

static int answered(struct rdma_cm_id *id, struct ibv_qp *qp, const struct rdma_cm_event *event,
	uint16_t kind, struct verbs_reply *reply, uint32_t *reads)
{
	struct ibv_device_attr device;
	const struct rdma_conn_param *got = &event->param.conn;
	if (event->event != RDMA_CM_EVENT_CONNECT_RESPONSE || event->status)
		return rejected(event);
	int rc = verbs_get_reply(got->private_data, got->private_data_len, reply);
	if (rc == -EPROTONOSUPPORT)
		return dsm__fail(rc, "rdma: the engine speaks another version of the rdma transport");
	if (rc || reply->kind != kind)
		return dsm__fail(-EBADMSG, "rdma: what answers is no dsm engine");
	rc = ibv_query_device(qp->context, &device);
	if (rc)
		return dsm__fail(-rc, "rdma: cannot ask the device for its limits: %s", strerror(rc));
	/* what we may start is what the other side serves */
	uint32_t depth = got->initiator_depth < RC_READS_MAX ? got->initiator_depth : RC_READS_MAX;
	if (depth > (uint32_t)device.max_qp_init_rd_atom)
		depth = (uint32_t)device.max_qp_init_rd_atom;
	if (kind != VERBS_WRITE && depth == 0)
		return dsm__fail(-EPROTO, "rdma: the engine's device serves no READ");
	*reads = depth;
	rc = rc_up(id, qp, 1, (uint8_t)depth);
	if (rc == 0 && rdma_establish(id))
		rc = dsm__fail(-errno, "rdma: cannot confirm the connection: %s", strerror(errno));
	return rc ? rc : rc_check_access(qp, 0);
}

int rc_connect(struct rdma_cm_id *id, struct ibv_qp *qp, const struct verbs_request *request,
	uint32_t timeout_ms, struct verbs_reply *reply, uint32_t *reads)
{
	uint64_t deadline = clock_now(&clock_system) + timeout_ms * UINT64_C(1000000);
	unsigned char bytes[VERBS_REQUEST_BYTES];
	struct ibv_device_attr device;
	struct rdma_cm_event *event;
	int rc = ibv_query_device(qp->context, &device);
	if (rc)
		return dsm__fail(-rc, "rdma: cannot ask the device for its limits: %s", strerror(rc));
	unsigned starts = (unsigned)device.max_qp_init_rd_atom;
	verbs_put_request(bytes, request);
	struct rdma_conn_param param = { .private_data = bytes, .private_data_len = sizeof(bytes),
		.responder_resources = 1,
		.initiator_depth = (uint8_t)(starts < RC_READS_MAX ? starts : RC_READS_MAX),
		.retry_count = RC_RETRIES, .rnr_retry_count = RC_RNR_RETRIES, .qp_num = qp->qp_num };
	if (rdma_connect(id, &param))
		return dsm__fail(-errno, "rdma: cannot connect: %s", strerror(errno));
	rc = next_event(id, deadline, &event);
	if (rc == -ETIMEDOUT)
		return dsm__fail(rc, "rdma: no answer to the connection request");
	if (rc)
		return rc;
	rc = answered(id, qp, event, request->kind, reply, reads);
	rdma_ack_cm_event(event);
	return rc;
}

int rc_event(struct rdma_event_channel *channel, struct rdma_cm_id **id)
{
	struct rdma_cm_event *event;
	struct pollfd p = { channel->fd, POLLIN, 0 };
	if (poll(&p, 1, 0) == 0) /* rdma_get_cm_event() allocates before it looks */
		return -EAGAIN;
	if (rdma_get_cm_event(channel, &event))
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ENODEV;
	int rc = ended(event);
	*id = event->id;
	rdma_ack_cm_event(event);
	return rc;
}
