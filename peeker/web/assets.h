/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the page, as embed.sh puts them into the program. */
#ifndef PEEKER_WEB_ASSETS_H
#define PEEKER_WEB_ASSETS_H

#include <stddef.h>

struct asset {
	const char *path, *type, *tag;       /**< tag: of the content, for If-None-Match */
	const unsigned char *plain, *packed; /**< packed by gzip */
	size_t plain_bytes, packed_bytes;
};

extern const struct asset assets[];
extern const size_t n_assets;

#endif
