/* SPDX-License-Identifier: Apache-2.0 */
/* 12.4, ADC: round robin, divider, FIFO of eight; 12.6, DMA: channel 0, from the ADC's FIFO into a ring. */
#include "machine.h"

#include <string.h>

#define EN (1u << 0)
#define START_MANY (1u << 3)
#define READY (1u << 8)
#define FCS_EN (1u << 0)
#define FCS_ERR (1u << 2)
#define FCS_DREQ (1u << 3)
#define ADC_PIN0 26u
#define DMA_BUSY (1u << 26)
#define WRITE_ERROR (1u << 29)
#define READ_ERROR (1u << 30)
#define ADC_PINS 4u
#define ISO_OD_IE_PULLS (1u << 8 | 1u << 6 | 1u << 3 | 1u << 2)

void adc_reset(struct machine *m)
{
	m->adc_cs = m->adc_fcs = m->adc_div = 0;
	m->adc_level = 0;
	m->adc_over = m->adc_under = false;
	m->dma_read = m->dma_write = m->dma_reload = m->dma_left = m->dma_ctrl = m->dma_errors = 0;
	m->dma_active = false;
}

static uint64_t period_ps(const struct machine *m)
{
	uint64_t cycles = (m->adc_div >> 8 & 0xffff) + 1, hz = clock_adc_hz(m);
	return (cycles < 96 ? 96 : cycles) * 1000000000000ull / (hz ? hz : 1);
}

/* Noise in steps of the converter, -8 to 8: over any 16 conversions of a channel one after the other it comes
 * to nothing, rounding included, so their mean is the voltage, and that of fewer, or of one taken 16 times, is
 * not. Less near the ends of the range, where a real one would be cut off. */
static double noise(const struct machine *m, double code)
{
	uint32_t channels = (uint32_t)__builtin_popcount(m->adc_cs >> 16 & 0x1ff);
	unsigned round = (unsigned)(m->samples / (channels ? channels : 1) * 7 % 16);
	double from_end = code < 4095 - code ? code : 4095 - code, part = from_end < 8 ? from_end / 8 : 1;
	return part * (round - 7.5) * 17 / 16;
}

/* Section 12.4.3; erratum RP2350-E9: a pad whose input or pulls are on is not measured as it is. */
static uint16_t convert(struct machine *m, unsigned channel)
{
	uint32_t pad = channel < ADC_PINS ? m->pad[ADC_PIN0 + channel] : ISO_OD_IE_PULLS;
	if (channel >= ADC_PINS)
		FAULT(m, "ADC: channel %u is converted; RP2350A has no such pin", channel);
	else if (pad & ISO_OD_IE_PULLS)
		FAULT(m, "ADC: pad of GPIO%u is 0x%x: isolated, or its input or pulls are on", ADC_PIN0 + channel, pad);
	double code = m->volt[channel & 7] / 3.3 * 4095;
	uint16_t error = m->adc_error_next && m->adc_fcs & FCS_ERR ? 1u << 15 : 0;
	m->adc_error_next = false;
	code += noise(m, code);
	return (uint16_t)(code < 0 ? 0 : code > 4095 ? 4095 : (unsigned)(code + 0.5)) | error;
}

/* Section 12.6: a transfer a request; the ring wraps; at the end the channel starts itself, or stops. */
static void dma_take(struct machine *m, uint16_t sample)
{
	unsigned log2 = m->dma_ctrl >> 8 & 15;
	uint32_t mask = log2 && m->dma_ctrl >> 12 & 1 ? (1u << log2) - 1 : 0xffffffffu;
	if (m->dma_write < RAM_AT || m->dma_write + 2 > RAM_AT + RAM_BYTES) {
		FAULT(m, "DMA writes to 0x%x, which is no RAM", m->dma_write);
		return;
	}
	memcpy(m->ram + (m->dma_write - RAM_AT), &sample, 2);
	m->dma_write = (m->dma_write & ~mask) | ((m->dma_write + 2) & mask);
	if (--m->dma_left)
		return;
	m->dma_left = m->dma_reload & 0x0fffffff;
	m->dma_active = m->dma_reload >> 28 == 1;
}

static void dma_pull(struct machine *m)
{
	if (!m->dma_active || !(m->dma_ctrl & 1) || !(m->adc_fcs & FCS_DREQ) || m->now_ps < m->dma_stall_until_ps)
		return;
	if (m->dma_error_next) {
		m->dma_error_next = m->dma_active = false;
		m->dma_errors = READ_ERROR;
		return;
	}
	for (unsigned i = 0; i < m->adc_level; i++)
		dma_take(m, m->adc_fifo[i]);
	m->adc_level = 0;
}

static void next_channel(struct machine *m)
{
	uint32_t mask = m->adc_cs >> 16 & 0x1ff;
	unsigned channel = m->adc_cs >> 12 & 15;
	if (!mask)
		return;
	do
		channel = (channel + 1) % 9;
	while (!(mask >> channel & 1));
	m->adc_cs = (m->adc_cs & ~(15u << 12)) | channel << 12;
}

void adc_advance(struct machine *m)
{
	uint64_t now = m->now_ps;
	if ((m->adc_cs & (EN | START_MANY)) != (EN | START_MANY) || m->adc_dead)
		return;
	while (m->adc_next_ps <= now && !m->fault[0]) {
		m->now_ps = m->adc_next_ps;
		uint16_t sample = convert(m, m->adc_cs >> 12 & 15);
		m->samples++;
		next_channel(m);
		if (m->adc_fcs & FCS_EN) {
			if (m->adc_level < 8)
				m->adc_fifo[m->adc_level++] = sample;
			else
				m->adc_over = true;
		}
		dma_pull(m);
		m->adc_next_ps += period_ps(m);
	}
	m->now_ps = now;
	dma_pull(m);
}

uint32_t adc_read(struct machine *m, uint32_t at)
{
	adc_advance(m);
	switch (at & 0xff) {
	case 0x00: return m->adc_cs | (m->adc_cs & EN ? READY : 0);
	case 0x08:
		return m->adc_fcs | (m->adc_level ? 0 : 1u << 8) | (m->adc_level == 8 ? 1u << 9 : 0) |
			(m->adc_under ? 1u << 10 : 0) | (m->adc_over ? 1u << 11 : 0) | m->adc_level << 16;
	case 0x0c: {
		uint16_t first = m->adc_fifo[0];
		if (m->adc_level)
			memmove(m->adc_fifo, m->adc_fifo + 1, --m->adc_level * sizeof(first));
		else
			m->adc_under = true;
		return first;
	}
	case 0x10: return m->adc_div;
	default:
		FAULT(m, "ADC: read of 0x%x", at);
		return 0;
	}
}

void adc_write(struct machine *m, uint32_t at, uint32_t v)
{
	bool ran;
	adc_advance(m);
	switch (at & 0xff) {
	case 0x00:
		ran = m->adc_cs & START_MANY;
		m->adc_cs = v & 0x1fff00ffu & ~READY;
		m->adc_cs |= v & (15u << 12);
		if (!ran && v & START_MANY) {
			if (!(v & EN))
				FAULT(m, "ADC: started without power");
			m->adc_next_ps = m->now_ps + 2 * US;
		}
		break;
	case 0x08:
		m->adc_fcs = v & 0x0f00000f;
		m->adc_under = m->adc_under && !(v & 1u << 10);
		m->adc_over = m->adc_over && !(v & 1u << 11);
		break;
	case 0x10:
		m->adc_div = v & 0xffffff;
		if (v >> 8 && v >> 8 < 96)
			FAULT(m, "ADC: DIV.INT %u: a conversion takes 96 cycles, so 0, or at least 96", v >> 8);
		break;
	default: FAULT(m, "ADC: write at 0x%x", at);
	}
}

uint32_t dma_read(struct machine *m, uint32_t at)
{
	adc_advance(m);
	switch (at & 0xfff) {
	case 0x0: return m->dma_read;
	case 0x4: return m->dma_write;
	case 0x8: return (m->dma_reload & 0xf0000000u) | m->dma_left;
	case 0xc: case 0x10:
		return m->dma_ctrl | m->dma_errors | (m->dma_errors ? 1u << 31 : 0) | (m->dma_active ? DMA_BUSY : 0);
	case 0x464: return 0;
	default:
		FAULT(m, "DMA: read of 0x%x", at);
		return 0;
	}
}

/* CTRL; 12.6.7.1: written ones clear the flags of a bus error. */
static void dma_control(struct machine *m, uint32_t v)
{
	m->dma_errors &= ~v;
	m->dma_ctrl = v & 0x01ffffff;
}

static void dma_trigger(struct machine *m, uint32_t v)
{
	unsigned log2 = v >> 8 & 15;
	bool refuses = m->dma_errors;
	dma_control(m, v);
	if (!(v & 1))
		return;
	if (m->dma_active)
		FAULT(m, "DMA: channel 0 is started while it runs");
	else if (refuses)
		FAULT(m, "DMA: channel 0 is started while it tells of a bus error: it refuses");
	else if ((v >> 17 & 63) != 48)
		FAULT(m, "DMA: paced by request %u; the ADC's is 48", v >> 17 & 63);
	else if ((v >> 2 & 3) != 1 || v & 1u << 4 || !(v & 1u << 6))
		FAULT(m, "DMA: 0x%x is not: 16 bits, from one address, to growing ones", v);
	else if (m->dma_read != 0x400a000c)
		FAULT(m, "DMA: reads from 0x%x, not from the ADC's FIFO", m->dma_read);
	else if (!log2 || !(v & 1u << 12) || m->dma_write & ((1u << log2) - 1))
		FAULT(m, "DMA: 0x%x is no aligned ring of 2^%u bytes", m->dma_write, log2);
	m->dma_left = m->dma_reload & 0x0fffffff;
	m->dma_active = m->dma_left > 0;
}

void dma_write(struct machine *m, uint32_t at, uint32_t v)
{
	adc_advance(m);
	switch (at & 0xfff) {
	case 0x0: m->dma_read = v; break;
	case 0x4: m->dma_write = v; break;
	case 0x8: m->dma_reload = v; break;
	case 0xc: dma_trigger(m, v); break;
	case 0x10: dma_control(m, v); break;
	case 0x464:
		if (m->dma_ctrl & 1)
			FAULT(m, "DMA: channel 0 is aborted while it is enabled (erratum RP2350-E5)");
		if (v & 1)
			m->dma_active = false;
		break;
	default: FAULT(m, "DMA: write at 0x%x", at);
	}
}
