/* SPDX-License-Identifier: Apache-2.0 */
/* A client of udp that has a key and does not play by the rules, spoken by hand: what it commits,
 * reads and acknowledges wrongly changes nothing, and harms nobody else. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "common/udp_hand.h"
#include "core/check.h"
#include "core/layout.h"
#include "wire/control.h"
#include "wire/le.h"
#include "wire/udp_flow.h"
#include "wire/udp_stream.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define GROUP_WORDS 16u

static char uri[64];
static unsigned port;
static struct dsm_engine *engine;
static struct dsm *reader;

static void connect_to(struct client *c)
{
	connect_from(c, INADDR_LOOPBACK, port);
}

/* As owner of "sensors". */
static void come_in(struct client *c)
{
	struct control_reader r;
	connect_to(c);
	say_hello(c, "sensors");
	ok(control_open(&r, c->message, c->message_bytes));
	ok(control_get_welcome(&r, &c->welcome));
	ok(c->welcome.status);
}

static void set_up(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	static char name[64], address[32];
	unsetenv("DSM_KEYS");
	port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://%s", address);
	opts.udp = address;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	ok(dsm_attach(uri, NULL, &reader));
}

static void tear_down(void)
{
	struct dsm_status status;
	ok(dsm_status(reader, &status));
	cr_assert_eq(status.reattached, 0, "somebody else was disturbed");
	dsm_detach(&reader);
	ok(dsm_engine_close(&engine));
}

TestSuite(udp_hostile, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- commits ---- */

struct forged { uint32_t group, epoch; uint64_t seq; uint8_t kind; bool bad_check; uint64_t number; size_t words;
	uint64_t step; /* 0: as seq */ };

static uint32_t group_index(const char *name)
{
	struct dsm_group g;
	ok(dsm_group(reader, name, &g));
	return (uint32_t)g.id;
}

/* sensors.a: two f64 cells, 4 words of payload. */
static struct forged honest(struct client *c)
{
	return (struct forged){ group_index("sensors.a"), c->welcome.epoch, 1, UDP_COMMIT_BOTH, false, c->number + 1, 4, 0 };
}

static int32_t commit(struct client *c, const struct forged *f, double x)
{
	uint64_t message[2 + 5 + GROUP_WORDS] = { 0 }, *slot = message + 2;
	struct check_fields fields = { f->seq, f->epoch | (uint64_t)f->words * 8 << 32, 1000, f->step ? f->step : f->seq };
	uint64_t before = c->committed.number;
	slot[0] = fields.seq;
	slot[1] = fields.epoch_length;
	slot[2] = fields.time;
	slot[3] = fields.step;
	memcpy(&slot[5 + 1], &x, 8);
	slot[4] = check_word(check_seed(c->welcome.generation, f->group), &fields, slot + 5, f->words * 8) + f->bad_check;
	udp_put_commit((void *)message, &(struct udp_commit){ f->number, f->group, f->kind });
	c->committed = (struct udp_committed){ before, 1 };
	say_segment(c, true, message, 16 + 40 + 8 * f->words, UDP_FIRST | UDP_LAST);
	for (int i = 0; i < 200 && c->committed.status == 1 && !c->closed; i++)
		listen_for(c, 50);
	c->number = c->committed.number;
	return c->closed ? -EPIPE : c->committed.status;
}

static double value(void)
{
	struct dsm_cell x;
	struct dsm_sample s;
	ok(dsm_cell(reader, "sensors.a.x", &x));
	ok(dsm_read(reader, x, &s));
	return s.value.f64;
}

/* That this client can do it at all: what is refused below is refused for its fault. */
Test(udp_hostile, an_honest_commit_by_hand_is_taken)
{
	struct client c;
	come_in(&c);
	struct forged f = honest(&c);
	cr_assert_eq(commit(&c, &f, 7), 0);
	cr_assert_eq(c.committed.number, 1);
	cr_assert_eq(value(), 7);
	close(c.fd);
}

Test(udp_hostile, forged_commits_change_nothing)
{
	static const int32_t expected[] = { -EPERM, -EOWNERDEAD, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EMSGSIZE, -EPERM,
		-EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG };
	for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct client c;
		come_in(&c);
		struct forged f = honest(&c);
		switch (i) {
		case 0: f.group = group_index("drilling"); break;
		case 1: f.epoch--; break;
		case 2: f.seq = 0; break;
		case 3: f.bad_check = true; break;
		case 4: f.number = 2; break;
		case 5: f.seq = UINT64_MAX; break;
		case 6: f.words = 5; break;
		case 7: f.group = 0xffffffff; break;
		case 8: f.step = UINT64_MAX; break;
		case 9: f.step = UINT64_MAX; f.kind = UDP_COMMIT_SLOT; break;
		case 10: f.step = UINT64_MAX - 1; break;
		case 11: f.seq = 1000; break; /* beyond what the ring holds */
		}
		cr_assert_eq(commit(&c, &f, 666), expected[i], "case %u: %d", i, c.committed.status);
		f = honest(&c); /* and after that nothing of it is believed any more */
		cr_assert_eq(commit(&c, &f, 666), expected[i], "case %u, again: %d", i, c.committed.status);
		cr_assert_eq(value(), 0);
		unsigned char d[UDP_DATAGRAM];
		struct udp_writer w = udp_flow_begin(d);
		udp_put_close(&w, &(struct udp_close){ 0 });
		say(&c, &c.control, &w, d);
		for (int n = 0; n < 200 && !c.closed; n++)
			listen_for(&c, 50);
		cr_assert(c.closed);
		close(c.fd);
	}
}

Test(udp_hostile, a_step_does_not_go_back)
{
	struct client c;
	come_in(&c);
	struct forged f = honest(&c);
	f.step = 7;
	cr_assert_eq(commit(&c, &f, 7), 0);
	f = honest(&c);
	f.seq = 2;
	f.step = 7;
	cr_assert_eq(commit(&c, &f, 8), -EBADMSG);
	cr_assert_eq(value(), 7);
	close(c.fd);
}

Test(udp_hostile, a_message_that_is_too_long_ends_the_session)
{
	struct client c;
	unsigned char piece[UDP_PIECE] = { 0 };
	come_in(&c);
	/* the longest commit of "sensors" is a little more than a mebibyte */
	for (unsigned i = 0; i < 1100 && !c.closed; i++) {
		say_segment(&c, true, piece, sizeof(piece), i ? 0 : UDP_FIRST);
		if (i % 16 == 15)
			listen_for(&c, 5);
	}
	for (int i = 0; i < 100 && !c.closed; i++)
		listen_for(&c, 50);
	cr_assert(c.closed);
	cr_assert_eq(value(), 0);
	close(c.fd);
}

/* ---- reads ---- */

static int32_t ask(struct client *c, struct udp_read m)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	static uint32_t id;
	m.id = ++id;
	c->answer = (struct udp_answer){ .status = 1 };
	udp_put_read(&w, &m);
	say(c, &c->data, &w, d);
	for (int i = 0; i < 10 && c->answer.status == 1; i++)
		listen_for(c, 50);
	cr_assert(c->answer.status == 1 || c->answer.id == m.id);
	return c->answer.status;
}

Test(udp_hostile, reads_reach_no_further_than_they_may)
{
	struct client c;
	come_in(&c);
	uint32_t a = group_index("sensors.a");
	uint64_t base = c.welcome.header_bytes + c.welcome.directory_bytes;
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_BASE, .arg = 0, .bytes = 192 }), 0);
	cr_assert_eq(le_get(c.piece, 8), DSM_REGION_MAGIC);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_BASE, .arg = base + (1u << 20), .bytes = 8 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_BASE, .arg = UINT64_MAX - 7, .bytes = 64 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_BASE, .arg = 4, .bytes = 8 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_NEWEST, .index = 9999, .bytes = 8 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_COMPLETE, .index = 9999 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_VERSION, .index = a, .arg = 5, .bytes = 80 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_VERSION, .index = a, .arg = 5, .offset = 0xfffffff8,
		.bytes = 16 }), -EINVAL);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_VERSION, .index = a, .arg = UINT64_MAX, .bytes = 72 }),
		-EAGAIN);
	/* too much at once is not answered, and ends nothing */
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_BASE, .bytes = UDP_READ_MAX + 8 }), 1);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_SEQ, .index = a }), 0);
	cr_assert_not(c.closed);
	close(c.fd);
}

/* Each makes the engine check whole slots of a mebibyte: one a datagram is answered. */
Test(udp_hostile, questions_that_cost_much_are_answered_one_a_datagram)
{
	struct client c;
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	struct udp_read m = { .kind = UDP_READ_STEP, .index = group_index("big"), .arg = 1 };
	come_in(&c);
	for (m.id = 1000; udp_put_read(&w, &m); m.id++)
		;
	cr_assert_gt(m.id, 1030);
	say(&c, &c.data, &w, d);
	for (int i = 0; i < 200 && c.answer.id == 0; i++)
		listen_for(&c, 50);
	cr_assert_eq(c.answer.id, 1000, "%u", c.answer.id);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_SEQ, .index = m.index }), 0);
	cr_assert_not(c.closed);
	close(c.fd);
}

/* Sends a READ of all that one may have; what came. */
static size_t read_much(struct client *c, size_t *sent)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	udp_put_read(&w, &(struct udp_read){ .id = 5, .kind = UDP_READ_BASE, .bytes = 2048 });
	*sent += UDP_DATA_HEAD + w.size + NOISE_TAG;
	say(c, &c->data, &w, d);
	c->came = 0;
	return listen_for(c, 200), c->came;
}

/* Who has a key and makes up a source address makes the engine send nobody more than came from there. */
Test(udp_hostile, another_address_gets_little_until_it_has_shown_that_it_is_there)
{
	struct client c;
	unsigned char d[UDP_DATAGRAM];
	size_t sent = 0, came = 0;
	come_in(&c);
	cr_assert_gt(read_much(&c, &sent), 2048);
	cr_assert_eq(c.prove.number, 0, "asked for at the address of the handshake");
	close(c.fd);
	c.fd = socket_from(INADDR_LOOPBACK + 1, port);
	sent = 0;
	for (int i = 0; i < 3; i++)
		came += read_much(&c, &sent);
	cr_assert_leq(came, sent);
	cr_assert_neq(c.prove.number, 0);
	struct udp_writer w = udp_flow_begin(d);
	udp_put_prove(&w, &(struct udp_prove){ c.prove.number + 1 });
	say(&c, &c.data, &w, d);
	cr_assert_lt(read_much(&c, &sent), 1024, "any number will do");
	w = udp_flow_begin(d);
	udp_put_prove(&w, &c.prove);
	say(&c, &c.data, &w, d);
	for (int i = 0; i < 50 && read_much(&c, &sent) <= 2048; i++)
		;
	cr_assert_gt(c.came, 2048);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_SEQ }), 0);
	close(c.fd);
}

/* What is said there ends the session; then there is another. */
static void ends_it(struct client *c, bool data, const struct udp_writer *w, unsigned char *d)
{
	say(c, data ? &c->data : &c->control, w, d);
	for (int i = 0; i < 100 && !c->closed; i++)
		listen_for(c, 50);
	cr_assert(c->closed && close(c->fd) == 0);
	come_in(c);
}

Test(udp_hostile, nonsense_ends_the_session)
{
	struct client c;
	unsigned char d[UDP_DATAGRAM];
	come_in(&c);
	struct udp_writer w = udp_flow_begin(d);
	udp_put_ack(&w, &(struct udp_ack){ 5000, 0 }); /* never sent */
	ends_it(&c, false, &w, d);
	w = udp_flow_begin(d);
	memcpy(w.data, (unsigned char[]){ UDP_ASK, 0, 3, 0, 1, 2, 3 }, 7);
	w.size = 7;
	ends_it(&c, false, &w, d);
	w = udp_flow_begin(d);
	udp_put_wait(&w, &(struct udp_wait){ 9999, 0 });
	ends_it(&c, true, &w, d);
	w = udp_flow_begin(d); /* a list that is too long by one */
	for (unsigned i = 0; i <= UDP_WAITS_MAX; i++)
		cr_assert(udp_put_wait(&w, &(struct udp_wait){ 0, 0 }));
	ends_it(&c, true, &w, d);
	w = udp_flow_begin(d); /* of a kind to come: passed over */
	memcpy(w.data, (unsigned char[]){ 77, 0, 1, 0, 1 }, 5);
	w.size = 5;
	say(&c, &c.control, &w, d);
	cr_assert_eq(ask(&c, (struct udp_read){ .kind = UDP_READ_SEQ, .index = 0 }), 0);
	cr_assert_not(c.closed);
	close(c.fd);
}

#define CROWD 8u

/* All shake hands before the first of them takes a place. */
Test(udp_hostile, a_crowd_takes_no_more_places_than_there_are)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	static char name[64], address[32];
	static struct client crowd[CROWD];
	struct dsm_engine *small;
	unsigned in = 0, out = 0;
	port = 5000 + port % 15000; /* the next one is that of a process beside this */
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	opts.udp = address;
	opts.max_clients = 4;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &small));
	for (unsigned i = 0; i < CROWD; i++)
		connect_to(&crowd[i]);
	for (unsigned i = 0; i < CROWD; i++) {
		say_hello(&crowd[i], "");
		in += crowd[i].message_bytes != 0;
		out += crowd[i].closed;
		close(crowd[i].fd);
	}
	cr_assert_eq(in, 3, "%u of 4 places: the last quarter is this machine's", in);
	cr_assert_eq(out, CROWD - 3);
	ok(dsm_engine_close(&small));
}
