/* SPDX-License-Identifier: Apache-2.0 */
#include "client/list.h"

#include <errno.h>
#include <stdlib.h>

#include "client/handle.h"

#define ROOM_FIRST 16u

static bool has_room(struct asked_list *list, size_t size)
{
	if (list->count < list->room)
		return true;
	uint32_t room = list->room ? list->room * 2 : ROOM_FIRST;
	void *more = realloc(list->items, room * size);
	if (!more)
		return false;
	list->items = more;
	list->room = room;
	return true;
}

void list_take(struct asked_list *list, struct control_reader *r, size_t size,
	int (*get)(struct control_reader *r, void *item))
{
	if (!list->asked)
		return;
	for (uint32_t i = 0; i < r->entries && !list->rc; i++) {
		if (!has_room(list, size))
			list->rc = -ENOMEM;
		else if (get(r, (char *)list->items + list->count * size))
			break;
		else
			list->count++;
	}
	if (r->entries == 0)
		list->asked = false;
}

int list_fetch(struct dsm *dsm, struct asked_list *list, enum control_type type, uint64_t deadline)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	if (dsm->lost)
		return dsm__fail(-ENOTCONN, "the engine is gone");
	list->count = 0;
	list->rc = 0;
	control_begin(&w, message, sizeof(message), type);
	int rc = dsm->ops->send(dsm->conn, message, control_end(&w));
	if (rc)
		return dsm__fail(rc, "the engine cannot be asked: %s", dsm_strerror(rc));
	list->asked = true;
	while (list->asked)
		if (dsm->lost || !slow_wait(dsm, deadline)) {
			list->asked = false;
			return dsm__fail(-ETIMEDOUT, "the engine does not answer");
		}
	return list->rc ? dsm__fail(list->rc, "no memory for the engine's list") : 0;
}
