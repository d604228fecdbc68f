/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include "crc32.h"

#define TRIES 4u                /* slots that do not take what is written */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static unsigned slots_of(const struct journal *j)
{
	return 2 * HAL_FLASH_SECTOR / j->slot;
}

static void read_slot(const struct journal *j, unsigned slot, uint8_t *out)
{
	hal_flash_read(j->base + slot * j->slot, out, j->slot);
}

static bool is_blank(const struct journal *j, unsigned slot)
{
	uint8_t bytes[HAL_FLASH_PAGE];
	read_slot(j, slot, bytes);
	for (unsigned i = 0; i < j->slot; i++)
		if (bytes[i] != 0xff)
			return false;
	return true;
}

static bool is_record(const struct journal *j, const uint8_t *bytes)
{
	return get32(bytes) == j->magic && get32(bytes + j->slot - 4) == pico_crc32(bytes, j->slot - 4u);
}

/* The slot of the newest record; -1: none. */
static int newest(const struct journal *j, uint32_t *number, uint8_t *payload)
{
	uint8_t bytes[HAL_FLASH_PAGE];
	int found = -1;
	for (unsigned slot = 0; slot < slots_of(j); slot++) {
		read_slot(j, slot, bytes);
		if (!is_record(j, bytes) || (found >= 0 && get32(bytes + 4) <= *number))
			continue;
		found = (int)slot;
		*number = get32(bytes + 4);
		for (unsigned i = 0; payload && i < j->slot - JOURNAL_OVERHEAD; i++)
			payload[i] = bytes[8 + i];
	}
	return found;
}

bool journal_load(const struct journal *j, uint8_t *out)
{
	uint32_t number = 0;
	return newest(j, &number, out) >= 0;
}

/* A blank slot after `after` in its sector, else the first of the other one, which is erased for it. */
static int free_slot(const struct journal *j, int after)
{
	unsigned per_sector = slots_of(j) / 2, sector = after < 0 ? 1 : (unsigned)after / per_sector;
	for (unsigned slot = (unsigned)(after + 1); after >= 0 && slot < (sector + 1) * per_sector; slot++)
		if (is_blank(j, slot))
			return (int)slot;
	sector ^= 1;
	if (!hal_flash_erase(j->base + sector * HAL_FLASH_SECTOR) || !is_blank(j, sector * per_sector))
		return -1;
	return (int)(sector * per_sector);
}

/* The page with this slot in it; the rest of it stays as it is: ones change nothing. */
static bool write_slot(const struct journal *j, unsigned slot, const uint8_t *bytes)
{
	uint8_t page[HAL_FLASH_PAGE];
	uint32_t at = j->base + slot * j->slot, in_page = at % HAL_FLASH_PAGE;
	for (unsigned i = 0; i < HAL_FLASH_PAGE; i++)
		page[i] = i >= in_page && i < in_page + j->slot ? bytes[i - in_page] : 0xff;
	if (!hal_flash_program(at - in_page, page))
		return false;
	read_slot(j, slot, page);
	for (unsigned i = 0; i < j->slot; i++)
		if (page[i] != bytes[i])
			return false;
	return true;
}

bool journal_save(const struct journal *j, const uint8_t *payload)
{
	uint8_t bytes[HAL_FLASH_PAGE];
	uint32_t number = 0;
	int last = newest(j, &number, NULL);
	put32(bytes, j->magic);
	put32(bytes + 4, number + 1);
	for (unsigned i = 0; i < j->slot - JOURNAL_OVERHEAD; i++)
		bytes[8 + i] = payload[i];
	put32(bytes + j->slot - 4, pico_crc32(bytes, j->slot - 4u));
	for (unsigned i = 0; i < TRIES; i++) {
		int slot = free_slot(j, last);
		if (slot < 0)
			return false;
		if (write_slot(j, (unsigned)slot, bytes))
			return true;
		last = last < 0 ? -1 : slot;
	}
	return false;
}
