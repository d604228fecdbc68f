/* SPDX-License-Identifier: Apache-2.0 */
/* What is served where; see docs/peeker-web.md for the same as a reader sees it. */
#include "web.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API "/api/v1/"
#define JSON "application/json; charset=utf-8"

static const char *argument(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ---- tokens ---- */

static bool is_let_in(const struct web *web, struct MHD_Connection *connection)
{
	const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");

	if (!*web->guard.token)
		return true;
	if (given && strncasecmp(given, "Bearer ", 7) == 0)
		return guard_token(&web->guard, given + 7);
	given = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, web->cookie);
	return guard_token(&web->guard, given);
}

/* /?token=T, as the QR code has it: the token goes into a cookie, and out of the address. */
static enum MHD_Result let_in(struct web *web, struct MHD_Connection *connection,
	const char *token)
{
	char cookie[TOKEN_MAX + 128];

	if (!guard_token(&web->guard, token))
		return refuse(web, connection, MHD_HTTP_UNAUTHORIZED, "this is not the access token");
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	add_headers(response);
	snprintf(cookie, sizeof cookie, "%s=%s; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict",
		web->cookie, *web->guard.token ? web->guard.token : "-");
	MHD_add_response_header(response, "Set-Cookie", cookie);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "Location", "/");
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_SEE_OTHER, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- what a client asks for ---- */

struct taking { struct wish *wish; bool bad; };

static enum MHD_Result take_match(void *context, enum MHD_ValueKind kind, const char *key,
	const char *value)
{
	struct taking *taking = context;
	struct wish *wish = taking->wish;

	(void)kind;
	if (strcmp(key, "match") != 0)
		return MHD_YES;
	if (!value || !glob_is_usable(value) || wish->n == GLOBS_MAX) {
		taking->bad = true;
		return MHD_NO;
	}
	snprintf(wish->globs[wish->n++], sizeof wish->globs[0], "%s", value);
	return MHD_YES;
}

static bool read_wish(struct MHD_Connection *connection, struct wish *wish)
{
	struct taking taking = { .wish = wish };

	wish->n = 0;
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_match, &taking);
	return !taking.bad;
}

static enum MHD_Result refuse_match(struct web *web, struct MHD_Connection *connection)
{
	return refuse(web, connection, MHD_HTTP_BAD_REQUEST, "match: at most %d globs of at most %u "
		"bytes with at most %d stars each, as in match=drilling.*", GLOBS_MAX, GLOB_MAX,
		GLOB_STARS_MAX);
}

/* ---- the interface ---- */

static enum MHD_Result serve_stream(struct web *web, struct MHD_Connection *connection)
{
	const char *text = argument(connection, "rate");
	struct wish wish;
	double rate = RATE_MAX;
	char *end = NULL;

	if (text)
		rate = strtod(text, &end);
	if (text && (end == text || *end || !isfinite(rate) || rate < 0.01 || rate > RATE_MAX))
		return refuse(web, connection, MHD_HTTP_BAD_REQUEST,
			"rate: messages a second, 0.01 to %g", RATE_MAX);
	if (!read_wish(connection, &wish))
		return refuse_match(web, connection);
	return stream_answer(web, connection, &wish, rate);
}

static enum MHD_Result serve_cells(struct web *web, struct MHD_Connection *connection)
{
	struct buffer b = { 0 };
	struct wish wish;

	if (!read_wish(connection, &wish))
		return refuse_match(web, connection);
	encode_cells(&b, sampler_lock(web->sampler), &wish);
	sampler_unlock(web->sampler);
	return answer(web, connection, MHD_HTTP_OK, JSON, &b);
}

static enum MHD_Result serve_cell(struct web *web, struct MHD_Connection *connection,
	const char *name)
{
	const struct model *model = sampler_lock(web->sampler);
	uint32_t cell = model->table ? table_find(model->table, name) : UINT32_MAX;
	struct buffer b = { 0 };

	if (cell != UINT32_MAX)
		encode_cell(&b, model, cell);
	sampler_unlock(web->sampler);
	if (cell == UINT32_MAX)
		return refuse(web, connection, MHD_HTTP_NOT_FOUND, "there is no cell \"%.200s\"; "
			API "cells lists them", name);
	return answer(web, connection, MHD_HTTP_OK, JSON, &b);
}

static enum MHD_Result serve_health(struct web *web, struct MHD_Connection *connection)
{
	struct buffer b = { 0 };
	bool good = encode_health(&b, sampler_lock(web->sampler), own_clock_ns());

	sampler_unlock(web->sampler);
	return answer(web, connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, JSON, &b);
}

static enum MHD_Result serve_metrics(struct web *web, struct MHD_Connection *connection)
{
	struct buffer b = { 0 };

	encode_metrics(&b, sampler_lock(web->sampler), &web->counts, own_clock_ns());
	sampler_unlock(web->sampler);
	return answer(web, connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static enum MHD_Result serve_data(struct web *web, struct MHD_Connection *connection,
	const char *path)
{
	if (!is_let_in(web, connection))
		return refuse(web, connection, MHD_HTTP_UNAUTHORIZED, "an access token is asked for: "
			"\"Authorization: Bearer TOKEN\", or open /?token=TOKEN once in the browser");
	if (strcmp(path, "/metrics") == 0)
		return serve_metrics(web, connection);
	path += strlen(API);
	if (strcmp(path, "stream") == 0)
		return serve_stream(web, connection);
	if (strcmp(path, "cells") == 0)
		return serve_cells(web, connection);
	if (strncmp(path, "cells/", 6) == 0)
		return serve_cell(web, connection, path + 6);
	if (strcmp(path, "health") == 0)
		return serve_health(web, connection);
	return refuse(web, connection, MHD_HTTP_NOT_FOUND, "there is no " API "%.100s; there are "
		API "cells, cells/NAME, stream and health, and /metrics", path);
}

enum MHD_Result route(struct web *web, struct MHD_Connection *connection, const char *path)
{
	enum MHD_Result result;
	const char *token;

	if (strncmp(path, API, strlen(API)) == 0 || strcmp(path, "/metrics") == 0)
		return serve_data(web, connection, path);
	if (strcmp(path, "/") == 0 && (token = argument(connection, "token")))
		return let_in(web, connection, token);
	if (assets_answer(web, connection, path, &result) == 0)
		return result;
	return refuse(web, connection, MHD_HTTP_NOT_FOUND, "there is no page %.100s; begin at /",
		path);
}
