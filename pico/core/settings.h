/* SPDX-License-Identifier: Apache-2.0 */
/* What a board has to know: who it is, whom it sends to, what it measures. Kept as one record of the
 * journal, edited as text over the console. Freestanding. */
#ifndef DSM_PICO_SETTINGS_H
#define DSM_PICO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_BYTES 116u     /* as kept */
#define SETTINGS_COUNT 12u
#define SETTINGS_TEXT 48u       /* a value as text, with its end */

struct pico_settings {
	uint32_t device;
	uint8_t address[4], mask[4], gateway[4], engine[4], mac[6];
	uint16_t port, local_port;
	uint32_t tick_us;               /* 100 to 1000000 */
	uint32_t debounce_us;           /* 0 to 1000000 */
	uint8_t channels;               /* 1 to 8 */
	uint8_t log2_average;           /* 0 to 4 */
	bool has_key;
	uint8_t key[16];
};

void settings_default(struct pico_settings *settings);
/* Is there all that it takes to send? */
bool settings_complete(const struct pico_settings *settings);
void settings_encode(const struct pico_settings *settings, uint8_t out[SETTINGS_BYTES]);
/* false: a field is out of its range; *out is untouched. */
bool settings_decode(const uint8_t in[SETTINGS_BYTES], struct pico_settings *out);

/* Name and value of a setting, `index` below SETTINGS_COUNT; a key is never shown. */
const char *settings_name(unsigned index);
void settings_text(const struct pico_settings *settings, unsigned index, char out[SETTINGS_TEXT]);
/* NULL: done. Else what was expected, and nothing has changed. */
const char *settings_set(struct pico_settings *settings, const char *name, const char *value);

#endif
