/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small record that survives a power cut at any moment, in two sectors of flash. Each save writes
 * the next free slot: {magic, number, payload, CRC}, little-endian; the highest number whose CRC fits
 * is the record. When a sector is full the other one is erased, so the newest record is never in a
 * sector that is being erased. What a cut leaves half written fails its CRC and is passed over.
 */
#ifndef DSM_PICO_JOURNAL_H
#define DSM_PICO_JOURNAL_H

#include "hal.h"

#define JOURNAL_OVERHEAD 12u

struct journal {
	uint32_t base;          /* offset of its two sectors */
	uint32_t magic;
	uint16_t slot;          /* bytes of a slot: divides a page; payload = slot - JOURNAL_OVERHEAD */
};

/* false: there is no record; `out` (slot - JOURNAL_OVERHEAD bytes) is untouched. */
bool journal_load(const struct journal *journal, uint8_t *out);
/* Written, read back and the same; false: the record from before is still there. Time: as
 * hal_flash_erase() and hal_flash_program(). */
bool journal_save(const struct journal *journal, const uint8_t *payload);

#endif
