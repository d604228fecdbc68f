/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which commits of a group one subscriber is sent: at most so often, every nth, only what leaves a
 * deadband. Pure: state and times in, yes or no out; no socket, no clock, no memory of its own. The
 * engine uses it where it pushes (udp), the library where a read costs the engine nothing.
 * The newest commit is weighed, never a backlog: whoever is slow misses what lies between.
 */
#ifndef DSM_LIB_CORE_FILTER_H
#define DSM_LIB_CORE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/layout.h"

/* Numbers of the wire, and of enum dsm_deadband. */
enum filter_kind { FILTER_ANY = 0, FILTER_ABSOLUTE = 1, FILTER_PERCENT = 2, FILTER_KIND_END };

struct filter_rule {
	uint64_t interval_ns;       /* between two; 0 = no limit */
	uint32_t every_nth;         /* at least 1 */
	uint32_t kind;              /* enum filter_kind: ANY = every commit counts */
	double band;                /* in the cell's unit, or percent of the value that went last */
};

struct filter_state {
	uint64_t seq;               /* of the commit that went last, or was there before */
	uint64_t sent_ns;           /* when it went */
	uint64_t weighed;           /* newest seq that was found too light; 0 = none */
	uint32_t epoch;
	bool base;                  /* seq and epoch mean something */
	bool sent;                  /* sent_ns does */
	bool has_values;
	uint64_t *values;           /* room for a payload if there is a band; NULL: nothing is compared */
};

/* May the commit `newest` go now, as far as numbers and time tell? Then it is worth looking at. */
bool filter_due(const struct filter_rule *rule, const struct filter_state *state, uint64_t newest,
	uint64_t now);
/* From when on filter_due() says yes to that commit: 0 at once, UINT64_MAX not to this one. */
uint64_t filter_when(const struct filter_rule *rule, const struct filter_state *state, uint64_t newest);
/* Does it differ from what went last by more than the band? A quality, a value that is no number, an
 * element of an array: each change counts. `cells` are the group's. */
bool filter_counts(const struct filter_rule *rule, const struct filter_state *state,
	const struct directory_cell *cells, uint32_t n, const uint64_t *payload);
/* It went. `payload` is kept if there is room for it; NULL: none to compare with. */
void filter_went(struct filter_state *state, uint64_t seq, uint32_t epoch, const uint64_t *payload,
	size_t bytes, uint64_t now);
/* What the subscriber has already. */
void filter_resume(struct filter_state *state, uint64_t seq, uint32_t epoch);

#endif
