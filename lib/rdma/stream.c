/* SPDX-License-Identifier: Apache-2.0 */
#include "rdma/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_A_FRAME (VERBS_FRAME_MAX - VERBS_FRAME_HEAD)
/* So many RECVs posted anew are worth a frame of their own. More than half would let two sides
 * that hold their last credit wait for each other; one would have every frame answered. */
#define OWED_ENOUGH (STREAM_DEPTH / 2)

int stream_init(struct stream *s, size_t queue_bytes)
{
	*s = (struct stream){ .room = queue_bytes };
	s->queue = malloc(queue_bytes);
	s->message = malloc(STREAM_MESSAGE_MAX);
	if (s->queue && s->message)
		return 0;
	stream_free(s);
	return -ENOMEM;
}

void stream_free(struct stream *s)
{
	free(s->queue);
	free(s->message);
	*s = (struct stream){ 0 };
}

int stream_start(struct stream *s, uint32_t peer_credits)
{
	if (peer_credits < VERBS_CREDITS_MIN || peer_credits > VERBS_CREDITS_MAX)
		return -EBADMSG;
	s->peer_depth = s->credits = peer_credits;
	s->window = STREAM_DEPTH;
	return 0;
}

/* ---- round the ring ---- */

static void ring_put(struct stream *s, size_t at, const void *from, size_t n)
{
	at %= s->room;
	size_t first = n < s->room - at ? n : s->room - at;
	memcpy(s->queue + at, from, first);
	memcpy(s->queue, (const char *)from + first, n - first);
}

static void ring_get(const struct stream *s, size_t at, void *to, size_t n)
{
	at %= s->room;
	size_t first = n < s->room - at ? n : s->room - at;
	memcpy(to, s->queue + at, first);
	memcpy((char *)to + first, s->queue, n - first);
}

int stream_put(struct stream *s, const void *message, size_t bytes)
{
	if (bytes == 0 || bytes > STREAM_MESSAGE_MAX)
		return -EMSGSIZE;
	if (bytes + sizeof(uint32_t) > s->room - s->used)
		return -EAGAIN;
	uint32_t n = (uint32_t)bytes;
	ring_put(s, s->head + s->used, &n, sizeof(n));
	ring_put(s, s->head + s->used + sizeof(n), message, bytes);
	s->used += sizeof(n) + bytes;
	return 0;
}

static size_t compose(struct stream *s, bool data, unsigned char *frame)
{
	struct verbs_frame head = { .credits = (uint16_t)s->owed };
	if (data) {
		uint32_t bytes;
		ring_get(s, s->head, &bytes, sizeof(bytes));
		uint32_t left = bytes - s->sent;
		head.length = left < BYTES_A_FRAME ? left : BYTES_A_FRAME;
		head.flags = (uint16_t)((s->sent == 0 ? FRAME_FIRST : 0) |
			(head.length == left ? FRAME_LAST : 0));
		ring_get(s, s->head + sizeof(bytes) + s->sent, frame + VERBS_FRAME_HEAD, head.length);
		s->sent += head.length;
		if (head.length == left) {
			s->head = (s->head + sizeof(bytes) + bytes) % s->room;
			s->used -= sizeof(bytes) + bytes;
			s->sent = 0;
		}
	}
	s->credits--;
	s->window += s->owed;
	s->owed = 0;
	verbs_put_frame(frame, &head);
	return VERBS_FRAME_HEAD + head.length;
}

size_t stream_next(struct stream *s, unsigned char *frame)
{
	bool data = s->used && s->credits >= 2; /* the last one is kept for credits */
	return data || (s->owed >= OWED_ENOUGH && s->credits) ? compose(s, data, frame) : 0;
}

size_t stream_empty(struct stream *s, unsigned char *frame)
{
	return s->credits >= 2 ? compose(s, false, frame) : 0;
}

int stream_take(struct stream *s, const void *frame, size_t bytes)
{
	struct verbs_frame head;
	if (s->whole) {
		s->whole = s->assembling = false;
		s->message_bytes = 0;
	}
	if (verbs_get_frame(frame, bytes, &head) || s->window == 0 ||
	    head.credits > s->peer_depth - s->credits)
		return -EBADMSG;
	s->window--;
	s->credits += head.credits;
	if (head.length == 0)
		return 0;
	bool first = head.flags & FRAME_FIRST;
	if (first == s->assembling || head.length > STREAM_MESSAGE_MAX - s->message_bytes)
		return -EBADMSG;
	memcpy(s->message + s->message_bytes, (const char *)frame + VERBS_FRAME_HEAD, head.length);
	s->message_bytes += head.length;
	s->assembling = true;
	s->whole = head.flags & FRAME_LAST;
	return s->whole;
}

void stream_posted(struct stream *s)
{
	s->owed++;
}
