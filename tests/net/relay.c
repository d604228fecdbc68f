/* SPDX-License-Identifier: Apache-2.0 */
#include "net/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/pcap.h"

#define AT_ONCE 64u         /* datagrams taken from one socket before the next one's turn */
#define LISTENER UINT32_MAX /* epoll: not a flow */
#define OTHER (UINT32_MAX - 1)
#define CAPTURE_MAX 20000   /* datagrams; what comes later is not captured */
#define INJECT_MAX 8000    /* datagrams, within half a second; meanwhile nothing is relayed */

struct flow {
	struct sockaddr_in client;
	int fd;                 /* to the server; -1 = the place is free */
	uint32_t number;        /* 1, 2, 3 … as they came */
	uint64_t n[2];          /* datagrams, by way */
	uint64_t used_ns;
};

struct relay {
	struct relay_options options;
	int epoll, listener, other;
	struct flow flows[RELAY_FLOWS];
	struct queue queue;
	struct kept kept[2];
	struct flood flood;
	struct pcap *pcap;
	struct relay_counts counts;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int watch(struct relay *relay, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };
	return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* ---- flows ---- */

/* A socket of its own to the server, so that the server sees an address for each client. */
static int flow_bind(struct relay *relay, struct flow *flow)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = 4 << 20;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (connect(fd, (struct sockaddr *)&relay->options.to, sizeof(relay->options.to)) != 0 ||
	    watch(relay, fd, (uint32_t)(flow - relay->flows)) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	if (flow->fd >= 0)
		close(flow->fd);
	flow->fd = fd;
	return 0;
}

/* The flow of a client; a new one if need be. NULL: there is no socket for it. */
static struct flow *flow_of(struct relay *relay, const struct sockaddr_in *client, uint64_t now_ns)
{
	struct flow *place = &relay->flows[0];
	for (size_t i = 0; i < RELAY_FLOWS; i++) {
		struct flow *flow = &relay->flows[i];
		if (flow->fd >= 0 && flow->client.sin_port == client->sin_port &&
		    flow->client.sin_addr.s_addr == client->sin_addr.s_addr) {
			flow->used_ns = now_ns;
			return flow;
		}
		if (place->fd >= 0 && (flow->fd < 0 || flow->used_ns < place->used_ns))
			place = flow;
	}
	if (flow_bind(relay, place) != 0)
		return NULL;
	place->client = *client;
	place->number = (uint32_t)++relay->counts.flows;
	place->n[WAY_UP] = place->n[WAY_DOWN] = 0;
	place->used_ns = now_ns;
	return place;
}

static struct flow *flow_numbered(struct relay *relay, uint32_t number)
{
	for (size_t i = 0; i < RELAY_FLOWS; i++)
		if (relay->flows[i].fd >= 0 && relay->flows[i].number == number)
			return &relay->flows[i];
	return NULL;
}

/* ---- one datagram ---- */

static void hold(struct relay *relay, const struct flow *flow, enum way way, const uint8_t *bytes,
	size_t n, uint64_t due_ns)
{
	if (queue_put(&relay->queue, due_ns, flow->number, way, bytes, n) != 0)
		relay->counts.full++;
}

static uint64_t ms(double value)
{
	return (uint64_t)(value * 1e6);
}

/* What comes besides the datagram itself. */
static void add_others(struct relay *relay, const struct flow *flow, enum way way, const uint8_t *bytes,
	size_t n, uint64_t *random, uint64_t due_ns)
{
	static uint8_t forged[RELAY_DATAGRAM];
	const struct relay_settings *s = &relay->options.settings;
	const struct kept *kept = &relay->kept[way];
	if (draw_unit(random) < s->spoof) {
		size_t size = forge(random, bytes, n, forged, PCAP_DATAGRAM_MAX);
		hold(relay, flow, way, forged, size, due_ns);
		relay->counts.spoofed++;
	}
	if (draw_unit(random) < s->replay && kept->puts) {
		uint64_t i = draw(random) % (kept->puts < RELAY_KEPT ? kept->puts : RELAY_KEPT);
		hold(relay, flow, way, kept->ring[i].bytes, kept->ring[i].n, due_ns);
		relay->counts.replayed++;
	}
	if (draw_unit(random) < s->reflect) {
		hold(relay, flow, way == WAY_UP ? WAY_DOWN : WAY_UP, bytes, n, due_ns);
		relay->counts.reflected++;
	}
}

/* All draws are made whatever the settings are, in this order. */
static void harm(struct relay *relay, const struct flow *flow, enum way way, uint8_t *bytes, size_t n,
	uint64_t now_ns)
{
	const struct relay_settings *s = &relay->options.settings;
	struct relay_counts *counts = &relay->counts;
	uint64_t random = (uint64_t)s->seed * 0x2545f4914f6cdd1du ^ (uint64_t)flow->number << 41 ^
		(uint64_t)way << 40 ^ flow->n[way];
	double lost = draw_unit(&random), twice = draw_unit(&random), turned = draw_unit(&random);
	double cut = draw_unit(&random), held = draw_unit(&random), held_ms = 1 + 9 * draw_unit(&random);
	uint64_t bit = draw(&random), end = draw(&random);
	uint64_t due_ns = now_ns + ms(s->delay_ms + s->jitter_ms * draw_unit(&random));
	double again_ms = 5 * draw_unit(&random);
	if (s->mtu > 0 && (double)n > s->mtu) {
		counts->oversize++;
		return;
	}
	add_others(relay, flow, way, bytes, n, &random, due_ns);
	if (lost < s->loss) {
		counts->lost++;
		return;
	}
	if (turned < s->corrupt && n) {
		bytes[bit / 8 % n] ^= (uint8_t)(1u << bit % 8);
		counts->corrupted++;
	}
	if (cut < s->truncate && n) {
		n = end % n;
		counts->truncated++;
	}
	if (held < s->reorder) {
		due_ns += ms(held_ms);
		counts->reordered++;
	}
	hold(relay, flow, way, bytes, n, due_ns);
	if (twice < s->duplicate) {
		hold(relay, flow, way, bytes, n, due_ns + ms(again_ms));
		counts->duplicated++;
	}
}

static void pass(struct relay *relay, struct flow *flow, enum way way, uint8_t *bytes, size_t n,
	uint64_t now_ns)
{
	const struct relay_settings *s = &relay->options.settings;
	bool whole = s->only != 0 && (s->only == 1) != (way == WAY_UP);
	relay->counts.received++;
	flow->n[way]++;
	if (relay->pcap && relay->counts.received <= CAPTURE_MAX)
		pcap_put(relay->pcap, clock_ns(CLOCK_REALTIME),
			way == WAY_UP ? &flow->client : &relay->options.to,
			way == WAY_UP ? &relay->options.to : &flow->client, bytes, n);
	if (way == WAY_UP && s->rebind > 0 && flow->n[way] % (uint64_t)s->rebind == 0 &&
	    flow_bind(relay, flow) == 0)
		relay->counts.rebinds++;
	kept_put(&relay->kept[way], flow->n[way] == 1, bytes, n);
	if (whole)
		hold(relay, flow, way, bytes, n, now_ns);
	else
		harm(relay, flow, way, bytes, n, now_ns);
}

/* ---- sockets ---- */

static void hear_clients(struct relay *relay, uint64_t now_ns)
{
	static uint8_t buffer[RELAY_DATAGRAM];
	for (unsigned i = 0; i < AT_ONCE; i++) {
		struct sockaddr_in client;
		socklen_t size = sizeof(client);
		ssize_t n = recvfrom(relay->listener, buffer, sizeof(buffer), 0, (struct sockaddr *)&client, &size);
		if (n < 0)
			return;
		struct flow *flow = flow_of(relay, &client, now_ns);
		if (flow)
			pass(relay, flow, WAY_UP, buffer, (size_t)n, now_ns);
		else
			relay->counts.full++;
	}
}

static void hear_server(struct relay *relay, struct flow *flow, uint64_t now_ns)
{
	static uint8_t buffer[RELAY_DATAGRAM];
	for (unsigned i = 0; i < AT_ONCE && flow->fd >= 0; i++) {
		ssize_t n = recv(flow->fd, buffer, sizeof(buffer), 0);
		if (n < 0)
			return;
		pass(relay, flow, WAY_DOWN, buffer, (size_t)n, now_ns);
	}
}

static void send_due(struct relay *relay, uint64_t now_ns)
{
	struct held held;
	while (queue_take(&relay->queue, now_ns, &held)) {
		struct flow *flow = flow_numbered(relay, held.flow_number);
		ssize_t sent = -1;
		if (flow && held.way == WAY_UP)
			sent = send(flow->fd, held.bytes, held.n, 0);
		else if (flow)
			sent = sendto(relay->listener, held.bytes, held.n, 0, (struct sockaddr *)&flow->client,
				sizeof(flow->client));
		*(sent < 0 ? &relay->counts.unsent : &relay->counts.forwarded) += 1;
		free(held.bytes);
	}
}

bool relay_step(struct relay *relay, int other, int timeout_ms)
{
	struct epoll_event events[RELAY_FLOWS + 2];
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), next_ns = queue_next_ns(&relay->queue);
	bool said = false;
	if (other >= 0 && relay->other < 0 && watch(relay, other, OTHER) == 0)
		relay->other = other;
	if (next_ns != UINT64_MAX) {
		uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
		if (wait_ns / 1000000 < (uint64_t)timeout_ms)
			timeout_ms = (int)((wait_ns + 999999) / 1000000);
	}
	if (relay->options.settings.flood > 0 && timeout_ms > 1)
		timeout_ms = 1;
	int n = epoll_wait(relay->epoll, events, RELAY_FLOWS + 2, timeout_ms);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == OTHER)
			said = true;
		else if (events[i].data.u32 == LISTENER)
			hear_clients(relay, now_ns);
		else
			hear_server(relay, &relay->flows[events[i].data.u32], now_ns);
	}
	send_due(relay, clock_ns(CLOCK_MONOTONIC));
	flood_step(&relay->flood, &relay->kept[WAY_UP], &relay->options.to, relay->options.settings.flood,
		(uint64_t)relay->options.settings.seed, now_ns, &relay->counts);
	return said;
}

/* ---- captures ---- */

struct injection {
	struct relay *relay;
	int fd, sent;
};

static int inject_one(const struct sockaddr_in *from, const struct sockaddr_in *to, const uint8_t *bytes,
	size_t n, void *context)
{
	struct injection *injection = context;
	const struct timespec pause = { 0, 200000 };
	(void)from;
	if (injection->sent >= INJECT_MAX)
		return 1;
	if (to->sin_port != injection->relay->options.to.sin_port)
		return 0;
	if (send(injection->fd, bytes, n, 0) >= 0)
		injection->sent++;
	if (injection->sent % 8 == 0)
		nanosleep(&pause, NULL);
	return 0;
}

int relay_inject(struct relay *relay, const char *path)
{
	struct injection injection = { relay, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 0 };
	int rc = -errno;
	if (injection.fd < 0)
		return rc;
	relay_flush(relay); /* it may be this one's own */
	rc = connect(injection.fd, (struct sockaddr *)&relay->options.to, sizeof(relay->options.to)) ? -errno :
		pcap_foreach(path, inject_one, &injection);
	close(injection.fd);
	relay->counts.injected += (uint64_t)injection.sent;
	return rc < 0 ? rc : injection.sent;
}

int relay_flush(struct relay *relay)
{
	return relay->pcap ? pcap_flush(relay->pcap) : 0;
}

/* ---- life ---- */

static int open_all(struct relay *relay)
{
	int room = 4 << 20, rc = 0;
	relay->epoll = epoll_create1(EPOLL_CLOEXEC);
	relay->listener = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (relay->epoll < 0 || relay->listener < 0)
		return -errno;
	setsockopt(relay->listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(relay->listener, (struct sockaddr *)&relay->options.listen, sizeof(relay->options.listen)) != 0)
		return -errno;
	rc = watch(relay, relay->listener, LISTENER);
	if (rc == 0 && relay->options.pcap)
		rc = pcap_create(relay->options.pcap, &relay->pcap);
	return rc;
}

int relay_open(const struct relay_options *options, struct relay **out)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (!relay)
		return -ENOMEM;
	relay->options = *options;
	relay->epoll = relay->listener = relay->other = -1;
	for (size_t i = 0; i < RELAY_FLOWS; i++)
		relay->flows[i].fd = -1;
	int rc = open_all(relay);
	if (rc)
		relay_close(&relay);
	else
		*out = relay;
	return rc;
}

void relay_close(struct relay **out)
{
	struct relay *relay = *out;
	*out = NULL;
	if (!relay)
		return;
	for (size_t i = 0; i < RELAY_FLOWS; i++)
		if (relay->flows[i].fd >= 0)
			close(relay->flows[i].fd);
	if (relay->listener >= 0)
		close(relay->listener);
	if (relay->epoll >= 0)
		close(relay->epoll);
	flood_close(&relay->flood);
	queue_clear(&relay->queue);
	kept_clear(&relay->kept[WAY_UP]);
	kept_clear(&relay->kept[WAY_DOWN]);
	pcap_close(&relay->pcap);
	free(relay);
}

struct sockaddr_in relay_address(const struct relay *relay)
{
	struct sockaddr_in address = { 0 };
	socklen_t size = sizeof(address);
	getsockname(relay->listener, (struct sockaddr *)&address, &size);
	return address;
}

struct relay_settings *relay_settings(struct relay *relay)
{
	return &relay->options.settings;
}

const struct relay_counts *relay_counts(const struct relay *relay)
{
	return &relay->counts;
}
