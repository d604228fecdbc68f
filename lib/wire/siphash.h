/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 with a 64-bit tag (Aumasson and Bernstein, 2012): the tag of ADC datagrams. Portable
 * and freestanding, so that microcontroller and engine run the same lines; the same function as
 * libsodium's crypto_shorthash(). */
#ifndef DSM_LIB_WIRE_SIPHASH_H
#define DSM_LIB_WIRE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY 16u

/* The tag as a number; its bytes on the wire are little-endian. */
uint64_t siphash24(const uint8_t key[SIPHASH_KEY], const uint8_t *data, size_t n);

#endif
