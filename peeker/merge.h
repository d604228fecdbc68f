/* SPDX-License-Identifier: Apache-2.0 */
/* What one look at the engine brought, and how it gets into the model. For the sampler. */
#ifndef PEEKER_MERGE_H
#define PEEKER_MERGE_H

#include "model.h"

/** The look at one group. */
struct look {
	struct dsm_frame *frame;         /**< NULL if not read as a whole */
	struct dsm_frame_info info;
	int error;
	bool borrowed;                   /**< a large array, looked at in place */
	struct dsm_sample in_place;
	uint32_t shown_bytes;            /**< of its beginning */
	_Alignas(8) unsigned char shown[256];
};

/** Take all looks (one a group of model->table) into the model, whose now_ns is theirs. */
void merge_looks(struct model *model, const struct look *looks);
/** The look as a whole has failed with that negative errno: no cell has been read. */
void merge_failure(struct model *model, int error);
/** A commit that has just been seen bears this engine time: what time it is at the engine, of
 *  which the offset to model->now_ns is kept. */
void merge_time(struct model *model, int64_t time_ns);

#endif
