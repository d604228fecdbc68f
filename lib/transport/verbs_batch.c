/* SPDX-License-Identifier: Apache-2.0 */
/* rdma: READs of several groups that are posted together and looked at later: a caller's batches, and
 * what a snapshot of one step comes to need. Neighbours whose small rings lie one behind the other are
 * one READ. Of a larger slot the one is asked for that will be meant if things go on as they did. What
 * came is used once and judged like any other READ; whatever does not hold is read again by itself.
 * The memory of a place is not posted again before all that may still write to it was reaped. */
#include <stdlib.h>
#include <string.h>

#include "core/step.h"
#include "transport/verbs.h"

#define AHEAD_ROOM ((uint64_t)512 << 10)
#define BATCH_ROOM ((uint64_t)64 << 10)
#define MEDIUM ((uint64_t)16 << 10)     /* a slot up to this */
#define GAP 256u                        /* between neighbours that is read along */
#define SPANS (2u * TRANSPORT_AHEAD)
#define POST 8u                         /* READs a post: the first are judged while the last are on their way */

_Static_assert(POST <= VERBS_CHAIN, "one post");
_Static_assert(VERBS_BATCH_SENDS >= (TRANSPORT_BATCHES * TRANSPORT_BATCH + TRANSPORT_AHEAD) * 2,
	"room in the queue for all places at once");

/* One group that was asked for. */
struct asked {
	uint32_t group;             /* DSM_NONE: used */
	uint32_t span;              /* its last READ */
	uint64_t guess;             /* medium: the seq of the slot that was asked for; 0: a whole ring */
	unsigned char *line;        /* ends with the pulse; the slots behind it */
};
struct place {
	struct asked asked[TRANSPORT_AHEAD];
	uint32_t count;
	uint64_t first;             /* ticket of the first post; each POST spans one more */
	uint64_t last;
	unsigned char *memory;
	uint64_t room, used;
};
struct verbs_batches {
	struct pages pages;
	struct place places[TRANSPORT_BATCHES + 1];
};

/* What is about to be posted. */
struct posting { struct verbs_span spans[SPANS]; uint32_t n; uint64_t end; uint32_t owner; };

static bool is_medium(const struct transport_conn *conn, const struct directory_group *g)
{
	return !verbs_is_small(conn, g) && g->slot_bytes <= MEDIUM && !(g->flags & DSM_GROUP_UNCHECKED);
}

static uint64_t needs(const struct transport_conn *conn, const struct directory_group *g)
{
	return verbs_is_small(conn, g) ? DSM_LINE + GAP + g->slot_bytes * g->slots :
		is_medium(conn, g) ? DSM_LINE + g->slot_bytes : 0;
}

/* As much room as this table can use, so that a small one costs little. */
static uint64_t rooms(const struct transport_conn *conn, uint64_t *each, uint64_t *ahead)
{
	uint64_t sum = 0, most = 0;
	for (uint32_t i = 0; i < conn->view->group_count; i++) {
		uint64_t n = needs(conn, &conn->view->groups[i]);
		most = n > most ? n : most;
		sum = sum + n < AHEAD_ROOM ? sum + n : AHEAD_ROOM;
	}
	*each = round_up(most * TRANSPORT_BATCH < BATCH_ROOM ? most * TRANSPORT_BATCH : BATCH_ROOM, DSM_LINE);
	*ahead = sum;
	return round_up(*each * TRANSPORT_BATCHES + sum + 1, DSM_PAGE);
}

void verbs_batch_init(struct transport_conn *conn)
{
	uint64_t each, ahead, bytes = rooms(conn, &each, &ahead);
	struct pages pages = { 0 };
	if (pages_make(&pages, conn->pd, bytes, IBV_ACCESS_LOCAL_WRITE) || !verbs_batch_use(conn, &pages))
		pages_free(&pages);
}

bool verbs_batch_use(struct transport_conn *conn, const struct pages *pages)
{
	uint64_t each, ahead;
	if (rooms(conn, &each, &ahead) > pages->bytes)
		return false;
	conn->batches = calloc(1, sizeof(*conn->batches));
	if (!conn->batches)
		return false;
	conn->batches->pages = *pages;
	for (uint32_t i = 0; i <= TRANSPORT_BATCHES; i++) {
		conn->batches->places[i].memory = pages->at + i * each;
		conn->batches->places[i].room = i < TRANSPORT_BATCHES ? each : ahead;
	}
	return true;
}

/* The memory, when the device goes; then the rest, when nobody reads any more. */
void verbs_batch_release(struct transport_conn *conn)
{
	if (conn->batches)
		pages_free(&conn->batches->pages);
}

/* ---- asking ---- */

/* Behind the span before it, if that is its neighbour's: then one READ brings both. */
static bool join(struct place *place, struct posting *p, const struct directory_group *g,
	const struct verbs_span *span, uint32_t limit)
{
	struct verbs_span *before = p->n ? &p->spans[p->n - 1] : NULL;
	if (!before || p->owner != g->owner || span->remote < p->end || span->remote - p->end > GAP ||
	    span->remote + span->bytes - before->remote > limit)
		return false;
	uint64_t grow = span->remote + span->bytes - p->end;
	if (place->used + grow > place->room)
		return false;
	place->used += grow;
	before->bytes += (uint32_t)grow;
	return true;
}

/* Pulse and ring at once. */
static bool ask_ring(struct transport_conn *conn, struct place *place, struct posting *p, uint32_t group)
{
	const struct directory_group *g = &conn->view->groups[group];
	const struct verbs_bank *bank = &conn->banks[g->owner];
	struct verbs_span span = { bank->addr + g->pulse_offset, bank->rkey,
		(uint32_t)(DSM_PULSE_BYTES + g->slot_bytes * g->slots), NULL };
	if (!join(place, p, g, &span, conn->small)) {
		uint64_t from = round_up(place->used, DSM_LINE) + DSM_LINE - DSM_PULSE_BYTES;
		if (p->n == SPANS || from + span.bytes > place->room)
			return false;
		span.at = place->memory + from;
		place->used = from + span.bytes;
		p->spans[p->n++] = span;
	}
	const struct verbs_span *last = &p->spans[p->n - 1];
	p->end = span.remote + span.bytes;
	p->owner = g->owner;
	/* rings begin on a line there, so they do here */
	place->asked[place->count++] = (struct asked){ group, p->n - 1, 0,
		(unsigned char *)last->at + (span.remote - last->remote) + DSM_PULSE_BYTES - DSM_LINE };
	return true;
}

/* The slot of one seq; and the pulse, if that is what will say whether it is the newest. */
static bool ask_slot(struct transport_conn *conn, struct place *place, struct posting *p, uint32_t group,
	uint64_t seq, bool pulse)
{
	const struct directory_group *g = &conn->view->groups[group];
	const struct verbs_bank *bank = &conn->banks[g->owner];
	uint64_t from = round_up(place->used, DSM_LINE);
	if (p->n + 2 > SPANS || from + DSM_LINE + g->slot_bytes > place->room)
		return false;
	unsigned char *line = place->memory + from;
	place->used = from + DSM_LINE + g->slot_bytes;
	if (pulse)
		p->spans[p->n++] = (struct verbs_span){ bank->addr + g->pulse_offset, bank->rkey, DSM_PULSE_BYTES,
			line + DSM_LINE - DSM_PULSE_BYTES };
	p->spans[p->n++] = (struct verbs_span){ bank->addr + g->ring_offset + (seq & (g->slots - 1)) * g->slot_bytes,
		bank->rkey, (uint32_t)g->slot_bytes, line + DSM_LINE };
	p->end = UINT64_MAX; /* nobody's neighbour */
	place->asked[place->count++] = (struct asked){ group, p->n - 1, seq, line };
	return true;
}

static void ask(struct transport_conn *conn, struct place *place, struct posting *p, uint32_t group,
	uint64_t step)
{
	const struct directory_group *g = &conn->view->groups[group];
	const struct verbs_last *last = (const void *)(conn->last + conn->last_at[group]);
	const struct verbs_bank *bank = &conn->banks[g->owner];
	if ((g->flags & DSM_GROUP_UNCHECKED) || !bank->present || !bank->addr)
		return;
	if (verbs_is_small(conn, g))
		ask_ring(conn, place, p, group);
	else if (is_medium(conn, g) && step == STEP_TORN && verbs_newest(conn, group))
		ask_slot(conn, place, p, group, verbs_newest(conn, group), true);
	else if (is_medium(conn, g) && last->valid && last->step && step != STEP_TORN && step >= last->step)
		/* as if the group were committed at each step */
		ask_slot(conn, place, p, group, last->seq + (step - last->step), false);
}

/* `step`: what groups were after it is wanted; STEP_TORN: their newest. */
static int fill(struct transport_conn *conn, struct place *place, const struct dsm_group *groups, uint32_t n,
	uint64_t step)
{
	struct posting p;
	p.n = 0;
	p.end = UINT64_MAX;
	p.owner = DSM_NONE;
	place->count = 0;
	place->used = 0;
	/* nothing may write any more to what is used anew */
	int rc = verbs_await(conn, &conn->read, place->last, VERBS_ATTEMPT_NS);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		ask(conn, place, &p, (uint32_t)groups[i].id, step);
	for (uint32_t i = 0; rc == 0 && i < p.n; i += POST) {
		rc = verbs_post_reads(conn, p.spans + i, p.n - i < POST ? p.n - i : POST,
			conn->batches->pages.mr->lkey, &place->last);
		if (i == 0)
			place->first = place->last;
	}
	if (rc)
		place->count = 0;
	return rc;
}

void verbs_ahead(struct transport_conn *conn, const struct dsm_group *groups, uint32_t n)
{
	if (!conn->batches)
		return;
	conn->batches->places[TRANSPORT_BATCHES].count = 0;
	if (n < 2 || !verbs_enter(conn))
		return;
	fill(conn, &conn->batches->places[TRANSPORT_BATCHES], groups, n < TRANSPORT_AHEAD ? n : TRANSPORT_AHEAD,
		conn->steps[conn->view->groups[(uint32_t)groups[0].id].owner]);
	verbs_leave(conn);
}

int verbs_batch_begin(struct transport_conn *conn, uint32_t place, const struct dsm_group *groups, uint32_t n)
{
	int rc = conn->batches ? -ENOTCONN : -ENOMEM;
	if (conn->batches && verbs_enter(conn)) {
		rc = fill(conn, &conn->batches->places[place], groups, n, STEP_TORN);
		verbs_leave(conn);
	}
	return rc;
}

/* ---- taking ---- */

/* What was asked for `group`, here by now; then it is used. NULL: nothing. */
static const struct asked *take(struct transport_conn *conn, uint32_t at, uint32_t group)
{
	struct place *place = conn->batches ? &conn->batches->places[at] : NULL;
	for (uint32_t i = 0; place && i < place->count; i++) {
		struct asked *a = &place->asked[i];
		if (a->group != group)
			continue;
		a->group = DSM_NONE;
		if (verbs_await(conn, &conn->read, place->first + a->span / POST, VERBS_ATTEMPT_NS) == 0)
			return a;
		place->count = 0; /* nor is it waited for the others of these */
	}
	return NULL;
}

/* The newest version out of what was asked for. -EAGAIN: it is not there, or not the newest. */
static int judge(struct transport_conn *conn, uint32_t group, const struct asked *a, const unsigned char **slot,
	struct slot_meta *meta)
{
	uint64_t pulse;
	if (!a->guess)
		return verbs_judge_ring(conn, group, a->line, slot, meta);
	memcpy(&pulse, a->line + DSM_LINE - DSM_PULSE_BYTES, sizeof(pulse));
	*slot = a->line + DSM_LINE;
	if (!verbs_slot_holds(conn, group, *slot, a->guess, meta) || !verbs_is_newest(conn, group, meta->seq, pulse)) {
		verbs_learn(conn, group, pulse, 0);
		return -EAGAIN;
	}
	verbs_learn(conn, group, 0, meta->seq);
	return 0;
}

int verbs_ahead_ring(struct transport_conn *conn, uint32_t group, const unsigned char **slot, struct slot_meta *meta)
{
	const struct asked *a = take(conn, TRANSPORT_BATCHES, group);
	return a ? judge(conn, group, a, slot, meta) : -ENOENT;
}

const unsigned char *verbs_ahead_slot(struct transport_conn *conn, uint32_t group, uint64_t step,
	struct slot_meta *meta)
{
	const struct asked *a = take(conn, TRANSPORT_BATCHES, group);
	if (!a || !a->guess || !verbs_slot_holds(conn, group, a->line + DSM_LINE, a->guess, meta))
		return NULL;
	/* That very step: nothing older or newer can be meant, whatever the pulse says. Of this grant: an heir
	 * uses the number of a step again that its predecessor's death cut off. */
	return meta->step == step && meta->epoch == conn->banks[conn->view->groups[group].owner].epoch ?
		a->line + DSM_LINE : NULL;
}

int verbs_batch_take(struct transport_conn *conn, uint32_t place, uint32_t group, uint64_t *to,
	struct slot_meta *meta)
{
	const unsigned char *slot = NULL;
	int rc = -ENOTCONN;
	if (!verbs_enter(conn))
		return rc;
	const struct asked *a = take(conn, place, group);
	rc = a ? judge(conn, group, a, &slot, meta) : -EAGAIN;
	if (rc == 0) {
		memcpy(to, slot + DSM_SLOT_HEADER, conn->view->groups[group].payload_bytes);
		verbs_keep(conn, group, slot, meta);
	}
	verbs_leave(conn);
	return rc == -ENODATA ? -EAGAIN : rc;
}
