/* SPDX-License-Identifier: Apache-2.0 */
/* From a datagram's numbers to cells' values: one input of one device. Pure functions over a small
 * state; ingest.c calls them for what it has accepted. */
#ifndef DSM_LIB_ENGINE_INGEST_MAP_H
#define DSM_LIB_ENGINE_INGEST_MAP_H

#include "engine/table_devices.h"
#include "wire/adc.h"

struct ingest_input {
	struct table_input in;
	const struct table_point *point;
	const char *cell;           /* name */
	enum dsm_type type;
	/* state */
	double filtered;            /* raw, after the filter */
	bool has_filtered, has_presses;
	uint8_t presses;            /* the counter as last seen */
	uint64_t total;             /* presses so far */
};

/* A raw value (0..65535, after the filter) to the cell's number. */
double ingest_shape(const struct table_input *in, const struct table_point *point, double raw);
/* Takes the channel's value into the filter; `elapsed_us` since the one before, 0 = begin anew. */
void ingest_filter(struct ingest_input *input, uint16_t raw, uint64_t elapsed_us);
/* Counts presses since the counter's last value; `started`: the board counts from 0 again. */
void ingest_press(struct ingest_input *input, uint8_t counter, bool started);
/* The value for a cell of this type. */
struct dsm_value ingest_number(enum dsm_type type, double number);

#endif
