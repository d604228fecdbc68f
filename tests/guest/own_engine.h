/* SPDX-License-Identifier: Apache-2.0 */
/* An engine in a process of its own, over rdma at an address of this machine, for programs that fork
 * themselves what they need. */
#ifndef DSM_TESTS_OWN_ENGINE_H
#define DSM_TESTS_OWN_ENGINE_H

#include <stdint.h>
#include <sys/types.h>

#include <dsm/engine.h>

/* What kind; `begun` (may be NULL) runs in the engine's process before it is said to be ready. */
struct own_engine_kind {
	const char *name;
	unsigned port;
	uint32_t max_clients;       /* 0: the default */
	int (*table)(struct dsm_table **out);
	int (*begun)(struct dsm_engine *engine);
};

struct own_engine {
	pid_t pid;
	char near[64], far[96];     /* shm://..., rdma://... */
	struct own_engine_board *board;
};

/* Starts it and waits until it is ready. 0; 77 when there is no device here, which it has said then;
 * negative errno. End it in each case. */
int own_engine_start(const struct own_engine_kind *kind, struct own_engine *out);
void own_engine_end(struct own_engine *engine);

/* `run` in a process that ends with this one. */
pid_t own_process(int (*run)(void));

#endif
