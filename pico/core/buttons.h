/* SPDX-License-Identifier: Apache-2.0 */
/* Digital inputs: a level counts when it has stood still for a while; presses of the first eight are
 * counted, so that one between two datagrams, or in a lost one, is not missed. Freestanding. */
#ifndef DSM_PICO_BUTTONS_H
#define DSM_PICO_BUTTONS_H

#include <stdint.h>

#define PICO_INPUTS 32u
#define PICO_PRESSES 8u

struct pico_buttons {
	uint32_t levels;                /* after debouncing */
	uint32_t candidate;             /* what the inputs show now, where it differs */
	uint32_t since_us[PICO_INPUTS]; /* since when; of the low 32 bits of the clock */
	uint32_t debounce_us;
	uint8_t presses[PICO_PRESSES];
};

/* The levels now are taken as they are: a button that is held down at the start was not pressed. */
void pico_buttons_start(struct pico_buttons *b, uint32_t debounce_us, uint32_t raw);
/* Call it often, at least every debounce_us / 2. `now_us`: the clock's low 32 bits. */
void pico_buttons_poll(struct pico_buttons *b, uint32_t raw, uint32_t now_us);

#endif
