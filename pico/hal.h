/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the board's program (core/board.c) needs of its machine. Each port has these functions once; they
 * are found by the linker. One thread, no interrupt needed; none of them waits longer than it says.
 */
#ifndef DSM_PICO_HAL_H
#define DSM_PICO_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* ---- time and life ---- */
/* Microseconds since the start; never goes back. */
uint64_t hal_now_us(void);
/* enum adc_reset: why this start. */
uint8_t hal_reset_reason(void);
/* Without this for a second the machine starts anew. */
void hal_watchdog_feed(void);
/* Starts the machine anew; a port without such a thing may return. */
void hal_reset(void);

/* ---- inputs ---- */
/* Digital inputs, 1 = pressed. */
uint32_t hal_inputs(void);
/* Converts `channels` (1 to 8) inputs all the time, in turn, each 16 times a tick. false: the machine has
 * fewer. Again: begins anew. */
bool hal_adc_start(unsigned channels, uint32_t tick_us);
/* The newest n (at most 16) samples of a channel, 12 bits each. false: none came since the last call for
 * this channel, or one is marked as wrong. */
bool hal_adc_newest(unsigned channel, uint16_t *out, unsigned n);
/* Samples were lost since the last call. The port has begun anew, so that each still is of its channel. */
bool hal_adc_overrun(void);

/* ---- network ---- */
/* false: there is no network part that answers. May take 10 ms. Until it has been found: again and again. */
bool hal_net_start(const struct pico_settings *settings);
/* As often as the main loop comes by; returns at once. */
void hal_net_poll(uint64_t now_us);
bool hal_net_link(void);
/* Takes the datagram, or false at once. */
bool hal_net_send(const uint8_t *data, size_t n);

/* ---- memory that stays: HAL_FLASH_SECTORS sectors, offsets from the first ---- */
#define HAL_FLASH_SECTOR 4096u
#define HAL_FLASH_PAGE 256u
#define HAL_FLASH_SECTORS 4u
void hal_flash_read(uint32_t offset, uint8_t *out, size_t n);
/* Both stop everything for as long as it takes: 45 ms (at most 0.4 s) for a sector, 0.4 ms (3 ms) for a
 * page. Offsets are multiples of sector and page. Programming only turns ones into zeros. */
bool hal_flash_erase(uint32_t offset);
bool hal_flash_program(uint32_t offset, const uint8_t page[HAL_FLASH_PAGE]);

/* ---- console ---- */
/* A character, or -1. */
int hal_console_get(void);
/* false: no room now. */
bool hal_console_put(char c);

#endif
