/* SPDX-License-Identifier: Apache-2.0 */
/* dsm_key_new(): bytes from the system as base64. */
#include <errno.h>

#include "core/error.h"
#include "port/port.h"

static void encode(const unsigned char *bytes, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3) {
		unsigned word = (unsigned)bytes[i] << 16 | (i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0) |
			(i + 2 < n ? bytes[i + 2] : 0);
		for (size_t k = 0; k < 4; k++)
			*out++ = i + k <= n ? digits[word >> (18 - 6 * k) & 63] : '=';
	}
	*out = '\0';
}

int dsm_key_new(uint32_t bytes, char *buf, size_t size)
{
	unsigned char key[32];
	if (!buf || (bytes != 16 && bytes != 32))
		return dsm__fail(-EINVAL, "dsm_key_new(): expected 16 or 32 bytes and a buffer, found %u", bytes);
	if (size < (bytes + 2) / 3 * 4 + 1)
		return dsm__fail(-EMSGSIZE, "dsm_key_new(): expected a buffer of %u bytes", DSM_KEY_TEXT);
	if (port_random(key, bytes))
		return dsm__fail(-EIO, "the system gives no random numbers");
	encode(key, bytes, buf);
	port_wipe(key, sizeof(key));
	return 0;
}
