/* SPDX-License-Identifier: Apache-2.0 */
/* What a board's numbers become in cells, and what its clock is known to be. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest_clock.h"
#include "ingest_fixture.h"

TestSuite(ingest_values, .fini = ingest_end);

static uint32_t seq;

static void start(const char *inputs)
{
	ingest_end();
	ingest_start("", inputs);
	seq = 0;
}

static double number(uint16_t raw)
{
	now += MS;
	cr_assert_eq(panel(1, ++seq, raw), INGEST_ACCEPTED);
	cr_assert_eq(sunk.values[0].quality, DSM_GOOD);
	return sunk.values[0].value.f64;
}

Test(ingest_values, scaling)
{
	start("{cell: k.a, channel: 0}");
	cr_expect(number(0) == 0 && number(65535) == 1);
	start("{cell: k.a, channel: 0, low: -50, high: 150}");
	cr_expect(number(0) == -50 && number(65535) == 150);
	cr_expect_float_eq(number(32768), 50, 0.01);
	start("{cell: k.a, channel: 0, low: 150, high: -50}");
	cr_expect(number(0) == 150 && number(65535) == -50);
	start("{cell: k.a, channel: 0, low: -50, high: 150, invert: true}");
	cr_expect(number(0) == 150 && number(65535) == -50);
	cr_expect_float_eq(number(16384), 100, 0.01);
}

Test(ingest_values, whole_numbers)
{
	start("{cell: k.i, channel: 0, low: -10, high: 10}, {cell: k.u, channel: 1, low: 0, high: 3}");
	number(0);
	cr_expect(sunk.values[0].value.type == DSM_I64 && sunk.values[0].value.i64 == -10);
	cr_expect(sunk.values[1].value.type == DSM_U64 && sunk.values[1].value.u64 == 0);
	number(65535);
	cr_expect(sunk.values[0].value.i64 == 10 && sunk.values[1].value.u64 == 3);
	number(32768);
	cr_expect(sunk.values[0].value.i64 == 0 && sunk.values[1].value.u64 == 2);
}

/* No jump at the zone's edges, both ends are reached, and it never runs backwards. */
Test(ingest_values, dead_zone)
{
	start("{cell: k.a, channel: 0, low: -1, high: 1, dead_zone: 0.1}");
	cr_expect(number(32767) == 0 && number(32768 + 6000) == 0 && number(32768 - 6000) == 0);
	cr_expect(number(0) == -1 && number(65535) == 1);
	double last = -1;
	for (uint32_t raw = 0; raw <= 65535; raw += 13) {
		double v = number((uint16_t)raw);
		cr_assert(v >= last && v - last < 0.001, "%u: %g after %g", raw, v, last);
		last = v;
	}
	/* a pedal: at one end only */
	start("{cell: k.a, channel: 0, low: 0, high: 100, dead_zone: 0.05, center: 0}");
	cr_expect(number(0) == 0 && number(3200) == 0 && number(65535) == 100);
	cr_expect(number(3400) > 0 && number(3400) < 1);
	start("{cell: k.a, channel: 0, low: 0, high: 100, dead_zone: 0.05, center: 100}");
	cr_expect(number(65535) == 100 && number(62500) == 100 && number(0) == 0);
}

Test(ingest_values, calibration)
{
	start("{cell: k.a, channel: 0, calibration: [{raw: 1000, value: 20}, {raw: 2000, value: 30}, {raw: 60000, value: -5}]}");
	cr_expect(number(0) == 20 && number(1000) == 20 && number(1500) == 25 && number(2000) == 30);
	cr_expect_float_eq(number(31000), 12.5, 1e-9);
	cr_expect(number(60000) == -5 && number(65535) == -5);
	start("{cell: k.a, channel: 0, invert: true, calibration: [{raw: 1000, value: -1}, {raw: 30000, value: 0}, "
		"{raw: 64000, value: 1}], dead_zone: 0.02}");
	cr_expect(number(0) == 1 && number(30000) == 0 && number(30500) == 0 && number(65000) == -1);
}

Test(ingest_values, filter)
{
	start("{cell: k.a, channel: 0, filter_ms: 20}");
	cr_expect(number(0) == 0, "the first value is taken as it is");
	double v = 0;
	for (int i = 0; i < 20; i++)
		v = number(65535);
	cr_expect_float_eq(v, 1 - exp(-1), 0.02, "%g after one time constant", v);
	for (int i = 0; i < 400; i++)
		v = number(65535);
	cr_expect_float_eq(v, 1, 1e-6);
	/* lost datagrams: as much time has passed */
	start("{cell: k.a, channel: 0, filter_ms: 20}");
	number(0);
	now += 19 * MS;
	seq += 19;
	v = number(65535);
	cr_expect_float_eq(v, 0.5, 1e-9, "%g: 20 of 20 + 20 ms", v);
	/* after a silence the old value means nothing */
	pass(500 * MS);
	cr_expect_eq(number(1000), 1000 / 65535.0);
}

Test(ingest_values, levels_and_presses)
{
	start("{cell: k.on, level: 0}, {cell: k.off, level: 31, invert: true}, {cell: k.n, presses: 2}");
	struct adc_header h = { .device = 7, .epoch = 1, .seq = 1, .levels = 1, .presses = { 0, 0, 250 } };
	give(&h, NULL, panel_key, 1);
	cr_expect(sunk.n == 3 && sunk.values[0].value.b && sunk.values[1].value.b);
	cr_expect_eq(sunk.values[2].value.u64, 0u, "where the count begins, not 250 presses");
	h = (struct adc_header){ .device = 7, .epoch = 1, .seq = 90, .levels = 0x80000000u, .presses = { 9, 9, 4 } };
	give(&h, NULL, panel_key, 1);
	cr_expect(!sunk.values[0].value.b && !sunk.values[1].value.b);
	cr_expect_eq(sunk.values[2].value.u64, 10u, "over a gap, and over the wrap");
	h = (struct adc_header){ .device = 7, .epoch = 2, .seq = 5, .presses = { 0, 0, 3 } };
	give(&h, NULL, panel_key, 1);
	cr_expect_eq(sunk.values[2].value.u64, 13u, "a new boot counts from 0");
	/* a silence loses none */
	pass(1000 * MS);
	h.seq = 500;
	h.presses[2] = 5;
	give(&h, NULL, panel_key, 1);
	cr_expect_eq(sunk.values[2].value.u64, 15u);
	/* the engine again: from the cell's value */
	start("{cell: k.n, presses: 2}");
	for (uint32_t d = 0; d < 2; d++) {
		enum dsm_type type;
		if (ingest_counts_presses(ingest, d, 0) && strcmp(ingest_cell(ingest, d, 0, &type), "k.n") == 0)
			ingest_add_presses(ingest, d, 0, 15);
	}
	h.seq = 501;
	give(&h, NULL, panel_key, 1);
	h.seq = 502;
	h.presses[2] = 6;
	give(&h, NULL, panel_key, 1);
	cr_expect_eq(sunk.values[0].value.u64, 16u);
}

Test(ingest_values, quality)
{
	start("{cell: k.a, channel: 0}, {cell: k.b, channel: 9}, {cell: k.on, level: 0}");
	number(65535);
	cr_expect_eq(sunk.values[1].quality, DSM_BAD, "eight channels: there is no ninth");
	cr_expect_eq(info(7).no_channel, 1u);
	uint16_t channels[10] = { 0 };
	struct adc_header h = { .device = 7, .epoch = 1, .seq = 10, .channels = 10, .flags = ADC_FAULT, .levels = 1 };
	give(&h, channels, panel_key, 1);
	cr_expect(sunk.values[0].quality == DSM_BAD && sunk.values[1].quality == DSM_BAD);
	cr_expect(sunk.values[2].quality == DSM_GOOD && sunk.values[2].value.b, "the buttons are not the converter");
	h.flags = ADC_SIMULATED | ADC_RESET_WATCHDOG;
	h.seq = 11;
	give(&h, channels, panel_key, 1);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(sunk.values[i].quality, DSM_SIMULATED);
	cr_expect_eq(info(7).flags & ADC_RESET_BITS, ADC_RESET_WATCHDOG);
}

/* ---- clock ---- */

/* 40 s of a board whose clock runs `ppm` slow, over a way of 300 us with delays on top. Is the drift, is
 * the offset at its end as far off as was said, or nearer? */
static void run_clock(double ppm, double delay_us, struct ingest_clock *c, unsigned off[2])
{
	uint64_t begin = 77777777777, arrival = 0, sent = 0;
	double uptime = 0;
	memset(c, 0, sizeof(*c));
	for (uint64_t tick = 0; tick < 40000; tick++) {
		sent = begin + tick * MS;
		uptime = (double)(tick * 1000) * (1 - ppm * 1e-6) + 5e6;
		double late = -delay_us * log((rand() + 1.0) / (RAND_MAX + 2.0)); /* few are much later */
		uint64_t alone = sent + 300000 + (uint64_t)(late * 1e3);
		arrival = alone > arrival ? alone : arrival; /* nothing overtakes */
		cr_assert(ingest_clock_take(c, (uint64_t)uptime, arrival));
	}
	double drift_error, offset_error, drift = ingest_clock_drift_ppm(c, &drift_error);
	double offset = ingest_clock_offset_ns(c, arrival, &offset_error);
	double expected = (double)(sent + 300000) - uptime * 1e3;
	off[0] += fabs(drift - ppm) > drift_error;
	off[1] += fabs(offset - expected) > offset_error;
	cr_expect(fabs(drift - ppm) < 3, "%g +- %g for %g", drift, drift_error, ppm);
	cr_expect_lt(drift_error, 3.0);
	cr_expect_lt(offset_error, 1e5);
}

Test(ingest_values, clock_drift)
{
	static const struct { double ppm, delay_us; } cases[] = { { 0, 0 }, { 37, 50 }, { -85, 500 }, { 20, 1000 } };
	enum { RUNS = 25 };
	struct ingest_clock c;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned off[2] = { 0 };
		srand((unsigned)i + 1);
		for (int run = 0; run < RUNS; run++)
			run_clock(cases[i].ppm, cases[i].delay_us, &c, off);
		/* two standard errors: about one of twenty lies beyond */
		cr_expect(off[0] <= 5 && off[1] <= 5, "case %zu: drift beyond what was said in %u of %d, offset in %u", i,
			off[0], RUNS, off[1]);
	}
}

Test(ingest_values, clock_jumps)
{
	struct ingest_clock c = { 0 };
	uint64_t t = 1000 * MS, up = 0;
	for (int i = 0; i < 6000; i++, t += MS, up += 1000)
		cr_assert(ingest_clock_take(&c, up, t));
	cr_expect(ingest_clock_known(&c));
	cr_expect_eq(ingest_clock_age_ns(&c, up, t + 5 * MS), 5 * MS);
	cr_expect_eq(ingest_clock_age_ns(&c, up + 5000, t), 0u);
	cr_expect(!ingest_clock_take(&c, up + 5000000, t), "five seconds ahead");
	cr_expect(!ingest_clock_known(&c));
	cr_expect(ingest_clock_take(&c, up + 5001000, t + MS));
	cr_expect(!ingest_clock_take(&c, UINT64_MAX, t + 2 * MS), "nonsense is a jump");
	cr_expect(!ingest_clock_take(&c, 0, t + 3 * MS) || true);
	/* through the device: a new boot is no jump, a jump within a boot is */
	start("{cell: k.a, channel: 0}");
	struct adc_header h = { .device = 7, .epoch = 1, .seq = 1, .uptime_us = 10000000 };
	give(&h, NULL, panel_key, 1);
	h.epoch = 2;
	h.uptime_us = 5;
	give(&h, NULL, panel_key, 1);
	cr_expect_eq(info(7).clock_steps, 0u);
	h.seq = 2;
	h.uptime_us = 9000000;
	give(&h, NULL, panel_key, 1);
	cr_expect_eq(info(7).clock_steps, 1u);
}

Test(ingest_values, clock_of_a_device)
{
	start("{cell: k.a, channel: 0}");
	for (int i = 0; i < 12000; i++)
		number(0);
	struct ingest_info i = info(7);
	cr_expect(i.clock_known && fabs(i.drift_ppm) < 0.5 && fabs(i.offset_us) < 5 && i.offset_error_us < 5,
		"%g +- %g us, %g +- %g ppm", i.offset_us, i.offset_error_us, i.drift_ppm, i.drift_error_ppm);
	cr_expect_eq(sunk.age_ns / 1000, 0u);
	/* a datagram that was held up for 7 ms: its values are that old */
	struct adc_header h = { .device = 7, .channels = 0, .epoch = 1, .seq = ++seq, .uptime_us = now / 1000 };
	now += 7 * MS;
	give(&h, NULL, panel_key, 1);
	cr_expect_float_eq((double)sunk.age_ns, 7e6, 1e5);
}
