/* SPDX-License-Identifier: Apache-2.0 */
/* What the network of this machine did to packets: the kernel and its RDMA device say. */
#ifndef DSM_TESTS_WIRE_H
#define DSM_TESTS_WIRE_H

struct wire {
	long long dropped;          /* by the queueing disciplines, of what was to be sent */
	long long made, left;       /* IPv4 packets made here; packets that left through eth0 */
	long long again;            /* RDMA requests that came twice */
	long long early;            /* RDMA requests that came before one that was sent before them */
};
#define WIRE_FORMAT "%lld %lld %lld %lld %lld"

/* All 0 where nothing is. Blocks while `tc` runs. */
void wire_count(struct wire *out);

#endif
