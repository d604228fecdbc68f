/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const uint8_t panel_key[SIPHASH_KEY] = { 1, 2, 3 }, feet_key[SIPHASH_KEY] = { 4, 5, 6 };
struct ingest *ingest;
struct sunk sunk;
uint64_t now;

static const char table_text_of[] =
	"region: rig\n"
	"owners: [{name: knobs}, {name: pedals}]\n"
	"groups:\n"
	"  - {name: k, owner: knobs, cells: [{name: a, type: f64}, {name: b, type: f64}, {name: i, type: i64},\n"
	"     {name: u, type: u64}, {name: on, type: bool}, {name: off, type: bool}, {name: n, type: u64}]}\n"
	"  - {name: p, owner: pedals, cells: [{name: x, type: f64}]}\n"
	"devices:\n"
	"  - {name: feet, id: 9, owner: pedals, tick_us: 10000, inputs: [{cell: p.x, channel: 0}]}\n";
static const char keys_text[] =
	"device:7 panel 01020300000000000000000000000000\n"
	"device:7 old   0102030000000000000000000000000f\n"
	"device:9 feet  04050600000000000000000000000000\n";

static int take_commit(void *context, uint32_t device, const struct ingest_value *values, uint32_t n, uint64_t age_ns)
{
	(void)context;
	sunk.commits++;
	sunk.device = device;
	sunk.n = n;
	sunk.age_ns = age_ns;
	memcpy(sunk.values, values, (n < VALUES_MAX ? n : VALUES_MAX) * sizeof(*values));
	return sunk.answer;
}

static void take_alive(void *context, uint32_t device, bool alive)
{
	(void)context;
	sunk.device = device;
	sunk.alive += alive;
	sunk.silent += !alive;
	now += alive ? sunk.takes_ns : 0;
}

static void need(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, dsm_error());
	abort();
}

void ingest_start(const char *device_keys, const char *inputs)
{
	static const struct ingest_sink sink = { NULL, take_commit, take_alive };
	struct dsm_table *table = NULL;
	struct keys *keys = NULL;
	char text[4000];
	snprintf(text, sizeof(text), "%s  - {name: panel, id: 7, owner: knobs, %sinputs: [%s]}\n", table_text_of,
		device_keys, inputs);
	need(table_load_memory("t", text, strlen(text), &table), "table");
	need(keys_load_memory("k", keys_text, strlen(keys_text), &keys), "keys");
	struct ingest *made = NULL;
	need(ingest_new(table, keys, &sink, &made), "ingest");
	dsm_table_free(&table);
	keys_free(&keys);
	if (ingest) { /* a reload */
		ingest_carry(made, ingest);
		ingest_free(&ingest);
	} else {
		sunk = (struct sunk){ 0 };
		now = 5000 * MS;
	}
	ingest = made;
}

void ingest_end(void)
{
	ingest_free(&ingest);
	ingest_free(&ingest);
	ingest_free(NULL);
}

enum ingest_verdict give(const struct adc_header *h, const uint16_t *channels, const uint8_t key[SIPHASH_KEY],
	unsigned source)
{
	uint8_t data[ADC_BYTES_MAX];
	struct ingest_source from = { .bytes = { (uint8_t)source }, .n = 16 };
	size_t n = adc_encode(h, channels, key, data, sizeof(data));
	if (n == 0)
		abort();
	return ingest_datagram(ingest, &from, data, n, now);
}

enum ingest_verdict panel(uint32_t epoch, uint32_t seq, uint16_t raw)
{
	uint16_t channels[8];
	struct adc_header h = { .device = 7, .channels = 8, .epoch = epoch, .seq = seq, .uptime_us = now / 1000 };
	for (unsigned i = 0; i < 8; i++)
		channels[i] = raw;
	return give(&h, channels, panel_key, 1);
}

struct ingest_info info(uint32_t id)
{
	struct ingest_info found = { 0 };
	for (uint32_t i = 0; i < ingest_devices(ingest); i++) {
		ingest_info(ingest, i, now, &found);
		if (found.id == id)
			return found;
	}
	abort();
}

void pass(uint64_t ns)
{
	uint64_t end = now + ns;
	for (;;) {
		ingest_look(ingest, now);
		ingest_tick(ingest, now, now);
		if (now == end)
			return;
		uint64_t next = ingest_next_ns(ingest);
		now = next > now && next < end ? next : end;
	}
}
