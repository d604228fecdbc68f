/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: the small rings of several groups by READs that are posted together, for a snapshot of one
 * step. Each is used once, by the read_step() it was fetched for, and judged like any other READ. */
#include "transport/verbs.h"

#include "core/layout.h"

_Static_assert(TRANSPORT_AHEAD <= VERBS_CHAIN, "one post");

/* Room for one group: the slots begin on a line. */
static uint64_t stride(const struct transport_conn *conn)
{
	return DSM_LINE + round_up(conn->small, DSM_LINE);
}

int verbs_ahead_init(struct transport_conn *conn)
{
	return pages_make(&conn->ahead_pages, conn->pd, TRANSPORT_AHEAD * stride(conn), IBV_ACCESS_LOCAL_WRITE);
}

void verbs_ahead(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n)
{
	struct verbs_span spans[TRANSPORT_AHEAD];
	uint32_t asked = 0;
	conn->ahead_count = 0;
	for (uint32_t i = 0; i < n && i < TRANSPORT_AHEAD; i++) {
		const struct directory_group *g = &conn->view->groups[(uint32_t)groups[i].id];
		const struct verbs_bank *bank = &conn->banks[g->owner];
		if (!verbs_is_small(conn, g) || (g->flags & DSM_GROUP_UNCHECKED) || !bank->present || !bank->addr)
			continue;
		unsigned char *at = conn->ahead_pages.at + asked * stride(conn) + DSM_LINE - DSM_PULSE_BYTES;
		spans[asked] = (struct verbs_span){ bank->addr + g->pulse_offset, bank->rkey,
			(uint32_t)(DSM_PULSE_BYTES + g->slot_bytes * g->slots), at };
		conn->ahead_group[asked++] = (uint32_t)groups[i].id;
	}
	if (asked < 2 || !verbs_enter(conn))
		return;
	if (verbs_fetch(conn, spans, asked, conn->ahead_pages.mr->lkey) == 0)
		conn->ahead_count = asked;
	verbs_leave(conn);
}

const unsigned char *verbs_ahead_take(struct transport_conn *conn, uint32_t group)
{
	for (uint32_t i = 0; i < conn->ahead_count; i++)
		if (conn->ahead_group[i] == group) {
			conn->ahead_group[i] = DSM_NONE;
			return conn->ahead_pages.at + i * stride(conn);
		}
	return NULL;
}
