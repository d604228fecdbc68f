/* SPDX-License-Identifier: Apache-2.0 */
/* Eight boards of eight channels on loopback, and who takes their datagrams in a process of its own: an
 * engine, or a bare socket that fetches and forgets them. */
#ifndef BENCH_ADC_BOARDS_H
#define BENCH_ADC_BOARDS_H

#include "harness/child.h"

#include <dsm/dsm.h>

#define ADC_BOARDS 8u
#define ADC_BOARD_CHANNELS 8u
#define ADC_BOARDS_BATCH 64u            /* datagrams a recvmmsg(), as the engine's */

struct adc_boards {
	struct bench_child child;
	char name[48];                  /* of the region, of an engine */
	char port[8];
	uint32_t tick_us;
	int fd;                         /* all boards send by it */
	uint32_t seq[ADC_BOARDS];       /* of the last datagram; channel 0 carries its low 16 bits */
	struct dsm *dsm;                /* a reader beside the engine */
	struct dsm_cell cell[ADC_BOARDS]; /* channel 0: that number */
};

/* 0 or -errno with the reason in `out`; adc_boards_stop() in any case. The engine takes 20 ticks without a
 * datagram for silence. */
int adc_boards_start_engine(struct adc_boards *boards, const struct bench_conf *conf, uint32_t tick_us,
	struct bench_run *out);
int adc_boards_start_bare(struct adc_boards *boards, const struct bench_conf *conf, struct bench_run *out);
void adc_boards_stop(struct adc_boards *boards);

/* The next datagram of a board, signed. 0 or -errno. */
int adc_boards_send(struct adc_boards *boards, unsigned board);
/* The number of the newest datagram of a board that its cell shows; 0: none yet, or it cannot be told. */
uint32_t adc_boards_shown(struct adc_boards *boards, unsigned board);
/* How many datagrams the bare socket has fetched. */
uint64_t adc_boards_fetched(const struct adc_boards *boards);
/* A counter of the engine's, "adc_accepted". */
uint64_t adc_boards_counter(struct adc_boards *boards, const char *name);
/* How many datagrams a receive buffer holds on this machine, as the engine's and the bare socket's. */
unsigned adc_boards_room(void);

#endif
