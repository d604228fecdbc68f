/* SPDX-License-Identifier: Apache-2.0 */
#include "w5500.h"

/* "SPI Frame": address, then block select (bits 7..3), write (bit 2), variable length (00) */
#define COMMON 0x00u
#define SOCKET 0x08u            /* registers of socket 0 */
#define TX_BUFFER 0x10u
#define WRITE 0x04u

/* "Common Registers" */
#define MR 0x0000u
#define MR_RST 0x80u
#define GAR 0x0001u
#define SUBR 0x0005u
#define SHAR 0x0009u
#define SIPR 0x000fu
#define RTR 0x0019u             /* units of 100 us */
#define RCR 0x001bu
#define PHYCFGR 0x002eu
#define PHYCFGR_LNK 1u
#define VERSIONR 0x0039u
#define VERSION 4u

/* "Socket Registers" */
#define SN_MR 0x0000u
#define SN_MR_UDP 2u
#define SN_CR 0x0001u
#define SN_CR_OPEN 0x01u
#define SN_CR_SEND 0x20u
#define SN_IR 0x0002u
#define SN_IR_SENDOK 0x10u
#define SN_IR_TIMEOUT 0x08u
#define SN_SR 0x0003u
#define SN_SR_UDP 0x22u
#define SN_PORT 0x0004u
#define SN_DIPR 0x000cu
#define SN_DPORT 0x0010u
#define SN_TX_FSR 0x0020u
#define SN_TX_WR 0x0024u

#define TRIES 100u              /* of what the chip does within microseconds */
#define ARP_100US 500u          /* 50 ms, three times: the default is 0.2 s, eight times and growing */
#define ARP_RETRIES 2u
#define LINK_EVERY_US 10000u
#define LOOK_EVERY_US 50u
#define SEND_US 1000000u        /* without an answer to ARP a SEND ends after 0.15 s */

static void put(struct w5500 *c, unsigned block, unsigned at, const uint8_t *data, size_t n)
{
	const uint8_t head[3] = { (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)(block | WRITE) };
	c->spi(c->context, head, data, NULL, n);
}

static void put8(struct w5500 *c, unsigned block, unsigned at, unsigned value)
{
	const uint8_t byte = (uint8_t)value;
	put(c, block, at, &byte, 1);
}

/* Big-endian, as all of the chip's words. */
static void put16(struct w5500 *c, unsigned block, unsigned at, unsigned value)
{
	const uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };
	put(c, block, at, bytes, 2);
}

static void get(struct w5500 *c, unsigned block, unsigned at, uint8_t *data, size_t n)
{
	const uint8_t head[3] = { (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)block };
	c->spi(c->context, head, NULL, data, n);
}

static unsigned get8(struct w5500 *c, unsigned block, unsigned at)
{
	uint8_t byte = 0;
	get(c, block, at, &byte, 1);
	return byte;
}

static unsigned get16(struct w5500 *c, unsigned block, unsigned at)
{
	uint8_t bytes[2] = { 0, 0 };
	get(c, block, at, bytes, 2);
	return (unsigned)bytes[0] << 8 | bytes[1];
}

static bool becomes(struct w5500 *c, unsigned block, unsigned at, unsigned mask, unsigned value)
{
	for (unsigned i = 0; i < TRIES; i++)
		if ((get8(c, block, at) & mask) == value)
			return true;
	return false;
}

/* "Sn_CR": the chip clears it when it has taken the command, and not before it may be given another. */
static bool command(struct w5500 *c, unsigned value)
{
	if (!becomes(c, SOCKET, SN_CR, 0xff, 0))
		return false;
	put8(c, SOCKET, SN_CR, value);
	return becomes(c, SOCKET, SN_CR, 0xff, 0);
}

static bool set_up(struct w5500 *c)
{
	const struct pico_settings *s = c->settings;
	c->open = c->link = c->sending = false;
	if (get8(c, COMMON, VERSIONR) != VERSION)
		return false;
	put8(c, COMMON, MR, MR_RST);
	if (!becomes(c, COMMON, MR, MR_RST, 0))
		return false;
	put(c, COMMON, GAR, s->gateway, 4);
	put(c, COMMON, SUBR, s->mask, 4);
	put(c, COMMON, SHAR, s->mac, 6);
	put(c, COMMON, SIPR, s->address, 4);
	put16(c, COMMON, RTR, ARP_100US);
	put8(c, COMMON, RCR, ARP_RETRIES);
	put8(c, SOCKET, SN_MR, SN_MR_UDP);
	put16(c, SOCKET, SN_PORT, s->local_port);
	if (!command(c, SN_CR_OPEN) || !becomes(c, SOCKET, SN_SR, 0xff, SN_SR_UDP))
		return false;
	put(c, SOCKET, SN_DIPR, s->engine, 4);
	put16(c, SOCKET, SN_DPORT, s->port);
	c->open = true; /* the link is looked at in w5500_poll: that it was away is seen by the caller */
	return true;
}

bool w5500_start(struct w5500 *c, const struct pico_settings *settings)
{
	c->settings = settings;
	c->sent = c->timeouts = c->resets = 0;
	c->link_due_us = c->send_due_us = 0;
	return set_up(c);
}

/* "Sn_IR": SENDOK or TIMEOUT ends a SEND; written ones clear it. */
static void look_at_send(struct w5500 *c)
{
	unsigned ir = get8(c, SOCKET, SN_IR) & (SN_IR_SENDOK | SN_IR_TIMEOUT);
	if (!ir)
		return;
	put8(c, SOCKET, SN_IR, ir);
	c->sending = false;
	if (ir & SN_IR_SENDOK)
		c->sent++;
	else
		c->timeouts++;
}

void w5500_poll(struct w5500 *c, uint64_t now_us)
{
	if (c->open && c->sending && now_us >= c->send_due_us) {
		c->send_due_us = now_us + LOOK_EVERY_US;
		look_at_send(c);
	}
	if (c->sending && c->send_end_us == 0)
		c->send_end_us = now_us + SEND_US;
	if (now_us < c->link_due_us)
		return;
	c->link_due_us = now_us + LINK_EVERY_US;
	bool stuck = c->sending && now_us >= c->send_end_us;
	if (!c->open || stuck || get8(c, SOCKET, SN_SR) != SN_SR_UDP) {
		c->resets++;
		set_up(c);
		return;
	}
	c->link = get8(c, COMMON, PHYCFGR) & PHYCFGR_LNK;
}

/* "Sn_TX_FSR": two bytes that may change between their readings; believed when two readings agree. */
static unsigned free_bytes(struct w5500 *c)
{
	unsigned last = get16(c, SOCKET, SN_TX_FSR);
	for (unsigned i = 0; i < 4; i++) {
		unsigned again = get16(c, SOCKET, SN_TX_FSR);
		if (again == last)
			return again;
		last = again;
	}
	return 0;
}

bool w5500_send(struct w5500 *c, const uint8_t *data, size_t n)
{
	if (!c->open || !c->link)
		return false;
	if (c->sending)
		look_at_send(c);
	if (c->sending || free_bytes(c) < n)
		return false;
	unsigned at = get16(c, SOCKET, SN_TX_WR);
	put(c, TX_BUFFER, at, data, n);
	put16(c, SOCKET, SN_TX_WR, (at + (unsigned)n) & 0xffff);
	if (!command(c, SN_CR_SEND)) {
		c->open = c->link = false; /* what it has taken of this is not known: set up again */
		return false;
	}
	c->sending = true;
	c->send_end_us = 0;
	return true;
}
