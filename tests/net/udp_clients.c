/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of every kind, a thread each. What one sees must be right however bad its network is. */
#include <dsm/subscribe.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PLAIN_SHARED
#include "../stress/plain.h"
#include "net/udp_rig.h"

#define PIPE 32u
#define PAUSE_MS 3u
#define IDLER_UPDATES 16u       /* at most, until it has what is newest */
#define BIG_WORDS ((1u << 20) / 8)

const char *const client_names[CLIENT_KINDS] = { "reader", "step", "writer", "adder", "pipeline",
	"waiter", "big", "idler", "requester" };

static bool same(double a, double b)
{
	return a <= b && a >= b;
}

static double number(const struct dsm_frame *frame, struct dsm *dsm, const char *name)
{
	struct dsm_cell cell;
	struct dsm_sample sample = { 0 };
	expect(dsm_cell(dsm, name, &cell) == 0 && dsm_frame_read(frame, cell, &sample) == 0, "%s: %s", name, dsm_error());
	return sample.value.type == DSM_U64 ? (double)sample.value.u64 : sample.value.f64;
}

/* One good operation, or not; how long it took. */
void client_count(struct client *c, int rc, uint64_t since_ms)
{
	uint64_t took = plain_ms() - since_ms;
	struct dsm_status status = { 0 };
	if (took > atomic_load(&c->slowest_ms))
		atomic_store(&c->slowest_ms, took);
	if (rc == 0)
		atomic_fetch_add(&c->done, 1);
	else if (atomic_fetch_add(&c->failed, 1) < 3)
		printf("%s: %s\n", client_names[c->kind], dsm_error());
	if (rc)
		plain_sleep_ms(50);
	if (dsm_status(c->dsm, &status) == 0)
		atomic_store(&c->reattached, status.reattached);
}

/* ---- what each does ---- */

/* One group after the other: no mix of two commits, never older than before. */
static void run_reader(struct client *c)
{
	static const char *const names[2][3] = { { "sensors.a", "sensors.a.x", "sensors.a.y" },
		{ "sensors.b", "sensors.b.x", "sensors.b.y" } };
	struct dsm_group groups[2];
	struct dsm_frame *frames[2] = { NULL, NULL };
	double last[2] = { 0, 0 };
	bool good = true;
	for (unsigned i = 0; good && i < 2; i++)
		good = dsm_group(c->dsm, names[i][0], &groups[i]) == 0 && dsm_frame_new(c->dsm, groups[i], &frames[i]) == 0;
	expect(good, "reader: %s", dsm_error());
	for (unsigned i = 0; good && !atomic_load(&c->stop); i ^= 1) {
		uint64_t start = plain_ms();
		int rc = dsm_snapshot(c->dsm, groups[i], frames[i]);
		client_count(c, rc, start);
		if (rc)
			continue;
		double x = number(frames[i], c->dsm, names[i][1]), y = number(frames[i], c->dsm, names[i][2]);
		expect(same(x, y), "torn: x %.0f, y %.0f", x, y);
		expect(x >= last[i], "went back: %.0f after %.0f", x, last[i]);
		last[i] = x;
		plain_sleep_ms(PAUSE_MS);
	}
	dsm_frame_free(&frames[0]);
	dsm_frame_free(&frames[1]);
}

/* Two groups of one step: never a mix. The round trip may be longer than the rings reach back: no failure. */
static void run_step(struct client *c)
{
	struct dsm_group groups[2];
	struct dsm_frame *frames[2] = { NULL, NULL };
	uint64_t step;
	bool good = dsm_group(c->dsm, "sensors.a", &groups[0]) == 0 && dsm_group(c->dsm, "sensors.b", &groups[1]) == 0 &&
		dsm_frame_new(c->dsm, groups[0], &frames[0]) == 0 && dsm_frame_new(c->dsm, groups[1], &frames[1]) == 0;
	expect(good, "step: %s", dsm_error());
	for (double last = 0; good && !atomic_load(&c->stop); plain_sleep_ms(PAUSE_MS)) {
		uint64_t start = plain_ms();
		int rc = dsm_snapshot_step(c->dsm, groups, 2, frames, &step);
		if (rc == -EAGAIN || rc == -ETIMEDOUT)
			continue;
		client_count(c, rc, start);
		if (rc)
			continue;
		double ax = number(frames[0], c->dsm, "sensors.a.x"), ay = number(frames[0], c->dsm, "sensors.a.y");
		double bx = number(frames[1], c->dsm, "sensors.b.x"), by = number(frames[1], c->dsm, "sensors.b.y");
		expect(same(ax, ay) && same(bx, by), "torn: a %.0f %.0f, b %.0f %.0f", ax, ay, bx, by);
		expect(same(ax, bx), "a mix of steps: %.0f, %.0f", ax, bx);
		expect(ax >= last, "went back: %.0f after %.0f", ax, last);
		last = ax;
	}
	dsm_frame_free(&frames[0]);
	dsm_frame_free(&frames[1]);
}

/* v counts the commits that were acknowledged, w is its complement. */
static void run_writer(struct client *c)
{
	struct dsm_cell v, w;
	bool good = dsm_cell(c->dsm, "remote.v", &v) == 0 && dsm_cell(c->dsm, "remote.w", &w) == 0;
	expect(good, "writer: %s", dsm_error());
	while (good && !atomic_load(&c->stop)) {
		uint64_t start = plain_ms(), n = atomic_load(&c->done) + 1;
		int rc = dsm_begin(c->dsm, 0);
		if (rc == 0)
			rc = dsm_set_u64(c->dsm, v, n);
		if (rc == 0)
			rc = dsm_set_u64(c->dsm, w, ~n);
		if (rc == 0)
			rc = dsm_commit(c->dsm, NULL);
		client_count(c, rc, start);
		plain_sleep_ms(PAUSE_MS);
	}
}

static void run_adder(struct client *c)
{
	struct dsm_cell cell;
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, before = { 0 };
	bool good = dsm_cell(c->dsm, "drilling.count", &cell) == 0;
	int64_t last = -1;
	expect(good, "adder: %s", dsm_error());
	while (good && !atomic_load(&c->stop)) {
		uint64_t start = plain_ms();
		int rc = dsm_add(c->dsm, cell, &one, NULL, 10000, &before);
		client_count(c, rc, start);
		if (rc)
			atomic_fetch_add(&c->unknown, 1);
		expect(rc || before.i64 > last, "an add gave %" PRId64 " after %" PRId64, before.i64, last);
		last = rc ? last : before.i64;
		plain_sleep_ms(PAUSE_MS);
	}
}

/* Up to PIPE adds under way; every ticket is ended. */
static void run_pipeline(struct client *c)
{
	struct dsm_cell cell;
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, before;
	uint64_t tickets[PIPE];
	bool good = dsm_cell(c->dsm, "drilling.count", &cell) == 0;
	expect(good, "pipeline: %s", dsm_error());
	while (good && !atomic_load(&c->stop)) {
		uint64_t start = plain_ms();
		unsigned n = 0;
		int begun = 0;
		while (n < PIPE && (begun = dsm_add_begin(c->dsm, cell, &one, NULL, &tickets[n])) == 0)
			n++;
		if (begun)
			client_count(c, begun, start); /* there is room for eight times as many */
		for (unsigned i = 0; i < n; i++) {
			int rc = -ETIMEDOUT; /* then the ticket is still to be ended */
			for (unsigned k = 0; k < 3 && rc == -ETIMEDOUT; k++)
				rc = dsm_add_end(c->dsm, tickets[i], 10000, &before);
			client_count(c, rc, start);
			if (rc)
				atomic_fetch_add(&c->unknown, 1);
		}
		plain_sleep_ms(2 * PAUSE_MS);
	}
}

/* Commits of the remote writer, as they come. */
static void run_waiter(struct client *c)
{
	struct dsm_group group;
	struct dsm_frame *frame = NULL;
	struct dsm_frame_info info = { 0 };
	uint64_t since = 0;
	bool good = dsm_group(c->dsm, "remote", &group) == 0 && dsm_frame_new(c->dsm, group, &frame) == 0;
	struct dsm_cell v, w;
	good = good && dsm_cell(c->dsm, "remote.v", &v) == 0 && dsm_cell(c->dsm, "remote.w", &w) == 0;
	expect(good, "waiter: %s", dsm_error());
	while (good && !atomic_load(&c->stop)) {
		struct dsm_sample a = { 0 }, b = { 0 };
		uint64_t start = plain_ms();
		int rc = dsm_wait(c->dsm, group, since, 200, frame);
		if (rc == -ETIMEDOUT) /* nothing new: no failure */
			continue;
		client_count(c, rc, start);
		if (rc)
			continue;
		dsm_frame_info(frame, &info);
		dsm_frame_read(frame, v, &a);
		dsm_frame_read(frame, w, &b);
		expect(info.seq > since, "waited for more than %" PRIu64 ", got %" PRIu64, since, info.seq);
		expect(b.value.u64 == ~a.value.u64, "torn: v %" PRIu64 ", w %" PRIu64, a.value.u64, b.value.u64);
		since = info.seq;
	}
	dsm_frame_free(&frame);
}

/* A thousand datagrams a read. */
static void run_big(struct client *c)
{
	struct dsm_cell cell;
	struct dsm_group group;
	struct dsm_frame *frame = NULL;
	bool good = dsm_cell(c->dsm, "big.data", &cell) == 0 && dsm_group(c->dsm, "big", &group) == 0 &&
		dsm_frame_new(c->dsm, group, &frame) == 0;
	expect(good, "big: %s", dsm_error());
	while (good && !atomic_load(&c->stop)) {
		struct dsm_sample s = { 0 };
		uint64_t start = plain_ms(), first, word = 0;
		int rc = dsm_snapshot(c->dsm, group, frame);
		client_count(c, rc, start);
		if (rc == 0)
			rc = dsm_frame_read(frame, cell, &s);
		if (rc == 0 && expect(s.value.len == BIG_WORDS * 8, "big: %" PRIu32 " bytes", s.value.len)) {
			memcpy(&first, s.value.bytes, 8);
			for (size_t i = 0; i < BIG_WORDS; i++) {
				memcpy(&word, (const char *)s.value.bytes + 8 * i, 8);
				if (!expect(word == first, "torn: word %zu is %" PRIu64 ", the first %" PRIu64, i, word, first))
					break;
			}
		}
		plain_sleep_ms(20);
	}
	dsm_frame_free(&frame);
}

/* The update is of one commit; the newer of the two groups' numbers so far. */
static double newer(struct client *c, const struct dsm_frame *frame, uint32_t index, double last)
{
	static const char *const names[2][2] = { { "sensors.a.x", "sensors.a.y" }, { "sensors.b.x", "sensors.b.y" } };
	double x = number(frame, c->dsm, names[index][0]), y = number(frame, c->dsm, names[index][1]);
	expect(same(x, y), "torn: x %.0f, y %.0f", x, y);
	return x > last ? x : last;
}

/* Subscribes to two thousand commits a second and looks at none of them, to the end. Then there is no
 * backlog: it has at once what a read has. Nobody else may notice it. */
static void run_idler(struct client *c)
{
	struct dsm_interest interests[2] = { { .kind = DSM_DEADBAND_NONE }, { .kind = DSM_DEADBAND_NONE } };
	struct dsm_subscription *sub = NULL;
	const struct dsm_frame *frame;
	struct dsm_update update;
	struct dsm_sample now = { 0 };
	struct dsm_cell x;
	double last = 0;
	int rc;
	bool good = dsm_group(c->dsm, "sensors.a", &interests[0].group) == 0 &&
		dsm_group(c->dsm, "sensors.b", &interests[1].group) == 0 && dsm_cell(c->dsm, "sensors.a.x", &x) == 0 &&
		dsm_subscribe(c->dsm, interests, 2, NULL, &sub) == 0;
	expect(good, "idler: %s", dsm_error());
	while (good && !atomic_load(&c->stop))
		plain_sleep_ms(PAUSE_MS);
	good = good && expect(dsm_read(c->dsm, x, &now) == 0, "idler: %s", dsm_error());
	for (unsigned i = 0; good && i < IDLER_UPDATES && last < now.value.f64; i++) {
		uint64_t start = plain_ms();
		rc = dsm_next_update(sub, 10000, &frame, &update);
		client_count(c, rc, start);
		last = rc ? last : newer(c, frame, update.index, last);
	}
	expect(!good || last >= now.value.f64, "idler: a backlog: %u updates, and still %.0f, not %.0f", IDLER_UPDATES, last,
		now.value.f64);
	dsm_unsubscribe(&sub);
}

/* ---- life ---- */

static void *run(void *context)
{
	static void (*const works[CLIENT_KINDS])(struct client *) = {
		run_reader, run_step, run_writer, run_adder, run_pipeline, run_waiter, run_big,
		run_idler, run_requester,
	};
	struct client *c = context;
	works[c->kind](c);
	return NULL;
}

bool client_start(struct client *c, enum client_kind kind, const char *uri)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->uri = uri;
	options.program = client_names[kind];
	options.call_timeout_ms = kind == CLIENT_STEP ? 500 : 10000;
	options.attach_timeout_ms = 20000;
	if (kind == CLIENT_WRITER)
		options.owner = "remote";
	return check(dsm_attach(uri, &options, &c->dsm) == 0, "%s at %s: %s", client_names[kind], uri, dsm_error()) &&
		check(pthread_create(&c->thread, NULL, run, c) == 0, "no thread");
}

void client_stop(struct client *c)
{
	if (!c->dsm)
		return;
	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
	dsm_detach(&c->dsm);
}
