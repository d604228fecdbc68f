/* SPDX-License-Identifier: Apache-2.0 */
/* The ADC boards of a table: which number, whose cells they write, and what their channels mean. A
 * board is an owner: its cells are those of one owner, whom nobody else feeds. Built by
 * table_yaml_devices.c, read by ingest.c. */
#ifndef DSM_LIB_ENGINE_TABLE_DEVICES_H
#define DSM_LIB_ENGINE_TABLE_DEVICES_H

#include "engine/table.h"

#define DEVICES_MAX 256u
#define DEVICE_INPUTS_MAX 512u      /* of one */
#define DEVICE_POINTS_MAX 64u       /* of one calibration */
#define DEVICE_TICK_US_DEFAULT 1000u

enum input_kind { INPUT_CHANNEL = 1, INPUT_LEVEL = 2, INPUT_PRESSES = 3 };

struct table_point { double raw, value; };

/* Raw to value: along the calibration, or straight from low (at 0) to high (at 65535); then invert,
 * then the dead zone. */
struct table_input {
	uint32_t cell;              /* index in the table */
	uint8_t kind, index;        /* which channel, or digital input */
	bool invert;
	double low, high;           /* smallest and largest value; low may be the larger */
	double dead_zone;           /* half its width, as a part of |high - low|; 0 = none */
	double center;              /* value in its middle */
	double filter_ms;           /* time constant; 0 = none */
	uint32_t first_point, points;
};

struct table_device {
	uint32_t name;              /* pool offset */
	uint32_t owner;             /* index */
	uint32_t id, tick_us;
	double commit_hz;           /* 0 = each datagram */
	uint32_t first_input, inputs;
};

struct table_devices {
	struct table_device *devices;
	struct table_input *inputs;
	struct table_point *points;
	uint32_t device_count, device_room, input_count, input_room, point_count, point_room;
};

struct table_device_spec {
	const char *name, *owner;
	uint32_t id, tick_us;       /* tick_us 0 = the default */
	double commit_hz;
};
struct table_input_spec {
	const char *cell;
	enum input_kind kind;
	uint32_t index;
	bool invert;
	const double *low, *high, *center; /* NULL = 0, 1, the middle */
	double dead_zone, filter_ms;
	const struct table_point *point;
	uint32_t points;
};

/* As the builder of table.c: checked whole before anything changes, table_key names the key at fault. */
int table_add_device(struct dsm_table *table, const struct table_device_spec *spec);
/* Of the device added last. */
int table_add_input(struct dsm_table *table, const struct table_input_spec *spec);
void table_devices_free(struct dsm_table *table);

#endif
