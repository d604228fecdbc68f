/* SPDX-License-Identifier: Apache-2.0 */
/* Every error that a completion can carry, on a READ, a WRITE, a SEND and a RECV: it leads to the
 * documented error, what it brought is not used, and nothing is posted after it. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs_provider.h"

struct status { enum ibv_wc_status status; int error; };
static struct status statuses[] = {
	{ IBV_WC_LOC_LEN_ERR, -EIO }, { IBV_WC_LOC_QP_OP_ERR, -EIO }, { IBV_WC_LOC_EEC_OP_ERR, -EIO },
	{ IBV_WC_LOC_PROT_ERR, -EIO }, { IBV_WC_WR_FLUSH_ERR, -ECONNRESET }, { IBV_WC_MW_BIND_ERR, -EIO },
	{ IBV_WC_BAD_RESP_ERR, -EIO }, { IBV_WC_LOC_ACCESS_ERR, -EIO },
	{ IBV_WC_REM_INV_REQ_ERR, -EACCES }, { IBV_WC_REM_ACCESS_ERR, -EACCES }, { IBV_WC_REM_OP_ERR, -EIO },
	{ IBV_WC_RETRY_EXC_ERR, -ETIMEDOUT }, { IBV_WC_RNR_RETRY_EXC_ERR, -EBUSY },
	{ IBV_WC_LOC_RDD_VIOL_ERR, -EIO }, { IBV_WC_REM_INV_RD_REQ_ERR, -EACCES },
	{ IBV_WC_REM_ABORT_ERR, -ECONNRESET }, { IBV_WC_INV_EECN_ERR, -EIO },
	{ IBV_WC_INV_EEC_STATE_ERR, -EIO }, { IBV_WC_FATAL_ERR, -EIO },
	{ IBV_WC_RESP_TIMEOUT_ERR, -ETIMEDOUT }, { IBV_WC_GENERAL_ERR, -EIO },
	{ IBV_WC_TM_ERR, -EIO }, { IBV_WC_TM_RNDV_INCOMPLETE, -EIO },
};
#define EACH(name) \
	static void name##_with(const struct status *st); \
	ParameterizedTestParameters(verbs_errors, name) \
	{ return cr_make_param_array(struct status, statuses, sizeof(statuses) / sizeof(statuses[0])); } \
	ParameterizedTest(struct status *st, verbs_errors, name, .timeout = 20) { name##_with(st); } \
	static void name##_with(const struct status *st)

static int read_it(struct provider *p, uint64_t *payload, struct slot_meta *meta)
{
	return verbs_read(p->conn, 0, 0, PROVIDER_PAYLOAD, payload, meta);
}

EACH(a_read_that_fails_uses_nothing_of_its_buffer)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	provider_commit(p, 5, 0x11);
	cr_assert_eq(read_it(p, payload, &meta), 0);
	cr_assert(meta.seq == 5 && payload[0] == UINT64_C(0x1111111111111111));
	/* the failing READ leaves a newer version, whole, in its buffer */
	provider_commit(p, 6, 0x22);
	p->status = st->status;
	cr_assert_eq(read_it(p, payload, &meta), 0); /* the last that was read, as after any loss */
	cr_assert(meta.owner_state & META_REMEMBERED, "it would not be shown as stale");
	cr_assert(meta.seq == 5 && payload[0] == UINT64_C(0x1111111111111111));
	cr_assert_eq(atomic_load(&p->conn->broken), st->error);
	uint32_t posts = p->posts;
	cr_assert_eq(read_it(p, payload, &meta), 0);
	cr_assert_eq(verbs_read_at(p->conn, 0, 6, payload, &meta), -ENOENT);
	cr_assert_eq(verbs_read_at(p->conn, 0, 5, payload, &meta), 0);
	cr_assert_eq(p->posts, posts, "something was posted after the loss");
	provider_free(p);
}

EACH(a_first_read_that_fails_says_so)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	provider_commit(p, 5, 0x11);
	p->status = st->status;
	cr_assert_eq(read_it(p, payload, &meta), -ENOTCONN);
	cr_assert_eq(atomic_load(&p->conn->broken), st->error);
	provider_free(p);
}

/* As after granted(), without a device. */
static void own(struct provider *p)
{
	struct transport_conn *c = p->conn;
	c->own_owner = 0;
	c->keys.own_addr = (uintptr_t)p->bank;
	c->source = (struct pages){ verbs_reserve(4096), 4096, &p->mr, 0 };
	c->source_at = calloc(1, sizeof(*c->source_at));
	c->source_at[0] = DSM_LINE;
	c->chain = calloc(64, sizeof(*c->chain));
	c->chain_sge = calloc(64, sizeof(*c->chain_sge));
	c->notify = calloc(2, sizeof(*c->notify));
}

static int commit(struct provider *p, uint64_t seq, unsigned char fill)
{
	uint64_t image[PROVIDER_PAYLOAD / 8];
	uint32_t group = 0;
	struct check_fields f = { seq, 1 | (uint64_t)PROVIDER_PAYLOAD << 32, 7, seq };
	memset(image, fill, sizeof(image));
	int rc = verbs_publish(p->conn, 0, &f, image);
	return rc ? rc : verbs_complete(p->conn, 0, seq, &group, 1);
}

EACH(a_write_that_fails_is_not_repeated)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	own(p);
	cr_assert_eq(commit(p, 1, 0x11), 0);
	cr_assert_eq(read_it(p, payload, &meta), 0);
	cr_assert(meta.seq == 1 && payload[7] == UINT64_C(0x1111111111111111));
	p->status = st->status;
	cr_assert_eq(commit(p, 2, 0x22), -EOWNERDEAD);
	uint32_t posts = p->posts;
	unsigned char source[256];
	memcpy(source, p->conn->source.at, sizeof(source));
	cr_assert_eq(commit(p, 2, 0x33), -EOWNERDEAD);
	cr_assert_eq(p->posts, posts, "something was posted after the error");
	cr_assert_arr_eq(source, p->conn->source.at, sizeof(source), "the source was touched");
	cr_assert_eq(atomic_load(&p->conn->broken), 0, "reading goes on until the slow path has judged");
	provider_free(p);
}

/* ---- the control connection ---- */

static void endpoint_on(struct provider *p, struct endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	cr_assert_eq(stream_init(&ep->stream, 65536), 0);
	ep->frames = (struct pages){ verbs_reserve((ENDPOINT_RECVS + ENDPOINT_SENDS) * VERBS_FRAME_MAX),
		0, &p->mr, 0 };
	ep->sends_free = UINT64_MAX;
	ep->channel = &p->channel;
	ep->cq = &p->cq;
	cr_assert_eq(endpoint_bind(ep, &p->qp), 0);
	cr_assert_eq(endpoint_start(ep, STREAM_DEPTH), 0);
}

static int lost(const struct status *st)
{
	return st->error == -ETIMEDOUT ? -ETIMEDOUT : -ECONNRESET;
}

EACH(a_send_that_fails_ends_the_connection)
{
	struct provider *p = provider_new();
	struct endpoint ep;
	char message[100] = "hello", got[100];
	endpoint_on(p, &ep);
	cr_assert_eq(endpoint_send(&ep, message, sizeof(message)), 0);
	cr_assert_eq(endpoint_recv(&ep, got, sizeof(got)), -EAGAIN);
	p->status = st->status;
	endpoint_send(&ep, message, sizeof(message));
	cr_assert_eq(endpoint_recv(&ep, got, sizeof(got)), lost(st));
	cr_assert(!ep.refused, "the peer is accused of what our own SEND met");
	uint32_t posts = p->posts;
	cr_assert_eq(endpoint_send(&ep, message, sizeof(message)), lost(st));
	cr_assert_eq(p->posts, posts);
	provider_free(p);
}

EACH(a_recv_that_fails_delivers_nothing)
{
	struct provider *p = provider_new();
	struct endpoint ep;
	unsigned char frame[VERBS_FRAME_HEAD + 5], got[100];
	struct verbs_frame head = { 5, FRAME_FIRST | FRAME_LAST, 0 };
	endpoint_on(p, &ep);
	verbs_put_frame(frame, &head);
	memcpy(frame + VERBS_FRAME_HEAD, "hello", 5);
	provider_arrive(p, frame, sizeof(frame));
	cr_assert_eq(endpoint_recv(&ep, got, sizeof(got)), 5);
	cr_assert_arr_eq(got, "hello", 5);
	p->status = st->status;
	provider_arrive(p, frame, sizeof(frame));
	memset(got, 0, sizeof(got));
	cr_assert_eq(endpoint_recv(&ep, got, sizeof(got)), lost(st));
	cr_assert(ep.refused, "what the peer's work did to the pair is not told from a loss");
	cr_assert_eq(got[0], 0, "a frame whose RECV failed was delivered");
	cr_assert_eq(ep.arrived_count, 0);
	provider_free(p);
}

/* ---- what is no completion ---- */

Test(verbs_errors, a_queue_that_takes_no_work)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	struct endpoint ep;
	provider_commit(p, 1, 0x11);
	endpoint_on(p, &ep);
	p->refuse_posts = true;
	cr_assert_eq(read_it(p, payload, &meta), -ENOTCONN);
	cr_assert_eq(atomic_load(&p->conn->broken), -EIO);
	cr_assert_eq(endpoint_send(&ep, "x", 1), -ECONNRESET);
	provider_free(p);
}

/* A READ that does not complete stays outstanding: the next attempt waits for it, and does not post
 * into the same memory. */
Test(verbs_errors, what_is_outstanding_is_reaped_first, .timeout = 20)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	provider_commit(p, 1, 0x11);
	p->hold = true;
	cr_assert_eq(read_it(p, payload, &meta), -EAGAIN);
	cr_assert_eq(p->posts, 1);
	cr_assert_eq(read_it(p, payload, &meta), -EAGAIN);
	cr_assert_eq(p->posts, 1, "posted while the first is outstanding");
	p->hold = false;
	cr_assert_eq(read_it(p, payload, &meta), 0);
	cr_assert_eq(p->posts, 2);
	cr_assert_eq(meta.seq, 1);
	provider_free(p);
}

/* A pulse that stands still above what verifies: after some attempts that is the answer. */
Test(verbs_errors, a_dead_writers_pulse)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8], pulse = 4;
	struct slot_meta meta;
	for (uint64_t seq = 1; seq < 4; seq++)
		provider_commit(p, seq, (unsigned char)seq);
	memcpy(p->bank + p->group.pulse_offset, &pulse, sizeof(pulse));
	int rc = 0;
	for (uint32_t i = 1; i < VERBS_STILL; i++)
		cr_assert_eq(rc = read_it(p, payload, &meta), -EAGAIN, "attempt %u: %d", i, rc);
	cr_assert_eq(read_it(p, payload, &meta), 0);
	cr_assert_eq(meta.seq, 3);
	provider_free(p);
}

/* A step behind a gap is not looked for: the commit that is meant may be the one in the gap. */
Test(verbs_errors, a_gap_in_the_ring)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	for (uint64_t seq = 1; seq < 8; seq++)
		provider_commit(p, seq, (unsigned char)seq);
	cr_assert_eq(verbs_read_step(p->conn, 0, 5, payload, &meta), 0);
	cr_assert_eq(meta.seq, 5);
	cr_assert_eq(verbs_read_step(p->conn, 0, 3, payload, &meta), -EAGAIN); /* overwritten */
	p->bank[p->group.ring_offset + 6 % PROVIDER_K * PROVIDER_SLOT + 60] ^= 1;
	cr_assert_eq(verbs_read_step(p->conn, 0, 7, payload, &meta), 0);
	cr_assert_eq(verbs_read_step(p->conn, 0, 5, payload, &meta), -EAGAIN);
	provider_free(p);
}

/* Lost between `step complete` and the rings: what was read last is not what the step had. */
Test(verbs_errors, a_step_is_not_put_together_after_a_loss)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	provider_commit(p, 5, 0x11);
	cr_assert_eq(read_it(p, payload, &meta), 0);
	p->status = IBV_WC_RETRY_EXC_ERR;
	cr_assert_eq(verbs_read_step(p->conn, 0, 6, payload, &meta), -ENOTCONN);
	cr_assert_eq(verbs_read_step(p->conn, 0, 5, payload, &meta), 0);
	cr_assert_eq(read_it(p, payload, &meta), 0);
	provider_free(p);
}

/* ---- batches ---- */

static const struct dsm_group two[2] = { { 0 }, { 0 } };    /* the one group there is, twice */

static void with_batches(struct provider *p)
{
	struct pages pages = { verbs_reserve(1 << 20), 1 << 20, &p->mr, 0 };
	cr_assert(verbs_batch_use(p->conn, &pages));
}

EACH(a_batch_that_fails_uses_nothing_of_its_buffer)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8] = { 0 };
	struct slot_meta meta;
	with_batches(p);
	provider_commit(p, 6, 0x22);
	p->status = st->status;
	cr_assert_eq(verbs_batch_begin(p->conn, 0, two, 2), 0);
	cr_assert_neq(verbs_batch_take(p->conn, 0, 0, payload, &meta), 0);
	cr_assert_eq(atomic_load(&p->conn->broken), st->error);
	cr_assert_eq(payload[0], 0);
	uint32_t posts = p->posts;
	cr_assert_eq(verbs_batch_begin(p->conn, 1, two, 2), -ENOTCONN);
	cr_assert_eq(verbs_batch_take(p->conn, 0, 0, payload, &meta), -ENOTCONN);
	cr_assert_eq(p->posts, posts, "something was posted after the loss");
	provider_free(p);
}

/* Each answer is used once, and a torn or older one never. */
Test(verbs_errors, what_a_batch_brings_is_judged)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	with_batches(p);
	for (uint64_t seq = 1; seq < 6; seq++)
		provider_commit(p, seq, (unsigned char)seq);
	cr_assert_eq(verbs_batch_begin(p->conn, 0, two, 1), 0);
	cr_assert_eq(verbs_batch_take(p->conn, 0, 0, payload, &meta), 0);
	cr_assert(meta.seq == 5 && payload[0] == UINT64_C(0x0505050505050505));
	cr_assert_eq(verbs_batch_take(p->conn, 0, 0, payload, &meta), -EAGAIN, "used twice");
	p->bank[p->group.ring_offset + 5 % PROVIDER_K * PROVIDER_SLOT + 60] ^= 1; /* the newest is torn */
	cr_assert_eq(verbs_batch_begin(p->conn, 0, two, 1), 0);
	cr_assert_eq(verbs_batch_take(p->conn, 0, 0, payload, &meta), -EAGAIN);
	cr_assert_eq(verbs_batch_begin(p->conn, 0, two, 2), 0); /* neighbours or not: both are there */
	provider_commit(p, 6, 6);
	cr_assert_eq(verbs_batch_begin(p->conn, 1, two, 2), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(verbs_batch_take(p->conn, 1, 0, payload, &meta), 0);
		cr_assert_eq(meta.seq, 6u);
	}
	provider_free(p);
}

/* The slot that a step is expected in counts only if it is of that very step, and of the grant that the bank is
 * mapped for: an heir uses the number of a cut-off step again. */
Test(verbs_errors, a_step_that_was_asked_for_ahead)
{
	struct provider *p = provider_new();
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	with_batches(p);
	provider_commit(p, 5, 5);
	cr_assert_eq(verbs_read_step(p->conn, 0, 5, payload, &meta), 0);
	p->conn->small = PROVIDER_SLOT; /* from now on a ring is not read whole */
	for (uint64_t step = 6; step < 9; step++) {
		provider_commit(p, 6, 6);
		p->conn->steps[0] = step;
		p->conn->banks[0].epoch = 1;
		verbs_ahead(p->conn, two, 2);
		cr_assert(verbs_enter(p->conn));
		const unsigned char *slot = verbs_ahead_slot(p->conn, 0, step, &meta);
		cr_assert_eq(slot != NULL, step == 6);
		p->conn->banks[0].epoch = 2;
		cr_assert_null(verbs_ahead_slot(p->conn, 0, step, &meta), "of the grant before");
		verbs_leave(p->conn);
	}
	provider_free(p);
}

/* Without the memory for it everything is read by itself. */
Test(verbs_errors, no_memory_for_batches)
{
	struct provider *p = provider_new();
	struct pages none = { NULL, 0, &p->mr, 0 };
	uint64_t payload[PROVIDER_PAYLOAD / 8];
	struct slot_meta meta;
	cr_assert(!verbs_batch_use(p->conn, &none));
	provider_commit(p, 5, 0x11);
	cr_assert_eq(verbs_batch_begin(p->conn, 0, two, 1), -ENOMEM);
	verbs_ahead(p->conn, two, 2);
	cr_assert_eq(verbs_read_step(p->conn, 0, 5, payload, &meta), 0);
	provider_free(p);
}

/* With a period of his own the caller decides how often the wire is looked at. */
Test(verbs_errors, a_wait_looks_as_often_as_was_chosen, .timeout = 60)
{
	struct provider *p = provider_new();
	_Atomic uint32_t wake = 0;
	uint32_t before = p->posts, group = 0;
	uint64_t since = UINT64_MAX;
	struct transport_watch watch = { 1, &group, &since };
	p->conn->poll_ns = 100000000;
	verbs_wait(p->conn, &watch, &wake, 0, 500000000);
	cr_assert_gt(p->posts, before);
	cr_assert_leq(p->posts - before, 6, "%u looks in half a second, one each 100 ms was asked for",
		p->posts - before);
	before = p->posts;
	p->conn->poll_ns = 1000000;
	verbs_wait(p->conn, &watch, &wake, 0, 500000000);
	cr_assert_gt(p->posts - before, 6);
	before = p->posts;
	atomic_store(&wake, 1); /* somebody has something to say: no look at all */
	verbs_wait(p->conn, &watch, &wake, 0, 500000000);
	cr_assert_eq(p->posts, before);
	verbs_wait(p->conn, &watch, &wake, 0, 0); /* but without time one, whatever there is to say */
	cr_assert_eq(p->posts, before + 1);
	provider_free(p);
}

/* What the engine says counts for the list that it has, and once. */
Test(verbs_errors, an_answer_to_another_list_counts_for_nothing)
{
	struct provider *p = provider_new();
	struct transport_conn *conn = p->conn;
	conn->waits = (struct control_wait){ .number = 7, .n = 1, .since = { 4 } };
	verbs_told(conn, 7, 1); /* nobody waits */
	conn->wait_armed = true;
	verbs_told(conn, 6, 1);
	cr_assert_eq(verbs_told_times(conn), 0);
	cr_assert_eq(verbs_newest(conn, 0), 0);
	verbs_told(conn, 7, UINT64_MAX - 1); /* groups that are not in it */
	cr_assert_eq(verbs_newest(conn, 0), 0);
	conn->wait_armed = true;
	verbs_told(conn, 7, 1);
	cr_assert_eq(verbs_newest(conn, 0), 5);
	cr_assert_eq(verbs_told_times(conn), 2);
	verbs_told(conn, 7, 1);
	cr_assert_eq(verbs_told_times(conn), 2);
	verbs_learn(conn, 0, 9, 9); /* what is known is not set back */
	conn->wait_armed = true;
	verbs_told(conn, 7, 1);
	cr_assert_eq(verbs_newest(conn, 0), 9);
	provider_free(p);
}
