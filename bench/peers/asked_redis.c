/* SPDX-License-Identifier: Apache-2.0 */
/* A redis-server on the server's CPU, without persistence, asked through hiredis over TCP. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "peers/asked.h"
#include "peers/redis_server.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_server(struct asked *a, struct bench_run *out)
{
	struct redis_server *server = calloc(1, sizeof(*server));
	cpu_set_t set;
	a->own = server;
	if (!server)
		return -ENOMEM;
	int rc = redis_server_start(server, a->conf, false);
	if (rc == -ENOENT)
		return bench_why(out, -ENOTSUP, "redis-server is not installed");
	if (rc)
		return bench_why(out, rc, "redis-server did not start: %s", strerror(-rc));
	a->server = server->pid;
	CPU_ZERO(&set);
	CPU_SET((size_t)a->conf->cpu_server, &set);
	if (sched_setaffinity(server->pid, sizeof(set), &set))
		return -errno;
	redisContext *c = redis_server_connect(server, true);
	rc = c ? redis_take(redisCommand(c, "HSET sensor_data v0 1.5 count 0")) : -ECONNREFUSED;
	if (c)
		redisFree(c);
	return rc;
}

static int join(struct asked *a, unsigned client, void **own, char why[BENCH_WHY_MAX])
{
	(void)client;
	*own = redis_server_connect(a->own, true);
	if (*own)
		return 0;
	snprintf(why, BENCH_WHY_MAX, "redis-server refused the connection");
	return -ECONNREFUSED;
}

static bool is_value(const redisReply *r)
{
	return r && r->type == REDIS_REPLY_ARRAY && r->elements == 1 && r->element[0]->type == REDIS_REPLY_STRING &&
		strcmp(r->element[0]->str, "1.5") == 0;
}

static int ask(struct asked *a, void *own, uint64_t number, char why[BENCH_WHY_MAX])
{
	redisContext *c = own;
	redisReply *r = a->what == ASKED_READ ? redisCommand(c, "HMGET sensor_data v0") :
		a->what == ASKED_COMMIT ? redisCommand(c, "HSET sensor_data v0 %llu", (unsigned long long)number) :
		redisCommand(c, "HINCRBY sensor_data count 1");
	bool good = a->what == ASKED_READ ? is_value(r) : r && r->type == REDIS_REPLY_INTEGER;
	freeReplyObject(r);
	if (good)
		return 0;
	snprintf(why, BENCH_WHY_MAX, "redis: %.100s", c->err ? c->errstr : "another answer than expected");
	return -EIO;
}

static void leave(struct asked *a, void *own)
{
	(void)a;
	if (own)
		redisFree(own);
}

static void close_server(struct asked *a)
{
	if (a->own)
		redis_server_stop(a->own);
	free(a->own);
	a->own = NULL;
}

const struct asked_ops asked_redis = { "redis", open_server, join, ask, leave, close_server };
