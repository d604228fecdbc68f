/* SPDX-License-Identifier: Apache-2.0 */
/* What the rig derives from its log: known rows of the real log, small made-up logs whose
 * answer can be reckoned by hand, and properties over everything. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "derive.h"

/* ---- the real log ---------------------------------------------------------------------- */

static struct log rig_log;
static struct derived *results; /* one for each row of rig_log */

static void load_real_log(void)
{
	const struct derive_settings settings = DERIVE_SETTINGS_INIT;
	static struct derive derive;
	char path[512], error[LOG_ERROR_SIZE] = "";
	const char *folder = getenv("RIG_DATA");

	snprintf(path, sizeof path, "%s/SampleData1.csv", folder ? folder : "examples/rig/data");
	cr_assert(log_load(path, &rig_log, error) == 0, "%s", error);
	results = calloc(rig_log.count, sizeof *results);
	cr_assert(results != NULL);
	derive_start(&derive, &settings);
	for (size_t i = 0; i < rig_log.count; i++)
		derive_row(&derive, &rig_log.rows[i], &results[i]);
}

static void free_real_log(void)
{
	free(results);
	log_free(&rig_log);
}

TestSuite(real_log, .init = load_real_log, .fini = free_real_log);

/* Share of rows in slips, from one row to another. */
static double share_in_slips(size_t from, size_t to)
{
	size_t in_slips = 0;
	for (size_t row = from; row <= to; row++)
		in_slips += results[row - 1].in_slips;
	return (double)in_slips / (double)(to - from + 1);
}

Test(real_log, connections_are_mostly_in_slips)
{
	/* the string is picked up twice within the first two, to lay down a joint */
	cr_expect(share_in_slips(7939, 8990) >= 0.80);
	cr_expect(share_in_slips(10799, 11328) >= 0.85);
	cr_expect(share_in_slips(46898, 47331) >= 0.99);
}

Test(real_log, drilling_is_never_in_slips)
{
	cr_expect(share_in_slips(5674, 7900) < 1e-9);
	cr_expect(share_in_slips(9260, 10678) < 1e-9);
	cr_expect(share_in_slips(11505, 12625) < 1e-9);
}

Test(real_log, known_rows)
{
	static const struct { size_t row; double bit, hole, rop, wob, strokes; } known[] = {
		{ 7900, 107.09, 108.03, 61.2, 0.0, 5126.0 },
		{ 10000, 131.06, 131.06, 90.0, 2.8, 7242.0 },
		{ 36300, 542.08, 542.08, 62.4, 22.1, 45967.0 }, /* slides with much weight */
		{ 50000, 695.39, 695.39, 37.2, 0.4, 70115.0 },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const struct derived *at = &results[known[i].row - 1];
		cr_expect_eq(at->valid, DERIVED_BIT | DERIVED_HOLE | DERIVED_ROP | DERIVED_WOB |
			DERIVED_STROKES, "row %zu", known[i].row);
		cr_expect_float_eq(at->bit_depth_ft, known[i].bit, 0.006, "row %zu", known[i].row);
		cr_expect_float_eq(at->hole_depth_ft, known[i].hole, 0.006, "row %zu", known[i].row);
		cr_expect_float_eq(at->rop_ft_h, known[i].rop, 0.06, "row %zu", known[i].row);
		cr_expect_float_eq(at->wob_klbf, known[i].wob, 0.06, "row %zu", known[i].row);
		cr_expect_float_eq(at->strokes, known[i].strokes, 0.6, "row %zu", known[i].row);
	}
}

/* An independent account of the same drilling: from 9400 to 10600 the block goes from 35.56 ft
 * to 6.32 ft, the pipe in its elevators all the time, the bit on bottom. */
Test(real_log, rate_agrees_with_the_block_over_twenty_minutes)
{
	double sum = 0.0;
	for (size_t row = 9400; row < 10600; row++)
		sum += results[row - 1].rop_ft_h;
	cr_expect_float_eq(sum / 1200.0, (35.56 - 6.32) * 3600.0 / 1200.0, 3.0);
}

/* After each connection the bit must come back to the bottom where it left it; a slip taken for
 * a movement, or the reverse, would show as tens of feet. */
Test(real_log, depth_closes_over_a_connection)
{
	size_t drilling_again[] = { 9400, 11560, 13900, 20060, 25900 };
	for (size_t i = 0; i < sizeof drilling_again / sizeof *drilling_again; i++) {
		const struct derived *at = &results[drilling_again[i] - 1];
		cr_expect_float_eq(at->bit_depth_ft, at->hole_depth_ft, 1.0, "row %zu",
			drilling_again[i]);
	}
}

Test(real_log, bit_stands_still_in_slips)
{
	for (size_t i = 1; i < rig_log.count; i++) {
		if ((results[i].valid & results[i - 1].valid & DERIVED_BIT) == 0)
			continue;
		if (results[i].in_slips && results[i - 1].in_slips)
			cr_assert(fabs(results[i].bit_depth_ft - results[i - 1].bit_depth_ft) < 1e-12,
				"row %u", rig_log.rows[i].index);
	}
}

static void expect_sane(const struct derived *out, uint32_t row)
{
	cr_assert(isfinite(out->bit_movement_ft) && isfinite(out->bit_depth_ft) &&
		isfinite(out->hole_depth_ft) && isfinite(out->rop_ft_h) && isfinite(out->wob_klbf) &&
		isfinite(out->strokes), "row %u: not finite", row);
	cr_assert(out->rop_ft_h >= 0.0 && out->wob_klbf >= 0.0, "row %u: negative", row);
	cr_assert(!(out->in_slips && out->on_bottom), "row %u: in slips and on bottom", row);
	if ((out->valid & DERIVED_HOLE) != 0 && out->on_bottom)
		cr_assert(out->hole_depth_ft - out->bit_depth_ft <= 0.5 + 1e-6, "row %u", row);
}

Test(real_log, every_row_is_sane)
{
	double hole = -INFINITY, strokes = 0.0;
	for (size_t i = 0; i < rig_log.count; i++) {
		const struct derived *at = &results[i];
		expect_sane(at, rig_log.rows[i].index);
		if ((at->valid & DERIVED_HOLE) != 0) {
			cr_assert(at->hole_depth_ft >= hole, "row %zu: the hole grew shorter", i + 1);
			hole = at->hole_depth_ft;
		}
		if ((at->valid & DERIVED_STROKES) != 0) {
			cr_assert(at->strokes >= strokes, "row %zu: strokes were taken back", i + 1);
			strokes = at->strokes;
		}
	}
}

Test(real_log, nothing_is_derived_from_nulls)
{
	size_t nulls = 0;
	for (size_t i = 0; i < rig_log.count; i++) {
		if (log_has(&rig_log.rows[i], LOG_HOOKLOAD_KLBF))
			continue;
		nulls++;
		cr_assert_eq(results[i].valid, 0u, "row %zu", i + 1);
	}
	cr_expect_eq(nulls, (size_t)1458);
}

/* ---- made-up logs ------------------------------------------------------------------------ */

struct rig {
	struct derive derive;
	struct derived out;
	uint32_t index;
};

static void rig_start(struct rig *rig)
{
	const struct derive_settings settings = DERIVE_SETTINGS_INIT;
	rig->index = 0;
	derive_start(&rig->derive, &settings);
}

/* One second: block height ft, hookload klbf, both pumps spm. */
static const struct derived *rig_row(struct rig *rig, double block, double hookload, double spm)
{
	struct log_row row = { .index = ++rig->index, .state = -1 };
	row.value[LOG_BLOCK_HEIGHT_FT] = block;
	row.value[LOG_HOOKLOAD_KLBF] = hookload;
	row.value[LOG_PUMP1_SPM] = spm / 2.0;
	row.value[LOG_PUMP2_SPM] = spm / 2.0;
	derive_row(&rig->derive, &row, &rig->out);
	return &rig->out;
}

static const struct derived *rig_null(struct rig *rig)
{
	struct log_row row = { .index = ++rig->index, .null = 0x1fe, .state = -1 };
	derive_row(&rig->derive, &row, &rig->out);
	return &rig->out;
}

Test(made_up, drilling_at_36_ft_an_hour)
{
	struct rig rig;
	rig_start(&rig);
	for (int s = 0; s < 60; s++)
		cr_assert_eq(rig_row(&rig, 90.0 - 0.01 * s, 60.0, 120.0)->valid & DERIVED_ROP, 0u,
			"second %d: the window is not full", s);
	const struct derived *out = rig_row(&rig, 90.0 - 0.60, 60.0, 120.0);
	cr_assert((out->valid & DERIVED_ROP) != 0);
	cr_expect_float_eq(out->rop_ft_h, 36.0, 1e-6);
	cr_expect_float_eq(out->bit_depth_ft, 0.60, 1e-9);
	cr_expect_float_eq(out->strokes, 61 * 2.0, 1e-9);
}

Test(made_up, slips_have_hysteresis)
{
	struct rig rig;
	rig_start(&rig);
	cr_expect(!rig_row(&rig, 10.0, 60.0, 0.0)->in_slips);
	cr_expect(!rig_row(&rig, 10.0, 40.5, 0.0)->in_slips, "between: as before");
	cr_expect(rig_row(&rig, 10.0, 39.0, 0.0)->in_slips);
	cr_expect(rig_row(&rig, 10.0, 40.5, 0.0)->in_slips, "between: as before");
	cr_expect(rig_row(&rig, 10.0, 45.0, 0.0)->in_slips, "one heavy row is a jerk");
	cr_expect(rig_row(&rig, 10.0, 35.0, 0.0)->in_slips);
	cr_expect(rig_row(&rig, 10.0, 45.0, 0.0)->in_slips);
	cr_expect(!rig_row(&rig, 10.0, 45.0, 0.0)->in_slips, "two heavy rows are pipe");
}

Test(made_up, nobody_sets_slips_on_moving_pipe)
{
	struct rig rig;
	rig_start(&rig);
	rig_row(&rig, 10.0, 60.0, 0.0);
	cr_expect(!rig_row(&rig, 12.0, 35.0, 0.0)->in_slips, "2 ft/s");
	cr_expect(rig_row(&rig, 12.0, 35.0, 0.0)->in_slips, "still");
}

Test(made_up, a_connection_keeps_the_bit_where_it_is)
{
	struct rig rig;
	rig_start(&rig);
	rig_row(&rig, 10.0, 60.0, 120.0);
	rig_row(&rig, 9.0, 60.0, 120.0);
	rig_row(&rig, 9.0, 30.0, 0.0);
	for (int s = 0; s <= 45; s++)
		cr_assert_float_eq(rig_row(&rig, 9.0 + 2.0 * s, 30.0, 0.0)->bit_depth_ft, 1.0, 1e-12);
	rig_row(&rig, 99.0, 60.0, 0.0);
	cr_expect_float_eq(rig_row(&rig, 99.0, 60.0, 0.0)->bit_depth_ft, 1.0, 1e-12);
	cr_expect_float_eq(rig_row(&rig, 98.0, 60.0, 120.0)->bit_depth_ft, 2.0, 1e-12);
}

Test(made_up, weight_on_bit_is_what_the_hook_lost)
{
	struct rig rig;
	rig_start(&rig);
	cr_expect_eq(rig_row(&rig, 50.0, 60.0, 120.0)->valid & DERIVED_WOB, 0u, "no reference yet");
	for (int s = 0; s < 30; s++)
		rig_row(&rig, 55.0, 60.0, 120.0); /* 5 ft off bottom */
	cr_expect_float_eq(rig.out.wob_klbf, 0.0, 1e-12);
	cr_expect(!rig.out.on_bottom);
	const struct derived *out = rig_row(&rig, 50.0, 52.0, 120.0);
	cr_expect(out->on_bottom);
	cr_expect_float_eq(out->wob_klbf, 8.0, 1e-9);
	cr_expect_float_eq(rig_row(&rig, 50.0, 63.0, 120.0)->wob_klbf, 0.0, 1e-12, "never negative");
}

Test(made_up, a_null_breaks_the_chain)
{
	struct rig rig;
	rig_start(&rig);
	for (int s = 0; s < 70; s++)
		rig_row(&rig, 90.0 - 0.01 * s, 60.0, 120.0);
	cr_assert((rig.out.valid & DERIVED_ROP) != 0);
	double depth = rig.out.bit_depth_ft;
	cr_expect_eq(rig_null(&rig)->valid, 0u);
	const struct derived *out = rig_row(&rig, 40.0, 60.0, 120.0);
	cr_expect_float_eq(out->bit_depth_ft, depth, 1e-12, "what happened meanwhile is not known");
	cr_expect_eq(out->valid & DERIVED_ROP, 0u);
	rig.index += 5; /* rows missing from the log are a gap too */
	out = rig_row(&rig, 20.0, 60.0, 120.0);
	cr_expect_float_eq(out->bit_depth_ft, depth, 1e-12);
}

Test(made_up, settings_out_of_range_are_put_right)
{
	struct derive_settings settings = DERIVE_SETTINGS_INIT;
	struct rig rig = { .index = 0 };
	settings.rop_window_s = 0;
	settings.reference_rows = UINT32_MAX;
	derive_start(&rig.derive, &settings);
	for (int s = 0; s < 2000; s++)
		expect_sane(rig_row(&rig, s % 90, 20.0 + s % 80, s % 150), (uint32_t)s);
}

/* Rows of any size, nulls, gaps, jumps: never a NaN, never a contradiction. */
Test(made_up, random_rows_are_always_sane)
{
	uint64_t state = 88172645463325252u;
	struct rig rig;
	for (int run = 0; run < 50; run++) {
		rig_start(&rig);
		for (int s = 0; s < 2000; s++) {
			double number[3];
			for (int i = 0; i < 3; i++) {
				state ^= state << 13, state ^= state >> 7, state ^= state << 17;
				number[i] = (double)(state >> 11) / 9007199254740992.0;
			}
			if (number[0] < 0.01)
				rig_null(&rig);
			else
				rig_row(&rig, run % 5 == 0 ? number[0] * LOG_LARGEST : number[0] * 120.0,
					number[1] * 100.0, number[2] * 150.0);
			expect_sane(&rig.out, rig.index);
			rig.index += number[0] > 0.99;
		}
	}
}
