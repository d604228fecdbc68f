/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: a Redis server between the two processes, used as such teams use it: one hash per
 * segment, HSET with numbers as text, HMGET by the other side until the number is new.
 */
#include "peers/peer.h"
#include "peers/redis_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACK PEER_LANES_MAX /* the lane of the value back */
#define TEXT_BYTES 32

struct redis_peer {
	struct redis_server server;
	redisContext *context; /* each side's own, after join */
	bool tcp;
	uint64_t seen[PEER_LANES_MAX + 1];
};

static int open_server(struct peer *peer, bool tcp, bool persist)
{
	struct redis_peer *own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	peer->own = own;
	own->tcp = tcp;
	return redis_server_start(&own->server, peer->conf, persist);
}

static int open_tcp(struct peer *peer)
{
	return open_server(peer, true, false);
}

static int open_unix(struct peer *peer)
{
	return open_server(peer, false, false);
}

static int open_tcp_persist(struct peer *peer)
{
	return open_server(peer, true, true);
}

static int open_unix_persist(struct peer *peer)
{
	return open_server(peer, false, true);
}

static pid_t broker(const struct peer *peer)
{
	return ((const struct redis_peer *)peer->own)->server.pid;
}

static int join(struct peer *peer, enum peer_side side)
{
	struct redis_peer *own = peer->own;
	peer->side = side;
	if (side == PEER_SERVER)
		own->server.pid = 0, own->server.dir[0] = '\0'; /* the client's process ends it */
	own->context = redis_server_connect(&own->server, own->tcp);
	return own->context ? 0 : -ECONNREFUSED;
}

/* HSET dsm:LANE n NUMBER c0 VALUE c1 VALUE … */
static ssize_t send_cells(struct peer *peer, const void *data, size_t size, unsigned lane)
{
	struct redis_peer *own = peer->own;
	char text[1 + ECHO_CELLS][TEXT_BYTES], name[ECHO_CELLS][8], key[16];
	const char *argv[2 + 2 + 2 * ECHO_CELLS] = { "HSET", key, "n", text[0] };
	unsigned cells = (unsigned)((size - sizeof(uint64_t)) / sizeof(double)), argc = 4;
	struct echo_segment segment = { 0 };
	memcpy(&segment, data, size);
	snprintf(key, sizeof(key), "dsm:%u", peer->side == PEER_SERVER ? ACK : lane);
	snprintf(text[0], TEXT_BYTES, "%llu", (unsigned long long)segment.number);
	for (unsigned k = 0; k < cells; k++) {
		snprintf(name[k], sizeof(name[k]), "c%u", k);
		snprintf(text[k + 1], TEXT_BYTES, "%.17g", segment.cell[k]);
		argv[argc++] = name[k];
		argv[argc++] = text[k + 1];
	}
	int rc = redis_take(redisCommandArgv(own->context, (int)argc, argv, NULL));
	return rc ? rc : (ssize_t)size;
}

static ssize_t parse(const redisReply *reply, struct echo_segment *segment, unsigned cells)
{
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != cells + 1)
		return -EIO;
	for (unsigned k = 0; k <= cells; k++) {
		if (reply->element[k]->type != REDIS_REPLY_STRING)
			return -EAGAIN; /* not written yet */
	}
	segment->number = strtoull(reply->element[0]->str, NULL, 10);
	for (unsigned k = 0; k < cells; k++)
		segment->cell[k] = strtod(reply->element[k + 1]->str, NULL);
	return 1;
}

/* HMGET dsm:LANE n c0 c1 …: -EAGAIN while the number is an old one */
static ssize_t recv_cells(struct peer *peer, void *data, size_t size, unsigned lane)
{
	struct redis_peer *own = peer->own;
	unsigned cells = (unsigned)((size - sizeof(uint64_t)) / sizeof(double)), argc = 3;
	char name[ECHO_CELLS][8], key[16];
	const char *argv[3 + ECHO_CELLS] = { "HMGET", key, "n" };
	lane = peer->side == PEER_CLIENT ? ACK : lane;
	snprintf(key, sizeof(key), "dsm:%u", lane);
	for (unsigned k = 0; k < cells; k++) {
		snprintf(name[k], sizeof(name[k]), "c%u", k);
		argv[argc++] = name[k];
	}
	struct echo_segment segment = { 0 };
	redisReply *reply = redisCommandArgv(own->context, (int)argc, argv, NULL);
	ssize_t rc = parse(reply, &segment, cells);
	freeReplyObject(reply);
	if (rc < 0)
		return bench_stop ? -EINTR : rc;
	if (segment.number == own->seen[lane])
		return -EAGAIN;
	own->seen[lane] = segment.number;
	memcpy(data, &segment, size);
	return (ssize_t)size;
}

static bool fits(size_t size, const char **why)
{
	*why = "only numeric segments go through Redis here";
	return size <= sizeof(struct echo_segment);
}

static void close_peer(struct peer *peer)
{
	struct redis_peer *own = peer->own;
	if (!own)
		return;
	if (own->context)
		redisFree(own->context);
	redis_server_stop(&own->server);
	free(own);
	peer->own = NULL;
}

#define REDIS .messages = true, .fits = fits, .join = join, .send = send_cells, .recv = recv_cells, \
	.broker = broker, .close = close_peer

const struct peer_ops peer_redis_tcp = { .name = "redis-tcp", .open = open_tcp, REDIS };
const struct peer_ops peer_redis_unix = { .name = "redis-unix", .open = open_unix, REDIS };
const struct peer_ops peer_redis_tcp_persist = { .name = "redis-tcp-persist", .open = open_tcp_persist, REDIS };
const struct peer_ops peer_redis_unix_persist = { .name = "redis-unix-persist", .open = open_unix_persist,
	REDIS };
