/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's life: memory, bus, running, faults. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCESS_PS 150000ull     /* an access to a peripheral: slower than the chip, so that waiting is cheap here */
#define RUBBISH 0xa5

void machine_fault(struct machine *m, const char *format, ...)
{
	va_list list;
	if (!m->fault[0]) {
		va_start(list, format);
		vsnprintf(m->fault, sizeof(m->fault), format, list);
		va_end(list);
	}
	uc_emu_stop(m->uc);
}

static struct bus { uint32_t base; struct machine *m; } apb = { 0x40000000, NULL }, ahb = { 0x50000000, NULL };

/* ---- the bus: section 2.2, Address Map; 2.1.3, Atomic Register Access ---- */

static const struct { uint32_t at; enum block block; const char *name; } blocks[] = {
	{ 0x40010000, B_NONE, "CLOCKS" }, { 0x40018000, B_NONE, "PSM" }, { 0x40020000, B_NONE, "RESETS" },
	{ 0x40028000, B_IO, "IO_BANK0" }, { 0x40038000, B_PADS, "PADS_BANK0" }, { 0x40048000, B_NONE, "XOSC" },
	{ 0x40050000, B_PLL_SYS, "PLL_SYS" }, { 0x40058000, B_PLL_USB, "PLL_USB" }, { 0x40070000, B_UART0, "UART0" },
	{ 0x40080000, B_SPI0, "SPI0" }, { 0x400a0000, B_ADC, "ADC" }, { 0x400b0000, B_TIMER0, "TIMER0" },
	{ 0x400d8000, B_NONE, "WATCHDOG" }, { 0x40100000, B_NONE, "POWMAN" }, { 0x40108000, B_NONE, "TICKS" },
	{ 0x50000000, B_DMA, "DMA" },
};

/* Is the block there, out of reset and clocked? */
static bool reachable(struct machine *m, uint32_t at)
{
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if ((at & ~0x3fffu) != blocks[i].at)
			continue;
		enum block b = blocks[i].block;
		if (b != B_NONE && m->in_reset >> b & 1)
			FAULT(m, "access to %s at 0x%x, which is in reset", blocks[i].name, at);
		else if ((b == B_UART0 || b == B_SPI0) && !clock_peri_hz(m))
			FAULT(m, "access to %s, which has no clock (clk_peri)", blocks[i].name);
		else if (b == B_ADC && !clock_adc_hz(m))
			FAULT(m, "access to ADC, which has no clock (clk_adc)");
		else
			return true;
		return false;
	}
	FAULT(m, "access to 0x%x, where the model has nothing", at);
	return false;
}

static uint32_t read_register(struct machine *m, uint32_t at)
{
	switch (at & ~0x3fffu) {
	case 0x40028000: case 0x40038000: case 0x40070000: return pins_read(m, at);
	case 0x40080000: return spi_read(m, at);
	case 0x400a0000: return adc_read(m, at);
	case 0x50000000: return dma_read(m, at);
	default: return clocks_read(m, at);
	}
}

static void write_register(struct machine *m, uint32_t at, uint32_t v)
{
	switch (at & ~0x3fffu) {
	case 0x40028000: case 0x40038000: case 0x40070000: pins_write(m, at, v); break;
	case 0x40080000: spi_write(m, at, v); break;
	case 0x400a0000: adc_write(m, at, v); break;
	case 0x50000000: dma_write(m, at, v); break;
	default: clocks_write(m, at, v); break;
	}
}

static uint64_t bus_read(uc_engine *uc, uint64_t offset, unsigned size, void *base)
{
	struct machine *m = ((struct bus *)base)->m;
	uint32_t at = (uint32_t)offset + ((struct bus *)base)->base;
	(void)uc;
	m->now_ps += ACCESS_PS;
	if (m->fault[0] || !reachable(m, at & ~0x3000u))
		return 0;
	if (at & 3 || size != 4) {
		FAULT(m, "read of %u bytes at 0x%x: registers are words", size, at);
		return 0;
	}
	return read_register(m, at & ~0x3000u);
}

/* Section 2.1.5, Narrow IO Register Writes: a narrow one is smeared over the word. */
static void bus_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *base)
{
	struct machine *m = ((struct bus *)base)->m;
	uint32_t at = (uint32_t)offset + ((struct bus *)base)->base, v = (uint32_t)value, plain = at & ~0x3000u;
	(void)uc;
	m->now_ps += ACCESS_PS;
	if (m->fault[0] || !reachable(m, plain))
		return;
	if (at & 3 || size != 4) {
		FAULT(m, "write of %u bytes at 0x%x: it would be smeared over the word", size, at);
		return;
	}
	switch (at >> 12 & 3) {
	case 1: v = read_register(m, plain) ^ v; break;
	case 2: v = read_register(m, plain) | v; break;
	case 3: v = read_register(m, plain) & ~v; break;
	default: break;
	}
	write_register(m, plain, v);
}

/* Section 3.1.11, SIO: no aliases of the atomic kind, registers of its own for them. */
static uint64_t sio_read(uc_engine *uc, uint64_t offset, unsigned size, void *context)
{
	struct machine *m = context;
	(void)uc;
	(void)size;
	m->now_ps += 7000;
	return pins_read(m, 0xd0000000u + (uint32_t)offset);
}

static void sio_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *context)
{
	struct machine *m = context;
	(void)uc;
	(void)size;
	m->now_ps += 7000;
	pins_write(m, 0xd0000000u + (uint32_t)offset, (uint32_t)value);
}

static uint64_t ppb_read(uc_engine *uc, uint64_t offset, unsigned size, void *context)
{
	(void)uc, (void)size;
	FAULT((struct machine *)context, "read of the processor's register 0xe00%05x", (unsigned)offset);
	return 0;
}

static void ppb_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *context)
{
	struct machine *m = context;
	(void)uc, (void)size;
	if (offset != 0xed08)
		FAULT(m, "write to the processor's register 0xe00%05x", (unsigned)offset);
	else if (value & 0x7f || value < RAM_AT || value >= RAM_AT + RAM_BYTES)
		FAULT(m, "VTOR 0x%x: no aligned table in RAM", (unsigned)value);
}

/* ---- time ---- */

/* Also where the run ends: with a hook on code, unicorn would not keep the pc for it. */
static void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *context)
{
	struct machine *m = context;
	if (address < 0x8000)
		flash_rom(m, (uint32_t)address);
	m->now_ps += size / 2 * (1000000000000ull / clock_sys_hz(m));
	if (watchdog_expired(m)) {
		m->wd_reason = 1;
		m->rebooted = true;
	}
	/* a block at which the run ends is entered again: not one that does something each time */
	if ((m->now_ps >= m->until_ps && address >= 0x8000) || m->rebooted || m->power_cut)
		uc_emu_stop(uc);
}

static bool on_bad_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *context)
{
	struct machine *m = context;
	uint32_t pc = 0;
	(void)size, (void)value;
	uc_reg_read(uc, UC_ARM_REG_PC, &pc);
	if (address >= FLASH_AT && address < FLASH_AT + FLASH_BYTES && m->xip_off)
		FAULT(m, "flash is read at 0x%x while it is being written (pc 0x%x)", (unsigned)address, pc);
	else
		FAULT(m, "%s of 0x%x, where there is nothing to %s (pc 0x%x)",
			type == UC_MEM_FETCH_UNMAPPED || type == UC_MEM_FETCH_PROT ? "fetch" : "access", (unsigned)address,
			type == UC_MEM_WRITE_PROT ? "write" : "find", pc);
	return false;
}

/* ---- life ---- */

static bool map(struct machine *m)
{
	uc_hook hook;
	apb.m = ahb.m = m;
	if (!flash_new(m))
		return false;
	return uc_mem_map_ptr(m->uc, FLASH_AT, FLASH_BYTES, UC_PROT_READ | UC_PROT_EXEC, m->flash) == UC_ERR_OK &&
		uc_mem_map_ptr(m->uc, RAM_AT, RAM_BYTES, UC_PROT_ALL, m->ram) == UC_ERR_OK &&
		uc_mmio_map(m->uc, 0x40000000, 0x200000, bus_read, &apb, bus_write, &apb) == UC_ERR_OK &&
		uc_mmio_map(m->uc, 0x50000000, 0x4000, bus_read, &ahb, bus_write, &ahb) == UC_ERR_OK &&
		uc_mmio_map(m->uc, 0xd0000000, 0x1000, sio_read, m, sio_write, m) == UC_ERR_OK &&
		uc_mmio_map(m->uc, 0xe0000000, 0x10000, ppb_read, m, ppb_write, m) == UC_ERR_OK &&
		uc_hook_add(m->uc, &hook, UC_HOOK_BLOCK, (void *)on_block, m, 1, 0) == UC_ERR_OK &&
		uc_hook_add(m->uc, &hook, UC_HOOK_MEM_UNMAPPED | UC_HOOK_MEM_PROT, (void *)on_bad_access, m, 1, 0) == UC_ERR_OK;
}

static bool load(struct machine *m, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(m->flash, 1, STORE_AT, f) : 0;
	bool whole = f && n > 0 && feof(f);
	if (f)
		fclose(f);
	if (!whole)
		fprintf(stderr, "machine: %s is no image\n", path);
	return whole;
}

struct machine *machine_new(const char *image_path)
{
	struct machine *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->flash = malloc(FLASH_BYTES);
	m->ram = malloc(RAM_BYTES);
	if (m->flash)
		memset(m->flash, 0xff, FLASH_BYTES);
	if (!m->flash || !m->ram || uc_open(UC_ARCH_ARM, (uc_mode)(UC_MODE_THUMB | UC_MODE_MCLASS), &m->uc) != UC_ERR_OK ||
	    uc_ctl_set_cpu_model(m->uc, UC_CPU_ARM_CORTEX_M33) != UC_ERR_OK || !map(m) || !load(m, image_path)) {
		fprintf(stderr, "machine: it cannot be made\n");
		machine_free(&m);
		return NULL;
	}
	return m;
}

void machine_free(struct machine **machine)
{
	struct machine *m = *machine;
	if (m->uc)
		uc_close(m->uc);
	free(m->flash);
	free(m->ram);
	free(m->rom);
	free(m);
	*machine = NULL;
}

/* Section 5.9, Metadata block details: the bootrom looks for IMAGE_DEF in the first 4 kB, and enters
 * through the vectors at the image's begin. */
static bool boot(struct machine *m)
{
	static const uint32_t image_def[5] = { 0xffffded3, 0x10210142, 0x000001ff, 0, 0xab123579 };
	uint32_t vectors[2];
	bool found = false;
	for (unsigned at = 0; at + sizeof(image_def) <= 4096 && !found; at += 4)
		found = memcmp(m->flash + at, image_def, sizeof(image_def)) == 0;
	memcpy(vectors, m->flash, sizeof(vectors));
	if (!found) {
		FAULT(m, "the bootrom finds no IMAGE_DEF in the first 4 kB");
		return false;
	}
	if (!(vectors[1] & 1) || vectors[0] & 7) {
		FAULT(m, "vectors: stack 0x%x, entry 0x%x", vectors[0], vectors[1]);
		return false;
	}
	uc_reg_write(m->uc, UC_ARM_REG_SP, &vectors[0]);
	uc_reg_write(m->uc, UC_ARM_REG_PC, &vectors[1]);
	return true;
}

static void reset(struct machine *m, bool by_watchdog)
{
	m->rebooted = m->power_cut = false;
	clocks_reset(m, by_watchdog);
	pins_reset(m);
	adc_reset(m);
	spi_reset(m);
	w5500_reset(m);
	flash_reset(m);
	boot(m);
}

void machine_power_on(struct machine *m, uint32_t chip_reset_bits)
{
	memset(m->ram, RUBBISH, RAM_BYTES);
	m->fault[0] = '\0';
	m->uart_out_n = 0;
	m->uart_out[0] = '\0';
	m->chip_reset = chip_reset_bits;
	reset(m, false);
}

bool machine_run(struct machine *m, uint64_t ps)
{
	m->until_ps = m->now_ps + ps;
	while (!m->fault[0] && !m->power_cut && m->now_ps < m->until_ps) {
		uint32_t pc;
		uc_reg_read(m->uc, UC_ARM_REG_PC, &pc);
		uc_err error = uc_emu_start(m->uc, pc | 1, 0xffffffffu, 0, 0);
		if (error != UC_ERR_OK && !m->fault[0]) {
			uc_reg_read(m->uc, UC_ARM_REG_PC, &pc);
			FAULT(m, "%s (pc 0x%x)", uc_strerror(error), pc);
		}
		if (m->rebooted)
			reset(m, true);
	}
	return !m->fault[0] && !m->power_cut;
}

void machine_type(struct machine *m, const char *text)
{
	m->uart_in = text;
	m->uart_rx_ps = m->now_ps;
}

unsigned machine_stack_used(const struct machine *m)
{
	unsigned free_bytes = 0;
	while (free_bytes < STACK_BYTES && m->ram[RAM_BYTES - STACK_BYTES + free_bytes] == RUBBISH)
		free_bytes++;
	return STACK_BYTES - free_bytes;
}
