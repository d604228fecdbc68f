/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADC datagram, version 1: what a board with knobs and buttons sends, once a tick. Little-endian,
 * put and taken byte by byte; freestanding (no errno, no libc): the firmware has the same lines.
 * Byte table: docs/adc.md. Golden vectors: tests/vectors/adc-v1-*.bin.
 */
#ifndef DSM_LIB_WIRE_ADC_H
#define DSM_LIB_WIRE_ADC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/siphash.h"

#define ADC_VERSION 1u
#define ADC_HEAD 40u                    /* bytes before the channels */
#define ADC_TAG 8u
#define ADC_CHANNELS_MAX 255u
#define ADC_BYTES(channels) (ADC_HEAD + 2u * (channels) + ADC_TAG)
#define ADC_BYTES_MAX ADC_BYTES(ADC_CHANNELS_MAX)
#define ADC_PRESSES 8u                  /* inputs with a press counter: the first ones */

/* Bits 0..2 of flags: why the board last started. */
enum adc_reset {
	ADC_RESET_UNKNOWN = 0, ADC_RESET_POWER = 1, ADC_RESET_PIN = 2, ADC_RESET_WATCHDOG = 3,
	ADC_RESET_SOFTWARE = 4, ADC_RESET_BROWN_OUT = 5,
};
enum adc_flags {
	ADC_RESET_BITS = 7,
	ADC_FAULT = 8,          /* the converter failed: channels are of no use */
	ADC_SIMULATED = 16,     /* values come from a generator or a file */
	ADC_NO_EPOCH = 32,      /* the boot counter could not be stored: the next start repeats it */
	ADC_OVERRUN = 64,       /* samples were lost since the datagram before */
	ADC_LINK_LOST = 128,    /* the network was away since the datagram before */
	ADC_FLAGS = 255,
};

struct adc_header {
	uint8_t flags, channels;
	uint8_t log2_average;           /* samples averaged for a value, as a power of two: 0..15 */
	uint32_t device;
	uint32_t epoch;                 /* boot counter */
	uint32_t seq;                   /* counts ticks, also those whose datagram was not sent */
	uint64_t uptime_us;             /* when the values were taken, since the start */
	uint32_t levels;                /* digital inputs, after debouncing; bit 0 = input 0 */
	uint8_t presses[ADC_PRESSES];   /* count up at a press and wrap */
};

/* One datagram with its tag into `out`. Bytes, or 0: it does not fit, or a field is out of range. */
size_t adc_encode(const struct adc_header *header, const uint16_t *channels,
	const uint8_t key[SIPHASH_KEY], uint8_t *out, size_t room);

enum adc_form {
	ADC_GOOD = 0,
	ADC_FOREIGN = 1,        /* too short, or another magic */
	ADC_OTHER_VERSION = 2,
	ADC_BAD_LENGTH = 3,     /* not exactly 48 + 2 x channels */
	ADC_BAD_FIELD = 4,      /* a bit or number that version 1 does not have */
};
/* Form only: nothing in *out may be believed until adc_authentic(). *out is set with ADC_GOOD. */
enum adc_form adc_decode(const uint8_t *data, size_t n, struct adc_header *out);
/* Does the tag fit? For a datagram that decodes. Its time does not depend on where it differs. */
bool adc_authentic(const uint8_t *data, size_t n, const uint8_t key[SIPHASH_KEY]);
/* A channel's value: 65535 = 3.3 V. `channel` below header.channels. */
uint16_t adc_channel(const uint8_t *data, unsigned channel);

#endif
