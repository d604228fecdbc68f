/* SPDX-License-Identifier: Apache-2.0 */
/* One flow of a udp session at one side: seals datagrams under counters of its own and opens those
 * of the other side, each once. Bytes only. One thread at a time. */
#ifndef DSM_LIB_WIRE_UDP_FLOW_H
#define DSM_LIB_WIRE_UDP_FLOW_H

#include "port/errno.h"
#include "wire/noise.h"
#include "wire/replay.h"
#include "wire/udp.h"

struct udp_flow {
	struct noise_cipher send, receive;
	uint64_t bit;               /* 0 control, UDP_FLOW_BIT data */
	uint64_t counter;           /* of the next datagram */
	uint32_t to, own;           /* names: the other's, ours */
	struct replay seen;
};

/* A writer into the inside of a datagram at `out` (UDP_DATAGRAM). */
static inline struct udp_writer udp_flow_begin(unsigned char *out)
{
	return (struct udp_writer){ out + UDP_DATA_HEAD, 0, UDP_DATA_ROOM };
}

/* Seals what was written since udp_flow_begin(): bytes of the datagram. 0: no counters are left. */
size_t udp_flow_seal(struct udp_flow *flow, unsigned char *out, const struct udp_writer *w);

/* Opens in place. 0: *at .. *end are its frames, *newest says whether its counter is the highest so
 * far. -ENOENT of another flow or session; -EALREADY seen before; -EKEYREJECTED the seal does not
 * fit; -EBADMSG no DATA. */
int udp_flow_open(struct udp_flow *flow, unsigned char *datagram, size_t bytes,
	const unsigned char **at, const unsigned char **end, bool *newest);

#endif
