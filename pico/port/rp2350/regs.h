/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of RP2350 that this port uses, by the section of the RP2350 datasheet that lists them. */
#ifndef DSM_PICO_RP2350_REGS_H
#define DSM_PICO_RP2350_REGS_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))
/* Section 2.1.3, Atomic Register Access: aliases that flip, set or clear the bits that are written. */
#define SET(address) REG((address) + 0x2000u)
#define CLR(address) REG((address) + 0x3000u)

/* Section 8.1.7, Clocks: List of registers */
#define CLOCKS 0x40010000u
#define CLK_REF_CTRL (CLOCKS + 0x30)
#define CLK_REF_SELECTED (CLOCKS + 0x38)
#define CLK_REF_SRC_XOSC 2u
#define CLK_SYS_CTRL (CLOCKS + 0x3c)
#define CLK_SYS_SELECTED (CLOCKS + 0x44)
#define CLK_SYS_SRC_AUX 1u              /* AUXSRC 0 is PLL_SYS */
#define CLK_PERI_CTRL (CLOCKS + 0x48)   /* AUXSRC 0 is clk_sys */
#define CLK_ADC_CTRL (CLOCKS + 0x6c)    /* AUXSRC 0 is PLL_USB */
#define CLK_ADC_DIV (CLOCKS + 0x70)     /* INT at bit 16 */
#define CLK_ENABLE (1u << 11)

/* Section 7.5.3, Subsystem resets: List of registers */
#define RESETS 0x40020000u
#define RESETS_RESET (RESETS + 0)
#define RESETS_DONE (RESETS + 8)
#define RESET_ADC (1u << 0)
#define RESET_DMA (1u << 2)
#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS (1u << 14)
#define RESET_PLL_USB (1u << 15)
#define RESET_SPI0 (1u << 18)
#define RESET_TIMER0 (1u << 23)
#define RESET_UART0 (1u << 26)

/* Section 7.4.4, System resets (Power-on State Machine): List of registers */
#define PSM_WDSEL 0x40018008u
#define PSM_ALL 0x01ffffffu
#define PSM_ROSC (1u << 2)
#define PSM_XOSC (1u << 3)

/* Section 9.11.1, IO - User Bank; 9.11.3, Pad Control - User Bank */
#define IO_CTRL(pin) (0x40028004u + 8u * (pin))
#define FUNC_SPI 1u
#define FUNC_UART 2u
#define FUNC_SIO 5u
#define FUNC_NULL 31u
#define PAD(pin) (0x40038004u + 4u * (pin))
#define PAD_ISO (1u << 8)
#define PAD_OD (1u << 7)
#define PAD_IE (1u << 6)
#define PAD_DRIVE_4MA (1u << 4)
#define PAD_PUE (1u << 3)
#define PAD_SCHMITT (1u << 1)

/* Section 8.2.8, Crystal oscillator: List of registers */
#define XOSC_CTRL 0x40048000u
#define XOSC_STATUS 0x40048004u
#define XOSC_STARTUP 0x4004800cu
#define XOSC_ENABLE_1_15MHZ ((0xfabu << 12) | 0xaa0u)
#define XOSC_STABLE (1u << 31)

/* Section 8.6.5, PLL: List of Registers */
#define PLL_SYS 0x40050000u
#define PLL_USB 0x40058000u
#define PLL_CS 0x0u
#define PLL_LOCK (1u << 31)
#define PLL_PWR 0x4u
#define PLL_PWR_PD (1u << 0)
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD (1u << 5)
#define PLL_FBDIV 0x8u
#define PLL_PRIM 0xcu

/* Section 8.5.2, Tick generators: List of registers */
#define TICKS_TIMER0 0x40108018u
#define TICKS_WATCHDOG 0x40108030u
#define TICK_CTRL 0u
#define TICK_CYCLES 4u

/* Section 12.8.5, System timers: List of registers */
#define TIMER0_TIMERAWH 0x400b0024u
#define TIMER0_TIMERAWL 0x400b0028u

/* Section 12.9.7, Watchdog: List of registers */
#define WATCHDOG_CTRL 0x400d8000u
#define WATCHDOG_TRIGGER (1u << 31)
#define WATCHDOG_ENABLE (1u << 30)
#define WATCHDOG_LOAD 0x400d8004u
#define WATCHDOG_REASON 0x400d8008u
#define WATCHDOG_REASON_TIMER 1u
#define WATCHDOG_REASON_FORCE 2u

/* Section 6.4, Power management (POWMAN) registers */
#define POWMAN_CHIP_RESET 0x4010002cu
#define HAD_POR (1u << 16)
#define HAD_BOR (1u << 17)
#define HAD_RUN_LOW (1u << 18)

/* Section 12.4.7, ADC: List of registers */
#define ADC 0x400a0000u
#define ADC_CS (ADC + 0x00)
#define ADC_CS_EN (1u << 0)
#define ADC_CS_START_MANY (1u << 3)
#define ADC_CS_READY (1u << 8)
#define ADC_CS_AINSEL 12
#define ADC_CS_RROBIN 16
#define ADC_FCS (ADC + 0x08)
#define ADC_FCS_EN (1u << 0)
#define ADC_FCS_ERR (1u << 2)
#define ADC_FCS_DREQ_EN (1u << 3)
#define ADC_FCS_EMPTY (1u << 8)
#define ADC_FCS_UNDER (1u << 10)
#define ADC_FCS_OVER (1u << 11)
#define ADC_FCS_THRESH 24
#define ADC_FIFO (ADC + 0x0c)
#define ADC_FIFO_ERR (1u << 15)
#define ADC_DIV (ADC + 0x10)            /* INT at bit 8: a conversion each INT + 1 cycles of 48 MHz */

/* Section 12.6.10, DMA: List of registers (channel 0) */
#define DMA 0x50000000u
#define DMA_READ_ADDR (DMA + 0x0)
#define DMA_WRITE_ADDR (DMA + 0x4)
#define DMA_TRANS_COUNT (DMA + 0x8)
#define DMA_TRIGGER_SELF (1u << 28)
#define DMA_COUNT 0x0fffffffu
#define DMA_CTRL_TRIG (DMA + 0xc)
#define DMA_EN (1u << 0)
#define DMA_SIZE_16 (1u << 2)
#define DMA_INCR_WRITE (1u << 6)
#define DMA_RING_SIZE 8
#define DMA_RING_WRITE (1u << 12)
#define DMA_CHAIN_TO 13                 /* itself: no chain */
#define DMA_TREQ_SEL 17
#define DMA_TREQ_ADC 48u
#define DMA_BUSY (1u << 26)
#define DMA_WRITE_ERROR (1u << 29)      /* this and the next: written ones clear */
#define DMA_READ_ERROR (1u << 30)
#define DMA_AHB_ERROR (1u << 31)        /* either */
#define DMA_AL1_CTRL (DMA + 0x10)       /* CTRL_TRIG, but writing it starts nothing */
#define DMA_ABORT (DMA + 0x464)

/* Section 12.3.5, SPI: List of registers */
#define SPI0 0x40080000u
#define SPI_CR0 (SPI0 + 0x0)            /* SCR at bit 8, DSS 7 = 8 bits; mode 0 */
#define SPI_CR1 (SPI0 + 0x4)
#define SPI_CR1_SSE (1u << 1)
#define SPI_DR (SPI0 + 0x8)
#define SPI_SR (SPI0 + 0xc)
#define SPI_SR_TNF (1u << 1)
#define SPI_SR_RNE (1u << 2)
#define SPI_SR_BSY (1u << 4)
#define SPI_CPSR (SPI0 + 0x10)

/* Section 12.1.8, UART: List of registers */
#define UART0 0x40070000u
#define UART_DR (UART0 + 0x0)
#define UART_FR (UART0 + 0x18)
#define UART_FR_RXFE (1u << 4)
#define UART_FR_TXFF (1u << 5)
#define UART_IBRD (UART0 + 0x24)
#define UART_FBRD (UART0 + 0x28)
#define UART_LCR_H (UART0 + 0x2c)
#define UART_LCR_8N1_FIFO ((3u << 5) | (1u << 4))
#define UART_CR (UART0 + 0x30)
#define UART_CR_ON ((1u << 9) | (1u << 8) | 1u)

/* Section 3.1.11, SIO: List of registers */
#define SIO_GPIO_IN 0xd0000004u
#define SIO_GPIO_OUT_SET 0xd0000018u
#define SIO_GPIO_OUT_CLR 0xd0000020u
#define SIO_GPIO_OE_SET 0xd0000038u

/* Section 2.2.2, XIP: where flash is seen */
#define XIP 0x10000000u

#endif
