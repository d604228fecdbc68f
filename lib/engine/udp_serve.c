/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and commits over udp. A slot goes out as it lies, header and check included, so that the
 * client's check decides; an owner's commit is written as the owner itself would. */
#include <errno.h>
#include <string.h>

#include "core/counters.h"
#include "engine/udp.h"
#include "wire/le.h"

#define COPIES 4u                   /* tries to find a slot standing still */
#define STEP_JUMP_MAX ((uint64_t)1 << 20)

/* ---- reads ---- */

static void say(struct udp_voice *v, const struct udp_answer *m)
{
	if (udp_put_answer(&v->w, m))
		return;
	udp_voice_send(v);
	udp_put_answer(&v->w, m);
}

/* Which version is meant, and how many slots were gone through to tell. The others of these kinds are
 * told by their seq. */
static int which(const struct region *r, const struct ring *ring, const struct udp_read *m, uint64_t *seq,
	uint64_t *slots)
{
	uint64_t pulse = atomic_load_explicit(ring->pulse, memory_order_acquire), all = (uint64_t)ring->mask + 1;
	struct slot_meta meta = { 0 };
	int rc = 0;
	*seq = m->arg;
	if (m->kind == UDP_READ_STEP)
		rc = ring_read_step(ring, m->arg, r->scratch, &meta);
	else if (m->kind == UDP_READ_NEWEST && ring->flags & RING_VERIFY)
		rc = ring_newest_verified(ring, r->scratch, &meta);
	else if (m->kind == UDP_READ_NEWEST)
		meta.seq = pulse; /* R2 */
	else
		return m->arg ? 0 : -ENODATA;
	*seq = meta.seq;
	uint64_t back = rc || !meta.seq ? all : pulse > meta.seq ? pulse - meta.seq + 1 : 1;
	if (m->kind == UDP_READ_STEP || ring->flags & RING_VERIFY)
		*slots += (back < all ? back : all) + (m->kind == UDP_READ_STEP && ring->flags & RING_VERIFY);
	return rc == 0 && meta.seq == 0 ? -ENODATA : rc;
}

/* Bytes [offset, offset + bytes) of the slot of *seq, as it lies. If another version is there,
 * *seq becomes that one's and the answer is -EAGAIN. */
static int copy_slot(const struct ring *ring, uint64_t *seq, uint32_t offset, uint32_t bytes, uint64_t *to)
{
	const struct slot *slot = slot_at(ring, *seq);
	const _Atomic uint64_t *from = (const void *)((const char *)slot + offset);
	uint64_t there = atomic_load_explicit(&slot->seq, memory_order_acquire); /* R0 */
	if (there == *seq) {
		copy_from_shared(to, from, bytes);
		atomic_thread_fence(memory_order_acquire); /* R1, pairs with W1 */
		there = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	}
	if (there == *seq)
		return 0;
	*seq = there;
	return -EAGAIN;
}

/* *work: what that went through. */
static int slot_bytes(struct dsm_engine *e, const struct udp_read *m, uint64_t *seq, uint64_t *work)
{
	const struct region *r = e->region;
	const struct ring *ring = &r->rings[m->index];
	uint64_t size = DSM_SLOT_HEADER + ring->payload_bytes, slots = 0;
	if (ring->flags & RING_UNCHECKED || size > UDP_SLOT_MAX)
		return -EMSGSIZE;
	if (m->offset % 8 || m->bytes % 8 || m->offset > size || m->bytes > size - m->offset)
		return -EINVAL;
	int rc = -EAGAIN;
	for (unsigned i = 0; rc == -EAGAIN && i < COPIES; i++) {
		rc = which(r, ring, m, seq, &slots);
		if (rc == 0)
			rc = copy_slot(ring, seq, m->offset, m->bytes, e->udp->scratch);
		/* what is there now is there to stay; and a step that is not in the ring any more is looked
		 * for in all of its slots: once a question */
		if (m->kind != UDP_READ_NEWEST)
			break;
	}
	*work = slots * size + m->bytes;
	return rc;
}

static struct udp_read whole_slot(const struct dsm_engine *e, enum udp_read_kind kind, uint32_t group,
	uint64_t seq)
{
	return (struct udp_read){ .kind = (uint8_t)kind, .index = group, .arg = seq,
		.bytes = (uint32_t)(DSM_SLOT_HEADER + e->region->rings[group].payload_bytes) };
}

int udp_newest_slot(struct dsm_engine *e, uint32_t group, uint64_t *seq)
{
	struct udp_read m = whole_slot(e, UDP_READ_NEWEST, group, 0);
	uint64_t work;
	int rc = slot_bytes(e, &m, seq, &work);
	if (rc == -ENODATA)
		*seq = 0;
	return rc;
}

int udp_version_slot(struct dsm_engine *e, uint32_t group, uint64_t seq)
{
	struct udp_read m = whole_slot(e, UDP_READ_VERSION, group, seq);
	uint64_t work;
	return slot_bytes(e, &m, &seq, &work);
}

static int base_bytes(struct dsm_engine *e, const struct udp_read *m)
{
	const struct region *r = e->region;
	uint64_t size = r->header->banks_offset;
	if (m->arg % 8 || m->bytes % 8 || m->arg > size || m->bytes > size - m->arg)
		return -EINVAL;
	copy_from_shared(e->udp->scratch, (const void *)(r->base + m->arg), m->bytes);
	return 0;
}

static int complete_of(struct dsm_engine *e, uint32_t owner, uint64_t *step)
{
	const struct region *r = e->region;
	if (owner >= r->view.owner_count)
		return -EINVAL;
	const struct directory_owner *o = &r->view.owners[owner];
	*step = step_load((const void *)(r->base + o->bank_offset), r->generation, o->flags & OWNER_NETWORK);
	return *step == STEP_TORN ? -EAGAIN : 0;
}

static int answer_to(struct dsm_engine *e, const struct udp_read *m, uint64_t *seq, uint64_t *work)
{
	*work = m->bytes;
	if (m->kind == UDP_READ_BASE)
		return base_bytes(e, m);
	if (m->kind == UDP_READ_COMPLETE)
		return complete_of(e, m->index, seq);
	if (m->index >= e->region->view.group_count)
		return -EINVAL;
	if (m->kind == UDP_READ_SEQ) {
		*seq = atomic_load_explicit(e->region->rings[m->index].pulse, memory_order_acquire);
		return 0;
	}
	return slot_bytes(e, m, seq, work);
}

/* Bytes that answering goes through at most, answered or not: to find a version may mean to check
 * slot after slot. */
static uint64_t work_of(const struct dsm_engine *e, const struct udp_read *m)
{
	const struct region *r = e->region;
	if ((m->kind != UDP_READ_STEP && m->kind != UDP_READ_NEWEST) || m->index >= r->view.group_count)
		return m->bytes;
	const struct ring *ring = &r->rings[m->index];
	uint64_t verify = ring->flags & RING_VERIFY ? 1 : 0;
	uint64_t slots = m->kind == UDP_READ_STEP ? ring->mask + 1 + verify : verify;
	return slots * (DSM_SLOT_HEADER + ring->payload_bytes) + m->bytes;
}

size_t udp_work_of(const struct dsm_engine *e, uint32_t group)
{
	struct udp_read m = whole_slot(e, UDP_READ_NEWEST, group, 0);
	return work_of(e, &m) + m.bytes; /* and the version that went, if that has to go again */
}

/* The first question of a datagram may be one of much work, if the peer had few of these lately. */
bool udp_may_work(const struct udp_peer *p, uint64_t work, size_t left)
{
	return work <= left ||
		(left == UDP_WORK && clock_now(&clock_system) + UDP_WORK_BURST_NS >= p->busy_until);
}

void udp_worked(struct udp_server *u, struct udp_peer *p, uint64_t work, size_t *left)
{
	if (work > *left) {
		uint64_t now = clock_now(&clock_system);
		p->busy_until = (p->busy_until > now ? p->busy_until : now) + work;
	}
	*left -= work < *left ? work : *left;
	u->turn_left -= work < u->turn_left ? work : u->turn_left;
}

void udp_serve_read(struct dsm_engine *e, struct udp_peer *p, const struct udp_read *m, struct udp_voice *v,
	size_t *left)
{
	uint64_t seq = 0, work = work_of(e, m);
	bool with_bytes = m->kind <= UDP_READ_STEP;
	if (m->bytes > UDP_READ_MAX || !udp_may_work(p, work, *left)) {
		region_count(e->region, COUNTER_UDP_PUT_OFF, 1);
		return;
	}
	struct udp_answer a = { .id = m->id };
	a.status = answer_to(e, m, &seq, &work);
	udp_worked(e->udp, p, work, left);
	a.seq = a.status && a.status != -EAGAIN ? 0 : seq;
	if (a.status || !with_bytes || m->bytes == 0) {
		say(v, &a);
		return;
	}
	for (uint32_t at = 0; at < m->bytes; at += UDP_PIECE) {
		a.offset = (m->kind == UDP_READ_BASE ? 0 : m->offset) + at;
		a.bytes = (uint16_t)(m->bytes - at < UDP_PIECE ? m->bytes - at : UDP_PIECE);
		a.data = (const unsigned char *)e->udp->scratch + at;
		say(v, &a);
	}
}

void udp_serve_pulse(struct dsm_engine *e, const struct udp_ask *m, struct udp_voice *v)
{
	const struct region *r = e->region;
	struct udp_pulse p = { .generation = r->generation, .first_owner = m->first_owner,
		.heartbeat = atomic_load_explicit(&r->header->heartbeat, memory_order_relaxed),
		.state = atomic_load_explicit(&r->header->state, memory_order_relaxed), .counters = COUNTER_COUNT };
	for (uint32_t i = m->first_owner; i < r->view.owner_count && p.owners < UDP_OWNERS_MAX; i++)
		p.line[p.owners++] = (struct udp_line){
			atomic_load_explicit(&r->lines[i].bank_state, memory_order_relaxed),
			atomic_load_explicit(&r->lines[i].epoch, memory_order_relaxed),
			atomic_load_explicit(&r->lines[i].pid, memory_order_relaxed) };
	for (uint32_t i = 0; i < COUNTER_COUNT; i++)
		p.counter[i] = atomic_load_explicit(&r->counters[i], memory_order_relaxed);
	for (uint32_t i = 0; i < m->groups; i++)
		if (m->group[i] < r->view.group_count)
			p.newest[p.groups++] = (struct udp_newest){ m->group[i],
				atomic_load_explicit(r->rings[m->group[i]].pulse, memory_order_acquire) };
	if (!udp_put_pulse(&v->w, &p)) {
		udp_voice_send(v);
		udp_put_pulse(&v->w, &p);
	}
}

/* ---- commits ---- */

static bool is_own(const struct region *r, const struct udp_peer *p, uint32_t group)
{
	return group < r->view.group_count && r->view.groups[group].owner == p->session.owner;
}

/* Steps go up, and by no more than an owner can have failed at: one near the end of the numbers
 * would leave none to who has the role next. */
static bool step_fits(const struct region *r, const struct udp_peer *p, uint64_t step)
{
	const struct directory_owner *o = &r->view.owners[p->session.owner];
	uint64_t done = step_load((const void *)(r->base + o->bank_offset), r->generation, o->flags & OWNER_NETWORK);
	return step != STEP_TORN && (done == STEP_TORN || (step > done && step - done <= STEP_JUMP_MAX));
}

/* Above the newest, and not by more than the ring holds: as for steps. */
static bool seq_fits(const struct ring *ring, uint64_t seq)
{
	uint64_t newest = atomic_load_explicit(ring->pulse, memory_order_relaxed);
	return seq > newest && seq - newest <= (uint64_t)ring->mask + 1;
}

static int write_slot(struct region *r, const struct udp_peer *p, uint32_t group, const uint64_t *slot,
	size_t bytes, uint64_t *step)
{
	if (!is_own(r, p, group))
		return -EPERM;
	const struct ring *ring = &r->rings[group];
	struct check_fields f = { slot[0], slot[1], slot[2], slot[3] };
	const uint64_t *payload = slot + DSM_SLOT_HEADER / 8;
	uint32_t epoch = atomic_load_explicit(&r->lines[p->session.owner].epoch, memory_order_relaxed);
	if (ring->flags & RING_UNCHECKED || bytes != DSM_SLOT_HEADER + ring->payload_bytes)
		return -EMSGSIZE;
	if (f.epoch_length != slot_epoch_length(ring, epoch))
		return (uint32_t)f.epoch_length == epoch ? -EBADMSG : -EOWNERDEAD;
	if (!seq_fits(ring, f.seq) || !step_fits(r, p, f.step) || slot[4] != slot_check(ring, &f, payload))
		return -EBADMSG;
	slot_publish(ring, &f, payload);
	*step = f.step;
	return 0;
}

static int end_step(struct region *r, const struct udp_peer *p, const unsigned char *body, size_t bytes)
{
	const struct directory_owner *o = &r->view.owners[p->session.owner];
	size_t n = (bytes - 8) / 4;
	if (bytes < 12 || (bytes - 8) % 4 || n > o->group_count)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (!is_own(r, p, (uint32_t)le_get(body + 8 + 4 * i, 4)))
			return -EPERM;
	uint64_t step = le_get(body, 8);
	if (!step_fits(r, p, step))
		return -EBADMSG;
	region_complete(r, p->session.owner, step);
	for (size_t i = 0; i < n; i++) {
		uint32_t group = (uint32_t)le_get(body + 8 + 4 * i, 4);
		region_wake(r, &group, 1);
	}
	return 0;
}

int udp_serve_commit(struct dsm_engine *e, struct udp_peer *p, const void *message, size_t bytes)
{
	struct region *r = e->region;
	const unsigned char *body = (const unsigned char *)message + UDP_COMMIT_HEAD;
	struct udp_commit m;
	uint64_t step = 0;
	if (udp_get_commit(message, bytes, &m) || m.number != p->committed + 1)
		return -EBADMSG;
	if (p->session.owner == DSM_NONE)
		return -EOWNERDEAD;
	bytes -= UDP_COMMIT_HEAD;
	int rc = m.kind == UDP_COMMIT_STEP ? end_step(r, p, body, bytes) : bytes < DSM_SLOT_HEADER ? -EBADMSG :
		write_slot(r, p, m.group, (const void *)body, bytes, &step);
	if (rc)
		return rc;
	if (m.kind == UDP_COMMIT_BOTH) {
		region_complete(r, p->session.owner, step);
		region_wake(r, &m.group, 1);
	}
	p->committed = m.number;
	region_count(r, COUNTER_UDP_COMMITS, 1);
	return 0;
}
