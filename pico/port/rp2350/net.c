/* SPDX-License-Identifier: Apache-2.0 */
/* SPI0 and the W5500 on it. */
#include "port.h"

#include "w5500.h"

#define RESET_US 1000u          /* W5500 datasheet, Reset Timing: at least 0.5 ms */
#define SETTLE_US 2000u         /* and 1 ms until its PLL has locked */
#define TRIES 1000000u
#define FIFO 8u                 /* section 12.3.2, of the SPI */

static struct w5500 chip;

static void pause(uint32_t us)
{
	uint64_t end = hal_now_us() + us;
	while (hal_now_us() < end)
		;
}

/* As many bytes under way as the receive FIFO can take: more would be lost. */
static void transfer(const uint8_t *out, uint8_t *in, size_t n)
{
	size_t put = 0, got = 0;
	for (uint32_t i = 0; got < n && i < TRIES; i++) {
		if (put < n && put - got < FIFO) {
			wait_for(SPI_SR, SPI_SR_TNF);
			REG(SPI_DR) = out ? out[put] : 0; /* section 12.3.5, SSPDR */
			put++;
		}
		if (REG(SPI_SR) & SPI_SR_RNE) {
			uint8_t byte = (uint8_t)REG(SPI_DR);
			if (in)
				in[got] = byte;
			got++;
		}
	}
}

static void frame(void *context, const uint8_t head[3], const uint8_t *out, uint8_t *in, size_t n)
{
	(void)context;
	REG(SIO_GPIO_OUT_CLR) = 1u << PIN_SPI_CS; /* section 3.1.11, GPIO_OUT_CLR */
	transfer(head, NULL, 3);
	transfer(out, in, n);
	REG(SIO_GPIO_OUT_SET) = 1u << PIN_SPI_CS; /* section 3.1.11, GPIO_OUT_SET */
}

bool hal_net_start(const struct pico_settings *settings)
{
	REG(SPI_CPSR) = 2; /* section 12.3.5, SSPCPSR: 150 MHz / 2 / (1 + 2) = 25 MHz; the chip takes 33 */
	REG(SPI_CR0) = 2u << 8 | 7u; /* section 12.3.5, SSPCR0: mode 0, 8 bits */
	REG(SPI_CR1) = SPI_CR1_SSE; /* section 12.3.5, SSPCR1: on */
	REG(SIO_GPIO_OUT_CLR) = 1u << PIN_NET_RESET; /* section 3.1.11, GPIO_OUT_CLR */
	pause(RESET_US);
	REG(SIO_GPIO_OUT_SET) = 1u << PIN_NET_RESET; /* section 3.1.11, GPIO_OUT_SET */
	pause(SETTLE_US);
	chip.spi = frame;
	return w5500_start(&chip, settings);
}

void hal_net_poll(uint64_t now_us)
{
	w5500_poll(&chip, now_us);
}

bool hal_net_link(void)
{
	return chip.link;
}

bool hal_net_send(const uint8_t *data, size_t n)
{
	return w5500_send(&chip, data, n);
}
