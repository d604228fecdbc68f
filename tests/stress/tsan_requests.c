/* SPDX-License-Identifier: Apache-2.0 */
/* An owner that answers requests, in a thread of its own beside the library's, which speaks on the same
 * session; over mapped memory and over udp. Must be silent under TSan; no session may end, and each request
 * is carried out once. */
#include <dsm/engine.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/port.h"
#include "plain.h"

#define SECONDS 2u
#define ASKERS 2u

static char uri[80];
static atomic_bool stop, ended;
static atomic_ullong asked, taken;

static int make_table(struct dsm_table **out)
{
	static const struct dsm_owner_spec desk = { "desk", true, "*" };
	static const struct dsm_group_spec group = { "desk", "d", "", 4, 0, false };
	static const struct dsm_cell_spec cell = { .group = "d", .name = "n", .type = DSM_I64, .unit = "",
		.description = "", .precision = -1 };
	int rc = dsm_table_new("tsan", out);
	rc = rc ? rc : dsm_table_owner(*out, &desk);
	rc = rc ? rc : dsm_table_group(*out, &group);
	return rc ? rc : dsm_table_cell(*out, &cell);
}

static struct dsm *attach(const char *owner)
{
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	o.owner = owner;
	o.flags = owner ? DSM_TAKES_REQUESTS : 0;
	o.attach_timeout_ms = o.call_timeout_ms = 20000;
	return expect(dsm_attach(uri, &o, &dsm) == 0, "attach: %s", dsm_error()) ? dsm : NULL;
}

static void expect_one_session(struct dsm *dsm, const char *who)
{
	struct dsm_status status = { 0 };
	check(dsm_status(dsm, &status) == 0 && status.reattached == 0, "%s: attached again %u times", who,
		(unsigned)status.reattached);
}

static void *run_desk(void *dsm)
{
	struct dsm_request_info info;
	while (!atomic_load(&ended)) {
		int rc = dsm_next_request(dsm, &info);
		if (rc == -EAGAIN)
			continue;
		if (!expect(rc == 0 && dsm_request_apply(dsm, &info) == 0, "desk: %s", dsm_error()))
			break;
		atomic_fetch_add(&taken, 1);
	}
	return NULL;
}

static void *run_asker(void *unused)
{
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cell;
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = 1 };
	(void)unused;
	if (!dsm || !expect(dsm_cell(dsm, "d.n", &cell) == 0, "%s", dsm_error()))
		return NULL;
	for (; !atomic_load(&stop); v.i64++) {
		if (!expect(dsm_request(dsm, cell, &v, 20000) == 0, "request: %s", dsm_error()))
			break;
		atomic_fetch_add(&asked, 1);
	}
	expect_one_session(dsm, "asker");
	dsm_detach(&dsm);
	return NULL;
}

static void run_over(const char *at)
{
	pthread_t desk, askers[ASKERS];
	snprintf(uri, sizeof(uri), "%s", at);
	atomic_store(&stop, false);
	atomic_store(&ended, false);
	atomic_store(&asked, 0);
	atomic_store(&taken, 0);
	struct dsm *dsm = attach("desk");
	if (!dsm)
		return;
	pthread_create(&desk, NULL, run_desk, dsm);
	for (unsigned i = 0; i < ASKERS; i++)
		pthread_create(&askers[i], NULL, run_asker, NULL);
	plain_sleep_ms(SECONDS * 1000);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ASKERS; i++)
		pthread_join(askers[i], NULL);
	atomic_store(&ended, true);
	pthread_join(desk, NULL);
	printf("%s: %llu requests\n", at, atomic_load(&asked));
	check(atomic_load(&asked) > 0 && atomic_load(&asked) == atomic_load(&taken), "%s: %llu asked, %llu taken", at,
		atomic_load(&asked), atomic_load(&taken));
	expect_one_session(dsm, "desk");
	dsm_detach(&dsm);
}

int main(void)
{
	struct dsm_table *table = NULL;
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	char name[40], near[80], udp[40], far[80];
	plain_begin(100);
	snprintf(name, sizeof(name), "tsan-requests-%d", (int)getpid());
	snprintf(near, sizeof(near), "shm://%s", name);
	snprintf(udp, sizeof(udp), "127.0.0.1:%u", test_port());
	snprintf(far, sizeof(far), "udp://%s", udp);
	o.name = name;
	o.udp = udp;
	o.auth_none = true;
	o.lease_ms = 10000; /* a sanitizer on a busy machine is slow, not dead */
	o.tick_ms = 5;      /* the library's thread has much to say */
	unsetenv("DSM_KEYS");
	if (!check(make_table(&table) == 0, "table: %s", dsm_error()) ||
	    !check(dsm_engine_open(table, &o, &engine) == 0, "engine: %s", dsm_error()))
		return plain_end();
	dsm_table_free(&table);
	run_over(near);
	run_over(far);
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
	return plain_end();
}
