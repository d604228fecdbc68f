/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler on an engine in this process: values of every type, changes and rates, ages,
 * an owner that goes, another table, another engine. A plain program that counts. */
#include "merge.h"
#include "sample.h"
#include "text.h"

#include "common/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int passed, failed;
static struct sampler *sampler;
static struct dsm_engine *engine;
static char name[64];

static void check(bool good, const char *what)
{
	passed += good;
	failed += !good;
	if (!good)
		printf("not ok %s\n", what);
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* The model, locked, two looks from now: what happened before is in it. */
static const struct model *look_again(void)
{
	uint64_t round = sampler_lock(sampler)->round;

	sampler_unlock(sampler);
	sampler_wait(sampler, round + 1, 5000);
	return sampler_lock(sampler);
}

/* Wait until the condition holds for the model; at most ten seconds. Leaves it unlocked. */
static bool becomes(bool (*holds)(const struct model *model))
{
	for (int i = 0; i < 500; i++) {
		bool good = holds(sampler_lock(sampler));
		sampler_unlock(sampler);
		if (good)
			return true;
		pause_ms(20);
	}
	return false;
}

static uint32_t cell(const struct model *model, const char *of)
{
	return table_find(model->table, of);
}

static struct dsm *own(const char *owner)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;

	options.owner = owner;
	if (dsm_attach(name, &options, &dsm))
		printf("# %s: %s\n", owner, dsm_error());
	return dsm;
}

static void set(struct dsm *dsm, const char *of, double value)
{
	struct dsm_cell id;

	if (dsm_cell(dsm, of, &id) || dsm_begin(dsm, 0) || dsm_set_f64(dsm, id, value) ||
	    dsm_commit(dsm, NULL))
		printf("# %s: %s\n", of, dsm_error());
}

/* ---- values ---- */

static void test_values(void)
{
	static const double wave[] = { 1, 2, 3, 4 };
	const struct fixture_value values[] = {
		{ "drilling.rop", { .type = DSM_F64, .len = 1, .f64 = 12.34 } },
		{ "drilling.on", { .type = DSM_BOOL, .len = 1, .b = true } },
		{ "drilling.mode", { .type = DSM_STRING, .len = 5, .str = "ahead" } },
		{ "drilling.ticks", { .type = DSM_U64, .len = 1, .u64 = UINT64_MAX } },
		{ "drilling.raw", { .type = DSM_BYTES, .len = 2, .bytes = "\x00\xff" } },
		{ "drilling.wave", { .type = DSM_F64_ARRAY, .len = 4, .f64s = wave } },
	};
	char buf[64];

	fixture_commit(engine, 0, values, 6);
	const struct model *m = look_again();
	check(m->engine.state == ENGINE_RUNNING && strcmp(m->engine.transport, "shm") == 0, "running");
	check(m->cells[cell(m, "drilling.rop")].value.f64 == 12.34, "f64");
	check(m->cells[cell(m, "drilling.ticks")].value.u64 == UINT64_MAX, "u64");
	text_value(m, cell(m, "drilling.mode"), 20, buf, sizeof buf);
	check(strstr(buf, "ahead") != NULL, "a text");
	text_whole_value(&m->cells[cell(m, "drilling.raw")], -1, buf, sizeof buf);
	check(strcmp(buf, "00ff") == 0, "bytes");
	text_whole_value(&m->cells[cell(m, "drilling.wave")], -1, buf, sizeof buf);
	check(strcmp(buf, "[4] 1 2 3 4") == 0, "an array");
	check(model_verdict(m, cell(m, "drilling.count")) == CELL_NEVER, "never written");
	check(model_verdict(m, cell(m, "sensors.a.x")) == CELL_NEVER, "nor this");
	check(strcmp(m->table->cell[cell(m, "sensors.a.x")].leaf, "x") == 0, "a leaf of a dotted group");
	check(m->latency.reads > 0 && m->latency.p50_ns > 0, "latency");
	check(m->n_counters > 10, "the engine's counters");
	check(table_find(m->table, "drilling.nope") == UINT32_MAX, "no such cell");
	sampler_unlock(sampler);
}

static void test_rates_and_history(void)
{
	struct dsm *dsm = own("sensors");
	double age_s = 99;
	bool capped;

	const struct model *m = NULL;
	uint32_t x = 0;
	double rate = 0;
	for (int tries = 0; dsm && tries < 10 && rate <= 20; tries++) { /* once, unless this machine stood still */
		if (tries)
			sampler_unlock(sampler);
		for (int i = 0; i < 110; i++) {
			set(dsm, "sensors.a.x", i);
			pause_ms(20);
		}
		m = look_again();
		x = cell(m, "sensors.a.x");
		const struct bucket *second = model_bucket(m, x, 1);
		rate = second && second->n > 2 ? model_group_rate(m, m->table->cell[x].group) : 0;
	}
	check(m != NULL, "an owner to be looked at");
	if (!m)
		return;
	const struct cell_state *state = &m->cells[x];
	check(rate > 20 && rate < 60, "50 commits a second, on a busy machine fewer");
	check(model_cell_rate(m, x, &capped) > 10, "changes of the cell");
	check(model_age(m, x, &age_s) == AGE_EXACT && age_s < 1, "its age");
	check(state->run_min < 10 && state->run_max > 100, "smallest and largest");
	check(state->run_n > 20 && state->run_sum > 0, "and what is between");
	const struct bucket *b = model_bucket(m, x, 1);
	check(b && b->n > 2 && b->min <= b->max, "a second of history");
	check(model_bucket(m, x, m->buckets) == NULL, "and none before the first");
	check(model_verdict(m, x) == CELL_GOOD, "good while its owner lives");
	check(model_verdict(m, cell(m, "sensors.a.y")) == CELL_NEVER, "a cell beside it");
	sampler_unlock(sampler);
	dsm_detach(&dsm);
	pause_ms(100);
	m = look_again();
	check(model_verdict(m, x) == CELL_STALE, "stale without its owner");
	check(m->cells[x].value.f64 == 109, "the last value stays");
	check(strcmp(text_verdict(m, x), "stale owner") == 0, "and it is said why");
	sampler_unlock(sampler);
}

/* What a viewer that sends changes only goes by. */
static void test_changed_cells(void)
{
	const struct fixture_value value = { "drilling.rop", { .type = DSM_F64, .len = 1, .f64 = 55 } };

	const struct model *m = look_again();
	uint64_t before = m->round;
	sampler_unlock(sampler);
	fixture_commit(engine, 0, &value, 1);
	m = look_again();
	check(m->cells[cell(m, "drilling.rop")].round > before, "a changed cell is one");
	check(m->cells[cell(m, "drilling.rop")].round <= m->round, "of a round that there was");
	check(m->cells[cell(m, "sensors.b.x")].round <= before, "one of another group is none");
	sampler_unlock(sampler);
}

static void test_large(void)
{
	struct dsm *dsm = own("sensors");
	struct dsm_cell id;
	void *data;
	uint64_t capacity;

	const struct model *m = look_again();
	check(model_verdict(m, cell(m, "big.data")) == CELL_NEVER, "a large array never written");
	sampler_unlock(sampler);
	if (!dsm || dsm_cell(dsm, "big.data", &id) || dsm_loan(dsm, id, &data, &capacity)) {
		check(false, "a loan");
		return;
	}
	memset(data, 7, capacity);
	dsm_publish(dsm, capacity, 0);
	m = look_again();
	const struct cell_state *state = &m->cells[cell(m, "big.data")];
	check(state->value.len == 1u << 20 && state->cut, "a large array is known");
	check(state->kept_room < 1000, "and not copied");
	check(state->quality == DSM_GOOD && state->changed_ns > 0, "its quality and time too");
	check(model_verdict(m, cell(m, "big.data")) == CELL_GOOD, "and it is good, since its owner lives");
	sampler_unlock(sampler);
	dsm_detach(&dsm);
}

/* ---- a copy, another table, another engine ---- */

static void test_copy(void)
{
	struct model *copy = NULL;
	const struct model *m = sampler_lock(sampler);

	check(model_copy(m, &copy) == 0, "a copy");
	sampler_unlock(sampler);
	uint32_t mode = cell(copy, "drilling.mode");
	check(copy->cells[mode].value.len == 5 &&
		memcmp(copy->cells[mode].value.str, "ahead", 5) == 0, "with its texts");
	check(copy->cells[mode].kept != m->cells[mode].kept, "of its own");
	model_free(&copy);
	check(copy == NULL, "freed");
}

static bool has_extra(const struct model *m)
{
	return m->table && cell(m, "extra.v") != UINT32_MAX;
}

static bool is_lost(const struct model *m)
{
	return m->engine.state == ENGINE_LOST &&
		model_verdict(m, cell(m, "drilling.rop")) == CELL_STALE;
}

static bool is_back(const struct model *m)
{
	return m->engine.state == ENGINE_RUNNING && !has_extra(m) && m->groups[0].read;
}

static void test_another_table(void)
{
	struct dsm_table *table = NULL;
	struct model *frozen = NULL;

	model_copy(sampler_lock(sampler), &frozen);
	sampler_unlock(sampler);
	check(fixture_other_table(&table) == 0 && dsm_engine_reload(engine, table) == 0, "a reload");
	dsm_table_free(&table);
	check(becomes(has_extra), "the new table's cells");
	const struct model *m = look_again();
	uint32_t x = cell(m, "sensors.a.x");
	check(m->cells[x].run_n > 20, "history is carried over by name");
	check(frozen && cell(frozen, "extra.v") == UINT32_MAX &&
		frozen->cells[cell(frozen, "drilling.rop")].value.f64 == 55,
		"what was frozen keeps its table");
	check(m->n_notes > 0, "and events tell of it");
	sampler_unlock(sampler);
	model_free(&frozen);
}

static void test_another_engine(void)
{
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;

	check(dsm_engine_close(&engine) == 0, "the engine ends");
	check(becomes(is_lost), "lost, and every value stale");
	options.name = name;
	check(fixture_table(&table) == 0 && dsm_engine_open(table, &options, &engine) == 0,
		"another engine of that name");
	dsm_table_free(&table);
	check(becomes(is_back), "is found");
}

static bool has_no_cells(const struct model *m)
{
	return m->engine.state == ENGINE_RUNNING && strstr(m->engine.problem, "no cell matches") &&
		model_verdict(m, 0) == CELL_UNREAD;
}

static bool has_its_cell(const struct model *m)
{
	return m->engine.state == ENGINE_RUNNING && !*m->engine.problem &&
		model_verdict(m, 0) == CELL_NEVER;
}

static bool is_seen_lost(const struct model *m)
{
	return m->engine.state == ENGINE_LOST && model_verdict(m, 0) == CELL_UNREAD;
}

static void reload(bool other)
{
	struct dsm_table *table = NULL;
	int error = other ? fixture_other_table(&table) : fixture_table(&table);

	check(error == 0 && dsm_engine_reload(engine, table) == 0, "a reload");
	dsm_table_free(&table);
}

/* The cells that were asked for go with a reload, then the engine itself. Ends it. */
static void test_cells_that_go(void)
{
	char *globs[] = { (char *)"extra.*" }, error[400];
	struct sampler *all = sampler;
	struct sampler_options options = { .uri = name, .program = "test", .period_s = 0.05,
		.timeout_s = 5, .globs = globs, .n_globs = 1 };

	reload(true);
	if (sampler_start(&options, &sampler, error, sizeof error)) {
		printf("# %s\n", error);
		check(false, "a sampler of one group");
		sampler = all;
		return;
	}
	check(becomes(has_its_cell), "its cell is there");
	reload(false);
	check(becomes(has_no_cells), "no cell matches any more: none passes for read");
	const struct model *m = look_again();
	uint64_t round = m->round;
	sampler_unlock(sampler);
	m = look_again();
	check(m->cells[0].round < round, "which is news once, not at every look");
	sampler_unlock(sampler);
	reload(true);
	check(becomes(has_its_cell), "and back again");
	reload(false);
	check(becomes(has_no_cells), "and gone again");
	check(dsm_engine_close(&engine) == 0 && becomes(is_seen_lost),
		"the engine's end is seen all the same");
	sampler_stop(&sampler);
	sampler = all;
}

/* A day on which the engine's clock loses 50 in a million, with a commit a second that is seen 1
 * to 3 ms late. */
static void test_drift(void)
{
	static struct model m;
	int64_t worst_ns = 0;

	for (int64_t s = 0; s < 86400; s++) {
		int64_t engine_ns = s * (int64_t)NS_PER_S - s * 50000;
		m.now_ns = (uint64_t)(s * (int64_t)NS_PER_S) + 1000000 + (uint64_t)(s % 3) * 1000000;
		merge_time(&m, engine_ns);
		int64_t off_ns = (int64_t)m.now_ns + m.offset_ns - engine_ns;
		worst_ns = off_ns > worst_ns ? off_ns : worst_ns;
		if (off_ns < 0)
			worst_ns = INT64_MAX;
	}
	check(m.offset_known && worst_ns < 10000000, "ages do not grow with a clock that drifts");
	int64_t before = m.offset_ns;
	m.now_ns += 5000000;
	merge_time(&m, (int64_t)m.now_ns + before - 4000000);
	check(m.offset_ns == before, "a commit seen late moves nothing");
	m.now_ns += 3600 * (uint64_t)NS_PER_S;
	merge_time(&m, (int64_t)m.now_ns + before - NS_PER_S);
	check(m.offset_ns == before - (int64_t)NS_PER_S, "after an hour's silence it is taken anew");
}

static void test_globs_and_failures(void)
{
	char *globs[] = { (char *)"drilling.r*", (char *)"remote.v" };
	char error[400];
	struct sampler *other = NULL;
	struct sampler_options options = { .uri = name, .program = "test", .period_s = 0.05,
		.timeout_s = 2, .globs = globs, .n_globs = 2 };

	check(sampler_start(&options, &other, error, sizeof error) == 0, "some cells only");
	check(sampler_lock(other)->table->cells == 3, "three of them");
	sampler_unlock(other);
	sampler_stop(&other);
	globs[0] = globs[1] = (char *)"nope";
	check(sampler_start(&options, &other, error, sizeof error) < 0 && strstr(error, "match"),
		"none at all");
	options.uri = "shm://there-is-no-such-engine";
	check(sampler_start(&options, &other, error, sizeof error) < 0 && *error && !other, "no engine");
}

int main(void)
{
	char error[400];
	struct sampler_options options = { .uri = name, .program = "test", .period_s = 0.05,
		.timeout_s = 5 };

	if (fixture_engine(NULL, name, &engine) ||
	    sampler_start(&options, &sampler, error, sizeof error)) {
		printf("cannot start: %s\n", error);
		return 1;
	}
	test_values();
	test_rates_and_history();
	test_changed_cells();
	test_large();
	test_copy();
	test_another_table();
	test_another_engine();
	test_globs_and_failures();
	test_drift();
	test_cells_that_go();
	sampler_stop(&sampler);
	dsm_engine_close(&engine);
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
