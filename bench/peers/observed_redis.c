/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same table as hashes of a redis-server (one a group), without persistence. The simulator, by its
 * Unix socket, sends one HSET of a group's fields a step and waits for the answer; observers, by TCP,
 * ask for all hashes in one pipeline and turn the text into numbers.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "peers/observed.h"
#include "peers/redis_server.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (2 + 2 * OBSERVED_CELLS)

struct place {
	struct redis_server server;
	struct bench_child simulator;
};

struct writer {
	redisContext *redis;
	char group[OBSERVED_GROUPS][8], cell[OBSERVED_CELLS][8], value[OBSERVED_CELLS][32];
	const char *word[WORDS];
	size_t bytes[WORDS];
};

/* ---- the simulator ---- */

static void prepare(struct writer *w)
{
	w->word[0] = "HSET";
	for (unsigned g = 0; g < OBSERVED_GROUPS; g++)
		snprintf(w->group[g], sizeof(w->group[g]), "g%u", g);
	for (unsigned c = 0; c < OBSERVED_CELLS; c++) {
		snprintf(w->cell[c], sizeof(w->cell[c]), "c%u", c);
		w->word[2 + 2 * c] = w->cell[c];
		w->word[3 + 2 * c] = w->value[c];
		w->bytes[2 + 2 * c] = strlen(w->cell[c]);
	}
	w->bytes[0] = strlen(w->word[0]);
}

static int step(void *own, uint64_t number)
{
	struct writer *w = own;
	w->word[1] = w->group[number % OBSERVED_GROUPS];
	w->bytes[1] = strlen(w->word[1]);
	for (unsigned c = 0; c < OBSERVED_CELLS; c++) {
		int n = snprintf(w->value[c], sizeof(w->value[c]), "%.17g", (double)(number + c));
		w->bytes[3 + 2 * c] = (size_t)n;
	}
	return redis_take(redisCommandArgv(w->redis, WORDS, w->word, w->bytes));
}

static int simulate(struct bench_shared *shared, void *arg)
{
	static struct writer w;
	struct observed *o = arg;
	struct place *p = o->own;
	prepare(&w);
	w.redis = redis_server_connect(&p->server, false);
	int rc = w.redis ? observed_step(o->log, shared, step, &w) : -ECONNREFUSED;
	if (rc)
		snprintf(shared->why, sizeof(shared->why), "HSET: %.100s", w.redis ? w.redis->errstr : "refused");
	if (w.redis)
		redisFree(w.redis);
	return rc;
}

static int open_server(struct observed *o, struct bench_run *out)
{
	struct place *p = calloc(1, sizeof(*p));
	cpu_set_t set;
	o->own = p;
	if (!p)
		return -ENOMEM;
	int rc = redis_server_start(&p->server, o->conf, false);
	if (rc == -ENOENT)
		return bench_why(out, -ENOTSUP, "redis-server is not installed");
	if (rc)
		return bench_why(out, rc, "redis-server did not start: %s", strerror(-rc));
	CPU_ZERO(&set);
	CPU_SET((size_t)o->conf->cpu_server, &set);
	if (sched_setaffinity(p->server.pid, sizeof(set), &set))
		return -errno;
	rc = bench_child_start(&p->simulator, o->conf->cpu_server, simulate, o);
	o->simulator = p->simulator.pid;
	o->server = p->server.pid;
	return rc ? bench_why(out, rc, "simulator: %.180s",
		p->simulator.shared && p->simulator.shared->why[0] ? p->simulator.shared->why : strerror(-rc)) : 0;
}

static int close_server(struct observed *o, struct bench_run *out)
{
	struct place *p = o->own;
	int rc = 0;
	if (!p)
		return 0;
	if (p->simulator.shared) {
		char why[BENCH_WHY_MAX];
		memcpy(why, p->simulator.shared->why, sizeof(why));
		rc = bench_child_stop(&p->simulator, NULL);
		if (rc && !out->why[0])
			bench_why(out, rc, "%.190s", why[0] ? why : strerror(-rc));
	}
	redis_server_stop(&p->server);
	free(p);
	o->own = NULL;
	return rc;
}

/* ---- observers ---- */

static int join(struct observed *o, void **own, char why[BENCH_WHY_MAX])
{
	struct place *p = o->own;
	*own = redis_server_connect(&p->server, true);
	if (*own)
		return 0;
	snprintf(why, BENCH_WHY_MAX, "redis-server refused the connection");
	return -ECONNREFUSED;
}

/* HGETALL: name, value, name, value, … in any order. */
static int take_group(const redisReply *r)
{
	double value[OBSERVED_CELLS];
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2 * OBSERVED_CELLS)
		return -EIO;
	for (unsigned i = 0; i < OBSERVED_CELLS; i++) {
		unsigned long c = strtoul(r->element[2 * i]->str + 1, NULL, 10);
		if (c >= OBSERVED_CELLS)
			return -EIO;
		value[c] = strtod(r->element[2 * i + 1]->str, NULL);
	}
	return observed_whole(value) ? 0 : -EBADMSG;
}

static int look(void *own, char why[BENCH_WHY_MAX])
{
	redisContext *c = own;
	int rc = 0;
	for (unsigned g = 0; g < OBSERVED_GROUPS; g++)
		redisAppendCommand(c, "HGETALL g%u", g);
	for (unsigned g = 0; g < OBSERVED_GROUPS; g++) {
		void *reply = NULL;
		int one = redisGetReply(c, &reply) ? -EIO : take_group(reply);
		freeReplyObject(reply);
		rc = rc ? rc : one;
	}
	if (rc)
		snprintf(why, BENCH_WHY_MAX, "redis: %.100s", c->err ? c->errstr : "another answer than expected");
	return rc;
}

static void leave(void *own)
{
	if (own)
		redisFree(own);
}

const struct observed_ops observed_redis = { "redis", open_server, join, look, leave, close_server };
