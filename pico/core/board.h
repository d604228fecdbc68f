/* SPDX-License-Identifier: Apache-2.0 */
/* The whole board: settings from flash, boot counter, ticks (device.h), console, network. The ports call
 * board_start() once and board_poll() for ever. */
#ifndef DSM_PICO_BOARD_H
#define DSM_PICO_BOARD_H

#include "console.h"
#include "device.h"

struct board {
	struct pico_settings settings;          /* in use */
	struct pico_settings edited;            /* by the console */
	struct pico_device device;
	struct console console;
	bool runs;                              /* has all it takes to send */
	bool has_net, link;
	uint64_t net_due_us;                    /* without a network part: when to look for one again */
	uint32_t overruns, link_losses;
};

/* Settings that are damaged or not there: the defaults, and nothing is sent until a key is set. */
void board_start(struct board *board);
/* One turn of the main loop. Returns at once, but for `save` and `epoch` (flash), and every 0.1 s for
 * hal_net_start() while no network part answers. */
void board_poll(struct board *board);

#endif
