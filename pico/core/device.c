/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

/* Without a stored counter the engine takes the board for a replay after its next start: say so in
 * every datagram, and go on. The last number of all is never followed by 0: it repeats, and that is told. */
static void new_epoch(struct pico_device *d)
{
	bool last = d->epoch == UINT32_MAX;
	d->epoch += !last;
	d->seq = 0;
	d->epoch_stored = d->hal.store_epoch(d->hal.context, d->epoch) && !last;
}

bool pico_start(struct pico_device *d, const struct pico_config *config, const struct pico_hal *hal)
{
	if (config->channels > PICO_CHANNELS || config->log2_average > PICO_AVERAGE_LOG2_MAX ||
	    config->tick_us == 0 || config->reset > ADC_RESET_BITS)
		return false;
	d->config = *config;
	d->hal = *hal;
	d->sent = d->dropped = 0;
	d->epoch = d->notes = 0;
	if (!hal->load_epoch(hal->context, &d->epoch))
		d->epoch = 0;
	new_epoch(d);
	pico_buttons_start(&d->buttons, config->debounce_us, hal->levels(hal->context));
	d->next_us = hal->now_us(hal->context) + config->tick_us;
	return true;
}

/* Ticks that went by unseen are counted as well: the engine sees the gap. */
static void count_ticks(struct pico_device *d, uint64_t now_us)
{
	uint64_t ticks = (now_us - d->next_us) / d->config.tick_us + 1;
	d->next_us += ticks * d->config.tick_us;
	if (ticks > UINT32_MAX - d->seq) {
		new_epoch(d);
		ticks = 1;
	}
	d->seq += (uint32_t)ticks;
}

static bool read_channels(struct pico_device *d, uint16_t *values)
{
	bool good = true;
	for (unsigned c = 0; c < d->config.channels; c++) {
		uint16_t samples[1u << PICO_AVERAGE_LOG2_MAX] = { 0 };
		unsigned n = 1u << d->config.log2_average;
		good = d->hal.samples(d->hal.context, c, samples, n) && good;
		values[c] = pico_average(samples, d->config.log2_average);
	}
	return good;
}

bool pico_poll(struct pico_device *d)
{
	uint64_t now_us = d->hal.now_us(d->hal.context);
	pico_buttons_poll(&d->buttons, d->hal.levels(d->hal.context), (uint32_t)now_us);
	if (now_us < d->next_us)
		return false;
	count_ticks(d, now_us);
	uint16_t values[PICO_CHANNELS];
	bool good = read_channels(d, values);
	struct adc_header h = {
		.flags = (uint8_t)(d->config.reset | (good ? 0 : ADC_FAULT) |
			(d->config.simulated ? ADC_SIMULATED : 0) | (d->epoch_stored ? 0 : ADC_NO_EPOCH) | d->notes),
		.channels = d->config.channels, .log2_average = d->config.log2_average,
		.device = d->config.device, .epoch = d->epoch, .seq = d->seq, .uptime_us = now_us,
		.levels = d->buttons.levels,
	};
	for (unsigned i = 0; i < PICO_PRESSES; i++)
		h.presses[i] = d->buttons.presses[i];
	size_t n = adc_encode(&h, values, d->config.key, d->datagram, sizeof(d->datagram));
	if (d->hal.send(d->hal.context, d->datagram, n)) {
		d->sent++;
		d->notes = 0;
	} else {
		d->dropped++;
	}
	return true;
}
