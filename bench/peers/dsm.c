/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: cells of an engine in a third process. Each side owns its groups, writes its message
 * as a commit and finds the other's by reading: polling, or asleep in dsm_wait(). Small
 * messages are one cell; from 64 KiB on they are written and read in place.
 */
#include "peers/peer.h"

#include "harness/clock.h"
#include "peers/dsm_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_PLACE 65536u
#define WAIT_MS 100
#define CELLS (1 + ECHO_CELLS) /* of a segment: its number, its values */

static const char *const owners[] = { "client", "server" };

struct lane {
	struct dsm_group group;
	struct dsm_cell cell[CELLS];
	struct dsm_frame *frame; /* of what is read */
	uint64_t seen;
};

struct dsm_peer {
	struct dsm_host host;
	struct dsm *dsm;
	struct lane out[PEER_LANES_MAX], in[PEER_LANES_MAX];
};

static bool segmented(const struct peer *peer)
{
	return peer->lanes > 1;
}

static int define_group(struct dsm_table *table, const struct peer *peer, const char *owner, unsigned lane)
{
	char group[32], cell[16];
	snprintf(group, sizeof(group), "%s%u", owner, lane);
	int rc = dsm_host_group(table, owner, group);
	if (!rc && !segmented(peer))
		return dsm_host_cell(table, group, "v0", peer->size == 8 ? DSM_U64 : DSM_BYTES, (uint32_t)peer->size);
	for (unsigned k = 0; !rc && k < CELLS; k++) {
		snprintf(cell, sizeof(cell), "v%u", k);
		rc = dsm_host_cell(table, group, cell, k ? DSM_F64 : DSM_U64, 1);
	}
	return rc;
}

static int define(struct dsm_table *table, const void *arg)
{
	const struct peer *peer = arg;
	int rc = 0;
	for (int side = 0; !rc && side < 2; side++) {
		rc = dsm_host_owner(table, owners[side]);
		for (unsigned lane = 0; !rc && lane < peer->lanes; lane++)
			rc = define_group(table, peer, owners[side], lane);
	}
	return rc;
}

static int open_engine(struct peer *peer)
{
	struct dsm_peer *own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	peer->own = own;
	return dsm_host_start(&own->host, define, peer, NULL);
}

static int find_lane(struct peer *peer, const char *owner, unsigned n, struct lane *lane)
{
	struct dsm_peer *own = peer->own;
	char name[48];
	snprintf(name, sizeof(name), "%s%u", owner, n);
	int rc = dsm_group(own->dsm, name, &lane->group);
	for (unsigned k = 0; !rc && k < (segmented(peer) ? CELLS : 1); k++) {
		snprintf(name, sizeof(name), "%s%u.v%u", owner, n, k);
		rc = dsm_cell(own->dsm, name, &lane->cell[k]);
	}
	return rc;
}

static int join(struct peer *peer, enum peer_side side)
{
	struct dsm_peer *own = peer->own;
	peer->side = side;
	if (side == PEER_SERVER)
		own->host.child = (struct bench_child){ 0 }; /* the client's process ends the engine */
	int rc = dsm_host_attach(own->host.name, owners[side], &own->dsm);
	for (unsigned n = 0; !rc && n < peer->lanes; n++) {
		rc = find_lane(peer, owners[side], n, &own->out[n]);
		if (!rc)
			rc = find_lane(peer, owners[!side], n, &own->in[n]);
		if (!rc)
			rc = dsm_frame_new(own->dsm, own->in[n].group, &own->in[n].frame);
	}
	return rc;
}

/* ---- send ---- */

static int set_message(struct dsm *dsm, const struct lane *lane, const void *data, size_t size)
{
	if (size == 8) {
		uint64_t number;
		memcpy(&number, data, 8);
		return dsm_set_u64(dsm, lane->cell[0], number);
	}
	return dsm_set(dsm, lane->cell[0],
		&(struct dsm_value){ .type = DSM_BYTES, .len = (uint32_t)size, .bytes = data });
}

static int set_segment(struct dsm *dsm, const struct lane *lane, const void *data, size_t size)
{
	struct echo_segment segment = { 0 };
	memcpy(&segment, data, size);
	int rc = dsm_set_u64(dsm, lane->cell[0], segment.number);
	size_t cells = (size - sizeof(uint64_t)) / sizeof(double);
	for (size_t k = 0; !rc && k < cells; k++)
		rc = dsm_set_f64(dsm, lane->cell[k + 1], segment.cell[k]);
	return rc;
}

static int send_in_place(struct dsm *dsm, const struct lane *lane, const void *data, size_t size)
{
	void *memory;
	uint64_t capacity;
	int rc = dsm_loan(dsm, lane->cell[0], &memory, &capacity);
	if (rc)
		return rc;
	memcpy(memory, data, size);
	return dsm_publish(dsm, size, 0);
}

static ssize_t send_message(struct peer *peer, const void *data, size_t size, unsigned n)
{
	struct dsm_peer *own = peer->own;
	const struct lane *lane = &own->out[n];
	int rc;
	if (size >= IN_PLACE) {
		rc = send_in_place(own->dsm, lane, data, size);
		return rc ? rc : (ssize_t)size;
	}
	rc = dsm_begin(own->dsm, 0);
	if (!rc)
		rc = segmented(peer) ? set_segment(own->dsm, lane, data, size)
			: set_message(own->dsm, lane, data, size);
	if (!rc)
		rc = dsm_commit(own->dsm, NULL);
	return rc ? rc : (ssize_t)size;
}

/* ---- receive ---- */

/* One cell, polled: look at it; a sequence number seen before is nothing new. */
static ssize_t poll_cell(struct dsm *dsm, struct lane *lane, void *data, size_t size)
{
	struct dsm_sample sample;
	int rc = dsm_read(dsm, lane->cell[0], &sample);
	if (rc)
		return rc;
	if (sample.seq == lane->seen)
		return -EAGAIN;
	lane->seen = sample.seq;
	memcpy(data, size == 8 ? (const void *)&sample.value.u64 : sample.value.bytes, size);
	return (ssize_t)size;
}

static ssize_t poll_in_place(struct dsm *dsm, struct lane *lane, void *data, size_t size)
{
	const void *memory;
	uint64_t bytes;
	struct dsm_sample sample;
	int rc = dsm_borrow(dsm, lane->cell[0], &memory, &bytes, &sample);
	if (rc)
		return rc == -ENODATA ? -EAGAIN : rc;
	bool fresh = sample.seq != lane->seen && bytes == size;
	if (fresh)
		memcpy(data, memory, size);
	rc = dsm_return(dsm);
	if (rc || !fresh)
		return rc ? rc : -EAGAIN;
	lane->seen = sample.seq;
	return (ssize_t)size;
}

static int take_message(const struct lane *lane, void *data, size_t size)
{
	struct dsm_sample sample;
	int rc = dsm_frame_read(lane->frame, lane->cell[0], &sample);
	if (!rc)
		memcpy(data, size == 8 ? (const void *)&sample.value.u64 : sample.value.bytes, size);
	return rc;
}

static int take_segment(const struct lane *lane, void *data, size_t size)
{
	struct echo_segment segment = { 0 };
	struct dsm_sample sample;
	size_t cells = (size - sizeof(uint64_t)) / sizeof(double);
	int rc = dsm_frame_read(lane->frame, lane->cell[0], &sample);
	segment.number = sample.value.u64;
	for (size_t k = 0; !rc && k < cells; k++) {
		rc = dsm_frame_read(lane->frame, lane->cell[k + 1], &sample);
		segment.cell[k] = sample.value.f64;
	}
	memcpy(data, &segment, size);
	return rc;
}

static ssize_t recv_message(struct peer *peer, void *data, size_t size, unsigned n)
{
	struct dsm_peer *own = peer->own;
	struct lane *lane = &own->in[n];
	struct dsm_frame_info info;
	if (peer->spin && !segmented(peer))
		return size >= IN_PLACE ? poll_in_place(own->dsm, lane, data, size)
			: poll_cell(own->dsm, lane, data, size);
	int rc = dsm_wait(own->dsm, lane->group, lane->seen, peer->spin ? 0 : WAIT_MS, lane->frame);
	if (rc)
		return rc == -ETIMEDOUT ? -EAGAIN : rc;
	rc = dsm_frame_info(lane->frame, &info);
	if (!rc)
		rc = segmented(peer) ? take_segment(lane, data, size) : take_message(lane, data, size);
	if (rc)
		return rc;
	lane->seen = info.seq;
	return (ssize_t)size;
}

static void close_peer(struct peer *peer)
{
	struct dsm_peer *own = peer->own;
	if (!own)
		return;
	for (unsigned n = 0; n < PEER_LANES_MAX; n++)
		dsm_frame_free(&own->in[n].frame);
	dsm_detach(&own->dsm);
	dsm_host_stop(&own->host);
	free(own);
	peer->own = NULL;
}

const struct peer_ops peer_dsm = { .name = "dsm", .messages = true, .open = open_engine, .join = join,
	.send = send_message, .recv = recv_message, .close = close_peer };
