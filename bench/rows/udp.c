/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: dsm over udp:// on loopback, beside bare echoes of datagrams as long as dsm's, TCP, and Redis.
 * One client, and sixteen of one server; each asks again when it has its answer. Both sides sleep while
 * they wait, or both poll.
 */
#include "peers/asked.h"
#include "peers/udp_shape.h"

#include <stdio.h>
#include <string.h>

struct spec {
	const char *what;           /* "read", "commit", "add" */
	enum asked_what question;
	const struct asked_ops *ops;
	bool spin;
	unsigned clients;
	const char *work;
	char text[240];             /* that, with bytes */
};

#define DSM_READ "dsm_read() of an f64 over udp"
#define ECHO "bare echo of messages as long as dsm's"

static struct spec specs[] = {
	{ "read", ASKED_READ, &asked_dsm, false, 1, DSM_READ, "" },
	{ "read", ASKED_READ, &asked_udp, false, 1, ECHO, "" },
	{ "read", ASKED_READ, &asked_tcp, false, 1, ECHO, "" },
	{ "read", ASKED_READ, &asked_redis, false, 1, "HMGET of one field", "" },
	{ "read", ASKED_READ, &asked_dsm, true, 1, DSM_READ, "" },
	{ "read", ASKED_READ, &asked_udp, true, 1, ECHO, "" },
	{ "read", ASKED_READ, &asked_tcp, true, 1, ECHO, "" },
	{ "read", ASKED_READ, &asked_dsm, false, ASKED_CLIENTS_MAX, DSM_READ, "" },
	{ "read", ASKED_READ, &asked_udp, false, ASKED_CLIENTS_MAX, ECHO, "" },
	{ "read", ASKED_READ, &asked_tcp, false, ASKED_CLIENTS_MAX, ECHO, "" },
	{ "read", ASKED_READ, &asked_redis, false, ASKED_CLIENTS_MAX, "HMGET of one field", "" },
	{ "commit", ASKED_COMMIT, &asked_dsm, false, 1, "begin, set one f64 (time given), commit by an owner over udp, until the "
		"engine has carried it out", "" },
	{ "commit", ASKED_COMMIT, &asked_udp, false, 1, ECHO, "" },
	{ "commit", ASKED_COMMIT, &asked_redis, false, 1, "HSET of one field", "" },
	{ "add", ASKED_ADD, &asked_dsm, false, 1, "dsm_add() to an i64 of the engine over udp, previous value returned", "" },
	{ "add", ASKED_ADD, &asked_redis, false, 1, "HINCRBY of one field", "" },
	{ "add", ASKED_ADD, &asked_dsm, false, ASKED_CLIENTS_MAX, "dsm_add() to an i64 of the engine over udp, previous value "
		"returned", "" },
	{ "add", ASKED_ADD, &asked_redis, false, ASKED_CLIENTS_MAX, "HINCRBY of one field", "" },
};

static void bytes_of(const struct spec *s, uint32_t *request, uint32_t *reply)
{
	struct udp_shape shape = udp_shape(1);
	*request = s->question == ASKED_COMMIT ? shape.commit : shape.read;
	*reply = s->question == ASKED_COMMIT ? shape.committed : shape.answer;
}

static int measure(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *s = row->arg;
	struct asked a = { .ops = s->ops, .conf = conf, .spin = s->spin, .clients = s->clients, .what = (int)s->question };
	bytes_of(s, &a.request, &a.reply);
	int rc = a.ops->open(&a, out);
	if (!rc)
		rc = asked_run(&a, out);
	a.ops->close(&a);
	return rc;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure);
}

/* "udp.read.1.block.dsm" */
static void name_of(char *to, size_t size, const struct spec *s, const char *peer)
{
	snprintf(to, size, "udp.%s.%u.%s.%s", s->what, s->clients, s->spin ? "poll" : "block", peer);
}

void bench_rows_udp(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct spec *s = &specs[i];
		uint32_t request, reply;
		bytes_of(s, &request, &reply);
		bool sized = s->question != ASKED_ADD && s->ops != &asked_redis;
		snprintf(s->text, sizeof(s->text), sized ? "%s: %u bytes there, %u back" : "%s", s->work, request, reply);
		struct bench_row row = { .family = "udp", .work = s->text, .peer = s->ops->name,
			.mode = s->spin ? "poll" : "block", .kind = BENCH_ONCE, .column = { "rtt", "rate", "server-cpu" },
			.column_unit = { NULL, "/s", NULL }, .size_bytes = sized ? request + reply : sizeof(double),
			.arg = s, .run = run };
		name_of(row.name, sizeof(row.name), s, s->ops->name);
		/* what an echo of the same bytes is to dsm; what dsm is to Redis */
		if (s->ops != &asked_udp)
			name_of(row.base, sizeof(row.base), s, s->question == ASKED_ADD ? "redis" : "udp");
		bench_list_add(list, &row);
	}
}
