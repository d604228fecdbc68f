/* SPDX-License-Identifier: Apache-2.0 */
/* Chapter 9, GPIO: functions, pads and their isolation; 3.1.3, GPIO Control; 12.1, UART, whose other end
 * speaks 115200 baud. */
#include "machine.h"

#define ISO (1u << 8)
#define OD (1u << 7)
#define IE (1u << 6)
#define PUE (1u << 3)
#define PDE (1u << 2)
#define SIO 5u
#define UART 2u
#define BAUD 115200ull
#define CHAR_PS (10 * 1000000000000ull / BAUD)

void pins_reset(struct machine *m)
{
	for (unsigned i = 0; i < 48; i++) {
		m->io[i] = 31;
		m->pad[i] = 0x116; /* section 9.11.3: isolated, pulled down */
	}
	m->sio_out = m->sio_oe = 0;
	m->uart_ibrd = m->uart_fbrd = m->uart_lcr = m->uart_cr = 0;
	m->uart_tx_ps = 0;
}

bool pin_drives(struct machine *m, unsigned pin, uint32_t function, const char *who)
{
	if ((m->io[pin] & 31) != function)
		FAULT(m, "%s drives GPIO%u, whose function is %u", who, pin, m->io[pin] & 31);
	else if (m->pad[pin] & ISO)
		FAULT(m, "%s drives GPIO%u, whose pad is isolated", who, pin);
	else if (m->pad[pin] & OD)
		FAULT(m, "%s drives GPIO%u, whose output is disabled", who, pin);
	else
		return true;
	return false;
}

bool pin_reads(struct machine *m, unsigned pin, uint32_t function, const char *who)
{
	if ((m->io[pin] & 31) != function)
		FAULT(m, "%s reads GPIO%u, whose function is %u", who, pin, m->io[pin] & 31);
	else if (m->pad[pin] & ISO)
		FAULT(m, "%s reads GPIO%u, whose pad is isolated", who, pin);
	else if (!(m->pad[pin] & IE))
		FAULT(m, "%s reads GPIO%u, whose input is not enabled", who, pin);
	else
		return true;
	return false;
}

bool pin_is_high(const struct machine *m, unsigned pin)
{
	return m->sio_oe >> pin & 1 && m->sio_out >> pin & 1;
}

/* Buttons close to ground; open, a pin is what its pull makes of it. */
static uint32_t gpio_in(struct machine *m)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < 14; i++) {
		uint32_t pad = m->pad[2 + i];
		bool pulled_up = !(pad & ISO) && pad & PUE;
		if (pad & IE && pulled_up && !(m->pressed >> i & 1))
			bits |= 1u << (2 + i);
	}
	return bits;
}

/* Who hangs on these pins: the W5500's select (17) and reset (20). */
static void sio_changed(struct machine *m, uint32_t before)
{
	uint32_t now = m->sio_out & m->sio_oe, moved = before ^ now;
	const unsigned watched[] = { 17, 20 };
	for (unsigned i = 0; i < 2; i++) {
		unsigned pin = watched[i];
		if (!(moved >> pin & 1) || (m->io[pin] & 31) != SIO || m->pad[pin] & ISO)
			continue;
		if (pin == 17)
			w5500_select(m, !(now >> 17 & 1));
		else
			w5500_reset_pin(m, now >> 20 & 1);
	}
}

static uint32_t uart_flags(struct machine *m)
{
	uint32_t flags = 0;
	if (!m->uart_in || !*m->uart_in || m->now_ps < m->uart_rx_ps)
		flags |= 1u << 4;
	if (m->uart_tx_ps > m->now_ps + 32 * CHAR_PS)
		flags |= 1u << 5;
	return flags;
}

static bool uart_works(struct machine *m)
{
	uint64_t divisor = 64ull * m->uart_ibrd + m->uart_fbrd, baud = divisor ? 4 * clock_peri_hz(m) / divisor : 0;
	if (!(m->uart_cr & 1))
		FAULT(m, "UART0 is used before it is switched on");
	else if (baud < BAUD * 98 / 100 || baud > BAUD * 102 / 100)
		FAULT(m, "UART0 at %u baud: the other end has 115200", (unsigned)baud);
	else if ((m->uart_lcr >> 5 & 3) != 3)
		FAULT(m, "UART0 with %u bits: the other end has 8", 5 + (m->uart_lcr >> 5 & 3));
	else
		return true;
	return false;
}

static uint32_t uart_take(struct machine *m)
{
	if (!uart_works(m) || !pin_reads(m, 1, UART, "UART0"))
		return 0;
	if (uart_flags(m) & 1u << 4) {
		FAULT(m, "UART0: read of an empty FIFO");
		return 0;
	}
	m->uart_rx_ps += CHAR_PS;
	return (uint8_t)*m->uart_in++;
}

static void uart_put(struct machine *m, uint32_t v)
{
	if (!uart_works(m) || !pin_drives(m, 0, UART, "UART0"))
		return;
	if (uart_flags(m) & 1u << 5) {
		FAULT(m, "UART0: write to a full FIFO");
		return;
	}
	m->uart_tx_ps = (m->uart_tx_ps > m->now_ps ? m->uart_tx_ps : m->now_ps) + CHAR_PS;
	if (m->uart_out_n + 1 < sizeof(m->uart_out)) {
		m->uart_out[m->uart_out_n++] = (char)v;
		m->uart_out[m->uart_out_n] = '\0';
	}
}

uint32_t pins_read(struct machine *m, uint32_t at)
{
	uint32_t n = at & 0x3fff;
	switch (at & ~0x3fffu) {
	case 0x40028000:
		if (n < 48 * 8 && (n & 7) == 4)
			return m->io[n / 8];
		break;
	case 0x40038000:
		if (n >= 4 && n < 4 + 48 * 4)
			return m->pad[n / 4 - 1];
		break;
	case 0x40070000:
		if (n == 0x18)
			return uart_flags(m);
		if (n == 0)
			return uart_take(m);
		break;
	case 0xd0000000:
		if (n == 4)
			return gpio_in(m);
		break;
	default:
		break;
	}
	FAULT(m, "read of 0x%x, which the model does not know", at);
	return 0;
}

static bool write_uart(struct machine *m, uint32_t n, uint32_t v)
{
	switch (n) {
	case 0x00: uart_put(m, v); break;
	case 0x24: m->uart_ibrd = v; break;
	case 0x28: m->uart_fbrd = v; break;
	case 0x2c: m->uart_lcr = v; break;
	case 0x30: m->uart_cr = v; break;
	default: return false;
	}
	if ((n == 0x24 || n == 0x28) && m->uart_lcr)
		FAULT(m, "UART0: a divisor written after LCR_H is not taken over");
	return true;
}

static bool write_sio(struct machine *m, uint32_t n, uint32_t v)
{
	uint32_t before = m->sio_out & m->sio_oe;
	switch (n) {
	case 0x10: m->sio_out = v; break;
	case 0x18: m->sio_out |= v; break;
	case 0x20: m->sio_out &= ~v; break;
	case 0x38: m->sio_oe |= v; break;
	case 0x40: m->sio_oe &= ~v; break;
	default: return false;
	}
	sio_changed(m, before);
	return true;
}

void pins_write(struct machine *m, uint32_t at, uint32_t v)
{
	uint32_t n = at & 0x3fff;
	bool known = false;
	switch (at & ~0x3fffu) {
	case 0x40028000:
		known = n < 48 * 8 && (n & 7) == 4;
		if (known)
			m->io[n / 8] = v;
		break;
	case 0x40038000:
		known = n >= 4 && n < 4 + 48 * 4;
		if (known)
			m->pad[n / 4 - 1] = v & 0x1ff;
		break;
	case 0x40070000: known = write_uart(m, n, v); break;
	case 0xd0000000: known = write_sio(m, n, v); break;
	default: break;
	}
	if (!known)
		FAULT(m, "write of 0x%x to 0x%x, which the model does not know", v, at);
}
