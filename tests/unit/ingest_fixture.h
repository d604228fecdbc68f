/* SPDX-License-Identifier: Apache-2.0 */
/* A table with two boards, their keys, and a sink that remembers: for the tests of ingest. */
#ifndef DSM_TESTS_UNIT_INGEST_FIXTURE_H
#define DSM_TESTS_UNIT_INGEST_FIXTURE_H

#include "engine/ingest.h"
#include "wire/adc.h"

#define MS UINT64_C(1000000)
#define VALUES_MAX 16

struct sunk {
	unsigned commits, alive, silent;
	uint64_t takes_ns;                  /* by so much telling of a life holds the thread up */
	int answer;                         /* what commit says */
	uint32_t device, n;
	uint64_t age_ns;
	struct ingest_value values[VALUES_MAX];
};

extern const uint8_t panel_key[SIPHASH_KEY], feet_key[SIPHASH_KEY];
extern struct ingest *ingest;
extern struct sunk sunk;
extern uint64_t now;

/* The inputs of device 7 ("panel", tick 1 ms, owner knobs) as YAML flow; more keys of the device in
 * `keys` ("commit_hz: 10, "). Device 9 ("feet") has one channel. */
void ingest_start(const char *keys, const char *inputs);
void ingest_end(void);

/* A datagram of a board; seq 0 in `h` is allowed. */
enum ingest_verdict give(const struct adc_header *h, const uint16_t *channels, const uint8_t key[SIPHASH_KEY],
	unsigned source);
/* The panel's: eight channels of `raw`, at `now`. */
enum ingest_verdict panel(uint32_t epoch, uint32_t seq, uint16_t raw);
struct ingest_info info(uint32_t id);
/* Time goes by, and the thread comes by whenever it is due; the socket is empty. */
void pass(uint64_t ns);

#endif
