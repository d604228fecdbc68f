/* SPDX-License-Identifier: Apache-2.0 */
/*
 * W5500 as far as a board needs it: one UDP socket that sends to one address. Section titles in the
 * comments are those of WIZnet's W5500 datasheet. Nothing here waits for the network: a datagram that
 * cannot be taken now is refused, and ARP runs in the chip meanwhile. Freestanding.
 */
#ifndef DSM_PICO_W5500_H
#define DSM_PICO_W5500_H

#include "settings.h"

struct w5500 {
	void *context;
	/* One frame: select, `head`, then n bytes out (NULL: zeros) and in (NULL: dropped), deselect. */
	void (*spi)(void *context, const uint8_t head[3], const uint8_t *out, uint8_t *in, size_t n);
	const struct pico_settings *settings;
	bool open, link, sending;
	uint64_t link_due_us, send_due_us;
	uint64_t send_end_us;                   /* what is under way then will never end; 0: not known yet */
	uint32_t sent, timeouts, resets;        /* timeouts: ARP had no answer; resets: set up again */
};

/* Resets the chip, sets it up and opens the socket. false: no W5500 answers. `settings` stay with the
 * caller as long as the chip is in use. At most about 10 ms of SPI frames. */
bool w5500_start(struct w5500 *chip, const struct pico_settings *settings);
/* Looks after the datagram under way and the link. Sets a chip up again that has lost its socket, takes no
 * command or has not ended a SEND within a second: meanwhile there is no link. At most about 10 ms then. */
void w5500_poll(struct w5500 *chip, uint64_t now_us);
/* false: the one before is still under way, or there is no room, link or socket. */
bool w5500_send(struct w5500 *chip, const uint8_t *data, size_t n);

#endif
