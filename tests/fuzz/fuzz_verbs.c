/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger can send over the RDMA CM and a control connection. The first byte chooses:
 * 0 REQ, 1 REP, 2 REJ (what decodes is put and got again and must be the same), else frames,
 * each a u16 of its length before it, into a stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/verbs.h"
#ifdef DSM_RDMA
#include "rdma/stream.h"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

static void request(const uint8_t *data, size_t size)
{
	struct verbs_request m = { 0 };
	unsigned char again[VERBS_REQUEST_BYTES];
	if (verbs_get_request(data, size, &m))
		return;
	verbs_put_request(again, &m);
	must(memcmp(again, data, sizeof(again)) == 0);
}

static void reply(const uint8_t *data, size_t size)
{
	struct verbs_reply m = { 0 };
	unsigned char again[VERBS_REPLY_BYTES];
	if (verbs_get_reply(data, size, &m))
		return;
	verbs_put_reply(again, &m);
	must(memcmp(again, data, sizeof(again)) == 0);
}

static void reject(const uint8_t *data, size_t size)
{
	struct verbs_reject m, second;
	unsigned char again[VERBS_REJECT_MAX];
	if (verbs_get_reject(data, size, &m))
		return;
	must(m.status < 0 && strlen(m.text) < sizeof(m.text));
	size_t n = verbs_put_reject(again, &m);
	must(verbs_get_reject(again, n, &second) == 0 && second.status == m.status &&
		strcmp(second.text, m.text) == 0);
}

#ifdef DSM_RDMA
static void frames(const uint8_t *data, size_t size)
{
	struct stream s;
	unsigned char out[VERBS_FRAME_MAX], frame[VERBS_FRAME_MAX + 64];
	if (stream_init(&s, 65536) || stream_start(&s, STREAM_DEPTH))
		return;
	uint32_t posted = 0;
	while (size >= 2) {
		size_t n = (size_t)data[0] | (size_t)data[1] << 8;
		data += 2;
		size -= 2;
		n = n < size ? n : size;
		n = n < sizeof(frame) ? n : sizeof(frame);
		memcpy(frame, data, n);
		int rc = stream_take(&s, frame, n);
		if (rc < 0)
			break;
		must(s.message_bytes <= STREAM_MESSAGE_MAX && s.credits <= s.peer_depth);
		stream_posted(&s);
		posted++;
		if (rc == 1 && s.message_bytes)
			stream_put(&s, s.message, s.message_bytes); /* an echo */
		for (int i = 0; i < 64 && stream_next(&s, out); i++)
			must(s.window <= STREAM_DEPTH);
		data += n;
		size -= n;
	}
	must(posted <= UINT32_MAX);
	stream_free(&s);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	switch (data[0]) {
	case 0: request(data + 1, size - 1); break;
	case 1: reply(data + 1, size - 1); break;
	case 2: reject(data + 1, size - 1); break;
	default:
#ifdef DSM_RDMA
		frames(data + 1, size - 1);
#endif
		break;
	}
	return 0;
}
