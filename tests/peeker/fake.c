/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sampler without engine, in place of peeker/sample.c: time stands still, so that frames
 * can be compared to the letter. The address chooses the model: test://rig has a cell in
 * every state, test://lost the same without its engine, test://many a thousand cells. At
 * test://hung time goes on, and no look is made any more.
 */
#include "sample.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_NS (5000 * (uint64_t)NS_PER_S)
#define WALL_NS (INT64_C(1772368496) * NS_PER_S) /* 2026-03-01 12:34:56 UTC */
#define MANY 1000u

struct sampler {
	struct model model;
	struct cell_meta *cells;
	struct group_meta *groups;
	char names[MANY][24];
	uint32_t n, group_n;
};

static const char *const owner_names[] = { "engine", "sensors", "operator", "adc1" };

struct fake_cell {
	const char *name, *unit, *description;
	enum dsm_type type;
	int precision;
	double min, max, value;
	uint8_t quality, flags;
	double age_s;
	int wave;                /* how its history moves */
};

#define F DSM_F64
static const struct fake_cell drilling[] = {
	{ "drilling.rop", "m/h", "Rate of penetration, mean of the last minute", F, 1, 0, 200, 12.34,
		DSM_GOOD, 0, 0.2, 3 },
	{ "drilling.wob", "kN", "Weight on bit", F, 1, 0, 400, 88, DSM_GOOD, 0, 0.4, 5 },
	{ "drilling.torque", "kNm", "", F, 2, 0, 0, 0, DSM_BAD, 0, 3.1, 0 },
	{ "drilling.on_bottom", "", "The bit is on bottom", DSM_BOOL, -1, 0, 0, 1, DSM_GOOD, 0, 65, 1 },
	{ "drilling.state", "", "What the rig does", DSM_STRING, -1, 0, 0, 0, DSM_GOOD, 0, 65, 0 },
	{ "drilling.strokes", "", "", DSM_U64, -1, 0, 0, 1234567, DSM_GOOD, 0, 0.1, 7 },
};
static const struct fake_cell mud[] = {
	{ "mud.density", "kg/m³", "Mud weight in", F, 0, 800, 2400, 1250, DSM_FORCED, 0, 4000, 0 },
	{ "mud.flow_in", "l/min", "", F, 0, 0, 5000, 2400, DSM_SIMULATED, 0, 0.3, 4 },
	{ "mud.temperature_at_the_flowline", "°C", "", F, 1, -20, 150, 0, DSM_NEVER_WRITTEN, 0, -1, 0 },
	{ "mud.pressure", "bar", "Standpipe pressure", F, 1, 0, 500, 184.2, DSM_GOOD, 0, 0.1, 6 },
};
static const struct fake_cell setpoint[] = {
	{ "setpoint.wob", "kN", "Weight on bit asked for", F, 1, 0, 400, 90, DSM_GOOD, DSM_STALE_OWNER,
		7300, 0 },
	{ "setpoint.mode", "", "", DSM_STRING, -1, 0, 0, 0, DSM_GOOD, DSM_STALE_OWNER, 7300, 0 },
};
static const struct fake_cell adc[] = {
	{ "adc.channel0", "V", "", F, 3, 0, 3.3, 1.234, DSM_GOOD, DSM_STALE_AGE, 6, 2 },
	{ "adc.wave", "V", "", DSM_F64_ARRAY, 1, 0, 0, 0, DSM_GOOD, DSM_STALE_AGE, 6, 0 },
	{ "adc.raw", "", "", DSM_BYTES, -1, 0, 0, 0, DSM_GOOD, DSM_STALE_AGE, 6, 0 },
};

static uint64_t clock_began_ns; /* 0: time stands still */

static uint64_t real_clock_ns(void)
{
	struct timespec real;

	clock_gettime(CLOCK_MONOTONIC, &real);
	return (uint64_t)real.tv_sec * NS_PER_S + (uint64_t)real.tv_nsec;
}

uint64_t own_clock_ns(void)
{
	return clock_began_ns ? NOW_NS + real_clock_ns() - clock_began_ns : NOW_NS;
}

/* ---- the table ---- */

static void add_cell(struct sampler *s, const struct fake_cell *fake, uint32_t group)
{
	const char *dot = strchr(fake->name, '.');
	bool range = fake->max > fake->min;
	uint32_t capacity = fake->type == DSM_F64_ARRAY ? 4 : type_is_number(fake->type) ? 1 : 16;

	s->cells[s->n++] = (struct cell_meta){ .name = fake->name, .leaf = dot + 1,
		.unit = fake->unit, .description = fake->description, .group = group,
		.capacity = capacity, .flags = range ? DSM_HAS_MIN | DSM_HAS_MAX : 0,
		.type = fake->type, .min = fake->min, .max = fake->max, .precision = fake->precision };
	s->groups[group].n++;
}

static void add_group(struct sampler *s, const char *name, const char *description,
	uint32_t owner, const struct fake_cell *cells, size_t n)
{
	s->groups[s->group_n] = (struct group_meta){ .name = name, .description = description,
		.owner = owner, .first = s->n, .slots = 4 };
	for (size_t i = 0; i < n; i++)
		add_cell(s, &cells[i], s->group_n);
	s->group_n++;
}

static int by_name(const void *a, const void *b, void *context)
{
	const struct table *t = context;

	return strcmp(t->cell[*(const uint32_t *)a].name, t->cell[*(const uint32_t *)b].name);
}

static struct table *make_table(struct sampler *s)
{
	struct table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	atomic_init(&t->holders, 1);
	t->version = 1;
	t->cell = s->cells;
	t->cells = s->n;
	t->group = s->groups;
	t->groups = s->group_n;
	t->owners = 4;
	t->owner = calloc(4, sizeof *t->owner);
	t->by_name = calloc(s->n, sizeof *t->by_name);
	if (!t->owner || !t->by_name)
		return NULL;
	memcpy(t->owner, owner_names, sizeof owner_names);
	for (uint32_t i = 0; i < s->n; i++)
		t->by_name[i] = i;
	qsort_r(t->by_name, s->n, sizeof *t->by_name, by_name, t);
	return t;
}

/* ---- what changes ---- */

/* Up and down by whole steps, the same on every machine. */
static double wave_at(const struct fake_cell *fake, uint32_t ago)
{
	int period = fake->wave * 4, phase = fake->wave ? (int)(ago % (uint32_t)period) : 0;
	int height = phase < period / 2 ? phase : period - phase;

	if (fake->type == DSM_BOOL)
		return ago < 65 ? 1 : 0;
	return fake->value + height * fabs(fake->value) / 64;
}

static void fill_history(struct model *model, uint32_t cell, const struct fake_cell *fake)
{
	bool valid = verdict_is_valid(model_verdict(model, cell)) || fake->flags;

	for (uint32_t ago = fake->flags ? 6 : 0; ago < model->buckets && valid; ago++) {
		double value = wave_at(fake, ago);
		struct bucket *b = &model->history[cell * model->buckets +
			(model->bucket - ago) % model->buckets];
		*b = (struct bucket){ (float)value, (float)value, (float)value, 1 };
	}
	model->cells[cell].run_min = fake->value;
	model->cells[cell].run_max = fake->value * 1.25;
	model->cells[cell].run_sum = fake->value * 110;
	model->cells[cell].run_n = valid && type_is_number(fake->type) ? 100 : 0;
}

static void fill_value(struct cell_state *state, const struct fake_cell *fake)
{
	static const double wave[] = { 0.5, 1, -0.5, 0.25 };

	state->value = (struct dsm_value){ .type = fake->type, .len = 1 };
	if (fake->type == DSM_F64)
		state->value.f64 = fake->value;
	else if (fake->type == DSM_U64)
		state->value.u64 = (uint64_t)fake->value;
	else if (fake->type == DSM_BOOL)
		state->value.b = fake->value > 0;
	if (type_is_number(fake->type))
		return;
	const char *text = strcmp(fake->name, "setpoint.mode") == 0 ? "auto\x1b[31m" : "drilling ahead";
	bool array = fake->type == DSM_F64_ARRAY;
	size_t bytes = array ? sizeof wave : fake->type == DSM_BYTES ? 4 : strlen(text);
	state->kept_room = 64;
	state->kept = calloc(1, state->kept_room);
	if (!state->kept)
		return;
	memcpy(state->kept, array ? (const void *)wave : text, bytes);
	state->value.bytes = state->kept;
	state->value.len = array ? 4 : (uint32_t)bytes;
}

static void fill_cell(struct model *model, uint32_t cell, const struct fake_cell *fake,
	bool lost)
{
	struct cell_state *state = &model->cells[cell];

	fill_value(state, fake);
	state->read = true;
	state->quality = fake->quality;
	state->flags = fake->flags | (lost ? DSM_STALE_ENGINE : 0);
	state->changed_ns = fake->age_s < 0 ? 0 : WALL_NS - (int64_t)(fake->age_s * 1e9);
	state->seq = 4711;
	state->epoch = 2;
	for (int i = 0; i < RATE_SLOTS; i++)
		state->changes[i] = fake->age_s < 0 || fake->age_s > 1 ? 0 : fake->age_s < 0.3 ? 5 : 2;
	fill_history(model, cell, fake);
}

static void fill_group(struct group_state *group)
{
	group->read = true;
	group->seq = 4711;
	group->slots_used = RATE_SLOTS;
	group->slot = RATE_SLOTS - 1;
	group->look_ns = NOW_NS;
	for (uint64_t i = 0; i < RATE_SLOTS; i++) {
		group->first_seq[i] = 4711 - (RATE_SLOTS - 1 - i) * 20 - 10;
		group->first_ns[i] = NOW_NS - (RATE_SLOTS - 1 - i) * NS_PER_S - NS_PER_S / 2;
		group->looks[i] = 5;
	}
}

static void fill_engine(struct model *model, bool lost)
{
	struct engine_view *engine = &model->engine;

	engine->state = lost ? ENGINE_LOST : ENGINE_RUNNING;
	engine->since_ns = NOW_NS - 12 * (uint64_t)NS_PER_S;
	snprintf(engine->name, sizeof engine->name, "rig");
	snprintf(engine->uri, sizeof engine->uri, "shm://rig");
	snprintf(engine->transport, sizeof engine->transport, "shm");
	snprintf(engine->reason, sizeof engine->reason, "best that works");
	engine->generation = 0x1234;
	engine->bytes = 28672;
	engine->heartbeat = 100;
	engine->heartbeat_age_ms = 21;
	engine->layout_version = 2;
	engine->pid = 42;
	engine->lease_ms = 500;
	engine->tick_ms = 50;
	engine->started_ns = WALL_NS - INT64_C(3600) * NS_PER_S;
	model->owners[0] = (struct owner_view){ DSM_ALIVE, 1, 42, 0, false };
	model->owners[1] = (struct owner_view){ DSM_ALIVE, 2, 43, 4711, false };
	model->owners[2] = (struct owner_view){ DSM_DEAD, 1, 44, 3, false };
	model->owners[3] = (struct owner_view){ DSM_SILENT, 1, 45, 99, true };
	model->latency = (struct latency){ 1000, 312, 4200, 25000, 31000 };
	model->stats = (struct dsm_stats){ .reads = 123456, .retries = 7, .torn = 2 };
	snprintf(model->notes[0].text, sizeof model->notes[0].text, "owner \"operator\" is dead");
	model->notes[0].wall_ns = WALL_NS;
	model->n_notes = 1;
	snprintf(model->counters[0].name, sizeof model->counters[0].name, "sessions");
	snprintf(model->counters[0].what, sizeof model->counters[0].what, "clients attached now");
	model->counters[0].value = 3;
	model->n_counters = 1;
}

static void make_rig(struct sampler *s)
{
	add_group(s, "drilling", "What the bit does", 1, drilling, sizeof drilling / sizeof drilling[0]);
	add_group(s, "mud", "Pumps and returns", 1, mud, sizeof mud / sizeof mud[0]);
	add_group(s, "setpoint", "What the driller asks for", 2, setpoint,
		sizeof setpoint / sizeof setpoint[0]);
	add_group(s, "adc", "", 3, adc, sizeof adc / sizeof adc[0]);
}

static void make_many(struct sampler *s, struct fake_cell *cells)
{
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(s->names[i], sizeof s->names[i], "bulk.cell%03u", i);
		cells[i] = drilling[i % 2];
		cells[i].name = s->names[i];
		cells[i].value = i;
	}
	add_group(s, "bulk", "", 1, cells, MANY);
}

static int fill(struct sampler *s, const char *uri)
{
	static struct fake_cell many[MANY];
	bool big = strcmp(uri, "test://many") == 0, lost = strcmp(uri, "test://lost") == 0;

	clock_began_ns = strcmp(uri, "test://hung") == 0 ? real_clock_ns() : 0;
	s->cells = calloc(MANY, sizeof *s->cells);
	s->groups = calloc(8, sizeof *s->groups);
	if (!s->cells || !s->groups)
		return -ENOMEM;
	if (big)
		make_many(s, many);
	else
		make_rig(s);
	struct model *m = &s->model;
	m->now_ns = NOW_NS;
	m->wall_ns = WALL_NS;
	m->period_ns = NS_PER_S / 5;
	m->bucket_ns = NS_PER_S;
	m->bucket = NOW_NS / NS_PER_S;
	m->began_ns = NOW_NS - 90 * (uint64_t)NS_PER_S;
	m->took_ns = 9400;
	m->round = 1;
	struct table *table = make_table(s);
	if (!table || model_set_table(m, table))
		return -ENOMEM;
	fill_engine(m, lost);
	for (uint32_t g = 0; g < s->group_n; g++)
		fill_group(&m->groups[g]);
	static const struct fake_cell *const all[] = { drilling, mud, setpoint, adc };
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t g = s->cells[i].group;
		fill_cell(m, i, big ? &many[i] : &all[g][i - s->groups[g].first], lost);
	}
	return 0;
}

/* ---- as sample.h has it ---- */

int sampler_start(const struct sampler_options *options, struct sampler **out, char *error,
	size_t size)
{
	struct sampler *s = calloc(1, sizeof *s);
	int result = s ? fill(s, options->uri ? options->uri : "test://rig") : -ENOMEM;

	snprintf(error, size, "out of memory");
	if (result)
		free(s);
	else
		*out = s;
	return result;
}

void sampler_stop(struct sampler **sampler)
{
	if (!*sampler)
		return;
	struct sampler *s = *sampler;
	model_clear_table(&s->model);
	free(s);
	*sampler = NULL;
}

const struct model *sampler_lock(struct sampler *s)
{
	return &s->model;
}

void sampler_unlock(struct sampler *s)
{
	(void)s;
}

void sampler_notify(struct sampler *s, int fd)
{
	(void)s;
	(void)fd;
}

uint64_t sampler_wait(struct sampler *s, uint64_t round, int timeout_ms)
{
	(void)round;
	(void)timeout_ms;
	return ++s->model.round;
}
