/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows over RDMA have in common: a table, an engine that serves it on a device, handles. */
#ifndef BENCH_RDMA_SCENE_H
#define BENCH_RDMA_SCENE_H

#include "peers/dsm_host.h"
#include "peers/rdma_shape.h"

#define RDMA_GROUPS 8u      /* of one f64 each; the first is the owner's first */
#define RDMA_WIDE_CELLS 48u /* of one group more */

struct rdma_scene {
	char place[64];         /* ADDR:PORT */
	struct dsm_host host;
	struct dsm *dsm;
	struct dsm_cell cell[RDMA_GROUPS], wide;
	struct dsm_group group[RDMA_GROUPS];
	struct dsm_frame *frame[RDMA_GROUPS];
	double value;
};

/* An engine on the server's CPU, every group with a value. To be closed in any case. */
int rdma_scene_open(struct rdma_scene *s, const struct bench_conf *conf, struct bench_run *out);
/* A handle over rdma with all ids; owner NULL: a reader. */
int rdma_scene_attach(struct rdma_scene *s, const char *owner, struct bench_run *out);
void rdma_scene_close(struct rdma_scene *s);

#define RDMA_OWNER "bench"
/* What stands in the cells after rdma_scene_open(). */
#define RDMA_VALUE 1.5

#endif
