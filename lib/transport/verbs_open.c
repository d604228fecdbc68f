/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: what follows a WELCOME: keys, the read pair, header and directory, banks. Sizes, offsets
 * and counts come from outside and are checked before anything is believed; addresses and keys
 * are the engine's own affair, who guards his memory himself. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/clock.h"
#include "core/error.h"
#include "transport/verbs.h"

#define DIRECTORY_BYTES_MAX ((uint64_t)1 << 32)
#define QUEUE_COMPLETIONS 256
#define READ_SENDS (VERBS_BATCH_SENDS + 2u * VERBS_CHAIN)
#define MTU_MAX 4096u

void *verbs_reserve(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* ---- pairs of the handle's thread ---- */

int verbs_queue_open(struct transport_conn *conn, struct verbs_queue *queue, struct ibv_pd *pd,
	uint32_t sends, enum verbs_kind kind)
{
	struct verbs_request request = { .kind = (uint16_t)kind, .session = conn->welcome.session };
	struct verbs_reply reply;
	queue->channel = ibv_create_comp_channel(conn->verbs);
	if (queue->channel)
		queue->cq = ibv_create_cq(conn->verbs, QUEUE_COMPLETIONS + (int)sends, NULL, queue->channel, 0);
	int flags = queue->channel ? fcntl(queue->channel->fd, F_GETFL) : -1;
	if (!queue->cq || flags < 0 || fcntl(queue->channel->fd, F_SETFL, flags | O_NONBLOCK))
		return dsm__fail(errno ? -errno : -ENOMEM, "rdma: cannot make a completion queue: %s",
			strerror(errno));
	/* the same device, address and port as the control pair's */
	struct sockaddr *to = rdma_get_peer_addr(conn->control.id);
	uint64_t now = clock_now(&clock_system);
	int rc = rc_resolve_to(conn->events, to, rc_ms_left(now, conn->deadline), &queue->pair.id);
	if (rc == 0 && queue->pair.id->verbs != conn->cm_verbs)
		rc = dsm__fail(-EHOSTUNREACH, "rdma: the way to the engine leads over another device now");
	struct rc_shape shape = { pd, queue->cq, queue->cq, sends, 1, 0,
		kind == VERBS_WRITE ? VERBS_INLINE : 0 };
	if (rc == 0)
		rc = rc_make(queue->pair.id, &shape, &queue->pair.qp);
	now = clock_now(&clock_system);
	if (rc == 0)
		verbs_proof(conn->keys.token, request.kind, request.session, queue->pair.qp->qp_num, request.proof);
	if (rc == 0)
		rc = rc_connect(queue->pair.id, queue->pair.qp, &request,
			rc_ms_left(now, conn->deadline), &reply, &queue->depth);
	return verbs_noted(conn, rc);
}

void verbs_queue_close(struct verbs_queue *queue)
{
	if (queue->cq)
		ibv_destroy_cq(queue->cq);
	if (queue->channel)
		ibv_destroy_comp_channel(queue->channel);
	queue->cq = NULL;
	queue->channel = NULL;
}

/* ---- header and directory ---- */

/* KEYS comes directly behind WELCOME. */
static int get_keys(struct transport_conn *conn)
{
	unsigned char message[256];
	struct control_reader r;
	for (;;) {
		int n = verbs_hear(conn, message, sizeof(message));
		if (n > 0) {
			if (control_open(&r, message, (size_t)n) || r.type != CONTROL_KEYS ||
			    control_get_keys(&r, &conn->keys))
				return dsm__fail(-EBADMSG, "rdma: no keys came behind the welcome");
			return 0;
		}
		if (n != -EAGAIN)
			return dsm__fail(n, "rdma: the engine closed the connection before it sent its keys");
		uint64_t now = clock_now(&clock_system);
		if (now >= conn->deadline)
			return dsm__fail(-ETIMEDOUT, "rdma: the engine does not send its keys");
		verbs_probe(conn, now);
		struct pollfd p = { conn->epoll, POLLIN, 0 };
		poll(&p, 1, 20);
	}
}

/* How much of a ring is read at once: 4 KiB, or what fits into one packet. */
static uint32_t small_bytes(const struct transport_conn *conn)
{
	struct ibv_qp_attr attr = { 0 };
	struct ibv_qp_init_attr init;
	uint32_t mtu = ibv_query_qp(conn->read.pair.qp, &attr, IBV_QP_PATH_MTU, &init) ? 0 :
		128u << attr.path_mtu;
	return mtu > VERBS_SMALL && mtu <= MTU_MAX ? mtu : VERBS_SMALL;
}

static int get_header(struct transport_conn *conn, const struct control_welcome *welcome)
{
	struct verbs_span span = { conn->keys.base_addr, conn->keys.base_rkey,
		sizeof(struct region_header), conn->bounce.at };
	struct region_header h;
	if (conn->keys.base_bytes < welcome->header_bytes ||
	    welcome->directory_bytes > conn->keys.base_bytes - welcome->header_bytes)
		return dsm__fail(-EBADMSG, "rdma: the engine's welcome and its keys disagree about sizes");
	if (verbs_fetch_attaching(conn, &span, 1, conn->bounce.mr->lkey))
		return dsm__fail(-ECONNRESET, "rdma: the engine's header cannot be read");
	memcpy(&h, conn->bounce.at, sizeof(h));
	int rc = transport_check_header(&h, welcome->header_bytes, welcome->generation);
	if (rc)
		return rc;
	if (h.directory_bytes != welcome->directory_bytes || h.directory_offset < sizeof(h) ||
	    h.directory_offset > conn->keys.base_bytes ||
	    h.directory_bytes > conn->keys.base_bytes - h.directory_offset)
		return dsm__fail(-EBADMSG, "rdma: the engine's directory lies outside what may be read");
	memcpy(&conn->header, &h, sizeof(h));
	return 0;
}

static int get_directory(struct transport_conn *conn)
{
	conn->directory_bytes = conn->header.directory_bytes;
	conn->directory_room = round_up(conn->directory_bytes, DSM_PAGE);
	conn->directory = verbs_reserve(conn->directory_room);
	if (!conn->directory) {
		conn->directory_room = 0;
		return dsm__fail(-ENOMEM, "no memory for a directory of %llu bytes",
			(unsigned long long)conn->directory_bytes);
	}
	int rc;
	do { /* an attempt is short, a large directory on a slow network is not */
		rc = verbs_fetch_large(conn, conn->keys.base_addr + conn->header.directory_offset,
			conn->keys.base_rkey, conn->directory_bytes, conn->directory);
	} while (rc == -EAGAIN && clock_now(&clock_system) < conn->deadline);
	return rc ? dsm__fail(-ECONNRESET, "rdma: the engine's directory cannot be read") : 0;
}

int verbs_enter_region(struct transport_conn *conn, const struct control_welcome *welcome,
	const void **directory, uint64_t *bytes)
{
	conn->welcome = *welcome;
	if (welcome->header_bytes < sizeof(struct region_header) ||
	    welcome->header_bytes > DIRECTORY_BYTES_MAX || welcome->directory_bytes == 0 ||
	    welcome->directory_bytes > DIRECTORY_BYTES_MAX)
		return dsm__fail(-EBADMSG, "the engine's welcome came with impossible sizes");
	int rc = get_keys(conn);
	if (rc == 0)
		rc = verbs_queue_open(conn, &conn->read, conn->pd, READ_SENDS, VERBS_READ);
	if (rc)
		return rc;
	conn->small = small_bytes(conn);
	rc = pages_make(&conn->bounce, conn->pd, VERBS_BOUNCE, IBV_ACCESS_LOCAL_WRITE);
	/* the ring begins on a line, so the pulse before it ends one */
	if (rc == 0)
		rc = pages_make(&conn->ring_pages, conn->pd, DSM_LINE + conn->small + DSM_PAGE,
			IBV_ACCESS_LOCAL_WRITE);
	if (rc)
		return rc;
	verbs_calibrate(conn);
	if (!verbs_enter(conn))
		return dsm__fail(-ECONNRESET, "rdma: the connection was lost");
	rc = get_header(conn, welcome);
	if (rc == 0)
		rc = get_directory(conn);
	verbs_leave(conn);
	*directory = conn->directory;
	*bytes = conn->directory_bytes;
	return rc;
}

/* ---- tables ---- */

/* Room for the last verified version of each group, and for a slot put together from pieces. */
static int make_room(struct transport_conn *conn, const struct view *view)
{
	uint64_t at = 0, largest = DSM_PAGE;
	conn->last_at = calloc(view->group_count ? view->group_count : 1, sizeof(*conn->last_at));
	if (!conn->last_at)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->group_count; i++) {
		const struct directory_group *g = &view->groups[i];
		conn->last_at[i] = at;
		if (g->flags & DSM_GROUP_UNCHECKED)
			continue;
		at += g->slot_bytes;
		if (g->slot_bytes > largest)
			largest = g->slot_bytes;
	}
	conn->last_room = round_up(at ? at : 1, DSM_PAGE);
	conn->large_room = round_up(largest, DSM_PAGE);
	conn->last = verbs_reserve(conn->last_room);
	conn->large = verbs_reserve(conn->large_room);
	return conn->last && conn->large ? 0 : -ENOMEM;
}

int verbs_ready(struct transport_conn *conn, const struct view *view)
{
	uint32_t groups = view->group_count ? view->group_count : 1;
	if (view->owner_count > conn->header.owner_count || view->group_count > conn->header.group_count)
		return dsm__fail(-EBADMSG, "the engine's header and directory disagree");
	conn->banks = calloc(view->owner_count, sizeof(*conn->banks));
	conn->moved = calloc(view->owner_count, sizeof(*conn->moved));
	conn->newest = calloc(groups, sizeof(*conn->newest));
	conn->lines = calloc(conn->header.owner_count, sizeof(*conn->lines));
	conn->ages = calloc(groups, sizeof(*conn->ages));
	conn->steps = calloc(view->owner_count, sizeof(*conn->steps));
	int rc = conn->banks && conn->moved && conn->newest && conn->lines && conn->ages && conn->steps ?
		make_room(conn, view) : -ENOMEM;
	if (rc)
		return dsm__fail(rc, "no memory for %u groups", view->group_count);
	for (uint32_t i = 0; i < view->group_count; i++)
		if (view->groups[i].max_age_ms)
			conn->ages[conn->age_count++] = i;
	conn->view = view;
	verbs_batch_init(conn);
	return verbs_watch_init(conn);
}

int verbs_inherit(struct transport_conn *conn, struct transport_conn *old)
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

/* ---- banks ---- */

int verbs_mapped(struct transport_conn *conn, const struct control_map *map,
	struct control_reader *banks)
{
	if (map->first > conn->view->owner_count || map->count != banks->entries ||
	    map->count > conn->view->owner_count - map->first)
		return dsm__fail(-EBADMSG, "the engine's banks do not match what was asked for");
	for (uint32_t i = 0; i < map->count; i++) {
		struct control_bank bank;
		if (control_get_bank(banks, &bank) ||
		    bank.addr > UINT64_MAX - conn->view->owners[map->first + i].bank_bytes)
			return dsm__fail(-EBADMSG, "the engine's banks do not match what was asked for");
		conn->moved[map->first + i] = (struct verbs_bank){ bank.addr, bank.rkey, bank.epoch, true };
		conn->any_moved = true;
	}
	return 0;
}

int verbs_adopt(struct transport_conn *conn)
{
	for (uint32_t i = 0; conn->any_moved && i < conn->view->owner_count; i++) {
		if (!conn->moved[i].present)
			continue;
		conn->banks[i] = conn->moved[i];
		conn->moved[i].present = false;
	}
	conn->any_moved = false;
	if (conn->own_owner == DSM_NONE || conn->own_loaded || !conn->banks[conn->own_owner].present)
		return 0;
	if (!verbs_enter(conn))
		return dsm__fail(-ENOTCONN, "rdma: the connection was lost");
	int rc = verbs_load_pulses(conn);
	verbs_leave(conn);
	conn->own_loaded = rc == 0;
	return rc ? dsm__fail(-ENOTCONN, "rdma: the own bank cannot be read") : 0;
}
