/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request and reply between two processes over any peer. Every message carries its number
 * at both ends, every reply is checked: a figure is only counted for work that was done.
 */
#include "harness/clock.h"
#include "peers/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS 100000000u /* without an answer for so long, a message counts as lost */
#define REFUSAL_NS 5000000000u /* where nothing can be lost, this is a failure */

struct echo {
	const struct echo_spec *spec;
	struct peer peer;
	struct transfer transfer;
	char *out, *in;
	size_t reply_size;
	unsigned messages;
};

static void stamp(char *message, size_t size, uint64_t number)
{
	memcpy(message, &number, sizeof(number));
	memcpy(message + size - sizeof(number), &number, sizeof(number));
}

static uint64_t number_of(const char *message)
{
	uint64_t number;
	memcpy(&number, message, sizeof(number));
	return number;
}

static bool is_whole(const char *message, size_t size)
{
	return number_of(message) == number_of(message + size - sizeof(uint64_t));
}

static double cell_value(uint64_t number, unsigned segment, unsigned cell)
{
	return (double)(number % 1000000) + segment * ECHO_CELLS + cell;
}

static double segment_sum(const struct echo_segment *segment)
{
	double sum = 0;
	for (unsigned k = 0; k < ECHO_CELLS; k++)
		sum += segment->cell[k];
	return sum;
}

/* ---- server ---- */

/* Receive one operation's messages. A message of a newer operation means that one was lost. */
static int receive_request(struct echo *e, uint64_t *number, double *sum)
{
	*number = 0;
	*sum = 0;
	for (unsigned have = 0; have < e->messages;) {
		int rc = transfer_recv(&e->transfer, e->in, e->spec->size, have);
		if (rc == -ETIMEDOUT && e->spec->ops->loses)
			continue;
		if (rc)
			return rc;
		if (have && number_of(e->in) != *number) {
			have = 0;
			*sum = 0;
		}
		*number = number_of(e->in);
		if (e->spec->segments)
			*sum += segment_sum((const struct echo_segment *)(const void *)e->in);
		have++;
	}
	return 0;
}

static int serve_one(struct echo *e)
{
	uint64_t number;
	double sum;
	int rc = receive_request(e, &number, &sum);
	if (rc)
		return rc;
	if (!e->spec->segments)
		return transfer_send(&e->transfer, e->in, e->reply_size, 0);
	struct echo_ack ack = { .number = number, .sum = sum };
	return transfer_send(&e->transfer, &ack, sizeof(ack), 0);
}

static int serve(struct bench_shared *shared, void *arg)
{
	struct echo *e = arg;
	int rc = e->spec->ops->join(&e->peer, PEER_SERVER);
	e->transfer = (struct transfer){ .peer = &e->peer, .shared = shared };
	atomic_store(&shared->ready, rc == 0);
	struct bench_usage before = bench_usage_self();
	uint64_t ops = 0;
	while (!rc && !bench_stop && !atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		rc = serve_one(e);
		ops += rc == 0;
	}
	shared->usage = bench_usage_since(bench_usage_self(), before, ops);
	e->spec->ops->close(&e->peer);
	return rc == -ECONNRESET || rc == -EPIPE ? 0 : rc; /* the client went: that is the end */
}

/* ---- client ---- */

static int send_request(struct echo *e, uint64_t number, double *sum)
{
	*sum = 0;
	if (!e->spec->segments) {
		stamp(e->out, e->spec->size, number);
		return transfer_send(&e->transfer, e->out, e->spec->size, 0);
	}
	int rc = 0;
	for (unsigned s = 0; !rc && s < e->spec->segments; s++) {
		struct echo_segment segment = { .number = number };
		for (unsigned k = 0; k < ECHO_CELLS; k++)
			segment.cell[k] = cell_value(number, s, k);
		*sum += segment_sum(&segment);
		rc = transfer_send(&e->transfer, &segment, sizeof(segment), s);
	}
	return rc;
}

/* Operation i of bench_paced(). */
static int ask(void *context, uint64_t i)
{
	struct echo *e = context;
	uint64_t number = i + 1; /* 0 is what memory never written shows */
	double sum;
	int rc = send_request(e, number, &sum);
	if (rc)
		return rc;
	do {
		rc = transfer_recv(&e->transfer, e->in, e->reply_size, 0);
		if (rc == -ETIMEDOUT && !e->spec->ops->loses)
			return -ETIME; /* nothing may be lost here */
		if (rc)
			return rc;
	} while (e->spec->ops->messages && number_of(e->in) < number);
	if (number_of(e->in) != number)
		return -EBADMSG;
	if (!e->spec->segments)
		return is_whole(e->in, e->reply_size) ? 0 : -EBADMSG;
	struct echo_ack ack;
	memcpy(&ack, e->in, sizeof(ack));
	return ack.sum == sum ? 0 : -EBADMSG;
}

static int prepare(struct echo *e, const struct echo_spec *spec, const struct bench_conf *conf)
{
	memset(e, 0, sizeof(*e));
	e->spec = spec;
	e->messages = spec->segments ? spec->segments : 1;
	e->reply_size = spec->segments ? sizeof(struct echo_ack) : spec->size;
	e->peer = (struct peer){ .ops = spec->ops, .conf = conf, .spin = spec->spin,
		.size = spec->size, .lanes = e->messages };
	peer_no_descriptors(&e->peer);
	size_t room = (spec->size + 63) / 64 * 64;
	e->out = aligned_alloc(64, room);
	e->in = aligned_alloc(64, room);
	if (!e->out || !e->in)
		return -ENOMEM;
	memset(e->out, 0x5a, room);
	memset(e->in, 0, room);
	return spec->ops->open(&e->peer);
}

static int measure(struct echo *e, const struct bench_conf *conf, struct bench_run *out)
{
	struct bench_series *series = &out->series[0];
	struct bench_child child;
	int rc = bench_child_start(&child, conf->cpu_server, serve, e);
	if (rc) {
		bench_child_stop(&child, NULL);
		return bench_why(out, rc, "the server side did not start: %s", strerror(-rc));
	}
	e->transfer = (struct transfer){ .peer = &e->peer,
		.patience_ns = e->spec->ops->loses ? PATIENCE_NS : REFUSAL_NS };
	rc = e->spec->ops->join(&e->peer, PEER_CLIENT);
	pid_t broker = e->spec->ops->broker ? e->spec->ops->broker(&e->peer) : 0;
	struct bench_usage before = broker ? bench_usage_of(broker) : (struct bench_usage){ 0 };
	struct bench_usage between = { 0 };
	if (!rc) {
		unsigned n = conf->quick ? e->spec->n_quick : e->spec->n;
		rc = bench_paced(&(struct bench_pace){ .interval_ns = e->spec->interval_ns,
			.warm = n / 10 + 3, .n = n }, ask, e, series);
	}
	if (broker)
		between = bench_usage_since(bench_usage_of(broker), before, 0);
	int served = bench_child_stop(&child, &series->server);
	series->server.cpu_ns += between.cpu_ns;
	series->server.voluntary_switches += between.voluntary_switches;
	series->server.involuntary_switches += between.involuntary_switches;
	if (!rc)
		rc = served;
	return rc ? bench_why(out, rc, "%s", strerror(-rc)) : 0;
}

int echo_run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct echo_spec *spec = row->arg;
	const char *why = "";
	struct echo e;
	if (spec->ops->fits && !spec->ops->fits(spec->size, &why))
		return bench_why(out, -ENOTSUP, "%s", why);
	int rc = prepare(&e, spec, conf);
	if (rc == -ENOTSUP || rc == -ENOENT)
		bench_why(out, rc = -ENOTSUP, "%s cannot be had on this machine", spec->ops->name);
	else if (rc)
		bench_why(out, rc, "cannot open %s: %s", spec->ops->name, strerror(-rc));
	else
		rc = measure(&e, conf, out);
	spec->ops->close(&e.peer);
	free(e.out);
	free(e.in);
	return rc;
}
