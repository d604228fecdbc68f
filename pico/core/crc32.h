/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 (IEEE 802.3, reflected), bit by bit: for what is kept in flash. Freestanding. */
#ifndef DSM_PICO_CRC32_H
#define DSM_PICO_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t pico_crc32(const uint8_t *data, size_t n);

#endif
