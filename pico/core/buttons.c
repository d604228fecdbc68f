/* SPDX-License-Identifier: Apache-2.0 */
#include "buttons.h"

void pico_buttons_start(struct pico_buttons *b, uint32_t debounce_us, uint32_t raw)
{
	b->levels = raw;
	b->candidate = raw;
	b->debounce_us = debounce_us;
	for (unsigned i = 0; i < PICO_INPUTS; i++)
		b->since_us[i] = 0;
	for (unsigned i = 0; i < PICO_PRESSES; i++)
		b->presses[i] = 0;
}

void pico_buttons_poll(struct pico_buttons *b, uint32_t raw, uint32_t now_us)
{
	uint32_t moved = raw ^ b->candidate, differs = raw ^ b->levels;
	if (!moved && !differs)
		return; /* nearly always */
	for (unsigned i = 0; i < PICO_INPUTS; i++) {
		uint32_t bit = (uint32_t)1 << i;
		if (moved & bit)
			b->since_us[i] = now_us;
		if (!(differs & bit) || now_us - b->since_us[i] < b->debounce_us)
			continue;
		b->levels ^= bit;
		if (b->levels & bit && i < PICO_PRESSES)
			b->presses[i]++;
	}
	b->candidate = raw;
}
