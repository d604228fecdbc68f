/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap. */
#include "net/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool before(const struct held *a, const struct held *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void swap(struct held *a, struct held *b)
{
	struct held c = *a;
	*a = *b;
	*b = c;
}

int queue_put(struct queue *queue, uint64_t due_ns, uint32_t flow_number, enum way way,
	const void *bytes, size_t n)
{
	if (queue->n == RELAY_QUEUE)
		return -ENOBUFS;
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, n);
	uint32_t i = queue->n++;
	queue->heap[i] = (struct held){ due_ns, queue->order++, copy, (uint32_t)n, flow_number, way };
	while (i > 0 && before(&queue->heap[i], &queue->heap[(i - 1) / 2])) {
		swap(&queue->heap[i], &queue->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	return 0;
}

bool queue_take(struct queue *queue, uint64_t now_ns, struct held *out)
{
	if (queue->n == 0 || queue->heap[0].due_ns > now_ns)
		return false;
	*out = queue->heap[0];
	queue->heap[0] = queue->heap[--queue->n];
	for (uint32_t i = 0, least = 0;; i = least) {
		for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < queue->n; child++)
			if (before(&queue->heap[child], &queue->heap[least]))
				least = child;
		if (least == i)
			return true;
		swap(&queue->heap[i], &queue->heap[least]);
	}
}

uint64_t queue_next_ns(const struct queue *queue)
{
	return queue->n ? queue->heap[0].due_ns : UINT64_MAX;
}

void queue_clear(struct queue *queue)
{
	while (queue->n)
		free(queue->heap[--queue->n].bytes);
}
