/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what a team that keeps its cells in Redis pays for one HSET and one HMGET. */
#include "harness/clock.h"
#include "peers/redis_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIELDS 10

struct redis_spec {
	bool tcp, persist, get;
};
static struct redis_spec specs[8];

struct redis_work {
	redisContext *context;
	bool get;
};

static int set_or_get(void *context, uint64_t i)
{
	struct redis_work *w = context;
	char name[FIELDS][16], text[FIELDS][32];
	const char *argv[2 + 2 * FIELDS] = { w->get ? "HMGET" : "HSET", "sensor_data" };
	int argc = 2;
	for (int k = 0; k < FIELDS; k++) {
		snprintf(name[k], sizeof(name[k]), "cell%d", k);
		argv[argc++] = name[k];
		if (w->get)
			continue;
		snprintf(text[k], sizeof(text[k]), "%.17g", (double)i + 0.1 * k);
		argv[argc++] = text[k];
	}
	redisReply *reply = redisCommandArgv(w->context, argc, argv, NULL);
	if (reply && w->get && (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)) {
		freeReplyObject(reply);
		return -EBADMSG;
	}
	return redis_take(reply);
}

static int measure(const struct redis_server *server, const struct redis_spec *spec,
	const struct bench_row *row, const struct bench_conf *conf, struct bench_series *series)
{
	struct redis_work w = { .context = redis_server_connect(server, spec->tcp) };
	if (!w.context)
		return -ECONNREFUSED;
	unsigned n = conf->quick ? 200 : 2000;
	int rc = set_or_get(&w, 0); /* so that HMGET finds something */
	w.get = spec->get;
	struct bench_usage before = bench_usage_of(server->pid);
	if (!rc)
		rc = bench_paced(&(struct bench_pace){ .interval_ns = row->interval_ns, .warm = n / 10, .n = n },
			set_or_get, &w, series);
	series->server = bench_usage_since(bench_usage_of(server->pid), before, n + n / 10);
	redisFree(w.context);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct redis_spec *spec = row->arg;
	struct redis_server server;
	int rc = redis_server_start(&server, conf, spec->persist);
	if (rc == -ENOENT)
		bench_why(out, rc = -ENOTSUP, "redis-server is not installed");
	else if (!rc)
		rc = measure(&server, spec, row, conf, &out->series[0]);
	redis_server_stop(&server);
	return rc;
}

void bench_rows_redis(struct bench_list *list)
{
	for (unsigned i = 0; i < 8; i++) {
		struct redis_spec *spec = &specs[i];
		*spec = (struct redis_spec){ .get = i & 1, .persist = i & 2, .tcp = i & 4 };
		struct bench_row row = { .family = "redis", .peer = spec->tcp ? "redis-tcp" : "redis-unix",
			.mode = spec->persist ? "persist" : "memory", .kind = BENCH_PACED, .interval_ns = 200000,
			.work = spec->get ? "HMGET of 10 fields" : "HSET of 10 fields, numbers as text",
			.size_bytes = FIELDS * sizeof(double), .arg = spec, .run = run };
		snprintf(row.name, sizeof(row.name), "redis.%s.%s.%s", spec->get ? "hmget" : "hset",
			row.peer + strlen("redis-"), row.mode);
		snprintf(row.base, sizeof(row.base), "dsm.%s.10", spec->get ? "snapshot" : "commit");
		bench_list_add(list, &row);
	}
}
