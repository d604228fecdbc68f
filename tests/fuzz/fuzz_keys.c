/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: any text loads or is refused with a text that begins with its name. */
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys *keys = NULL;
	if (size > 1 << 14)
		return 0;
	if (keys_load_memory("f", (const char *)data, size, &keys)) {
		if (keys || strncmp(dsm_error(), "f:", 2) != 0)
			abort();
		return 0;
	}
	for (uint32_t i = 0; i < keys->count; i++) {
		const struct key *k = &keys->key[i];
		if (k->role != KEY_DEVICE ? keys_find(keys, k->id) != k : !keys_of_device(keys, k->device, NULL))
			abort();
		if (!keys_still(keys, k) || k->label[0] == '\0')
			abort();
	}
	keys_free(&keys);
	return 0;
}
