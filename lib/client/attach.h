/* SPDX-License-Identifier: Apache-2.0 */
/* What libdsm offers to libdsm_engine beside the public interface (version node DSM_PRIVATE). */
#ifndef DSM_LIB_CLIENT_ATTACH_H
#define DSM_LIB_CLIENT_ATTACH_H

#include "core/uri.h"

/* Where an in-process attach gets its channel and memory (libdsm_engine). */
struct inproc {
	int (*channel)(void *context);
	void *(*own_memory)(void *context, uint32_t owner, uint64_t *bytes);
	void *context;
};

/* `inproc` must outlive the handle; NULL = by the address. */
DSM_EXPORT int dsm__attach(const struct uri *uri, const struct inproc *inproc,
	const struct dsm_options *opts, struct dsm **out);

#endif
