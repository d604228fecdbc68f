/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who in this process uses which RDMA device. librdmacm opens a device once and keeps it open
 * until the process ends, so `rdma link del` would wait for that. Who has released everything
 * after DEVICE_REMOVAL says so here; when the last has, the descriptors are given back.
 * Lives in libdsm once a process, libdsm_engine uses it there. `cm` is an id's `verbs` throughout.
 */
#ifndef DSM_LIB_RDMA_DEVICE_H
#define DSM_LIB_RDMA_DEVICE_H

#include <stdbool.h>

#include <infiniband/verbs.h>

#include <dsm/dsm.h>

/* Before the first object is made on it, once for each that will release. */
DSM_EXPORT int dsm__rdma_hold(struct ibv_context *cm);
/* The same, and a context of this process's own to make objects on: librdmacm's may be one that a
 * parent process opened before fork(), on which a child can make nothing. Shared by all who ask. */
DSM_EXPORT int dsm__rdma_open(struct ibv_context *cm, struct ibv_context **own);
/* After the last object of that holder is gone (ids included). `removed`: the device is going away. */
DSM_EXPORT void dsm__rdma_release(struct ibv_context *cm, bool removed);

#endif
