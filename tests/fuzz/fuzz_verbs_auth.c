/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever arrives in place of AUTH1, AUTH2, AUTH3 or a sealed message is refused, ends that side for
 * good, and makes it say nothing. The first byte chooses which; the rest is what arrives. */
#include <stdlib.h>
#include <string.h>

#include "wire/verbs_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

static void refuses(struct verbs_auth *a, const uint8_t *data, size_t size)
{
	unsigned char out[VERBS_AUTH_BYTES];
	size_t n = 1;
	must(verbs_auth_take(a, data, size, out, &n) < 0 && n == 0 && a->state == VERBS_AUTH_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t psk[NOISE_KEY] = { 1, 2, 3 };
	static unsigned char text[65536];
	struct verbs_request request = { .kind = VERBS_CONTROL, .credits = 32 };
	struct verbs_reply reply = { .kind = VERBS_CONTROL, .credits = 32, .flags = REPLY_KEYS };
	struct verbs_auth client, engine;
	unsigned char m1[VERBS_AUTH_BYTES], m2[VERBS_AUTH_BYTES], m3[VERBS_AUTH_BYTES];
	size_t n;
	if (size < 1)
		return 0;
	unsigned which = data[0] & 3;
	data++;
	size--;
	must(verbs_auth_await(&engine, psk, &request, &reply) == 0);
	must(verbs_auth_call(&client, psk, &request, &reply, m1) == 0);
	if (which == 0) {
		refuses(&engine, data, size);
		return 0;
	}
	must(verbs_auth_take(&engine, m1, sizeof(m1), m2, &n) == 0);
	if (which == 1) {
		refuses(&client, data, size);
		return 0;
	}
	must(verbs_auth_take(&client, m2, n, m3, &n) == 0);
	if (which == 2) {
		refuses(&engine, data, size);
		return 0;
	}
	must(verbs_auth_take(&engine, m3, n, m1, &n) == 0 && n == 0);
	must(verbs_auth_open(&engine, data, size, text, sizeof(text)) < 0 && engine.state == VERBS_AUTH_FAILED);
	must(verbs_auth_open(&client, data, size, text, sizeof(text)) < 0);
	return 0;
}
