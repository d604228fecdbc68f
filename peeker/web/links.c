/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and how long each may take: a client that sends its request a byte at a time, or
 * takes its answer so, is shut. libmicrohttpd's own limit is on silence only. */
#include "web.h"

#include <stdlib.h>
#include <sys/socket.h>

void links_notify(void *context, struct MHD_Connection *connection, void **own,
	enum MHD_ConnectionNotificationCode what)
{
	struct web *web = context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		struct link *link = calloc(1, sizeof *link);
		*own = link;
		if (!link || !info)
			return;
		*link = (struct link){ .next = web->links, .connection = connection,
			.fd = info->connect_fd, .since_ns = own_clock_ns(), .state = LINK_ASKS };
		if (link->next)
			link->next->before = link;
		web->links = link;
		web->counts.links++;
		return;
	}
	struct link *link = *own;
	*own = NULL;
	if (!link)
		return;
	if (link->connection) {
		if (link->before)
			link->before->next = link->next;
		else
			web->links = link->next;
		if (link->next)
			link->next->before = link->before;
		web->counts.links--;
	}
	free(link);
}

struct link *link_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void link_is(struct MHD_Connection *connection, enum link_state state)
{
	struct link *link = link_of(connection);

	if (!link)
		return;
	link->state = state;
	link->since_ns = own_clock_ns();
}

uint64_t links_expire(struct web *web, uint64_t now_ns)
{
	uint64_t ask_ns = web->counts.links > LINKS_MAX / 4 * 3 ? ASK_CROWDED_NS : ASK_MAX_NS;
	uint64_t next_ns = now_ns + NS_PER_S;

	for (struct link *link = web->links; link; link = link->next) {
		if (link->state == LINK_STREAMS || link->fd < 0)
			continue;
		uint64_t most_ns = link->state == LINK_ASKS ? ask_ns : ANSWER_MAX_NS;
		if (now_ns - link->since_ns >= most_ns) {
			/* the descriptor stays libmicrohttpd's: it sees the end and closes it */
			shutdown(link->fd, SHUT_RDWR);
			link->fd = -1;
			web->counts.links_shut++;
		} else if (link->since_ns + most_ns < next_ns) {
			next_ns = link->since_ns + most_ns;
		}
	}
	return next_ns;
}
