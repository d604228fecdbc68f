/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the engine's udp refuses or passes over is counted under its cause, once, and under no
 * other; read as `dsm stat` reads it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/port.h"
#include "common/fixture.h"
#include "common/udp_hand.h"
#include "engine/udp_subscribe.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define ONCE 20000                  /* ms: the datagram is not sent again */

static const char *const causes[] = { "refused_key", "refused_version", "refused_full", "refused_role",
	"refused_ending", "udp_cookies", "udp_bad_seal", "udp_replay", "udp_unknown", "udp_foreign", "udp_busy",
	"udp_put_off", "bad_messages" };
#define CAUSES (sizeof(causes) / sizeof(causes[0]))
struct counts { uint64_t n[CAUSES]; };

static struct dsm_engine *engine;
static struct dsm *inside;
static unsigned port;
static struct client c;             /* who may come in */

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	struct counts *counts = context;
	(void)what;
	for (size_t i = 0; i < CAUSES; i++)
		if (strcmp(name, causes[i]) == 0)
			counts->n[i] = value;
	return 0;
}

static struct counts now(void)
{
	struct counts counts;
	memset(&counts, 0xff, sizeof(counts));
	ok(dsm_foreach_counter(inside, take_counter, &counts));
	for (size_t i = 0; i < CAUSES; i++)
		cr_assert_neq(counts.n[i], UINT64_MAX, "there is no counter %s", causes[i]);
	return counts;
}

/* Each of those in the list by one, within a generous time, and no other. */
static void expect_counted(const struct counts *before, const char *list)
{
	struct counts after = now();
	for (size_t i = 0; i < CAUSES; i++) {
		bool wanted = strstr(list, causes[i]) != NULL;
		for (int k = 0; wanted && k < 2000 && after.n[i] == before->n[i]; k++) {
			usleep(10000);
			after = now();
		}
	}
	for (size_t i = 0; i < CAUSES; i++)
		cr_assert_eq(after.n[i] - before->n[i], strstr(list, causes[i]) ? 1u : 0u, "%s: %llu more, for %s", causes[i],
			(unsigned long long)(after.n[i] - before->n[i]), list);
}
#define counts(what, list) do { struct counts before_ = now(); what; expect_counted(&before_, list); } while (0)

static void open_engine(uint32_t clients, const char *keys)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options manual = DSM_OPTIONS_INIT;
	static char name[64], address[32];
	unsetenv("DSM_KEYS");
	port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	opts.udp = address;
	opts.max_clients = clients;
	opts.keys = keys;
	opts.auth_none = true;
	opts.lease_ms = 60000; /* nobody goes because this machine is slow */
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	manual.flags = DSM_MANUAL;
	ok(dsm_engine_attach(engine, &manual, &inside));
}

static void close_engine(void)
{
	dsm_detach(&inside);
	ok(dsm_engine_close(&engine));
}

static void send_bytes(const void *d, size_t n)
{
	cr_assert_eq(send(c.fd, d, n, 0), (ssize_t)n);
}

/* ---- handshakes ---- */

/* An INIT with a cookie and this message, or one of noise for nobody's key; no answer is waited for. */
static void init_with_cookie(const uint8_t *key_id, uint8_t version, unsigned char d[UDP_DATAGRAM])
{
	static const uint8_t nobody[NOISE_KEY];
	struct noise_handshake hs;
	struct udp_init init = { .client = 4711 };
	struct udp_cookie cookie;
	struct udp_offer offer = { version, version, UDP_DATAGRAM, 0, 0 };
	unsigned char in[UDP_DATAGRAM], raw[UDP_OFFER];
	size_t n;
	if (key_id)
		memcpy(init.key_id, key_id, KEY_ID_BYTES);
	udp_put_init(d, &init);
	ok(noise_begin(&hs, true, nobody, d, UDP_PROLOGUE));
	udp_put_offer(raw, &offer);
	ok(noise_write(&hs, raw, sizeof(raw), init.message, sizeof(init.message), &n));
	udp_put_init(d, &init);
	cr_assert_eq(exchange(c.fd, d, UDP_COOKIE_IS, in, ONCE), 24);
	ok(udp_get_cookie(in, 24, &cookie));
	memcpy(init.cookie, cookie.cookie, UDP_COOKIE);
	udp_put_init(d, &init);
}

static void expect_refused(const unsigned char d[UDP_DATAGRAM], enum udp_cause cause)
{
	unsigned char in[UDP_DATAGRAM];
	struct udp_refuse refuse;
	cr_assert_eq(exchange(c.fd, d, UDP_REFUSE, in, ONCE), 12);
	ok(udp_get_refuse(in, 12, &refuse));
	cr_assert_eq(refuse.cause, cause);
}

Test(udp_counters, what_is_none_of_ours_and_of_nobody, .timeout = 60)
{
	unsigned char d[UDP_DATAGRAM] = { 0 }, in[UDP_DATAGRAM];
	struct udp_init init = { .client = 5 };
	open_engine(0, NULL);
	c.fd = socket_from(INADDR_LOOPBACK, port);
	counts(send_bytes("nonsense", 8), "udp_foreign");
	udp_put_init(d, &init);
	counts(send_bytes(d, sizeof(d) - 1), "udp_foreign"); /* a short INIT */
	udp_put_data(d, &(struct udp_data){ 0x12340000, 5 });
	counts(send_bytes(d, UDP_DATA_HEAD), "udp_foreign"); /* DATA without a seal */
	counts(exchange(c.fd, d, UDP_RESET, in, ONCE), "udp_unknown");
	udp_put_init(d, &init);
	counts(exchange(c.fd, d, UDP_COOKIE_IS, in, ONCE), "udp_cookies");
	d[2] = 9; /* a version to come */
	counts(expect_refused(d, UDP_CAUSE_VERSION), "refused_version");
	close(c.fd);
	close_engine();
}

Test(udp_counters, handshakes_that_are_refused, .timeout = 60)
{
	unsigned char d[UDP_DATAGRAM];
	static const uint8_t unknown[KEY_ID_BYTES] = { 1, 2, 3 };
	open_engine(0, NULL);
	c.fd = socket_from(INADDR_LOOPBACK, port);
	counts(init_with_cookie(NULL, 9, d), "udp_cookies");
	counts(expect_refused(d, UDP_CAUSE_VERSION), "refused_version");
	init_with_cookie(unknown, 1, d);
	counts(expect_refused(d, UDP_CAUSE_KEY), "refused_key");
	init_with_cookie(NULL, 1, d);
	d[UDP_PROLOGUE + UDP_COOKIE + 40] ^= 1; /* within Noise's message */
	counts(expect_refused(d, UDP_CAUSE_KEY), "refused_key");
	close(c.fd);
	close_engine();
}

/* By hand, under the lock: the engine is not ending, and its tick has time. */
static void with(uint32_t *word, uint32_t value, bool *flag, const unsigned char d[UDP_DATAGRAM])
{
	pthread_mutex_lock(&engine->lock);
	uint32_t before = word ? *word : 0;
	if (word)
		*word = value;
	if (flag)
		*flag = true;
	send(c.fd, d, UDP_DATAGRAM, 0);
	udp_events(engine);
	if (word)
		*word = before;
	if (flag)
		*flag = false;
	pthread_mutex_unlock(&engine->lock);
}

Test(udp_counters, handshakes_that_come_too_late_or_too_many, .timeout = 60)
{
	unsigned char d[UDP_DATAGRAM], in[UDP_DATAGRAM];
	open_engine(0, NULL);
	c.fd = socket_from(INADDR_LOOPBACK, port);
	init_with_cookie(NULL, 1, d);
	counts(with(&engine->udp->shakes.taken, UDP_SHAKES_MAX, NULL, d), "udp_busy");
	counts(with(NULL, 0, &engine->udp->ending, d), "refused_ending");
	for (unsigned i = 0; i < UDP_UNPROVEN_SOURCE; i++) {
		struct client other;
		connect_from(&other, INADDR_LOOPBACK + 1, port);
		close(other.fd);
	}
	pthread_mutex_lock(&engine->lock); /* as if a tick had come */
	sources_forget(&engine->udp->shakes);
	pthread_mutex_unlock(&engine->lock);
	close(c.fd);
	c.fd = socket_from(INADDR_LOOPBACK + 1, port);
	init_with_cookie(NULL, 1, d);
	counts(exchange(c.fd, d, UDP_RESP, in, ONCE), "udp_busy"); /* the oldest is given up for it */
	close(c.fd);
	close_engine();
}

Test(udp_counters, places, .timeout = 60)
{
	unsigned char d[UDP_DATAGRAM];
	struct client late;
	open_engine(2, NULL); /* the handle inside, and one */
	connect_from(&c, INADDR_LOOPBACK, port);
	connect_from(&late, INADDR_LOOPBACK, port);
	counts(say_hello(&c, ""), "");
	cr_assert(c.message_bytes);
	counts(say_hello(&late, ""), "refused_full"); /* its handshake was in time, its place is not there */
	cr_assert(late.closed);
	close(c.fd);
	c.fd = socket_from(INADDR_LOOPBACK + 1, port);
	init_with_cookie(NULL, 1, d);
	counts(expect_refused(d, UDP_CAUSE_FULL), "refused_full");
	close(late.fd);
	close(c.fd);
	close_engine();
}

/* ---- sessions ---- */

static void hello(uint32_t control_version, const char *owner)
{
	unsigned char message[512];
	static uint8_t id;
	struct control_writer w;
	struct control_hello m = { .control_version = control_version, .layout_version = DSM_LAYOUT_VERSION,
		.program = "counted", .client_id = { ++id } };
	snprintf(m.owner, sizeof(m.owner), "%s", owner);
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &m);
	c.message_bytes = 0;
	say_segment(&c, false, message, control_end(&w), UDP_FIRST | UDP_LAST);
	for (int i = 0; i < 400 && !c.message_bytes; i++)
		listen_for(&c, 50);
	cr_assert(c.message_bytes);
}

static void come_anew(void)
{
	if (c.fd > 0)
		close(c.fd);
	connect_from(&c, INADDR_LOOPBACK, port);
}

Test(udp_counters, what_a_hello_may_not_ask_for, .timeout = 60)
{
	open_engine(0, NULL);
	come_anew();
	counts(hello(DSM_CONTROL_VERSION + 1, ""), "refused_version");
	come_anew();
	counts(hello(DSM_CONTROL_VERSION, "nobody"), "refused_role");
	come_anew();
	counts(hello(DSM_CONTROL_VERSION, "sensors"), "");
	int first = c.fd;
	c.fd = 0;
	come_anew();
	counts(hello(DSM_CONTROL_VERSION, "sensors"), "refused_role"); /* held */
	come_anew();
	counts(say_segment(&c, false, "rubbish!", 8, UDP_FIRST | UDP_LAST), "bad_messages");
	close(first);
	close(c.fd);
	close_engine();
}

Test(udp_counters, datagrams_of_a_session, .timeout = 60)
{
	unsigned char d[UDP_DATAGRAM];
	open_engine(0, NULL);
	come_anew();
	hello(DSM_CONTROL_VERSION, "");
	struct udp_writer w = udp_flow_begin(d);
	udp_put_read(&w, &(struct udp_read){ .id = 1, .kind = UDP_READ_SEQ });
	size_t n = udp_flow_seal(&c.data, d, &w);
	d[n - 1] ^= 1;
	counts(send_bytes(d, n), "udp_bad_seal");
	d[n - 1] ^= 1;
	counts(send_bytes(d, n), "");
	listen_for(&c, 500);
	cr_assert_eq(c.answer.id, 1);
	counts(send_bytes(d, n), "udp_replay");
	w = udp_flow_begin(d); /* more than may be asked for at once */
	udp_put_read(&w, &(struct udp_read){ .id = 2, .kind = UDP_READ_BASE, .bytes = UDP_READ_MAX + 8 });
	counts(say(&c, &c.data, &w, d), "udp_put_off");
	close(c.fd);
	close_engine();
}

/* A key that is taken away ends its session, and that is counted. */
Test(udp_counters, a_key_that_goes, .timeout = 60)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char keys[64], text[DSM_KEY_TEXT], uri[64];
	snprintf(keys, sizeof(keys), "udp-counted-%d", (int)getpid());
	int fd = open(keys, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ok(dsm_key_new(32, text, sizeof(text)));
	dprintf(fd, "read mine %s\n", text);
	close(fd);
	open_engine(0, keys);
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", port);
	opts.key_file = keys;
	opts.attach_timeout_ms = 20000;
	ok(dsm_attach(uri, &opts, &dsm));
	ok(dsm_key_new(32, text, sizeof(text)));
	fd = open(keys, O_WRONLY | O_TRUNC);
	dprintf(fd, "read other %s\n", text);
	close(fd);
	struct counts before = now();
	ok(dsm_engine_reload_keys(engine));
	struct counts after = now();
	cr_assert_geq(after.n[0] - before.n[0], 1); /* refused_key; its handle tries again, and is refused again */
	dsm_detach(&dsm);
	unlink(keys);
	close_engine();
}
