/* SPDX-License-Identifier: Apache-2.0 */
/* Which commits a subscriber is sent: numbers, times and bands, each at its edge. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "core/filter.h"
#include "core/payload.h"

#define MS UINT64_C(1000000)

static const struct filter_rule any = { .every_nth = 1 };

Test(filter, the_first_goes_at_once_and_then_only_newer_ones)
{
	struct filter_state s = { 0 };
	cr_assert(filter_due(&any, &s, 0, 0), "a group that was never written has a snapshot, too");
	filter_went(&s, 0, 0, NULL, 0, 0);
	cr_assert(!filter_due(&any, &s, 0, 1));
	cr_assert(filter_due(&any, &s, 1, 1));
	filter_went(&s, 5, 1, NULL, 0, 1);
	cr_assert(!filter_due(&any, &s, 5, 2));
	cr_assert(!filter_due(&any, &s, 4, 2), "a pulse that is torn low");
	cr_assert(filter_due(&any, &s, 6, 2));
	s.weighed = 6;
	cr_assert(!filter_due(&any, &s, 6, 2), "it was weighed already");
	cr_assert(filter_due(&any, &s, 7, 2));
}

Test(filter, a_rate_counts_from_what_went)
{
	struct filter_rule rule = { .every_nth = 1, .interval_ns = 50 * MS };
	struct filter_state s = { 0 };
	cr_assert(filter_due(&rule, &s, 1, 0));
	filter_went(&s, 1, 1, NULL, 0, 0); /* time 0 is a time */
	cr_assert(!filter_due(&rule, &s, 2, 50 * MS - 1));
	cr_assert(filter_due(&rule, &s, 2, 50 * MS));
	cr_assert_eq(filter_when(&rule, &s, 2), 50 * MS);
	cr_assert_eq(filter_when(&rule, &s, 1), UINT64_MAX);
}

Test(filter, every_nth_counts_commits)
{
	struct filter_rule rule = { .every_nth = 3 };
	struct filter_state s = { 0 };
	filter_went(&s, 10, 1, NULL, 0, 0);
	cr_assert(!filter_due(&rule, &s, 12, 1));
	cr_assert(filter_due(&rule, &s, 13, 1));
	cr_assert(filter_due(&rule, &s, 20, 1), "and what was missed counts");
}

Test(filter, what_is_there_already_waits_for_no_time)
{
	struct filter_rule rule = { .every_nth = 1, .interval_ns = 50 * MS, .kind = FILTER_ABSOLUTE, .band = 1 };
	struct filter_state s = { 0 };
	filter_resume(&s, 7, 2);
	cr_assert(!filter_due(&rule, &s, 7, 0));
	cr_assert(filter_due(&rule, &s, 8, 0));
	cr_assert(filter_counts(&rule, &s, NULL, 0, NULL), "nothing to compare with: it counts");
}

/* ---- bands: one cell of each type ---- */

enum { F, I, U, B, T, A, CELLS };
static struct directory_cell cells[CELLS];
static uint64_t last[64], now[64];
static struct filter_state state;

static void set_up(void)
{
	static const uint32_t types[CELLS] = { DSM_F64, DSM_I64, DSM_U64, DSM_BOOL, DSM_STRING, DSM_F64_ARRAY };
	uint32_t at = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		cells[i] = (struct directory_cell){ .type = (uint8_t)types[i], .capacity = i == T ? 8 : i == A ? 2 : 1,
			.offset_lo = at };
		at += (uint32_t)payload_record_bytes((enum dsm_type)types[i], cells[i].capacity);
	}
	memset(last, 0, sizeof(last));
	for (unsigned i = 0; i < CELLS; i++)
		last[cells[i].offset_lo / 8] = 1000 << 3 | DSM_GOOD;
	state = (struct filter_state){ .values = (uint64_t[64]){ 0 } };
}

static uint64_t *record(uint64_t *payload, unsigned cell)
{
	return payload + cells[cell].offset_lo / 8;
}

static uint64_t bits(double value)
{
	uint64_t out;
	memcpy(&out, &value, sizeof(out));
	return out;
}

/* Does a change of `cell` from `a` to `b` count? */
static bool counts(enum filter_kind kind, double band, unsigned cell, uint64_t a, uint64_t b)
{
	static uint64_t room[64];
	struct filter_rule rule = { .every_nth = 1, .kind = kind, .band = band };
	set_up();
	state.values = room;
	record(last, cell)[1] = a;
	filter_went(&state, 1, 1, last, sizeof(last), 0);
	memcpy(now, last, sizeof(now));
	record(now, cell)[0] += 8; /* a later time alone is no change */
	record(now, cell)[1] = b;
	return filter_counts(&rule, &state, cells, CELLS, now);
}

Test(filter, bands_of_numbers)
{
	cr_assert(!counts(FILTER_ABSOLUTE, 1, F, bits(5), bits(5)));
	cr_assert(!counts(FILTER_ABSOLUTE, 1, F, bits(5), bits(6)), "on the edge is within");
	cr_assert(counts(FILTER_ABSOLUTE, 1, F, bits(5), bits(6.0000001)));
	cr_assert(counts(FILTER_ABSOLUTE, 1, F, bits(5), bits(3.9)));
	cr_assert(counts(FILTER_ABSOLUTE, 0, F, bits(5), bits(nextafter(5, 6))));
	cr_assert(!counts(FILTER_ABSOLUTE, 0, F, bits(5), bits(5)), "a band of 0: the same is no change");
	cr_assert(counts(FILTER_ANY, 0, F, bits(5), bits(5)), "without a band every commit is");
	cr_assert(!counts(FILTER_PERCENT, 10, F, bits(-50), bits(-55)));
	cr_assert(counts(FILTER_PERCENT, 10, F, bits(-50), bits(-55.1)));
	cr_assert(counts(FILTER_PERCENT, 10, F, bits(0), bits(1e-9)), "of nothing each change is more");
	cr_assert(counts(FILTER_ABSOLUTE, 1, F, bits(5), bits((double)NAN)));
	cr_assert(counts(FILTER_ABSOLUTE, 1e300, F, bits(5), bits((double)INFINITY)));
}

Test(filter, bands_of_whole_numbers)
{
	uint64_t low = (uint64_t)INT64_MIN, high = (uint64_t)INT64_MAX;
	cr_assert(!counts(FILTER_ABSOLUTE, 2, I, (uint64_t)-1, 1));
	cr_assert(counts(FILTER_ABSOLUTE, 2, I, (uint64_t)-1, 2));
	cr_assert(counts(FILTER_ABSOLUTE, 1e18, I, low, high), "further apart than an i64 can tell");
	cr_assert(counts(FILTER_ABSOLUTE, 1e18, I, high, low));
	cr_assert(!counts(FILTER_PERCENT, 100, I, low, 0));
	cr_assert(!counts(FILTER_ABSOLUTE, 3, U, 7, 4));
	cr_assert(counts(FILTER_ABSOLUTE, 3, U, 7, 3));
	cr_assert(counts(FILTER_ABSOLUTE, 3, U, 0, UINT64_MAX));
	cr_assert(counts(FILTER_PERCENT, 50, U, UINT64_MAX, 0));
}

Test(filter, what_is_no_number_has_no_band)
{
	cr_assert(counts(FILTER_ABSOLUTE, 1e300, B, 0, 1));
	cr_assert(counts(FILTER_ABSOLUTE, 1e300, T, 3, 4), "a string's length");
	cr_assert(counts(FILTER_ABSOLUTE, 1e300, A, bits(1), bits(1.5)));
	cr_assert(!counts(FILTER_ABSOLUTE, 0, A, bits(1), bits(1)));
	cr_assert(!counts(FILTER_ABSOLUTE, 1e300, F, bits(1), bits(2)));
	record(now, T)[2] = 'x'; /* the last record of all but the array: its text */
	struct filter_rule rule = { .every_nth = 1, .kind = FILTER_ABSOLUTE, .band = 1e300 };
	cr_assert(filter_counts(&rule, &state, cells, CELLS, now));
}

Test(filter, a_quality_counts)
{
	struct filter_rule rule = { .every_nth = 1, .kind = FILTER_ABSOLUTE, .band = 1e300 };
	for (unsigned i = 0; i < CELLS; i++) {
		cr_assert(!counts(FILTER_ABSOLUTE, 1e300, F, bits(1), bits(1)));
		record(now, i)[0] ^= DSM_GOOD ^ DSM_BAD;
		cr_assert(filter_counts(&rule, &state, cells, CELLS, now), "cell %u", i);
	}
}

Test(filter, small_steps_add_up)
{
	static uint64_t room[64];
	struct filter_rule rule = { .every_nth = 1, .kind = FILTER_ABSOLUTE, .band = 1 };
	unsigned went = 0;
	set_up();
	state.values = room;
	filter_went(&state, 1, 1, last, sizeof(last), 0);
	memcpy(now, last, sizeof(now));
	for (unsigned i = 1; i <= 100; i++) { /* 10 in all, from what went last and not from the one before */
		record(now, F)[1] = bits(i / 10.0);
		if (filter_counts(&rule, &state, cells, CELLS, now)) {
			filter_went(&state, i + 1, 1, now, sizeof(now), 0);
			went++;
		}
	}
	cr_assert_eq(went, 9, "%u", went);
}
