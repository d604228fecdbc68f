/* SPDX-License-Identifier: Apache-2.0 */
/* Asked of dsm's own encoders: figures taken from there cannot be wrong when the protocol changes. */
#include "peers/udp_shape.h"

#include "core/layout.h"
#include "core/payload.h"
#include "wire/udp.h"
#include "wire/udp_flow.h"

/* A sealed datagram with what is in the writer. */
static uint32_t sealed(const struct udp_writer *w)
{
	return (uint32_t)(UDP_DATA_HEAD + w->size + NOISE_TAG);
}

struct udp_shape udp_shape(uint32_t cells)
{
	static const unsigned char bytes[UDP_PIECE];
	unsigned char d[4][UDP_DATAGRAM];
	struct udp_writer w[4] = { udp_flow_begin(d[0]), udp_flow_begin(d[1]), udp_flow_begin(d[2]), udp_flow_begin(d[3]) };
	uint16_t slot = (uint16_t)(DSM_SLOT_HEADER + cells * payload_record_bytes(DSM_F64, 1));
	udp_put_read(&w[0], &(struct udp_read){ .kind = UDP_READ_NEWEST, .bytes = slot });
	udp_put_answer(&w[1], &(struct udp_answer){ .bytes = slot, .data = bytes });
	udp_put_segment(&w[2], &(struct udp_segment){ .flags = UDP_FIRST | UDP_LAST,
		.bytes = (uint16_t)(UDP_COMMIT_HEAD + slot), .data = bytes });
	udp_put_ack(&w[3], &(struct udp_ack){ 0 });
	udp_put_committed(&w[3], &(struct udp_committed){ 0 });
	return (struct udp_shape){ sealed(&w[0]), sealed(&w[1]), sealed(&w[2]), sealed(&w[3]) };
}
