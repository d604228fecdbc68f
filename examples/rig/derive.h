/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rig log lacks, derived from what it has: in slips or not, where the bit is, rate of
 * penetration, weight on bit, strokes pumped. Pure functions of the rows seen so far: no
 * clock, no file, no dsm. Units as in the log: feet, thousand pounds force, seconds.
 *
 * How, and what it is worth:
 * - In slips: the pipe hangs in the slips and the hook carries only block and top drive. Here
 *   the empty hook weighs 22 to 39 klbf and the string takes it above 43. So: in slips when the
 *   hookload falls below `slips_in_klbf` while the block is all but still (nobody sets slips
 *   on moving pipe); out again when it stays above `slips_out_klbf` for two rows (an empty
 *   block that starts upward reads heavy for a moment).
 * - Bit movement: the block's, downward positive, while not in slips; else none. The stretch of
 *   the string is not known and not subtracted.
 * - Bit depth: sum of the bit movement from the first row. Hole depth: the deepest place of the
 *   bit with the pumps on. Both count from where the bit was at the first row; how deep the
 *   well was then, the log does not say.
 * - Rate of penetration: growth of the hole over the last `rop_window_s` seconds, in ft/h.
 * - Weight on bit: the hookload with the bit off bottom and pumps on (mean of the last
 *   `reference_rows` such rows: string weight with its friction) less the hookload now; 0 off
 *   bottom. Sliding and rotating differ in friction, so a few klbf of it may be friction.
 * - Strokes: strokes per minute of both pumps, summed.
 * Rows without block height or hookload break the chain: nothing is derived from them, and
 * what the bit did meanwhile is not known, so its depth goes on from where it was.
 */
#ifndef DSM_RIG_DERIVE_H
#define DSM_RIG_DERIVE_H

#include "log.h"

enum { DERIVE_WINDOW_MAX = 600 };

struct derive_settings {
	double slips_in_klbf, slips_out_klbf;
	double still_ft_s;          /**< a block slower than this is all but still */
	double pumps_on_spm;        /**< both pumps together */
	double bottom_ft;           /**< as near as this to the bottom is on bottom */
	uint32_t rop_window_s;      /**< 1..DERIVE_WINDOW_MAX */
	uint32_t reference_rows;    /**< 1..DERIVE_WINDOW_MAX */
};

/** For the log in data/. */
#define DERIVE_SETTINGS_INIT { 39.5, 41.5, 0.5, 20.0, 0.5, 60, 30 }

/** Which outputs hold for a row; the others are 0 and mean nothing. */
enum derived_valid {
	DERIVED_BIT = 1,     /**< in_slips, bit_movement_ft, bit_depth_ft */
	DERIVED_HOLE = 2,    /**< hole_depth_ft, on_bottom */
	DERIVED_ROP = 4,
	DERIVED_WOB = 8,
	DERIVED_STROKES = 16
};

struct derived {
	uint32_t valid;          /**< enum derived_valid */
	bool in_slips, on_bottom;
	double bit_movement_ft;  /**< since the row before, down positive */
	double bit_depth_ft;     /**< below the bit's place at the first row */
	double hole_depth_ft;    /**< from the same zero */
	double rop_ft_h;
	double wob_klbf;
	double strokes;          /**< of both pumps since the first row */
};

/** The rows of the past that count. All zero is not a start: derive_start(). */
struct derive {
	struct derive_settings settings;
	uint32_t last_index;     /**< 0 = no row before, or the chain is broken */
	double last_block_ft;
	bool in_slips;
	uint32_t heavy_rows;     /**< rows above slips_out_klbf, in succession */
	double bit_depth_ft, hole_depth_ft, strokes;
	bool hole_known;
	double hole_ft[DERIVE_WINDOW_MAX + 1]; /**< hole depth of the last rows, a ring */
	uint32_t holes, hole_at;
	double off_bottom_klbf[DERIVE_WINDOW_MAX];
	uint32_t references, reference_at;
};

/** Begin before the first row. Settings out of their range are put at its nearest end. */
void derive_start(struct derive *derive, const struct derive_settings *settings);

/** Take the next row (indices rise) and say what follows from it. Every number in *out is
 *  finite, whatever rows the parser lets through. */
void derive_row(struct derive *derive, const struct log_row *row, struct derived *out);

#endif
