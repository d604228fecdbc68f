/* SPDX-License-Identifier: Apache-2.0 */
/* The ADC datagram: golden bytes made from the byte table alone, the tag against libsodium's, and what
 * is refused. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/adc.h"

static const uint8_t key[SIPHASH_KEY] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static const struct adc_header full = { .flags = ADC_RESET_POWER, .channels = 8, .log2_average = 4,
	.device = 7, .epoch = 3, .seq = 1000, .uptime_us = 1234567, .levels = 0x80000005u,
	.presses = { 1, 2, 3, 4, 5, 6, 7, 255 } };
static const uint16_t values[8] = { 0, 1, 32768, 65535, 0x1234, 0xabcd, 4096, 61440 };
static const struct adc_header empty = { .device = 0xfedcba98u, .epoch = UINT32_MAX, .seq = UINT32_MAX,
	.uptime_us = 0x0123456789abcdefu };

static size_t golden(const char *name, uint8_t *data, size_t room)
{
	char path[500];
	const char *folder = getenv("DSM_VECTORS");
	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "tests/vectors", name);
	FILE *file = fopen(path, "rb");
	cr_assert_not_null(file, "%s", path);
	size_t n = fread(data, 1, room, file);
	fclose(file);
	return n;
}

static void expect_same(const struct adc_header *a, const struct adc_header *b)
{
	cr_expect_eq(a->flags, b->flags);
	cr_expect_eq(a->channels, b->channels);
	cr_expect_eq(a->log2_average, b->log2_average);
	cr_expect_eq(a->device, b->device);
	cr_expect_eq(a->epoch, b->epoch);
	cr_expect_eq(a->seq, b->seq);
	cr_expect_eq(a->uptime_us, b->uptime_us);
	cr_expect_eq(a->levels, b->levels);
	cr_expect_arr_eq(a->presses, b->presses, ADC_PRESSES);
}

Test(adc, golden_bytes_both_ways)
{
	static const struct { const char *name; const struct adc_header *header; } vectors[] = {
		{ "adc-v1-8.bin", &full }, { "adc-v1-0.bin", &empty },
	};
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[600], made[600];
		struct adc_header h;
		size_t n = golden(vectors[i].name, bytes, sizeof(bytes));
		cr_assert_eq(n, ADC_BYTES(vectors[i].header->channels));
		cr_expect_eq(adc_encode(vectors[i].header, values, key, made, sizeof(made)), n);
		cr_expect_arr_eq(made, bytes, n);
		cr_assert_eq(adc_decode(bytes, n, &h), ADC_GOOD);
		expect_same(&h, vectors[i].header);
		cr_expect(adc_authentic(bytes, n, key));
		for (unsigned c = 0; c < h.channels; c++)
			cr_expect_eq(adc_channel(bytes, c), values[c]);
	}
}

/* The vector that the paper works through, then libsodium's word for every length. */
Test(adc, siphash_is_siphash)
{
	uint8_t data[600], random_key[SIPHASH_KEY], tag[8];
	for (unsigned i = 0; i < 15; i++)
		data[i] = (uint8_t)i;
	cr_expect_eq(siphash24(key, data, 15), 0xa129ca6149be45e5u);
	cr_assert_geq(sodium_init(), 0);
	for (size_t n = 0; n < sizeof(data); n++) {
		randombytes_buf(data, sizeof(data));
		randombytes_buf(random_key, sizeof(random_key));
		crypto_shorthash(tag, data, n, random_key);
		uint64_t ours = siphash24(random_key, data, n);
		for (unsigned i = 0; i < 8; i++)
			cr_assert_eq(tag[i], (uint8_t)(ours >> (8 * i)), "%zu bytes", n);
	}
}

Test(adc, every_bit_is_under_the_tag)
{
	uint8_t good[100], data[100];
	struct adc_header h;
	size_t n = adc_encode(&full, values, key, good, sizeof(good));
	for (size_t bit = 0; bit < 8 * n; bit++) {
		memcpy(data, good, n);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(adc_decode(data, n, &h) != ADC_GOOD || !adc_authentic(data, n, key), "bit %zu", bit);
	}
	uint8_t other[SIPHASH_KEY];
	for (size_t bit = 0; bit < 8 * SIPHASH_KEY; bit++) {
		memcpy(other, key, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(!adc_authentic(good, n, other), "key bit %zu", bit);
	}
}

Test(adc, form)
{
	uint8_t good[700], data[700];
	static uint16_t many[ADC_CHANNELS_MAX];
	struct adc_header h = { .device = 99 }, big = full;
	size_t n = adc_encode(&full, values, key, good, sizeof(good));
	for (size_t cut = 0; cut < n; cut++)
		cr_expect_eq(adc_decode(good, cut, &h), cut < 48 ? ADC_FOREIGN : ADC_BAD_LENGTH);
	cr_expect_eq(adc_decode(good, n + 1, &h), ADC_BAD_LENGTH);
#define CHANGED(at, to, expected) do { memcpy(data, good, n); data[at] = (to); \
	cr_expect_eq(adc_decode(data, n, &h), expected); } while (0)
	CHANGED(0, 'd', ADC_FOREIGN);
	CHANGED(3, 0, ADC_FOREIGN);
	CHANGED(4, 0, ADC_OTHER_VERSION);
	CHANGED(4, 2, ADC_OTHER_VERSION);
	CHANGED(6, 7, ADC_BAD_LENGTH);
	CHANGED(6, 9, ADC_BAD_LENGTH);
	CHANGED(7, 16, ADC_BAD_FIELD);
	cr_expect_eq(h.device, 99u, "refused, yet something was put out");
	CHANGED(5, 255, ADC_GOOD);
	/* writing */
	cr_expect_eq(adc_encode(&full, values, key, data, n - 1), 0u);
	big.log2_average = 16;
	cr_expect_eq(adc_encode(&big, values, key, data, sizeof(data)), 0u);
	big.log2_average = 15;
	big.channels = ADC_CHANNELS_MAX;
	n = adc_encode(&big, many, key, data, sizeof(data));
	cr_expect_eq(n, ADC_BYTES_MAX);
	cr_expect_eq(n, 558u);
	cr_expect_eq(adc_decode(data, n, &h), ADC_GOOD);
}
