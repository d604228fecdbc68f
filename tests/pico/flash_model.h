/* SPDX-License-Identifier: Apache-2.0 */
/* The hal of pico/hal.h as memory: flash that can be cut off at any byte, a converter, a console. For
 * tests and the fuzzer of the board's program on the host. */
#ifndef DSM_TESTS_PICO_FLASH_MODEL_H
#define DSM_TESTS_PICO_FLASH_MODEL_H

#include "hal.h"

extern struct flash_model {
	uint8_t bytes[HAL_FLASH_SECTORS * HAL_FLASH_SECTOR];
	long budget;            /* bytes that may still be changed before the power goes; -1: endless */
	unsigned erases, programs, wrong;
	/* the rest of the machine */
	uint64_t now_us;
	const uint8_t *typed;
	size_t typed_n;
	char said[8192];
	size_t said_n;
	unsigned sent, resets, feeds, net_starts;
	size_t last_n;
	uint8_t last[128];
	bool link, net, overrun;
} model;

void model_new(void);

#endif
