/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: what each is connected to, buttons, UART console. */
#include "port.h"

/* Function first, then the pad, whose isolation goes last. */
static void pin(uint32_t number, uint32_t function, uint32_t pad)
{
	REG(IO_CTRL(number)) = function; /* section 9.11.1, GPIOn_CTRL: FUNCSEL */
	REG(PAD(number)) = pad | PAD_ISO; /* section 9.11.3, GPIOn */
	CLR(PAD(number)) = PAD_ISO; /* section 9.7, Pad isolation latches */
}

void pins_start(void)
{
	const uint32_t out = PAD_DRIVE_4MA, in = PAD_IE | PAD_SCHMITT;
	REG(SIO_GPIO_OUT_SET) = 1u << PIN_SPI_CS; /* section 3.1.11, GPIO_OUT_SET: high before it drives */
	REG(SIO_GPIO_OUT_CLR) = 1u << PIN_NET_RESET; /* section 3.1.11, GPIO_OUT_CLR */
	REG(SIO_GPIO_OE_SET) = 1u << PIN_SPI_CS | 1u << PIN_NET_RESET; /* section 3.1.11, GPIO_OE_SET */
	pin(PIN_UART_TX, FUNC_UART, out);
	pin(PIN_UART_RX, FUNC_UART, in | PAD_PUE);
	for (uint32_t i = 0; i < INPUTS; i++)
		pin(PIN_INPUT0 + i, FUNC_SIO, in | PAD_PUE);
	pin(PIN_SPI_RX, FUNC_SPI, in);
	pin(PIN_SPI_CS, FUNC_SIO, out);
	pin(PIN_SPI_SCK, FUNC_SPI, out);
	pin(PIN_SPI_TX, FUNC_SPI, out);
	pin(PIN_NET_RESET, FUNC_SIO, out);
	/* Section 12.4.3, SAR ADC: no digital input, no pulls (erratum RP2350-E9 too), no output */
	for (uint32_t i = 0; i < ADC_PINS; i++)
		pin(PIN_ADC0 + i, FUNC_NULL, PAD_OD);
}

uint32_t hal_inputs(void)
{
	return ~REG(SIO_GPIO_IN) >> PIN_INPUT0 & ((1u << INPUTS) - 1);
}

/* ---- UART0, section 12.1 ---- */

/* 115200 baud from 150 MHz: 81 + 24/64. Divisors first, LCR_H latches them, then on. */
void console_port_start(void)
{
	REG(UART_IBRD) = 81; /* section 12.1.8, UARTIBRD */
	REG(UART_FBRD) = 24; /* section 12.1.8, UARTFBRD */
	REG(UART_LCR_H) = UART_LCR_8N1_FIFO; /* section 12.1.8, UARTLCR_H */
	REG(UART_CR) = UART_CR_ON; /* section 12.1.8, UARTCR */
}

int hal_console_get(void)
{
	return REG(UART_FR) & UART_FR_RXFE ? -1 : (int)(REG(UART_DR) & 0xff);
}

bool hal_console_put(char c)
{
	if (REG(UART_FR) & UART_FR_TXFF)
		return false;
	REG(UART_DR) = (uint8_t)c; /* section 12.1.8, UARTDR */
	return true;
}
