/* SPDX-License-Identifier: Apache-2.0 */
/* The table file, devices: loaded structures to the builder of table_devices.c, and FILE:LINE: KEY
 * before what that refuses. */
#include <errno.h>
#include <stdio.h>

#include "core/error.h"
#include "engine/table_devices.h"
#include "engine/table_names.h"
#include "engine/table_yaml.h"

/* `input` TABLE_NONE = the device itself; its text is the thread's error text if `text` is NULL. */
static int fail_at(const struct yaml_source *source, uint32_t device, uint32_t input, const char *key, int error,
	const char *text)
{
	char path[YAML_PATH_MAX], copy[400];
	int n = snprintf(path, sizeof(path), "devices[%u]", device);
	snprintf(copy, sizeof(copy), "%s", text ? text : dsm_error());
	if (input != TABLE_NONE)
		n += snprintf(path + n, sizeof(path) - (size_t)n, ".inputs[%u]", input);
	snprintf(path + n, sizeof(path) - (size_t)n, ".%s", key);
	return dsm__fail(error, "%s:%u: %s: %s", source->name, yaml_line(source, path), path, copy);
}

/* Exactly one of channel, level and presses. */
static const char *kind_of(const struct yaml_input *in, struct table_input_spec *spec)
{
	const uint32_t *const which[] = { in->channel, in->level, in->presses };
	static const enum input_kind kinds[] = { INPUT_CHANNEL, INPUT_LEVEL, INPUT_PRESSES };
	unsigned given = 0;
	for (size_t i = 0; i < 3; i++) {
		if (!which[i])
			continue;
		spec->kind = kinds[i];
		spec->index = *which[i];
		given++;
	}
	return given == 1 ? NULL : given ? "expected one of channel, level and presses, found more" :
		"missing: expected channel, level or presses";
}

static int fill_input(const struct yaml_source *source, struct dsm_table *table, uint32_t d, uint32_t i,
	const struct yaml_input *in)
{
	struct table_point points[DEVICE_POINTS_MAX];
	struct table_input_spec spec = { .cell = in->cell, .invert = in->invert == YAML_TRUE, .low = in->low,
		.high = in->high, .center = in->center, .dead_zone = in->dead_zone, .filter_ms = in->filter_ms,
		.point = points, .points = in->calibration_count };
	const char *wrong = kind_of(in, &spec);
	if (wrong)
		return fail_at(source, d, i, in->level ? "level" : "channel", -EINVAL, wrong);
	if (in->calibration && (spec.points < 2 || spec.points > DEVICE_POINTS_MAX))
		return fail_at(source, d, i, "calibration", -EINVAL, "expected 2 to 64 points");
	for (uint32_t p = 0; p < spec.points; p++)
		points[p] = (struct table_point){ in->calibration[p].raw, in->calibration[p].value };
	int rc = table_add_input(table, &spec);
	return rc ? fail_at(source, d, i, table_key, rc, NULL) : 0;
}

int yaml_fill_devices(const struct yaml_source *source, const struct yaml_table *file, struct dsm_table *table)
{
	for (uint32_t d = 0; d < file->devices_count; d++) {
		const struct yaml_device *device = &file->devices[d];
		struct table_device_spec spec = { .name = device->name, .owner = device->owner, .id = device->id,
			.tick_us = device->tick_us ? *device->tick_us : DEVICE_TICK_US_DEFAULT,
			.commit_hz = device->commit_hz };
		if (device->tick_us && *device->tick_us == 0)
			return fail_at(source, d, TABLE_NONE, "tick_us", -EINVAL, "expected microseconds, at least 50");
		int rc = table_add_device(table, &spec);
		if (rc)
			return fail_at(source, d, TABLE_NONE, table_key, rc, NULL);
		if (device->inputs_count == 0)
			return fail_at(source, d, TABLE_NONE, "inputs", -EINVAL, "expected at least one input, found none");
		for (uint32_t i = 0; rc == 0 && i < device->inputs_count; i++)
			rc = fill_input(source, table, d, i, &device->inputs[i]);
		if (rc)
			return rc;
	}
	return 0;
}
