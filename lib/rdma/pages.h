/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory on pages of its own, kept from forked children: a page that a fork would
 * make copy-on-write must never be one that a NIC works on. */
#ifndef DSM_LIB_RDMA_PAGES_H
#define DSM_LIB_RDMA_PAGES_H

#include <stdint.h>

#include <infiniband/verbs.h>

struct pages {
	unsigned char *at;
	uint64_t bytes;
	struct ibv_mr *mr;
	int kept_by;                /* process that has them; a forked child does not */
};

/* Zeroed, touched, registered with `access` (0 or IBV_ACCESS_LOCAL_WRITE). Text names memlock. */
int pages_make(struct pages *pages, struct ibv_pd *pd, uint64_t bytes, unsigned access);
/* The device lets go of them; the memory stays. */
void pages_unregister(struct pages *pages);
void pages_free(struct pages *pages);

#endif
