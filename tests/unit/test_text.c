/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dsm/dsm.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/skip.h"

static char text[1024];

static const char *show(struct dsm_value value, int precision)
{
	int n = dsm_value_format(&value, precision, text, sizeof(text));
	cr_assert_eq((size_t)n, strlen(text));
	return text;
}

static const char *show_f64(double d, int precision)
{
	return show((struct dsm_value){ .type = DSM_F64, .len = 1, .f64 = d }, precision);
}

static int parse(const char *from, enum dsm_type type, struct dsm_value *out)
{
	static unsigned char scratch[16];
	return dsm_value_parse(from, type, out, scratch, sizeof(scratch));
}

Test(text, words)
{
	cr_expect_str_eq(dsm_type_name(DSM_F64), "f64");
	cr_expect_str_eq(dsm_type_name((enum dsm_type)0), "?");
	cr_expect_str_eq(dsm_type_name((enum dsm_type)8), "?");
	cr_expect_str_eq(dsm_quality_name(DSM_NEVER_WRITTEN), "never-written");
	cr_expect_str_eq(dsm_quality_name((enum dsm_quality)5), "?");
	cr_expect_str_eq(dsm_owner_state_name(DSM_SILENT), "silent");
	cr_expect_str_eq(dsm_owner_state_name((enum dsm_owner_state)9), "?");
	cr_expect_str_eq(dsm_event_name(DSM_EVENT_TABLE_CHANGED), "table-changed");
	cr_expect_str_eq(dsm_event_name((enum dsm_event_kind)0), "?");
	for (int i = DSM_EVENT_ATTACHED; i <= DSM_EVENT_OWNER; i++)
		cr_expect_str_neq(dsm_event_name((enum dsm_event_kind)i), "?");
}

Test(text, errors)
{
	cr_expect_str_eq(dsm_strerror(-ETIMEDOUT), "timed out");
	cr_expect_str_eq(dsm_strerror(ETIMEDOUT), "timed out");
	cr_expect_str_eq(dsm_strerror(0), "no error");
	cr_expect_str_eq(dsm_strerror(100000), "unknown error");
	cr_expect_str_eq(dsm_strerror(INT_MIN), "unknown error");
	cr_expect_str_neq(dsm_strerror(-EPIPE), "unknown error");
}

Test(text, flags)
{
	char buf[64];
	cr_expect_str_eq(dsm_flags_text(0, buf, sizeof(buf)), "");
	cr_expect_str_eq(dsm_flags_text(DSM_STALE_OWNER, buf, sizeof(buf)), "stale(owner)");
	cr_expect_str_eq(dsm_flags_text(15, buf, sizeof(buf)), "stale(engine),stale(owner),stale(age),unknown");
	cr_expect_str_eq(dsm_flags_text(15, buf, 20), "stale(engine)");
	cr_expect_str_eq(dsm_flags_text(15, buf, 1), "");
	cr_expect_null(dsm_flags_text(15, NULL, 0));
}

Test(text, shortest_numbers)
{
	cr_expect_str_eq(show_f64(0.1, -1), "0.1");
	cr_expect_str_eq(show_f64(12.3, -1), "12.3");
	cr_expect_str_eq(show_f64(-0.0, -1), "-0");
	cr_expect_str_eq(show_f64(100, -1), "100");
	cr_expect_str_eq(show_f64(1e23, -1), "1e+23");
	cr_expect_str_eq(show_f64(0.1 + 0.2, -1), "0.30000000000000004");
	cr_expect_str_eq(show_f64(5e-324, -1), "5e-324");
	cr_expect_str_eq(show_f64(DBL_MAX, -1), "1.7976931348623157e+308");
	cr_expect_str_eq(show_f64((double)NAN, -1), "nan");
	cr_expect_str_eq(show_f64(-(double)NAN, 2), "nan");
	cr_expect_str_eq(show_f64(HUGE_VAL, -1), "inf");
	cr_expect_str_eq(show_f64(-HUGE_VAL, 3), "-inf");
	cr_expect_str_eq(show_f64(2.5, 3), "2.500");
	cr_expect_str_eq(show_f64(2.96, 1), "3.0");
	cr_expect_eq(strlen(show_f64(-DBL_MAX, INT_MAX)), 1u + 309 + 1 + 40);
}

/* A million of them; a tenth where time is short. */
Test(text, random_numbers_come_back)
{
	uint64_t x = 88172645463325252u;
	int n = getenv("DSM_TEST_QUICK") ? 100000 : 1000000;
	for (int i = 0; i < n; i++) {
		struct dsm_value v = { .type = DSM_F64, .len = 1 }, back;
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v.u64 = i % 16 ? x : x >> 12 & ~((uint64_t)0xfff << 52); /* some subnormal */
		if (!isfinite(v.f64))
			continue;
		cr_assert_leq(dsm_value_format(&v, -1, text, sizeof(text)), 24);
		cr_assert_eq(parse(text, DSM_F64, &back), 0, "%s", text);
		cr_assert_eq(back.u64, v.u64, "%s", text);
	}
}

Test(text, other_values)
{
	const double array[] = { 1, 2.5, (double)NAN };
	const unsigned char bytes[] = { 0, 0xff, 0x1a };
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_BOOL, .len = 1, .b = true }, -1), "true");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_I64, .len = 1, .i64 = INT64_MIN }, 2),
		"-9223372036854775808");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_U64, .len = 1, .u64 = UINT64_MAX }, -1),
		"18446744073709551615");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_STRING, .len = 3, .str = "abcdef" }, -1), "abc");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_STRING, .len = 0, .str = NULL }, -1), "");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_BYTES, .len = 3, .bytes = bytes }, -1), "00ff1a");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_BYTES, .len = 0 }, -1), "");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_F64_ARRAY, .len = 3, .f64s = array }, -1),
		"[1,2.5,nan]");
	cr_expect_str_eq(show((struct dsm_value){ .type = DSM_F64_ARRAY, .len = 2, .f64s = array }, 1),
		"[1.0,2.5]");
}

Test(text, lengths_as_snprintf)
{
	struct dsm_value v = { .type = DSM_STRING, .len = 5, .str = "hello" };
	char buf[4] = "zzz";
	cr_expect_eq(dsm_value_format(&v, -1, buf, sizeof(buf)), 5);
	cr_expect_str_eq(buf, "hel");
	cr_expect_eq(dsm_value_format(&v, -1, NULL, 0), 5);
	cr_expect_eq(dsm_value_format(&v, -1, buf, 1), 5);
	cr_expect_str_eq(buf, "");
	v.type = (enum dsm_type)77;
	cr_expect_eq(dsm_value_format(&v, -1, buf, sizeof(buf)), -EINVAL);
	cr_expect_eq(dsm_value_format(NULL, -1, buf, sizeof(buf)), -EINVAL);
}

Test(text, parses)
{
	struct dsm_value v;
	cr_expect(parse("On", DSM_BOOL, &v) == 0 && v.b && v.len == 1);
	cr_expect(parse("false", DSM_BOOL, &v) == 0 && !v.b);
	cr_expect(parse("-9223372036854775808", DSM_I64, &v) == 0 && v.i64 == INT64_MIN);
	cr_expect(parse("+0x7fffffffffffffff", DSM_I64, &v) == 0 && v.i64 == INT64_MAX);
	cr_expect(parse("-0", DSM_I64, &v) == 0 && v.i64 == 0);
	cr_expect(parse("18446744073709551615", DSM_U64, &v) == 0 && v.u64 == UINT64_MAX);
	cr_expect(parse("-1.5e-3", DSM_F64, &v) == 0 && v.f64 == -1.5e-3);
	cr_expect(parse(".5", DSM_F64, &v) == 0 && v.f64 == 0.5);
	cr_expect(parse("5.", DSM_F64, &v) == 0 && v.f64 == 5);
	cr_expect(parse("1e-400", DSM_F64, &v) == 0 && v.f64 == 0);
	cr_expect(parse("NaN", DSM_F64, &v) == 0 && isnan(v.f64));
	cr_expect(parse("-inf", DSM_F64, &v) == 0 && isinf(v.f64) && v.f64 < 0);
	cr_expect(parse("any text", DSM_STRING, &v) == 0 && v.len == 8 && !memcmp(v.str, "any text", 8));
	cr_expect(parse("", DSM_STRING, &v) == 0 && v.len == 0);
	cr_expect(parse("00fF1a", DSM_BYTES, &v) == 0 && v.len == 3 && !memcmp(v.bytes, "\0\xff\x1a", 3));
	cr_expect(parse("", DSM_BYTES, &v) == 0 && v.len == 0);
	cr_expect(dsm_value_parse("", DSM_BYTES, &v, NULL, 0) == 0 && v.len == 0);
}

static const struct { const char *text; enum dsm_type type; int error; } refused[] = {
	{ "2", DSM_BOOL, EINVAL }, { "", DSM_BOOL, EINVAL }, { "tru", DSM_BOOL, EINVAL },
	{ "truee", DSM_BOOL, EINVAL }, { "", DSM_I64, EINVAL }, { "-", DSM_I64, EINVAL },
	{ "1.5", DSM_I64, EINVAL }, { " 1", DSM_I64, EINVAL }, { "1 ", DSM_I64, EINVAL }, { "0x", DSM_I64, EINVAL },
	{ "9223372036854775808", DSM_I64, ERANGE }, { "-9223372036854775809", DSM_I64, ERANGE },
	{ "--1", DSM_I64, EINVAL }, { "99999999999999999999", DSM_I64, ERANGE },
	{ "99999999999999999999x", DSM_I64, EINVAL }, { "-1", DSM_U64, ERANGE },
	{ "18446744073709551616", DSM_U64, ERANGE }, { "0x10000000000000000", DSM_U64, ERANGE },
	{ "12,5", DSM_F64, EINVAL }, { "", DSM_F64, EINVAL }, { ".", DSM_F64, EINVAL }, { "1e", DSM_F64, EINVAL },
	{ "0x1p3", DSM_F64, EINVAL }, { "nan(1)", DSM_F64, EINVAL }, { "1e400", DSM_F64, ERANGE },
	{ "-1e400", DSM_F64, ERANGE }, { "1m", DSM_F64, EINVAL }, { "abc", DSM_BYTES, EINVAL },
	{ "0g", DSM_BYTES, EINVAL }, { "0x00", DSM_BYTES, EINVAL },
	{ "0011223344556677889900112233445566", DSM_BYTES, ERANGE }, { "[1]", DSM_F64_ARRAY, ENOTSUP },
	{ "1", (enum dsm_type)0, EINVAL },
};

Test(text, refuses_and_says_what_was_expected)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct dsm_value v = { .type = DSM_U64, .u64 = 42 };
		cr_expect_eq(parse(refused[i].text, refused[i].type, &v), -refused[i].error, "'%s' as %s: %s",
			refused[i].text, dsm_type_name(refused[i].type), dsm_error());
		cr_expect(v.type == DSM_U64 && v.u64 == 42, "output touched");
	}
	cr_expect_eq(parse(NULL, DSM_I64, NULL), -EINVAL);
}

/* A locale with a decimal comma: one that the machine has, else one made for this test. */
static const char *comma_locale(char *folder)
{
	static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "nb_NO.UTF-8" };
	char command[200];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (setlocale(LC_ALL, names[i]))
			return names[i];
	if (!mkdtemp(folder))
		return NULL;
	snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
	setenv("LOCPATH", folder, 1);
	return system(command) == 0 ? setlocale(LC_ALL, "de_DE.UTF-8") : NULL;
}

static void remove_locale(const char *folder)
{
	char command[200];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (!strstr(folder, "XXXXXX") && system(command))
		cr_log_warn("%s is left\n", folder);
}

Test(text, a_decimal_comma_changes_nothing)
{
	char folder[] = "/tmp/dsm-locale-XXXXXX";
	struct dsm_value v;
	if (!comma_locale(folder)) {
		remove_locale(folder);
		skip_test("no locale with a decimal comma, and localedef cannot make one");
	}
	remove_locale(folder);
	cr_assert_str_eq(localeconv()->decimal_point, ",");
	cr_expect_str_eq(show_f64(1.5, -1), "1.5");
	cr_expect_str_eq(show_f64(1.5, 2), "1.50");
	cr_expect(parse("1.5", DSM_F64, &v) == 0 && v.f64 == 1.5);
	cr_expect_eq(parse("1,5", DSM_F64, &v), -EINVAL);
	snprintf(text, sizeof(text), "%.1f", 1.5);
	cr_expect_str_eq(text, "1,5", "the caller's own locale was changed");
}
