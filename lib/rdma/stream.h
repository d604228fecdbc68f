/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as frames with credits: bytes in, bytes out; no verbs, no descriptors. One side's
 * half of a control connection; the endpoint (endpoint.h) carries the frames over a queue pair.
 * A frame is sent only where the peer has a RECV for it. The last credit is kept for a frame
 * that carries nothing but credits, so that two sides with much to say cannot starve each other.
 */
#ifndef DSM_LIB_RDMA_STREAM_H
#define DSM_LIB_RDMA_STREAM_H

#include <stdbool.h>

#include "wire/verbs.h"

#define STREAM_DEPTH 32u            /* RECVs of ours */
#define STREAM_MESSAGE_MAX (65536u + 16u) /* the longest control message, sealed */
#define STREAM_QUEUE ((size_t)1 << 20)

struct stream {
	/* to be sent: u32 length and bytes each, round a ring */
	unsigned char *queue;
	size_t room, head, used;
	uint32_t sent;              /* bytes of the first message that have left already */
	uint32_t peer_depth;        /* RECVs the peer has altogether */
	uint32_t credits;           /* of them free, as far as we know */
	/* received */
	uint32_t window;            /* frames the peer may still send */
	uint32_t owed;              /* RECVs posted anew that the peer does not know of */
	bool assembling, whole;
	uint32_t message_bytes;
	unsigned char *message;     /* STREAM_MESSAGE_MAX */
};

/* Allocates everything there will ever be. -ENOMEM. */
int stream_init(struct stream *s, size_t queue_bytes);
void stream_free(struct stream *s);
/* `peer_credits` from the CM's private data; -EBADMSG if impossible. Our own are STREAM_DEPTH. */
int stream_start(struct stream *s, uint32_t peer_credits);
/* Queues a message whole. -EAGAIN the queue is full; -EMSGSIZE. */
int stream_put(struct stream *s, const void *message, size_t bytes);
/* The next frame that may leave now, into `frame` (VERBS_FRAME_MAX); its bytes, 0 = none. */
size_t stream_next(struct stream *s, unsigned char *frame);
/* A frame that carries nothing but credits, though none are worth one; 0 = not while the last is left. */
size_t stream_empty(struct stream *s, unsigned char *frame);
/* A frame that came. 1: with it s->message is whole (until the next call); 0 more to come.
 * -EBADMSG the peer breaks the rules. Its RECV must then be posted anew and stream_posted() said. */
int stream_take(struct stream *s, const void *frame, size_t bytes);
void stream_posted(struct stream *s);
static inline bool stream_idle(const struct stream *s) { return s->used == 0; }

#endif
