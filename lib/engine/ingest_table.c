/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of a table made ready for datagrams; what goes on over a restart or reload; what is known. */
#include "engine/ingest_device.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* ---- making ---------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct device *)a)->id, y = ((const struct device *)b)->id;
	return (x > y) - (x < y);
}

static int take_keys(struct ingest *g, const struct keys *keys, uint32_t *used, struct device *d)
{
	d->key = &g->keys[*used];
	for (const struct key *k = NULL; (k = keys_of_device(keys, d->id, k));) {
		if (d->keys == DEVICE_KEYS_MAX)
			return dsm__fail(-E2BIG, "%s:%u: role: device %u has more than %u keys", keys->name, k->line, d->id,
				DEVICE_KEYS_MAX);
		memcpy(g->keys[(*used)++], k->bytes, SIPHASH_KEY);
		d->keys++;
	}
	return d->keys ? 0 : dsm__fail(-ENOKEY, "device \"%s\" has no key: expected a line device:%u in %s; "
		"dsm keygen device:%u makes it", d->name, d->id, keys->name, d->id);
}

static void take_input(struct ingest *g, const struct dsm_table *table, const struct table_input *from,
	struct ingest_input *to)
{
	const struct table_cell *cell = &table->cells[from->cell];
	*to = (struct ingest_input){ .in = *from, .point = g->points + from->first_point,
		.cell = g->texts + cell->name, .type = (enum dsm_type)cell->type };
}

static int fill(struct ingest *g, const struct dsm_table *table, const struct keys *keys)
{
	const struct table_devices *t = table->devices;
	uint32_t used = 0;
	memcpy(g->texts, table->pool, table->pool_size);
	if (t->point_count)
		memcpy(g->points, t->points, t->point_count * sizeof(*t->points));
	for (uint32_t i = 0; i < t->input_count; i++)
		take_input(g, table, &t->inputs[i], &g->inputs[i]);
	for (uint32_t i = 0; i < t->device_count; i++) {
		const struct table_device *from = &t->devices[i];
		struct device *d = &g->devices[i];
		*d = (struct device){ .name = g->texts + from->name,
			.owner = g->texts + table->owners[from->owner].name, .id = from->id,
			.tick_us = from->tick_us, .silent_ns = 1000ull * INGEST_SILENT_TICKS * from->tick_us,
			.commit_ns = from->commit_hz > 0 ? (uint64_t)(1e9 / from->commit_hz) : 0,
			.inputs = g->inputs + from->first_input, .input_count = from->inputs };
		int rc = take_keys(g, keys, &used, d);
		if (rc)
			return rc;
	}
	qsort(g->devices, g->count, sizeof(*g->devices), by_id);
	return 0;
}

int ingest_new(const struct dsm_table *table, const struct keys *keys, const struct ingest_sink *sink,
	struct ingest **out)
{
	const struct table_devices *t = table->devices;
	if (!t || t->device_count == 0)
		return dsm__fail(-ENODATA, "the table has no devices");
	struct ingest *g = calloc(1, sizeof(*g));
	if (!g || sodium_init() < 0) {
		free(g);
		return dsm__fail(-ENOMEM, "no memory for the devices");
	}
	g->sink = *sink;
	g->count = t->device_count;
	g->devices = calloc(t->device_count, sizeof(*g->devices));
	g->inputs = calloc(t->input_count + 1, sizeof(*g->inputs));
	g->values = calloc(t->input_count + 1, sizeof(*g->values));
	g->points = calloc(t->point_count + 1, sizeof(*g->points));
	g->texts = malloc(table->pool_size + 1);
	g->keys = sodium_allocarray((size_t)t->device_count * DEVICE_KEYS_MAX, SIPHASH_KEY);
	int rc = g->devices && g->inputs && g->values && g->points && g->texts && g->keys ? 0 :
		dsm__fail(-ENOMEM, "no memory for the devices");
	if (rc == 0)
		rc = fill(g, table, keys);
	if (rc)
		ingest_free(&g);
	else
		*out = g;
	return rc;
}

void ingest_free(struct ingest **ingest)
{
	if (!ingest || !*ingest)
		return;
	struct ingest *g = *ingest;
	free(g->devices);
	free(g->inputs);
	free(g->values);
	free(g->points);
	free(g->texts);
	if (g->keys)
		sodium_free(g->keys);
	free(g);
	*ingest = NULL;
}

/* ---- restart and reload ---------------------------------------------------------------- */

uint32_t ingest_marks(const struct ingest *g, struct ingest_mark *out, uint32_t room)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->count; i++) {
		const struct device *d = &g->devices[i];
		if (!d->heard && !d->has_floor)
			continue;
		if (n < room)
			out[n] = d->heard ? (struct ingest_mark){ d->id, d->epoch, d->seq, true } :
				(struct ingest_mark){ d->id, d->floor_epoch, d->floor_seq, false };
		n++;
	}
	return n;
}

void ingest_restore(struct ingest *g, const struct ingest_mark *mark)
{
	struct device *d = ingest_find(g, mark->device);
	if (!d)
		return;
	d->has_floor = true;
	d->floor_epoch = mark->epoch;
	d->floor_seq = mark->seq;
}

/* An input of the new table that is the old one's: its filter and its count go on. */
static void carry_inputs(struct device *to, const struct device *from)
{
	for (uint32_t i = 0; i < to->input_count; i++) {
		struct ingest_input *a = &to->inputs[i];
		for (uint32_t k = 0; k < from->input_count; k++) {
			const struct ingest_input *b = &from->inputs[k];
			if (a->in.kind != b->in.kind || a->in.index != b->in.index || strcmp(a->cell, b->cell) != 0)
				continue;
			a->filtered = b->filtered;
			a->has_filtered = b->has_filtered;
			a->has_presses = b->has_presses;
			a->presses = b->presses;
			a->total = b->total;
		}
	}
}

void ingest_carry(struct ingest *g, const struct ingest *from)
{
	for (uint32_t i = 0; i < g->count; i++) {
		const struct device *old = ingest_find(from, g->devices[i].id);
		if (!old)
			continue;
		struct device made = g->devices[i], *d = &g->devices[i];
		*d = *old;
		d->name = made.name;
		d->owner = made.owner;
		d->tick_us = made.tick_us;
		d->silent_ns = made.silent_ns;
		d->commit_ns = made.commit_ns;
		d->key = made.key;
		d->keys = made.keys;
		d->inputs = made.inputs;
		d->input_count = made.input_count;
		d->due_ns = 0;
		carry_inputs(d, old);
		if (d->alive)
			g->sink.alive(g->sink.context, i, true);
	}
	g->looked_ns = from->looked_ns;
	g->foreign += from->foreign;
	g->unknown += from->unknown;
}

void ingest_add_presses(struct ingest *g, uint32_t device, uint32_t input, uint64_t total)
{
	g->devices[device].inputs[input].total += total;
}

/* ---- looking --------------------------------------------------------------------------- */

uint32_t ingest_devices(const struct ingest *g)
{
	return g->count;
}

const char *ingest_cell(const struct ingest *g, uint32_t device, uint32_t input, enum dsm_type *type)
{
	const struct ingest_input *in = &g->devices[device].inputs[input];
	*type = in->type;
	return in->cell;
}

bool ingest_counts_presses(const struct ingest *g, uint32_t device, uint32_t input)
{
	return g->devices[device].inputs[input].in.kind == INPUT_PRESSES;
}

void ingest_info(const struct ingest *g, uint32_t device, uint64_t now_ns, struct ingest_info *out)
{
	const struct device *d = &g->devices[device];
	*out = (struct ingest_info){ .name = d->name, .owner = d->owner, .source = d->source, .id = d->id, .epoch = d->epoch,
		.seq = d->seq, .inputs = d->input_count, .heard = d->heard, .alive = d->alive, .flags = d->flags,
		.tick_us = d->tick_us, .age_ns = d->heard ? now_ns - d->last_ns : 0, .rate_hz = d->rate_hz,
		.lost = d->lost, .starts = d->starts, .silences = d->silences, .overruns = d->overruns,
		.link_losses = d->link_losses, .commits = d->commits,
		.commits_failed = d->commits_failed, .no_channel = d->no_channel, .clock_steps = d->clock_steps };
	memcpy(out->verdicts, d->verdicts, sizeof(out->verdicts));
	out->clock_known = d->heard && ingest_clock_known(&d->clock);
	if (!out->clock_known)
		return;
	double error_ns;
	out->offset_us = ingest_clock_offset_ns(&d->clock, now_ns, &error_ns) / 1e3;
	out->offset_error_us = error_ns / 1e3;
	out->drift_ppm = ingest_clock_drift_ppm(&d->clock, &out->drift_error_ppm);
}

uint64_t ingest_count(const struct ingest *g, enum ingest_verdict verdict)
{
	uint64_t n = verdict == INGEST_FOREIGN ? g->foreign : verdict == INGEST_UNKNOWN ? g->unknown : 0;
	for (uint32_t i = 0; i < g->count; i++)
		n += g->devices[i].verdicts[verdict];
	return n;
}
