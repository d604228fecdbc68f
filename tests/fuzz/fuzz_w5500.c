/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network chip's driver (pico/drv/w5500.c) against a chip that answers what it likes. Whatever that is,
 * no call takes more frames than it promises, nothing is written into a buffer that is being sent, and once
 * the chip is itself again the driver finds back to it by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "drv/w5500.h"

#define FRAMES_MAX 460u         /* four things that are waited for, 100 looks each, and what is written */
#define DATAGRAM_MAX 104u

static const uint8_t *input;
static size_t left;
static unsigned frames, sends;
static bool under_way;          /* as the driver was told */
static uint8_t interrupts;

static uint8_t next(uint8_t otherwise)
{
	if (!left)
		return otherwise;
	left--;
	return *input++;
}

/* What a chip says that works: register, then its value. */
static uint8_t sane(unsigned block, unsigned at)
{
	if (block == 0 && at == 0x39)
		return 4; /* VERSIONR */
	if (block == 0 && at == 0x2e)
		return 0xbf; /* PHYCFGR */
	if (block == 1 && at == 2)
		return interrupts; /* Sn_IR */
	if (block == 1 && at == 3)
		return 0x22; /* Sn_SR */
	return block == 1 && at == 0x20 ? 8 : 0; /* Sn_TX_FSR 2048; Sn_CR, MR and all else 0 */
}

static void written(unsigned block, unsigned at, const uint8_t *out, size_t n)
{
	if (block == 2 && (under_way || n > DATAGRAM_MAX))
		abort();
	if (block == 0 && at == 0 && n == 1 && out[0] & 0x80) {
		under_way = false;
		interrupts = 0;
	}
	if (block == 1 && at == 1 && n == 1 && out[0] == 0x20) {
		if (under_way)
			abort();
		sends++;
		interrupts |= next(0) < 128 ? 0x10 : 0; /* or it never ends */
	}
	if (block == 1 && at == 2 && n == 1) {
		interrupts &= (uint8_t)~out[0];
		under_way = under_way && !(out[0] & 0x18);
	}
}

/* Of each byte that is read the input decides: the right answer, or the one it gives. */
static void spi(void *context, const uint8_t head[3], const uint8_t *out, uint8_t *in, size_t n)
{
	unsigned block = head[2] >> 3, at = (unsigned)head[0] << 8 | head[1];
	if (context != &frames || head[2] & 3 || block > 2 || n == 0 || ++frames > FRAMES_MAX)
		abort();
	if ((head[2] & 4) != 0 && out)
		written(block, at, out, n);
	for (size_t i = 0; in && i < n; i++) {
		uint8_t right = sane(block, at + (unsigned)i);
		in[i] = next(0) < 128 ? right : next(right);
	}
}

static void step(struct w5500 *chip, uint64_t now_us, unsigned size)
{
	static const uint8_t data[DATAGRAM_MAX];
	frames = 0;
	w5500_poll(chip, now_us);
	frames = 0;
	if (w5500_send(chip, data, size))
		under_way = true;
	if (under_way != chip->sending && chip->sending)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct pico_settings settings;
	struct w5500 chip = { .context = &frames, .spi = spi };
	uint64_t now_us = 0;
	input = bytes;
	left = size;
	under_way = false;
	interrupts = 0;
	frames = 0;
	settings_default(&settings);
	w5500_start(&chip, &settings);
	for (unsigned i = 0; left && i < 300; i++) {
		now_us += 1 + 257u * next(0);
		step(&chip, now_us, 1 + next(47) % DATAGRAM_MAX);
	}
	left = 0;
	for (unsigned i = 0; i < 1200; i++, now_us += 1000) {
		if (i == 1100)
			sends = 0;
		step(&chip, now_us, 48);
	}
	if (!chip.open || !chip.link || sends < 50)
		abort();
	return 0;
}
