/* SPDX-License-Identifier: Apache-2.0 */
/* udp: reads. A slot comes as it lies at the engine and is believed when its check verifies, as
 * over any network; after that the engine's word says which version it is. */
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/step.h"
#include "port/port.h"
#include "transport/udp.h"

#define WAIT_SLICE_NS UINT64_C(10000000)    /* then a look at `wake` */
#define WAIT_AGAIN_NS UINT64_C(50000000)    /* WAIT or NOTIFY may be lost */

static const struct directory_group *group_of(const struct transport_conn *conn, uint32_t group)
{
	return &conn->view->groups[group];
}

static struct udp_last *last_of(const struct transport_conn *conn, uint32_t group)
{
	return (void *)(conn->last + conn->last_at[group]);
}

int udp_fits(const struct transport_conn *conn, uint32_t group)
{
	const struct directory_group *g = group_of(conn, group);
	if (!(g->flags & DSM_GROUP_UNCHECKED) && DSM_SLOT_HEADER + g->payload_bytes <= UDP_SLOT_MAX)
		return 0;
	return dsm__fail(-EMSGSIZE, "%s: %llu bytes are too many for udp, which takes cells of 1 MiB at most",
		view_text(conn->view, g->name), (unsigned long long)g->payload_bytes);
}

/* As the slow path saw it last; a commit of a later grant than it knows is fresher news. */
static uint32_t owner_state(const struct transport_conn *conn, uint32_t owner, uint32_t epoch)
{
	const struct owner_line *line = &conn->lines[owner];
	if (epoch > atomic_load_explicit(&line->epoch, memory_order_relaxed))
		return DSM_ALIVE;
	return (uint32_t)(atomic_load_explicit(&line->bank_state, memory_order_relaxed) >> 32);
}

int udp_verify(const struct transport_conn *conn, uint32_t group, uint64_t seq, const uint64_t *w,
	struct slot_meta *meta)
{
	const struct directory_group *g = group_of(conn, group);
	struct check_fields f = { w[0], w[1], w[2], w[3] };
	if (f.seq == 0 || f.seq != seq || f.epoch_length >> 32 != g->payload_bytes)
		return -EAGAIN;
#ifndef DSM_CONTROL_NO_CHECK
	if (w[4] != check_word(check_seed(conn->header.generation, group), &f, w + DSM_SLOT_HEADER / 8,
			g->payload_bytes) && !DSM_CHECK_IGNORED())
		return -EAGAIN;
#endif
	*meta = (struct slot_meta){ f.seq, f.time, f.step, (uint32_t)f.epoch_length,
		owner_state(conn, g->owner, (uint32_t)f.epoch_length) };
	return 0;
}

void udp_keep(struct transport_conn *conn, uint32_t group, const uint64_t *slot, const struct slot_meta *meta)
{
	struct udp_last *last = last_of(conn, group);
	if (!last->valid || meta->epoch > last->epoch ||
	    (meta->epoch == last->epoch && meta->seq > last->seq)) {
		memcpy(last + 1, slot + DSM_SLOT_HEADER / 8, group_of(conn, group)->payload_bytes);
		*last = (struct udp_last){ meta->seq, meta->time, meta->step, meta->epoch, 1, 0 };
	}
}

static void learn(struct transport_conn *conn, uint32_t group, uint64_t seq)
{
	if (group_of(conn, group)->owner != conn->own_owner)
		atomic_store_explicit(&conn->newest[group], seq, memory_order_relaxed);
}

/* The whole slot that `kind` and `arg` mean, verified, in conn->slot. -EAGAIN; with *there the seq
 * that lies in its place. */
static int fetch(struct transport_conn *conn, uint32_t group, enum udp_read_kind kind, uint64_t arg,
	struct slot_meta *meta, uint64_t *there)
{
	uint64_t size = DSM_SLOT_HEADER + group_of(conn, group)->payload_bytes, seq = 0;
	int rc = udp_fits(conn, group);
	if (rc == 0)
		rc = udp_there(conn);
	*there = 0;
	for (uint64_t at = 0; rc == 0 && at < size; at += UDP_READ_MAX) {
		uint64_t left = size - at;
		struct udp_read m = { .kind = (uint8_t)(at ? UDP_READ_VERSION : kind), .index = group,
			.offset = (uint32_t)at, .arg = at ? seq : arg,
			.bytes = (uint32_t)(left < UDP_READ_MAX ? left : UDP_READ_MAX) };
		uint64_t got = 0;
		rc = udp_ask(conn, &m, (unsigned char *)conn->slot + at, &got);
		if (rc == 0 && at && got != seq)
			rc = -EAGAIN;
		if (rc == -EAGAIN && !at)
			*there = got;
		seq = got;
	}
	if (rc == 0)
		rc = udp_verify(conn, group, seq, conn->slot, meta);
	if (rc == 0)
		udp_keep(conn, group, conn->slot, meta);
	return rc;
}

/* ---- after a loss, or while the engine is silent ---- */

static int from_last(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	const struct udp_last *last = last_of(conn, group);
	int rc = udp_fits(conn, group);
	if (rc)
		return rc;
	if (!last->valid)
		return dsm__fail(-ENOTCONN, "%s: the engine is gone, and this handle had not read the group "
			"before that", view_text(conn->view, group_of(conn, group)->name));
	if (bytes)
		memcpy(to, (const char *)(last + 1) + offset, bytes);
	*meta = (struct slot_meta){ last->seq, last->time, last->step, last->epoch,
		owner_state(conn, group_of(conn, group)->owner, last->epoch) | META_REMEMBERED };
	return 0;
}

static int empty(uint64_t *to, uint64_t bytes, struct slot_meta *meta)
{
	if (bytes)
		memset(to, 0, bytes);
	*meta = (struct slot_meta){ 0 };
	return 0;
}

int udp_kept(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to, struct slot_meta *meta)
{
	int rc = from_last(conn, group, 0, group_of(conn, group)->payload_bytes, to, meta);
	if (rc || meta->seq < seq)
		return rc == -EMSGSIZE ? rc : -EAGAIN;
	meta->owner_state &= ~META_REMEMBERED;
	return 0;
}

/* ---- operations ---- */

int udp_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes, uint64_t *to,
	struct slot_meta *meta)
{
	uint64_t there;
	int rc = fetch(conn, group, UDP_READ_NEWEST, 0, meta, &there);
	if (rc == -ENOTCONN)
		return from_last(conn, group, offset, bytes, to, meta);
	if (rc == -ENODATA) {
		/* as for a group that was written: is its owner there? Its room is zeros still */
		last_of(conn, group)->valid = 1;
		empty(to, bytes, meta);
		meta->owner_state = owner_state(conn, group_of(conn, group)->owner, 0);
		return 0;
	}
	if (rc)
		return rc;
	learn(conn, group, meta->seq);
	if (bytes)
		memcpy(to, (const char *)(conn->slot + DSM_SLOT_HEADER / 8) + offset, bytes);
	return 0;
}

int udp_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta)
{
	uint64_t there, bytes = group_of(conn, group)->payload_bytes;
	int rc = fetch(conn, group, UDP_READ_VERSION, seq, meta, &there);
	if (rc == -ENOTCONN) {
		rc = from_last(conn, group, 0, bytes, to, meta);
		return rc ? rc : meta->seq == seq ? 0 : meta->seq > seq ? -EOVERFLOW : -ENOENT;
	}
	/* a hint, but the caller asks the verified ones before he calls a commit lost */
	if (rc == -EAGAIN && there && there != seq)
		return there > seq ? -EOVERFLOW : -ENOENT;
	if (rc == -ENODATA)
		return -ENOENT;
	if (rc)
		return rc;
	memcpy(to, conn->slot + DSM_SLOT_HEADER / 8, bytes);
	return 0;
}

int udp_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta)
{
	uint64_t there, bytes = group_of(conn, group)->payload_bytes;
	if (step == STEP_TORN)
		return -EAGAIN;
	if (udp_many_step(conn, group, step, to, meta) == 0)
		return 0;
	int rc = fetch(conn, group, UDP_READ_STEP, step, meta, &there);
	if (rc == -ENOTCONN) {
		rc = from_last(conn, group, 0, bytes, to, meta);
		/* an older one may have had a successor within the step that was not read: a mix */
		return rc == 0 && meta->step != step ? dsm__fail(-ENOTCONN, "the engine is gone, and this "
			"handle has not read what all groups were at one step") : rc;
	}
	if (rc == -ENODATA)
		return empty(to, bytes, meta);
	if (rc == 0 && (meta->step == 0 || meta->step > step))
		return -EAGAIN;
	if (rc == 0)
		memcpy(to, conn->slot + DSM_SLOT_HEADER / 8, bytes);
	return rc;
}

/* STEP_TORN is the caller's to try again; after a loss the last one known. */
uint64_t udp_step_complete(const struct transport_conn *constant, uint32_t owner)
{
	struct transport_conn *conn = (struct transport_conn *)(uintptr_t)constant;
	struct udp_read m = { .kind = UDP_READ_COMPLETE, .index = owner };
	uint64_t step;
	int rc = udp_there(conn);
	if (rc == 0)
		rc = udp_ask(conn, &m, NULL, &step);
	if (rc == 0)
		conn->steps[owner] = step;
	return rc == 0 || rc == -ENOTCONN ? conn->steps[owner] : STEP_TORN;
}

static bool newer(const struct transport_conn *conn, const struct transport_watch *watch)
{
	for (uint32_t i = 0; i < watch->n; i++)
		if (atomic_load_explicit(&conn->newest[watch->group[i]], memory_order_relaxed) > watch->since[i])
			return true;
	return false;
}

static bool is_asked(const struct transport_conn *conn, const struct transport_watch *watch)
{
	bool same = conn->wait_count == watch->n;
	for (uint32_t i = 0; same && i < watch->n; i++)
		same = conn->waits[i].group == watch->group[i] && conn->waits[i].since == watch->since[i];
	return same;
}

/* All in one datagram: one list. */
static void ask_to_tell(struct transport_conn *conn, const struct transport_watch *watch, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	_Static_assert(TRANSPORT_WATCH <= UDP_WAITS_MAX && TRANSPORT_WATCH * (UDP_FRAME_HEAD + 12) <= UDP_DATA_ROOM,
		"a list fits into a datagram");
	if (is_asked(conn, watch) && now - conn->waited_ns < WAIT_AGAIN_NS)
		return;
	for (uint32_t i = 0; i < watch->n; i++) {
		conn->waits[i] = (struct udp_wait){ watch->group[i], watch->since[i] };
		udp_put_wait(&w, &conn->waits[i]);
	}
	conn->wait_count = watch->n;
	conn->waited_ns = now;
	udp_data_send(conn, d, &w);
}

uint64_t udp_told(const struct transport_conn *conn)
{
	return conn->told;
}

/* The engine says when; `wake` is looked at every 10 ms. */
void udp_wait(struct transport_conn *conn, const struct transport_watch *watch, const _Atomic uint32_t *wake,
	uint32_t woken, uint64_t ns)
{
	uint64_t start = clock_now(&clock_system), now = start;
	/* without time: one look */
	for (bool looked = ns != 0; !looked || (now - start < ns && atomic_load_explicit(wake, memory_order_acquire) == woken);
	     looked = true) {
		uint64_t left = ns - (now - start), slice = left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
		if (newer(conn, watch))
			return;
		if (!atomic_load_explicit(&conn->broken, memory_order_relaxed)) {
			ask_to_tell(conn, watch, now);
			udp_data_receive(conn, slice, NULL);
		} else if (slice) {
			port_word_wait(wake, woken, slice);
		}
		now = clock_now(&clock_system);
	}
}

/* In place: in the memory that keeps the last version. */
int udp_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta)
{
	int rc = udp_read(conn, group, 0, 0, NULL, meta);
	const struct udp_last *last = last_of(conn, group);
	if (rc)
		return rc;
	if (meta->seq == 0)
		return -ENODATA;
	if (last->seq != meta->seq)
		return -EAGAIN;
	*data = (const char *)(last + 1) + offset;
	return 0;
}

/* Only this thread writes there, when it reads the group again. */
int udp_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq)
{
	return last_of(conn, group)->seq == seq ? 0 : -EAGAIN;
}
