/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/glob.h"

static const struct { const char *pattern, *text; bool match; } cases[] = {
	{ "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "drilling.rop", true },
	{ "drilling.*", "drilling.rop", true }, { "drilling.*", "drillings.rop", false },
	{ "*.rop", "drilling.rop", true }, { "*.rop", "drilling.rope", false },
	{ "?", "", false }, { "?", "a", true }, { "??", "a", false }, { "a?c", "abc", true },
	{ "a*b*c", "axxbyyc", true }, { "a*b*c", "acb", false }, { "**", "x", true },
	{ "a**", "a", true }, { "*a", "baa", true }, { "*ab*", "aab", true },
	{ "pump[12].rate", "pump1.rate", true }, { "pump[12].rate", "pump3.rate", false },
	{ "pump[0-9]", "pump7", true }, { "pump[!0-9]", "pump7", false }, { "pump[!0-9]", "pumpx", true },
	{ "[]]", "]", true }, { "[!]]", "]", false }, { "[!]]", "a", true }, { "[a-]", "-", true },
	{ "[a-]", "b", false }, { "[-a]", "-", true }, { "[z-a]", "m", false }, { "[", "[", true },
	{ "[ab", "[ab", true }, { "[ab", "a", false }, { "[!", "[!", true }, { "x[", "x", false },
	{ "*[0-9]", "adc12", true }, { "[!a]", "", false }, { "\xc3*", "\xc3\xa9", true },
	{ "[\x80-\xff]", "\xc3", true }, { "a[b-d-f]", "a-", true },
};

Test(glob, cases)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(glob_match(cases[i].pattern, cases[i].text), cases[i].match, "'%s' on '%s'",
			cases[i].pattern, cases[i].text);
}

/* The rule as one would say it, exponential. */
static bool slow(const char *p, const char *t)
{
	if (!*p)
		return !*t;
	if (*p == '*')
		return slow(p + 1, t) || (*t && slow(p, t + 1));
	return *t && (*p == '?' || *p == *t) && slow(p + 1, t + 1);
}

Test(glob, agrees_with_the_plain_rule)
{
	static const char pattern_letters[] = "ab*?", text_letters[] = "ab";
	srand(7);
	for (int i = 0; i < 200000; i++) {
		char p[9] = "", t[11] = "";
		for (int k = rand() % 9; k > 0; k--)
			p[k - 1] = pattern_letters[rand() % 4];
		for (int k = rand() % 11; k > 0; k--)
			t[k - 1] = text_letters[rand() % 2];
		cr_assert_eq(glob_match(p, t), slow(p, t), "'%s' on '%s'", p, t);
	}
}

Test(glob, stars_cost_no_more_than_pattern_times_text)
{
	static char pattern[2001], text[20001];
	for (size_t i = 0; i < 2000; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[1999] = 'b';
	memset(text, 'a', 20000);
	clock_t began = clock();
	cr_assert(!glob_match(pattern, text));
	double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
	cr_expect(seconds < 2, "%f s", seconds);
}
