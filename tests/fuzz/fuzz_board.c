/* SPDX-License-Identifier: Apache-2.0 */
/* The board's program on the host: rubbish in its flash, rubbish at its console, power that goes. Whatever
 * comes, it stays within its memory, never shows its key, and counts its starts up. */
#include <stdlib.h>
#include <string.h>

#include "../pico/flash_model.h"
#include "board.h"

static struct board board;

static void turn(unsigned times)
{
	for (unsigned i = 0; i < times; i++, model.now_us += 97)
		board_poll(&board);
	if (model.wrong)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	size_t flash = data[0] * 16u, at = data[1] * 64u % sizeof(model.bytes);
	long budget = data[2] | data[3] << 8;
	data += 4;
	size -= 4;
	model_new();
	if (flash > size)
		flash = size;
	if (flash > sizeof(model.bytes) - at)
		flash = sizeof(model.bytes) - at;
	memcpy(model.bytes + at, data, flash);
	model.typed = data + flash;
	model.typed_n = size - flash;
	board_start(&board);
	turn(50);
	model.budget = budget; /* somewhere from here on the power goes */
	turn((unsigned)(size / 8 + 100));
	model.typed_n = 0;
	model.budget = -1;
	board_start(&board);
	uint32_t epoch = board.runs ? board.device.epoch : 0;
	board_start(&board);
	if (board.runs && epoch && epoch != UINT32_MAX && board.device.epoch_stored && board.device.epoch <= epoch)
		abort();
	turn(100);
	return 0;
}
