/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams into a classic pcap file of raw IPv4 packets (link type 101), and out of one that
 * this wrote. No privilege: whoever relays a datagram has it already. One thread a file. */
#ifndef DSM_TESTS_NET_PCAP_H
#define DSM_TESTS_NET_PCAP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define PCAP_DATAGRAM_MAX 65507u /* bytes of a UDP payload over IPv4 */

struct pcap;

/* Creates or replaces the file. A negative errno if it cannot be. */
int pcap_create(const char *path, struct pcap **out);
/* One datagram as from `from` to `to`, at `time_ns` (Unix ns). A negative errno of the write. */
int pcap_put(struct pcap *pcap, uint64_t time_ns, const struct sockaddr_in *from,
	const struct sockaddr_in *to, const void *bytes, size_t n);
/* What was put so far is in the file when this returns. */
int pcap_flush(struct pcap *pcap);
void pcap_close(struct pcap **pcap);

/* Calls fn for each datagram of a file; a non-zero return of fn ends it and is returned.
 * -EBADMSG: not such a file, or cut off. */
int pcap_foreach(const char *path, int (*fn)(const struct sockaddr_in *from,
	const struct sockaddr_in *to, const uint8_t *bytes, size_t n, void *context), void *context);

#endif
