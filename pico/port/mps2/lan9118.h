/* SPDX-License-Identifier: Apache-2.0 */
/* The LAN9118 of QEMU's mps2-an505, as far as sending goes: whole Ethernet frames with a UDP datagram. */
#ifndef DSM_PICO_MPS2_LAN9118_H
#define DSM_PICO_MPS2_LAN9118_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false: no such chip. */
bool lan9118_start(const uint8_t mac[6]);
/* Where from and where to; broadcast on the wire, so that no ARP is needed. */
struct lan9118_route { uint8_t mac[6], from[4], to[4]; uint16_t from_port, to_port; };
/* false: no room. n at most 1400. */
bool lan9118_send(const struct lan9118_route *route, const uint8_t *data, size_t n);

#endif
