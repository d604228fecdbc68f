/* SPDX-License-Identifier: Apache-2.0 */
/* A list that the engine is asked for by one message and sends in as many as it takes; an empty one
 * ends it. */
#ifndef DSM_CLIENT_LIST_H
#define DSM_CLIENT_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/control.h"

struct dsm;

struct asked_list {
	void *items;
	uint32_t count, room;
	bool asked;                 /* on its way */
	int rc;                     /* of taking it in: -ENOMEM */
};

/* Sends `type` and waits until the list is whole. Under lock, owner's thread, which alone asks: the list
 * then stands still until it asks again. -ENOTCONN, -ETIMEDOUT, -ENOMEM, or that it cannot be sent. */
int list_fetch(struct dsm *dsm, struct asked_list *list, enum control_type type, uint64_t deadline);

/* A message of it: items of `size` bytes, each read by `get` (negative: there is none). Nothing unless
 * it was asked for: the owner's thread may be walking the list. Under lock. */
void list_take(struct asked_list *list, struct control_reader *r, size_t size,
	int (*get)(struct control_reader *r, void *item));

#endif
