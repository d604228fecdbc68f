/* SPDX-License-Identifier: Apache-2.0 */
/* udp: an owner's commits. A slot is composed here as it will lie in the ring and goes out as a
 * message of the data flow; the engine carries messages out in order and once, and says how far.
 * After an error nothing is sent again: what became of it is not known, so the role is granted
 * anew and the image comes from the ring. */
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "port/port.h"
#include "transport/udp.h"
#include "wire/le.h"

#define STUCK_NS UINT64_C(2000000000)   /* without any progress */
#define PUSH_NS UINT64_C(10000000000)   /* with progress, but without an end */
#define SLICE_NS UINT64_C(20000000)
#define STEP_GROUPS 4096u               /* of a step of several groups */

static const struct directory_owner *own(const struct transport_conn *conn)
{
	return &conn->view->owners[conn->own_owner];
}

static uint64_t *stage_slot(const struct transport_conn *conn)
{
	return (void *)(conn->stage + DSM_LINE);
}

int udp_granted(struct transport_conn *conn, uint32_t owner)
{
	uint64_t largest = DSM_PAGE;
	uint32_t slots = 2 * UDP_WINDOW;
	if (owner >= conn->view->owner_count)
		return dsm__fail(-EBADMSG, "the engine granted an owner that the table does not have");
	conn->own_owner = owner;
	const struct directory_owner *o = own(conn);
	for (uint32_t g = o->first_group; g < o->first_group + o->group_count; g++) {
		uint64_t n = DSM_SLOT_HEADER + conn->view->groups[g].payload_bytes;
		if (n <= UDP_SLOT_MAX && n > largest)
			largest = n;
	}
	while ((uint64_t)slots * UDP_PIECE < largest + UDP_PIECE)
		slots *= 2;
	conn->stage_room = round_up(DSM_LINE + largest, DSM_PAGE);
	conn->stage = port_reserve(conn->stage_room);
	if (!conn->stage || udp_sender_init(&conn->commits, slots))
		return dsm__fail(-ENOMEM, "no memory for %u own groups", o->group_count);
	return 0;
}

/* ---- sending ---- */

static int broken(const struct transport_conn *conn)
{
	if (conn->refused == -EOWNERDEAD || atomic_load(&conn->write_broken) == -EOWNERDEAD)
		return dsm__fail(-EOWNERDEAD, "owner \"%s\" was given to somebody else; what was not "
			"acknowledged may be there or not", view_text(conn->view, own(conn)->name));
	if (conn->refused)
		return dsm__fail(-EIO, "owner \"%s\": the engine refused a commit: %s",
			view_text(conn->view, own(conn)->name), port_strerror(-conn->refused));
	return dsm__fail(-ENOTCONN, "the engine is gone; what was not acknowledged may be there or not");
}

static int may_write(const struct transport_conn *conn)
{
	return atomic_load_explicit(&conn->write_broken, memory_order_relaxed) || conn->refused ||
		udp_there(conn) ? broken(conn) : 0;
}

static int give_up(struct transport_conn *conn, int error)
{
	int none = 0;
	atomic_compare_exchange_strong(&conn->write_broken, &none, error);
	return broken(conn);
}

static void send_due(struct transport_conn *conn, uint64_t now)
{
	unsigned char d[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(d);
	for (;;) {
		if (udp_sender_next(&conn->commits, now, &w))
			continue;
		bool more = w.size && udp_sender_due(&conn->commits, now) <= now;
		udp_data_send(conn, d, &w);
		if (!more)
			return;
	}
}

/* Sends and listens until `segments` are free and all up to `number` is carried out. */
static int push(struct transport_conn *conn, uint32_t segments, uint64_t number)
{
	uint64_t now = clock_now(&clock_system), looked = clock_now(conn->clock), stuck = 0, all = 0;
	uint32_t first = conn->commits.first;
	while (udp_sender_room(&conn->commits) < segments || conn->committed < number) {
		if (conn->refused)
			return give_up(conn, conn->refused);
		uint64_t heard = clock_heard(conn->clock, &looked);
		stuck += heard;
		all += heard;
		if (atomic_load_explicit(&conn->broken, memory_order_relaxed) || stuck > STUCK_NS || all > PUSH_NS)
			return give_up(conn, -ETIMEDOUT);
		send_due(conn, now);
		uint64_t due = udp_sender_due(&conn->commits, now);
		uint64_t ns = due <= now ? 1 : due - now < SLICE_NS ? due - now : SLICE_NS;
		if (udp_data_receive(conn, ns, NULL) == 0) /* and what else has come */
			for (unsigned i = 0; i < UDP_WINDOW && udp_data_receive(conn, 0, NULL) == 0; i++)
				;
		now = clock_now(&clock_system);
		if (conn->commits.first != first) {
			first = conn->commits.first;
			stuck = 0;
		}
	}
	return conn->refused ? give_up(conn, conn->refused) : 0;
}

static int put(struct transport_conn *conn, enum udp_commit_kind kind, uint32_t group, const void *body,
	size_t bytes)
{
	unsigned char head[UDP_COMMIT_HEAD];
	uint32_t segments = (uint32_t)((sizeof(head) + bytes + UDP_PIECE - 1) / UDP_PIECE);
	struct udp_commit m = { conn->number + 1, group, (uint8_t)kind };
	int rc = push(conn, segments, 0);
	if (rc)
		return rc;
	udp_put_commit(head, &m);
	rc = udp_sender_put(&conn->commits, head, sizeof(head), body, bytes);
	if (rc)
		return dsm__fail(rc, "owner \"%s\": a step of too many groups for udp",
			view_text(conn->view, own(conn)->name));
	conn->number++;
	return 0;
}

/* What is composed goes out. */
static int unstage(struct transport_conn *conn, enum udp_commit_kind kind)
{
	uint32_t group = conn->staged;
	if (group == DSM_NONE)
		return 0;
	conn->staged = DSM_NONE;
	return put(conn, kind, group, stage_slot(conn),
		DSM_SLOT_HEADER + conn->view->groups[group].payload_bytes);
}

/* Header around the payload that stands in the stage. */
static void compose(struct transport_conn *conn, uint32_t group, const struct check_fields *f)
{
	uint64_t *slot = stage_slot(conn);
	slot[0] = f->seq;
	slot[1] = f->epoch_length;
	slot[2] = f->time;
	slot[3] = f->step;
	slot[4] = check_word(check_seed(conn->header.generation, group), f, slot + DSM_SLOT_HEADER / 8,
		conn->view->groups[group].payload_bytes);
	conn->staged = group;
	atomic_store_explicit(&conn->newest[group], f->seq, memory_order_relaxed);
}

/* ---- operations ---- */

int udp_publish(struct transport_conn *conn, uint32_t group, const struct check_fields *fields,
	const uint64_t *image)
{
	int rc = udp_fits(conn, group);
	if (rc == 0)
		rc = may_write(conn);
	if (rc == 0)
		rc = unstage(conn, UDP_COMMIT_SLOT);
	if (rc)
		return rc;
	memcpy(stage_slot(conn) + DSM_SLOT_HEADER / 8, image, conn->view->groups[group].payload_bytes);
	compose(conn, group, fields);
	return 0;
}

static int put_step(struct transport_conn *conn, uint64_t step, const uint32_t *groups, uint32_t n)
{
	unsigned char body[8 + 4 * STEP_GROUPS];
	if (n > STEP_GROUPS) /* before anything more leaves; what is staged goes with the next commit */
		return dsm__fail(-E2BIG, "owner \"%s\": a step of %u groups; udp takes %u",
			view_text(conn->view, own(conn)->name), n, STEP_GROUPS);
	int rc = unstage(conn, UDP_COMMIT_SLOT);
	le_put(body, step, 8);
	for (uint32_t i = 0; i < n; i++)
		le_put(body + 8 + 4 * i, groups[i], 4);
	return rc ? rc : put(conn, UDP_COMMIT_STEP, groups[0], body, 8 + 4 * n);
}

int udp_complete(struct transport_conn *conn, uint32_t owner, uint64_t step, const uint32_t *groups, uint32_t n)
{
	(void)owner; /* a session holds one role */
	int rc = may_write(conn);
	if (rc)
		return rc;
	rc = n == 1 && conn->staged == groups[0] ? unstage(conn, UDP_COMMIT_BOTH) :
		put_step(conn, step, groups, n);
	return rc ? rc : push(conn, 0, conn->number);
}

int udp_loan(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t **payload)
{
	(void)seq;
	int rc = udp_fits(conn, group);
	if (rc == 0)
		rc = may_write(conn);
	if (rc == 0)
		rc = unstage(conn, UDP_COMMIT_SLOT);
	if (rc == 0)
		*payload = stage_slot(conn) + DSM_SLOT_HEADER / 8;
	return rc;
}

int udp_loan_end(struct transport_conn *conn, uint32_t group, const struct check_fields *fields)
{
	int rc = may_write(conn);
	if (rc == 0)
		compose(conn, group, fields);
	return rc;
}
