/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADC boards at an engine: one thread with a UDP socket, which is to the engine what any owner in its
 * process is: for each board that is alive it holds the role of the board's owner by a handle of
 * dsm_engine_attach(), and gives it back when the board falls silent. So the thread never touches the
 * engine's lock on its way from a datagram to a cell. All functions do nothing where no `adc` is
 * configured; capture and adopt are called with the
 * engine's lock held, the others without.
 */
#ifndef DSM_LIB_ENGINE_INGEST_SERVER_H
#define DSM_LIB_ENGINE_INGEST_SERVER_H

#include "engine/state.h"
#include "engine/table.h"

struct dsm_engine;
struct ingest_server;
struct ingest_change;
struct control_device;

/* Checks address, keys and devices; opens nothing. */
int ingest_server_new(struct dsm_engine *engine, const struct dsm_table *table);
/* Binds the socket; before the engine says that it is there. */
int ingest_server_bind(struct dsm_engine *engine);
int ingest_server_start(struct dsm_engine *engine);
/* Ends the thread and gives the roles back; what is known of the boards stays. `ended`: for good. */
void ingest_server_pause(struct dsm_engine *engine, bool ended);
void ingest_server_free(struct dsm_engine *engine);

/* A reload: keys again, devices of the new table; then, while paused, one of the two. */
int ingest_server_prepare(struct dsm_engine *engine, const struct dsm_table *table, struct ingest_change **out);
void ingest_server_adopt(struct dsm_engine *engine, struct ingest_change **change);
void ingest_server_discard(struct ingest_change **change);

/* What is known of a board, with the engine's lock held; false: there are no more. */
bool ingest_server_device(struct dsm_engine *engine, uint32_t index, struct control_device *out);

/* Marks of the boards to and from the state file. */
void ingest_server_capture(struct dsm_engine *engine, struct state_image *image);
int ingest_server_restore(struct dsm_engine *engine, const struct state_image *image);

#endif
