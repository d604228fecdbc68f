/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the web viewer on a model that stands still (fake.c): text that goes out, and who is let
 * in. A plain program that counts; needs no network and no libmicrohttpd. */
#include "encode.h"
#include "guard.h"
#include "sample.h"

#include <math.h>
#include <stdio.h>
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

/* Is the buffer's text just this? Empties it. */
static bool is(struct buffer *b, const char *text)
{
	bool same = !b->failed && b->length == strlen(text) && memcmp(b->text, text, b->length) == 0;

	if (!same)
		printf("# %.*s\n", (int)b->length, b->text);
	free(b->text);
	*b = (struct buffer){ 0 };
	return same;
}

static bool has(const struct buffer *b, const char *text)
{
	return memmem(b->text, b->length, text, strlen(text)) != NULL;
}

static void test_text(void)
{
	struct buffer b = { 0 };

	put_string(&b, "a\"\\\n</script>&\x7f\x01");
	check(is(&b, "\"a\\u0022\\u005c\\u000a\\u003c/script\\u003e\\u0026\\u007f\\u0001\""), "escapes");
	put_string(&b, "µ € 😀");
	check(is(&b, "\"µ € 😀\""), "UTF-8 of two, three and four bytes");
	put_string(&b, "\xff\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80\xe2\x82");
	check(is(&b, "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""),
		"what is not UTF-8: overlong, surrogate, too large, cut off");
	put_string_n(&b, "a\0b", 3);
	check(is(&b, "\"a\\u0000b\""), "a NUL inside");
	put_f64(&b, 0.1);
	put_char(&b, ' ');
	put_f64(&b, (double)NAN);
	put_char(&b, ' ');
	put_f64(&b, -(double)INFINITY);
	check(is(&b, "0.1 null null"), "numbers that are none are null");
	put_i64(&b, INT64_MIN);
	put_u64(&b, UINT64_MAX);
	check(is(&b, "-922337203685477580818446744073709551615"), "the ends of the integers");
	for (int i = 0; i < 100000; i++)
		put(&b, "0123456789");
	check(!b.failed && b.length == 1000000, "a million bytes");
	free(b.text);
}

static void test_hosts(void)
{
	static const char *const good[] = { "localhost", "LOCALHOST:80", "127.0.0.1", "10.0.0.7:7462",
		"[::1]", "[fe80::1]:8080", "rig", "RIG:1", "rig.local" };
	static const char *const bad[] = { "", ":80", "evil.example", "rig.evil.example", "127.0.0.1.nip",
		"localhost.", "localhost:", "localhost:80x", "localhost:123456", "[::1", "[::1]x", "[rig]",
		"[]", "::1", "1.2.3", "0x7f.1", "rig:80:80", " rig" };
	const struct guard guard = { .names = { "rig", "rig.local" }, .n_names = 2 };
	char endless[400];

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		check(guard_host(&guard, good[i]), good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check(!guard_host(&guard, bad[i]), bad[i]);
	memset(endless, '1', sizeof endless);
	endless[sizeof endless - 1] = '\0';
	check(!guard_host(&guard, endless) && !guard_host(&guard, NULL), "a host without end, or none");
	check(guard_origin(NULL, "rig"), "no origin");
	check(guard_origin("http://rig:80", "rig:80") && guard_origin("https://rig", "RIG"), "its own");
	check(!guard_origin("null", "rig") && !guard_origin("http://rig", "rig:80") &&
		!guard_origin("http://rig.evil", "rig") && !guard_origin("ftp://rig", "rig") &&
		!guard_origin("http://", NULL), "others");
}

static void test_tokens(void)
{
	struct guard guard = { 0 };

	check(guard_token(&guard, NULL), "none is asked for");
	snprintf(guard.token, sizeof guard.token, "0123456789abcdef");
	check(guard_token(&guard, "0123456789abcdef"), "the token");
	check(!guard_token(&guard, NULL) && !guard_token(&guard, "") &&
		!guard_token(&guard, "0123456789abcdeF") && !guard_token(&guard, "0123456789abcde") &&
		!guard_token(&guard, "0123456789abcdef0"), "others");
	check(token_is_usable("0123456789abcdef") && !token_is_usable("0123456789abcde") &&
		!token_is_usable("0123456789abcde;"), "what can be one");
	check(glob_is_usable("a*b*c*d*") && !glob_is_usable("*****") && !glob_is_usable(""), "globs");
}

static void test_model(const struct model *model)
{
	const struct wish all = { .n = 0 }, mud = { .globs = { "mud.*" }, .n = 1 };
	struct buffer b = { 0 };

	check(encode_news(&b, model, &all, 0, model->now_ns) == 15, "all cells");
	check(has(&b, "\"state\":\"RUNNING\""), "the engine");
	check(has(&b, "\"stale owner\"]"), "why one is stale");
	check(has(&b, "[0,12.34,7,0.2"), "a value with state and age");
	free(b.text);
	b = (struct buffer){ 0 };
	check(encode_news(&b, model, &mud, 0, model->now_ns) == 4, "those that match");
	check(!has(&b, "12.34"), "and no other");
	free(b.text);
	b = (struct buffer){ 0 };
	check(encode_news(&b, model, &all, model->round, model->now_ns) == 0, "nothing has changed");
	check(has(&b, "\"cells\":[]}"), "which is said");
	free(b.text);
	b = (struct buffer){ 0 };
	encode_cells(&b, model, &all);
	check(has(&b, "\"cell\":\"setpoint.mode\",\"v\":\"auto\\u001b[31m\""), "no escape sequence gets out");
	free(b.text);
	b = (struct buffer){ 0 };
	check(encode_health(&b, model, model->now_ns), "healthy");
	check(!encode_health(&b, model, model->now_ns + 10 * (uint64_t)NS_PER_S),
		"not if nobody has looked for ten seconds");
	free(b.text);
}

static void test_metrics(const struct model *model)
{
	const struct web_counts counts = { .viewers = 3 };
	struct buffer b = { 0 };

	encode_metrics(&b, model, &counts, model->now_ns);
	check(has(&b, "dsm_cell_value{cell=\"drilling.rop\",unit=\"m/h\"} 12.34\n"), "a metric");
	check(!has(&b, "dsm_cell_value{cell=\"setpoint.wob\""), "none of what is stale");
	check(has(&b, "dsm_cell_valid{cell=\"setpoint.wob\",state=\"stale owner\"} 0\n"), "which is said");
	check(has(&b, "dsm_web_viewers 3\n"), "its own counters");
	free(b.text);
}

int main(void)
{
	const struct sampler_options options = { .uri = "test://rig" };
	struct sampler *sampler = NULL;
	char error[100];

	test_text();
	test_hosts();
	test_tokens();
	if (sampler_start(&options, &sampler, error, sizeof error))
		return 1;
	test_model(sampler_lock(sampler));
	test_metrics(sampler_lock(sampler));
	sampler_unlock(sampler);
	sampler_stop(&sampler);
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
