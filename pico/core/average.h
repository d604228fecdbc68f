/* SPDX-License-Identifier: Apache-2.0 */
/* 12-bit samples to the 16 bits that are sent. Freestanding. */
#ifndef DSM_PICO_AVERAGE_H
#define DSM_PICO_AVERAGE_H

#include <stdint.h>

#define PICO_AVERAGE_LOG2_MAX 4u

/* The mean of 2^log2 samples (0..4095; higher bits are ignored), spread over 0..65535 so that 0 stays 0
 * and full scale is 65535 exactly. log2 at most PICO_AVERAGE_LOG2_MAX: averaging 16 gives the four bits
 * that 16 has more than 12. */
uint16_t pico_average(const uint16_t *samples, unsigned log2);

#endif
