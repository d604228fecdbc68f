/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script of datagrams and pauses against the ingest: signed ones with chosen fields, forged ones, raw
 * bytes. Whatever comes: (epoch, seq) only grows, counters add up, values stay within their range, a
 * silent device says nothing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"
#include "wire/adc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char table_yaml[] =
	"region: r\nowners: [{name: o}]\n"
	"groups: [{name: g, owner: o, cells: [{name: a, type: f64, min: -1, max: 1}, {name: b, type: f64},\n"
	"  {name: i, type: i64}, {name: on, type: bool}, {name: n, type: u64}]}]\n"
	"devices: [{name: d, id: 1, owner: o, commit_hz: 500, inputs: [\n"
	"  {cell: g.a, channel: 0, low: -1, high: 1, dead_zone: 0.1, filter_ms: 5, invert: true},\n"
	"  {cell: g.b, channel: 1, calibration: [{raw: 100, value: 5}, {raw: 500, value: -7}, {raw: 60000, value: 3}]},\n"
	"  {cell: g.i, channel: 2, low: -9, high: 9}, {cell: g.on, level: 3}, {cell: g.n, presses: 7}]}]\n";
static const char key_text[] = "device:1 k 01020304000000000000000000000000\n";
static const uint8_t key[SIPHASH_KEY] = { 1, 2, 3, 4 };

static bool alive;
static unsigned told;           /* how often it was said to be alive */
static bool fell_silent;
static uint64_t presses;

static int commit(void *context, uint32_t device, const struct ingest_value *v, uint32_t n, uint64_t age_ns)
{
	(void)context;
	(void)age_ns;
	if (device != 0 || n != 5 || !alive)
		abort();
	if (v[0].quality != DSM_BAD && !(v[0].value.f64 >= -1 && v[0].value.f64 <= 1))
		abort();
	if (v[1].quality != DSM_BAD && !(v[1].value.f64 >= -7 && v[1].value.f64 <= 5))
		abort();
	if (v[2].quality != DSM_BAD && (v[2].value.i64 < -9 || v[2].value.i64 > 9))
		abort();
	if (v[4].value.u64 < presses)
		abort();
	presses = v[4].value.u64;
	return 0;
}

static void set_alive(void *context, uint32_t device, bool now_alive)
{
	(void)context;
	if (device != 0 || (!now_alive && !alive))
		abort();
	alive = now_alive;
	told += now_alive;
	fell_silent = fell_silent || !now_alive;
}

static uint64_t take(const uint8_t **at, const uint8_t *end, unsigned n)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < n && *at < end; i++)
		value |= (uint64_t)*(*at)++ << (8 * i);
	return value;
}

static size_t signed_one(const uint8_t **at, const uint8_t *end, uint8_t *out)
{
	uint16_t channels[4];
	uint64_t kind = take(at, end, 1);
	struct adc_header h = { .device = 1, .epoch = (uint32_t)take(at, end, kind & 1 ? 4 : 1),
		.seq = (uint32_t)take(at, end, kind & 2 ? 4 : 1), .uptime_us = take(at, end, kind & 4 ? 8 : 2),
		.flags = (uint8_t)take(at, end, 1) & ADC_FLAGS, .channels = kind >> 3 & 3, .levels = (uint32_t)take(at, end, 1) };
	h.presses[7] = (uint8_t)take(at, end, 1);
	for (unsigned i = 0; i < 4; i++)
		channels[i] = (uint16_t)take(at, end, 2);
	return adc_encode(&h, channels, key, out, ADC_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ingest_sink sink = { NULL, commit, set_alive };
	const uint8_t *at = data, *end = data + size;
	struct dsm_table *table = NULL;
	struct keys *keys = NULL;
	struct ingest *ingest = NULL;
	uint64_t now = 1, given = 0, epoch = 0, seq = 0;
	alive = false;
	presses = 0;
	if (table_load_memory("t", table_yaml, strlen(table_yaml), &table) ||
	    keys_load_memory("k", key_text, strlen(key_text), &keys) || ingest_new(table, keys, &sink, &ingest))
		abort();
	for (unsigned step = 0; at < end && step < 2000; step++) {
		uint8_t out[ADC_BYTES_MAX], kind = (uint8_t)take(&at, end, 1);
		struct ingest_source from = { .n = 1, .bytes = { kind & 1 } };
		now += take(&at, end, kind & 2 ? 5 : 1) << 12;
		if (kind & 16)
			ingest_look(ingest, now);
		if (kind & 4)
			ingest_tick(ingest, now, kind & 32 && now > 1000000 ? now - 1000000 : now);
		size_t n = signed_one(&at, end, out);
		if (kind & 8)
			out[take(&at, end, 1) % n] ^= (uint8_t)(1 + take(&at, end, 1) % 255);
		struct ingest_info info;
		bool was_alive = alive;
		told = fell_silent = 0;
		enum ingest_verdict verdict = ingest_datagram(ingest, &from, out, n, now);
		given++;
		ingest_info(ingest, 0, now, &info);
		bool newer = info.epoch > epoch || (info.epoch == epoch && info.seq > seq) || !(epoch | seq);
		if (verdict == INGEST_ACCEPTED ? !newer || kind & 8 : info.epoch != epoch || info.seq != seq)
			abort();
		/* alive once more: after a silence, or of a board that started anew, and then always */
		bool anew = verdict == INGEST_ACCEPTED && (!was_alive || fell_silent || info.epoch != epoch);
		if (told != anew)
			abort();
		if (info.clock_known && (!isfinite(info.offset_us) || !isfinite(info.drift_ppm)))
			abort();
		epoch = info.epoch;
		seq = info.seq;
		uint64_t sum = 0;
		for (int v = 0; v < INGEST_VERDICTS; v++)
			sum += ingest_count(ingest, (enum ingest_verdict)v);
		if (sum != given || (alive && ingest_next_ns(ingest) == UINT64_MAX))
			abort();
	}
	ingest_free(&ingest);
	keys_free(&keys);
	dsm_table_free(&table);
	return 0;
}
