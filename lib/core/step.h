/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `step complete`: the last step of a bank of which every group has been published. Unlike a
 * pulse it decides by itself (a reader takes the newest commits up to it), so a NIC that brings
 * it over byte by byte must not make up a step: it has a check word of its own beside it.
 * (Seen in the model: 0x00ff -> 0x0100 torn to 0x01ff accepts a mix of two steps.)
 */
#ifndef DSM_LIB_CORE_STEP_H
#define DSM_LIB_CORE_STEP_H

#include <stdbool.h>

#include "core/layout.h"

#define STEP_TORN UINT64_MAX    /* not whole just now: look again */
#define STEP_LOOKS 64u

static inline uint64_t step_check(uint64_t generation, uint64_t step)
{
	return (step ^ generation) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Release: pairs with the acquire in step_load(); every group of the step is there. */
static inline void step_store(struct bank_header *bank, uint64_t generation, uint64_t step)
{
	atomic_store_explicit(&bank->step_check, step_check(generation, step), memory_order_relaxed);
	atomic_store_explicit(&bank->step_complete, step, memory_order_release);
}

/* One look at a bank that a network may have written, or STEP_TORN. */
static inline uint64_t step_look(const struct bank_header *bank, uint64_t generation)
{
	uint64_t step = atomic_load_explicit(&bank->step_complete, memory_order_acquire);
	uint64_t check = atomic_load_explicit(&bank->step_check, memory_order_relaxed);
	return check == step_check(generation, step) ? step : STEP_TORN;
}

/* `marked`: a network may write the bank. Else one process stores both words whole, in turn. */
static inline uint64_t step_load(const struct bank_header *bank, uint64_t generation, bool marked)
{
	uint64_t step = STEP_TORN;
	if (!marked)
		return atomic_load_explicit(&bank->step_complete, memory_order_acquire);
	for (unsigned i = 0; i < STEP_LOOKS && step == STEP_TORN; i++)
		step = step_look(bank, generation);
	return step;
}

#endif
