/* SPDX-License-Identifier: Apache-2.0 */
/* udp:// at a real engine: who may come in and what his key lets him, keys that change, what a
 * stranger gets for his datagrams, and clients that vanish. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fixture.h"
#include "common/port.h"
#include "wire/udp.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)
/* Bounded for hangs only: nothing here depends on how long something takes. */
#define until(condition) do { bool met_ = (condition); \
	for (int i_ = 0; !met_ && i_ < 3000; i_++) { usleep(10000); met_ = (condition); } \
	cr_assert(met_, "%s", #condition); } while (0)

enum { READ, REQUEST, OPERATOR, STRANGER, KEYS };
static const char *const roles[KEYS] = { "read", "request", "owner:operator", "read" };
static char texts[KEYS][DSM_KEY_TEXT], files[KEYS][64], engine_file[64];
static char address[32], uri[64];
static struct dsm_engine *engine;
static uint32_t polls_us;

static void write_keys(const char *path, unsigned which)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert_geq(fd, 0);
	dprintf(fd, "# keys of a test\n");
	for (unsigned i = 0; i < KEYS; i++)
		if (which >> i & 1)
			dprintf(fd, "%s label-%u %s\n", roles[i], i, texts[i]);
	close(fd);
}

static void set_up(void)
{
	unsetenv("DSM_KEYS");
	unsigned port = test_port();
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	snprintf(uri, sizeof(uri), "udp://%s", address);
	snprintf(engine_file, sizeof(engine_file), "udp-keys-%d", (int)getpid());
	for (unsigned i = 0; i < KEYS; i++) {
		ok(dsm_key_new(32, texts[i], sizeof(texts[i])));
		snprintf(files[i], sizeof(files[i]), "udp-key-%d-%u", (int)getpid(), i);
		write_keys(files[i], 1u << i);
	}
	write_keys(engine_file, 1u << READ | 1u << REQUEST | 1u << OPERATOR);
}

static void tear_down(void)
{
	ok(dsm_engine_close(&engine));
	unlink(engine_file);
	for (unsigned i = 0; i < KEYS; i++)
		unlink(files[i]);
}

TestSuite(udp_engine, .init = set_up, .fini = tear_down, .timeout = 120);

static int open_engine(const char *where, const char *keys, bool auth_none, uint32_t clients)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	static char name[64];
	opts.udp = where;
	opts.keys = keys;
	opts.auth_none = auth_none;
	opts.max_clients = clients;
	opts.udp_spin_us = polls_us;
	return fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine);
}

static int attach(int key, const char *owner, struct dsm **out)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.key_file = key < 0 ? NULL : files[key];
	opts.attach_timeout_ms = 20000;
	*out = NULL;
	return dsm_attach(uri, &opts, out);
}

struct wanted { const char *name; uint64_t value; };
static int find_counter(const char *name, const char *what, uint64_t value, void *context)
{
	struct wanted *w = context;
	(void)what;
	if (strcmp(name, w->name) == 0)
		w->value = value;
	return 0;
}

/* As the engine has it, by a handle inside of its process. */
static uint64_t counter(const char *name)
{
	struct wanted w = { name, UINT64_MAX };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *inside;
	opts.flags = DSM_MANUAL;
	ok(dsm_engine_attach(engine, &opts, &inside));
	ok(dsm_foreach_counter(inside, find_counter, &w));
	dsm_detach(&inside);
	return w.value;
}

/* ---- keys ---- */

Test(udp_engine, only_who_has_a_key_comes_in)
{
	struct dsm *dsm;
	ok(open_engine(address, engine_file, false, 0));
	fails(attach(-1, NULL, &dsm), -EACCES);
	cr_assert(strstr(dsm_error(), "wants a key"), "%s", dsm_error());
	fails(attach(STRANGER, NULL, &dsm), -EACCES);
	cr_assert(strstr(dsm_error(), "does not know the key"), "%s", dsm_error());
	cr_assert_not(strstr(dsm_error(), texts[STRANGER]));
	cr_assert_eq(counter("refused_key"), 2);
	chmod(files[READ], 0644);
	fails(attach(READ, NULL, &dsm), -EACCES);
	cr_assert(strstr(dsm_error(), "600"), "%s", dsm_error());
	chmod(files[READ], 0600);
	ok(attach(READ, NULL, &dsm));
	dsm_detach(&dsm);
	setenv("DSM_KEYS", "# none\nread mine nonsense", 1);
	fails(attach(-1, NULL, &dsm), -EINVAL);
	cr_assert_not(strstr(dsm_error(), "nonsense"), "%s", dsm_error());
	char line[128];
	snprintf(line, sizeof(line), "read old %s;request new %s", texts[READ], texts[REQUEST]);
	setenv("DSM_KEYS", line, 1);
	ok(attach(-1, NULL, &dsm));
	dsm_detach(&dsm);
}

Test(udp_engine, a_key_lets_do_what_its_role_says)
{
	struct dsm *reader, *asker, *owner, *none;
	struct dsm_cell mode;
	struct dsm_value v = { .type = DSM_STRING, .len = 5, .str = "slide" };
	ok(open_engine(address, engine_file, false, 0));
	ok(attach(READ, NULL, &reader));
	ok(dsm_cell(reader, "drilling.mode", &mode));
	cr_assert_lt(dsm_request(reader, mode, &v, 10000), 0, "a key that may only read has set a cell");
	ok(attach(REQUEST, NULL, &asker));
	ok(dsm_cell(asker, "drilling.mode", &mode));
	ok(dsm_request(asker, mode, &v, 10000));
	fails(attach(READ, "operator", &none), -EACCES);
	fails(attach(REQUEST, "operator", &none), -EACCES);
	fails(attach(OPERATOR, "sensors", &none), -EACCES);
	ok(attach(OPERATOR, "operator", &owner));
	ok(dsm_cell(owner, "setpoints.rop", &mode));
	v = (struct dsm_value){ .type = DSM_F64, .len = 1, .f64 = 5 };
	ok(dsm_write(owner, mode, &v));
	/* by a client of its own making, too, that shows one key and claims the role of another */
	char mixed[256];
	snprintf(mixed, sizeof(mixed), "owner:sensors mine %s", texts[READ]);
	setenv("DSM_KEYS", mixed, 1);
	fails(attach(-1, "sensors", &none), -EACCES);
	cr_assert(strstr(dsm_error(), "label-0"), "%s", dsm_error());
	dsm_detach(&reader);
	dsm_detach(&asker);
	dsm_detach(&owner);
}

static uint64_t reattached(struct dsm *dsm)
{
	struct dsm_status status;
	ok(dsm_status(dsm, &status));
	return status.reattached;
}

static bool is_lost(struct dsm *dsm)
{
	struct dsm_status status;
	ok(dsm_status(dsm, &status));
	return status.state == DSM_LOST;
}

Test(udp_engine, keys_change_and_who_has_a_valid_one_notices_nothing)
{
	struct dsm *old, *stays, *late;
	struct dsm_cell rop;
	struct dsm_sample s;
	ok(open_engine(address, engine_file, false, 0));
	ok(attach(READ, NULL, &old));
	ok(attach(REQUEST, NULL, &stays));
	ok(dsm_cell(stays, "drilling.rop", &rop));
	write_keys(engine_file, 1u << READ | 1u << REQUEST | 1u << STRANGER);
	ok(dsm_engine_reload_keys(engine));
	ok(attach(STRANGER, NULL, &late));
	dsm_detach(&late);
	write_keys(engine_file, 1u << REQUEST | 1u << STRANGER);
	ok(dsm_engine_reload_keys(engine));
	until(is_lost(old));
	fails(attach(READ, NULL, &late), -EACCES);
	ok(dsm_read(stays, rop, &s));
	cr_assert_eq(s.flags & DSM_STALE_ENGINE, 0);
	cr_assert_eq(reattached(stays), 0);
	write_keys(engine_file, 0);
	int fd = open(engine_file, O_WRONLY | O_TRUNC);
	dprintf(fd, "read broken nonsense\n");
	close(fd);
	cr_assert_lt(dsm_engine_reload_keys(engine), 0);
	ok(dsm_read(stays, rop, &s)); /* the old ones go on */
	ok(attach(STRANGER, NULL, &late));
	cr_assert_eq(reattached(stays), 0);
	dsm_detach(&late);
	dsm_detach(&old);
	dsm_detach(&stays);
}

/* Served at loopback without keys; then keys come. */
Test(udp_engine, keys_that_come_later_are_needed_from_then_on)
{
	struct dsm *keyless, *late;
	int fd = open(engine_file, O_WRONLY | O_TRUNC);
	dprintf(fd, "device:7 knobs 000102030405060708090a0b0c0d0e0f\n"); /* opens nothing to clients */
	close(fd);
	ok(open_engine(address, engine_file, false, 0));
	ok(attach(-1, "operator", &keyless));
	ok(dsm_engine_reload_keys(engine));
	cr_assert_not(is_lost(keyless));
	write_keys(engine_file, 1u << READ | 1u << OPERATOR);
	ok(dsm_engine_reload_keys(engine));
	until(is_lost(keyless));
	fails(attach(-1, "operator", &late), -EACCES);
	until(attach(OPERATOR, "operator", &late) == 0); /* the role is free when the other's end is */
	dsm_detach(&late);
	fd = open(engine_file, O_WRONLY | O_TRUNC);
	dprintf(fd, "device:7 knobs 000102030405060708090a0b0c0d0e0f\n");
	close(fd);
	ok(dsm_engine_reload_keys(engine));
	fails(attach(-1, NULL, &late), -EACCES);
	dsm_detach(&keyless);
}

Test(udp_engine, without_keys_it_must_be_said_or_be_this_machine_only)
{
	struct dsm *dsm;
	char everywhere[32];
	snprintf(everywhere, sizeof(everywhere), "*:%s", strchr(address, ':') + 1);
	fails(open_engine(everywhere, NULL, false, 0), -EINVAL);
	cr_assert(strstr(dsm_error(), "no keys"), "%s", dsm_error());
	ok(open_engine(address, NULL, false, 0));
	ok(attach(-1, "operator", &dsm));
	dsm_detach(&dsm);
	ok(dsm_engine_close(&engine));
	ok(open_engine(everywhere, NULL, true, 0));
	ok(attach(-1, NULL, &dsm));
	dsm_detach(&dsm);
	/* another address of the machine: answers come from there */
	snprintf(uri, sizeof(uri), "udp://127.0.0.2:%s", strchr(address, ':') + 1);
	ok(attach(-1, NULL, &dsm));
	dsm_detach(&dsm);
	snprintf(uri, sizeof(uri), "udp://%s", address);
	ok(dsm_engine_close(&engine));
	ok(open_engine(address, engine_file, true, 0)); /* with keys as well, and without */
	ok(attach(-1, NULL, &dsm));
	dsm_detach(&dsm);
	ok(attach(READ, NULL, &dsm));
	dsm_detach(&dsm);
}

/* Polling instead of sleeping changes nothing but the time that it takes. */
Test(udp_engine, with_polling_it_works_the_same)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_cell count;
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, before;
	struct dsm_sample s;
	polls_us = 1000;
	ok(open_engine(address, NULL, true, 0));
	polls_us = 0;
	opts.spin_us = 1001;
	fails(dsm_attach(uri, &opts, &dsm), -EINVAL);
	opts.spin_us = 100;
	opts.attach_timeout_ms = opts.call_timeout_ms = 20000;
	ok(dsm_attach(uri, &opts, &dsm));
	ok(dsm_cell(dsm, "drilling.count", &count));
	for (int i = 0; i < 50; i++) {
		ok(dsm_add(dsm, count, &one, NULL, 20000, &before));
		ok(dsm_read(dsm, count, &s));
		cr_assert_eq(s.value.i64, i + 1);
	}
	dsm_detach(&dsm);
}

/* ---- strangers ---- */

static int stranger(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (void *)&to, sizeof(to)), 0);
	return fd;
}

/* Bytes of the answer; 0 none came. */
static size_t answer(int fd, const void *data, size_t bytes, unsigned char *out)
{
	struct pollfd p = { fd, POLLIN, 0 };
	cr_assert_eq(send(fd, data, bytes, 0), (ssize_t)bytes);
	if (poll(&p, 1, 1000) != 1)
		return 0;
	ssize_t n = recv(fd, out, 2048, 0);
	return n > 0 ? (size_t)n : 0;
}

Test(udp_engine, a_stranger_gets_little_and_costs_nothing)
{
	unsigned char d[UDP_DATAGRAM], out[2048];
	struct udp_init init = { .client = 77 };
	struct udp_cookie cookie;
	struct udp_reset reset;
	struct udp_refuse refuse;
	ok(open_engine(address, engine_file, false, 0));
	int fd = stranger(), other = stranger();
	udp_put_init(d, &init);
	cr_assert_eq(answer(fd, d, sizeof(d) - 1, out), 0, "a short INIT is answered");
	cr_assert_eq(answer(fd, "nonsense", 8, out), 0);
	cr_assert_eq(answer(fd, d, sizeof(d), out), 24);
	cr_assert_eq(udp_get_cookie(out, 24, &cookie), 0);
	cr_assert_eq(cookie.client, 77);
	memcpy(init.cookie, cookie.cookie, UDP_COOKIE);
	udp_put_init(d, &init);
	cr_assert_eq(answer(other, d, sizeof(d), out), 24, "a cookie holds for another address");
	cr_assert_eq(answer(fd, d, sizeof(d), out), 12); /* no key is shown */
	cr_assert_eq(udp_get_refuse(out, 12, &refuse), 0);
	cr_assert_eq(refuse.cause, UDP_CAUSE_KEY);
	d[2] = 9; /* of a version to come */
	cr_assert_eq(answer(fd, d, sizeof(d), out), 12);
	cr_assert_eq(udp_get_refuse(out, 12, &refuse), 0);
	cr_assert(refuse.cause == UDP_CAUSE_VERSION && refuse.lowest == 1 && refuse.highest == 1);
	memset(d, 0, sizeof(d));
	udp_put_data(d, &(struct udp_data){ 0x12340000, 5 });
	cr_assert_eq(answer(fd, d, 100, out), 16);
	cr_assert_eq(udp_get_reset(out, 16, &reset), 0);
	cr_assert(reset.session == 0x12340000 && reset.counter == 5);
	cr_assert_eq(counter("sessions_total"), 1, "the handle that counts, and nobody else");
	close(fd);
	close(other);
}

/* An INIT that has a cookie, and a message of Noise that is none: the engine computes all the same. */
static void init_with_cookie(int fd, uint32_t client, unsigned char d[UDP_DATAGRAM])
{
	unsigned char out[2048];
	struct udp_init init = { .client = client };
	struct udp_cookie cookie;
	udp_put_init(d, &init);
	cr_assert_eq(answer(fd, d, UDP_DATAGRAM, out), 24);
	cr_assert_eq(udp_get_cookie(out, 24, &cookie), 0);
	memcpy(init.cookie, cookie.cookie, UDP_COOKIE);
	memset(init.message, 7, sizeof(init.message));
	udp_put_init(d, &init);
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Within one tick of a second; on a machine that stood still meanwhile nothing is shown, and tried again. */
Test(udp_engine, one_host_leaves_handshakes_to_others)
{
	static unsigned char greedy_init[80][UDP_DATAGRAM], d[UDP_DATAGRAM], out[2048];
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct sockaddr_in second = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
	static char name[64];
	size_t heard = 0;
	opts.udp = address;
	opts.auth_none = true;
	opts.tick_ms = 1000;
	opts.lease_ms = 5000;
	ok(fixture_engine_of(FIXTURE_NETWORK, &opts, name, &engine));
	int greedy = stranger(), other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to;
	socklen_t bytes = sizeof(to);
	ok(getpeername(greedy, (void *)&to, &bytes));
	ok(bind(other, (void *)&second, sizeof(second)));
	ok(connect(other, (void *)&to, sizeof(to)));
	for (uint32_t i = 0; i < 80; i++)
		init_with_cookie(greedy, i + 1, greedy_init[i]);
	init_with_cookie(other, 1000, d);
	for (int tries = 0; tries < 20 && !heard; tries++) {
		uint64_t began = now_ms();
		struct pollfd p = { greedy, POLLIN, 0 };
		size_t answered = 0;
		for (uint32_t i = 0; i < 80; i++) {
			send(greedy, greedy_init[i], UDP_DATAGRAM, 0);
			while (poll(&p, 1, i % 20 == 19 ? 20 : 0) == 1)
				answered += recv(greedy, out, sizeof(out), 0) == 12;
		}
		p.fd = other;
		send(other, d, sizeof(d), 0);
		heard = poll(&p, 1, 500) == 1 ? (size_t)recv(other, out, sizeof(out), 0) : 0;
		bool slow = now_ms() - began > 900;
		cr_assert(heard == 12 || slow, "%zu handshakes of one host, and none left", answered);
		cr_assert(answered <= 64 || slow, "%zu", answered);
	}
	cr_assert_eq(heard, 12);
	close(greedy);
	close(other);
}

Test(udp_engine, places_are_counted)
{
	struct dsm *a, *b;
	ok(open_engine(address, NULL, true, 1));
	ok(attach(-1, NULL, &a));
	fails(attach(-1, NULL, &b), -EUSERS);
	dsm_detach(&a);
	until(attach(-1, NULL, &a) == 0);
	dsm_detach(&a);
}

/* The longest slot that a read takes is one that a commit takes, and not a cell more. */
static int commit_longest(uint32_t numbers)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_group_spec group = { "sensors", "longest", "", 2, 0, true };
	struct dsm_cell_spec bytes = { "longest", "data", "", "", DSM_BYTES, 1u << 20, 0, 0, 0, -1 };
	struct dsm_cell_spec more = { "longest", "more", "", "", DSM_F64_ARRAY, numbers, 0, 0, 0, -1 };
	struct dsm_cell_spec number = { "longest", "n", "", "", DSM_U64, 0, 0, 0, 0, -1 };
	struct dsm_value v = { .type = DSM_U64, .u64 = 5 };
	struct dsm_table *table;
	struct dsm *dsm;
	struct dsm_cell cell;
	struct dsm_sample s;
	char name[64];
	ok(fixture_table_of(FIXTURE_NETWORK, &table));
	ok(dsm_table_group(table, &group));
	ok(dsm_table_cell(table, &bytes));
	ok(dsm_table_cell(table, &more));
	ok(dsm_table_cell(table, &number));
	snprintf(name, sizeof(name), "longest-%d", (int)getpid());
	opts.name = name;
	opts.udp = address;
	ok(dsm_engine_open(table, &opts, &engine));
	dsm_table_free(&table);
	ok(attach(-1, "sensors", &dsm));
	ok(dsm_cell(dsm, "longest.n", &cell));
	int rc = dsm_begin(dsm, 0);
	if (rc == 0)
		rc = dsm_set(dsm, cell, &v);
	rc = rc ? rc : dsm_commit(dsm, NULL);
	if (rc == 0) {
		ok(dsm_read(dsm, cell, &s));
		cr_assert_eq(s.value.u64, 5);
	}
	cr_assert_eq(reattached(dsm), 0, "the session ended");
	dsm_detach(&dsm);
	ok(dsm_engine_close(&engine));
	return rc;
}

Test(udp_engine, the_longest_group_is_the_same_for_reads_and_commits)
{
	ok(commit_longest(500));
	ok(commit_longest(501));
	ok(commit_longest(502)); /* 1052632 bytes of payload, 1 MiB and 4096 with the slot's header */
	fails(commit_longest(503), -EMSGSIZE);
}

/* It says no good-bye; the engine frees its place, and its role is dead. */
Test(udp_engine, a_client_that_vanishes_is_forgotten)
{
	int pipe_fd[2];
	char byte;
	struct dsm *dsm;
	ok(open_engine(address, NULL, true, 0));
	cr_assert_eq(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		if (attach(-1, "operator", &dsm) == 0 && write(pipe_fd[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(pipe_fd[0], &byte, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	until(counter("sessions") == 1); /* the handle that counts */
	ok(attach(-1, "operator", &dsm));
	dsm_detach(&dsm);
}
