/* SPDX-License-Identifier: Apache-2.0 */
/* The peeker's parts that need no engine: files of expectations, tolerances, percentiles,
 * numbers in few columns, what may reach a terminal. A plain program that counts. */
#include "canvas.h"
#include "compare.h"
#include "expect.h"
#include "latency.h"
#include "text.h"
#include "view.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;

static void check(bool good, const char *what)
{
	passed += good;
	failed += !good;
	if (!good)
		printf("not ok %s\n", what);
}

/* ---- files ---- */

static int parse(const char *text, struct expectations *e, char error[200])
{
	*e = (struct expectations){ 0 };
	snprintf(error, 200, "-");
	return expectations_parse(text, e, error, 200);
}

/* The one entry of the text is that cell, value and quality. */
static void gives(const char *text, const char *name, const char *value, const char *quality)
{
	struct expectations e;
	char error[200];
	int result = parse(text, &e, error);
	const struct expected *x = e.n ? &e.entry[e.n - 1] : NULL;

	check(result == 0 && x && strcmp(x->name, name) == 0 &&
		(value ? x->text && strcmp(x->text, value) == 0 : !x->text) &&
		(quality ? x->quality && strcmp(x->quality, quality) == 0 : !x->quality), text);
	expectations_free(&e);
}

static void refused(const char *text, const char *word)
{
	struct expectations e;
	char error[200];
	int result = parse(text, &e, error);

	check(result < 0 && strstr(error, word), text);
	expectations_free(&e);
}

static void test_files(void)
{
	gives("{\"cell\":\"a.b\",\"v\":1.50,\"q\":\"good\"}", "a.b", "1.50", "good");
	gives("[{\"v\":18446744073709551615,\"cell\":\"a.b\"}]", "a.b", "18446744073709551615", NULL);
	gives("[\n{\"cell\":\"a\",\"v\":1},\n{\"cell\":\"b\",\"v\":null}\n]\n", "b", NULL, NULL);
	gives("{\"cell\":\"a\",\"v\":[1,null,-2e3]}", "a", "[1,null,-2e3]", NULL);
	gives("{\"cell\":\"a\",\"x\":{\"y\":[\"}\"]},\"v\":true}", "a", "true", NULL);
	gives("{\"cell\":\"a\",\"v\":\"q\\\"\\\\\\n\\u00b3\\ud83d\\ude00\"}", "a",
		"q\"\\\n\xc2\xb3\xf0\x9f\x98\x80", NULL);
	gives("cell,v,u,q\n,,,\na,1,m,good\n", "a", "1", "good");
	gives("cell,v\r\n\"a\",\"x, \"\"y\"\"\nz\"\r\n", "a", "x, \"y\"\nz", NULL);
	gives("\xef\xbb\xbfq,cell,v\nbad,a,\n", "a", NULL, "bad");
	gives("cell,v\na,\"\"\n", "a", "", NULL);
	refused("", "cell");
	refused("[", "array");
	refused("{", "key");
	refused("{\"cell\":1", "comma");
	refused("{\"cell\":\"a\"}", "without");
	refused("{\"cell\":\"a\",\"v\":}", "missing");
	refused("{\"cell\":\"a\",\"v\":NaN}", "JSON");
	refused("{\"cell\":\"a\\u0000\",\"v\":1}", "character");
	refused("{\"cell\":\"a", "end");
	refused("[{\"cell\":\"a\",\"v\":1}] x", "object");
	refused("{\"cell\":\"a\",\"v\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}", "deep");
	refused("x,y\n1,2\n", "columns");
	refused("cell,v\n\"a,1\n", "quotes");
	refused("cell,v\na\n", "ends");
}

/* ---- values ---- */

static bool same(enum dsm_type type, const char *a, const char *b, const char *tolerance)
{
	struct cell_meta meta = { .type = type };
	struct tolerance t = { .glob = "*" };
	struct dsm_value x, y;
	void *kept_x = NULL, *kept_y = NULL;
	char text[32];
	bool equal = false;

	snprintf(text, sizeof text, "%s", tolerance);
	if ((!*text || tolerance_parse(text, &t) == 0) && value_parse(a, &meta, &x, &kept_x) == 0 &&
	    value_parse(b, &meta, &y, &kept_y) == 0)
		equal = value_equal(&x, &y, &t);
	free(kept_x);
	free(kept_y);
	return equal;
}

static void test_values(void)
{
	char text[32] = "drilling.*=5%";
	struct tolerance t;

	check(tolerance_parse(text, &t) == 0 && strcmp(t.glob, "drilling.*") == 0 &&
		t.relative > 0.0499 && t.relative < 0.0501, "a tolerance of some cells");
	strcpy(text, "-1");
	check(tolerance_parse(text, &t) == -EINVAL, "a negative tolerance");
	strcpy(text, "=1");
	check(tolerance_parse(text, &t) == -EINVAL, "a tolerance of nothing");
	check(same(DSM_F64, "0.1", "1e-1", ""), "the same number");
	check(!same(DSM_F64, "0.1", "0.10000000000000002", ""), "the next number");
	check(same(DSM_F64, "10", "10.5", "0.5"), "at the tolerance");
	check(!same(DSM_F64, "10", "10.6", "0.5"), "beyond it");
	check(same(DSM_F64, "104", "100", "4%") && !same(DSM_F64, "105", "100", "4%"), "relative");
	check(same(DSM_F64, "nan", "nan", "") && !same(DSM_F64, "nan", "1", "5"), "not a number");
	check(!same(DSM_F64, "inf", "1", "5"), "infinity is near nothing");
	check(!same(DSM_U64, "18446744073709551615", "18446744073709551614", ""), "a u64 exactly");
	check(same(DSM_U64, "100", "101", "1") && same(DSM_I64, "-5", "-5", ""), "whole numbers");
	check(same(DSM_BYTES, "00ff", "00FF", "") && !same(DSM_BYTES, "00", "00ff", ""), "bytes");
	check(same(DSM_STRING, "", "", "") && !same(DSM_STRING, "a", "b", "9"), "texts");
	check(same(DSM_F64_ARRAY, "[1,2,null]", "1 2 null", ""), "arrays of both kinds");
	check(!same(DSM_F64_ARRAY, "[1,2]", "[1,2,3]", "") && !same(DSM_F64_ARRAY, "[1]", "[2]", ""),
		"other arrays");
	check(same(DSM_F64_ARRAY, "[]", "", ""), "empty arrays");
}

/* ---- text ---- */

static bool number_is(double value, int precision, size_t width, const char *expected)
{
	char buf[64];

	text_number(value, precision, width, buf, sizeof buf);
	if (strcmp(buf, expected) != 0)
		printf("# %s, not %s\n", buf, expected);
	return strcmp(buf, expected) == 0;
}

static void test_text(void)
{
	char buf[64];

	check(number_is(12.345, 1, 11, "12.3"), "its precision");
	check(number_is(12.345, -1, 11, "12.345"), "shortest exact");
	check(number_is(1.0 / 3, -1, 9, "0.3333333"), "fewer digits where there is no room");
	check(number_is(123456789012.5, 1, 9, "1.235e+11"), "a power of ten, not a cut number");
	check(number_is(123456789, 0, 3, "###"), "no room at all");
	check(number_is(-0.25, 2, 5, "-0.25"), "negative");
	check(strcmp(text_age(9.96, buf, sizeof buf), "10.0 s") == 0, "age in seconds");
	check(strcmp(text_age(7200, buf, sizeof buf), "2 h") == 0, "age in hours");
	check(strcmp(text_duration(1500, false, buf, sizeof buf), "1.5 us") == 0, "microseconds");
	check(strcmp(text_bytes(1536, buf, sizeof buf), "1.5 KiB") == 0, "bytes");
	check(filter_match("ROP", "drilling.rop") && !filter_match("x", "drilling.rop") &&
		filter_match("*.rop", "drilling.rop") && !filter_match("r*", "drilling.rop") &&
		filter_match("", "x"), "filters");
}

static void test_latency(void)
{
	static struct latency_log log;

	for (uint64_t i = 1; i <= 1000; i++)
		latency_add(&log, NS_PER_S, i * 100);
	struct latency l = latency_read(&log);
	check(l.reads == 1000 && l.max_ns == 100000, "reads and the largest");
	check(l.p50_ns > 46000 && l.p50_ns < 54000, "p50 within 6 %");
	check(l.p99_ns > 93000 && l.p99_ns < 105000 && l.p999_ns <= 100000, "p99, p99.9");
	latency_add(&log, 12 * (uint64_t)NS_PER_S, 5);
	latency_add(&log, 24 * (uint64_t)NS_PER_S, 5);
	l = latency_read(&log);
	check(l.reads == 2 && l.p99_ns == 5, "what is old is forgotten");
	latency_add(&log, 24 * (uint64_t)NS_PER_S, UINT64_MAX);
	check(latency_read(&log).max_ns == UINT64_MAX, "no duration is too long");
}

/* ---- what reaches a terminal ---- */

static bool row_is(struct canvas *canvas, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	canvas_write_row(canvas, 0, file);
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	bool good = strcmp(text, expected) == 0;
	if (!good)
		printf("# \"%s\", not \"%s\"\n", text, expected);
	free(text);
	canvas_clear(canvas);
	return good;
}

static void test_canvas(void)
{
	struct canvas c = { .utf8 = true };

	check(canvas_resize(&c, 1, 12) == 0, "a canvas");
	canvas_put(&c, 0, 0, 12, STYLE_PLAIN, "a\x1b[31m\tb\x7f\xc2\x9b");
	check(row_is(&c, "a·[31m·b··"), "control characters, C1 too");
	canvas_put(&c, 0, 0, 12, STYLE_PLAIN, "\xff\xc0\xaf\xe2\x82!\xed\xa0\x80");
	check(row_is(&c, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!"
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"), "what is not UTF-8");
	canvas_put(&c, 0, 0, 12, STYLE_PLAIN, "abcdefghijklmno");
	check(row_is(&c, "abcdefghijk…"), "cut with an ellipsis");
	canvas_put_end(&c, 0, 0, 6, STYLE_PLAIN, "drilling.rop");
	check(row_is(&c, "…g.rop"), "cut at its beginning");
	canvas_put_right(&c, 0, 0, 6, STYLE_PLAIN, "°C");
	check(row_is(&c, "    °C"), "right-aligned by columns, not bytes");
	canvas_put(&c, 0, 0, 5, STYLE_PLAIN, "日本語");
	check(row_is(&c, "日本…"), "wide characters");
	canvas_put(&c, 0, 10, 12, STYLE_PLAIN, "xyz");
	canvas_put(&c, 5, 0, 12, STYLE_PLAIN, "outside");
	canvas_put(&c, 0, -3, 12, STYLE_PLAIN, "abcd");
	check(row_is(&c, "d         x…"), "nothing outside");
	canvas_put(&c, 0, 0, 12, STYLE_PLAIN, "a\xe2\x80\xae" "b\xcc\x81");
	check(row_is(&c, "ab"), "what has no width, such as a change of direction");
	c.utf8 = false;
	canvas_put(&c, 0, 0, 12, STYLE_PLAIN, "kg/m³ ≤▁█ é");
	check(row_is(&c, "kg/m3 <_# ?"), "ASCII");
	canvas_free(&c);
}

int main(void)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	test_files();
	test_values();
	test_text();
	test_latency();
	test_canvas();
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
