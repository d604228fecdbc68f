/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table_devices.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/near.h"
#include "engine/table_names.h"

#define RAW_MAX 65535.0
#define TICK_US_MIN 50u
#define TICK_US_MAX 60000000u
#define COMMIT_HZ_MAX 20000.0
#define FILTER_MS_MAX 60000.0

static int make_room(void **array, uint32_t count, uint32_t need, uint32_t *room, size_t size)
{
	if (need <= *room - count)
		return 0;
	uint32_t more = *room * 2 > count + need ? *room * 2 : count + need;
	void *bigger = realloc(*array, (size_t)more * size);
	if (!bigger)
		return dsm__fail(-ENOMEM, "no memory for the devices of the table");
	*array = bigger;
	*room = more;
	return 0;
}

#define MAKE_ROOM(d, what, need) make_room((void **)&(d)->what##s, (d)->what##_count, need, \
	&(d)->what##_room, sizeof(*(d)->what##s))

void table_devices_free(struct dsm_table *table)
{
	if (!table->devices)
		return;
	free(table->devices->devices);
	free(table->devices->inputs);
	free(table->devices->points);
	free(table->devices);
	table->devices = NULL;
}

/* ---- devices --------------------------------------------------------------------------- */

static int check_owner(const struct dsm_table *table, const char *device, const char *owner, uint32_t *index)
{
	table_key = "owner";
	if (!owner || strcmp(owner, "engine") == 0)
		return dsm__fail(-EINVAL, "device \"%s\": expected an owner of its own, not engine: it is alive as "
			"long as the device is", device);
	*index = table_find_owner(table, owner);
	if (*index == TABLE_NONE) {
		struct near near;
		char offer[3 * NEAR_NAME_MAX + 64];
		near_begin(&near, owner);
		for (uint32_t i = 1; i < table->owner_count; i++)
			near_offer(&near, table_text(table, table->owners[i].name));
		return dsm__fail(-ENOENT, "device \"%s\": there is no owner \"%.60s\"%.120s", device, owner,
			near_text(&near, offer, sizeof(offer)));
	}
	for (uint32_t i = 0; i < table->devices->device_count; i++)
		if (table->devices->devices[i].owner == *index)
			return dsm__fail(-EINVAL, "device \"%s\": owner \"%s\" is that of device \"%s\" already: expected "
				"one for each, since the owner lives as long as its device", device, owner,
				table_text(table, table->devices->devices[i].name));
	return 0;
}

static int check_device(const struct dsm_table *table, const struct table_device_spec *spec, uint32_t *owner)
{
	const struct table_devices *d = table->devices;
	for (uint32_t i = 0; i < d->device_count; i++) {
		const char *name = table_text(table, d->devices[i].name);
		table_key = "name";
		if (strcmp(name, spec->name) == 0)
			return dsm__fail(-EEXIST, "device \"%s\": is there already: expected another name", name);
		table_key = "id";
		if (d->devices[i].id == spec->id)
			return dsm__fail(-EEXIST, "device \"%s\": %u is the number of device \"%s\": expected another",
				spec->name, spec->id, name);
	}
	table_key = "name";
	if (d->device_count == DEVICES_MAX)
		return dsm__fail(-E2BIG, "device \"%s\": a table has at most %u devices", spec->name, DEVICES_MAX);
	table_key = "tick_us";
	if (spec->tick_us && (spec->tick_us < TICK_US_MIN || spec->tick_us > TICK_US_MAX))
		return dsm__fail(-EINVAL, "device \"%s\": tick_us %u: expected %u to %u", spec->name, spec->tick_us,
			TICK_US_MIN, TICK_US_MAX);
	table_key = "commit_hz";
	if (!(spec->commit_hz >= 0 && spec->commit_hz <= COMMIT_HZ_MAX))
		return dsm__fail(-EINVAL, "device \"%s\": commit_hz %g: expected 0 (each datagram) to %g", spec->name,
			spec->commit_hz, COMMIT_HZ_MAX);
	return check_owner(table, spec->name, spec->owner, owner);
}

int table_add_device(struct dsm_table *table, const struct table_device_spec *spec)
{
	uint32_t owner = 0;
	table_key = "name";
	int rc = table_name_check("device", spec->name, TABLE_REGION_NAME_MAX, false);
	if (rc)
		return rc;
	if (!table->devices && !(table->devices = calloc(1, sizeof(*table->devices))))
		return dsm__fail(-ENOMEM, "no memory for the devices of the table");
	struct table_devices *d = table->devices;
	rc = check_device(table, spec, &owner);
	if (rc == 0)
		rc = MAKE_ROOM(d, device, 1);
	if (rc == 0)
		rc = table_reserve(table, 1, strlen(spec->name));
	if (rc)
		return rc;
	d->devices[d->device_count++] = (struct table_device){
		.name = table_put(table, spec->name, strlen(spec->name)), .owner = owner, .id = spec->id,
		.tick_us = spec->tick_us ? spec->tick_us : DEVICE_TICK_US_DEFAULT, .commit_hz = spec->commit_hz,
		.first_input = d->input_count };
	return 0;
}

/* ---- inputs ---------------------------------------------------------------------------- */

static int check_cell(const struct dsm_table *table, const struct table_device *device,
	const struct table_input_spec *spec, uint32_t *cell)
{
	table_key = "cell";
	*cell = spec->cell ? table_find_cell(table, spec->cell) : TABLE_NONE;
	if (*cell == TABLE_NONE)
		return dsm__fail(-ENOENT, "there is no cell \"%.*s\": expected the full name, group.cell",
			(int)DSM_NAME_MAX, spec->cell && !table_text_check("", "", spec->cell, DSM_NAME_MAX) ? spec->cell : "?");
	const struct table_cell *c = &table->cells[*cell];
	uint32_t owner = table->groups[c->group].owner;
	if (owner != device->owner)
		return dsm__fail(-EINVAL, "cell \"%s\" belongs to owner \"%s\": expected one of \"%s\", the device's",
			spec->cell, table_text(table, table->owners[owner].name),
			table_text(table, table->owners[device->owner].name));
	for (uint32_t i = device->first_input; i < table->devices->input_count; i++)
		if (table->devices->inputs[i].cell == *cell)
			return dsm__fail(-EEXIST, "cell \"%s\" is fed by another input already", spec->cell);
	bool number = c->type == DSM_I64 || c->type == DSM_U64;
	bool fits = spec->kind == INPUT_LEVEL ? c->type == DSM_BOOL :
		number || (spec->kind == INPUT_CHANNEL && c->type == DSM_F64);
	if (!fits)
		return dsm__fail(-EINVAL, "cell \"%s\" is of type %s: expected %s", spec->cell,
			dsm_type_name((enum dsm_type)c->type), spec->kind == INPUT_LEVEL ? "bool for a level" :
			spec->kind == INPUT_PRESSES ? "u64 or i64 for presses" : "f64, i64 or u64 for a channel");
	return 0;
}

static int check_index(const struct table_input_spec *spec)
{
	static const struct { const char *key; uint32_t max; } kinds[] = {
		[INPUT_CHANNEL] = { "channel", 254 }, [INPUT_LEVEL] = { "level", 31 }, [INPUT_PRESSES] = { "presses", 7 },
	};
	table_key = kinds[spec->kind].key;
	if (spec->index > kinds[spec->kind].max)
		return dsm__fail(-EINVAL, "%s %u: expected 0 to %u", table_key, spec->index, kinds[spec->kind].max);
	if (spec->kind == INPUT_CHANNEL)
		return 0;
	const char *key = spec->low ? "low" : spec->high ? "high" : spec->center ? "center" :
		spec->dead_zone != 0 ? "dead_zone" : spec->filter_ms != 0 ? "filter_ms" :
		spec->points ? "calibration" : spec->invert && spec->kind == INPUT_PRESSES ? "invert" : NULL;
	if (!key)
		return 0;
	table_key = key;
	return dsm__fail(-EINVAL, "%s is for channels%s: expected none here", key,
		strcmp(key, "invert") == 0 ? " and levels" : "");
}

static int check_points(const struct table_input_spec *spec, struct table_input *in)
{
	table_key = "calibration";
	if (spec->low || spec->high)
		return dsm__fail(-EINVAL, "calibration gives the values at both ends: expected it without low and high");
	if (spec->points < 2 || spec->points > DEVICE_POINTS_MAX)
		return dsm__fail(-EINVAL, "%u points: expected 2 to %u", spec->points, DEVICE_POINTS_MAX);
	in->low = in->high = spec->point[0].value;
	for (uint32_t i = 0; i < spec->points; i++) {
		const struct table_point *p = &spec->point[i];
		if (!(p->raw >= 0 && p->raw <= RAW_MAX) || !isfinite(p->value))
			return dsm__fail(-EINVAL, "point %u: raw %g, value %g: expected raw 0 to 65535 and a finite value", i,
				p->raw, p->value);
		if (i > 0 && p->raw <= spec->point[i - 1].raw)
			return dsm__fail(-EINVAL, "point %u: raw %g is not above %g before it: expected them to grow", i, p->raw,
				spec->point[i - 1].raw);
		in->low = fmin(in->low, p->value);
		in->high = fmax(in->high, p->value);
	}
	return 0;
}

/* What the input can give must be what the cell can take, or every such commit would fail. */
static int check_range(const struct table_cell *cell, const struct table_input *in)
{
	double low = fmin(in->low, in->high), high = fmax(in->low, in->high);
	table_key = in->points ? "calibration" : "low";
	if (cell->type == DSM_U64 && low < 0)
		return dsm__fail(-EINVAL, "%g is below 0, and the cell is of type u64", low);
	if (fabs(low) > 9e15 || fabs(high) > 9e15)
		return dsm__fail(-EINVAL, "%g: expected numbers up to 9e15", fabs(low) > 9e15 ? low : high);
	if (cell->flags & DSM_CLAMP)
		return 0;
	if (cell->flags & DSM_HAS_MIN && low < cell->min)
		return dsm__fail(-EINVAL, "%g is below the cell's min %g, which is to be refused", low, cell->min);
	if (!in->points)
		table_key = "high";
	if (cell->flags & DSM_HAS_MAX && high > cell->max)
		return dsm__fail(-EINVAL, "%g is above the cell's max %g, which is to be refused", high, cell->max);
	return 0;
}

static int check_channel(const struct table_cell *cell, const struct table_input_spec *spec,
	struct table_input *in)
{
	in->low = spec->low ? *spec->low : 0;
	in->high = spec->high ? *spec->high : 1;
	if (spec->points) {
		int rc = check_points(spec, in);
		if (rc)
			return rc;
	}
	table_key = spec->points ? "calibration" : spec->low ? "low" : "high";
	if (!isfinite(in->low) || !isfinite(in->high) || in->low == in->high)
		return dsm__fail(-EINVAL, "%g at one end and %g at the other: expected two finite numbers that differ",
			in->low, in->high);
	table_key = "center";
	in->center = spec->center ? *spec->center : in->low / 2 + in->high / 2;
	if (!(in->center >= fmin(in->low, in->high) && in->center <= fmax(in->low, in->high)))
		return dsm__fail(-EINVAL, "center %g: expected %g to %g", in->center, in->low, in->high);
	table_key = "dead_zone";
	if (!(spec->dead_zone >= 0 && spec->dead_zone < 0.5))
		return dsm__fail(-EINVAL, "dead_zone %g: expected 0 to below 0.5, half its width as a part of the range",
			spec->dead_zone);
	table_key = "filter_ms";
	if (!(spec->filter_ms >= 0 && spec->filter_ms <= FILTER_MS_MAX))
		return dsm__fail(-EINVAL, "filter_ms %g: expected 0 (none) to %g", spec->filter_ms, FILTER_MS_MAX);
	return check_range(cell, in);
}

int table_add_input(struct dsm_table *table, const struct table_input_spec *spec)
{
	struct table_devices *d = table->devices;
	struct table_device *device = &d->devices[d->device_count - 1];
	struct table_input in = { .kind = (uint8_t)spec->kind, .index = (uint8_t)spec->index, .invert = spec->invert,
		.dead_zone = spec->dead_zone, .filter_ms = spec->filter_ms, .points = spec->points };
	int rc = check_index(spec);
	if (rc == 0)
		rc = check_cell(table, device, spec, &in.cell);
	if (rc == 0 && spec->kind == INPUT_CHANNEL)
		rc = check_channel(&table->cells[in.cell], spec, &in);
	if (rc)
		return rc;
	table_key = "cell";
	if (device->inputs == DEVICE_INPUTS_MAX)
		return dsm__fail(-E2BIG, "a device has at most %u inputs", DEVICE_INPUTS_MAX);
	rc = MAKE_ROOM(d, input, 1);
	if (rc == 0)
		rc = MAKE_ROOM(d, point, spec->points);
	if (rc)
		return rc;
	in.first_point = d->point_count;
	for (uint32_t i = 0; i < spec->points; i++)
		d->points[d->point_count++] = spec->point[i];
	d->inputs[d->input_count++] = in;
	device->inputs++;
	return 0;
}
