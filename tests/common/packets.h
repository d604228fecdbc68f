/* SPDX-License-Identifier: Apache-2.0 */
/* What the RDMA devices of this machine say of themselves, from /sys/class/infiniband. */
#ifndef DSM_TESTS_PACKETS_H
#define DSM_TESTS_PACKETS_H

#include <stdint.h>

/* Packets that all devices have sent; 0 without a device. */
uint64_t packets_sent(void);
/* An IPv4 address that a device has. 0, or -ENODEV. */
int device_address(char address[64]);

#endif
