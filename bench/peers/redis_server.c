/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/child.h"
#include "harness/clock.h"
#include "peers/redis_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 500 /* of 10 ms */

static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = bind(fd, (struct sockaddr *)&address, length) ||
		getsockname(fd, (struct sockaddr *)&address, &length) ? -errno : ntohs(address.sin_port);
	close(fd);
	return rc;
}

static bool installed(void)
{
	const char *path = getenv("PATH");
	char file[512];
	for (const char *at = path ? path : ""; *at;) {
		size_t n = strcspn(at, ":");
		snprintf(file, sizeof(file), "%.*s/redis-server", (int)(n < 400 ? n : 400), at);
		if (!access(file, X_OK))
			return true;
		at += n + (at[n] == ':');
	}
	return false;
}

static int launch(struct redis_server *s, bool persist)
{
	char port[16];
	snprintf(port, sizeof(port), "%d", s->port);
	const char *argv[] = { "redis-server", "--bind", "127.0.0.1", "--port", port,
		"--unixsocket", s->socket, "--dir", s->dir, "--daemonize", "no",
		"--appendonly", persist ? "yes" : "no", "--appendfsync", "everysec",
		"--save", persist ? "1 1" : "", NULL };
	return bench_program_start(&s->pid, argv);
}

static redisContext *usable(redisContext *c)
{
	if (c && c->err) {
		redisFree(c);
		return NULL;
	}
	if (c)
		redisSetTimeout(c, (struct timeval){ .tv_sec = 5 });
	return c;
}

redisContext *redis_server_connect(const struct redis_server *server, bool tcp)
{
	struct timeval patience = { .tv_sec = 1 };
	/* hiredis sets TCP_NODELAY by itself */
	return usable(tcp ? redisConnectWithTimeout("127.0.0.1", server->port, patience)
		: redisConnectUnixWithTimeout(server->socket, patience));
}

static bool answers(const struct redis_server *server)
{
	redisContext *c = redis_server_connect(server, true);
	if (!c)
		return false;
	redisReply *reply = redisCommand(c, "PING");
	bool good = reply && reply->type == REDIS_REPLY_STATUS;
	freeReplyObject(reply);
	redisFree(c);
	return good;
}

int redis_server_start(struct redis_server *server, const struct bench_conf *conf, bool persist)
{
	memset(server, 0, sizeof(*server));
	if (!installed())
		return -ENOENT;
	snprintf(server->dir, sizeof(server->dir), "%.180s/redis.XXXXXX", conf->tmpdir);
	if (!mkdtemp(server->dir)) {
		server->dir[0] = '\0';
		return -errno;
	}
	snprintf(server->socket, sizeof(server->socket), "%s/s", server->dir);
	server->port = free_port();
	if (server->port < 0)
		return server->port;
	int rc = launch(server, persist);
	for (int i = 0; !rc && !answers(server); i++) {
		if (bench_stop)
			rc = -EINTR;
		else if (i == START_TRIES)
			rc = -ETIMEDOUT;
		else
			bench_sleep_ns(10000000);
	}
	return rc;
}

/* Two levels: Redis keeps its append-only files in a directory of their own. */
static void remove_all(const char *dir, int depth)
{
	char path[520];
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%.250s/%.250s", dir, e->d_name);
		if (unlink(path) && depth > 0)
			remove_all(path, depth - 1);
	}
	closedir(d);
	rmdir(dir);
}

void redis_server_stop(struct redis_server *server)
{
	bench_program_stop(&server->pid);
	if (server->dir[0])
		remove_all(server->dir, 1);
	memset(server, 0, sizeof(*server));
}

int redis_take(redisReply *reply)
{
	bool good = reply && reply->type != REDIS_REPLY_ERROR;
	freeReplyObject(reply);
	return good ? 0 : -EIO;
}
