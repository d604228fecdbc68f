/* SPDX-License-Identifier: Apache-2.0 */
/* The table file between its three parts: table_yaml.c (libcyaml: text to the structures here),
 * table_yaml_fill.c and table_yaml_devices.c (these to the builder), table_yaml_locate.c (libyaml again, after an error:
 * which line it is in). */
#ifndef DSM_LIB_ENGINE_TABLE_YAML_H
#define DSM_LIB_ENGINE_TABLE_YAML_H

#include "engine/table.h"

#define YAML_FILE_MAX ((size_t)64 << 20)  /* bytes */
#define YAML_PATH_MAX 128                 /* of "groups[3].cells[7].type", with its end */
#define YAML_NAME_SHOWN 160               /* bytes of a file name in an error */

/* A truth value that may be left out. */
enum yaml_bool { YAML_ABSENT = 0, YAML_FALSE = 1, YAML_TRUE = 2 };

struct yaml_cell {
	char *name, *type, *unit, *description; /* unit and description: NULL if absent */
	double *min, *max;                      /* NULL if absent */
	uint32_t *count;
	uint32_t from;
	int32_t *precision;
	int32_t clamp;
};
struct yaml_group {
	char *name, *owner, *description;
	uint32_t slots, max_age_ms, from;
	uint32_t *count;
	int32_t save;                           /* enum yaml_bool */
	uint32_t cells_count;
	struct yaml_cell *cells;
};
struct yaml_owner {
	char *name, *users;
	int32_t network;                        /* enum yaml_bool */
};
struct yaml_point { double raw, value; };
struct yaml_input {
	char *cell;
	uint32_t *channel, *level, *presses;    /* NULL if absent; one is not */
	double *low, *high, *center;            /* NULL if absent */
	double dead_zone, filter_ms;
	int32_t invert;                         /* enum yaml_bool */
	uint32_t calibration_count;
	struct yaml_point *calibration;
};
struct yaml_device {
	char *name, *owner;
	uint32_t id;
	uint32_t *tick_us;                      /* NULL if absent */
	double commit_hz;
	uint32_t inputs_count;
	struct yaml_input *inputs;
};
struct yaml_table {
	char *region;
	struct yaml_owner *owners;
	struct yaml_group *groups;
	struct yaml_device *devices;
	uint32_t owners_count, groups_count, devices_count;
};

/* The text as loaded, for errors. */
struct yaml_source {
	const char *name;                       /* FILE in errors, at most YAML_NAME_SHOWN bytes */
	const unsigned char *data;
	size_t size;
};

/* Builds the table. Errors begin "FILE:LINE: KEY: ". */
int yaml_fill(const struct yaml_source *source, const struct yaml_table *file,
	struct dsm_table **out);
/* The last part of it: table_yaml_devices.c. */
int yaml_fill_devices(const struct yaml_source *source, const struct yaml_table *file, struct dsm_table *table);

/* Looks for what is wrong with the text as YAML and by the schema; 0 if nothing is found. */
int yaml_explain(const struct yaml_source *source);
/* Line of a path such as "groups[3].cells[7].type"; where that is not in the file, of the
 * nearest thing around it. */
uint32_t yaml_line(const struct yaml_source *source, const char *path);

#endif
