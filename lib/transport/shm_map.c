/* SPDX-License-Identifier: Apache-2.0 */
/* shm: gaining sight of the engine's memory. Descriptors and sizes come from outside and are
 * checked before anything is believed. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/lines.h"
#include "transport/shm.h"

#define PIECE_BYTES_MAX ((uint64_t)1 << 32)

int shm_enter(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes)
{
	conn->welcome = *welcome;
	bool owner = welcome->owner != DSM_NONE;
	uint32_t expected = owner && !conn->own_memory ? 4u : 3u;
	if (conn->fd_count != expected || welcome->header_bytes > PIECE_BYTES_MAX ||
	    welcome->directory_bytes > PIECE_BYTES_MAX || welcome->waiters_bytes > PIECE_BYTES_MAX ||
	    welcome->header_bytes < sizeof(struct region_header))
		return dsm__fail(-EBADMSG, "the engine's welcome came with %u descriptors where %u "
			"belong, or with impossible sizes", conn->fd_count, expected);
	int rc = piece_map(&conn->header, conn->fds[0], welcome->header_bytes, false, false);
	if (rc == 0)
		rc = piece_map(&conn->directory, conn->fds[1], welcome->directory_bytes, false, true);
	if (rc == 0)
		rc = piece_map(&conn->waiters, conn->fds[2], welcome->waiters_bytes, true, false);
	if (rc == 0)
		rc = transport_check_header(conn->header.at, conn->header.bytes, welcome->generation);
	if (rc)
		return rc;
	if (expected == 4)
		conn->own_fd = conn->fds[--conn->fd_count];
	const struct region_header *h = conn->header.at;
	const char *base = conn->header.at;
	conn->lines = (const void *)(base + h->owners_offset);
	conn->notify = (const void *)(base + h->notify_offset);
	conn->counters = (const void *)(base + h->counters_offset);
	*directory = conn->directory.at;
	*bytes = conn->directory.bytes;
	return 0;
}

int shm_ready(struct transport_conn *conn, const struct view *view)
{
	const struct region_header *h = conn->header.at;
	uint64_t largest = 8;
	if (view->owner_count > h->owner_count || view->group_count > h->group_count)
		return dsm__fail(-EBADMSG, "the engine's header and directory disagree");
	for (uint32_t i = 0; i < view->group_count; i++)
		if ((view->owners[view->groups[i].owner].flags & OWNER_NETWORK) &&
		    view->groups[i].payload_bytes > largest)
			largest = view->groups[i].payload_bytes;
	conn->view = view;
	conn->banks = calloc(view->owner_count, sizeof(*conn->banks));
	conn->moved = calloc(view->owner_count, sizeof(*conn->moved));
	conn->rings = lines_new(view->group_count, &conn->rings_memory);
	conn->scratch = malloc(largest);
	if (!conn->banks || !conn->moved || !conn->rings || !conn->scratch)
		return dsm__fail(-ENOMEM, "no memory for %u groups", view->group_count);
	return 0;
}

int shm_inherit(struct transport_conn *conn, struct transport_conn *old)
{
	struct piece fresh = conn->directory;
	if (fresh.bytes != old->directory.bytes || memcmp(fresh.at, old->directory.at, fresh.bytes) != 0)
		return -ENODATA;
	conn->directory = old->directory;
	old->directory = fresh;
	return 0;
}

/* Rings of one owner over the bank in use. */
static void point_rings(struct transport_conn *conn, uint32_t owner)
{
	const struct directory_owner *o = &conn->view->owners[owner];
	const struct shm_bank *bank = &conn->banks[owner];
	unsigned char *base = bank->piece.at;
	uint64_t generation = ((const struct region_header *)conn->header.at)->generation;
	for (uint32_t i = o->first_group; i < o->first_group + o->group_count; i++) {
		const struct directory_group *g = &conn->view->groups[i];
		conn->rings[i] = (struct ring){
			.slots = base + g->ring_offset,
			.pulse = (void *)(base + g->pulse_offset),
			.line = &conn->lines[owner],
			.slot_bytes = g->slot_bytes, .payload_bytes = g->payload_bytes,
			.seed = check_seed(generation, i),
			.mask = g->slots - 1, .bank_epoch = bank->bank_epoch, .group = i,
			.flags = (o->flags & OWNER_NETWORK ? RING_VERIFY : 0u) |
				(g->flags & DSM_GROUP_UNCHECKED ? RING_UNCHECKED : 0u) };
	}
}

static int check_bank(const struct transport_conn *conn, const struct shm_bank *bank, uint32_t owner)
{
	const struct bank_header *b = bank->piece.at;
	const struct region_header *h = conn->header.at;
	if (b->magic != DSM_BANK_MAGIC || b->owner != owner || b->generation != h->generation)
		return dsm__fail(-EBADMSG, "the engine sent a bank that is not owner %u's", owner);
	return 0;
}

int shm_mapped(struct transport_conn *conn, const struct control_map *map,
	struct control_reader *epochs)
{
	if (map->first > conn->view->owner_count || map->count != conn->fd_count ||
	    map->count > conn->view->owner_count - map->first)
		return dsm__fail(-EBADMSG, "the engine's banks do not match what was asked for");
	for (uint32_t i = 0; i < map->count; i++) {
		uint32_t owner = map->first + i;
		struct shm_bank fresh = { .present = true };
		int rc = control_get_u32(epochs, &fresh.bank_epoch);
		if (rc == 0)
			rc = piece_map(&fresh.piece, conn->fds[i],
				conn->view->owners[owner].bank_bytes, false, false);
		if (rc == 0)
			rc = check_bank(conn, &fresh, owner);
		if (rc) {
			piece_unmap(&fresh.piece);
			return rc;
		}
		if (conn->locked)
			piece_lock(&fresh.piece); /* a bank that moves is better read unlocked than not */
		piece_unmap(&conn->moved[owner].piece);
		conn->moved[owner] = fresh;
		conn->any_moved = true;
	}
	return 0;
}

static void bank_drop(struct shm_bank *bank)
{
	piece_unmap(&bank->piece);
	*bank = (struct shm_bank){ 0 };
}

int shm_adopt(struct transport_conn *conn)
{
	for (uint32_t i = 0; conn->any_moved && i < conn->view->owner_count; i++) {
		if (!conn->moved[i].present)
			continue;
		if (conn->banks[i].writable && conn->banks[i].bank_epoch == conn->moved[i].bank_epoch) {
			bank_drop(&conn->moved[i]); /* the own bank is in use already, writable */
			continue;
		}
		bank_drop(&conn->banks[i]);
		conn->banks[i] = conn->moved[i];
		conn->moved[i] = (struct shm_bank){ 0 };
		point_rings(conn, i);
	}
	conn->any_moved = false;
	return 0;
}

int shm_granted(struct transport_conn *conn, uint32_t owner)
{
	struct shm_bank own = { .present = true, .writable = true,
		.bank_epoch = conn->welcome.bank_epoch };
	int rc = 0;
	if (owner >= conn->view->owner_count)
		return dsm__fail(-EBADMSG, "the engine granted an owner that the table does not have");
	uint64_t bytes = conn->view->owners[owner].bank_bytes;
	if (conn->own_memory) {
		own.piece.at = conn->own_memory(conn->own_context, owner, &own.piece.bytes);
		own.piece.kept_by = getpid(); /* a copy of the engine's mapping, MADV_DONTFORK as that */
		if (!own.piece.at)
			rc = dsm__fail(-ENOMEM, "cannot map the own bank a second time");
	} else {
		rc = piece_map(&own.piece, conn->own_fd, bytes, true, false);
		close(conn->own_fd);
		conn->own_fd = -1;
	}
	if (rc == 0)
		rc = check_bank(conn, &own, owner);
	if (rc) {
		bank_drop(&own);
		return rc;
	}
	bank_drop(&conn->banks[owner]);
	conn->banks[owner] = own;
	conn->own_owner = owner;
	conn->own_epoch = conn->welcome.epoch;
	conn->own_bank = own.piece.at;
	conn->own_first = conn->view->owners[owner].first_group;
	conn->own_waiters = (const void *)((const char *)conn->waiters.at +
		conn->view->owners[owner].waiters_offset);
	point_rings(conn, owner);
	return 0;
}

int shm_lock(struct transport_conn *conn)
{
	int rc = piece_lock(&conn->header);
	conn->locked = true;
	if (rc == 0)
		rc = piece_lock(&conn->directory);
	if (rc == 0)
		rc = piece_lock(&conn->waiters);
	for (uint32_t i = 0; rc == 0 && i < conn->view->owner_count; i++)
		rc = piece_lock(&conn->banks[i].piece);
	return rc;
}

void shm_unmap_all(struct transport_conn *conn)
{
	for (uint32_t i = 0; conn->view && conn->banks && conn->moved && i < conn->view->owner_count; i++) {
		bank_drop(&conn->banks[i]);
		bank_drop(&conn->moved[i]);
	}
	piece_unmap(&conn->header);
	piece_unmap(&conn->directory);
	piece_unmap(&conn->waiters);
}
