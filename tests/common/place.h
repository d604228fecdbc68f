/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture's engine for a test, wherever it runs: in this process, in another one, or on
 * another host where the program engine_host runs. The same few calls for all; each returns 0
 * or a negative errno and says on standard error what was wrong. */
#ifndef DSM_TESTS_PLACE_H
#define DSM_TESTS_PLACE_H

#include <stdio.h>

#include "common/fixture.h"
#include "common/wire.h"

#define PLACE_PORT 7460 /* of engine_host, TCP */
#define PLACE_LINE 4096 /* bytes of a line of its protocol */

struct place {
	struct dsm_engine *engine;  /* here; NULL elsewhere */
	int fd;                     /* elsewhere: to the keeper; -1 here */
	int keeper;                 /* pid of ours, 0 if it is not */
	char name[64];              /* of the engine */
	unsigned port;              /* where it serves rdma or udp; 0 = it does not */
	unsigned flags;             /* enum fixture_flags */
	char text[PLACE_LINE];      /* last answer */
};

/* where: "here", "process", or the address of a host. Waits for a host for a minute: it may be
 * starting still. */
int place_reach(struct place *place, const char *where);
/* Ends what place_reach() began, the engine too. */
void place_leave(struct place *place);

enum place_serve { PLACE_SHM = 0, PLACE_RDMA = 1, PLACE_UDP = 2 };
/* serve: what else. Afterwards place->name and place->port are known; opened again after
 * place_close() or place_kill() it has the same ones. */
int place_open(struct place *place, unsigned flags, unsigned serve);
int place_close(struct place *place);
int place_reload(struct place *place, unsigned flags);
int place_commit(struct place *place, int64_t time_ns, const struct fixture_value *values, unsigned n);

/* Not "here": -ENOTSUP. The process of the engine is stopped (it has when this returns), goes on,
 * or is killed. */
int place_stop(struct place *place);
int place_continue(struct place *place);
int place_kill(struct place *place);
/* A host that is a guest: it loses its power; its RDMA device goes, within 20 s, or comes back. */
int place_power_off(struct place *place);
int place_device(struct place *place, bool there);
/* Its link goes down shortly after this returned, and comes back 2.5 s later. */
int place_flap(struct place *place);
/* What leaves it is treated so (`tc qdisc … netem`), NULL: no longer; what its network did so far. */
int place_netem(struct place *place, const char *netem);
int place_wire(struct place *place, struct wire *out);
/* As if its power went and came back, shortly after this returned: for some seconds nothing leaves it,
 * then there is no engine and no connection, and nobody has said good-bye. place_open() is next. */
int place_power_cycle(struct place *place);

/* ---- the other side: place_keeper.c ---- */
/* Serves one connection until it ends. Forks the process that holds the engine. */
void keeper_serve(int fd);
/* Lines over a stream, at most PLACE_LINE - 1 bytes, without the newline. -EPIPE it ended. */
int line_get(int fd, char line[PLACE_LINE], int timeout_ms);
int line_put(int fd, const char *line);

#endif
