/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "core/utf8.h"

static bool ok(const char *text)
{
	return utf8_valid(text, strlen(text));
}

Test(utf8, well_formed)
{
	cr_assert(ok(""));
	cr_assert(ok("drilling.rop"));
	cr_assert(ok("twelve ASCII, then \xc2\xb0" "C and more"));
	cr_assert(ok("\xc3\xa9\xe2\x82\xac\xf0\x9f\x9b\xa2"));
	cr_assert(ok("\xed\x9f\xbf\xee\x80\x80"));      /* either side of the surrogates */
	cr_assert(ok("\xf4\x8f\xbf\xbf"));              /* U+10FFFF */
	cr_assert(ok("\x7f\x01"));
}

Test(utf8, refused)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe",
		"\xc3", "\xe2\x82", "\xf0\x9f\x9b", "\xc3(", "\xe2(\xa1", "\xe2\x82(", "1234567\x80",
		"12345678\xc3", "\xf8\x88\x80\x80\x80",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(!ok(bad[i]), "case %zu passed", i);
}

Test(utf8, nul_is_refused_at_every_place)
{
	char text[24];
	for (size_t length = 1; length <= sizeof(text); length++)
		for (size_t at = 0; at < length; at++) {
			memset(text, 'a', sizeof(text));
			cr_assert(utf8_valid(text, length));
			text[at] = '\0';
			cr_assert(!utf8_valid(text, length), "length %zu, NUL at %zu", length, at);
		}
}

/* Every code point encoded by rule, and every three-byte text against a slow reading of the rule. */
static size_t encode(unsigned long c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

Test(utf8, every_code_point)
{
	char text[4];
	for (unsigned long c = 1; c < 0x120000; c++) {
		size_t n = encode(c, text);
		bool is = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		cr_assert_eq(utf8_valid(text, n), is, "U+%lX", c);
		if (n > 1)
			cr_assert(!utf8_valid(text, n - 1), "U+%lX cut", c);
	}
}
