/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes dsm moves over an RDMA device, so that what it is compared with moves the same. */
#ifndef BENCH_RDMA_SHAPE_H
#define BENCH_RDMA_SHAPE_H

#include <stdint.h>

#define RDMA_SLOTS 4u /* K of every group measured here */

struct rdma_shape {
	uint32_t read_bytes;    /* one READ: a group's pulse and its ring */
	uint32_t slot_bytes;    /* a commit's first WRITE */
	uint32_t step_bytes;    /* its second: from step complete to the first group's pulse */
	uint32_t step_words;    /* READ of step complete and its check */
};
/* Of a group of so many f64 cells, the first of its owner. */
struct rdma_shape rdma_shape(uint32_t cells);

#endif
