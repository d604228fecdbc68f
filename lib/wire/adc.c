/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/adc.h"

static const uint8_t magic[4] = { 'D', 'A', 'D', 'C' };

static uint8_t *put(uint8_t *p, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
	return p + bytes;
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

size_t adc_encode(const struct adc_header *h, const uint16_t *channels, const uint8_t key[SIPHASH_KEY],
	uint8_t *out, size_t room)
{
	size_t n = ADC_BYTES((size_t)h->channels);
	if (n > room || h->log2_average > 15)
		return 0;
	uint8_t *p = out;
	for (unsigned i = 0; i < 4; i++)
		*p++ = magic[i];
	p = put(p, ADC_VERSION, 1);
	p = put(p, h->flags, 1);
	p = put(p, h->channels, 1);
	p = put(p, h->log2_average, 1);
	p = put(p, h->device, 4);
	p = put(p, h->epoch, 4);
	p = put(p, h->seq, 4);
	p = put(p, h->uptime_us, 8);
	p = put(p, h->levels, 4);
	for (unsigned i = 0; i < ADC_PRESSES; i++)
		p = put(p, h->presses[i], 1);
	for (unsigned i = 0; i < h->channels; i++)
		p = put(p, channels[i], 2);
	put(p, siphash24(key, out, n - ADC_TAG), ADC_TAG);
	return n;
}

enum adc_form adc_decode(const uint8_t *data, size_t n, struct adc_header *out)
{
	if (n < ADC_BYTES(0))
		return ADC_FOREIGN;
	for (unsigned i = 0; i < 4; i++)
		if (data[i] != magic[i])
			return ADC_FOREIGN;
	if (data[4] != ADC_VERSION)
		return ADC_OTHER_VERSION;
	if (n != ADC_BYTES((size_t)data[6]))
		return ADC_BAD_LENGTH;
	if (data[7] > 15)
		return ADC_BAD_FIELD;
	out->flags = data[5];
	out->channels = data[6];
	out->log2_average = data[7];
	out->device = (uint32_t)get(data + 8, 4);
	out->epoch = (uint32_t)get(data + 12, 4);
	out->seq = (uint32_t)get(data + 16, 4);
	out->uptime_us = get(data + 20, 8);
	out->levels = (uint32_t)get(data + 28, 4);
	for (unsigned i = 0; i < ADC_PRESSES; i++)
		out->presses[i] = data[32 + i];
	return ADC_GOOD;
}

bool adc_authentic(const uint8_t *data, size_t n, const uint8_t key[SIPHASH_KEY])
{
	/* one comparison of whole words: nothing stops at the first byte that differs */
	return siphash24(key, data, n - ADC_TAG) == get(data + n - ADC_TAG, ADC_TAG);
}

uint16_t adc_channel(const uint8_t *data, unsigned channel)
{
	return (uint16_t)get(data + ADC_HEAD + 2 * channel, 2);
}
