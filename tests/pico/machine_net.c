/* SPDX-License-Identifier: Apache-2.0 */
/* 12.3, SPI (a PL022), and the W5500 on it: its datasheet's SPI Frame, Common Registers, Socket Registers. */
#include "machine.h"

#include <string.h>

#define FIFO 8u
#define CHIP_HZ_MAX 33333334ull
#define PLL_LOCK (1 * MS)       /* Reset Timing */
#define ARP_PS (150 * US)
#define FRAME_PS (12 * US)

/* ---- SPI0 ---- */

void spi_reset(struct machine *m)
{
	m->spi_cr0 = m->spi_cr1 = m->spi_cpsr = m->spi_count = 0;
	m->spi_free_ps = 0;
}

static uint64_t bit_ps(const struct machine *m)
{
	uint64_t hz = m->spi_cpsr ? clock_peri_hz(m) / m->spi_cpsr / (1 + (m->spi_cr0 >> 8 & 0xff)) : 0;
	return hz ? 1000000000000ull / hz : 0;
}

static bool spi_works(struct machine *m)
{
	if (!(m->spi_cr1 & 2))
		FAULT(m, "SPI0 is used before it is switched on");
	else if (m->spi_cpsr < 2 || m->spi_cpsr & 1)
		FAULT(m, "SPI0: prescaler %u: even, 2 to 254", m->spi_cpsr);
	else if ((m->spi_cr0 & 0xff) != 7)
		FAULT(m, "SPI0: CR0 0x%x is not mode 0 with 8 bits", m->spi_cr0);
	else if (1000000000000ull / bit_ps(m) > CHIP_HZ_MAX)
		FAULT(m, "SPI0 at %u kHz: the W5500 takes 33.3 MHz", (unsigned)(1000000000ull / bit_ps(m)));
	else
		return pin_drives(m, 18, 1, "SPI0") && pin_drives(m, 19, 1, "SPI0") && pin_reads(m, 16, 1, "SPI0") &&
			pin_drives(m, 17, 5, "the select of SPI0");
	return false;
}

static unsigned spi_under_way(const struct machine *m)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->spi_count; i++)
		n += m->spi_rx_ps[i] > m->now_ps;
	return n;
}

static void spi_put(struct machine *m, uint32_t v)
{
	if (!spi_works(m))
		return;
	if (spi_under_way(m) >= FIFO) {
		FAULT(m, "SPI0: write to a full FIFO");
		return;
	}
	if (m->spi_count - spi_under_way(m) > FIFO) {
		FAULT(m, "SPI0: its receive FIFO overflows");
		return;
	}
	m->spi_free_ps = (m->spi_free_ps > m->now_ps ? m->spi_free_ps : m->now_ps) + 8 * bit_ps(m);
	m->spi_rx[m->spi_count] = w5500_byte(m, (uint8_t)v);
	m->spi_rx_ps[m->spi_count++] = m->spi_free_ps;
}

uint32_t spi_read(struct machine *m, uint32_t at)
{
	uint8_t first = m->spi_rx[0];
	bool there = m->spi_count && m->spi_rx_ps[0] <= m->now_ps;
	switch (at & 0xfff) {
	case 0x00: return m->spi_cr0;
	case 0x04: return m->spi_cr1;
	case 0x08:
		if (!there) {
			FAULT(m, "SPI0: read of an empty receive FIFO");
			return 0;
		}
		m->spi_count--;
		memmove(m->spi_rx, m->spi_rx + 1, m->spi_count);
		memmove(m->spi_rx_ps, m->spi_rx_ps + 1, m->spi_count * sizeof(m->spi_rx_ps[0]));
		return first;
	case 0x0c:
		return (m->spi_free_ps <= m->now_ps ? 1u : 16u) | (spi_under_way(m) < FIFO ? 2u : 0) | (there ? 4u : 0);
	default:
		FAULT(m, "SPI0: read of 0x%x", at);
		return 0;
	}
}

void spi_write(struct machine *m, uint32_t at, uint32_t v)
{
	switch (at & 0xfff) {
	case 0x00: m->spi_cr0 = v; break;
	case 0x04: m->spi_cr1 = v; break;
	case 0x08: spi_put(m, v); break;
	case 0x10: m->spi_cpsr = v; break;
	default: FAULT(m, "SPI0: write at 0x%x", at);
	}
}

/* ---- W5500 ---- */

static void chip_defaults(struct w5500_model *n)
{
	memset(n->common, 0, sizeof(n->common));
	memset(n->socket, 0, sizeof(n->socket));
	n->common[0x19] = 0x07; /* RTR 200 ms */
	n->common[0x1a] = 0xd0;
	n->common[0x1b] = 8;
	n->common[0x39] = 4;
	n->sending = n->arp_known = n->fsr_glitched = n->lost = false;
	n->tx_rd = 0;
}

void w5500_reset(struct machine *m)
{
	m->net.selected = false;
	m->net.at = 0;
	m->net.reset_until_ps = UINT64_MAX; /* the pin is low, or floats */
	chip_defaults(&m->net);
}

void w5500_reset_pin(struct machine *m, bool high)
{
	chip_defaults(&m->net);
	m->net.reset_until_ps = high ? m->now_ps + PLL_LOCK : UINT64_MAX;
}

void w5500_forgets(struct machine *m)
{
	chip_defaults(&m->net);
	m->net.lost = true;
}

void w5500_select(struct machine *m, bool selected)
{
	if (selected != m->net.selected && m->spi_free_ps > m->now_ps)
		FAULT(m, "the W5500's select moves while SPI0 is busy");
	m->net.selected = selected;
	m->net.at = 0;
}

static uint16_t word_of(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Sn_IR gets its bits when the time has come. */
static void chip_advance(struct machine *m)
{
	struct w5500_model *n = &m->net;
	if (!n->sending || m->now_ps < n->done_ps || m->tx_stuck)
		return;
	n->sending = false;
	if (!n->arp_known) {
		n->socket[2] |= 8;
		n->arp_timeouts++;
		n->tx_rd = word_of(n->socket + 0x24);
		return;
	}
	uint8_t data[2048];
	uint16_t end = word_of(n->socket + 0x24), size = (uint16_t)(end - n->tx_rd);
	for (uint16_t i = 0; i < size && i < sizeof(data); i++)
		data[i] = n->tx[(n->tx_rd + i) & 2047];
	n->tx_rd = end;
	n->socket[2] |= 0x10;
	n->sends++;
	if (m->datagram && !m->link_down)
		m->datagram(m->context, n->socket + 0x0c, word_of(n->socket + 0x10), data, size);
}

/* Sn_TX_FSR as it is. */
static uint16_t room(const struct machine *m)
{
	const struct w5500_model *n = &m->net;
	uint16_t busy = n->sending ? (uint16_t)(word_of(n->socket + 0x24) - n->tx_rd) : 0;
	return m->tx_full ? 0 : (uint16_t)(2048 - busy);
}

static void chip_send(struct machine *m)
{
	struct w5500_model *n = &m->net;
	uint16_t size = (uint16_t)(word_of(n->socket + 0x24) - n->tx_rd), free_bytes = room(m);
	bool was_sending = n->sending;
	static const uint8_t nothing[6];
	n->sending = true;
	n->done_ps = UINT64_MAX;
	if (n->lost)
		return; /* nobody can know yet: it is a SEND that never ends */
	if (was_sending)
		FAULT(m, "W5500: SEND while one is under way");
	else if (n->socket[3] != 0x22)
		FAULT(m, "W5500: SEND on a socket that is not open");
	else if (size > free_bytes)
		FAULT(m, "W5500: %u bytes are to be sent; there is room for %u", size, free_bytes);
	else if (!memcmp(n->common + 9, nothing, 6) || !memcmp(n->common + 15, nothing, 4))
		FAULT(m, "W5500: SEND without a MAC or IP address");
	uint64_t tries = n->common[0x1b] + 1u, rtr = word_of(n->common + 0x19) * 100 * US;
	n->fsr_glitched = false; /* once before each */
	if (n->arp_known) {
		n->done_ps = m->now_ps + FRAME_PS;
	} else if (m->no_arp || m->link_down) {
		n->done_ps = m->now_ps + tries * rtr;
	} else {
		n->arp_known = true;
		n->done_ps = m->now_ps + ARP_PS;
	}
	if (m->tx_lost)
		n->done_ps = UINT64_MAX; /* but for a reset of the chip it stays under way */
	m->tx_lost = false;
}

static void chip_command(struct machine *m, uint8_t command)
{
	struct w5500_model *n = &m->net;
	switch (command) {
	case 0x01:
		if (n->socket[0] != 2)
			FAULT(m, "W5500: OPEN with mode %u; UDP is 2", n->socket[0]);
		n->socket[3] = 0x22;
		n->opens++;
		break;
	case 0x10: n->socket[3] = 0; break;
	case 0x20: chip_send(m); break;
	default: FAULT(m, "W5500: command 0x%x", command);
	}
}

/* Sn_TX_FSR changes while it is read: its two bytes need not belong together. */
static uint8_t free_size(struct machine *m, unsigned byte)
{
	struct w5500_model *n = &m->net;
	uint16_t free_bytes = room(m);
	if (m->fsr_tears && !n->fsr_glitched) {
		n->fsr_glitched = byte == 1;
		return byte == 0 ? 0 : 0x10;
	}
	return byte == 0 ? (uint8_t)(free_bytes >> 8) : (uint8_t)free_bytes;
}

static uint8_t chip_get(struct machine *m, unsigned block, uint16_t at)
{
	struct w5500_model *n = &m->net;
	if (block == 0 && at == 0x2e)
		return m->link_down ? 0xb8 : 0xbf;
	if (block == 0 && at < sizeof(n->common))
		return n->common[at];
	if (block == 1 && (at == 0x20 || at == 0x21))
		return free_size(m, at - 0x20);
	if (block == 1 && at < sizeof(n->socket))
		return n->socket[at];
	FAULT(m, "W5500: read of block %u at 0x%x", block, at);
	return 0;
}

static void chip_put(struct machine *m, unsigned block, uint16_t at, uint8_t v)
{
	struct w5500_model *n = &m->net;
	if (block == 0 && at == 0 && v & 0x80) {
		chip_defaults(n);
		return;
	}
	if (block == 2 && n->lost)
		return;
	if (block == 0 && at == 0x39)
		FAULT(m, "W5500: VERSIONR is read-only");
	else if (block == 0 && at < sizeof(n->common))
		n->common[at] = v;
	else if (block == 1 && at == 1)
		chip_command(m, v);
	else if (block == 1 && at == 2)
		n->socket[2] &= (uint8_t)~v;
	else if (block == 1 && at < sizeof(n->socket))
		n->socket[at] = v;
	else if (block == 2 && n->sending && ((at - n->tx_rd) & 2047) < ((word_of(n->socket + 0x24) - n->tx_rd) & 2047))
		FAULT(m, "W5500: the buffer is written while it is sent");
	else if (block == 2)
		n->tx[at & 2047] = v;
	else
		FAULT(m, "W5500: write to block %u at 0x%x", block, at);
}

uint8_t w5500_byte(struct machine *m, uint8_t out)
{
	struct w5500_model *n = &m->net;
	if (!n->selected) {
		FAULT(m, "SPI0 transfers while the W5500 is not selected");
		return 0;
	}
	if (m->no_chip)
		return 0xff;
	if (m->now_ps < n->reset_until_ps) {
		FAULT(m, "the W5500 is spoken to while it is in reset, or within 1 ms after it");
		return 0;
	}
	chip_advance(m);
	unsigned at = n->at++;
	if (at < 3) {
		n->head[at] = out;
		if (at == 2 && out & 3)
			FAULT(m, "W5500: frame of fixed length 0x%x", out);
		return 0;
	}
	uint16_t address = (uint16_t)(word_of(n->head) + at - 3);
	if (n->head[2] & 4) {
		chip_put(m, n->head[2] >> 3, address, out);
		return 0;
	}
	return chip_get(m, n->head[2] >> 3, address);
}
