/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ingest_map.h"

#include <math.h>

#define RAW_FULL 65535.0

/* Along the calibration; beyond its ends the end's value. */
static double along(const struct table_point *p, uint32_t n, double raw)
{
	if (raw <= p[0].raw)
		return p[0].value;
	for (uint32_t i = 1; i < n; i++)
		if (raw <= p[i].raw)
			return p[i - 1].value + (p[i].value - p[i - 1].value) * (raw - p[i - 1].raw) /
				(p[i].raw - p[i - 1].raw);
	return p[n - 1].value;
}

/* Within the zone the centre; outside what is left of the way is spread over all of it, so that there is
 * no jump at the zone's edge, and the ends are reached. */
static double dead_zone(double v, double low, double high, double center, double half)
{
	double off = v - center, side = off < 0 ? center - low : high - center;
	if (fabs(off) <= half || side <= half)
		return center;
	return center + copysign((fabs(off) - half) * side / (side - half), off);
}

double ingest_shape(const struct table_input *in, const struct table_point *point, double raw)
{
	double low = fmin(in->low, in->high), high = fmax(in->low, in->high);
	double v = in->points ? along(point, in->points, raw) : in->low + (in->high - in->low) * (raw / RAW_FULL);
	if (in->invert)
		v = low + high - v;
	if (in->dead_zone > 0)
		v = dead_zone(v, low, high, in->center, in->dead_zone * (high - low));
	return fmin(fmax(v, low), high); /* rounding may have gone beyond */
}

void ingest_filter(struct ingest_input *input, uint16_t raw, uint64_t elapsed_us)
{
	double tau_us = input->in.filter_ms * 1e3, elapsed = (double)elapsed_us;
	if (tau_us <= 0 || !input->has_filtered || elapsed_us == 0)
		input->filtered = raw;
	else /* first order, stable for any elapsed time: lost datagrams only make the step larger */
		input->filtered += ((double)raw - input->filtered) * elapsed / (tau_us + elapsed);
	input->has_filtered = true;
}

void ingest_press(struct ingest_input *input, uint8_t counter, bool started)
{
	if (started && input->has_presses)
		input->presses = 0;
	if (input->has_presses)
		input->total += (uint8_t)(counter - input->presses);
	input->presses = counter;
	input->has_presses = true;
}

struct dsm_value ingest_number(enum dsm_type type, double number)
{
	struct dsm_value v = { .type = type, .len = 1 };
	if (type == DSM_F64)
		v.f64 = number;
	else if (type == DSM_I64)
		v.i64 = llround(number);
	else
		v.u64 = number > 0 ? (uint64_t)llround(number) : 0;
	return v;
}
