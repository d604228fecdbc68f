/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/uri.h"

static const struct { const char *text, *scheme, *host; unsigned port; } good[] = {
	{ "rig", "", "rig", 0 }, { "shm://rig", "shm", "rig", 0 }, { "shm://a.b-c_9", "shm", "a.b-c_9", 0 },
	{ "rdma://10.0.0.1:7471", "rdma", "10.0.0.1", 7471 }, { "udp://host", "udp", "host", 0 },
	{ "host.example:65535", "", "host.example", 65535 }, { "[::1]:80", "", "::1", 80 },
	{ "[::1]", "", "::1", 0 }, { "udp://[fe80::1%eth0]:1", "udp", "fe80::1%eth0", 1 },
	{ "a+2://x", "a+2", "x", 0 }, { "h:007", "", "h", 7 },
};

Test(uri, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct uri uri;
		cr_assert_eq(uri_parse(good[i].text, &uri), 0, "%s: %s", good[i].text, dsm_error());
		cr_expect_str_eq(uri.scheme, good[i].scheme);
		cr_expect_str_eq(uri.host, good[i].host);
		cr_expect_eq(uri.port, good[i].port);
	}
}

/* The byte that the refusal must name. */
static const struct { const char *text; unsigned byte; } bad[] = {
	{ "", 1 }, { "shm://", 7 }, { "shm://a b", 8 }, { "shm://a/b", 8 }, { "shm://a:1", 8 },
	{ "shm://..", 9 }, { "shm://.", 8 }, { "Shm://x", 1 }, { "9x://h", 1 }, { "://x", 1 }, { "s m://x", 2 },
	{ "abcdefghijklmnop://x", 16 }, { "host:", 6 }, { "host:0", 6 }, { "host:65536", 6 },
	{ "host:1x", 6 }, { "host:1234567", 6 }, { "host:-1", 6 }, { "host/x", 5 }, { "::1", 1 }, { "fe80::1", 5 },
	{ "[::1", 1 }, { "[::1]80", 6 }, { "[]", 2 }, { "[::g]", 2 }, { "[fe80::1%]", 10 }, { "[fe80::1%a/b]", 10 },
	{ "udp://[1.2.3.4]", 8 }, { "udp://", 7 }, { "h\xc3\xa9", 2 }, { "a@b", 2 },
};

Test(uri, refused_with_the_place)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct uri uri = { .scheme = "kept", .host = "kept", .port = 5 };
		char place[32];
		cr_expect_eq(uri_parse(bad[i].text, &uri), -EINVAL, "%s parsed", bad[i].text);
		snprintf(place, sizeof(place), "', byte %u: ", bad[i].byte);
		cr_expect(strstr(dsm_error(), place), "%s: %s", bad[i].text, dsm_error());
		cr_expect(strcmp(uri.scheme, "kept") == 0 && uri.port == 5, "output touched");
	}
}

Test(uri, lengths)
{
	char text[600];
	struct uri uri;
	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	cr_expect_eq(uri_parse(text, &uri), 0);
	cr_expect_eq(strlen(uri.host), 255u);
	text[255] = 'a';
	text[256] = '\0';
	cr_expect_eq(uri_parse(text, &uri), -EINVAL);
	text[256] = 'a';
	text[599] = '\0';
	cr_expect_eq(uri_parse(text, &uri), -EINVAL);
	cr_expect(strlen(dsm_error()) < 400, "the text repeats all of it");
	memcpy(text, "shm://", 6);
	text[6 + 64] = '\0';
	cr_expect_eq(uri_parse(text, &uri), 0);
	text[6 + 64] = 'a';
	text[6 + 65] = '\0';
	cr_expect_eq(uri_parse(text, &uri), -EINVAL);
	cr_expect(strstr(dsm_error(), "byte 71:"), "%s", dsm_error());
}

Test(uri, environment)
{
	struct uri uri;
	unsetenv("DSM_URI");
	cr_expect_eq(uri_parse(NULL, &uri), 0);
	cr_expect_str_eq(uri.host, "rig");
	setenv("DSM_URI", "", 1);
	cr_expect_eq(uri_parse(NULL, &uri), 0);
	cr_expect_str_eq(uri.host, "rig");
	setenv("DSM_URI", "udp://there:5", 1);
	cr_expect_eq(uri_parse(NULL, &uri), 0);
	cr_expect_str_eq(uri.host, "there");
	setenv("DSM_URI", "udp://", 1);
	cr_expect_eq(uri_parse(NULL, &uri), -EINVAL);
}

Test(uri, shm_names)
{
	cr_expect(uri_shm_name_ok("rig"));
	cr_expect(uri_shm_name_ok(".x"));
	cr_expect(!uri_shm_name_ok(""));
	cr_expect(!uri_shm_name_ok("."));
	cr_expect(!uri_shm_name_ok(".."));
	cr_expect(!uri_shm_name_ok("a/b"));
	cr_expect(!uri_shm_name_ok("a\n"));
}
