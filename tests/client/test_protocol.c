/* SPDX-License-Identifier: Apache-2.0 */
/* The control protocol as a hostile or an older peer would speak it, and liveness on an injected
 * clock: nothing here waits for real time to pass a deadline. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fixture.h"
#include "common/raw.h"
#include "transport/channel.h"
#include "wire/control.h"

static unsigned char message[CONTROL_MAX];

static int raw_hello(const char *name, uint32_t layout, const char *owner, struct control_welcome *w)
{
	struct control_hello h = { .control_version = DSM_CONTROL_VERSION, .layout_version = layout };
	struct control_writer out;
	struct control_reader in;
	strcpy(h.owner, owner);
	strcpy(h.program, "raw");
	int fd = channel_connect(name);
	cr_assert_geq(fd, 0);
	control_begin(&out, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&out, &h);
	cr_assert_eq(channel_send(fd, message, control_end(&out), NULL, 0), 0);
	int n = raw_receive(fd, message, sizeof(message));
	cr_assert_gt(n, 0);
	cr_assert_eq(control_open(&in, message, (size_t)n), 0);
	cr_assert_eq(in.type, CONTROL_WELCOME);
	cr_assert_eq(control_get_welcome(&in, w), 0);
	return fd;
}

Test(protocol, other_layout_versions_are_refused_by_both_numbers)
{
	struct dsm_engine *engine;
	struct control_welcome w;
	char name[64];
	cr_assert_eq(fixture_engine(NULL, name, &engine), 0);
	for (uint32_t version = 0; version < 4; version++) {
		int fd = raw_hello(name, version, "", &w);
		cr_assert_eq(w.status, version == DSM_LAYOUT_VERSION ? 0 : -EPROTONOSUPPORT);
		if (w.status)
			cr_assert(strstr(w.text, "layout version"), "%s", w.text);
		close(fd);
	}
	cr_assert_eq(dsm_engine_close(&engine), 0);
}

Test(protocol, rubbish_ends_only_its_own_connection)
{
	struct dsm_engine *engine;
	struct dsm *honest;
	struct dsm_cell cell;
	struct dsm_sample s;
	struct control_welcome w;
	char name[64], uri[128];
	cr_assert_eq(fixture_engine(NULL, name, &engine), 0);
	fixture_uri("shm", name, uri);
	cr_assert_eq(dsm_attach(uri, NULL, &honest), 0);
	uint64_t random = 12345;
	for (int i = 0; i < 300; i++) {
		int fd = i % 2 ? raw_hello(name, DSM_LAYOUT_VERSION, "", &w) : channel_connect(name);
		size_t size = (size_t)(random >> 33) % 600;
		for (size_t k = 0; k < size; k++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			message[k] = (unsigned char)(random >> 56);
		}
		if (i % 3 == 0) { /* a good head, rubbish behind it */
			struct control_writer out;
			unsigned char head[CONTROL_HEAD];
			control_begin(&out, head, sizeof(head), (enum control_type)(1 + i / 3 % (CONTROL_TYPE_END - 1)));
			control_end(&out);
			memcpy(message, head, sizeof(head));
			size = size < CONTROL_HEAD ? CONTROL_HEAD : size;
			memcpy(message + 8, &(uint32_t){ (uint32_t)size }, 4);
			message[12] = (unsigned char)i;
			message[13] = message[14] = message[15] = 0;
		}
		channel_send(fd, message, size, NULL, 0);
		close(fd);
	}
	cr_assert_eq(dsm_cell(honest, "drilling.rop", &cell), 0);
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 9 };
	cr_assert_eq(dsm_request(honest, cell, &v, 5000), 0, "%s", dsm_error());
	cr_assert_eq(dsm_read(honest, cell, &s), 0);
	cr_assert_eq(s.value.f64, 9);
	dsm_detach(&honest);
	cr_assert_eq(dsm_engine_close(&engine), 0);
}

Test(protocol, a_client_that_never_reads_is_cut_off_and_harms_nobody)
{
	struct dsm_engine *engine;
	struct control_welcome w;
	struct dsm *honest;
	char name[64], uri[128];
	cr_assert_eq(fixture_engine(NULL, name, &engine), 0);
	fixture_uri("shm", name, uri);
	cr_assert_eq(dsm_attach(uri, NULL, &honest), 0);
	int fd = raw_hello(name, DSM_LAYOUT_VERSION, "", &w);
	struct control_writer out;
	unsigned char ask[CONTROL_HEAD];
	int rc = 0;
	control_begin(&out, ask, sizeof(ask), CONTROL_CLIENTS);
	control_end(&out);
	for (int i = 0; i < 200000 && rc != -EPIPE && rc != -ECONNRESET; i++) {
		rc = channel_send(fd, ask, sizeof(ask), NULL, 0);
		if (rc == -EAGAIN)
			usleep(1000);
	}
	cr_assert(rc == -EPIPE || rc == -ECONNRESET, "%d", rc);
	close(fd);
	struct dsm_cell cell;
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 9 };
	cr_assert_eq(dsm_cell(honest, "drilling.rop", &cell), 0);
	cr_assert_eq(dsm_request(honest, cell, &v, 5000), 0, "%s", dsm_error());
	dsm_detach(&honest);
	cr_assert_eq(dsm_engine_close(&engine), 0);
}

/* ---- an engine of another world: says yes, and sends memory that is none ---- */

static void *bad_engine(void *context)
{
	int listener = *(int *)context, fd;
	struct control_welcome w = { .owner = UINT32_MAX, .generation = 1, .header_bytes = 4096,
		.directory_bytes = 4096, .waiters_bytes = 4096 };
	struct control_writer out;
	static unsigned char buffer[4096];
	for (int turn = 0; turn < 3; turn++) {
		do {
			fd = accept(listener, NULL, NULL);
		} while (fd < 0 && errno == EAGAIN && usleep(1000) == 0);
		usleep(20000);
		control_begin(&out, buffer, sizeof(buffer), CONTROL_WELCOME);
		control_put_welcome(&out, &w);
		int fds[3] = { 0, 0, 0 };
		if (turn == 0)
			channel_send(fd, "nonsense", 8, NULL, 0);
		else /* without descriptors; with descriptors that are no sealed memory */
			channel_send(fd, buffer, control_end(&out), fds, turn == 1 ? 0 : 3);
		usleep(20000);
		close(fd);
	}
	return NULL;
}

Test(protocol, an_engine_that_lies_is_refused)
{
	char name[64], uri[128];
	pthread_t thread;
	struct dsm *dsm = NULL;
	snprintf(name, sizeof(name), "liar-%d", (int)getpid());
	fixture_uri("shm", name, uri);
	int listener = channel_listen(name);
	cr_assert_geq(listener, 0);
	pthread_create(&thread, NULL, bad_engine, &listener);
	for (int i = 0; i < 3; i++) {
		int rc = dsm_attach(uri, NULL, &dsm);
		cr_assert_eq(rc, -EBADMSG, "%d %s", rc, dsm_error());
		cr_assert_null(dsm);
	}
	pthread_join(thread, NULL);
	close(listener);
}

/* ---- liveness on an injected clock ---- */

static _Atomic uint64_t fake_ns = 1000000000;
static uint64_t fake_now(void *context) { (void)context; return atomic_load(&fake_ns); }
static const struct dsm_clock fake_clock = { fake_now, fake_now, NULL };

static bool flagged(struct dsm *dsm, struct dsm_cell cell, uint32_t flag)
{
	struct dsm_sample s;
	cr_assert_eq(dsm_read(dsm, cell, &s), 0);
	return s.flags & flag;
}

/* The engine's real tick must not have moved between two dispatches for staleness to show, so the
 * engine here ticks once a second of real time and the client's clock is what passes. */
Test(protocol, stale_and_unknown_by_the_readers_own_clock, .timeout = 60)
{
	struct dsm_engine_options engine_opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_engine *engine;
	struct dsm *dsm;
	struct dsm_cell cell;
	char name[64], uri[128];
	engine_opts.tick_ms = 1000;
	engine_opts.lease_ms = 10000;
	cr_assert_eq(fixture_engine(&engine_opts, name, &engine), 0);
	fixture_uri("shm", name, uri);
	opts.clock = &fake_clock;
	opts.flags = DSM_MANUAL;
	cr_assert_eq(dsm_attach(uri, &opts, &dsm), 0, "%s", dsm_error());
	cr_assert_geq(dsm_fd(dsm), 0);
	cr_assert_eq(dsm_cell(dsm, "drilling.rop", &cell), 0);
	cr_assert_eq(dsm_dispatch(dsm), 0);
	cr_assert(!flagged(dsm, cell, DSM_STALE_ENGINE));
	for (int i = 0; i < 3; i++) { /* 12 s by the reader's clock, in steps below half a lease */
		atomic_fetch_add(&fake_ns, 4000000000u);
		cr_assert_eq(dsm_dispatch(dsm), 0);
	}
	cr_assert(flagged(dsm, cell, DSM_STALE_ENGINE));
	bool live = false;
	for (int i = 0; i < 3000 && !live; i++) { /* the next real tick clears it */
		usleep(1000);
		cr_assert_eq(dsm_dispatch(dsm), 0);
		live = !flagged(dsm, cell, DSM_STALE_ENGINE);
	}
	cr_assert(live);
	atomic_fetch_add(&fake_ns, 60000000000u); /* suspended for a minute: judge nobody yet */
	cr_assert_eq(dsm_dispatch(dsm), 0);
	cr_assert(flagged(dsm, cell, DSM_UNKNOWN));
	cr_assert(!flagged(dsm, cell, DSM_STALE_ENGINE));
	dsm_detach(&dsm);
	cr_assert_eq(dsm_engine_close(&engine), 0);
}
