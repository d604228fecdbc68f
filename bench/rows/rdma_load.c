/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: what a reader sees when the other side is alone, when its CPU is saturated by other
 * programs, and when it is stopped. dsm reads by READ, so no program takes part at the other side;
 * a TCP or UDP server must run to answer. The servers poll; those that sleep are marked so.
 * At intended start times, so that a standstill is seen by all that should have run in it.
 */
#include "peers/peer.h"
#include "rows/rdma_scene.h"

#include "harness/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define HOGS 4u
#define INTERVAL_NS 1000000u
#define PATIENCE_NS 100000000u /* without an answer for so long a request counts as lost */
#define REPLY_MAX 4096u

enum load { ALONE, SATURATED, STOPPED };
static const char *const load_names[] = { "alone", "saturated", "stopped" };

struct load_spec {
	const char *peer;
	const struct peer_ops *ops;     /* NULL = dsm */
	bool sleeps;                    /* the server does, while it waits */
};
static const struct load_spec specs[] = {
	{ "dsm", NULL, false }, { "tcp", &peer_tcp, false }, { "udp", &peer_udp, false },
	{ "tcp-sleeps", &peer_tcp, true }, { "udp-sleeps", &peer_udp, true },
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))
struct load_row { const struct load_spec *spec; enum load load; };
static struct load_row rows[SPECS][3];

/* What a READ request says, about. */
struct request { uint64_t number, what; };

struct server {
	struct peer peer;
	struct transfer transfer;
	bool sleeps;
	size_t reply;
	unsigned char buffer[REPLY_MAX];
};

/* ---- server ---- */

static int serve(struct bench_shared *shared, void *arg)
{
	struct server *s = arg;
	struct request request;
	s->peer.spin = !s->sleeps;
	int rc = s->peer.ops->join(&s->peer, PEER_SERVER);
	s->transfer = (struct transfer){ .peer = &s->peer, .shared = shared };
	atomic_store(&shared->ready, rc == 0);
	struct bench_usage before = bench_usage_self();
	uint64_t ops = 0;
	while (!rc && !bench_stop && !atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		rc = transfer_recv(&s->transfer, &request, sizeof(request), 0);
		if (rc == -ETIMEDOUT) {
			rc = 0;
			continue;
		}
		if (rc)
			break;
		memcpy(s->buffer, &request.number, sizeof(request.number));
		rc = transfer_send(&s->transfer, s->buffer, s->reply, 0);
		ops++;
	}
	shared->usage = bench_usage_since(bench_usage_self(), before, ops);
	s->peer.ops->close(&s->peer);
	return rc == -ECONNRESET || rc == -EPIPE ? 0 : rc;
}

/* ---- client ---- */

static int ask(void *context, uint64_t i)
{
	struct server *s = context;
	struct request request = { .number = i + 1 };
	uint64_t number;
	int rc = transfer_send(&s->transfer, &request, sizeof(request), 0);
	if (rc)
		return rc;
	do {
		rc = transfer_recv(&s->transfer, s->buffer, s->reply, 0);
		if (rc)
			return rc;
		memcpy(&number, s->buffer, sizeof(number));
	} while (number < request.number); /* the answer to one that was given up */
	return number == request.number ? 0 : -EBADMSG;
}

static int read_cell(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	struct dsm_sample sample;
	(void)i;
	int rc = dsm_read(s->dsm, s->cell[0], &sample);
	return rc ? rc : sample.value.f64 == s->value ? 0 : -EBADMSG;
}

/* ---- load ---- */

static int hog(struct bench_shared *shared, void *arg)
{
	(void)arg;
	atomic_store(&shared->ready, 1);
	for (volatile uint64_t i = 0; !atomic_load_explicit(&shared->stop, memory_order_relaxed); i++)
		;
	return 0;
}

static int stop_process(pid_t pid)
{
	siginfo_t info;
	if (kill(pid, SIGSTOP))
		return -errno;
	while (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT)) {
		if (errno != EINTR || bench_stop)
			return -EINTR;
	}
	return 0;
}

static int measure(enum load load, const struct bench_conf *conf, pid_t server, bool answers,
	bench_operation operation, void *context, struct bench_series *series)
{
	struct bench_child hogs[HOGS] = { 0 };
	unsigned n = conf->quick ? 150 : 1500;
	int rc = 0;
	struct bench_pace pace = { .interval_ns = INTERVAL_NS, .warm = 20, .n = n };
	for (unsigned i = 0; !rc && load == SATURATED && i < HOGS; i++)
		rc = bench_child_start(&hogs[i], conf->cpu_server, hog, NULL);
	if (!rc && load == STOPPED)
		rc = stop_process(server);
	if (load == STOPPED && !answers)
		pace = (struct bench_pace){ .interval_ns = INTERVAL_NS, .n = 5 };
	if (!rc)
		rc = bench_paced(&pace, operation, context, series);
	if (load == STOPPED)
		kill(server, SIGCONT);
	for (unsigned i = 0; i < HOGS; i++)
		bench_child_stop(&hogs[i], NULL);
	return rc;
}

static int run_dsm(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct load_row *r = row->arg;
	struct rdma_scene s;
	int rc = rdma_scene_open(&s, conf, out);
	if (!rc)
		rc = rdma_scene_attach(&s, NULL, out);
	if (!rc) {
		pid_t engine = s.host.child.pid;
		struct bench_usage before = bench_usage_of(engine);
		rc = measure(r->load, conf, engine, true, read_cell, &s, &out->series[0]);
		out->series[0].server = bench_usage_since(bench_usage_of(engine), before, out->series[0].sent);
		if (rc)
			bench_why(out, rc, "%.180s", rc == -EBADMSG ? "a wrong value was read" : dsm_error());
	}
	rdma_scene_close(&s);
	return rc;
}

static int run_server(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct load_row *r = row->arg;
	struct server s = { .sleeps = r->spec->sleeps, .reply = row->size_bytes,
		.peer = { .ops = r->spec->ops, .conf = conf, .spin = true, .size = row->size_bytes, .lanes = 1 } };
	struct bench_child child = { 0 };
	peer_no_descriptors(&s.peer);
	int rc = s.peer.ops->open(&s.peer);
	if (!rc)
		rc = bench_child_start(&child, conf->cpu_server, serve, &s);
	if (!rc) {
		rc = s.peer.ops->join(&s.peer, PEER_CLIENT);
		s.transfer = (struct transfer){ .peer = &s.peer, .patience_ns = PATIENCE_NS };
	}
	if (!rc)
		rc = measure(r->load, conf, child.pid, false, ask, &s, &out->series[0]);
	int served = bench_child_stop(&child, &out->series[0].server);
	s.peer.ops->close(&s.peer);
	rc = rc ? rc : served;
	return rc ? bench_why(out, rc, "%s", strerror(-rc)) : 0;
}

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct load_row *r = row->arg;
	return bench_isolated(row, conf, out, r->spec->ops ? run_server : run_dsm);
}

void bench_rows_rdma_load(struct bench_list *list)
{
	for (unsigned load = ALONE; load <= STOPPED; load++) {
		for (size_t i = 0; i < SPECS; i++) {
			if (load == STOPPED && specs[i].sleeps)
				continue; /* stopped is stopped */
			rows[i][load] = (struct load_row){ &specs[i], (enum load)load };
			struct bench_row row = { .family = "rdma-load", .peer = specs[i].peer,
				.work = specs[i].ops ? "16 bytes to a server, as many bytes back as the READ fetches" :
					"dsm_read() of an f64",
				.mode = specs[i].sleeps ? "server sleeps" : "poll", .kind = BENCH_PACED,
				.size_bytes = rdma_shape(1).read_bytes, .interval_ns = INTERVAL_NS,
				.arg = &rows[i][load], .run = run };
			snprintf(row.name, sizeof(row.name), "rdma.%s.%s", load_names[load], specs[i].peer);
			snprintf(row.base, sizeof(row.base), "rdma.%s.dsm", load_names[load]);
			bench_list_add(list, &row);
		}
	}
}
