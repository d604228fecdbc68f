/* SPDX-License-Identifier: Apache-2.0 */
/* Checks whether this machine is ready for RDMA, on Linux: for rxe and doctor. */
#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

#include <stdbool.h>

#include "findings.h"
#include "host.h"

/** Kernel modules: can this kernel have Soft-RoCE? Nothing is loaded. */
void check_modules(struct findings *findings, bool has_device);
/** One device: port, node, MTU, address, packet filter. */
void check_device(struct findings *findings, const struct rdma_device *device);
/** Memory that may be locked, as this process is limited. */
void check_memlock(struct findings *findings);

#endif
