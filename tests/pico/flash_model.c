/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_model.h"

#include <string.h>

struct flash_model model;

void model_new(void)
{
	memset(&model, 0, sizeof(model));
	memset(model.bytes, 0xff, sizeof(model.bytes));
	model.budget = -1;
	model.link = model.net = true;
}

uint64_t hal_now_us(void) { return model.now_us; }
uint8_t hal_reset_reason(void) { return 1; }
void hal_watchdog_feed(void) { model.feeds++; }
void hal_reset(void) { model.resets++; }
uint32_t hal_inputs(void) { return 0; }

bool hal_adc_start(unsigned channels, uint32_t tick_us)
{
	return channels >= 1 && channels <= 3 && tick_us > 0;
}

bool hal_adc_newest(unsigned channel, uint16_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint16_t)(1000 + channel);
	return true;
}

bool hal_adc_overrun(void)
{
	bool over = model.overrun;
	model.overrun = false;
	return over;
}

bool hal_net_start(const struct pico_settings *settings)
{
	model.net_starts++;
	return settings && model.net;
}

void hal_net_poll(uint64_t now_us) { (void)now_us; }
bool hal_net_link(void) { return model.link; }

bool hal_net_send(const uint8_t *data, size_t n)
{
	if (n > sizeof(model.last))
		model.wrong++;
	else
		memcpy(model.last, data, n);
	model.last_n = n;
	model.sent++;
	return true;
}

void hal_flash_read(uint32_t offset, uint8_t *out, size_t n)
{
	if (offset > sizeof(model.bytes) || n > sizeof(model.bytes) - offset) {
		model.wrong++;
		return;
	}
	memcpy(out, model.bytes + offset, n);
}

/* One byte more changed, if there is still power. */
static bool change(uint32_t at, uint8_t value)
{
	if (model.budget == 0)
		return false;
	if (model.budget > 0)
		model.budget--;
	model.bytes[at] = value;
	return true;
}

bool hal_flash_erase(uint32_t offset)
{
	model.erases++;
	if (offset % HAL_FLASH_SECTOR || offset >= sizeof(model.bytes)) {
		model.wrong++;
		return false;
	}
	for (uint32_t i = 0; i < HAL_FLASH_SECTOR; i++)
		if (model.bytes[offset + i] != 0xff && !change(offset + i, 0xff))
			return false;
	return model.budget != 0;
}

bool hal_flash_program(uint32_t offset, const uint8_t page[HAL_FLASH_PAGE])
{
	model.programs++;
	if (offset % HAL_FLASH_PAGE || offset >= sizeof(model.bytes)) {
		model.wrong++;
		return false;
	}
	for (uint32_t i = 0; i < HAL_FLASH_PAGE; i++)
		if (page[i] != 0xff && !change(offset + i, model.bytes[offset + i] & page[i]))
			return false;
	return model.budget != 0;
}

int hal_console_get(void)
{
	if (!model.typed_n)
		return -1;
	model.typed_n--;
	return *model.typed++;
}

bool hal_console_put(char c)
{
	if (model.said_n + 1 >= sizeof(model.said))
		model.said_n = 0;
	model.said[model.said_n++] = c;
	model.said[model.said_n] = '\0';
	return true;
}
