/* SPDX-License-Identifier: Apache-2.0 */
/* udp:// through the lossy, hostile relay, one phase after the other: an owner commits, others read,
 * wait, request and add. What was acknowledged is there; nothing is torn, runs backwards, is carried
 * out twice or not at all; and who does not go through the relay notices nothing. */
#include <dsm/engine.h>
#include <dsm/subscribe.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "net/relay.h"

#define COMMITS 60u
#define ADDS 60u
#define PATIENCE_MS 30000u          /* of each call; the network is bad */

static const struct phase { const char *name; struct relay_settings s; bool big; } phases[] = {
	{ "a good network", { .seed = 1 }, true },
	{ "a fifth lost", { .loss = 0.2, .seed = 2 }, true },
	{ "lost, late, doubled, disordered",
		{ .loss = 0.1, .duplicate = 0.2, .reorder = 0.2, .delay_ms = 1, .jitter_ms = 2, .seed = 3 }, false },
	{ "changed and cut off", { .corrupt = 0.1, .truncate = 0.1, .seed = 4 }, false },
	{ "recorded and sent again", { .replay = 0.3, .reflect = 0.1, .seed = 5 }, false },
	{ "spoofed", { .spoof = 0.3, .seed = 6 }, false },
	{ "a source that changes", { .rebind = 50, .loss = 0.05, .seed = 7 }, false },
	{ "a flood", { .flood = 3000, .seed = 8 }, false },
};

static unsigned passed, failed;
static atomic_bool relay_ends, stop;
static uint16_t direct_port;

static bool expect(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool expect(bool ok, const char *format, ...)
{
	if (ok) {
		passed++;
		return true;
	}
	va_list args;
	failed++;
	printf("FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (%s)\n", dsm_error());
	return false;
}

static void *forward(void *context)
{
	while (!atomic_load(&relay_ends))
		relay_step(context, -1, 2);
	return NULL;
}

static struct dsm *attach(uint16_t port, const char *owner, uint32_t flags)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char uri[64];
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", port);
	opts.owner = owner;
	opts.flags = flags;
	opts.attach_timeout_ms = opts.call_timeout_ms = PATIENCE_MS;
	opts.tries = 1000000;
	return expect(dsm_attach(uri, &opts, &dsm) == 0, "attach to %s", uri) ? dsm : NULL;
}

/* ---- a reader: whole, forwards ---- */

struct reader { struct dsm *dsm; uint64_t reads, torn, back; int error; };

static void *read_on(void *context)
{
	struct reader *r = context;
	struct dsm_group group;
	struct dsm_frame *frame = NULL;
	struct dsm_cell x, y;
	double before = 0;
	if (dsm_group(r->dsm, "sensors.a", &group) || dsm_frame_new(r->dsm, group, &frame) ||
	    dsm_cell(r->dsm, "sensors.a.x", &x) || dsm_cell(r->dsm, "sensors.a.y", &y))
		r->error = -EINVAL;
	while (!r->error && !atomic_load(&stop)) {
		struct dsm_sample a, b;
		int rc = dsm_snapshot(r->dsm, group, frame);
		if (rc) {
			r->error = rc;
			break;
		}
		dsm_frame_read(frame, x, &a);
		dsm_frame_read(frame, y, &b);
		r->reads++;
		r->torn += a.value.f64 != -b.value.f64;
		r->back += a.value.f64 < before;
		before = a.value.f64;
	}
	dsm_frame_free(&frame);
	return NULL;
}

/* ---- an owner ---- */

static bool commit_pair(struct dsm *w, double value)
{
	struct dsm_cell x, y;
	return dsm_cell(w, "sensors.a.x", &x) == 0 && dsm_cell(w, "sensors.a.y", &y) == 0 &&
		dsm_begin(w, 0) == 0 && dsm_set_f64(w, x, value) == 0 && dsm_set_f64(w, y, -value) == 0 &&
		dsm_commit(w, NULL) == 0;
}

/* Each acknowledged commit is there, by another way, at once. */
static void commits(struct dsm *w, struct dsm *direct, double *value)
{
	struct dsm_cell x;
	struct dsm_sample s;
	unsigned wrong = 0, seen = 0;
	expect(dsm_cell(direct, "sensors.a.x", &x) == 0, "look up");
	for (unsigned i = 0; i < COMMITS; i++) {
		if (!commit_pair(w, ++*value)) {
			expect(false, "commit %u", i);
			return;
		}
		if (dsm_read(direct, x, &s) == 0)
			wrong += s.value.f64 != *value, seen++;
	}
	expect(wrong == 0 && seen == COMMITS, "%u of %u acknowledged commits were not there", wrong, seen);
}

static void big(struct dsm *w, struct dsm *r, unsigned char fill)
{
	const void *seen = NULL;
	struct dsm_cell in, out;
	struct dsm_sample s;
	uint64_t capacity, bytes = 0;
	void *data = NULL;
	if (!expect(dsm_cell(w, "big.data", &in) == 0 && dsm_cell(r, "big.data", &out) == 0 &&
		    dsm_loan(w, in, &data, &capacity) == 0, "a loan"))
		return;
	for (uint64_t i = 0; i < capacity; i++)
		((unsigned char *)data)[i] = (unsigned char)(fill + i * 7);
	expect(dsm_publish(w, capacity, 0) == 0, "a mebibyte out");
	if (!expect(dsm_borrow(r, out, &seen, &bytes, &s) == 0, "a mebibyte back"))
		return;
	uint64_t wrong = bytes != capacity;
	for (uint64_t i = 0; i < bytes; i++)
		wrong += ((const unsigned char *)seen)[i] != (unsigned char)(fill + i * 7);
	expect(wrong == 0, "%llu bytes of a mebibyte are wrong", (unsigned long long)wrong);
	expect(dsm_return(r) == 0, "given back");
}

/* ---- adds and requests: each once ---- */

static void adds(struct dsm *c, int64_t *count)
{
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, previous = { 0 };
	uint64_t tickets[ADDS];
	struct dsm_cell cell;
	unsigned wrong = 0, missing = 0;
	expect(dsm_cell(c, "drilling.count", &cell) == 0, "look up");
	for (unsigned i = 0; i < ADDS; i++)
		missing += dsm_add_begin(c, cell, &one, NULL, &tickets[i]) != 0;
	for (unsigned i = 0; i < ADDS && !missing; i++) {
		missing += dsm_add_end(c, tickets[i], PATIENCE_MS, &previous) != 0;
		wrong += previous.i64 != *count + (int64_t)i;
	}
	*count += ADDS;
	struct dsm_sample s = { 0 };
	int rc = dsm_read(c, cell, &s);
	expect(!missing && !wrong, "%u adds without an answer, %u not in their place", missing, wrong);
	expect(rc == 0 && s.value.i64 == *count, "the sum is %lld, not %lld", (long long)s.value.i64,
		(long long)*count);
	struct dsm_value mode = { .type = DSM_STRING, .len = 5, .str = "slide" };
	expect(dsm_cell(c, "drilling.mode", &cell) == 0 && dsm_request(c, cell, &mode, PATIENCE_MS) == 0,
		"a request");
}

static void waits(struct dsm *w, struct dsm *r, double *value)
{
	struct dsm_group group;
	struct dsm_frame *frame = NULL;
	struct dsm_frame_info info = { 0 };
	int rc = dsm_group(r, "sensors.a", &group);
	if (rc == 0)
		rc = dsm_frame_new(r, group, &frame);
	for (int i = 0; rc == 0 && i < 5; i++) {
		rc = dsm_snapshot(r, group, frame);
		if (rc == 0)
			rc = dsm_frame_info(frame, &info);
		if (rc == 0 && !commit_pair(w, ++*value))
			rc = -EIO;
		if (rc == 0)
			rc = dsm_wait(r, group, info.seq, (int)PATIENCE_MS, frame);
	}
	expect(rc == 0, "waiting: %d", rc);
	dsm_frame_free(&frame);
}

/* Updates are whole, go forward, and the last change comes, whatever got lost; with a rate, and with a
 * band, in which what is lost must not be mistaken for what is within. */
static void follows(struct dsm *w, struct dsm *r, double *value)
{
	struct dsm_subscription_options opts = DSM_SUBSCRIPTION_OPTIONS_INIT;
	struct dsm_interest interest = { .kind = DSM_DEADBAND_ABSOLUTE, .deadband = 0.5 };
	struct dsm_subscription *s = NULL;
	const struct dsm_frame *frame;
	struct dsm_update u = { 0 };
	struct dsm_cell x, y;
	double seen = 0;
	unsigned torn = 0, back = 0, updates = 0;
	opts.max_rate_hz = 100;
	int rc = dsm_group(r, "sensors.a", &interest.group);
	if (rc == 0 && (rc = dsm_cell(r, "sensors.a.x", &x)) == 0 && (rc = dsm_cell(r, "sensors.a.y", &y)) == 0)
		rc = dsm_subscribe(r, &interest, 1, &opts, &s);
	for (unsigned i = 0; rc == 0 && i < COMMITS + 1 && seen < *value;) {
		if (i < COMMITS && !commit_pair(w, ++*value))
			rc = -EIO;
		i += i < COMMITS; /* then until the last one is there */
		struct dsm_sample a = { 0 }, b = { 0 };
		int got = rc ? rc : dsm_next_update(s, i < COMMITS ? 5 : (int)PATIENCE_MS, &frame, &u);
		if (got && (i >= COMMITS || got != -ETIMEDOUT))
			rc = got;
		if (got || dsm_frame_read(frame, x, &a) || dsm_frame_read(frame, y, &b))
			continue;
		torn += a.value.f64 != -b.value.f64;
		back += a.value.f64 < seen;
		seen = a.value.f64;
		updates++;
		if (i < COMMITS && seen >= *value)
			seen = *value - 1; /* there is another one to come */
	}
	expect(rc == 0 && seen == *value, "following: %d, %g of %g", rc, seen, *value);
	expect(!torn && !back && updates > 3, "%u updates, %u torn, %u backwards", updates, torn, back);
	dsm_unsubscribe(&s);
}

static struct { double value; int64_t count; unsigned char fill; } state;

static void run_phase(const struct phase *p, struct dsm *direct)
{
	struct relay_options o = { .settings = p->s };
	struct relay *relay = NULL;
	pthread_t thread, reading;
	o.listen.sin_family = o.to.sin_family = AF_INET;
	o.listen.sin_addr.s_addr = o.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	o.to.sin_port = htons(direct_port);
	if (!expect(relay_open(&o, &relay) == 0, "the relay"))
		return;
	uint16_t port = ntohs(relay_address(relay).sin_port);
	atomic_store(&relay_ends, false);
	atomic_store(&stop, false);
	pthread_create(&thread, NULL, forward, relay);
	struct dsm *w = attach(port, "sensors", 0), *c = attach(port, NULL, 0);
	struct reader r = { .dsm = attach(port, NULL, 0) };
	if (w && c && r.dsm) {
		pthread_create(&reading, NULL, read_on, &r);
		commits(w, direct, &state.value);
		adds(c, &state.count);
		waits(w, c, &state.value);
		follows(w, c, &state.value);
		if (p->big)
			big(w, c, ++state.fill);
		atomic_store(&stop, true);
		pthread_join(reading, NULL);
		expect(r.error == 0 && r.reads > 0 && r.torn == 0 && r.back == 0,
			"a reader: error %d, %llu reads, %llu torn, %llu backwards", r.error,
			(unsigned long long)r.reads, (unsigned long long)r.torn, (unsigned long long)r.back);
	}
	const struct relay_counts *n = relay_counts(relay);
	dsm_detach(&w);
	dsm_detach(&c);
	dsm_detach(&r.dsm);
	atomic_store(&relay_ends, true);
	pthread_join(thread, NULL);
	expect(n->answer_bytes <= n->flooded_bytes, "a flood of %llu bytes was answered by %llu",
		(unsigned long long)n->flooded_bytes, (unsigned long long)n->answer_bytes);
	bool harmed = (p->s.loss == 0 || n->lost) && (p->s.corrupt == 0 || n->corrupted) &&
		(p->s.replay == 0 || n->replayed) && (p->s.duplicate == 0 || n->duplicated) &&
		(p->s.spoof == 0 || n->spoofed) && (p->s.rebind == 0 || n->rebinds) &&
		(p->s.flood == 0 || n->flooded);
	expect(harmed, "%s: the relay did no harm, so nothing is shown", p->name);
	printf("%-32s %llu reads; %llu datagrams, %llu lost, %llu changed, %llu replayed\n", p->name,
		(unsigned long long)r.reads, (unsigned long long)n->received, (unsigned long long)n->lost,
		(unsigned long long)(n->corrupted + n->truncated), (unsigned long long)n->replayed);
	relay_close(&relay);
}

int main(int argc, char **argv)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	char name[64], address[32];
	direct_port = (uint16_t)test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", direct_port);
	opts.udp = address;
	opts.tick_ms = 20;
	opts.lease_ms = 10000; /* a machine that stands still is not what is tried here */
	setvbuf(stdout, NULL, _IOLBF, 0);
	unsetenv("DSM_KEYS");
	if (!expect(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine) == 0, "an engine"))
		return 1;
	struct dsm *direct = attach(direct_port, NULL, 0);
	for (size_t i = 0; direct && i < sizeof(phases) / sizeof(phases[0]); i++)
		if (argc < 2 || strstr(phases[i].name, argv[1]))
			run_phase(&phases[i], direct);
	struct dsm_status status = { 0 };
	expect(direct && dsm_status(direct, &status) == 0 && status.reattached == 0,
		"who does not go through the relay was disturbed");
	dsm_detach(&direct);
	expect(dsm_engine_close(&engine) == 0, "the end");
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
