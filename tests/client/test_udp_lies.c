/* SPDX-License-Identifier: Apache-2.0 */
/* An engine made by hand that does not speak the truth, and a client of ours. */
#include <dsm/dsm.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "common/udp_hand.h"
#include "core/check.h"
#include "core/hooks.h"
#include "engine/udp_subscribe.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)

/* ---- before the handshake ---- */

static int cookie_fd;
static atomic_bool stop;
static _Atomic unsigned inits;

/* Answers each INIT with another cookie. */
static void *give_cookies(void *context)
{
	unsigned char d[2048];
	struct sockaddr_in from;
	struct pollfd p = { cookie_fd, POLLIN, 0 };
	struct udp_init init;
	(void)context;
	while (!atomic_load(&stop)) {
		socklen_t size = sizeof(from);
		ssize_t n = poll(&p, 1, 20) == 1 ? recvfrom(cookie_fd, d, sizeof(d), 0, (void *)&from, &size) : 0;
		if (n <= 0 || udp_get_init(d, (size_t)n, &init))
			continue;
		struct udp_cookie cookie = { .client = init.client };
		memset(cookie.cookie, (int)++inits & 0xff, sizeof(cookie.cookie));
		sendto(cookie_fd, d, udp_put_cookie(d, &cookie), 0, (void *)&from, size);
	}
	return NULL;
}

/* 1200 bytes for each 24 would make a client a weapon. */
Test(udp_lies, cookie_after_cookie_makes_a_client_send_little, .timeout = 60)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	struct dsm *dsm = NULL;
	pthread_t thread;
	char uri[64];
	unsetenv("DSM_KEYS");
	cookie_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(bind(cookie_fd, (void *)&at, size));
	ok(getsockname(cookie_fd, (void *)&at, &size));
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", ntohs(at.sin_port));
	ok(pthread_create(&thread, NULL, give_cookies, NULL));
	as.attach_timeout_ms = 1000;
	cr_assert_eq(dsm_attach(uri, &as, &dsm), -ETIMEDOUT, "%s", dsm_error());
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	/* after 0, 50, 150, 350 and 750 ms, and three at once */
	cr_assert(inits >= 2 && inits <= 9, "%u", inits);
	close(cookie_fd);
}

/* ---- a session ---- */

/* The handshake and the table are the true engine's; then its thread is held, and what is asked for is
 * answered here, sealed by the session's keys. It knows all that an engine knows. */
enum lie { HONEST, BIT, CHECK, OTHER_GROUP, OTHER_GENERATION, LENGTH, OTHER_SEQ, SEQ_ZERO, NEVER_WRITTEN_SEQ, TWO_VERSIONS,
	PIECES_OF_TWO, BEYOND, ODD, SHORT, OTHER_ID, OLDER, LIES };
static const char *const lie_names[LIES] = { "honest", "a bit of the payload", "the check", "another group's check",
	"another generation's check", "the length", "another seq", "seq 0", "a seq that is not its slot's", "two versions as one",
	"pieces of two versions", "pieces beyond the end", "pieces at odd places", "short pieces", "another question's id",
	"an older version as the newest" };

#define WIDE 8128u
#define SLOT_WORDS ((DSM_SLOT_HEADER + WIDE) / 8 + 8)
#define LIES_ENOUGH 6u              /* then the call's time is over, by its clock */

static struct dsm_engine *engine;
static struct dsm *reader;
static char uri[64];
static _Atomic uint64_t time_ns = 1000000000000u;
static _Atomic int telling;         /* enum lie */
static _Atomic unsigned told;
static atomic_bool answering;       /* the true engine answers no more */
static uint32_t other_group;

static uint64_t test_now(void *context)
{
	(void)context;
	return atomic_load(&time_ns);
}

static const struct dsm_clock standing = { test_now, test_now, NULL };

static void take_slot(const struct ring *ring, uint64_t seq, uint64_t *to)
{
	copy_from_shared(to, (const void *)slot_at(ring, seq), DSM_SLOT_HEADER + ring->payload_bytes);
}

/* With a check that is right for it. */
static void seal_slot(uint64_t generation, uint32_t group, uint64_t bytes, uint64_t *slot)
{
	struct check_fields f = { slot[0], slot[1], slot[2], slot[3] };
	slot[4] = check_word(check_seed(generation, group), &f, slot + DSM_SLOT_HEADER / 8, bytes);
}

static void falsify(enum lie lie, uint32_t group, const struct ring *ring, uint64_t *slot)
{
	uint64_t generation = engine->region->generation;
	switch (lie) {
	case BIT: slot[DSM_SLOT_HEADER / 8 + 600] ^= 2; break;
	case CHECK: slot[4] ^= 1; break;
	case OTHER_GROUP: seal_slot(generation, other_group, ring->payload_bytes, slot); break;
	case OTHER_GENERATION: seal_slot(generation + 1, group, ring->payload_bytes, slot); break;
	case LENGTH:
		slot[1] -= UINT64_C(8) << 32;
		seal_slot(generation, group, ring->payload_bytes, slot);
		break;
	case SEQ_ZERO:
		slot[0] = 0;
		seal_slot(generation, group, ring->payload_bytes, slot);
		break;
	default: break;
	}
}

static void answer_read(struct udp_peer *p, const struct udp_read *m)
{
	static uint64_t slot[SLOT_WORDS], older[SLOT_WORDS];
	enum lie lie = (enum lie)atomic_load(&telling);
	const struct ring *ring = &engine->region->rings[m->index];
	uint64_t seq = atomic_load(ring->pulse);
	struct udp_voice v;
	if (m->offset + m->bytes > DSM_SLOT_HEADER + ring->payload_bytes || ring->payload_bytes > WIDE + 32)
		return;
	take_slot(ring, seq, slot);
	take_slot(ring, seq - 1, older);
	falsify(lie, m->index, ring, slot);
	udp_voice_begin(&v, engine->udp, &p->data, &p->data_route);
	for (uint32_t at = 0; at < m->bytes; at += UDP_PIECE) {
		bool late = m->offset + at >= 4 * UDP_PIECE, two = lie == TWO_VERSIONS || lie == PIECES_OF_TWO;
		uint32_t n = m->bytes - at < UDP_PIECE ? m->bytes - at : UDP_PIECE;
		struct udp_answer a = { .id = m->id + (lie == OTHER_ID), .seq = seq, .offset = m->offset + at,
			.bytes = (uint16_t)(lie == SHORT ? n - 8 : n),
			.data = (const unsigned char *)((two && late) || lie == OLDER ? older : slot) + m->offset + at };
		a.seq = lie == SEQ_ZERO ? 0 : lie == OTHER_SEQ ? seq + 2 : lie == NEVER_WRITTEN_SEQ ? UINT64_MAX :
			(lie == PIECES_OF_TWO && late) || lie == OLDER ? seq - 1 : seq;
		a.offset += lie == BEYOND ? 16 * UDP_PIECE : lie == ODD ? 8 : 0;
		if (!udp_put_answer(&v.w, &a)) {
			udp_voice_send(&v);
			udp_put_answer(&v.w, &a);
		}
	}
	udp_voice_send(&v);
	udp_out_flush(engine->udp);
	if (lie != HONEST && ++told % LIES_ENOUGH == 0)
		time_ns += 1100000000u;
}

static void answer_datagram(unsigned char *d, size_t n)
{
	const unsigned char *at, *end;
	struct udp_data head;
	struct udp_frame f;
	struct udp_read read;
	bool newest;
	struct udp_peer *p = udp_get_data(d, n, &head) ? NULL : udp_find(engine->udp, head.to);
	if (!p || !(head.counter & UDP_FLOW_BIT) || udp_flow_open(&p->data, d, n, &at, &end, &newest))
		return;
	while (udp_next_frame(&at, end, &f) == 1)
		if (f.type == UDP_READ && udp_get_read(&f, &read) == 0 && read.kind <= UDP_READ_STEP)
			answer_read(p, &read);
}

static void *answer_all(void *context)
{
	(void)context;
	pthread_mutex_lock(&engine->lock);
	atomic_store(&answering, true);
	while (!atomic_load(&stop)) {
		struct pollfd p = { engine->udp->fd, POLLIN, 0 };
		unsigned n = poll(&p, 1, 10) == 1 ? udp_batch_receive(engine->udp) : 0;
		for (unsigned i = 0; i < n; i++) {
			const struct udp_path *from;
			size_t bytes;
			unsigned char *d = udp_batch_get(engine->udp, i, &bytes, &from);
			answer_datagram(d, bytes);
		}
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

static void open_engine(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT, as = DSM_OPTIONS_INIT;
	static unsigned char bytes[WIDE];
	struct dsm_value v = { .type = DSM_BYTES, .len = WIDE, .bytes = bytes };
	struct dsm *writer = NULL;
	struct dsm_cell cell;
	struct dsm_group group;
	char name[64], near[128], address[32];
	unsetenv("DSM_KEYS");
	snprintf(address, sizeof(address), "127.0.0.1:%u", test_port());
	snprintf(uri, sizeof(uri), "udp://%s", address);
	opts.udp = address;
	opts.lease_ms = 3600000;
	ok(fixture_engine_of(FIXTURE_WIDE, &opts, name, &engine));
	fixture_uri("shm", name, near);
	own.owner = "sensors";
	ok(dsm_attach(near, &own, &writer));
	ok(dsm_cell(writer, "sensors.wide.data", &cell));
	ok(dsm_group(writer, "sensors.b", &group));
	other_group = (uint32_t)group.id;
	for (int i = 1; i <= 2; i++) {
		memset(bytes, i, sizeof(bytes));
		ok(dsm_write(writer, cell, &v));
	}
	dsm_detach(&writer);
	as.clock = &standing;
	as.attach_timeout_ms = 20000;
	ok(dsm_attach(uri, &as, &reader));
}

/* Whatever the group is said to hold must be what it was given: all of one number. */
static int read_wide(unsigned char *value)
{
	struct dsm_cell cell;
	struct dsm_sample s;
	ok(dsm_cell(reader, "sensors.wide.data", &cell));
	int rc = dsm_read(reader, cell, &s);
	if (rc)
		return rc;
	*value = ((const unsigned char *)s.value.bytes)[0];
	for (uint32_t i = 0; i < s.value.len; i++)
		if (((const unsigned char *)s.value.bytes)[i] != *value)
			*value = 255;
	return s.value.len == WIDE ? 0 : -EBADMSG;
}

Test(udp_lies, nothing_of_what_an_engine_invents_is_believed, .timeout = 110)
{
	unsigned char value = 0;
	pthread_t thread;
	int rc[LIES], honest[LIES];
	open_engine();
	ok(pthread_create(&thread, NULL, answer_all, NULL));
	while (!atomic_load(&answering))
		usleep(1000);
	for (int lie = 0; lie < LIES; lie++) {
		unsigned before = told;
		telling = lie;
		value = 0;
		rc[lie] = read_wide(&value);
		rc[lie] = lie != HONEST && told == before ? 1 : rc[lie];
		telling = HONEST; /* and the session goes on */
		honest[lie] = -EAGAIN; /* answers to questions of before may still be lies */
		for (int i = 0; i < 20 && honest[lie]; i++)
			honest[lie] = read_wide(&value);
		honest[lie] = honest[lie] ? honest[lie] : value;
	}
	int believed = 0;
#ifdef DSM_TEST_HOOKS
	dsm__ignore_check(true); /* the control: a client that checks nothing */
	telling = BIT;
	value = 0;
	believed = read_wide(&value) == 0 && value == 255;
	dsm__ignore_check(false);
#endif
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ok(rc[HONEST]);
	for (int lie = 0; lie < LIES; lie++) {
		cr_assert(lie == HONEST || rc[lie] < 0, "%s: %d", lie_names[lie], rc[lie]);
		cr_assert_eq(honest[lie], 2, "after %s: %d", lie_names[lie], honest[lie]);
	}
#ifdef DSM_TEST_HOOKS
	cr_assert(believed, "without the check a lie is not believed either");
#endif
	(void)believed;
	dsm_detach(&reader);
	ok(dsm_engine_close(&engine));
}
