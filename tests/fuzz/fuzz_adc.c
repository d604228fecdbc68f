/* SPDX-License-Identifier: Apache-2.0 */
/* ADC datagrams: what decodes is encoded again to the same bytes, but for the tag. */
#include <stdlib.h>
#include <string.h>

#include "wire/adc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[SIPHASH_KEY] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t again[ADC_BYTES_MAX];
	uint16_t channels[ADC_CHANNELS_MAX];
	struct adc_header h;
	if (adc_decode(data, size, &h) != ADC_GOOD)
		return 0;
	for (unsigned c = 0; c < h.channels; c++)
		channels[c] = adc_channel(data, c);
	if (adc_encode(&h, channels, key, again, sizeof(again)) != size ||
	    memcmp(again, data, size - ADC_TAG) != 0 || !adc_authentic(again, size, key))
		abort();
	if (adc_authentic(data, size, key) != (memcmp(again, data, size) == 0))
		abort();
	return 0;
}
