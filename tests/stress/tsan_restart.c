/* SPDX-License-Identifier: Apache-2.0 */
/* For ThreadSanitizer: an engine that saves, reloads, ends and comes back with its state file, beside
 * an owner that takes requests, those who ask it, and readers, all of which come back by themselves.
 * A plain program. Must be silent; what is read is whole, and at the end all of them work again. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/fixture.h"
#include "plain.h"

#define SECONDS 4u
#define BOUND_MS 60000u

static char name[64], uri[128], folder[] = "/tmp/dsm-tsan-XXXXXX", path[64];
static atomic_bool stop;
static atomic_ullong commits, applied, asked, reads, saves, reloads, restarts;

static struct dsm *attach(const char *owner, uint32_t flags)
{
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	o.owner = owner;
	o.flags = flags;
	o.attach_timeout_ms = 20000;
	return expect(dsm_attach(uri, &o, &dsm) == 0, "attach: %s", dsm_error()) ? dsm : NULL;
}

/* What somebody may hear while the engine goes and comes. */
static bool is_passing(int rc)
{
	static const int passing[] = { -ENOTCONN, -EAGAIN, -ETIMEDOUT, -ESTALE, -ECONNRESET, -EALREADY, -EOWNERDEAD,
		-EPERM, -ECANCELED };
	for (unsigned i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (rc == passing[i])
			return true;
	return false;
}

/* x and y in one commit, and whatever is asked for. */
static void *run_owner(void *unused)
{
	struct dsm *dsm = attach("operator", DSM_TAKES_REQUESTS);
	struct dsm_cell rop = { 0 }, n = { 0 };
	struct dsm_request_info request;
	(void)unused;
	for (uint64_t i = 1; dsm && !atomic_load(&stop); i++) {
		int rc = dsm_cell(dsm, "setpoints.rop", &rop);
		rc = rc ? rc : dsm_cell(dsm, "setpoints.n", &n);
		rc = rc ? rc : dsm_begin(dsm, 0);
		if (rc == 0 && (dsm_set_f64(dsm, rop, (double)(i % 100)) || dsm_set_i64(dsm, n, (int64_t)(i % 100)))) {
			dsm_abort(dsm);
			continue;
		}
		rc = rc ? rc : dsm_commit(dsm, NULL);
		expect(rc == 0 || (is_passing(rc) && rc != -EOWNERDEAD), "commit: %d %s", rc, dsm_error());
		atomic_fetch_add(&commits, rc == 0);
		while (dsm_next_request(dsm, &request) == 0)
			atomic_fetch_add(&applied, dsm_request_apply(dsm, &request) == 0);
		if (rc || i % 32 == 0)
			plain_sleep_ms(1);
	}
	dsm_detach(&dsm);
	return NULL;
}

static void *run_asker(void *unused)
{
	struct dsm *dsm = attach(NULL, 0);
	struct dsm_cell note = { 0 };
	const struct dsm_value v = { .type = DSM_STRING, .len = 5, .str = "hello" };
	(void)unused;
	while (dsm && !atomic_load(&stop)) {
		int rc = dsm_cell(dsm, "setpoints.note", &note);
		rc = rc ? rc : dsm_request(dsm, note, &v, 5000);
		expect(rc == 0 || is_passing(rc), "request: %d %s", rc, dsm_error());
		atomic_fetch_add(&asked, rc == 0);
		if (rc)
			plain_sleep_ms(1);
	}
	dsm_detach(&dsm);
	return NULL;
}

static int read_once(struct dsm *dsm)
{
	struct dsm_group group = { 0 };
	struct dsm_frame *frame = NULL;
	struct dsm_cell rop = { 0 }, n = { 0 };
	struct dsm_sample a, b;
	int rc = dsm_group(dsm, "setpoints", &group);
	rc = rc ? rc : dsm_frame_new(dsm, group, &frame);
	rc = rc ? rc : dsm_snapshot(dsm, group, frame);
	rc = rc ? rc : dsm_cell(dsm, "setpoints.rop", &rop);
	rc = rc ? rc : dsm_cell(dsm, "setpoints.n", &n);
	if (rc == 0 && dsm_frame_read(frame, rop, &a) == 0 && dsm_frame_read(frame, n, &b) == 0)
		expect(a.value.f64 == (double)b.value.i64, "torn: %g beside %lld", a.value.f64, (long long)b.value.i64);
	dsm_frame_free(&frame);
	return rc;
}

static void *run_reader(void *unused)
{
	struct dsm *dsm = attach(NULL, 0);
	struct dsm_event event;
	(void)unused;
	while (dsm && !atomic_load(&stop)) {
		int rc = read_once(dsm);
		expect(rc == 0 || rc == -EINVAL || is_passing(rc), "snapshot: %d %s", rc, dsm_error()); /* a frame of before */
		atomic_fetch_add(&reads, rc == 0);
		while (dsm_next_event(dsm, &event) == 0)
			;
	}
	dsm_detach(&dsm);
	return NULL;
}

static struct dsm_engine *engine_up(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	o.name = name;
	o.lease_ms = 5000;
	o.state_file = path;
	o.save_interval_ms = 30;
	o.restore = true;
	return check(fixture_engine(&o, name, &engine) == 0, "engine: %s", dsm_error()) ? engine : NULL;
}

static struct dsm_engine *trouble(struct dsm_engine *engine)
{
	uint64_t end = plain_ms() + SECONDS * 1000;
	for (unsigned i = 1; engine && plain_ms() < end; i++) {
		struct dsm_table *table = NULL;
		plain_sleep_ms(40);
		atomic_fetch_add(&saves, dsm_engine_save(engine) == 0);
		if (i % 3) {
			int rc = fixture_table_of(i % 2 ? FIXTURE_OTHER : 0, &table);
			expect(rc == 0 && dsm_engine_reload(engine, table) == 0, "reload: %s", dsm_error());
			dsm_table_free(&table);
			atomic_fetch_add(&reloads, 1);
		} else {
			expect(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
			plain_sleep_ms(10);
			engine = engine_up();
			atomic_fetch_add(&restarts, 1);
		}
	}
	return engine;
}

/* Nothing happens to the engine any more: all of them get on again. */
static void all_go_on(void)
{
	uint64_t c = commits, a = asked, p = applied, r = reads, end = plain_ms() + BOUND_MS;
	while (plain_ms() < end && (commits == c || asked == a || applied == p || reads == r))
		plain_sleep_ms(10);
	check(commits > c && asked > a && applied > p && reads > r, "somebody did not come back: commits %d, asked %d, "
		"applied %d, reads %d", commits > c, asked > a, applied > p, reads > r);
}

int main(void)
{
	void *(*const jobs[])(void *) = { run_owner, run_asker, run_asker, run_reader, run_reader };
	enum { N = sizeof(jobs) / sizeof(jobs[0]) };
	pthread_t threads[N];
	plain_begin(190);
	snprintf(name, sizeof(name), "tsan-restart-%d", (int)getpid());
	fixture_uri("shm", name, uri);
	if (!check(mkdtemp(folder) != NULL, "no folder"))
		return plain_end();
	snprintf(path, sizeof(path), "%s/state", folder);
	struct dsm_engine *engine = engine_up();
	if (!engine)
		return plain_end();
	for (unsigned i = 0; i < N; i++)
		pthread_create(&threads[i], NULL, jobs[i], NULL);
	engine = trouble(engine);
	all_go_on();
	atomic_store(&stop, true);
	for (unsigned i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	check(saves > 0 && reloads > 1 && restarts > 0, "%llu saves, %llu reloads, %llu restarts", saves, reloads, restarts);
	printf("saves %llu, reloads %llu, restarts %llu; commits %llu, requests answered %llu, applied %llu, reads %llu\n",
		saves, reloads, restarts, commits, asked, applied, reads);
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
	snprintf(path, sizeof(path), "rm -rf %s", folder);
	check(system(path) == 0, "the folder stays");
	return plain_end();
}
