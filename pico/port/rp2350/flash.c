/* SPDX-License-Identifier: Apache-2.0 */
/* Four sectors of flash, by the functions of the bootrom: section 5.4.8, API function listings.
 * flash_exit_xip (5.4.8.7) returns the flash chip to where it takes serial commands; reading goes on, slowly.
 * While flash_range_erase (5.4.8.10) or flash_range_program (5.4.8.11) is at work, a read of flash is a bus
 * error: all code is in RAM, and no DMA reads flash. */
#include "port.h"

#define STORE 0xf0000u          /* below 1 MiB: the boards have 2 or 4 */
#define SECTOR_ERASE 0x20u      /* command of the flash chip, 4 KiB */

typedef void (*rom_void)(void);
typedef void (*rom_erase)(uint32_t at, uint32_t n, uint32_t block_size, uint8_t block_command);
typedef void (*rom_program)(uint32_t at, const uint8_t *data, uint32_t n);
typedef void *(*rom_lookup)(uint32_t code, uint32_t mask);

#define CODE(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)
#define FUNC_ARM_SECURE 4u      /* section 5.4.1: RT_FLAG_FUNC_ARM_SEC */

/* Section 5.4.1: the 16-bit pointer at 0x16 is rom_table_lookup. */
static void *rom(uint32_t code)
{
	uint32_t at = 0x16;
	__asm__("" : "+r"(at)); /* the compiler need not know that this is nearly null */
	rom_lookup lookup = (rom_lookup)(uintptr_t)*(const volatile uint16_t *)at;
	return lookup(code, FUNC_ARM_SECURE);
}

static bool begin(rom_void *flush, rom_void *enter)
{
	rom_void connect = (rom_void)rom(CODE('I', 'F')), leave = (rom_void)rom(CODE('E', 'X'));
	*flush = (rom_void)rom(CODE('F', 'C'));
	*enter = (rom_void)rom(CODE('C', 'X'));
	if (!connect || !leave || !*flush || !*enter)
		return false;
	connect();
	leave();
	return true;
}

void hal_flash_read(uint32_t offset, uint8_t *out, size_t n)
{
	const volatile uint8_t *from = (const volatile uint8_t *)(uintptr_t)(XIP + STORE + offset);
	for (size_t i = 0; i < n; i++)
		out[i] = from[i];
}

bool hal_flash_erase(uint32_t offset)
{
	rom_void flush, enter;
	rom_erase erase = (rom_erase)rom(CODE('R', 'E'));
	if (!erase || !begin(&flush, &enter))
		return false;
	hal_watchdog_feed();
	erase(STORE + offset, HAL_FLASH_SECTOR, HAL_FLASH_SECTOR, SECTOR_ERASE);
	flush();
	enter();
	return true;
}

bool hal_flash_program(uint32_t offset, const uint8_t page[HAL_FLASH_PAGE])
{
	rom_void flush, enter;
	rom_program program = (rom_program)rom(CODE('R', 'P'));
	if (!program || !begin(&flush, &enter))
		return false;
	program(STORE + offset, page, HAL_FLASH_PAGE);
	flush();
	enter();
	return true;
}
