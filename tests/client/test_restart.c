/* SPDX-License-Identifier: Apache-2.0 */
/* Exactly once over an engine restart, as a client that sends the same numbers again sees it:
 * with the state file, without it, and with a damaged one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fixture.h"
#include "common/raw.h"
#include "transport/channel.h"
#include "wire/control.h"

static unsigned char message[CONTROL_MAX];
static char folder[] = "/tmp/dsm-restart-XXXXXX", path[64], name[64];

static struct dsm_engine *engine_up(bool restore)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *e = NULL;
	snprintf(name, sizeof(name), "restart-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/state", folder);
	opts.name = name;
	opts.state_file = path;
	opts.restore = restore;
	cr_assert_eq(fixture_engine(&opts, name, &e), 0);
	return e;
}

static int receive(int fd, struct control_reader *r)
{
	int rc = raw_receive(fd, message, sizeof(message));
	cr_assert_gt(rc, 0);
	return control_open(r, message, (size_t)rc);
}

static int hello(uint8_t id, uint64_t last, struct control_welcome *w)
{
	struct control_hello h = { .control_version = DSM_CONTROL_VERSION,
		.layout_version = DSM_LAYOUT_VERSION, .last_number = last, .client_id = { id } };
	struct control_writer out;
	struct control_reader in;
	int fd = channel_connect(name);
	cr_assert_geq(fd, 0);
	control_begin(&out, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&out, &h);
	cr_assert_eq(channel_send(fd, message, control_end(&out), NULL, 0), 0);
	cr_assert_eq(receive(fd, &in), 0);
	cr_assert_eq(control_get_welcome(&in, w), 0);
	return fd;
}

/* Adds 1 to drilling.count under that number. */
static struct control_reply add(int fd, const struct control_welcome *w, uint32_t cell, uint64_t number)
{
	struct control_request q = { .number = number, .cell = cell, .op = CONTROL_ADD, .type = DSM_I64,
		.len = 1, .word = 1 };
	struct control_writer out;
	struct control_reader in;
	struct control_reply reply;
	control_begin(&out, message, sizeof(message), CONTROL_REQUEST);
	control_put_u64(&out, w->generation);
	control_put_request(&out, &q);
	cr_assert_eq(channel_send(fd, message, control_end(&out), NULL, 0), 0);
	do {
		cr_assert_eq(receive(fd, &in), 0);
	} while (in.type != CONTROL_REPLY);
	cr_assert_eq(control_get_reply(&in, &reply), 0);
	cr_assert_eq(reply.number, number);
	return reply;
}

static int64_t count_of(void)
{
	char uri[128];
	struct dsm *dsm;
	struct dsm_cell cell;
	struct dsm_sample s;
	fixture_uri("shm", name, uri);
	cr_assert_eq(dsm_attach(uri, NULL, &dsm), 0);
	cr_assert_eq(dsm_cell(dsm, "drilling.count", &cell), 0);
	cr_assert_eq(dsm_read(dsm, cell, &s), 0);
	dsm_detach(&dsm);
	return s.value.i64;
}

static uint32_t cell_index(void)
{
	char uri[128];
	struct dsm *dsm;
	struct dsm_cell cell;
	fixture_uri("shm", name, uri);
	cr_assert_eq(dsm_attach(uri, NULL, &dsm), 0);
	cr_assert_eq(dsm_cell(dsm, "drilling.count", &cell), 0);
	dsm_detach(&dsm);
	return (uint32_t)cell.id;
}

static void clean(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

Test(restart, the_same_number_is_carried_out_once)
{
	struct control_welcome w;
	cr_assert_not_null(mkdtemp(folder));
	struct dsm_engine *e = engine_up(false);
	uint32_t cell = cell_index();
	int fd = hello(1, 0, &w);
	for (uint64_t n = 1; n <= 5; n++)
		cr_assert_eq(add(fd, &w, cell, n).previous, n - 1);
	struct control_reply again = add(fd, &w, cell, 5); /* the same engine remembers the answer */
	cr_assert_eq(again.status, 0);
	cr_assert_eq(again.previous, 4);
	close(fd);
	cr_assert_eq(dsm_engine_close(&e), 0);

	e = engine_up(true); /* with the state file: known, nothing twice, new ones go on */
	cr_assert_eq(count_of(), 5);
	fd = hello(1, 6, &w);
	cr_assert(w.flags & WELCOME_CLIENT_KNOWN);
	cr_assert_eq(add(fd, &w, cell, 5).status, -EALREADY);
	cr_assert_eq(count_of(), 5);
	cr_assert_eq(add(fd, &w, cell, 6).previous, 5);
	close(fd);
	fd = hello(2, 3, &w); /* a client this engine never met, with a past */
	cr_assert(!(w.flags & WELCOME_CLIENT_KNOWN));
	cr_assert_eq(add(fd, &w, cell, 3).status, -ECONNRESET);
	cr_assert_eq(add(fd, &w, cell, 4).status, 0);
	cr_assert_eq(count_of(), 7);
	close(fd);
	cr_assert_eq(dsm_engine_close(&e), 0);

	e = engine_up(false); /* without it: nothing is known */
	fd = hello(1, 6, &w);
	cr_assert(!(w.flags & WELCOME_CLIENT_KNOWN));
	cr_assert_eq(add(fd, &w, cell, 6).status, -ECONNRESET);
	cr_assert_eq(count_of(), 0);
	close(fd);
	cr_assert_eq(dsm_engine_close(&e), 0);
	clean();
}

/* How many adds of one message are carried out. */
static int64_t many(uint32_t n, uint8_t id)
{
	struct control_welcome w;
	struct control_writer out;
	uint32_t cell = cell_index();
	int64_t before = count_of();
	int fd = hello(id, 0, &w);
	control_begin(&out, message, sizeof(message), CONTROL_REQUEST);
	control_put_u64(&out, w.generation);
	for (uint32_t i = 1; i <= n; i++) {
		struct control_request q = { .number = i, .cell = cell, .op = CONTROL_ADD, .type = DSM_I64,
			.len = 1, .word = 1 };
		cr_assert(control_put_request(&out, &q));
	}
	cr_assert_eq(channel_send(fd, message, control_end(&out), NULL, 0), 0);
	struct control_reader in = { 0 };
	int rc = 1;
	while (rc > 0 && in.type != CONTROL_REPLY) { /* an answer, or the end */
		rc = raw_receive(fd, message, sizeof(message));
		cr_assert(rc <= 0 || control_open(&in, message, (size_t)rc) == 0);
	}
	close(fd);
	return count_of() - before;
}

/* As many as may be outstanding; more in one message are not carried out, not even the first of them. */
Test(restart, a_message_of_more_requests_than_may_be_outstanding)
{
	cr_assert_not_null(mkdtemp(folder));
	struct dsm_engine *e = engine_up(false);
	cr_assert_eq(many(CONTROL_REQUESTS, 1), CONTROL_REQUESTS);
	cr_assert_eq(many(CONTROL_REQUESTS + 1, 2), 0);
	cr_assert_eq(dsm_engine_close(&e), 0);
	clean();
}

Test(restart, a_damaged_state_file_gives_way_to_the_one_before)
{
	struct dsm *dsm;
	struct dsm_cell cell;
	char uri[128];
	cr_assert_not_null(mkdtemp(folder));
	struct dsm_engine *e = engine_up(false);
	fixture_uri("shm", name, uri);
	for (int i = 1; i <= 2; i++) { /* two saves: the second is damaged below */
		struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = i };
		cr_assert_eq(dsm_attach(uri, NULL, &dsm), 0);
		cr_assert_eq(dsm_cell(dsm, "drilling.count", &cell), 0);
		cr_assert_eq(dsm_request(dsm, cell, &v, 5000), 0);
		dsm_detach(&dsm);
		if (i == 1)
			cr_assert_eq(dsm_engine_save(e), 0);
	}
	cr_assert_eq(dsm_engine_close(&e), 0);
	FILE *f = fopen(path, "r+b");
	cr_assert_not_null(f);
	fseek(f, 60, SEEK_SET);
	fputc('!', f);
	fclose(f);
	e = engine_up(true);
	cr_assert_eq(count_of(), 1);
	cr_assert_eq(dsm_engine_close(&e), 0);
	clean();
}

Test(restart, a_state_file_that_cannot_be_written_is_named)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *e = NULL;
	snprintf(name, sizeof(name), "restart-%d", (int)getpid());
	opts.name = name;
	opts.state_file = "/proc/self/no-such/state";
	cr_assert_eq(fixture_engine(&opts, name, &e), 0);
	cr_assert_lt(dsm_engine_save(e), 0);
	cr_assert(strstr(dsm_error(), "/proc/self/no-such/state"), "%s", dsm_error());
	cr_assert_lt(dsm_engine_close(&e), 0); /* says so, and is closed all the same */
	cr_assert_null(e);
}
