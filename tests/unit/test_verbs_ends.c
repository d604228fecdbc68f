/* SPDX-License-Identifier: Apache-2.0 */
/* Completions that come beside those that somebody waits for: of the READs by which the slow path watches
 * an engine, and, at the engine, of the RECVs that only lie there to be flushed. Every status. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fixture.h"
#include "engine/verbs.h"
#include "verbs_library.h"

static const enum ibv_wc_status statuses[] = {
	IBV_WC_LOC_LEN_ERR, IBV_WC_LOC_QP_OP_ERR, IBV_WC_LOC_EEC_OP_ERR, IBV_WC_LOC_PROT_ERR, IBV_WC_WR_FLUSH_ERR,
	IBV_WC_MW_BIND_ERR, IBV_WC_BAD_RESP_ERR, IBV_WC_LOC_ACCESS_ERR, IBV_WC_REM_INV_REQ_ERR,
	IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_OP_ERR, IBV_WC_RETRY_EXC_ERR, IBV_WC_RNR_RETRY_EXC_ERR,
	IBV_WC_LOC_RDD_VIOL_ERR, IBV_WC_REM_INV_RD_REQ_ERR, IBV_WC_REM_ABORT_ERR, IBV_WC_INV_EECN_ERR,
	IBV_WC_INV_EEC_STATE_ERR, IBV_WC_FATAL_ERR, IBV_WC_RESP_TIMEOUT_ERR, IBV_WC_GENERAL_ERR, IBV_WC_TM_ERR,
	IBV_WC_TM_RNDV_INCOMPLETE,
};
#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

/* ---- the watch ---- */

static void attached(struct scene *s)
{
	scene_new(s);
	scene_keys(s);
	cr_assert_eq(scene_attach(s), 0, "%s", dsm_error());
	s->conn->watch_ns = 0;
}

static uint64_t beat(const struct scene *s)
{
	struct transport_pulse pulse;
	verbs_pulse(s->conn, &pulse);
	return pulse.heartbeat;
}

static void beats(struct scene *s, uint64_t to)
{
	atomic_store(&((struct region_header *)s->base)->heartbeat, to);
	verbs_watch(s->conn);
	cr_assert_gt(s->conn->watching, 0, "nothing was posted");
	endpoint_flush(&s->conn->endpoint);
}

Test(verbs_ends, what_is_watched_arrives, .timeout = 20)
{
	struct scene s;
	attached(&s);
	beats(&s, 41);
	cr_assert_eq(beat(&s), 41);
	cr_assert_eq(s.conn->watching, 0);
	cr_assert_eq(atomic_load(&s.conn->broken), 0);
	scene_free(&s);
}

/* The READs brought their bytes over and failed all the same. */
Test(verbs_ends, a_watch_that_fails_is_a_loss, .timeout = 60)
{
	for (size_t i = 0; i < STATUSES; i++) {
		struct scene s;
		attached(&s);
		s.provider->status = statuses[i];
		beats(&s, 42);
		cr_expect_eq(atomic_load(&s.conn->broken), rc_wc_error(statuses[i]), "%s: %d",
			ibv_wc_status_str(statuses[i]), s.conn->broken);
		cr_expect_neq(beat(&s), 42, "%s: the heartbeat of a failed READ is believed", ibv_wc_status_str(statuses[i]));
		uint32_t posts = s.provider->posts;
		cr_expect_not(verbs_enter(s.conn), "the handle's thread still uses the device");
		s.conn->watch_ns = 0;
		verbs_watch(s.conn);
		cr_expect_eq(s.provider->posts, posts, "something was posted after the loss");
		scene_free(&s);
	}
}

/* A device that neither completes nor fails them. */
Test(verbs_ends, a_watch_that_never_ends_is_a_loss, .timeout = 20)
{
	struct scene s;
	attached(&s);
	s.provider->hold = true;
	beats(&s, 43);
	cr_assert_eq(atomic_load(&s.conn->broken), 0);
	s.conn->watch_ns = 1; /* long ago */
	verbs_watch(s.conn);
	cr_assert_eq(atomic_load(&s.conn->broken), -ETIMEDOUT);
	scene_free(&s);
}

Test(verbs_ends, a_watch_that_cannot_be_posted_is_a_loss, .timeout = 20)
{
	struct scene s;
	attached(&s);
	s.provider->refuse_posts = true;
	verbs_watch(s.conn);
	cr_assert_eq(atomic_load(&s.conn->broken), -EIO);
	scene_free(&s);
}

/* ---- the engine's side ---- */

struct side {
	struct provider *provider;
	struct dsm_engine *engine;
	struct remote *remote;
};
#define READ_PAIR 71u
#define CLOSED_PAIR 73u

/* A client with control and read pair, connected as the engine does it; its thread is kept out. */
static void side_new(struct side *s)
{
	static struct rdma_cm_id control, read;
	char name[64];
	struct rdma_conn_param asked = { .responder_resources = 1, .initiator_depth = 16 };
	struct verbs_request request = { .kind = VERBS_CONTROL, .credits = 32 };
	memset(s, 0, sizeof(*s));
	cr_assert_eq(fixture_engine(NULL, name, &s->engine), 0);
	pthread_mutex_lock(&s->engine->lock);
	s->provider = provider_new();
	library = (struct library){ .provider = s->provider, .attr = { .max_qp_rd_atom = 16, .max_qp_init_rd_atom = 16 } };
	control.verbs = read.verbs = &s->provider->context;
	s->engine->verbs = calloc(1, sizeof(*s->engine->verbs));
	cr_assert_eq(remote_open(s->engine, &control, &asked, &request, NULL), 0, "%s", dsm_error());
	s->remote = control.context ? ((struct pair *)control.context)->remote : NULL;
	cr_assert_not_null(s->remote);
	cr_assert_eq(device_base(s->engine, s->remote->device), 0);
	s->remote->session.greeted = true;
	s->provider->qp.qp_num = READ_PAIR;
	request = (struct verbs_request){ .kind = VERBS_READ, .session = s->remote->session.id };
	verbs_proof(s->remote->token, VERBS_READ, request.session, asked.qp_num, request.proof);
	cr_assert_eq(remote_join(s->engine, &read, &asked, &request), 0, "%s", dsm_error());
}

static uint64_t errors(const struct side *s)
{
	return atomic_load(&s->engine->region->counters[COUNTER_PROTECTION_ERRORS]);
}

static int completes(struct side *s, uint32_t qp_num, enum ibv_wc_status status)
{
	unsigned char message[256];
	provider_side(s->provider, qp_num, status);
	return remote_ops.receive(&s->remote->session, message, sizeof(message));
}

Test(verbs_ends, the_end_of_a_read_pair_is_a_violation, .timeout = 60)
{
	for (size_t i = 0; i < STATUSES; i++) {
		struct side s;
		side_new(&s);
		const char *status = ibv_wc_status_str(statuses[i]);
		cr_expect_eq(completes(&s, CLOSED_PAIR, statuses[i]), -EAGAIN, "%s: of a pair that is closed", status);
		cr_expect_eq(errors(&s), 0, "%s", status);
		cr_expect_eq(completes(&s, READ_PAIR, statuses[i]), -EACCES, "%s", status);
		cr_expect_eq(errors(&s), 1, "%s: counted %llu times", status, (unsigned long long)errors(&s));
		s.engine->sessions = NULL;
		s.engine->verbs = NULL;
		pthread_mutex_unlock(&s.engine->lock);
		cr_expect_eq(dsm_engine_close(&s.engine), 0);
	}
}

/* Between two messages it is the tick that finds it. */
Test(verbs_ends, a_tick_finds_it_too, .timeout = 20)
{
	struct side s;
	side_new(&s);
	provider_side(s.provider, READ_PAIR, IBV_WC_WR_FLUSH_ERR);
	cr_expect_eq(remote_ops.tick(&s.remote->session, 1), -EACCES);
	cr_expect_eq(errors(&s), 1);
}
