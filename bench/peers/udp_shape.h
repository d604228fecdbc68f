/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes dsm's datagrams have, so that what it is compared with sends as many. */
#ifndef BENCH_UDP_SHAPE_H
#define BENCH_UDP_SHAPE_H

#include <stdint.h>

/* Payloads of UDP, seal included. */
struct udp_shape {
	uint32_t read, answer;      /* dsm_read() of one group that fits into one datagram */
	uint32_t commit, committed; /* one group of an owner; acknowledgement and outcome in one */
};
/* Of a group of so many f64 cells. */
struct udp_shape udp_shape(uint32_t cells);

#endif
