/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RP2350 with a W5500 on SPI0, as far as the firmware uses them, on unicorn's Cortex-M33: strict, so
 * that firmware that works here by luck does not. What real silicon would answer with silence, garbage or
 * nothing at all (a block in reset or unclocked, an isolated pad, a FIFO that is full, flash read while it
 * is being written) is a fault: the run ends and `fault` says what was done wrong. Written from the
 * datasheets' section titles that stand beside each part, not from the firmware.
 * Time is virtual (picoseconds) and follows from what the program does, so runs are repeatable; it is no
 * measure of the real chip's speed. One machine at a time.
 */
#ifndef DSM_TESTS_PICO_MACHINE_H
#define DSM_TESTS_PICO_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unicorn/unicorn.h>

#define FLASH_AT 0x10000000u
#define FLASH_BYTES 0x200000u
#define STORE_AT 0xf0000u
#define STORE_BYTES 0x4000u
#define RAM_AT 0x20000000u
#define RAM_BYTES 0x82000u
#define STACK_BYTES 4096u
#define US 1000000ull           /* picoseconds */
#define MS (1000 * US)

struct w5500_model {
	uint8_t common[64], socket[48], tx[2048];
	uint8_t head[3];
	unsigned at;                    /* bytes of this frame */
	bool selected, sending, arp_known;
	uint64_t reset_until_ps, done_ps;
	uint16_t tx_rd;
	bool fsr_glitched;
	bool lost;                      /* its registers, without anybody having told it so */
	unsigned sends, arp_timeouts, opens;
};

struct machine {
	uc_engine *uc;
	uint64_t now_ps, until_ps;
	char fault[200];                /* "" = none */
	bool rebooted, power_cut;       /* why run() came back */
	uint8_t *flash, *ram, *rom;
	/* clocks and resets */
	uint32_t in_reset, clk_ref_src, clk_sys_src, clk_peri, clk_adc, clk_adc_div;
	uint32_t xosc_ctrl, xosc_startup;
	uint64_t xosc_ps;
	struct pll_model { uint32_t cs, pwr, fbdiv, prim; uint64_t lock_ps; } pll[2];
	struct tick_model { uint32_t ctrl, cycles; } tick[2];
	uint64_t timer_base_ps, timer_base_us;
	uint32_t wd_ctrl, wd_load, wd_reason, psm_wdsel, chip_reset;
	uint64_t wd_due_ps;
	/* pins */
	uint32_t io[48], pad[48];
	uint32_t sio_out, sio_oe;
	uint32_t pressed;               /* inputs 0 to 13 */
	/* UART */
	uint32_t uart_ibrd, uart_fbrd, uart_lcr, uart_cr;
	uint64_t uart_tx_ps, uart_rx_ps;
	const char *uart_in;
	char uart_out[16384];
	size_t uart_out_n;
	/* ADC and DMA */
	double volt[8];
	uint32_t adc_cs, adc_fcs, adc_div;
	uint64_t adc_next_ps;
	uint16_t adc_fifo[8];
	unsigned adc_level;
	bool adc_over, adc_under, adc_error_next, adc_dead;
	bool dma_error_next;            /* its next access of the bus is refused */
	uint32_t dma_read, dma_write, dma_reload, dma_left, dma_ctrl, dma_errors;
	bool dma_active;
	uint64_t dma_stall_until_ps;
	uint64_t samples;
	/* SPI */
	uint32_t spi_cr0, spi_cr1, spi_cpsr;
	uint8_t spi_rx[24];             /* under way (until their time) and received */
	uint64_t spi_rx_ps[24];
	unsigned spi_count;
	uint64_t spi_free_ps;
	struct w5500_model net;
	/* faults that a test injects */
	bool no_chip, link_down, no_arp, fsr_tears, flash_fails;
	bool tx_stuck;                  /* SENDs do not end until this is taken back */
	bool tx_lost;                   /* the next SEND never ends */
	bool tx_full;                   /* no room in the buffer, though nothing is under way */
	int cut_at_flash_op;            /* the n-th erase or program is cut off in the middle; 0 = never */
	int flash_ops, erases, programs;
	bool xip_off, xip_stale;
	/* what it sends */
	void (*datagram)(void *context, const uint8_t ip[4], uint16_t port, const uint8_t *data, size_t n);
	void *context;
};

/* An image as objcopy -O binary makes it. NULL with text on stderr. */
struct machine *machine_new(const char *image_path);
void machine_free(struct machine **machine);
/* Power comes (RAM holds rubbish, registers their reset values); flash stays. */
void machine_power_on(struct machine *machine, uint32_t chip_reset_bits);
/* Runs for a while. false: it faulted, or its power was cut. Watchdog and reset start it again in it. */
bool machine_run(struct machine *machine, uint64_t ps);
/* What is typed at the console. Stays with the caller until it has been read. */
void machine_type(struct machine *machine, const char *text);
/* Bytes of the stack that were ever used since the power came. */
unsigned machine_stack_used(const struct machine *machine);

/* ---- between the parts ---- */
#define FAULT(m, ...) machine_fault((m), __VA_ARGS__)
void machine_fault(struct machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum block { B_ADC = 0, B_DMA = 2, B_IO = 6, B_PADS = 9, B_PLL_SYS = 14, B_PLL_USB = 15, B_SPI0 = 18, B_TIMER0 = 23,
	B_UART0 = 26, B_NONE = 99 };
uint64_t clock_sys_hz(const struct machine *m);
uint64_t clock_peri_hz(const struct machine *m);
uint64_t clock_adc_hz(const struct machine *m);
void clocks_reset(struct machine *m, bool by_watchdog);
uint32_t clocks_read(struct machine *m, uint32_t at);
void clocks_write(struct machine *m, uint32_t at, uint32_t v);
bool watchdog_expired(const struct machine *m);

void pins_reset(struct machine *m);
uint32_t pins_read(struct machine *m, uint32_t at);
void pins_write(struct machine *m, uint32_t at, uint32_t v);
/* May a block drive this pin / read it? Faults if not. */
bool pin_drives(struct machine *m, unsigned pin, uint32_t function, const char *who);
bool pin_reads(struct machine *m, unsigned pin, uint32_t function, const char *who);
bool pin_is_high(const struct machine *m, unsigned pin);

void adc_reset(struct machine *m);
void adc_advance(struct machine *m);
uint32_t adc_read(struct machine *m, uint32_t at);
void adc_write(struct machine *m, uint32_t at, uint32_t v);
uint32_t dma_read(struct machine *m, uint32_t at);
void dma_write(struct machine *m, uint32_t at, uint32_t v);

void spi_reset(struct machine *m);
uint32_t spi_read(struct machine *m, uint32_t at);
void spi_write(struct machine *m, uint32_t at, uint32_t v);
void w5500_reset(struct machine *m);
void w5500_select(struct machine *m, bool selected);
uint8_t w5500_byte(struct machine *m, uint8_t out);
void w5500_reset_pin(struct machine *m, bool high);
/* The chip alone was without power for a moment: all that it was told is gone. */
void w5500_forgets(struct machine *m);

bool flash_new(struct machine *m);
void flash_reset(struct machine *m);
/* The processor comes to this address of the bootrom. */
void flash_rom(struct machine *m, uint32_t address);

#endif
