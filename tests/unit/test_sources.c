/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "engine/sources.h"

static const uint8_t *host_of(const char *text)
{
	static uint8_t host[SOURCE_BYTES];
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(1) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(2) };
	if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
		sources_host((struct sockaddr *)&six, host);
	else if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		sources_host((struct sockaddr *)&four, host);
	else
		cr_assert_fail("%s", text);
	return host;
}

Test(sources, one_leaves_the_rest_to_others)
{
	struct sources s = { 0 };
	for (unsigned i = 0; i < 4; i++)
		cr_expect(sources_take(&s, host_of("10.0.0.1"), 10, 4));
	for (unsigned i = 0; i < 100; i++)
		cr_expect_not(sources_take(&s, host_of("10.0.0.1"), 10, 4), "more than one may");
	for (unsigned i = 0; i < 4; i++)
		cr_expect(sources_take(&s, host_of("10.0.0.2"), 10, 4), "what one asked for in vain is counted");
	cr_expect(sources_take(&s, host_of("10.0.0.3"), 10, 4));
	cr_expect(sources_take(&s, host_of("10.0.0.4"), 10, 4));
	cr_expect_not(sources_take(&s, host_of("10.0.0.5"), 10, 4), "more than all may");
	sources_forget(&s);
	cr_expect(sources_take(&s, host_of("10.0.0.1"), 10, 4), "the next while is not a new one");
}

Test(sources, as_many_hosts_as_there_may_be)
{
	struct sources s = { 0 };
	char text[32];
	for (unsigned i = 0; i < 3 * SOURCES_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.%u.1", i);
		cr_expect_eq(sources_take(&s, host_of(text), SOURCES_MAX, 1), i < SOURCES_MAX, "%u", i);
	}
	cr_expect_eq(s.taken, SOURCES_MAX);
}

Test(sources, which_addresses_are_one_host)
{
	static const struct { const char *a, *b; bool one; } cases[] = {
		{ "10.0.0.1", "10.0.0.1", true }, { "10.0.0.1", "10.0.0.2", false },
		{ "10.0.0.1", "::ffff:10.0.0.1", true }, { "::ffff:10.0.0.1", "::ffff:10.0.0.2", false },
		{ "fd77::1", "fd77::2", true }, { "fd77::1", "fd77:0:0:1::1", false },
		{ "fd77:0:0:1::1", "fd77:0:0:1:ffff::9", true }, { "10.0.0.1", "fd77::1", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sources s = { 0 };
		cr_expect(sources_take(&s, host_of(cases[i].a), 2, 1));
		cr_expect_neq(sources_take(&s, host_of(cases[i].b), 2, 1), cases[i].one, "%s, %s", cases[i].a, cases[i].b);
	}
}
