/* SPDX-License-Identifier: Apache-2.0 */
/* A redis-server of our own: private port, socket and directory; gone when the row ends. */
#ifndef BENCH_REDIS_SERVER_H
#define BENCH_REDIS_SERVER_H

#include "harness/bench.h"

#include <hiredis.h>
#include <sys/types.h>

struct redis_server {
	pid_t pid;
	int port;
	char dir[200], socket[220];
};

/* Starts and waits until it answers. persist: append-only file, fsync every second, and a
 * snapshot after one second with a change. -ENOENT: redis-server is not installed;
 * -ETIMEDOUT: it did not answer within 5 s. To be stopped also after a failure. */
int redis_server_start(struct redis_server *server, const struct bench_conf *conf, bool persist);
void redis_server_stop(struct redis_server *server);
/* A connection over TCP loopback (NODELAY) or the Unix socket; NULL when refused. */
redisContext *redis_server_connect(const struct redis_server *server, bool tcp);
/* 0 and the reply freed, or -EIO. */
int redis_take(redisReply *reply);

#endif
