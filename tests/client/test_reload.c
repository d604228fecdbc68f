/* SPDX-License-Identifier: Apache-2.0 */
/* What a reload and a save carry: all values that were acknowledged, of one moment where that
 * matters, and meanwhile the engine goes on with everything else. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/fixture.h"
#include "engine/engine.h"

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define RELOADS 40
#define SAVES 40
#define PIPELINED 32
#define BYTES 3000000u  /* more than is copied under the engine's lock */

static struct dsm_engine *engine;
static char folder[] = "/tmp/dsm-reload-XXXXXX", path[64], name[64];

static void up(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state", folder);
	opts.state_file = path;
	ok(fixture_engine(&opts, name, &engine));
}

static void down(void)
{
	char command[128];
	ok(dsm_engine_close(&engine));
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(reload, .init = up, .fini = down, .timeout = 120);

static struct dsm *attach(const char *owner)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char uri[128];
	fixture_uri("shm", name, uri);
	opts.owner = owner;
	ok(dsm_attach(uri, &opts, &dsm));
	return dsm;
}

static struct dsm_cell cell_of(struct dsm *dsm, const char *cell_name)
{
	struct dsm_cell cell = { 0 };
	ok(dsm_cell(dsm, cell_name, &cell));
	return cell;
}

static void reload(unsigned flags)
{
	struct dsm_table *table;
	ok(fixture_table_of(flags, &table));
	ok(dsm_engine_reload(engine, table));
	dsm_table_free(&table);
}

/* ---- groups that are left out of the state file ---- */

static void write_big(struct dsm *w, const char *text)
{
	struct dsm_value v = { .type = DSM_BYTES, .len = (uint32_t)strlen(text), .bytes = text };
	struct dsm_value x = { .type = DSM_F64, .len = 1, .f64 = 7 };
	ok(dsm_write(w, cell_of(w, "big.data"), &v));
	ok(dsm_write(w, cell_of(w, "sensors.a.x"), &x));
}

static void has_big(struct dsm *r, const char *text)
{
	struct dsm_frame *frame = NULL;
	struct dsm_group group = { 0 };
	struct dsm_sample s;
	ok(dsm_group(r, "big", &group));
	ok(dsm_frame_new(r, group, &frame));
	ok(dsm_snapshot(r, group, frame));
	ok(dsm_frame_read(frame, cell_of(r, "big.data"), &s));
	cr_assert_eq(s.quality, DSM_GOOD);
	cr_assert_eq(s.value.len, strlen(text));
	cr_assert_eq(memcmp(s.value.bytes, text, s.value.len), 0);
	dsm_frame_free(&frame);
}

Test(reload, keeps_what_no_file_keeps)
{
	struct dsm *w = attach("sensors");
	write_big(w, "a picture");
	dsm_detach(&w);
	reload(FIXTURE_OTHER);
	struct dsm *r = attach(NULL);
	has_big(r, "a picture");
	dsm_detach(&r);
	reload(0);
	r = attach(NULL);
	has_big(r, "a picture");
	dsm_detach(&r);
}

struct found { unsigned big, x; };

static int look(const char *cell_name, const char *unit, const struct dsm_sample *sample, void *context)
{
	struct found *found = context;
	(void)unit;
	(void)sample;
	found->big += strcmp(cell_name, "big.data") == 0;
	found->x += strcmp(cell_name, "sensors.a.x") == 0;
	return 0;
}

Test(reload, a_file_leaves_out_what_it_was_told_to)
{
	struct dsm *w = attach("sensors");
	struct found found = { 0 };
	write_big(w, "a picture");
	ok(dsm_engine_save(engine));
	ok(dsm_state_foreach(path, look, &found));
	cr_assert(found.x == 1 && found.big == 0, "%u, %u", found.x, found.big);
	dsm_detach(&w);
}

/* ---- an owner that does not stop ---- */

struct busy {
	struct dsm *dsm;
	_Atomic int64_t acked;
	_Atomic int last;           /* what the commit said that was not acknowledged */
	_Atomic bool stands, go_on, end;
};

static int commit_n(struct dsm *dsm, struct dsm_cell n, int64_t value)
{
	struct dsm_value v = { .type = DSM_I64, .len = 1, .i64 = value };
	return dsm_write(dsm, n, &v);
}

/* Commits 1, 2, 3 … until one fails; then it stands still until it is told to go on. */
static void *commit_on(void *context)
{
	struct busy *b = context;
	struct dsm_cell n = { 0 };
	bool running = false;
	for (int64_t next = 1; !atomic_load(&b->end);) {
		int rc = running ? 0 : dsm_cell(b->dsm, "setpoints.n", &n);
		rc = rc ? rc : commit_n(b->dsm, n, next);
		if (rc == 0) {
			atomic_store(&b->acked, next++);
			running = true;
		} else if (!running) {
			usleep(1000); /* not back yet */
		} else {
			running = false;
			atomic_store(&b->last, rc);
			atomic_store(&b->stands, true);
			while (!atomic_load(&b->go_on) && !atomic_load(&b->end))
				usleep(100);
			atomic_store(&b->go_on, false);
		}
	}
	return NULL;
}

static int64_t carried(void)
{
	struct dsm *r = attach(NULL);
	struct dsm_sample s;
	ok(dsm_read(r, cell_of(r, "setpoints.n"), &s));
	dsm_detach(&r);
	return s.value.i64;
}

Test(reload, what_was_acknowledged_to_a_busy_owner_is_there)
{
	struct busy b = { .dsm = attach("operator") };
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, commit_on, &b), 0);
	for (unsigned i = 0; i < RELOADS; i++) {
		int64_t before = atomic_load(&b.acked);
		while (atomic_load(&b.acked) < before + 1000)
			usleep(100);
		reload(i % 2 ? 0 : FIXTURE_OTHER);
		while (!atomic_load(&b.stands))
			usleep(100);
		int64_t acked = atomic_load(&b.acked), found = carried();
		cr_assert(found == acked || found == acked + 1, "reload %u: %lld was acknowledged, %lld is there", i,
			(long long)acked, (long long)found);
		int last = atomic_load(&b.last);
		cr_assert(last == -ENOTCONN || last == -ESTALE, "%d", last);
		atomic_store(&b.stands, false);
		atomic_store(&b.go_on, true);
	}
	atomic_store(&b.end, true);
	pthread_join(thread, NULL);
	dsm_detach(&b.dsm);
}

/* ---- a save is in nobody's way ---- */

static _Atomic unsigned told;

/* Called by the save, in the midst of it. */
static void the_engine_goes_on(const char *text, void *context)
{
	(void)context;
	if (!strstr(text, "too fast"))
		return;
	_Atomic uint64_t *heartbeat = &engine->region->header->heartbeat;
	uint64_t before = atomic_load(heartbeat);
	for (int i = 0; i < 3000 && atomic_load(heartbeat) < before + 3; i++)
		usleep(10000);
	if (atomic_load(heartbeat) >= before + 3)
		atomic_fetch_add(&told, 1);
}

Test(reload, a_save_does_not_stop_the_engine)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm *w, *r;
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 }, previous;
	ok(dsm_engine_close(&engine));
	opts.state_file = path;
	opts.log = the_engine_goes_on;
	ok(fixture_engine(&opts, name, &engine));
	w = attach("sensors");
	r = attach(NULL);
	write_big(w, "x");
	/* one group that cannot be read just now: its pulse is far ahead of it */
	struct dsm_group group = { 0 };
	ok(dsm_group(r, "sensors.b", &group));
	_Atomic uint64_t *pulse = engine->region->rings[(uint32_t)group.id].pulse;
	atomic_store(pulse, 1000);
	ok(dsm_engine_save(engine));
	cr_assert_eq(atomic_load(&told), 1, "the heartbeat stood still while the state was read");
	atomic_store(pulse, 0);
	ok(dsm_engine_save(engine));
	cr_assert_eq(atomic_load(&told), 1);
	ok(dsm_add(r, cell_of(r, "drilling.count"), &one, NULL, 30000, &previous));
	dsm_detach(&w);
	dsm_detach(&r);
}

static _Atomic unsigned said_not, said_again;

static void count_words(const char *text, void *context)
{
	(void)context;
	atomic_fetch_add(strstr(text, "not saved") ? &said_not : strstr(text, "saved again") ? &said_again : &told, 1);
}

static uint64_t counter(unsigned which)
{
	return atomic_load(&engine->region->counters[which]);
}

#define until(condition) do { bool met_ = (condition); \
	for (int i_ = 0; !met_ && i_ < 3000; i_++) { usleep(10000); met_ = (condition); } \
	cr_assert(met_, "%s", #condition); } while (0)

/* The interval's saves go on while there is no room, are told of once, and succeed when there is. */
Test(reload, saves_go_on_when_there_is_no_room)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct rlimit limit, none;
	ok(dsm_engine_close(&engine));
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = limit;
	none.rlim_cur = 16;
	opts.state_file = path;
	opts.save_interval_ms = 20;
	opts.log = count_words;
	ok(fixture_engine(&opts, name, &engine));
	until(counter(COUNTER_SAVES) >= 1);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	until(counter(COUNTER_SAVE_ERRORS) >= 3);
	uint64_t saves = counter(COUNTER_SAVES);
	cr_assert_eq(atomic_load(&said_not), 1);
	cr_assert_eq(dsm_engine_save(engine), -EFBIG);
	struct dsm *w = attach("sensors");
	write_big(w, "nobody waits for the disk");
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	until(counter(COUNTER_SAVES) >= saves + 2);
	until(atomic_load(&said_again) == 1);
	cr_assert_eq(atomic_load(&said_not), 1);
	dsm_detach(&w);
}

/* ---- request numbers and values are of one moment ---- */

static struct dsm_table *table_with_a_large_group(void)
{
	struct dsm_table *t;
	struct dsm_group_spec groups[] = { { "engine", "small", "", 0, 0, false },
		{ "engine", "large", "", 0, 0, false } };
	struct dsm_cell_spec cells[] = {
		{ "small", "n", "", "", DSM_I64, 0, 0, 0, 0, -1 },
		{ "large", "n", "", "", DSM_I64, 0, 0, 0, 0, -1 },
		{ "large", "data", "", "", DSM_BYTES, BYTES, 0, 0, 0, -1 },
	};
	ok(dsm_table_new("moment", &t));
	for (unsigned i = 0; i < 2; i++)
		ok(dsm_table_group(t, &groups[i]));
	for (unsigned i = 0; i < 3; i++)
		ok(dsm_table_cell(t, &cells[i]));
	return t;
}

struct adder { _Atomic bool end, bad; _Atomic unsigned rounds; };

/* Odd numbers add to the one, even ones to the other. */
static void *add_on(void *context)
{
	struct adder *a = context;
	struct dsm *dsm = attach(NULL);
	struct dsm_cell cells[2] = { cell_of(dsm, "small.n"), cell_of(dsm, "large.n") };
	struct dsm_value one = { .type = DSM_I64, .len = 1, .i64 = 1 };
	uint64_t tickets[PIPELINED];
	while (!atomic_load(&a->end)) {
		for (unsigned i = 0; i < PIPELINED; i++)
			if (dsm_add_begin(dsm, cells[i % 2], &one, NULL, &tickets[i]))
				atomic_store(&a->bad, true);
		for (unsigned i = 0; i < PIPELINED; i++)
			if (dsm_add_end(dsm, tickets[i], 60000, NULL))
				atomic_store(&a->bad, true);
		atomic_fetch_add(&a->rounds, 1);
	}
	dsm_detach(&dsm);
	return NULL;
}

struct moment { int64_t small, large; uint64_t last; };

static int moment_cell(const char *cell_name, const char *unit, const struct dsm_sample *s, void *context)
{
	struct moment *m = context;
	(void)unit;
	if (strcmp(cell_name, "small.n") == 0)
		m->small = s->value.i64;
	else if (strcmp(cell_name, "large.n") == 0)
		m->large = s->value.i64;
	return 0;
}

static int moment_client(const struct state_client *client, void *context)
{
	struct moment *m = context;
	m->last = client->last_number;
	return 0;
}

Test(reload, numbers_and_values_in_a_file_are_of_one_moment)
{
	struct dsm_table *table = table_with_a_large_group();
	struct adder a = { 0 };
	struct moment seen = { 0 };
	pthread_t thread;
	ok(dsm_engine_reload(engine, table));
	dsm_table_free(&table);
	cr_assert_eq(pthread_create(&thread, NULL, add_on, &a), 0);
	while (!atomic_load(&a.rounds))
		usleep(1000);
	for (unsigned i = 0; i < SAVES; i++) {
		struct state_image image;
		struct moment m = { 0 };
		ok(dsm_engine_save(engine));
		ok(state_load(path, &image, NULL, 0, NULL, 0));
		ok(state_walk(image.data, image.size, moment_cell, moment_client, &m));
		state_free(&image);
		cr_assert_eq((uint64_t)(m.small + m.large), m.last, "save %u: %lld + %lld are not %llu", i,
			(long long)m.small, (long long)m.large, (unsigned long long)m.last);
		cr_assert(m.small == m.large || m.small == m.large + 1, "%lld, %lld", (long long)m.small,
			(long long)m.large);
		cr_assert_geq(m.last, seen.last);
		seen = m;
	}
	cr_assert_gt(seen.last, 0);
	atomic_store(&a.end, true);
	pthread_join(thread, NULL);
	cr_assert_not(a.bad);
}
