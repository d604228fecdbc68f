/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: dsm over RDMA, one operation after the other, each timed alone, beside the same READs and
 * WRITEs by hand and by perftest on the same device in the same run. Both sides are on this
 * machine; the side that is read or written does nothing in any of these rows.
 */
#include "peers/perftest.h"
#include "peers/verbs_hand.h"
#include "rows/rdma_scene.h"

#include "harness/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STAMP 1700000000000000000 /* a commit time given by the caller: no clock is read */
#define LINE 64u

/* What one row does; `here` is the other side's CPU-free end. */
struct spec {
	const char *name, *base, *family, *work, *peer;
	bench_operation operation;      /* over a scene, or over a hand */
	const char *owner;              /* of dsm's handle; NULL = a reader */
	unsigned cells;                 /* of the group that is read */
	unsigned n, n_quick;
};

/* ---- dsm ---- */

static int read_cell(struct rdma_scene *s, struct dsm_cell cell)
{
	struct dsm_sample sample;
	int rc = dsm_read(s->dsm, cell, &sample);
	return rc ? rc : sample.value.f64 == s->value ? 0 : -EBADMSG;
}

static int dsm_scalar(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	(void)i;
	return read_cell(s, s->cell[0]);
}

static int dsm_wide(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	(void)i;
	return read_cell(s, s->wide);
}

static int dsm_commit_one(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	int rc = dsm_begin(s->dsm, STAMP);
	if (!rc)
		rc = dsm_set_f64(s->dsm, s->cell[0], s->value = (double)i);
	return rc ? rc : dsm_commit(s->dsm, NULL);
}

static int dsm_snapshots(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	int rc = 0;
	(void)i;
	for (unsigned k = 0; !rc && k < RDMA_GROUPS; k++)
		rc = dsm_snapshot(s->dsm, s->group[k], s->frame[k]);
	return rc;
}

static int dsm_step(void *context, uint64_t i)
{
	struct rdma_scene *s = context;
	(void)i;
	return dsm_snapshot_step(s->dsm, s->group, RDMA_GROUPS, s->frame, NULL);
}

static int run_dsm(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	struct rdma_scene s;
	unsigned n = conf->quick ? spec->n_quick : spec->n;
	int rc = rdma_scene_open(&s, conf, out);
	if (!rc)
		rc = rdma_scene_attach(&s, spec->owner, out);
	if (!rc) {
		struct bench_usage before = bench_usage_of(s.host.child.pid);
		rc = bench_paced(&(struct bench_pace){ .warm = n / 10 + 3, .n = n }, spec->operation, &s,
			&out->series[0]);
		out->series[0].server = bench_usage_since(bench_usage_of(s.host.child.pid), before, n);
		if (!rc) /* what was committed is there */
			rc = dsm_scalar(&s, 0);
		if (rc)
			bench_why(out, rc, "%.180s", rc == -EBADMSG ? "a wrong value was read" : dsm_error());
	}
	rdma_scene_close(&s);
	return rc;
}

/* ---- by hand ---- */

struct by_hand {
	struct hand hand;
	struct rdma_shape shape;
};

/* As far apart as rings are. */
static struct hand_piece ring_piece(const struct by_hand *h, unsigned k)
{
	uint32_t room = (h->shape.read_bytes + LINE - 1) / LINE * LINE;
	return (struct hand_piece){ LINE + k * room, h->shape.read_bytes };
}

static int hand_read(void *context, uint64_t i)
{
	struct by_hand *h = context;
	struct hand_piece piece = ring_piece(h, 0);
	(void)i;
	return hand_move(&h->hand, IBV_WR_RDMA_READ, &piece, 1);
}

static int hand_commit(void *context, uint64_t i)
{
	struct by_hand *h = context;
	struct hand_piece pieces[2] = { { LINE, h->shape.slot_bytes },
		{ LINE + h->shape.slot_bytes, h->shape.step_bytes } };
	memcpy(h->hand.memory + LINE, &i, sizeof(i));
	return hand_move(&h->hand, IBV_WR_RDMA_WRITE, pieces, 2);
}

static int hand_pipeline(void *context, uint64_t i)
{
	struct by_hand *h = context;
	struct hand_piece pieces[RDMA_GROUPS];
	(void)i;
	for (unsigned k = 0; k < RDMA_GROUPS; k++)
		pieces[k] = ring_piece(h, k);
	return hand_move(&h->hand, IBV_WR_RDMA_READ, pieces, RDMA_GROUPS);
}

static int hand_one_by_one(void *context, uint64_t i)
{
	struct by_hand *h = context;
	int rc = 0;
	(void)i;
	for (unsigned k = 0; !rc && k < RDMA_GROUPS; k++) {
		struct hand_piece piece = ring_piece(h, k);
		rc = hand_move(&h->hand, IBV_WR_RDMA_READ, &piece, 1);
	}
	return rc;
}

static int hand_step(void *context, uint64_t i)
{
	struct by_hand *h = context;
	struct hand_piece words = { 0, h->shape.step_words };
	int rc = hand_move(&h->hand, IBV_WR_RDMA_READ, &words, 1);
	return rc ? rc : hand_pipeline(context, i);
}

static int run_hand(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	struct by_hand h = { .shape = rdma_shape(spec->cells) };
	unsigned n = conf->quick ? spec->n_quick : spec->n;
	size_t bytes = 2 * LINE + RDMA_GROUPS * (h.shape.read_bytes + LINE);
	int rc = hand_open(&h.hand, conf->rdma, bytes, conf->cpu_server, out);
	if (!rc) {
		rc = bench_paced(&(struct bench_pace){ .warm = n / 10 + 3, .n = n }, spec->operation, &h,
			&out->series[0]);
		if (rc)
			bench_why(out, rc, "a READ or WRITE by hand: %s", strerror(-rc));
	}
	hand_close(&h.hand);
	return rc;
}

static int run_perftest(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	unsigned n = conf->quick ? spec->n_quick : spec->n;
	return perftest_read_lat(conf, rdma_shape(spec->cells).read_bytes, n / 10 + 3, n, out);
}

/* ---- rows ---- */

#define READS 4000, 300
#define COMMITS 2000, 200
#define SNAPSHOTS 600, 60

static const struct spec specs[] = {
	{ "read.dsm.scalar", "read.verbs.scalar", "rdma-read", "dsm_read() of an f64: one READ of the group's "
		"pulse and ring, then the check", "dsm", dsm_scalar, NULL, 1, READS },
	{ "read.verbs.scalar", "", "rdma-read", "one READ of the same bytes by hand", "verbs", hand_read, NULL, 1, READS },
	{ "read.perftest.scalar", "read.verbs.scalar", "rdma-read", "ib_read_lat of the same bytes", "perftest", NULL, NULL, 1, READS },
	{ "read.dsm.wide", "read.verbs.wide", "rdma-read", "dsm_read() of one of 48 f64 of a group", "dsm",
		dsm_wide, NULL, RDMA_WIDE_CELLS, READS },
	{ "read.verbs.wide", "", "rdma-read", "one READ of the same bytes by hand", "verbs", hand_read, NULL, RDMA_WIDE_CELLS, READS },
	{ "read.perftest.wide", "read.verbs.wide", "rdma-read", "ib_read_lat of the same bytes", "perftest", NULL, NULL,
		RDMA_WIDE_CELLS, READS },
	{ "commit.dsm", "commit.verbs", "rdma-commit", "begin, set one f64 (time given), commit by a remote owner, "
		"until the engine's device has acknowledged it", "dsm", dsm_commit_one, RDMA_OWNER, 1, COMMITS },
	{ "commit.verbs", "", "rdma-commit", "a chain of the same two WRITEs by hand, to completion", "verbs",
		hand_commit, NULL, 1, COMMITS },
	{ "snapshot.dsm", "snapshot.verbs-one-by-one", "rdma-snapshot", "8 groups, a dsm_snapshot() each: one READ after the other",
		"dsm", dsm_snapshots, NULL, 1, SNAPSHOTS },
	{ "snapshot.dsm-step", "snapshot.verbs-step", "rdma-snapshot", "dsm_snapshot_step() of the same 8 groups: "
		"READ of the step, then the READs posted together", "dsm", dsm_step, NULL, 1, SNAPSHOTS },
	{ "snapshot.verbs-one-by-one", "snapshot.verbs-pipeline", "rdma-snapshot", "the same 8 READs by hand, one after the other",
		"verbs", hand_one_by_one, NULL, 1, SNAPSHOTS },
	{ "snapshot.verbs-pipeline", "", "rdma-snapshot", "the same 8 READs by hand, posted together", "verbs", hand_pipeline,
		NULL, 1, SNAPSHOTS },
	{ "snapshot.verbs-step", "snapshot.verbs-pipeline", "rdma-snapshot", "READ of the step by hand, then the same 8 "
		"READs posted together", "verbs", hand_step, NULL, 1, SNAPSHOTS },
};

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	return bench_isolated(row, conf, out, !strcmp(spec->peer, "dsm") ? run_dsm :
		!strcmp(spec->peer, "verbs") ? run_hand : run_perftest);
}

static uint64_t size_of(const struct spec *spec)
{
	struct rdma_shape shape = rdma_shape(spec->cells);
	if (!strcmp(spec->family, "rdma-commit"))
		return shape.slot_bytes + shape.step_bytes;
	return strcmp(spec->family, "rdma-snapshot") ? shape.read_bytes : RDMA_GROUPS * shape.read_bytes;
}

void bench_rows_rdma(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct bench_row row = { .family = specs[i].family, .work = specs[i].work, .peer = specs[i].peer,
			.mode = "poll", .kind = BENCH_ONCE, .size_bytes = size_of(&specs[i]), .arg = &specs[i], .run = run };
		snprintf(row.name, sizeof(row.name), "rdma.%s", specs[i].name);
		if (specs[i].base[0])
			snprintf(row.base, sizeof(row.base), "rdma.%s", specs[i].base);
		bench_list_add(list, &row);
	}
}
