/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/udp_flow.h"

#include <errno.h>

size_t udp_flow_seal(struct udp_flow *flow, unsigned char *out, const struct udp_writer *w)
{
	if (flow->counter == UDP_FLOW_BIT - 1)
		return 0;
	struct udp_data head = { flow->to, flow->counter++ | flow->bit };
	udp_put_data(out, &head);
	if (noise_seal(&flow->send, head.counter, out, UDP_DATA_HEAD, w->data, w->size, w->data))
		return 0;
	return UDP_DATA_HEAD + w->size + NOISE_TAG;
}

int udp_flow_open(struct udp_flow *flow, unsigned char *datagram, size_t bytes,
	const unsigned char **at, const unsigned char **end, bool *newest)
{
	struct udp_data head;
	if (udp_get_data(datagram, bytes, &head))
		return -EBADMSG;
	if (head.to != flow->own || (head.counter & UDP_FLOW_BIT) != flow->bit)
		return -ENOENT;
	uint64_t counter = head.counter & ~UDP_FLOW_BIT;
	if (replay_check(&flow->seen, counter) != REPLAY_FRESH)
		return -EALREADY;
	unsigned char *inside = datagram + UDP_DATA_HEAD;
	size_t n = bytes - UDP_DATA_HEAD;
	if (noise_open(&flow->receive, head.counter, datagram, UDP_DATA_HEAD, inside, n, inside))
		return -EKEYREJECTED;
	*newest = counter >= flow->seen.next;
	replay_take(&flow->seen, counter);
	*at = inside;
	*end = inside + n - NOISE_TAG;
	return 0;
}
