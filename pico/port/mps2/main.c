/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portable core on QEMU's Cortex-M33 (mps2-an505) with real interrupts: TIMER0 interrupts each tick,
 * takes the samples and tells the main loop, which polls. Values are made up: channel c shows a ramp of
 * its own that follows from the tick's number, so that whoever receives can tell what must stand there.
 * Sends TICKS datagrams and ends QEMU by semihosting. A test port: no flash, no console. CMSDK TRM is Arm's
 * DDI 0479, Cortex-M System Design Kit, with the timer of the mps2-an505.
 */
#include "device.h"
#include "lan9118.h"

#define TICKS 3000u
#define CHANNELS 4u
#define TIMER0(offset) (*(volatile uint32_t *)(uintptr_t)(0x50000000u + (offset)))
#define TIMER_HZ 20000000u
#define NVIC_ISER0 (*(volatile uint32_t *)(uintptr_t)0xe000e100u)
#define TIMER0_IRQ 3u

extern uint32_t data_begin[], data_end[], data_source[], bss_begin[], bss_end[], stack_top[];
void reset(void);
void timer_interrupt(void);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

/* Written by the interrupt, read by the loop: one word each, and the loop sees the count last. */
static volatile uint32_t ticks;
static volatile uint16_t sample[CHANNELS];
static struct pico_device device;
static const struct lan9118_route route = { { 2, 0x44, 0x53, 0x4d, 0, 9 }, { 10, 0, 2, 15 }, { 10, 0, 2, 2 }, 7462, 7462 };

static void leave_qemu(uint32_t reason)
{
	register uint32_t operation __asm__("r0") = 0x18, argument __asm__("r1") = reason;
	__asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
	for (;;)
		;
}

static void fault(void)
{
	leave_qemu(0x20023); /* run-time error */
}

__attribute__((section(".vectors"), used)) static void *const vectors[16 + 4] = {
	stack_top, reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
	fault, fault, fault, timer_interrupt,
};

void timer_interrupt(void)
{
	TIMER0(0xc) = 1; /* CMSDK TRM, APB timer: INTCLEAR */
	for (uint32_t c = 0; c < CHANNELS; c++)
		sample[c] = (uint16_t)((ticks + 1000 * c) & 0xfff);
	ticks = ticks + 1;
}

/* Whole ticks and what has gone of this one; once more if an interrupt came between. */
static uint64_t now_us(void *context)
{
	uint32_t before, counter;
	(void)context;
	do {
		before = ticks;
		counter = TIMER0(0x4);
	} while (before != ticks);
	return 1000ull * before + (TIMER_HZ / 1000 - 1 - counter) / (TIMER_HZ / 1000000);
}

static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	(void)context;
	for (unsigned i = 0; i < n; i++)
		out[i] = sample[channel];
	return true;
}

static uint32_t levels(void *context)
{
	(void)context;
	return ticks / 100 & 1 ? 1u << 3 : 0;
}

static bool send(void *context, const uint8_t *data, size_t n)
{
	(void)context;
	return lan9118_send(&route, data, n);
}

static bool load_epoch(void *context, uint32_t *epoch)
{
	(void)context;
	*epoch = 0;
	return true;
}

static bool store_epoch(void *context, uint32_t epoch)
{
	(void)context, (void)epoch;
	return true;
}

static void run(void)
{
	static const struct pico_config config = { .device = 9, .tick_us = 1000, .debounce_us = 3000, .channels = CHANNELS,
		.log2_average = 4, .reset = ADC_RESET_POWER, .simulated = true,
		.key = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
	static const struct pico_hal hal = { NULL, now_us, samples, levels, send, load_epoch, store_epoch };
	TIMER0(0x8) = TIMER_HZ / 1000 - 1; /* CMSDK TRM, APB timer: RELOAD */
	TIMER0(0x4) = TIMER_HZ / 1000 - 1; /* CMSDK TRM, APB timer: VALUE */
	TIMER0(0x0) = 1u << 3 | 1; /* CMSDK TRM, APB timer: CTRL, interrupt and on */
	NVIC_ISER0 = 1u << TIMER0_IRQ; /* Armv8-M Architecture Reference Manual: NVIC_ISER0 */
	if (!lan9118_start(route.mac) || !pico_start(&device, &config, &hal))
		fault();
	while (device.seq < TICKS)
		pico_poll(&device);
}

void reset(void)
{
	const volatile uint32_t *from = data_source;
	for (volatile uint32_t *to = data_begin; to < data_end; to++)
		*to = *from++;
	for (volatile uint32_t *to = bss_begin; to < bss_end; to++)
		*to = 0;
	run();
	leave_qemu(device.dropped ? 0x20023 : 0x20026);
}

void *memcpy(void *to, const void *from, size_t n)
{
	uint8_t *t = to;
	const uint8_t *f = from;
	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, size_t n)
{
	uint8_t *t = to;
	while (n--)
		*t++ = (uint8_t)value;
	return to;
}
