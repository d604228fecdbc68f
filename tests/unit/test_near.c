/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/near.h"

static const char *const names[] = {
	"drilling.rop", "drilling.wob", "drilling.rpm", "drilling.torque", "pump1.rate", "pump2.rate",
	"pump3.rate", "pump4.rate", "mud.flow_in", "mud.flow_out", "bit.depth", "a", "b",
};

static char *suggest(const char *wanted)
{
	static char text[300];
	struct near near;
	near_begin(&near, wanted);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		near_offer(&near, names[i]);
	return near_text(&near, text, sizeof(text));
}

Test(near, slips)
{
	cr_expect_str_eq(suggest("drilling.ropp"), "; did you mean drilling.rop, drilling.rpm or drilling.wob?");
	cr_expect_str_eq(suggest("driling.torqe"), "; did you mean drilling.torque?");
	cr_expect_str_eq(suggest("drilling.torqeu"), "; did you mean drilling.torque?");
	cr_expect_str_eq(suggest("MUD.Flow_In"), "; did you mean mud.flow_in or mud.flow_out?");
	cr_expect_str_eq(suggest("flow_out"), "; did you mean mud.flow_out?");
	cr_expect_str_eq(suggest("bitdepth"), "; did you mean bit.depth?");
	cr_expect_str_eq(suggest("pump9.rate"), "; did you mean pump1.rate, pump2.rate or pump3.rate?");
	cr_expect_str_eq(suggest("hookload"), "");
	cr_expect_str_eq(suggest(""), "");
	cr_expect_str_eq(suggest("zz"), "");
}

/* Full table, the same rules. */
static unsigned slow(const char *a, const char *b)
{
	unsigned d[20][20];
	size_t n = strlen(a), m = strlen(b);
	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++) {
			unsigned best = i == 0 ? (unsigned)j : j == 0 ? (unsigned)i : 99;
			if (i > 0 && j > 0) {
				unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				unsigned drop = d[i - 1][j] + 1, put = d[i][j - 1] + 1;
				best = change < drop ? change : drop;
				best = put < best ? put : best;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

Test(near, band_agrees_with_the_full_table)
{
	srand(11);
	for (int i = 0; i < 300000; i++) {
		char a[13] = "", b[13] = "";
		for (int k = 7 + rand() % 6; k > 0; k--)
			a[k - 1] = (char)('a' + rand() % 3);
		for (int k = 5 + rand() % 8; k > 0; k--)
			b[k - 1] = (char)('a' + rand() % 3);
		struct near near;
		near_begin(&near, a);
		near_offer(&near, b);
		unsigned full = slow(a, b);
		cr_assert_eq(near.count, full <= 3, "%s %s: %u", a, b, full);
		if (near.count)
			cr_assert_eq(near.best[0].distance, full, "%s %s: %u", a, b, full);
	}
}

Test(near, long_names_and_small_buffers)
{
	char name[400], text[20];
	struct near near;
	memset(name, 'x', sizeof(name));
	name[399] = '\0';
	near_begin(&near, name);
	near_offer(&near, name);
	cr_expect_eq(near.count, 0u);
	name[200] = '\0';
	near_begin(&near, name);
	near_offer(&near, name);
	cr_expect_eq(near.count, 1u);
	near_text(&near, text, sizeof(text));
	cr_expect_eq(strlen(text), sizeof(text) - 1);
}

Test(near, a_million_names)
{
	struct near near;
	char name[40];
	clock_t began = clock();
	near_begin(&near, "group0123.cell99999x");
	for (int i = 0; i < 1000000; i++) {
		snprintf(name, sizeof(name), "group%04d.cell%05d", i / 1000, i % 100000);
		near_offer(&near, name);
	}
	double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
	cr_log_info("a million names: %.3f s, names made and all\n", seconds);
	cr_expect(seconds < 10, "%f s", seconds);
	cr_expect_eq(near.count, (unsigned)NEAR_BEST_MAX);
}
