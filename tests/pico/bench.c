/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "journal.h"

#define VALUE_ERROR 6           /* of 65535 */

struct machine *m;
struct seen seen[SEEN_MAX];
unsigned seen_count;
uint64_t stream_hash;
uint32_t bench_device = 7, bench_tick_us = 1000;
uint8_t bench_key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
struct pico_settings bench_settings;
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

bool bench_fill(unsigned settings, unsigned epochs)
{
	static const struct journal settings_journal = { 0, 0x31474643, SETTINGS_BYTES + JOURNAL_OVERHEAD },
		epoch_journal = { 2 * HAL_FLASH_SECTOR, 0x31434f50, 4 + JOURNAL_OVERHEAD };
	uint8_t bytes[SETTINGS_BYTES];
	settings_encode(&bench_settings, bytes);
	for (unsigned i = 0; i < settings; i++)
		if (!journal_save(&settings_journal, bytes))
			return false;
	for (unsigned i = 1; i <= epochs; i++) {
		const uint8_t epoch[4] = { (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24) };
		if (!journal_save(&epoch_journal, epoch))
			return false;
	}
	return true;
}

static bool configure(void)
{
	struct pico_settings *s = &bench_settings;
	settings_default(s);
	s->device = bench_device;
	s->tick_us = bench_tick_us;
	s->gateway[0] = 192, s->gateway[1] = 168, s->gateway[2] = 1, s->gateway[3] = 1;
	s->local_port = 7463;
	s->has_key = true;
	memcpy(s->key, bench_key, sizeof(s->key));
	return bench_fill(1, 0);
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
			EXPECT(fabs(seen[i].value[c] - want) <= VALUE_ERROR, "datagram %u channel %u: %u, injected %.0f", i, c,
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

bool bench_addresses_right(void)
{
	const struct pico_settings *s = &bench_settings;
	const uint8_t *common = m->net.common, *port = m->net.socket + 4;
	EXPECT(memcmp(common + 0x0f, s->address, 4) == 0, "SIPR %u.%u.%u.%u", common[15], common[16], common[17], common[18]);
	EXPECT(memcmp(common + 0x05, s->mask, 4) == 0, "SUBR %u.%u.%u.%u", common[5], common[6], common[7], common[8]);
	EXPECT(memcmp(common + 0x01, s->gateway, 4) == 0, "GAR %u.%u.%u.%u", common[1], common[2], common[3], common[4]);
	EXPECT(memcmp(common + 0x09, s->mac, 6) == 0, "SHAR begins %02x:%02x", common[9], common[10]);
	EXPECT((port[0] << 8 | port[1]) == s->local_port, "Sn_PORT %u", port[0] << 8 | port[1]);
	return true;
}

bool bench_stack_right(const char *when)
{
	unsigned used = machine_stack_used(m);
	printf("#   stack, %s: %u of %u bytes used\n", when, used, STACK_BYTES);
	EXPECT(used <= STACK_BYTES / 2, "more than half of the stack is used");
	return true;
}
