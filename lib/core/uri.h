/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: "shm://NAME", "rdma://HOST[:PORT]", "udp://HOST[:PORT]", "NAME", "HOST[:PORT]",
 * "[::1]:PORT". Parsing only; what a scheme means is the transport's. */
#ifndef DSM_LIB_CORE_URI_H
#define DSM_LIB_CORE_URI_H

#include <dsm/dsm.h>

#define URI_HOST_MAX 255

struct uri {
	char scheme[16];            /* "shm", "rdma", "udp"; "" = choose the best that works */
	char host[URI_HOST_MAX + 1]; /* name or host, without brackets */
	uint16_t port;              /* 0 = not given */
};

/* -EINVAL, with a text that names the place; *out untouched. NULL: environment DSM_URI, else
 * "rig". Unknown schemes parse (any [a-z][a-z0-9+]*); the transport table refuses them. */
int uri_parse(const char *text, struct uri *out);
/* A name that may stand in shm://NAME: 1..64 of letters, digits, '_', '-', '.'. */
bool uri_shm_name_ok(const char *name);

#endif
