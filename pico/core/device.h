/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board as the engine sees it: once a tick a datagram with what its inputs show. Polled, nothing
 * allocated, no interrupt, no wait: pico_poll() returns at once, always. What it needs of the machine
 * stands in struct pico_hal, so the same lines run on the microcontroller, in an emulator and as a
 * program on the host. Freestanding.
 */
#ifndef DSM_PICO_DEVICE_H
#define DSM_PICO_DEVICE_H

#include <stdbool.h>

#include "average.h"
#include "buttons.h"
#include "wire/adc.h"

#define PICO_CHANNELS 8u

struct pico_hal {
	void *context;
	/* Microseconds since the start; never goes back. */
	uint64_t (*now_us)(void *context);
	/* The newest n samples of a channel, any order. false: the converter does not deliver. */
	bool (*samples)(void *context, unsigned channel, uint16_t *out, unsigned n);
	/* Digital inputs, 1 = pressed. */
	uint32_t (*levels)(void *context);
	/* Takes the datagram, or false at once when it cannot. */
	bool (*send)(void *context, const uint8_t *data, size_t n);
	/* The boot counter that survives power loss; false: it cannot be read (then 0), or written. */
	bool (*load_epoch)(void *context, uint32_t *epoch);
	bool (*store_epoch)(void *context, uint32_t epoch);
};

struct pico_config {
	uint32_t device;
	uint32_t tick_us;               /* time between datagrams, at least 1 */
	uint32_t debounce_us;
	uint8_t channels;               /* at most PICO_CHANNELS */
	uint8_t log2_average;           /* at most PICO_AVERAGE_LOG2_MAX */
	uint8_t reset;                  /* enum adc_reset */
	bool simulated;
	uint8_t key[SIPHASH_KEY];
};

struct pico_device {
	struct pico_config config;
	struct pico_hal hal;
	struct pico_buttons buttons;
	uint64_t next_us;               /* when the next tick is due */
	uint32_t epoch, seq;            /* of the last tick */
	uint32_t sent, dropped;         /* datagrams */
	bool epoch_stored;
	uint8_t notes;                  /* ADC_OVERRUN, ADC_LINK_LOST: go into the next datagram that is taken */
	uint8_t datagram[ADC_BYTES(PICO_CHANNELS)];
};

/* Takes a new epoch and stores it before anything is sent under it. false: the configuration is wrong. */
bool pico_start(struct pico_device *device, const struct pico_config *config, const struct pico_hal *hal);
/* As often as the main loop comes by. true: a tick was due (sent or dropped). */
bool pico_poll(struct pico_device *device);

#endif
