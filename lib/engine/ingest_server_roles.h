/* SPDX-License-Identifier: Apache-2.0 */
/* The roles that the ingest thread holds for boards that are alive: one handle each. Only for
 * ingest_server.c. */
#ifndef DSM_LIB_ENGINE_INGEST_SERVER_ROLES_H
#define DSM_LIB_ENGINE_INGEST_SERVER_ROLES_H

#include <pthread.h>

#include "engine/ingest.h"
#include "engine/ingest_socket.h"
#include "engine/table_devices.h"

struct role {
	struct dsm *dsm;            /* NULL: not held */
	struct dsm_cell *cells;     /* one an input; of this handle */
	uint32_t inputs, id, tick_us;
	bool wanted;                /* the board is alive */
	bool presses_known;         /* what an earlier run counted was added */
	bool told;                  /* that the role cannot be had */
	uint64_t retry_ns;
	struct ingest_info info;    /* as report_devices() saw it; under marks_lock */
};

struct roles { uint32_t count; struct role *role; };

/* What a reload puts in place. */
struct ingest_change { struct ingest *ingest; struct roles *roles; };

struct ingest_server {
	struct dsm_engine *engine;
	struct ingest *ingest;      /* NULL: the table has no devices */
	struct roles *roles;
	struct ingest_batch *batch;
	int fd, wake_fd;
	uint64_t seen_ns;           /* all that came before has been fetched */
	uint64_t counted_from_ns;   /* where `fetched` begins */
	uint32_t fetched;           /* since then, and the socket was never empty */
	pthread_t thread;
	bool running;
	_Atomic bool ended;         /* a save may look while the engine ends */
	_Atomic bool stop;
	pthread_mutex_t marks_lock; /* of marks and reports; under it nothing else is called */
	uint64_t reported_ns;
	uint32_t mark_count;
	struct ingest_mark marks[DEVICES_MAX];
};

int roles_new(const struct ingest *ingest, struct roles **out);
void roles_free(struct roles **roles);
/* After ingest_carry(): presses go on, who lives is to be claimed. */
void roles_carry(struct roles *roles, const struct ingest *ingest);
void roles_give_back(struct ingest_server *server);
/* Heartbeats of the handles, and roles that could not be had before. */
void roles_tick(struct ingest_server *server);
uint32_t roles_tick_us(const struct roles *roles, uint32_t device_id);

/* ingest_server_report.c; the thread, or while it is paused: each board's state put where the engine finds it; then
 * the sums into the engine's counters. */
void report_devices(struct ingest_server *server);
void report_counters(struct ingest_server *server);

/* The ingest's sink; context: the server. */
int roles_commit(void *context, uint32_t device, const struct ingest_value *values, uint32_t n, uint64_t age_ns);
void roles_alive(void *context, uint32_t device, bool alive);

#endif
