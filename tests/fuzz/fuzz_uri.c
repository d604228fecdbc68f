/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: what parses, parses again to the same when it is put together from its parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uri uri, again;
	char text[sizeof(uri.scheme) + sizeof(uri.host) + 32];
	char *input = malloc(size + 1);
	if (!input)
		return 0;
	memcpy(input, data, size);
	input[size] = '\0';
	(void)uri_shm_name_ok(input);
	if (uri_parse(input, &uri) == 0) {
		bool brackets = strchr(uri.host, ':') != NULL;
		int n = snprintf(text, sizeof(text), "%s%s%s%s%s", uri.scheme, uri.scheme[0] ? "://" : "",
			brackets ? "[" : "", uri.host, brackets ? "]" : "");
		if (uri.port)
			snprintf(text + n, sizeof(text) - (size_t)n, ":%u", (unsigned)uri.port);
		if (uri_parse(text, &again) || strcmp(uri.scheme, again.scheme) != 0 ||
		    strcmp(uri.host, again.host) != 0 || uri.port != again.port)
			abort();
		if (strcmp(uri.scheme, "shm") == 0 && !uri_shm_name_ok(uri.host))
			abort();
	} else if (!strstr(dsm_error(), "byte")) {
		abort(); /* a refusal names the place */
	}
	free(input);
	return 0;
}
