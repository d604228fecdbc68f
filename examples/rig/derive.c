/* SPDX-License-Identifier: Apache-2.0 */
#include "derive.h"

#include <math.h>
#include <string.h>

static uint32_t within(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

void derive_start(struct derive *derive, const struct derive_settings *settings)
{
	memset(derive, 0, sizeof *derive);
	derive->settings = *settings;
	derive->settings.rop_window_s = within(settings->rop_window_s, 1, DERIVE_WINDOW_MAX);
	derive->settings.reference_rows = within(settings->reference_rows, 1, DERIVE_WINDOW_MAX);
}

/* klbf, ft/s -> in slips; with memory of the state before (hysteresis). */
static bool in_slips_now(struct derive *derive, double hookload_klbf, double block_ft_s)
{
	const struct derive_settings *settings = &derive->settings;

	derive->heavy_rows = hookload_klbf > settings->slips_out_klbf ? derive->heavy_rows + 1 : 0;
	if (derive->in_slips)
		return derive->heavy_rows < 2;
	return hookload_klbf < settings->slips_in_klbf && fabs(block_ft_s) < settings->still_ft_s;
}

/* ft/h over the window; the ring holds the hole depth of one row a second. */
static bool rate_of_penetration(struct derive *derive, double *out)
{
	const uint32_t size = derive->settings.rop_window_s + 1;

	derive->hole_ft[derive->hole_at] = derive->hole_depth_ft;
	derive->hole_at = (derive->hole_at + 1) % size;
	if (derive->holes < size)
		derive->holes++;
	if (derive->holes < size)
		return false;
	double before_ft = derive->hole_ft[derive->hole_at];
	*out = (derive->hole_depth_ft - before_ft) * 3600.0 / derive->settings.rop_window_s;
	return true;
}

/* klbf; takes the row into the reference when the bit hangs free with the pumps on. */
static bool weight_on_bit(struct derive *derive, double hookload_klbf, bool free_hanging,
	bool on_bottom, double *out)
{
	double sum = 0.0;

	if (free_hanging) {
		derive->off_bottom_klbf[derive->reference_at] = hookload_klbf;
		derive->reference_at = (derive->reference_at + 1) % derive->settings.reference_rows;
		if (derive->references < derive->settings.reference_rows)
			derive->references++;
	}
	if (derive->references == 0)
		return false;
	for (uint32_t i = 0; i < derive->references; i++)
		sum += derive->off_bottom_klbf[i];
	*out = on_bottom ? fmax(0.0, sum / derive->references - hookload_klbf) : 0.0;
	return true;
}

static void derive_strokes(struct derive *derive, const struct log_row *row, double seconds,
	struct derived *out)
{
	if (!log_has(row, LOG_PUMP1_SPM) || !log_has(row, LOG_PUMP2_SPM))
		return;
	derive->strokes += (row->value[LOG_PUMP1_SPM] + row->value[LOG_PUMP2_SPM]) / 60.0 * seconds;
	out->strokes = derive->strokes;
	out->valid |= DERIVED_STROKES;
}

/* The bit, the hole and what follows from them; `seconds` since a row with both, 0 = none. */
static void derive_bit(struct derive *derive, const struct log_row *row, double seconds,
	struct derived *out)
{
	const struct derive_settings *settings = &derive->settings;
	const double block_ft = row->value[LOG_BLOCK_HEIGHT_FT];
	const double hookload_klbf = row->value[LOG_HOOKLOAD_KLBF];
	const double down_ft = seconds > 0.0 ? derive->last_block_ft - block_ft : 0.0;
	const bool was_in_slips = derive->in_slips;
	const bool pumps_on = (out->valid & DERIVED_STROKES) != 0 &&
		row->value[LOG_PUMP1_SPM] + row->value[LOG_PUMP2_SPM] >= settings->pumps_on_spm;

	derive->in_slips = in_slips_now(derive, hookload_klbf, seconds > 0.0 ? down_ft / seconds : 0.0);
	out->in_slips = derive->in_slips;
	out->bit_movement_ft = derive->in_slips || was_in_slips ? 0.0 : down_ft;
	derive->bit_depth_ft += out->bit_movement_ft;
	out->bit_depth_ft = derive->bit_depth_ft;
	out->valid |= DERIVED_BIT;

	if (pumps_on && !derive->in_slips &&
	    (!derive->hole_known || derive->bit_depth_ft > derive->hole_depth_ft)) {
		derive->hole_depth_ft = derive->bit_depth_ft;
		derive->hole_known = true;
	}
	if (!derive->hole_known)
		return;
	const double above_ft = derive->hole_depth_ft - derive->bit_depth_ft;
	out->hole_depth_ft = derive->hole_depth_ft;
	out->on_bottom = pumps_on && !derive->in_slips && above_ft <= settings->bottom_ft;
	out->valid |= DERIVED_HOLE;
	if (rate_of_penetration(derive, &out->rop_ft_h))
		out->valid |= DERIVED_ROP;
	if (weight_on_bit(derive, hookload_klbf,
			pumps_on && !derive->in_slips && above_ft > 2.0 * settings->bottom_ft,
			out->on_bottom, &out->wob_klbf))
		out->valid |= DERIVED_WOB;
}

void derive_row(struct derive *derive, const struct log_row *row, struct derived *out)
{
	*out = (struct derived){ 0 };
	/* A second is counted once even where rows are missing: what the pumps did there is not
	 * in the log. */
	derive_strokes(derive, row, 1.0, out);
	if (!log_has(row, LOG_BLOCK_HEIGHT_FT) || !log_has(row, LOG_HOOKLOAD_KLBF)) {
		derive->last_index = 0;
		derive->holes = 0;
		return;
	}
	const bool follows = derive->last_index != 0 && row->index == derive->last_index + 1;
	if (!follows)
		derive->holes = 0; /* the window of a rate must be without gaps */
	derive_bit(derive, row, follows ? 1.0 : 0.0, out);
	derive->last_index = row->index;
	derive->last_block_ft = row->value[LOG_BLOCK_HEIGHT_FT];
}
