/* SPDX-License-Identifier: Apache-2.0 */
/* A decorator that makes any transport fail, for tests and for trying a program out:
 *   drop=P   a read attempt is lost (-EAGAIN)        delay=US  each attempt takes so long
 *   tear=P   a read attempt is torn (-EAGAIN after the buffer was overwritten with rubbish)
 *   fail=N   every Nth commit answers -EIO           mute=P    a control message is lost
 *   pull=1   the engine answers as an older one, which knows no subscriptions
 * P is a probability 0..1; seed=N makes a run repeatable. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "transport/transport.h"

/* Stands in front of the connection it decorates; one type for all transports below. */
struct faulty {
	const struct transport_ops *ops;
	struct transport_conn *conn;
	double drop, tear, mute;
	bool pull;
	uint64_t delay_us, fail, commits, random;
};

static struct faulty *of(const struct transport_conn *conn)
{
	return (struct faulty *)(uintptr_t)conn;
}

static bool chance(struct faulty *f, double p)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return p > 0 && (double)(f->random >> 11) * 0x1p-53 < p;
}

/* Before an attempt: -EAGAIN if it is to be lost; rubbish in the buffer if it is to be torn. */
static int disturb(struct faulty *f, uint64_t *to, uint64_t bytes)
{
	if (f->delay_us) {
		struct timespec t = { 0, (long)(f->delay_us * 1000) };
		nanosleep(&t, NULL);
	}
	if (chance(f, f->drop))
		return -EAGAIN;
	if (!chance(f, f->tear))
		return 0;
	memset(to, 0xa5, bytes);
	return -EAGAIN;
}

static void f_close(struct transport_conn *conn)
{
	struct faulty *f = of(conn);
	if (f->conn)
		f->ops->close(f->conn);
	free(f);
}

static int f_send(struct transport_conn *conn, const void *message, size_t bytes)
{
	struct faulty *f = of(conn);
	return chance(f, f->mute) ? 0 : f->ops->send(f->conn, message, bytes);
}

static int f_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	struct faulty *f = of(conn);
	int rc = disturb(f, to, bytes);
	return rc ? rc : f->ops->read(f->conn, group, offset, bytes, to, meta);
}

static int f_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta)
{
	struct faulty *f = of(conn);
	int rc = disturb(f, to, 8);
	return rc ? rc : f->ops->read_at(f->conn, group, seq, to, meta);
}

static int f_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta)
{
	struct faulty *f = of(conn);
	int rc = disturb(f, to, 8);
	return rc ? rc : f->ops->read_step(f->conn, group, step, to, meta);
}

static int f_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	struct faulty *f = of(conn);
	if (f->fail && ++f->commits % f->fail == 0)
		return dsm__fail(-EIO, "injected: commit %llu fails", (unsigned long long)f->commits);
	return f->ops->publish(f->conn, group, fields, image);
}

static int f_take(struct transport_conn *conn, uint32_t group, uint64_t came, uint64_t *to,
	struct slot_meta *meta)
{
	struct faulty *f = of(conn);
	int rc = disturb(f, to, 8);
	return rc ? rc : f->ops->take(f->conn, group, came, to, meta);
}

/* ---- passed on as they are ---- */
#define PASS0(type, name) \
	static type f_##name(struct transport_conn *c) { return of(c)->ops->name(of(c)->conn); }
#define PASS0C(type, name) \
	static type f_##name(const struct transport_conn *c) { return of(c)->ops->name(of(c)->conn); }
PASS0C(int, fd)
PASS0(int, adopt)
PASS0C(const struct region_header *, header)

static uint64_t f_wakes(const struct transport_conn *c) { return of(c)->ops->wakes ? of(c)->ops->wakes(of(c)->conn) : 0; }
static int f_lock(struct transport_conn *c) { return of(c)->ops->lock ? of(c)->ops->lock(of(c)->conn) : 0; }
static void f_gone(struct transport_conn *c) { of(c)->ops->gone(of(c)->conn); }
static int f_recv(struct transport_conn *c, void *m, size_t n) { return of(c)->ops->recv(of(c)->conn, m, n); }
static int f_open(struct transport_conn *c, const struct control_welcome *w, const void **d, uint64_t *n)
{ return of(c)->ops->open(of(c)->conn, w, d, n); }
static int f_ready(struct transport_conn *c, const struct view *v) { return of(c)->ops->ready(of(c)->conn, v); }
static int f_mapped(struct transport_conn *c, const struct control_map *m, struct control_reader *r)
{ return of(c)->ops->mapped(of(c)->conn, m, r); }
static int f_inherit(struct transport_conn *c, struct transport_conn *old)
{ return of(c)->ops->inherit(of(c)->conn, of(old)->conn); }
static void f_pulse(const struct transport_conn *c, struct transport_pulse *p) { of(c)->ops->pulse(of(c)->conn, p); }
static uint64_t f_owner_line(const struct transport_conn *c, uint32_t o, uint32_t *e, uint32_t *p, uint64_t *s)
{ return of(c)->ops->owner_line(of(c)->conn, o, e, p, s); }
static uint64_t f_counter(const struct transport_conn *c, uint32_t i) { return of(c)->ops->counter(of(c)->conn, i); }
static void f_beat(struct transport_conn *c, uint32_t o, uint64_t t) { of(c)->ops->beat(of(c)->conn, o, t); }
static uint64_t f_newest(const struct transport_conn *c, uint32_t g) { return of(c)->ops->newest(of(c)->conn, g); }
static uint64_t f_step_complete(const struct transport_conn *c, uint32_t o) { return of(c)->ops->step_complete(of(c)->conn, o); }
static void f_wait(struct transport_conn *c, const struct transport_watch *g, const _Atomic uint32_t *w, uint32_t v, uint64_t n)
{ of(c)->ops->wait(of(c)->conn, g, w, v, n); }
static uint64_t f_told(const struct transport_conn *c) { return of(c)->ops->told ? of(c)->ops->told(of(c)->conn) : 0; }
static int f_data_fd(const struct transport_conn *c) { return of(c)->ops->data_fd(of(c)->conn); }
static int f_borrow(struct transport_conn *c, uint32_t g, uint64_t o, const void **d, struct slot_meta *m)
{ return of(c)->ops->borrow(of(c)->conn, g, o, d, m); }
static int f_borrow_end(struct transport_conn *c, uint32_t g, uint64_t s) { return of(c)->ops->borrow_end(of(c)->conn, g, s); }
static int f_granted(struct transport_conn *c, uint32_t o) { return of(c)->ops->granted(of(c)->conn, o); }
static int f_complete(struct transport_conn *c, uint32_t o, uint64_t s, const uint32_t *g, uint32_t n)
{ return of(c)->ops->complete(of(c)->conn, o, s, g, n); }
static void f_begin(struct transport_conn *c, uint64_t d) { of(c)->ops->begin(of(c)->conn, d); }
static int f_subscribe(struct transport_conn *c, struct transport_wishes *w)
{
	w->status = -ENOTSUP;
	return of(c)->pull ? 0 : of(c)->ops->subscribe(of(c)->conn, w);
}
static void f_unsubscribe(struct transport_conn *c, struct transport_wishes *w)
{ of(c)->ops->unsubscribe(of(c)->conn, w); }
static void f_listen(struct transport_conn *c, const _Atomic uint32_t *w, uint32_t v, uint64_t n)
{ of(c)->ops->listen(of(c)->conn, w, v, n); }
static int f_loan(struct transport_conn *c, uint32_t g, uint64_t s, uint64_t **p) { return of(c)->ops->loan(of(c)->conn, g, s, p); }
static int f_loan_end(struct transport_conn *c, uint32_t g, const struct check_fields *f)
{ return of(c)->ops->loan_end(of(c)->conn, g, f); }

/* A table a scheme, so that the handle still names the transport it really uses. */
#define FAULTY(name, ...) { __VA_ARGS__ \
	.size = sizeof(struct transport_ops), .scheme = name, .attach_ms = 2000, \
	.close = f_close, .fd = f_fd, .send = f_send, .recv = f_recv, .open = f_open, \
	.ready = f_ready, .inherit = f_inherit, .mapped = f_mapped, .adopt = f_adopt, .lock = f_lock, .gone = f_gone, \
	.pulse = f_pulse, .header = f_header, .wakes = f_wakes, .told = f_told, \
	.owner_line = f_owner_line, .counter = f_counter, .beat = f_beat, .newest = f_newest, \
	.read = f_read, .read_at = f_read_at, .read_step = f_read_step, \
	.step_complete = f_step_complete, .wait = f_wait, .borrow = f_borrow, \
	.borrow_end = f_borrow_end, .granted = f_granted, .publish = f_publish, \
	.complete = f_complete, .loan = f_loan, .loan_end = f_loan_end }
static const struct transport_ops faulty_tables[] = { FAULTY("shm", .near = true,), FAULTY("rdma",),
	FAULTY("udp", .begin = f_begin, .data_fd = f_data_fd, .subscribe = f_subscribe, .unsubscribe = f_unsubscribe, .listen = f_listen, .take = f_take,) };

static int setting(struct faulty *f, const char *key, const char *text)
{
	char *end;
	double p = strtod(text, &end);
	if (end == text || (*end && *end != ',') || !(p >= 0 && p < 1e15))
		return -EINVAL;
	if (strcmp(key, "drop") == 0 && p <= 1)
		f->drop = p;
	else if (strcmp(key, "tear") == 0 && p <= 1)
		f->tear = p;
	else if (strcmp(key, "mute") == 0 && p <= 1)
		f->mute = p;
	else if (strcmp(key, "delay") == 0 && p < 1e6)
		f->delay_us = (uint64_t)p;
	else if (strcmp(key, "fail") == 0)
		f->fail = (uint64_t)p;
	else if (strcmp(key, "pull") == 0)
		f->pull = p > 0;
	else if (strcmp(key, "seed") == 0)
		f->random ^= (uint64_t)p * UINT64_C(0x9e3779b97f4a7c15);
	else
		return -EINVAL;
	return 0;
}

int transport_faulty(const char *spec, const struct transport_ops **ops, struct transport_conn **conn)
{
	struct faulty *f = calloc(1, sizeof(*f));
	if (!f)
		return dsm__fail(-ENOMEM, "no memory for the fault decorator");
	f->random = UINT64_C(88172645463325252);
	for (const char *at = spec; *at;) {
		char key[16];
		size_t n = strcspn(at, "=");
		if (n == 0 || n >= sizeof(key) || !at[n])
			goto bad;
		memcpy(key, at, n);
		key[n] = 0;
		if (setting(f, key, at + n + 1))
			goto bad;
		at += n + 1 + strcspn(at + n + 1, ",");
		at += *at == ',';
	}
	f->ops = *ops;
	f->conn = *conn;
	unsigned table = 0;
	while (strcmp(faulty_tables[table].scheme, (*ops)->scheme))
		table++;
	*ops = &faulty_tables[table];
	*conn = (struct transport_conn *)(void *)f;
	return 0;
bad:
	free(f);
	return dsm__fail(-EINVAL, "fault \"%s\": expected drop=P, tear=P, mute=P, delay=US, fail=N, "
		"pull=1, seed=N, joined by commas", spec);
}
