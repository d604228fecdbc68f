/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind struct ingest: the devices with all that is known of them. Only for ingest.c (datagrams
 * and time) and ingest_table.c (making, reload, looking). */
#ifndef DSM_LIB_ENGINE_INGEST_DEVICE_H
#define DSM_LIB_ENGINE_INGEST_DEVICE_H

#include "engine/ingest.h"
#include "engine/ingest_clock.h"
#include "engine/ingest_map.h"
#include "wire/replay.h"

#define DEVICE_KEYS_MAX 4u      /* valid side by side */

struct device {
	const char *name, *owner;
	uint32_t id, tick_us, keys;
	uint64_t silent_ns, commit_ns;  /* commit_ns 0 = each datagram */
	uint8_t (*key)[SIPHASH_KEY];
	struct ingest_input *inputs;
	uint32_t input_count;
	/* what has been accepted */
	bool heard, alive;
	uint32_t epoch, seq;
	bool has_floor;                 /* from before a restart: nothing up to it is believed */
	uint32_t floor_epoch, floor_seq;
	struct replay seen;             /* seqs of this epoch */
	struct ingest_source source;
	uint64_t last_ns, uptime_us;
	uint64_t spoke_ns;              /* silence is counted from here: last_ns, or later if we stood still */
	uint8_t flags;
	/* commits */
	bool pending;
	uint64_t due_ns;                /* no commit before */
	/* counters */
	uint64_t verdicts[INGEST_VERDICTS], lost, starts, silences, overruns, link_losses, commits, commits_failed, no_channel;
	uint64_t clock_steps, rate_from_ns, rate_count;
	double rate_hz;
	struct ingest_clock clock;
};

struct ingest {
	struct ingest_sink sink;
	uint32_t count;
	struct device *devices;         /* by id */
	struct ingest_input *inputs;    /* of all */
	struct table_point *points;
	struct ingest_value *values;    /* of the largest device: what goes to the sink */
	uint8_t (*keys)[SIPHASH_KEY];   /* locked memory, wiped when freed */
	char *texts;
	uint64_t foreign, unknown;
	uint64_t looked_ns;             /* ingest_look() */
};

/* NULL: the table has no such device. */
struct device *ingest_find(const struct ingest *ingest, uint32_t id);

#endif
