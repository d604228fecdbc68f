/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include "journal.h"

#define NET_EVERY_US 100000u

static const struct journal settings_journal = { 0, 0x31474643, SETTINGS_BYTES + JOURNAL_OVERHEAD };
static const struct journal epoch_journal = { 2 * HAL_FLASH_SECTOR, 0x31434f50, 4 + JOURNAL_OVERHEAD };
_Static_assert(HAL_FLASH_PAGE % (SETTINGS_BYTES + JOURNAL_OVERHEAD) == 0, "slots do not cross pages");

/* ---- what device.c asks for ---- */

static uint64_t now_us(void *context)
{
	(void)context;
	return hal_now_us();
}

static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	(void)context;
	return hal_adc_newest(channel, out, n);
}

static uint32_t levels(void *context)
{
	(void)context;
	return hal_inputs();
}

static bool send(void *context, const uint8_t *data, size_t n)
{
	const struct board *b = context;
	return b->has_net && b->link && hal_net_send(data, n);
}

static bool load_epoch(void *context, uint32_t *epoch)
{
	uint8_t bytes[4];
	(void)context;
	if (!journal_load(&epoch_journal, bytes))
		return false;
	*epoch = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
	return true;
}

static bool store_epoch(void *context, uint32_t epoch)
{
	const uint8_t bytes[4] = { (uint8_t)epoch, (uint8_t)(epoch >> 8), (uint8_t)(epoch >> 16), (uint8_t)(epoch >> 24) };
	(void)context;
	return journal_save(&epoch_journal, bytes);
}

/* ---- start ---- */

static void load_settings(struct board *b)
{
	uint8_t bytes[SETTINGS_BYTES];
	if (!journal_load(&settings_journal, bytes) || !settings_decode(bytes, &b->settings))
		settings_default(&b->settings);
	b->edited = b->settings;
}

static bool start_device(struct board *b)
{
	const struct pico_hal hal = { b, now_us, samples, levels, send, load_epoch, store_epoch };
	struct pico_config config = { .device = b->settings.device, .tick_us = b->settings.tick_us,
		.debounce_us = b->settings.debounce_us, .channels = b->settings.channels,
		.log2_average = b->settings.log2_average, .reset = hal_reset_reason() };
	for (unsigned i = 0; i < SIPHASH_KEY; i++)
		config.key[i] = b->settings.key[i];
	return hal_adc_start(b->settings.channels, b->settings.tick_us) && pico_start(&b->device, &config, &hal);
}

/* One that is slow at power-up, or gets its power later, is found later. */
static void find_net(struct board *b)
{
	b->has_net = hal_net_start(&b->settings);
	b->net_due_us = hal_now_us() + NET_EVERY_US;
}

void board_start(struct board *b)
{
	load_settings(b);
	console_start(&b->console, &b->edited);
	b->has_net = b->link = b->runs = false;
	b->overruns = b->link_losses = 0;
	hal_watchdog_feed();
	if (!settings_complete(&b->settings)) {
		console_print(&b->console, "no key and addresses yet: set, save, reset; help\r\n");
		return;
	}
	find_net(b);
	if (!b->has_net)
		console_print(&b->console, "error: the network part does not answer; it is tried again\r\n");
	b->runs = start_device(b);
	if (!b->runs)
		console_print(&b->console, "error: this machine has fewer channels\r\n");
}

/* ---- the console's verbs ---- */

static void say_status(struct board *b)
{
	const struct { const char *name; uint32_t value; } lines[] = {
		{ "epoch ", b->device.epoch }, { "ticks ", b->device.seq }, { "sent ", b->device.sent },
		{ "dropped ", b->device.dropped }, { "overruns ", b->overruns }, { "link ", b->link },
		{ "link_losses ", b->link_losses },
	};
	if (!b->runs) {
		console_print(&b->console, "not running\r\n");
		return;
	}
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		console_print(&b->console, lines[i].name);
		console_number(&b->console, lines[i].value);
		console_print(&b->console, "\r\n");
	}
}

static void save(struct board *b)
{
	uint8_t bytes[SETTINGS_BYTES] = { 0 };
	hal_watchdog_feed();
	settings_encode(&b->edited, bytes);
	console_print(&b->console, journal_save(&settings_journal, bytes) ? "saved\r\n" :
		"error: the flash does not take it; what was saved before is still there\r\n");
}

static void do_verb(struct board *b, enum console_verb verb)
{
	switch (verb) {
	case CONSOLE_NONE:
		break;
	case CONSOLE_SAVE:
		save(b);
		break;
	case CONSOLE_EPOCH:
		hal_watchdog_feed();
		console_print(&b->console, store_epoch(b, b->console.epoch) ? "kept; it counts after reset\r\n" :
			"error: the flash does not take it\r\n");
		break;
	case CONSOLE_RESET:
		hal_reset();
		break;
	case CONSOLE_STATUS:
		say_status(b);
		break;
	}
}

/* ---- the loop ---- */

static void watch_link(struct board *b)
{
	bool link = b->has_net && hal_net_link();
	if (b->link && !link) {
		b->link_losses++;
		b->device.notes |= ADC_LINK_LOST;
	}
	b->link = link;
}

void board_poll(struct board *b)
{
	hal_watchdog_feed();
	do_verb(b, console_poll(&b->console));
	if (!b->runs)
		return;
	if (b->has_net) {
		hal_net_poll(hal_now_us());
	} else if (hal_now_us() >= b->net_due_us) {
		find_net(b);
		if (b->has_net)
			console_print(&b->console, "the network part answers\r\n");
	}
	watch_link(b);
	if (hal_adc_overrun()) {
		b->overruns++;
		b->device.notes |= ADC_OVERRUN;
	}
	pico_poll(&b->device);
}
