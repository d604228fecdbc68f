/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of one server at the same time: started together, asking for a while, counted together. */
#include "peers/asked.h"

#include "harness/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_NS 50000000u
#define LONGEST_NS UINT64_C(20000000000)
#define ANSWERS_MIN 100u
#define READS_OF_CPU 10000.0        /* the server's time is said for so many questions */

enum phase { COMING, WARMING, ASKING, OVER };

struct client {
	pthread_t thread;
	struct crowd *crowd;
	unsigned number;
	bool runs;
	double *rtt;
	size_t n;                       /* in rtt; what is beyond its room is only counted */
	_Atomic uint64_t asked, lost;   /* written by the client alone */
	int rc;
	char why[BENCH_WHY_MAX];
};

struct crowd {
	struct asked *asked;
	struct client client[ASKED_CLIENTS_MAX];
	size_t room;                    /* of each client's rtt */
	_Atomic unsigned here;          /* are connected, or have failed */
	_Atomic bool failed;
	_Atomic int phase;
};

static void add_one(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

static int ask_on(struct client *c, void *own)
{
	struct crowd *crowd = c->crowd;
	struct asked *a = crowd->asked;
	int phase, rc = 0;
	for (uint64_t i = 1; !rc && (phase = atomic_load_explicit(&crowd->phase, memory_order_acquire)) != OVER; i++) {
		uint64_t begin = bench_now_ns();
		rc = a->ops->ask(a, own, i, c->why);
		uint64_t end = bench_now_ns();
		if (phase != ASKING) {
			rc = rc == -ETIMEDOUT ? 0 : rc;
			continue;
		}
		add_one(&c->asked, 1);
		add_one(&c->lost, rc == -ETIMEDOUT);
		if (!rc && c->n < crowd->room)
			c->rtt[c->n++] = (double)(end - begin);
		rc = rc == -ETIMEDOUT ? 0 : rc;
	}
	return rc;
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	struct crowd *crowd = c->crowd;
	struct asked *a = crowd->asked;
	void *own = NULL;
	bench_pin(a->clients == 1 ? a->conf->cpu_client : -1);
	c->rc = a->ops->join(a, c->number, &own, c->why);
	atomic_fetch_add(&crowd->here, 1);
	while (!c->rc && atomic_load(&crowd->phase) == COMING)
		bench_sleep_ns(1000000);
	if (!c->rc)
		c->rc = ask_on(c, own);
	if (c->rc)
		atomic_store(&crowd->failed, true);
	a->ops->leave(a, own);
	return NULL;
}

static int gather(struct crowd *crowd)
{
	unsigned n = crowd->asked->clients;
	for (unsigned i = 0; i < n; i++) {
		struct client *c = &crowd->client[i];
		c->crowd = crowd;
		c->number = i;
		c->rtt = malloc(crowd->room * sizeof(*c->rtt));
		if (!c->rtt)
			return -ENOMEM;
		memset(c->rtt, 0, crowd->room * sizeof(*c->rtt));
		if (pthread_create(&c->thread, NULL, client_main, c))
			return -EAGAIN;
		c->runs = true;
	}
	while (atomic_load(&crowd->here) < n && !bench_stop)
		bench_sleep_ns(1000000);
	return bench_stop ? -EINTR : 0;
}

static int disperse(struct crowd *crowd, struct bench_run *out)
{
	int rc = 0;
	atomic_store(&crowd->phase, OVER);
	for (unsigned i = 0; i < ASKED_CLIENTS_MAX; i++) {
		struct client *c = &crowd->client[i];
		if (c->runs)
			pthread_join(c->thread, NULL);
		if (c->runs && c->rc && !rc)
			rc = bench_why(out, c->rc, "client %u: %.170s", i, c->why[0] ? c->why : strerror(-c->rc));
	}
	return rc;
}

static uint64_t answers(const struct crowd *crowd)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < crowd->asked->clients; i++)
		n += atomic_load_explicit(&crowd->client[i].asked, memory_order_relaxed) -
			atomic_load_explicit(&crowd->client[i].lost, memory_order_relaxed);
	return n;
}

static int collect(const struct crowd *crowd, uint64_t ns, struct bench_usage server, struct bench_run *out)
{
	struct bench_series *rtt = &out->series[ASKED_RTT];
	uint64_t asked = 0, answered = answers(crowd);
	int rc = bench_series_reserve(rtt, crowd->room * crowd->asked->clients);
	for (int i = ASKED_RATE; !rc && i < ASKED_COLUMNS; i++)
		rc = bench_series_reserve(&out->series[i], 1);
	for (unsigned i = 0; !rc && i < crowd->asked->clients; i++) {
		const struct client *c = &crowd->client[i];
		asked += c->asked;
		rtt->lost += c->lost;
		for (size_t k = 0; k < c->n; k++)
			bench_series_add(rtt, c->rtt[k]);
	}
	if (rc)
		return rc;
	if (!answered)
		return bench_why(out, -EIO, "none of %llu questions was answered", (unsigned long long)asked);
	rtt->sent = rtt->client.ops = server.ops = asked;
	rtt->server = server;
	bench_series_add(&out->series[ASKED_RATE], (double)answered * 1e9 / (double)ns);
	bench_series_add(&out->series[ASKED_SERVER_CPU], (double)server.cpu_ns * READS_OF_CPU / (double)asked);
	return 0;
}

/* A while; longer on a busy machine, until there are `least` answers. Ended early when a client fails. */
static void let_them(const struct crowd *crowd, uint64_t ns, uint64_t least)
{
	uint64_t began = bench_now_ns(), spent = 0;
	while ((spent < ns || (answers(crowd) < least && spent < LONGEST_NS)) && !bench_stop &&
			!atomic_load(&crowd->failed)) {
		bench_sleep_ns(10000000);
		spent = bench_now_ns() - began;
	}
}

int asked_run(struct asked *a, struct bench_run *out)
{
	struct crowd crowd = { .asked = a, .room = BENCH_SAMPLES_MAX / a->clients };
	struct bench_usage client = { 0 }, server = { 0 };
	uint64_t began = 0, ns = 0;
	int rc = gather(&crowd);
	if (!rc) {
		atomic_store(&crowd.phase, WARMING);
		let_them(&crowd, WARM_NS, 0);
		server = bench_usage_of(a->server);
		client = bench_usage_self();
		began = bench_now_ns();
		atomic_store(&crowd.phase, ASKING);
		let_them(&crowd, a->conf->quick ? 200000000 : 1000000000, ANSWERS_MIN);
		ns = bench_now_ns() - began;
		server = bench_usage_since(bench_usage_of(a->server), server, 0);
		client = bench_usage_since(bench_usage_self(), client, 0);
	}
	int failed = disperse(&crowd, out);
	rc = rc ? rc : failed ? failed : bench_stop ? -EINTR : 0;
	out->series[ASKED_RTT].client = client;
	if (!rc)
		rc = collect(&crowd, ns, server, out);
	for (unsigned i = 0; i < ASKED_CLIENTS_MAX; i++)
		free(crowd.client[i].rtt);
	return rc;
}
