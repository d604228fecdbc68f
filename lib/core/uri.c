/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of addresses. What is refused is refused with the byte at which it went wrong, as
 * these texts come from command lines, configuration files and the environment. */
#include "core/uri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "port/socket.h"

#define SHM_NAME_MAX 64
#define SHOWN_MAX 80 /* bytes of the input that an error text repeats */

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-' || c == '.';
}

static size_t name_span(const char *text)
{
	size_t n = 0;
	while (is_name(text[n]))
		n++;
	return n;
}

/* "." and ".." are refused too: the name becomes part of a path. */
bool uri_shm_name_ok(const char *name)
{
	size_t n = name_span(name);
	return n >= 1 && n <= SHM_NAME_MAX && name[n] == '\0' && strcmp(name, ".") != 0 &&
		strcmp(name, "..") != 0;
}

static int refuse(const char *text, const char *at, const char *expected)
{
	return dsm__fail(-EINVAL, "address '%.*s%s', byte %zu: %s; write shm://NAME, rdma://HOST[:PORT], "
		"udp://HOST[:PORT], NAME or HOST[:PORT]", SHOWN_MAX, text,
		strlen(text) > SHOWN_MAX ? "..." : "", (size_t)(at - text) + 1, expected);
}

/* ":PORT" or nothing, to the end of the text. */
static int port_parse(const char *text, const char *at, uint16_t *port)
{
	uint32_t value = 0;
	*port = 0;
	if (*at == '\0')
		return 0;
	if (*at != ':')
		return refuse(text, at, "expected ':PORT' or the end");
	const char *digits = ++at;
	while (is_digit(*at) && at - digits < 6)
		value = value * 10 + (uint32_t)(*at++ - '0');
	if (at == digits || *at != '\0' || value == 0 || value > UINT16_MAX)
		return refuse(text, digits, "a port is a number from 1 to 65535");
	*port = (uint16_t)value;
	return 0;
}

/* "[ADDRESS%ZONE]": *end is what follows. */
static int bracket_parse(const char *text, const char *at, char *host, const char **end)
{
	const char *close = strchr(at, ']');
	struct in6_addr address;
	char number[INET6_ADDRSTRLEN];
	if (!close)
		return refuse(text, at, "'[' without ']'");
	size_t length = (size_t)(close - at) - 1;
	size_t digits = strcspn(at + 1, "%]");
	if (digits < sizeof(number)) {
		memcpy(number, at + 1, digits);
		number[digits] = '\0';
	}
	if (digits >= sizeof(number) || inet_pton(AF_INET6, number, &address) != 1)
		return refuse(text, at + 1, "expected an IPv6 address between the brackets");
	if (digits < length) { /* '%' and a zone, as in fe80::1%eth0 */
		size_t zone = name_span(at + 1 + digits + 1);
		if (zone == 0 || zone > 32 || digits + 1 + zone != length)
			return refuse(text, at + 1 + digits + 1, "expected a zone of at most 32 letters and digits after '%'");
	}
	memcpy(host, at + 1, length);
	host[length] = '\0';
	*end = close + 1;
	return 0;
}

static int host_parse(const char *text, const char *at, struct uri *out)
{
	const char *end = at;
	if (*at == '[') {
		int rc = bracket_parse(text, at, out->host, &end);
		if (rc)
			return rc;
		return port_parse(text, end, &out->port);
	}
	size_t length = name_span(at);
	if (length == 0)
		return refuse(text, at, "expected a name or host of letters, digits, '_', '-', '.'");
	if (length > URI_HOST_MAX)
		return refuse(text, at + URI_HOST_MAX, "the host is longer than 255 bytes");
	const char *colon = at + length;
	if (*colon == ':' && strchr(colon + 1, ':'))
		return refuse(text, colon, "an IPv6 address stands in brackets, [::1]");
	memcpy(out->host, at, length);
	out->host[length] = '\0';
	return port_parse(text, colon, &out->port);
}

/* "SCHEME://", if it begins so: *rest is what follows. */
static int scheme_parse(const char *text, struct uri *out, const char **rest)
{
	size_t length = 0;
	const char *mark = strstr(text, "://");
	*rest = text;
	if (!mark)
		return 0;
	while (is_lower(text[length]) || (length > 0 && (is_digit(text[length]) || text[length] == '+')))
		length++;
	if (length == 0 || text + length != mark)
		return refuse(text, text + length, "a scheme is of small letters, digits and '+'");
	if (length >= sizeof(out->scheme))
		return refuse(text, text + sizeof(out->scheme) - 1, "a scheme has at most 15 letters");
	memcpy(out->scheme, text, length);
	out->scheme[length] = '\0';
	*rest = mark + 3;
	return 0;
}

int uri_parse(const char *text, struct uri *out)
{
	struct uri uri = { .port = 0 };
	const char *rest;
	if (!text) {
		text = getenv("DSM_URI");
		if (!text || !*text)
			text = "rig";
	}
	int rc = scheme_parse(text, &uri, &rest);
	if (rc)
		return rc;
	if (strcmp(uri.scheme, "shm") == 0) {
		if (!uri_shm_name_ok(rest)) {
			size_t good = name_span(rest);
			return refuse(text, rest + (good < SHM_NAME_MAX ? good : SHM_NAME_MAX),
				"a name is 1 to 64 letters, digits, '_', '-', '.'");
		}
		memcpy(uri.host, rest, strlen(rest) + 1);
	} else {
		rc = host_parse(text, rest, &uri);
		if (rc)
			return rc;
	}
	*out = uri;
	return 0;
}
