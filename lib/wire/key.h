/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One key as text and as bytes, alike at client and engine: 64 hexadecimal digits, or base64 with
 * or without '=' at its end. A key's id is what a client shows the engine in the clear so that it
 * knows which key to try: a hash, so nothing has to be configured twice, and a key of 256 random
 * bits cannot be found from it.
 */
#ifndef DSM_LIB_WIRE_KEY_H
#define DSM_LIB_WIRE_KEY_H

#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES 32u           /* of roles: Noise's pre-shared key */
#define KEY_DEVICE_BYTES 16u    /* of ADC devices: SipHash's key */
#define KEY_ID_BYTES 8u

/* Reads `bytes` (16 or 32) from `n` characters. -EINVAL: neither form, or another length; -EDOM: all
 * bytes alike, which no generator makes. The time it takes does not tell the key. */
int key_parse(const char *text, size_t n, size_t bytes, uint8_t *out);
/* -EIO: libsodium cannot start. */
int key_id(const uint8_t *key, size_t bytes, uint8_t id[KEY_ID_BYTES]);

#endif
