/* SPDX-License-Identifier: Apache-2.0 */
/* See guard.h. */
#include "guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 255u

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits >= 1 && digits <= 5 && text[digits] == '\0';
}

/* The host without its port into name (HOST_MAX + 1 bytes); *literal: it stood in brackets. */
static bool split(const char *host, char *name, bool *literal)
{
	size_t length = strlen(host);
	const char *end;

	if (length == 0 || length > HOST_MAX)
		return false;
	*literal = *host == '[';
	if (*literal) {
		end = strchr(++host, ']');
		if (!end || (end[1] && (end[1] != ':' || !is_port(end + 2))))
			return false;
	} else {
		end = host + strcspn(host, ":");
		if (*end && !is_port(end + 1))
			return false;
	}
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	return *name != '\0';
}

bool guard_host(const struct guard *guard, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[HOST_MAX + 1];
	bool literal;

	if (!host || !split(host, name, &literal))
		return false;
	if (literal)
		return inet_pton(AF_INET6, name, address) == 1;
	if (inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0)
		return true;
	for (int i = 0; i < guard->n_names; i++)
		if (strcasecmp(name, guard->names[i]) == 0)
			return true;
	return false;
}

bool guard_origin(const char *origin, const char *host)
{
	if (!origin)
		return true;
	if (strncmp(origin, "http://", 7) == 0)
		origin += 7;
	else if (strncmp(origin, "https://", 8) == 0)
		origin += 8;
	else
		return false;
	return host && strcasecmp(origin, host) == 0;
}

bool guard_token(const struct guard *guard, const char *given)
{
	size_t length = strlen(guard->token);
	unsigned difference = 0;

	if (length == 0)
		return true;
	if (!given || strlen(given) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned)(unsigned char)given[i] ^ (unsigned char)guard->token[i];
	return difference == 0;
}

bool token_is_usable(const char *token)
{
	size_t length = strlen(token);

	return length >= TOKEN_MIN && length <= TOKEN_MAX &&
		strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~") ==
		length;
}

bool glob_is_usable(const char *glob)
{
	int stars = 0;

	if (!*glob || strlen(glob) > GLOB_MAX)
		return false;
	for (const char *p = glob; *p; p++)
		stars += *p == '*';
	return stars <= GLOB_STARS_MAX;
}
