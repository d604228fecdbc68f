/* SPDX-License-Identifier: Apache-2.0 */
/* How much each host has had within a while, so that one of them does not use up what is there for all.
 * Of no lock and no clock: the owner says when a new while begins. */
#ifndef DSM_LIB_ENGINE_SOURCES_H
#define DSM_LIB_ENGINE_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#define SOURCES_MAX 64u
#define SOURCE_BYTES 16

/* All zero: a new while. */
struct sources {
	uint32_t taken, count;
	struct { uint8_t host[SOURCE_BYTES]; uint32_t taken; } source[SOURCES_MAX];
};

struct sockaddr;
/* A host without its port. One of IPv6 has 2^64 addresses: they are one. Of another family: all 0. */
void sources_host(const struct sockaddr *address, uint8_t host[SOURCE_BYTES]);
/* True, and counted, if all have had less than `all` (at most SOURCES_MAX), and this one less than `each`, > 0. */
bool sources_take(struct sources *s, const uint8_t host[SOURCE_BYTES], uint32_t all, uint32_t each);
void sources_forget(struct sources *s);

#endif
