/* SPDX-License-Identifier: Apache-2.0 */
/* udp: what follows a WELCOME: header, directory, memory for what is read. Sizes, offsets and
 * counts come from outside and are checked before anything is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "port/port.h"
#include "transport/udp.h"

#define DIRECTORY_BYTES_MAX ((uint64_t)1 << 32)

static int get_header(struct transport_conn *conn, const struct control_welcome *welcome)
{
	struct region_header h;
	int rc = udp_fetch(conn, 0, sizeof(h), (unsigned char *)&h, false);
	if (rc == 0)
		rc = transport_check_header(&h, welcome->header_bytes, welcome->generation);
	if (rc)
		return rc;
	if (h.directory_bytes != welcome->directory_bytes || h.directory_offset < sizeof(h))
		return dsm__fail(-EBADMSG, "udp: the engine's welcome and its header disagree about sizes");
	memcpy(&conn->header, &h, sizeof(h));
	return 0;
}

int udp_open(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes)
{
	conn->welcome = *welcome;
	if (welcome->header_bytes < sizeof(struct region_header) ||
	    welcome->header_bytes > DIRECTORY_BYTES_MAX || welcome->directory_bytes == 0 ||
	    welcome->directory_bytes > DIRECTORY_BYTES_MAX)
		return dsm__fail(-EBADMSG, "the engine's welcome came with impossible sizes");
	int rc = get_header(conn, welcome);
	if (rc)
		return rc;
	conn->directory_bytes = conn->header.directory_bytes;
	uint64_t whole = round_up(conn->directory_bytes, 8);
	conn->directory_room = round_up(whole, DSM_PAGE);
	conn->directory = port_reserve(conn->directory_room);
	if (!conn->directory)
		return dsm__fail(-ENOMEM, "no memory for a directory of %llu bytes",
			(unsigned long long)conn->directory_bytes);
	rc = udp_fetch(conn, conn->header.directory_offset, whole, conn->directory, true);
	*directory = conn->directory;
	*bytes = conn->directory_bytes;
	return rc;
}

/* Room for the last verified version of each group, and for a slot put together from pieces. */
static int make_room(struct transport_conn *conn, const struct view *view)
{
	uint64_t at = 0, largest = DSM_PAGE;
	conn->last_at = calloc(view->group_count ? view->group_count : 1, sizeof(*conn->last_at));
	conn->seqs = calloc(UDP_SEQS, sizeof(*conn->seqs));
	if (!conn->last_at || !conn->seqs)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->group_count; i++) {
		const struct directory_group *g = &view->groups[i];
		conn->last_at[i] = at;
		if (DSM_SLOT_HEADER + g->payload_bytes > UDP_SLOT_MAX)
			continue;
		at += g->slot_bytes;
		if (g->slot_bytes > largest)
			largest = g->slot_bytes;
	}
	conn->last_room = round_up(at ? at : 1, DSM_PAGE);
	conn->slot_room = round_up(largest, DSM_PAGE);
	conn->last = port_reserve(conn->last_room);
	conn->slot = port_reserve(conn->slot_room);
	return conn->last && conn->slot ? 0 : -ENOMEM;
}

int udp_ready(struct transport_conn *conn, const struct view *view)
{
	uint32_t groups = view->group_count ? view->group_count : 1;
	if (view->owner_count > conn->header.owner_count || view->group_count > conn->header.group_count)
		return dsm__fail(-EBADMSG, "the engine's header and directory disagree");
	conn->newest = calloc(groups, sizeof(*conn->newest));
	conn->lines = calloc(conn->header.owner_count, sizeof(*conn->lines));
	conn->ages = calloc(groups, sizeof(*conn->ages));
	conn->steps = calloc(view->owner_count, sizeof(*conn->steps));
	int rc = conn->newest && conn->lines && conn->ages && conn->steps ? make_room(conn, view) : -ENOMEM;
	rc = rc ? rc : udp_many_init(conn);
	if (rc)
		return dsm__fail(rc, "no memory for %u groups", view->group_count);
	for (uint32_t i = 0; i < view->group_count; i++)
		if (view->groups[i].max_age_ms)
			conn->ages[conn->age_count++] = i;
	rc = udp_fetch(conn, conn->header.owners_offset,
		conn->header.owner_count * sizeof(struct owner_line), (unsigned char *)conn->lines, false);
	if (rc == 0)
		rc = udp_fetch(conn, conn->header.counters_offset, sizeof(conn->counters),
			(unsigned char *)conn->counters, false);
	conn->view = view;
	return rc;
}

int udp_inherit(struct transport_conn *conn, struct transport_conn *old)
{
	if (conn->directory_bytes != old->directory_bytes ||
	    memcmp(conn->directory, old->directory, conn->directory_bytes) != 0)
		return -ENODATA;
	void *directory = conn->directory;
	conn->directory = old->directory;
	old->directory = directory;
	if (conn->header.generation != old->header.generation)
		return 0;
	/* the same values under the same numbers: what was read last stays readable after a loss */
	unsigned char *last = conn->last;
	conn->last = old->last;
	old->last = last;
	return 0;
}

/* The engine reads from the right memory by itself: where a bank lies is not the client's affair. */
int udp_mapped(struct transport_conn *conn, const struct control_map *map, struct control_reader *epochs)
{
	if (map->first > conn->view->owner_count || map->count != epochs->entries ||
	    map->count > conn->view->owner_count - map->first)
		return dsm__fail(-EBADMSG, "the engine's banks do not match what was asked for");
	return 0;
}

/* The newest seq of each own group, exact: nobody else writes them from here on. */
static int load_own(struct transport_conn *conn)
{
	const struct directory_owner *o = &conn->view->owners[conn->own_owner];
	for (uint32_t first = 0; first < o->group_count;) {
		uint32_t n = o->group_count - first < UDP_SEQS ? o->group_count - first : UDP_SEQS;
		int rc = udp_ask_seqs(conn, o->first_group + first, n);
		udp_pump(conn);
		if (rc == -EAGAIN && clock_now(conn->clock) < conn->deadline)
			continue;
		if (rc)
			return rc;
		for (uint32_t i = 0; i < n; i++)
			atomic_store_explicit(&conn->newest[o->first_group + first + i], conn->seqs[i],
				memory_order_relaxed);
		first += n;
	}
	return 0;
}

int udp_adopt(struct transport_conn *conn)
{
	if (conn->own_owner == DSM_NONE || conn->own_loaded)
		return 0;
	if (load_own(conn))
		return dsm__fail(-ENOTCONN, "udp: the own groups cannot be read");
	conn->own_loaded = true;
	return 0;
}
