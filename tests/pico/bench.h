/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on the bench: its image, a settled configuration, the datagrams that came out of it. */
#ifndef DSM_TESTS_PICO_BENCH_H
#define DSM_TESTS_PICO_BENCH_H

#include "machine.h"
#include "settings.h"
#include "wire/adc.h"

#define SEEN_MAX 4000u

struct seen { uint64_t at_ps; struct adc_header h; uint16_t value[8]; };

extern struct machine *m;
extern struct seen seen[SEEN_MAX];
extern unsigned seen_count;             /* of the present power-on */
extern uint64_t stream_hash;            /* of all bytes and their times */
extern uint32_t bench_device, bench_tick_us;    /* of a configured board */
extern uint8_t bench_key[16];
extern struct pico_settings bench_settings;     /* of a configured board */

/* A scenario ends at the first thing that is not so. */
#define EXPECT(condition, ...) do { \
	if (!(condition)) { \
		bench_failed(__FILE__, __LINE__, #condition, __VA_ARGS__); \
		return false; \
	} \
} while (0)
#define RUN(ps) EXPECT(machine_run(m, (ps)), "fault: %s", m->fault)
void bench_failed(const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A new machine with this image, powered; `configured`: settings and key are in its flash already. */
bool bench_begin(const char *image, bool configured);
void bench_end(void);
/* As many records more in the journals of settings (the same again) and boot counter (one more each). */
bool bench_fill(unsigned settings, unsigned epochs);
/* Types and runs until the console has said `answer` after it, at most 0.5 s of its time. */
bool bench_say(const char *line, const char *answer);
/* The channels' values are what the voltages make, within 6 of 65535 (a step of the converter is 16), in
 * datagrams from `first` on. */
bool bench_values_right(unsigned first);
/* seq from `first` on without a gap, a tick of 1 ms each. */
bool bench_ticks_right(unsigned first);
/* The network chip has the addresses and ports of the settings. */
bool bench_addresses_right(void);
/* What the program has used of its stack since the power came is said, and is no more than half of it. */
bool bench_stack_right(const char *when);

#endif
