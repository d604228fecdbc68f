/* SPDX-License-Identifier: Apache-2.0 */
/* The transports of this build, best first. */
#include <string.h>

#include "transport/transport.h"

static const struct transport_ops *const all[] = {
#ifdef DSM_SHM
	&transport_shm,
#endif
#ifdef DSM_RDMA
	&transport_verbs,
#endif
	&transport_udp,
};

const struct transport_ops *transport_at(unsigned index)
{
	return index < sizeof(all) / sizeof(all[0]) ? all[index] : NULL;
}

const struct transport_ops *transport_find(const char *scheme)
{
	const struct transport_ops *ops;
	for (unsigned i = 0; (ops = transport_at(i)) != NULL; i++)
		if (strcmp(ops->scheme, scheme) == 0)
			return ops;
	return NULL;
}
