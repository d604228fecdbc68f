/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask: host, origin, token, globs. Text in, yes or no out; no network, no memory of its
 * own, so that the tests and the fuzzer reach every branch. */
#ifndef PEEKER_WEB_GUARD_H
#define PEEKER_WEB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define GUARD_NAMES_MAX 16
#define TOKEN_MIN 16u
#define TOKEN_MAX 256u
#define GLOBS_MAX 16
#define GLOB_MAX 200u
#define GLOB_STARS_MAX 4

struct guard {
	const char *names[GUARD_NAMES_MAX];  /**< host names by which this machine is called */
	int n_names;
	char token[TOKEN_MAX + 1];           /**< "" = none is asked for */
};

/** May a request carry this Host header? An address, localhost, or one of the names: a page of
 *  another site that has pointed its own name here (DNS rebinding) has neither. NULL: no. */
bool guard_host(const struct guard *guard, const char *host);
/** May a request with this Origin header (NULL: none) ask the server that it calls `host`? */
bool guard_origin(const char *origin, const char *host);
/** Is it the token? Takes as long for any text of that length. */
bool guard_token(const struct guard *guard, const char *given);
/** Can it be used as a token: length, and characters that need no escape in a URL or cookie. */
bool token_is_usable(const char *token);
/** Can it be matched in reasonable time: not too long, not too many stars. */
bool glob_is_usable(const char *glob);

#endif
