/* SPDX-License-Identifier: Apache-2.0 */
/* The board's portable part on a made-up machine: averaging, buttons, ticks, boot counter. */
#include <criterion/criterion.h>
#include <string.h>

#include "device.h"

/* ---- averaging ---- */

Test(pico, average_keeps_both_ends)
{
	uint16_t samples[16];
	for (unsigned log2 = 0; log2 <= PICO_AVERAGE_LOG2_MAX; log2++) {
		uint32_t last = 0;
		for (uint32_t v = 0; v < 4096; v++) {
			for (unsigned i = 0; i < 16; i++)
				samples[i] = (uint16_t)v;
			uint16_t mean = pico_average(samples, log2);
			cr_assert(v == 0 ? mean == 0 : mean > last, "log2 %u value %u", log2, v);
			/* 4095 -> 65535, linear within one of the last place */
			cr_assert(mean * 4095ull + 4095 >= v * 65535ull && mean * 4095ull <= v * 65535ull + 4095);
			last = mean;
		}
		cr_assert_eq(last, 65535u);
	}
	memset(samples, 0, sizeof(samples));
	samples[3] = 8; /* half a step of the converter is seen when 16 are averaged */
	cr_expect_eq(pico_average(samples, 4), 8);
	samples[3] = 0xf001;
	cr_expect_eq(pico_average(samples, 4), 1, "bits above the converter's are not its own");
}

/* ---- buttons ---- */

Test(pico, buttons_bounce)
{
	struct pico_buttons b;
	uint32_t t = 0xfffff000u; /* the clock's low half wraps on the way */
	pico_buttons_start(&b, 5000, 1u << 9);
	cr_expect_eq(b.levels, 1u << 9);
	for (int i = 0; i < 21; i++, t += 400) /* bounces: never 5 ms of one level */
		pico_buttons_poll(&b, (i & 1) | 1u << 9, t);
	cr_expect_eq(b.levels, 1u << 9);
	cr_expect_eq(b.presses[0], 0);
	uint32_t pressed = t;
	pico_buttons_poll(&b, 1, t);
	for (; t - pressed < 5000; t += 100) {
		pico_buttons_poll(&b, 1, t);
		cr_assert_eq(b.levels, 1u << 9, "after %u us", t - pressed);
	}
	pico_buttons_poll(&b, 1, t);
	cr_expect_eq(b.levels, 1u, "pressed and the other released, after 5 ms");
	cr_expect_eq(b.presses[0], 1);
	for (int i = 0; i < 100; i++, t += 1000)
		pico_buttons_poll(&b, 1, t);
	cr_expect_eq(b.presses[0], 1, "held, not pressed again");
}

Test(pico, presses_are_counted_and_wrap)
{
	struct pico_buttons b;
	uint32_t t = 0;
	pico_buttons_start(&b, 1000, 0);
	for (int i = 0; i < 300; i++)
		for (int k = 0; k < 8; k++, t += 500)
			pico_buttons_poll(&b, k < 4 ? 0x80000088u : 0, t);
	cr_expect_eq(b.presses[3], 300 % 256);
	cr_expect_eq(b.presses[7], 300 % 256);
	cr_expect_eq(b.presses[0], 0);
}

/* ---- the board ---- */

static struct machine {
	uint64_t now;
	uint32_t levels, epoch;
	uint16_t sample;
	bool converter, store, busy;
	unsigned stores, sends;
	uint8_t data[600];
	size_t bytes;
} m;

static uint64_t now_us(void *context) { (void)context; return m.now; }
static uint32_t levels(void *context) { (void)context; return m.levels; }

static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	(void)context;
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint16_t)(m.sample + channel);
	return m.converter;
}

static bool send(void *context, const uint8_t *data, size_t n)
{
	(void)context;
	m.sends++;
	memcpy(m.data, data, n);
	m.bytes = n;
	return !m.busy;
}

static bool load_epoch(void *context, uint32_t *epoch)
{
	(void)context;
	*epoch = m.epoch;
	return m.store;
}

static bool store_epoch(void *context, uint32_t epoch)
{
	(void)context;
	m.stores++;
	if (m.store)
		m.epoch = epoch;
	return m.store;
}

static const struct pico_hal hal = { NULL, now_us, samples, levels, send, load_epoch, store_epoch };
static const struct pico_config config = { .device = 5, .tick_us = 1000, .debounce_us = 2000, .channels = 3,
	.log2_average = 4, .reset = ADC_RESET_WATCHDOG, .key = { 9, 9, 9 } };
static struct pico_device device;

static void start(void)
{
	m = (struct machine){ .now = 50, .epoch = 41, .converter = true, .store = true, .sample = 100 };
	cr_assert(pico_start(&device, &config, &hal));
}

TestSuite(board, .init = start);

static struct adc_header sent(void)
{
	struct adc_header h = { 0 };
	cr_assert_eq(adc_decode(m.data, m.bytes, &h), ADC_GOOD);
	cr_assert(adc_authentic(m.data, m.bytes, config.key));
	return h;
}

Test(board, a_datagram_each_tick)
{
	cr_expect_eq(m.epoch, 42u, "stored before the first datagram");
	cr_expect(!pico_poll(&device));
	cr_expect_eq(m.sends, 0u);
	for (uint32_t tick = 1; tick <= 10; tick++) {
		m.now = 50 + 1000ull * tick - 1;
		cr_expect(!pico_poll(&device));
		m.now++;
		cr_expect(pico_poll(&device));
		struct adc_header h = sent();
		cr_expect(h.device == 5 && h.epoch == 42 && h.seq == tick && h.uptime_us == m.now);
		cr_expect_eq(h.flags, ADC_RESET_WATCHDOG);
		cr_expect_eq(h.channels, 3);
		cr_expect_eq(adc_channel(m.data, 2), (uint16_t)(102 * 16 + (102 * 16 >> 12)));
	}
	cr_expect_eq(device.sent, 10u);
}

Test(board, dropped_and_late_ticks_are_counted)
{
	m.now = 1050;
	m.busy = true;
	cr_expect(pico_poll(&device));
	m.busy = false;
	m.now = 2050;
	pico_poll(&device);
	cr_expect_eq(sent().seq, 2u, "the dropped one is a gap");
	cr_expect_eq(device.dropped, 1u);
	m.now = 9999; /* the main loop stood still for six ticks: one datagram, and the gap shows */
	cr_expect(pico_poll(&device));
	cr_expect_eq(sent().seq, 9u);
	cr_expect(!pico_poll(&device));
	m.now = 10050;
	cr_expect(pico_poll(&device));
	cr_expect_eq(sent().seq, 10u);
}

Test(board, seq_wraps_into_a_new_epoch)
{
	device.seq = UINT32_MAX - 1;
	m.now = 1050;
	pico_poll(&device);
	cr_expect(sent().seq == UINT32_MAX && sent().epoch == 42);
	m.now = 2050;
	pico_poll(&device);
	cr_expect(sent().seq == 1 && sent().epoch == 43);
	cr_expect_eq(m.epoch, 43u, "stored");
}

Test(board, what_fails_is_told)
{
	m.now = 1050;
	m.converter = false;
	pico_poll(&device);
	cr_expect_eq(sent().flags, ADC_RESET_WATCHDOG | ADC_FAULT);
	m.converter = true;
	m.store = false;
	cr_assert(pico_start(&device, &config, &hal));
	m.now = 2050;
	pico_poll(&device);
	cr_expect_eq(sent().flags, ADC_RESET_WATCHDOG | ADC_NO_EPOCH);
	struct pico_config wrong = config;
	wrong.channels = PICO_CHANNELS + 1;
	cr_expect(!pico_start(&device, &wrong, &hal));
	wrong = config;
	wrong.tick_us = 0;
	cr_expect(!pico_start(&device, &wrong, &hal));
	wrong = config;
	wrong.log2_average = 5;
	cr_expect(!pico_start(&device, &wrong, &hal));
}

Test(board, buttons_go_along)
{
	m.levels = 0x10;
	for (m.now = 100; m.now < 8000; m.now += 100)
		pico_poll(&device);
	cr_expect_eq(sent().levels, 0x10u);
	cr_expect_eq(sent().presses[4], 1);
}
