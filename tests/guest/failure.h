/* SPDX-License-Identifier: Apache-2.0 */
/* A reader and an owner on an engine across a network, and what must hold for them. */
#ifndef DSM_TESTS_FAILURE_H
#define DSM_TESTS_FAILURE_H

#define PLAIN_SHARED
#include "common/place.h"
#include "stress/plain.h"

struct scene {
	struct place place;
	char uri[128];
	struct dsm *r, *w;
	struct dsm_cell rx, ry, wx, wy;     /* sensors.a at each */
	struct dsm_group group;
	struct dsm_frame *frame;
	double last, acked, seen;           /* value committed; the last whose commit returned 0; last read */
	struct dsm_cell wide_r, wide_w;     /* sensors.wide: its READs are answered by several packets */
	struct dsm_group wide;
	struct dsm_frame *wide_frame;
	uint64_t wide_last, wide_acked;     /* the same, of its first word */
	unsigned commits, reads, wides;     /* that succeeded; reads that were current; of wide */
	uint64_t fastest_ns;                /* read of those */
	unsigned excused;                   /* losses that nobody had ordered */
	unsigned lost;                      /* events of the reader that said so */
	uint64_t before_r, before_w;        /* how often each was re-attached, when scene_is_lost() began */
};

bool scene_begin(struct scene *scene, const char *host);
void scene_end(struct scene *scene);
/* Looks the names up (again). */
int scene_names(struct scene *scene);

/* Waits, bounded, for such an event; others are passed over. */
bool scene_event(struct dsm *dsm, enum dsm_event_kind kind);
uint64_t scene_reattached(const struct scene *scene);

/* Takes the events that there are; counts what they say. */
void scene_events(struct scene *scene);

/* One commit and one read, which must succeed; or, with a bad wire, may fail but not be wrong: then
 * scene->commits, reads and wides say how many did not. */
void scene_step(struct scene *scene, const char *when);
void scene_try(struct scene *scene, const char *when);

/* From now on re-attaches are counted; scene_is_lost() does it by itself. */
void scene_before(struct scene *s);
/* Both handles say so, in bounded time; the last values stay, marked as stale. */
void scene_is_lost(struct scene *scene, const char *when);
/* Both handles are attached again, values are current, commits go. `kind`, where it is not 0, is said,
 * and since scene_is_lost() each handle has counted that it was re-attached. */
void scene_is_back(struct scene *scene, const char *when, enum dsm_event_kind kind);

/* The network interface and the RDMA device of this guest. */
const char *netdev(void);
const char *rdma_device(void);

#endif
