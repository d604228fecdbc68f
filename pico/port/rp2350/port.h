/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of this port, in the order in which main() starts them. */
#ifndef DSM_PICO_RP2350_PORT_H
#define DSM_PICO_RP2350_PORT_H

#include <stdbool.h>

#include "hal.h"
#include "regs.h"

/* Wiring: docs/pico.md. */
#define PIN_UART_TX 0u
#define PIN_UART_RX 1u
#define PIN_INPUT0 2u           /* to 15: inputs 0 to 13, to ground when pressed */
#define INPUTS 14u
#define PIN_SPI_RX 16u
#define PIN_SPI_CS 17u
#define PIN_SPI_SCK 18u
#define PIN_SPI_TX 19u
#define PIN_NET_RESET 20u
#ifdef PICO_RP2350B
#define PIN_ADC0 40u
#define ADC_PINS 8u
#else
#define PIN_ADC0 26u
#define ADC_PINS 3u             /* GPIO29, the fourth, measures VSYS on the boards */
#endif

/* Bounded; who does not become ready stops the board, and the watchdog starts it again if it runs. */
void wait_for(uint32_t address, uint32_t mask);
/* clk_sys 150 MHz and clk_peri from it, clk_adc 48 MHz, ticks of 1 us; releases all blocks that are used. */
void clocks_start(void);
void pins_start(void);
void console_port_start(void);
void watchdog_start(void);

#endif
