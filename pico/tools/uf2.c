/* SPDX-License-Identifier: Apache-2.0 */
/* uf2 ADDRESS IN.bin OUT.uf2: a flash image as the file that the board's bootloader takes by drag and
 * drop. 512-byte blocks with 256 bytes of payload, family rp2350-arm-s. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u
#define PAYLOAD 256u
#define FAMILY 0xe48bff59u
#define HAS_FAMILY 0x2000u
#define SIZE_MAX_BYTES 16777216l

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void fill(uint8_t block[BLOCK], uint32_t address, uint32_t number, uint32_t count)
{
	const uint32_t head[8] = { 0x0a324655, 0x9e5d5157, HAS_FAMILY, address + number * PAYLOAD, PAYLOAD, number, count,
		FAMILY };
	memset(block, 0, BLOCK);
	for (unsigned i = 0; i < 8; i++)
		put32(block + 4 * i, head[i]);
	put32(block + BLOCK - 4, 0x0ab16f30);
}

static int convert(uint32_t address, FILE *in, FILE *out)
{
	uint8_t block[BLOCK], payload[PAYLOAD];
	if (fseek(in, 0, SEEK_END) != 0)
		return -1;
	long size = ftell(in);
	rewind(in);
	if (size <= 0 || size > SIZE_MAX_BYTES)
		return -1;
	uint32_t count = (uint32_t)((size + PAYLOAD - 1) / PAYLOAD);
	for (uint32_t number = 0; number < count; number++) {
		memset(payload, 0, sizeof(payload));
		if (fread(payload, 1, sizeof(payload), in) == 0)
			return -1;
		fill(block, address, number, count);
		memcpy(block + 32, payload, sizeof(payload));
		if (fwrite(block, 1, sizeof(block), out) != sizeof(block))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: uf2 ADDRESS IN.bin OUT.uf2\n");
		return 2;
	}
	FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "wb");
	int error = !in || !out || convert((uint32_t)strtoul(argv[1], NULL, 0), in, out) != 0;
	error = (out && fclose(out) != 0) || error;
	if (in)
		fclose(in);
	if (error)
		fprintf(stderr, "uf2: %s cannot be converted to %s\n", argv[2], argv[3]);
	return error;
}
