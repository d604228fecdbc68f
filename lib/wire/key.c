/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/key.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define PERSONAL "dsm key id v1\0\0" /* with its NUL 16 bytes: other hashes of the key are no ids */

int key_parse(const char *text, size_t n, size_t bytes, uint8_t *out)
{
	uint8_t key[KEY_BYTES], alike = 0;
	size_t got = 0;
	if (bytes > sizeof(key))
		return -EINVAL;
	if (n == 2 * bytes) {
		if (sodium_hex2bin(key, bytes, text, n, NULL, &got, NULL))
			got = 0;
	} else if (n <= 2 * bytes) {
		size_t end = n;
		while (end > 0 && n - end < 2 && text[end - 1] == '=')
			end--;
		if (end < n && n % 4 != 0)
			end = 0; /* '=' only to fill up */
		if (sodium_base642bin(key, bytes, text, end, NULL, &got, NULL,
			sodium_base64_VARIANT_ORIGINAL_NO_PADDING))
			got = 0;
	}
	int rc = got == bytes ? 0 : -EINVAL;
	for (size_t i = 1; rc == 0 && i < bytes; i++)
		alike |= key[i] ^ key[0];
	if (rc == 0 && !alike)
		rc = -EDOM;
	if (rc == 0)
		memcpy(out, key, bytes);
	sodium_memzero(key, sizeof(key));
	return rc;
}

int key_id(const uint8_t *key, size_t bytes, uint8_t id[KEY_ID_BYTES])
{
	uint8_t hash[16];
	if (sodium_init() < 0 || crypto_generichash_blake2b_salt_personal(hash, sizeof(hash), key, bytes,
		NULL, 0, NULL, (const unsigned char *)PERSONAL))
		return -EIO;
	memcpy(id, hash, KEY_ID_BYTES);
	return 0;
}
