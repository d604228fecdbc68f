/* SPDX-License-Identifier: Apache-2.0 */
/* Section 5.4, Bootrom APIs: the table and the flash functions; flash that stays when the power goes.
 * Stricter than the datasheet: there a read of flash is a bus error while it is erased or programmed, here
 * from flash_exit_xip to flash_enter_cmd_xip, so that a read whose time is only lucky is seen as well. */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define ROM_BYTES 0x8000u
#define LOOKUP 0x100u
#define ERASE_PS (45 * MS)
#define PROGRAM_PS (400 * US)

enum { F_IF, F_EX, F_RE, F_RP, F_FC, F_CX, FUNCTIONS };
static const char codes[FUNCTIONS][3] = { "IF", "EX", "RE", "RP", "FC", "CX" };

void flash_reset(struct machine *m)
{
	m->xip_off = m->xip_stale = false;
	uc_mem_protect(m->uc, FLASH_AT, FLASH_BYTES, UC_PROT_READ | UC_PROT_EXEC);
}

static void set_xip(struct machine *m, bool off)
{
	m->xip_off = off;
	uc_mem_protect(m->uc, FLASH_AT, FLASH_BYTES, off ? UC_PROT_NONE : UC_PROT_READ | UC_PROT_EXEC);
}

/* Of the operation that is cut off the first half has happened. */
static uint32_t cut(struct machine *m, uint32_t n)
{
	m->flash_ops++;
	if (m->flash_ops != m->cut_at_flash_op)
		return n;
	m->power_cut = true;
	uc_emu_stop(m->uc);
	return n / 2;
}

static bool may_write(struct machine *m, const char *what, uint32_t at, uint32_t n, uint32_t unit)
{
	if (!m->xip_off)
		FAULT(m, "%s while flash is mapped: flash_exit_xip comes first", what);
	else if (at % unit || n % unit || !n)
		FAULT(m, "%s of 0x%x bytes at 0x%x: multiples of 0x%x", what, n, at, unit);
	else if (at < STORE_AT || at + n > STORE_AT + STORE_BYTES)
		FAULT(m, "%s at 0x%x, outside of the store", what, at);
	else
		return true;
	return false;
}

static void erase(struct machine *m, uint32_t at, uint32_t n)
{
	if (!may_write(m, "flash_range_erase", at, n, 4096))
		return;
	m->erases++;
	m->now_ps += ERASE_PS;
	n = cut(m, n);
	if (!m->flash_fails)
		memset(m->flash + at, 0xff, n);
	m->xip_stale = true;
}

static void program(struct machine *m, uint32_t at, uint32_t from, uint32_t n)
{
	if (!may_write(m, "flash_range_program", at, n, 256))
		return;
	if (from < RAM_AT || from + n > RAM_AT + RAM_BYTES) {
		FAULT(m, "flash_range_program from 0x%x, which is no RAM", from);
		return;
	}
	m->programs++;
	m->now_ps += PROGRAM_PS;
	n = cut(m, n);
	/* what is cut off is so within the bytes that change */
	const uint8_t *bytes = m->ram + (from - RAM_AT);
	uint32_t changing = 0, left;
	for (uint32_t i = 0; i < 256; i++)
		changing += bytes[i] != 0xff;
	left = m->power_cut ? changing / 2 : changing;
	for (uint32_t i = 0; i < 256 && !m->flash_fails; i++)
		if (bytes[i] != 0xff && left && left--)
			m->flash[at + i] &= bytes[i];
	m->xip_stale = true;
}

static uint32_t arm_reg(struct machine *m, int reg)
{
	uint32_t v = 0;
	uc_reg_read(m->uc, reg, &v);
	return v;
}

static void lookup(struct machine *m)
{
	uint32_t code = arm_reg(m, UC_ARM_REG_R0), found = 0;
	if (arm_reg(m, UC_ARM_REG_R1) != 4)
		FAULT(m, "rom_table_lookup with flags 0x%x: 4 is for Arm secure", arm_reg(m, UC_ARM_REG_R1));
	for (uint32_t i = 0; i < FUNCTIONS; i++)
		if (code == ((uint32_t)codes[i][0] | (uint32_t)codes[i][1] << 8))
			found = (LOOKUP + 16 * (i + 1)) | 1;
	uc_reg_write(m->uc, UC_ARM_REG_R0, &found);
}

void flash_rom(struct machine *m, uint32_t address)
{
	if (m->fault[0] || m->power_cut)
		return;
	if (address == LOOKUP) {
		lookup(m);
		return;
	}
	switch ((address - LOOKUP) / 16 - 1) {
	case F_IF: break;
	case F_EX: set_xip(m, true); break;
	case F_RE: erase(m, arm_reg(m, UC_ARM_REG_R0), arm_reg(m, UC_ARM_REG_R1)); break;
	case F_RP: program(m, arm_reg(m, UC_ARM_REG_R0), arm_reg(m, UC_ARM_REG_R1), arm_reg(m, UC_ARM_REG_R2)); break;
	case F_FC: m->xip_stale = false; break;
	case F_CX:
		if (m->xip_stale)
			FAULT(m, "flash is mapped again with a stale cache: flash_flush_cache comes first");
		set_xip(m, false);
		break;
	default: FAULT(m, "the bootrom is entered at 0x%x", address);
	}
}

bool flash_new(struct machine *m)
{
	static const uint16_t bx_lr = 0x4770, pointer = LOOKUP | 1;
	m->rom = calloc(1, ROM_BYTES);
	if (!m->rom)
		return false;
	memcpy(m->rom + 0x16, &pointer, 2);
	for (unsigned i = 0; i <= FUNCTIONS; i++)
		memcpy(m->rom + LOOKUP + 16 * i, &bx_lr, 2);
	return uc_mem_map_ptr(m->uc, 0, ROM_BYTES, UC_PROT_READ | UC_PROT_EXEC, m->rom) == UC_ERR_OK;
}
