/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, resets, time, watchdog. The crystal has 12 MHz. */
#include "port.h"

#define RESETS_USED (RESET_ADC | RESET_DMA | RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_PLL_SYS | RESET_PLL_USB | \
	RESET_SPI0 | RESET_TIMER0 | RESET_UART0)
#define TRIES 1000000u
#define WATCHDOG_US 1000000u

void wait_for(uint32_t address, uint32_t mask)
{
	for (uint32_t i = 0; i < TRIES; i++)
		if ((REG(address) & mask) == mask)
			return;
	for (;;)
		;
}

/* Section 7.5.2, Programmer's model: RESET, then RESET_DONE */
static void release(uint32_t blocks)
{
	CLR(RESETS_RESET) = blocks; /* section 7.5.3, RESET */
	wait_for(RESETS_DONE, blocks);
}

/* Section 8.6.4, Configuration: dividers before the VCO starts, post dividers when it has locked.
 * 12 MHz x feedback / post1 / post2 */
static void pll_start(uint32_t pll, uint32_t feedback, uint32_t post1, uint32_t post2)
{
	REG(pll + PLL_CS) = 1; /* section 8.6.5, CS: reference divider */
	REG(pll + PLL_FBDIV) = feedback; /* section 8.6.5, FBDIV_INT */
	CLR(pll + PLL_PWR) = PLL_PWR_PD | PLL_PWR_VCOPD; /* section 8.6.5, PWR */
	wait_for(pll + PLL_CS, PLL_LOCK);
	REG(pll + PLL_PRIM) = post1 << 16 | post2 << 12; /* section 8.6.5, PRIM */
	CLR(pll + PLL_PWR) = PLL_PWR_POSTDIVPD; /* section 8.6.5, PWR */
}

static void tick_start(uint32_t generator)
{
	REG(generator + TICK_CYCLES) = 12; /* section 8.5.2, CYCLES: of clk_ref in 1 us */
	REG(generator + TICK_CTRL) = 1; /* section 8.5.2, CTRL: on */
}

void clocks_start(void)
{
	CLR(CLK_SYS_CTRL) = 3; /* section 8.1.7, CLK_SYS_CTRL: SRC clk_ref, before its PLL is taken away */
	wait_for(CLK_SYS_SELECTED, 1u << 0);
	SET(RESETS_RESET) = RESETS_USED; /* section 7.5.3, RESET: from whatever state it was left in */
	REG(XOSC_STARTUP) = 47; /* section 8.2.4, Startup delay: 47 x 256 cycles, 1 ms */
	REG(XOSC_CTRL) = XOSC_ENABLE_1_15MHZ; /* section 8.2.8, CTRL */
	wait_for(XOSC_STATUS, XOSC_STABLE);
	REG(CLK_REF_CTRL) = CLK_REF_SRC_XOSC; /* section 8.1.7, CLK_REF_CTRL */
	wait_for(CLK_REF_SELECTED, 1u << CLK_REF_SRC_XOSC);
	release(RESET_PLL_SYS | RESET_PLL_USB);
	pll_start(PLL_SYS, 125, 5, 2); /* 1500 MHz / 10 = 150 MHz */
	pll_start(PLL_USB, 100, 5, 5); /* 1200 MHz / 25 = 48 MHz */
	REG(CLK_SYS_CTRL) = CLK_SYS_SRC_AUX; /* section 8.1.7, CLK_SYS_CTRL: AUXSRC PLL_SYS */
	wait_for(CLK_SYS_SELECTED, 1u << CLK_SYS_SRC_AUX);
	REG(CLK_PERI_CTRL) = CLK_ENABLE; /* section 8.1.7, CLK_PERI_CTRL: AUXSRC clk_sys */
	REG(CLK_ADC_DIV) = 1u << 16; /* section 8.1.7, CLK_ADC_DIV */
	REG(CLK_ADC_CTRL) = CLK_ENABLE; /* section 8.1.7, CLK_ADC_CTRL: AUXSRC PLL_USB */
	tick_start(TICKS_TIMER0);
	tick_start(TICKS_WATCHDOG);
	release(RESETS_USED);
}

/* Section 12.8, System timers: the high word once more, in case the low one wrapped between. */
uint64_t hal_now_us(void)
{
	uint32_t high, low, again = REG(TIMER0_TIMERAWH);
	do {
		high = again;
		low = REG(TIMER0_TIMERAWL);
		again = REG(TIMER0_TIMERAWH);
	} while (again != high);
	return (uint64_t)high << 32 | low;
}

/* ---- watchdog, section 12.9 ---- */

void watchdog_start(void)
{
	REG(PSM_WDSEL) = PSM_ALL & ~(PSM_ROSC | PSM_XOSC); /* section 7.4.4, WDSEL: what it resets */
	REG(WATCHDOG_LOAD) = WATCHDOG_US; /* section 12.9.7, LOAD */
	SET(WATCHDOG_CTRL) = WATCHDOG_ENABLE; /* section 12.9.7, CTRL */
}

void hal_watchdog_feed(void)
{
	REG(WATCHDOG_LOAD) = WATCHDOG_US; /* section 12.9.7, LOAD */
}

void hal_reset(void)
{
	SET(WATCHDOG_CTRL) = WATCHDOG_TRIGGER; /* section 12.9.7, CTRL */
	for (;;)
		;
}

/* Section 12.9.7, REASON: zero after a reset of the chip, whose cause stands in section 6.4, CHIP_RESET. */
uint8_t hal_reset_reason(void)
{
	enum { UNKNOWN = 0, POWER = 1, PIN = 2, TIMEOUT = 3, SOFTWARE = 4, BROWN_OUT = 5 }; /* enum adc_reset */
	uint32_t reason = REG(WATCHDOG_REASON), chip = REG(POWMAN_CHIP_RESET);
	if (reason & WATCHDOG_REASON_FORCE)
		return SOFTWARE;
	if (reason & WATCHDOG_REASON_TIMER)
		return TIMEOUT;
	if (chip & HAD_POR)
		return POWER;
	if (chip & HAD_BOR)
		return BROWN_OUT;
	return chip & HAD_RUN_LOW ? PIN : UNKNOWN;
}
