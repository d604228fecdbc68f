/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler: one attach, read only, on a thread of its own. It reads all groups at a period
 * and keeps the model that every viewer (terminal, batch, web) looks at. A viewer holds the
 * lock while it looks, or takes a copy; however slow it is, the engine is not asked more.
 */
#ifndef PEEKER_SAMPLE_H
#define PEEKER_SAMPLE_H

#include "model.h"

struct sampler;

struct sampler_options {
	const char *uri;         /**< NULL: as dsm_attach() */
	const char *program;     /**< shown by `dsm ps` */
	double period_s;         /**< of the looks, 0.01 to 3600 */
	double timeout_s;        /**< of the first attach; < 0 = the library's */
	bool wait;               /**< no engine at the start is no failure: try again */
	char *const *globs;      /**< cells to look at; must outlive the sampler */
	int n_globs;
};

/** Attach and begin to look. Without `wait` it returns when the first look is done, or with
 *  the negative errno of the attach (text in error, `size` bytes). -ENOMEM, -EAGAIN: no
 *  thread. A table that is huge is looked at less often, so that no more than a tenth of a
 *  processor is used. */
int sampler_start(const struct sampler_options *options, struct sampler **out, char *error,
	size_t size);
/** Detach, end the thread, free. */
void sampler_stop(struct sampler **sampler);

/** The model as it is now; it stands still until sampler_unlock(). Hold it briefly. */
const struct model *sampler_lock(struct sampler *sampler);
void sampler_unlock(struct sampler *sampler);
/** Sleep until a round later than `round` is there or timeout_ms is over; returns the newest
 *  round. Any thread. */
uint64_t sampler_wait(struct sampler *sampler, uint64_t round, int timeout_ms);

/** From now on write to this eventfd after each round; -1: no more. It must stay open until
 *  then. Any thread. */
void sampler_notify(struct sampler *sampler, int fd);

/** CLOCK_MONOTONIC in ns, the clock of model.now_ns. */
uint64_t own_clock_ns(void);

#endif
