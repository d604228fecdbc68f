/* SPDX-License-Identifier: Apache-2.0 */
/* From the bootrom to main(): vectors, IMAGE_DEF, the copy into RAM. What the compiler may call by itself
 * (memcpy, memset) is here too. */
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "port.h"

extern uint32_t image_begin[], image_end[], image_source[], bss_begin[], bss_end[], stack_top[], stack_limit[];

void reset(void);
int main(void);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

/* A fault: wait for the watchdog, whose reason the next start tells. */
static void stuck(void)
{
	for (;;)
		;
}

/* Section 5.9.5.1, Minimum Arm IMAGE_DEF: within the first 4 kB of the image. */
__attribute__((section(".boot.image_def"), used)) static const uint32_t image_def[5] = {
	0xffffded3, 0x10210142, 0x000001ff, 0x00000000, 0xab123579,
};

/* Armv8-M: stack, then reset and the fifteen exceptions. The bootrom enters through the first, in flash;
 * the second, in RAM, is for faults. No interrupt is used. */
typedef void (*vector)(void);
struct vectors { uint32_t *stack; vector entry[15]; };
#define VECTORS { stack_top, { reset, stuck, stuck, stuck, stuck, stuck, stuck, stuck, stuck, stuck, stuck, stuck, \
	stuck, stuck, stuck } }
__attribute__((section(".boot.vectors"), used)) static const struct vectors boot_vectors = VECTORS;
__attribute__((section(".vectors"), used, aligned(512))) static const struct vectors ram_vectors = VECTORS;

#define VTOR (*(volatile uint32_t *)0xe000ed08u) /* Armv8-M Architecture Reference Manual: VTOR */

__attribute__((section(".boot.text"), noreturn)) void reset(void)
{
	__asm__ volatile("msr msplim, %0" : : "r"(stack_limit));
	const volatile uint32_t *from = image_source;
	for (volatile uint32_t *to = image_begin; to < image_end; to++)
		*to = *from++;
	for (volatile uint32_t *to = bss_begin; to < bss_end; to++)
		*to = 0;
	VTOR = (uint32_t)(uintptr_t)&ram_vectors;
	int (*volatile go)(void) = main; /* by its address: it is too far for a branch */
	go();
	for (;;)
		;
}

static struct board board;

int main(void)
{
	clocks_start();
	pins_start();
	console_port_start();
	watchdog_start();
	board_start(&board);
	for (;;)
		board_poll(&board);
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
