/* SPDX-License-Identifier: Apache-2.0 */
/* The only place of the benchmark that knows dsm's layout: figures taken from there cannot be wrong
 * when it changes. */
#include "peers/rdma_shape.h"

#include <stddef.h>

#include "core/layout.h"
#include "core/payload.h"

struct rdma_shape rdma_shape(uint32_t cells)
{
	uint64_t slot = slot_bytes_for(cells * payload_record_bytes(DSM_F64, 1));
	return (struct rdma_shape){
		.read_bytes = (uint32_t)(DSM_PULSE_BYTES + RDMA_SLOTS * slot),
		.slot_bytes = (uint32_t)slot,
		.step_bytes = (uint32_t)(sizeof(struct bank_header) + DSM_LINE -
			offsetof(struct bank_header, step_complete)),
		.step_words = 2 * sizeof(uint64_t),
	};
}
