/* SPDX-License-Identifier: Apache-2.0 */
/* A client's key: which of its lines is shown to an engine. For the transports over a network. */
#ifndef DSM_LIB_TRANSPORT_SECRET_H
#define DSM_LIB_TRANSPORT_SECRET_H

#include "transport/transport.h"
#include "wire/key.h"

struct transport_secret { bool there; uint8_t id[KEY_ID_BYTES], psk[KEY_BYTES]; };
/* The key for what `as` wants, from its file or DSM_KEYS; none if there are none. The caller wipes it.
 * -EACCES the file is readable by others, or has none that fits; -EINVAL, -ENOENT, -EIO. */
int transport_secret_find(const struct transport_identity *as, struct transport_secret *out);

#endif
