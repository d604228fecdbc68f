/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: reading rings. A READ has no byte order and on some devices no atom, so nothing of a slot
 * is believed before its check has decided; the pulse is a hint that may be early, late or torn.
 * The newest slot that verifies is accepted if it is at least the pulse; if the pulse stands still
 * over several attempts, its writer is dead and that slot is the answer. */
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/futex.h"
#include "core/step.h"
#include "transport/verbs.h"


static const struct directory_group *group_of(const struct transport_conn *conn, uint32_t group)
{
	return &conn->view->groups[group];
}

bool verbs_is_small(const struct transport_conn *conn, const struct directory_group *g)
{
	return g->slot_bytes * g->slots <= conn->small;
}

/* As the slow path saw it last; a commit of a later grant than it knows is fresher news. */
static uint32_t owner_state(const struct transport_conn *conn, uint32_t owner, uint32_t epoch)
{
	const struct owner_line *line = &conn->lines[owner];
	if (epoch > atomic_load_explicit(&line->epoch, memory_order_relaxed))
		return DSM_ALIVE;
	return (uint32_t)(atomic_load_explicit(&line->bank_state, memory_order_relaxed) >> 32);
}

bool verbs_slot_holds(const struct transport_conn *conn, uint32_t group, const unsigned char *at,
	uint64_t index, struct slot_meta *meta)
{
	const struct directory_group *g = group_of(conn, group);
	uint64_t words[DSM_SLOT_HEADER / 8];
	memcpy(words, at, sizeof(words));
	struct check_fields f = { words[0], words[1], words[2], words[3] };
	if (f.seq == 0 || ((f.seq ^ index) & (g->slots - 1)) || f.epoch_length >> 32 != g->payload_bytes)
		return false;
#ifndef DSM_CONTROL_NO_CHECK
	if (words[4] != check_word(check_seed(conn->header.generation, group), &f,
			at + DSM_SLOT_HEADER, g->payload_bytes) && !DSM_CHECK_IGNORED())
		return false;
#endif
	*meta = (struct slot_meta){ f.seq, f.time, f.step, (uint32_t)f.epoch_length,
		owner_state(conn, g->owner, (uint32_t)f.epoch_length) };
	return true;
}

void verbs_keep(struct transport_conn *conn, uint32_t group, const unsigned char *slot,
	const struct slot_meta *meta)
{
	struct verbs_last *last = (void *)(conn->last + conn->last_at[group]);
	if (!last->valid || meta->epoch > last->epoch ||
	    (meta->epoch == last->epoch && meta->seq > last->seq)) {
		memcpy(last + 1, slot + DSM_SLOT_HEADER, group_of(conn, group)->payload_bytes);
		*last = (struct verbs_last){ meta->seq, meta->time, meta->step, meta->epoch, 1, 0 };
	}
}

uint64_t verbs_seen(const struct transport_conn *conn, uint32_t group)
{
	const struct verbs_last *last = (const void *)(conn->last + conn->last_at[group]);
	return last->valid ? last->seq : 0;
}

void verbs_learn(struct transport_conn *conn, uint32_t group, uint64_t pulse, uint64_t seq)
{
	if (group_of(conn, group)->owner != conn->own_owner)
		atomic_store_explicit(&conn->newest[group], pulse > seq ? pulse : seq, memory_order_relaxed);
}

/* A pulse far below what is there was torn: what is newest is not known then, because the newest
 * slot may be torn as well. */
bool verbs_is_newest(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t pulse)
{
	if (seq < pulse || seq - pulse > VERBS_PULSE_BEHIND)
		return false;
	if (conn->still_group == group)
		conn->still_count = 0;
	return true;
}

/* What verified in an earlier attempt is a floor for the later ones. */
bool verbs_still(struct transport_conn *conn, uint32_t group, uint64_t pulse, uint64_t seq)
{
	if (conn->still_group != group || conn->still_pulse != pulse)
		conn->still_count = 0;
	if (conn->still_count == 0)
		conn->still_seq = 0;
	conn->still_group = group;
	conn->still_pulse = pulse;
	if (seq < conn->still_seq)
		return false;
	conn->still_seq = seq;
	if (++conn->still_count < VERBS_STILL)
		return false;
	conn->still_count = 0;
	return true;
}

/* ---- after a loss ---- */

static int from_last(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	const struct verbs_last *last = (const void *)(conn->last + conn->last_at[group]);
	if (!last->valid)
		return dsm__fail(-ENOTCONN, "%s: the engine is gone, and this handle had not read the group "
			"before that", view_text(conn->view, group_of(conn, group)->name));
	if (bytes)
		memcpy(to, (const char *)(last + 1) + offset, bytes);
	*meta = (struct slot_meta){ last->seq, last->time, last->step, last->epoch,
		owner_state(conn, group_of(conn, group)->owner, last->epoch) | META_REMEMBERED };
	return 0;
}

/* ---- a small ring: pulse and all slots by one READ ---- */

int verbs_bank_there(const struct transport_conn *conn, uint32_t owner)
{
	if (!conn->banks[owner].present)
		return -ENODATA;
	return conn->banks[owner].addr ? 0 : dsm__fail(-ENOMEM, "the engine's RDMA device does not take the "
		"bank of owner \"%s\"; the engine's log says why",
		view_text(conn->view, conn->view->owners[owner].name));
}

static int admit(const struct transport_conn *conn, uint32_t group)
{
	const struct directory_group *g = group_of(conn, group);
	if (g->flags & DSM_GROUP_UNCHECKED)
		return dsm__fail(-EMSGSIZE, "%s: %llu bytes are too many for a network; such groups carry no "
			"check word and are for mapped memory", view_text(conn->view, g->name),
			(unsigned long long)g->payload_bytes);
	return verbs_bank_there(conn, g->owner);
}

/* The slots then begin one line behind conn->ring_at, the pulse ends that line. */
static int fetch_ring(struct transport_conn *conn, uint32_t group, uint64_t *pulse)
{
	const struct directory_group *g = group_of(conn, group);
	conn->ring_at = conn->ring_pages.at;
	const struct verbs_bank *bank = &conn->banks[g->owner];
	unsigned char *at = conn->ring_pages.at + DSM_LINE - DSM_PULSE_BYTES;
	struct verbs_span span = { bank->addr + g->pulse_offset, bank->rkey,
		(uint32_t)(DSM_PULSE_BYTES + g->slot_bytes * g->slots), at };
	int rc = verbs_fetch(conn, &span, 1, conn->ring_pages.mr->lkey);
	if (rc == 0)
		memcpy(pulse, at, sizeof(*pulse));
	return rc;
}

static const unsigned char *slot_in_ring(const struct transport_conn *conn, uint32_t group, uint64_t index)
{
	const struct directory_group *g = group_of(conn, group);
	return conn->ring_at + DSM_LINE + (index & (g->slots - 1)) * g->slot_bytes;
}

static uint64_t shown_seq(const struct transport_conn *conn, uint32_t group, uint64_t index)
{
	uint64_t seq;
	memcpy(&seq, slot_in_ring(conn, group, index), sizeof(seq));
	return seq;
}

/* The newest slot that verifies; NULL none. Its seq is shown by the slot itself, which is a hint
 * until it verifies. */
static const unsigned char *newest_in_ring(const struct transport_conn *conn, uint32_t group,
	struct slot_meta *meta)
{
	uint32_t slots = group_of(conn, group)->slots;
	uint64_t below = UINT64_MAX;
	for (uint32_t n = 0; n < slots; n++) {
		uint64_t best = 0;
		for (uint32_t i = 0; i < slots; i++) {
			uint64_t seq = shown_seq(conn, group, i);
			if (((seq ^ i) & (slots - 1)) == 0 && seq > best && seq < below)
				best = seq;
		}
		if (best == 0)
			return NULL;
		const unsigned char *slot = slot_in_ring(conn, group, best);
		if (verbs_slot_holds(conn, group, slot, best, meta))
			return slot;
		below = best;
	}
	return NULL;
}

static int empty(uint64_t *to, uint64_t bytes, struct slot_meta *meta)
{
	if (bytes)
		memset(to, 0, bytes);
	*meta = (struct slot_meta){ 0 };
	return 0;
}

/* No slot holds anything and no pulse says so. */
static int never_written(const struct transport_conn *conn, uint32_t group, uint64_t pulse)
{
	if (pulse)
		return -EAGAIN;
	for (uint32_t i = 0; i < group_of(conn, group)->slots; i++)
		if (shown_seq(conn, group, i))
			return -EAGAIN;
	return -ENODATA;
}

/* Of the ring that was fetched. */
static int judge_newest(struct transport_conn *conn, uint32_t group, uint64_t pulse,
	const unsigned char **slot, struct slot_meta *meta)
{
	*slot = newest_in_ring(conn, group, meta);
	verbs_learn(conn, group, pulse, *slot ? meta->seq : 0);
	if (!*slot)
		return never_written(conn, group, pulse);
	if (verbs_is_newest(conn, group, meta->seq, pulse))
		return 0;
	if (!verbs_still(conn, group, pulse, meta->seq))
		return -EAGAIN;
	verbs_learn(conn, group, 0, meta->seq); /* nothing newer will come under that pulse */
	return 0;
}

static int small_newest(struct transport_conn *conn, uint32_t group, const unsigned char **slot,
	struct slot_meta *meta)
{
	uint64_t pulse = 0;
	int rc = fetch_ring(conn, group, &pulse);
	return rc ? rc : judge_newest(conn, group, pulse, slot, meta);
}

int verbs_judge_ring(struct transport_conn *conn, uint32_t group, const unsigned char *line,
	const unsigned char **slot, struct slot_meta *meta)
{
	uint64_t pulse;
	conn->ring_at = line;
	memcpy(&pulse, line + DSM_LINE - DSM_PULSE_BYTES, sizeof(pulse));
	return judge_newest(conn, group, pulse, slot, meta);
}

/* The newest in the ring; out of what verbs_ahead() has asked for, if it has. */
static int small_ahead(struct transport_conn *conn, uint32_t group, const unsigned char **slot,
	struct slot_meta *meta)
{
	int rc = verbs_ahead_ring(conn, group, slot, meta);
	return rc == -ENOENT ? small_newest(conn, group, slot, meta) : rc;
}

static int newest(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	const unsigned char *slot = NULL;
	int rc = admit(conn, group);
	if (rc)
		return rc;
	rc = verbs_is_small(conn, group_of(conn, group)) ? small_newest(conn, group, &slot, meta) :
		verbs_large_newest(conn, group, &slot, meta);
	if (rc == -ENODATA)
		return empty(to, bytes, meta);
	if (rc)
		return rc;
	if (bytes)
		memcpy(to, slot + DSM_SLOT_HEADER + offset, bytes);
	verbs_keep(conn, group, slot, meta);
	return 0;
}

int verbs_read(struct transport_conn *conn, uint32_t group, uint64_t offset, uint64_t bytes,
	uint64_t *to, struct slot_meta *meta)
{
	int rc = -ENOTCONN;
	if (verbs_enter(conn)) {
		rc = newest(conn, group, offset, bytes, to, meta);
		verbs_leave(conn);
	}
	return rc == -ENOTCONN ? from_last(conn, group, offset, bytes, to, meta) : rc;
}

/* ---- one version, one step ---- */

static int small_at(struct transport_conn *conn, uint32_t group, uint64_t seq, const unsigned char **slot,
	struct slot_meta *meta)
{
	uint64_t pulse = 0;
	int rc = fetch_ring(conn, group, &pulse);
	if (rc)
		return rc;
	*slot = slot_in_ring(conn, group, seq);
	bool holds = verbs_slot_holds(conn, group, *slot, seq, meta);
	verbs_learn(conn, group, pulse, holds ? meta->seq : 0);
	if (!holds)
		return -EAGAIN;
	return meta->seq == seq ? 0 : meta->seq > seq ? -EOVERFLOW : -ENOENT;
}

static int version(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta)
{
	const unsigned char *slot = NULL;
	int rc = admit(conn, group);
	if (rc)
		return rc;
	rc = verbs_is_small(conn, group_of(conn, group)) ? small_at(conn, group, seq, &slot, meta) :
		verbs_large_at(conn, group, seq, &slot, meta);
	if (rc)
		return rc;
	memcpy(to, slot + DSM_SLOT_HEADER, group_of(conn, group)->payload_bytes);
	verbs_keep(conn, group, slot, meta);
	return 0;
}

int verbs_read_at(struct transport_conn *conn, uint32_t group, uint64_t seq, uint64_t *to,
	struct slot_meta *meta)
{
	int rc = -ENOTCONN;
	if (verbs_enter(conn)) {
		rc = version(conn, group, seq, to, meta);
		verbs_leave(conn);
	}
	if (rc != -ENOTCONN)
		return rc;
	rc = from_last(conn, group, 0, group_of(conn, group)->payload_bytes, to, meta);
	if (rc == 0 && meta->seq != seq)
		rc = meta->seq > seq ? -EOVERFLOW : -ENOENT;
	return rc;
}

/* From the newest version down, each verified as that very seq: out of one READ without an order a
 * newer slot may be missing beside an older one, and the older would be taken for the step's. */
static int version_of_step(struct transport_conn *conn, uint32_t group, uint64_t step,
	const unsigned char **slot, struct slot_meta *meta)
{
	uint32_t slots = group_of(conn, group)->slots;
	bool small = verbs_is_small(conn, group_of(conn, group));
	const unsigned char *ahead = small ? NULL : verbs_ahead_slot(conn, group, step, meta);
	if (ahead) {
		*slot = ahead;
		verbs_learn(conn, group, 0, meta->seq);
		return 0;
	}
	int rc = small ? small_ahead(conn, group, slot, meta) : verbs_large_newest(conn, group, slot, meta);
	for (uint32_t back = 1; rc == 0 && (meta->step == 0 || meta->step > step); back++) {
		uint64_t seq = meta->seq - 1;
		if (seq == 0)
			return -ENODATA; /* even the first commit is younger than the step */
		if (back == slots)
			return -EAGAIN;
		if (small) {
			*slot = slot_in_ring(conn, group, seq);
			rc = verbs_slot_holds(conn, group, *slot, seq, meta) && meta->seq == seq ? 0 : -EAGAIN;
		} else {
			rc = verbs_large_at(conn, group, seq, slot, meta);
		}
	}
	return rc == -EOVERFLOW || rc == -ENOENT ? -EAGAIN : rc;
}

static int of_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta)
{
	const unsigned char *slot = NULL;
	uint64_t bytes = group_of(conn, group)->payload_bytes;
	int rc = step == STEP_TORN ? -EAGAIN : admit(conn, group);
	if (rc)
		return rc;
	rc = version_of_step(conn, group, step, &slot, meta);
	if (rc == -ENODATA)
		return empty(to, bytes, meta);
	if (rc)
		return rc;
	memcpy(to, slot + DSM_SLOT_HEADER, bytes);
	verbs_keep(conn, group, slot, meta);
	return 0;
}

int verbs_read_step(struct transport_conn *conn, uint32_t group, uint64_t step, uint64_t *to,
	struct slot_meta *meta)
{
	int rc = -ENOTCONN;
	if (verbs_enter(conn)) {
		rc = of_step(conn, group, step, to, meta);
		verbs_leave(conn);
	}
	if (rc != -ENOTCONN)
		return rc;
	rc = from_last(conn, group, 0, group_of(conn, group)->payload_bytes, to, meta);
	/* an older one may have had a successor within the step that was not read: a mix */
	return rc == 0 && meta->step != step ? dsm__fail(-ENOTCONN, "the engine is gone, and this handle "
		"has not read what all groups were at one step") : rc;
}

/* ---- words ---- */

static int fetch_words(struct transport_conn *conn, uint32_t owner, uint64_t offset, uint64_t *out,
	uint32_t n)
{
	const struct verbs_bank *bank = &conn->banks[owner];
	struct verbs_span span = { bank->addr + offset, bank->rkey, 8 * n, conn->ring_pages.at };
	int rc = verbs_bank_there(conn, owner);
	if (rc == 0)
		rc = verbs_fetch(conn, &span, 1, conn->ring_pages.mr->lkey);
	if (rc == 0)
		memcpy(out, conn->ring_pages.at, 8u * n);
	return rc;
}

/* STEP_TORN is the caller's to try again. */
uint64_t verbs_step_complete(const struct transport_conn *constant, uint32_t owner)
{
	struct transport_conn *conn = (struct transport_conn *)(uintptr_t)constant;
	uint64_t words[2] = { 0, 0 };
	int rc = -ENOTCONN;
	if (verbs_enter(conn)) {
		rc = fetch_words(conn, owner, offsetof(struct bank_header, step_complete), words, 2);
		verbs_leave(conn);
	}
	if (rc == 0 && words[1] == step_check(conn->header.generation, words[0]))
		conn->steps[owner] = words[0];
	else if (rc != -ENOTCONN && rc != -ENODATA)
		return STEP_TORN;
	return conn->steps[owner]; /* after a loss: the last one known */
}

/* One chain of them. */
static int fetch_pulses(struct transport_conn *conn, const uint32_t *groups, uint32_t n)
{
	struct verbs_span spans[VERBS_CHAIN];
	uint32_t of[VERBS_CHAIN], count = 0;
	uint64_t *pulses = (void *)conn->ring_pages.at;
	for (uint32_t i = 0; i < n; i++) {
		const struct directory_group *g = group_of(conn, groups[i]);
		const struct verbs_bank *bank = &conn->banks[g->owner];
		if (g->flags & DSM_GROUP_UNCHECKED || !bank->present || !bank->addr)
			continue;
		spans[count] = (struct verbs_span){ bank->addr + g->pulse_offset, bank->rkey, sizeof(*pulses),
			&pulses[count] };
		of[count++] = groups[i];
	}
	int rc = count ? verbs_fetch(conn, spans, count, conn->ring_pages.mr->lkey) : 0;
	for (uint32_t i = 0; rc == 0 && i < count; i++)
		verbs_learn(conn, of[i], pulses[i], 0);
	return rc;
}

int verbs_look(struct transport_conn *conn, const uint32_t *groups, uint32_t n)
{
	int rc = -ENOTCONN;
	if (verbs_enter(conn)) {
		rc = 0;
		for (uint32_t at = 0; rc == 0 && at < n; at += VERBS_CHAIN)
			rc = fetch_pulses(conn, groups + at, n - at < VERBS_CHAIN ? n - at : VERBS_CHAIN);
		verbs_leave(conn);
	}
	return rc;
}

/* ---- in place: in the memory that keeps the last version ---- */

int verbs_borrow(struct transport_conn *conn, uint32_t group, uint64_t offset, const void **data,
	struct slot_meta *meta)
{
	int rc = verbs_read(conn, group, 0, 0, NULL, meta);
	if (rc)
		return rc;
	const struct verbs_last *last = (const void *)(conn->last + conn->last_at[group]);
	if (meta->seq == 0)
		return -ENODATA;
	if (last->seq != meta->seq)
		return -EAGAIN;
	*data = (const char *)(last + 1) + offset;
	return 0;
}

/* Only this thread writes there, when it reads the group again. */
int verbs_borrow_end(struct transport_conn *conn, uint32_t group, uint64_t seq)
{
	const struct verbs_last *last = (const void *)(conn->last + conn->last_at[group]);
	return last->seq == seq ? 0 : -EAGAIN;
}
