/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of dsm-adc, the board as a program: what its knobs show (signal, CSV, keyboard), its key, its
 * boot counter, its socket. Each returns 0 or prints why not and returns -1: this is a program. */
#ifndef DSM_PICO_HOST_ADC_H
#define DSM_PICO_HOST_ADC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "device.h"

#define FULL 65535.0            /* of a channel: 3.3 V */

/* "dsm-adc: TEXT" on standard error; -1. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- signals ---- */
enum shape { SHAPE_STILL, SHAPE_SINE, SHAPE_RAMP, SHAPE_SQUARE, SHAPE_NOISE };
struct signal {
	enum shape shape;
	double period_s, low, high;     /* 0..1 of full scale; still: `low` */
};
/* "C=0.25", "C=sine:2", "C=ramp:10:0.2:0.8"; C 0 to PICO_CHANNELS - 1. */
int signal_parse(const char *text, struct signal signals[PICO_CHANNELS]);
/* 0..1 at a time since the start. */
double signal_at(const struct signal *signal, double t_s);
/* "N=S": input N is held down for half of every S seconds. */
int press_parse(const char *text, double period_s[PICO_INPUTS]);

/* ---- a file ---- */
struct csv_row { double t_s, value[PICO_CHANNELS]; uint32_t levels; };
struct csv {
	struct csv_row *rows;
	size_t count, at;
	bool loop;
	unsigned channels;              /* highest column c + 1 */
};
/* First line: t and then c0 to c7 (0..1 of full scale) or b0 to b31 (0 or 1), in any order. */
int csv_load(const char *path, struct csv *csv);
void csv_free(struct csv *csv);
/* The row at a time since the start; the last one stays, or all begins again. Time does not go back. */
const struct csv_row *csv_at(struct csv *csv, double t_s);

/* ---- the keyboard ---- */
struct keyboard {
	bool open, quit;
	unsigned channel, channels;
	double value[PICO_CHANNELS];
	uint32_t levels;
	uint64_t until_us[10];          /* a button springs back */
};
int keyboard_open(struct keyboard *keyboard, unsigned channels);
void keyboard_close(struct keyboard *keyboard);
/* Takes what has been typed. */
void keyboard_poll(struct keyboard *keyboard, uint64_t now_us);

/* ---- key, boot counter, socket ---- */
/* The key of device `id`, from a key file as `dsm keygen` makes it, or from DSM_KEYS if path is NULL. */
int key_load(const char *path, uint32_t id, uint8_t key[SIPHASH_KEY]);

/* The boot counter: a number in a file that only one process has at a time. */
struct epoch { char path[512]; int lock_fd; };
/* path NULL: $XDG_STATE_HOME/dsm/adc-ID.epoch, or below ~/.local/state. */
int epoch_open(struct epoch *epoch, const char *path, uint32_t id);
bool epoch_load(const struct epoch *epoch, uint32_t *value);
bool epoch_store(const struct epoch *epoch, uint32_t value);
void epoch_close(struct epoch *epoch);

/* Connected, non-blocking. `target`: HOST, HOST:PORT or [ADDR6]:PORT. */
int socket_open(const char *target, int *fd);

#endif
