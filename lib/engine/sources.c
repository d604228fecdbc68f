/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sources.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

void sources_host(const struct sockaddr *address, uint8_t host[SOURCE_BYTES])
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	memset(host, 0, SOURCE_BYTES);
	if (address->sa_family == AF_INET) { /* as IPv6 writes it, so that one host is one by either */
		memset(host + 10, 0xff, 2);
		memcpy(host + 12, &in->sin_addr, sizeof(in->sin_addr));
	} else if (address->sa_family == AF_INET6) {
		memcpy(host, &in6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? SOURCE_BYTES : 8);
	}
}

bool sources_take(struct sources *s, const uint8_t host[SOURCE_BYTES], uint32_t all, uint32_t each)
{
	uint32_t i = 0;
	assert(all <= SOURCES_MAX && each > 0);
	if (s->taken >= all)
		return false;
	while (i < s->count && memcmp(s->source[i].host, host, SOURCE_BYTES) != 0)
		i++;
	if (i == s->count) { /* there is room: each has taken at least once */
		memcpy(s->source[i].host, host, SOURCE_BYTES);
		s->source[i].taken = 0;
		s->count++;
	}
	if (s->source[i].taken >= each)
		return false;
	s->source[i].taken++;
	s->taken++;
	return true;
}

void sources_forget(struct sources *s)
{
	s->taken = s->count = 0;
}
