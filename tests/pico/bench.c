/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "journal.h"
#include "settings.h"

struct machine *m;
struct seen seen[SEEN_MAX];
unsigned seen_count;
uint64_t stream_hash;
uint32_t bench_device = 7, bench_tick_us = 1000;
uint8_t bench_key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static bool bad_datagram;

void bench_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list list;
	const char *name = strrchr(file, '/');
	printf("#   %s:%d: not so: %s: ", name ? name + 1 : file, line, what);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
}

static void hash(const void *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stream_hash = (stream_hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
}

static void take(void *context, const uint8_t ip[4], uint16_t port, const uint8_t *data, size_t n)
{
	static const uint8_t engine[4] = { 192, 168, 1, 10 };
	struct seen *s = &seen[seen_count % SEEN_MAX];
	(void)context;
	hash(&m->now_ps, sizeof(m->now_ps));
	hash(data, n);
	if (memcmp(ip, engine, 4) != 0 || port != 7462 || adc_decode(data, n, &s->h) != ADC_GOOD ||
	    !adc_authentic(data, n, bench_key) || s->h.channels != 3) {
		bad_datagram = true;
		return;
	}
	s->at_ps = m->now_ps;
	for (unsigned c = 0; c < 3; c++)
		s->value[c] = adc_channel(data, c);
	seen_count++;
}

/* What `save` would have written: the journal's code itself, on the model's flash. */
void hal_flash_read(uint32_t offset, uint8_t *out, size_t n)
{
	memcpy(out, m->flash + STORE_AT + offset, n);
}

bool hal_flash_erase(uint32_t offset)
{
	memset(m->flash + STORE_AT + offset, 0xff, HAL_FLASH_SECTOR);
	return true;
}

bool hal_flash_program(uint32_t offset, const uint8_t page[HAL_FLASH_PAGE])
{
	for (unsigned i = 0; i < HAL_FLASH_PAGE; i++)
		m->flash[STORE_AT + offset + i] &= page[i];
	return true;
}

static bool configure(void)
{
	static const struct journal journal = { 0, 0x31474643, SETTINGS_BYTES + JOURNAL_OVERHEAD };
	uint8_t bytes[SETTINGS_BYTES];
	struct pico_settings s;
	settings_default(&s);
	s.device = bench_device;
	s.tick_us = bench_tick_us;
	s.has_key = true;
	memcpy(s.key, bench_key, sizeof(s.key));
	settings_encode(&s, bytes);
	return journal_save(&journal, bytes);
}

bool bench_begin(const char *image, bool configured)
{
	bench_end();
	m = machine_new(image);
	if (!m || (configured && !configure()))
		return false;
	m->datagram = take;
	m->volt[0] = 0.5;
	m->volt[1] = 1.65;
	m->volt[2] = 3.0;
	m->volt[3] = 2.2; /* GPIO29 must not be among them */
	seen_count = 0;
	stream_hash = 0xcbf29ce484222325u;
	bad_datagram = false;
	machine_power_on(m, 1u << 16);
	return true;
}

void bench_end(void)
{
	if (m)
		machine_free(&m);
}

bool bench_say(const char *line, const char *answer)
{
	size_t before = m->uart_out_n;
	machine_type(m, line);
	for (unsigned i = 0; i < 100; i++) {
		RUN(5 * MS);
		if (strstr(m->uart_out + before, answer))
			return true;
	}
	bench_failed("bench.c", 0, answer, "typed \"%s\", the console said \"%s\"", line, m->uart_out + before);
	return false;
}

bool bench_values_right(unsigned first)
{
	EXPECT(!bad_datagram, "a datagram is no good one");
	EXPECT(first < seen_count, "no datagram: %u", seen_count);
	for (unsigned i = first; i < seen_count; i++)
		for (unsigned c = 0; c < 3; c++) {
			double want = m->volt[c] / 3.3 * 65535;
			EXPECT(fabs(seen[i].value[c] - want) < 20, "datagram %u channel %u: %u, injected %.0f", i, c,
				seen[i].value[c], want);
		}
	return true;
}

bool bench_ticks_right(unsigned first)
{
	EXPECT(!bad_datagram && seen_count, "a datagram is no good one");
	for (unsigned i = first + 1; i < seen_count; i++) {
		double us = (double)(seen[i].at_ps - seen[i - 1].at_ps) / 1e6;
		double up = (double)(seen[i].h.uptime_us - seen[first].h.uptime_us);
		EXPECT(seen[i].h.seq == seen[i - 1].h.seq + 1, "seq %u after %u", seen[i].h.seq, seen[i - 1].h.seq);
		EXPECT(us > 900 && us < 1100, "%.0f us between datagrams %u and %u", us, i - 1, i);
		EXPECT(fabs(up - (double)(seen[i].at_ps - seen[first].at_ps) / 1e6) < 200,
			"its clock says %.0f us, it was %.0f", up, (double)(seen[i].at_ps - seen[first].at_ps) / 1e6);
	}
	return true;
}
