/* SPDX-License-Identifier: Apache-2.0 */
/* An engine on the server's CPU, asked over udp://. Client and engine sleep while they wait, or both poll. */
#include "peers/asked.h"
#include "peers/dsm_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER "bench"
#define VALUE 1.5
#define STAMP 1700000000000000000 /* a commit time given by the caller: no clock is read */
#define PATIENCE_MS 5000

struct handle {
	struct dsm *dsm;
	struct dsm_cell value, count;
};

static int define(struct dsm_table *table, const void *arg)
{
	(void)arg;
	int rc = dsm_table_owner(table, &(struct dsm_owner_spec){ .name = OWNER, .network = true, .users = "" });
	if (!rc && !(rc = dsm_host_group(table, OWNER, "sensor")))
		rc = dsm_host_cell(table, "sensor", "v0", DSM_F64, 1);
	if (!rc && !(rc = dsm_host_group(table, "engine", "shared")))
		rc = dsm_host_cell(table, "shared", "count", DSM_I64, 1);
	return rc;
}

static int write_value(struct handle *h, double value)
{
	int rc = dsm_begin(h->dsm, STAMP);
	if (!rc)
		rc = dsm_set_f64(h->dsm, h->value, value);
	return rc ? rc : dsm_commit(h->dsm, NULL);
}

static int find_ids(struct handle *h)
{
	int rc = dsm_cell(h->dsm, "sensor.v0", &h->value);
	return rc ? rc : dsm_cell(h->dsm, "shared.count", &h->count);
}

/* A first value, by mapped memory. */
static int fill(const struct dsm_host *host)
{
	struct handle h = { 0 };
	int rc = dsm_host_attach(host->name, OWNER, &h.dsm);
	if (!rc)
		rc = find_ids(&h);
	if (!rc)
		rc = write_value(&h, VALUE);
	dsm_detach(&h.dsm);
	return rc;
}

static int open_engine(struct asked *a, struct bench_run *out)
{
	struct dsm_host *host = calloc(1, sizeof(*host));
	a->own = host;
	if (!host)
		return -ENOMEM;
	unsetenv("DSM_KEYS"); /* no keys: any client may, on this machine's own address */
	int rc = dsm_host_start_udp(host, a->conf->cpu_server, a->spin, define, NULL, out);
	if (rc)
		return rc;
	a->server = host->child.pid;
	rc = fill(host);
	return rc ? bench_why(out, rc, "first value: %.160s", dsm_error()) : 0;
}

static int say(int rc, char why[BENCH_WHY_MAX])
{
	if (rc)
		snprintf(why, BENCH_WHY_MAX, "%.180s", rc == -EBADMSG ? "a wrong value was read" : dsm_error());
	return rc == -ETIMEDOUT ? -ETIME : rc; /* nothing may be lost here: it asks again by itself */
}

static int join(struct asked *a, unsigned client, void **own, char why[BENCH_WHY_MAX])
{
	(void)client;
	struct handle *h = calloc(1, sizeof(*h));
	*own = h;
	if (!h)
		return -ENOMEM;
	int rc = dsm_host_attach_udp(a->own, a->what == ASKED_COMMIT ? OWNER : NULL, &h->dsm);
	if (!rc)
		rc = find_ids(h);
	return say(rc, why);
}

static int ask(struct asked *a, void *own, uint64_t number, char why[BENCH_WHY_MAX])
{
	static const struct dsm_value plus_one = { .type = DSM_I64, .len = 1, .i64 = 1 };
	struct handle *h = own;
	struct dsm_sample sample;
	struct dsm_value previous;
	int rc;
	switch (a->what) {
	case ASKED_READ:
		rc = dsm_read(h->dsm, h->value, &sample);
		return say(rc ? rc : sample.value.f64 == VALUE ? 0 : -EBADMSG, why);
	case ASKED_COMMIT:
		return say(write_value(h, (double)number), why);
	default:
		rc = dsm_add(h->dsm, h->count, &plus_one, NULL, PATIENCE_MS, &previous);
		return say(rc ? rc : a->clients > 1 || previous.i64 == (int64_t)number - 1 ? 0 : -EBADMSG, why);
	}
}

static void leave(struct asked *a, void *own)
{
	struct handle *h = own;
	(void)a;
	if (h)
		dsm_detach(&h->dsm);
	free(h);
}

static void close_engine(struct asked *a)
{
	if (a->own)
		dsm_host_stop(a->own);
	free(a->own);
	a->own = NULL;
}

const struct asked_ops asked_dsm = { "dsm", open_engine, join, ask, leave, close_engine };
