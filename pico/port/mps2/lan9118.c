/* SPDX-License-Identifier: Apache-2.0 */
/* Titles in the comments are those of the LAN9118 datasheet: "System Control and Status Registers" and "MAC
 * Control and Status Registers", the latter by way of MAC_CSR_CMD and MAC_CSR_DATA. */
#include "lan9118.h"

#define REG(offset) (*(volatile uint32_t *)(uintptr_t)(0x52000000u + (offset)))
#define TX_DATA REG(0x20)
#define BYTE_TEST REG(0x64)
#define TX_CFG REG(0x70)
#define TX_FIFO_INF REG(0x80)
#define MAC_CSR_CMD REG(0xa4)
#define MAC_CSR_DATA REG(0xa8)
#define HEAD 42u                /* Ethernet, IPv4, UDP */
#define TRIES 10000u

static void mac_write(uint32_t index, uint32_t value)
{
	MAC_CSR_DATA = value; /* System Control and Status Registers, MAC_CSR_DATA */
	MAC_CSR_CMD = 1u << 31 | index; /* System Control and Status Registers, MAC_CSR_CMD: busy until it is done */
	for (unsigned i = 0; i < TRIES && MAC_CSR_CMD >> 31; i++)
		;
}

bool lan9118_start(const uint8_t mac[6])
{
	if (BYTE_TEST != 0x87654321)
		return false;
	mac_write(2, (uint32_t)mac[4] | (uint32_t)mac[5] << 8); /* MAC Control and Status Registers, ADDRH; next: ADDRL */
	mac_write(3, (uint32_t)mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24);
	mac_write(1, 1u << 3); /* MAC Control and Status Registers, MAC_CR: transmitter on */
	TX_CFG = 1u << 1; /* System Control and Status Registers, TX_CFG: TX_ON */
	return true;
}

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static void put_head(uint8_t *frame, const struct lan9118_route *r, size_t n)
{
	uint8_t *p = frame, *ip;
	for (unsigned i = 0; i < 6; i++)
		*p++ = 0xff;
	for (unsigned i = 0; i < 6; i++)
		*p++ = r->mac[i];
	p = put16(p, 0x0800);
	ip = p;
	p = put16(p, 0x4500);
	p = put16(p, (uint32_t)(28 + n));
	p = put16(p, 0);
	p = put16(p, 0x4000); /* do not fragment */
	p = put16(p, 0x4011); /* time to live 64, UDP */
	p = put16(p, 0);
	for (unsigned i = 0; i < 4; i++)
		*p++ = r->from[i];
	for (unsigned i = 0; i < 4; i++)
		*p++ = r->to[i];
	uint32_t sum = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
	p = put16(p, r->from_port);
	p = put16(p, r->to_port);
	p = put16(p, (uint32_t)(8 + n));
	put16(p, 0); /* no checksum: the datagram has its tag */
}

bool lan9118_send(const struct lan9118_route *route, const uint8_t *data, size_t n)
{
	static uint8_t frame[HEAD + 1400 + 4];
	size_t size = HEAD + n;
	if (n > 1400 || (TX_FIFO_INF & 0xffff) < size + 16)
		return false;
	put_head(frame, route, n);
	for (size_t i = 0; i < n; i++)
		frame[HEAD + i] = data[i];
	TX_DATA = 1u << 13 | 1u << 12 | (uint32_t)size; /* TX Command Format, A: first and last part of a frame */
	TX_DATA = (uint32_t)size; /* TX Command Format, B */
	for (size_t i = 0; i < size; i += 4)
		TX_DATA = (uint32_t)frame[i] | (uint32_t)frame[i + 1] << 8 | (uint32_t)frame[i + 2] << 16 |
			(uint32_t)frame[i + 3] << 24; /* TX Data FIFO */
	return true;
}
