/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever arrives in place of a handshake message or a datagram is refused, changes nothing, and
 * leaves nothing of itself in the payload; what the other side did send still passes. */
#include <stdlib.h>
#include <string.h>

#include "wire/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[NOISE_MESSAGE_MAX];

static void must_refuse(struct noise_handshake *hs, const uint8_t *data, size_t size)
{
	struct noise_handshake before = *hs;
	size_t n;
	if (noise_read(hs, data, size, out, sizeof(out), &n) == 0 || memcmp(hs, &before, sizeof(before)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t psk[NOISE_KEY] = { 1, 2, 3 };
	struct noise_handshake a, b;
	struct noise_cipher a_send, a_receive, b_send, b_receive;
	uint8_t message[NOISE_HANDSHAKE];
	size_t n;
	if (noise_begin(&a, true, psk, data, size > 8 ? 8 : size) ||
	    noise_begin(&b, false, psk, data, size > 8 ? 8 : size))
		abort();
	must_refuse(&b, data, size);
	if (noise_write(&a, NULL, 0, message, sizeof(message), &n) || noise_read(&b, message, n, out, 0, &n) ||
	    noise_write(&b, NULL, 0, message, sizeof(message), &n))
		abort();
	must_refuse(&a, data, size);
	if (noise_read(&a, message, n, out, 0, &n) || noise_split(&a, &a_send, &a_receive, NULL) ||
	    noise_split(&b, &b_send, &b_receive, NULL))
		abort();
	if (size <= sizeof(out) && noise_open(&b_receive, size, data, size, data, size, out) == 0)
		abort();
	return 0;
}
