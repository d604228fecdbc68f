/* SPDX-License-Identifier: Apache-2.0 */
/* The page: embedded files, packed for who takes them so. */
#include "assets.h"
#include "web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct MHD_Response *prepare(const struct asset *asset, bool packed)
{
	size_t bytes = packed ? asset->packed_bytes : asset->plain_bytes;
	const unsigned char *data = packed ? asset->packed : asset->plain;
	/* libmicrohttpd does not write to it; its interface has no const in this version */
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes,
		(void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return NULL;
	add_headers(response);
	MHD_add_response_header(response, "Content-Type", asset->type);
	MHD_add_response_header(response, "ETag", asset->tag);
	MHD_add_response_header(response, "Cache-Control", "no-cache");
	MHD_add_response_header(response, "Vary", "Accept-Encoding");
	if (packed)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	return response;
}

int assets_open(struct web *web)
{
	web->assets = calloc(n_assets, sizeof *web->assets);
	if (!web->assets)
		return -ENOMEM;
	for (size_t i = 0; i < n_assets; i++) {
		web->assets[i].plain = prepare(&assets[i], false);
		web->assets[i].packed = prepare(&assets[i], true);
		if (!web->assets[i].plain || !web->assets[i].packed)
			return -ENOMEM;
	}
	return 0;
}

void assets_close(struct web *web)
{
	for (size_t i = 0; web->assets && i < n_assets; i++) {
		if (web->assets[i].plain)
			MHD_destroy_response(web->assets[i].plain);
		if (web->assets[i].packed)
			MHD_destroy_response(web->assets[i].packed);
	}
	free(web->assets);
	web->assets = NULL;
}

static enum MHD_Result not_modified(struct MHD_Connection *connection)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	add_headers(response);
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_NOT_MODIFIED, response);
	MHD_destroy_response(response);
	return result;
}

int assets_answer(struct web *web, struct MHD_Connection *connection, const char *path,
	enum MHD_Result *result)
{
	size_t i = 0;

	while (i < n_assets && strcmp(assets[i].path, path) != 0)
		i++;
	if (i == n_assets)
		return -ENOENT;
	const char *tag = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
	const char *takes = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
		"Accept-Encoding");
	if (tag && strcmp(tag, assets[i].tag) == 0)
		*result = not_modified(connection);
	else
		*result = MHD_queue_response(connection, MHD_HTTP_OK, takes && strstr(takes, "gzip") ?
			web->assets[i].packed : web->assets[i].plain);
	return 0;
}
