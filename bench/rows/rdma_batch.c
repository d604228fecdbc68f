/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: many READs under way at once. Reads that are begun and ended, beside chains of the same READs by hand and
 * ib_read_bw at the same depth; and 10,000 cells of one step in groups of several sizes, beside one
 * large READ of as many useful bytes.
 */
#include "common/packets.h"
#include "harness/clock.h"
#include "peers/dsm_host.h"
#include "peers/perftest.h"
#include "peers/rdma_shape.h"
#include "peers/verbs_hand.h"

#include <dsm/batch.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTS 17000u
#define OWNER "many"
#define GROUPS_MAX 48u
#define DEPTH 16u           /* READs outstanding, as many as a pair may have */
#define CHAIN (DEPTH / 2)   /* two batches in turn */
#define CELLS 10000u
#define CELL_BYTES 16u      /* of a payload: time, quality and value */
#define PACKET_BYTES 58u    /* Ethernet, IPv4, UDP, BTH, check sum */
#define LINE 64u

struct spec {
	const char *name, *base, *work, *peer;
	unsigned groups, cells;     /* of the table; cells a group */
	bool apart;                 /* every other group: no two are neighbours */
	bool moves;                 /* a commit of all groups before each snapshot */
};

struct many {
	const struct spec *spec;
	char place[64];
	struct dsm_host host;
	struct dsm *dsm, *near;     /* over rdma; the owner, by mapped memory */
	struct dsm_group group[GROUPS_MAX];
	struct dsm_frame *frame[GROUPS_MAX];
	struct dsm_cell first[GROUPS_MAX], own[GROUPS_MAX];
	uint64_t ticket[2];
	double value;
};

/* ---- scene ---- */

static int define(struct dsm_table *table, const void *arg)
{
	const struct spec *spec = arg;
	char group[16], cell[16];
	int rc = dsm_table_owner(table, &(struct dsm_owner_spec){ .name = OWNER, .network = true, .users = "" });
	for (unsigned g = 0; !rc && g < spec->groups; g++) {
		snprintf(group, sizeof(group), "g%u", g);
		rc = dsm_table_group(table, &(struct dsm_group_spec){ .owner = OWNER, .name = group,
			.description = "", .slots = RDMA_SLOTS });
		for (unsigned c = 0; !rc && c < spec->cells; c++) {
			snprintf(cell, sizeof(cell), "v%u", c);
			rc = dsm_host_cell(table, group, cell, DSM_F64, 1);
		}
	}
	return rc;
}

static int find(struct many *m, struct dsm *dsm, struct dsm_cell *cells)
{
	char name[16];
	int rc = 0;
	for (unsigned g = 0; !rc && g < m->spec->groups; g++) {
		snprintf(name, sizeof(name), "g%u.v0", g);
		rc = dsm_cell(dsm, name, &cells[g]);
	}
	return rc;
}

/* A step that all groups are of. */
static int commit_all(struct many *m)
{
	int rc = dsm_begin(m->near, 0);
	m->value += 1;
	for (unsigned g = 0; !rc && g < m->spec->groups; g++)
		rc = dsm_set_f64(m->near, m->own[g], m->value);
	return rc ? rc : dsm_commit(m->near, NULL);
}

static int open_scene(struct many *m, const struct spec *spec, const struct bench_conf *conf, struct bench_run *out)
{
	memset(m, 0, sizeof(*m));
	m->spec = spec;
	snprintf(m->place, sizeof(m->place), "%.48s:%u", conf->rdma, PORTS + (unsigned)getpid() % 1000);
	int rc = dsm_host_start_rdma(&m->host, m->place, conf->cpu_server, define, spec, out);
	if (rc)
		return rc;
	rc = dsm_host_attach(m->host.name, OWNER, &m->near);
	if (!rc)
		rc = find(m, m->near, m->own);
	if (!rc)
		rc = commit_all(m);
	if (!rc)
		rc = dsm_host_attach_rdma(&m->host, NULL, &m->dsm);
	if (!rc)
		rc = find(m, m->dsm, m->first);
	for (unsigned g = 0; !rc && g < spec->groups; g++) {
		char name[16];
		snprintf(name, sizeof(name), "g%u", g);
		rc = dsm_group(m->dsm, name, &m->group[g]);
		if (!rc)
			rc = dsm_frame_new(m->dsm, m->group[g], &m->frame[g]);
	}
	return rc ? bench_why(out, rc, "%.180s", dsm_error()) : 0;
}

static void close_scene(struct many *m)
{
	for (unsigned g = 0; g < GROUPS_MAX; g++)
		dsm_frame_free(&m->frame[g]);
	dsm_detach(&m->dsm);
	dsm_detach(&m->near);
	dsm_host_stop(&m->host);
}

static int check(struct many *m, unsigned g)
{
	struct dsm_sample s;
	int rc = dsm_frame_read(m->frame[g], m->first[g], &s);
	return rc ? rc : s.value.f64 == m->value ? 0 : -EBADMSG;
}

/* ---- reads begun and ended: always two batches of CHAIN groups under way ---- */

static int begin_batch(struct many *m, unsigned which)
{
	struct dsm_group groups[CHAIN];
	struct dsm_frame *frames[CHAIN];
	unsigned stride = m->spec->apart ? 2 : 1;
	for (unsigned i = 0; i < CHAIN; i++) {
		groups[i] = m->group[(which * CHAIN + i) * stride];
		frames[i] = m->frame[(which * CHAIN + i) * stride];
	}
	return dsm_read_begin(m->dsm, groups, frames, CHAIN, &m->ticket[which]);
}

static int batches(void *context, uint32_t ops)
{
	struct many *m = context;
	int rc = begin_batch(m, 0);
	for (uint32_t done = 0; !rc && done < ops; done += CHAIN) {
		unsigned which = done / CHAIN % 2;
		if (done + CHAIN < ops)
			rc = begin_batch(m, !which);
		if (!rc)
			rc = dsm_read_end(m->dsm, m->ticket[which]);
		if (!rc)
			rc = check(m, which * CHAIN * (m->spec->apart ? 2 : 1));
	}
	return rc;
}

static int run_batches(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct many m;
	int rc = open_scene(&m, row->arg, conf, out);
	if (!rc) {
		rc = bench_batches(&(struct bench_batch){ .ops = row->ops_per_batch, .warm = 1, .n = conf->quick ? 4 : 20 },
			batches, &m, &out->series[0]);
		if (rc)
			bench_why(out, rc, "%.180s", rc == -EBADMSG ? "a wrong value was read" : dsm_error());
	}
	close_scene(&m);
	return rc;
}

static int hand_batches(void *context, uint32_t ops)
{
	struct hand *h = context;
	uint32_t bytes = rdma_shape(1).read_bytes, room = (bytes + LINE - 1) / LINE * LINE;
	struct hand_piece pieces[2][CHAIN];
	for (unsigned i = 0; i < DEPTH; i++)
		pieces[i / CHAIN][i % CHAIN] = (struct hand_piece){ LINE + 2 * i * room, bytes };
	int rc = hand_post(h, IBV_WR_RDMA_READ, pieces[0], CHAIN);
	for (uint32_t done = 0; !rc && done < ops; done += CHAIN) {
		if (done + CHAIN < ops)
			rc = hand_post(h, IBV_WR_RDMA_READ, pieces[(done / CHAIN + 1) % 2], CHAIN);
		if (!rc)
			rc = hand_await(h);
	}
	return rc;
}

/* Moves `bytes` by one READ. */
static int hand_large(void *context, uint64_t i)
{
	(void)i;
	return hand_move(context, IBV_WR_RDMA_READ, &(struct hand_piece){ LINE, CELLS * CELL_BYTES }, 1);
}

static int run_perftest(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	(void)row;
	return perftest_read_rate(conf, rdma_shape(1).read_bytes, DEPTH, conf->quick ? 1000 : 5000, out);
}

/* ---- 10,000 cells of one step ---- */

enum { TIME, USEFUL, WIRE, READS, COLUMNS };

static int reserve(struct bench_run *out, unsigned n)
{
	int rc = bench_series_reserve(&out->series[TIME], n);
	for (unsigned i = TIME + 1; !rc && i < COLUMNS; i++)
		rc = bench_series_reserve(&out->series[i], 1);
	return rc;
}

/* What `n` snapshots took on the wire, from what the device has sent: both sides are of this machine. */
static void account(struct bench_run *out, uint64_t packets, unsigned n, uint64_t read_bytes)
{
	bench_series_add(&out->series[USEFUL], CELLS * CELL_BYTES);
	bench_series_add(&out->series[WIRE], (double)read_bytes + (double)packets / n * PACKET_BYTES);
	bench_series_add(&out->series[READS], (double)packets / n);
}

static int snapshots(struct many *m, unsigned n, struct bench_run *out)
{
	int rc = 0;
	for (unsigned i = 0; !rc && i < n; i++) {
		if (m->spec->moves)
			rc = commit_all(m);
		uint64_t begin = bench_now_ns();
		if (!rc)
			rc = dsm_snapshot_step(m->dsm, m->group, m->spec->groups, m->frame, NULL);
		uint64_t end = bench_now_ns();
		if (!rc)
			rc = check(m, i % m->spec->groups);
		bench_series_add(&out->series[TIME], (double)(end - begin));
		out->series[TIME].sent++;
		rc = bench_stop ? -EINTR : rc;
	}
	return rc;
}

static int run_snapshots(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	struct many m;
	struct rdma_shape shape = rdma_shape(spec->cells);
	unsigned n = conf->quick ? 20 : 100;
	int rc = open_scene(&m, spec, conf, out);
	if (!rc)
		rc = reserve(out, n);
	for (unsigned i = 0; !rc && i < 3; i++)
		rc = dsm_snapshot_step(m.dsm, m.group, spec->groups, m.frame, NULL);
	uint64_t before = packets_sent();
	if (!rc)
		rc = snapshots(&m, n, out);
	if (!rc)
		account(out, packets_sent() - before, n, shape.step_words + (uint64_t)spec->groups * shape.slot_bytes);
	else
		bench_why(out, rc, "%.180s", rc == -EBADMSG ? "a wrong value was read" : dsm_error());
	close_scene(&m);
	return rc;
}

static int run_hand(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	struct hand h;
	unsigned n = conf->quick ? 20 : 100;
	size_t bytes = spec->groups ? 2 * LINE + 2 * DEPTH * (rdma_shape(1).read_bytes + LINE) : LINE + CELLS * CELL_BYTES;
	int rc = hand_open(&h, conf->rdma, bytes, conf->cpu_server, out);
	if (!rc && spec->groups)
		rc = bench_batches(&(struct bench_batch){ .ops = row->ops_per_batch, .warm = 1, .n = conf->quick ? 4 : 20 },
			hand_batches, &h, &out->series[0]);
	else if (!rc) {
		uint64_t before = packets_sent();
		rc = reserve(out, n);
		if (!rc)
			rc = bench_paced(&(struct bench_pace){ .warm = 0, .n = n }, hand_large, &h, &out->series[TIME]);
		account(out, packets_sent() - before, n, CELLS * CELL_BYTES);
	}
	if (rc)
		bench_why(out, rc, "READs by hand: %s", strerror(-rc));
	hand_close(&h);
	return rc;
}

/* ---- rows ---- */

static const struct spec rates[] = {
	{ "batch.dsm", "batch.verbs", "groups read by dsm_read_begin() and dsm_read_end(), two batches of 8 under way, no two "
		"groups neighbours: a READ each", "dsm", 32, 1, true, false },
	{ "batch.dsm-neighbours", "batch.verbs", "the same of groups that lie side by side: neighbours come by one READ", "dsm", 16, 1,
		false, false },
	{ "batch.verbs", "", "the same READs by hand, two chains of 8 under way", "verbs", 32, 1, true, false },
	{ "batch.perftest", "batch.verbs", "ib_read_bw of the same bytes, 16 READs under way", "perftest", 32, 1, true, false },
};
#define STEP "10,000 f64 by dsm_snapshot_step(), in "
static const struct spec cells[] = {
	{ "cells.dsm.40x4KiB", "cells.verbs", STEP "40 groups of 4 KiB; nothing was committed since", "dsm", 40, CELLS / 40, false, false },
	{ "cells.dsm.10x16KiB", "cells.verbs", STEP "10 groups of 16 KiB; nothing was committed since", "dsm", 10, CELLS / 10, false, false },
	{ "cells.dsm.1x160KiB", "cells.verbs", STEP "one group; nothing was committed since", "dsm", 1, CELLS, false, false },
	{ "cells.dsm.40x4KiB-moving", "cells.verbs", STEP "40 groups of 4 KiB; all were committed since", "dsm", 40, CELLS / 40, false, true },
	{ "cells.verbs", "", "one READ by hand of as many useful bytes", "verbs", 0, 0, false, false },
};

static int run(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	const struct spec *spec = row->arg;
	if (!strcmp(spec->peer, "perftest"))
		return bench_isolated(row, conf, out, run_perftest);
	if (!strcmp(spec->peer, "verbs"))
		return bench_isolated(row, conf, out, run_hand);
	return bench_isolated(row, conf, out, row->ops_per_batch ? run_batches : run_snapshots);
}

static void add(struct bench_list *list, struct bench_row *row, const struct spec *spec)
{
	row->arg = spec;
	row->run = run;
	row->work = spec->work;
	row->peer = spec->peer;
	row->mode = "poll";
	snprintf(row->name, sizeof(row->name), "rdma.%s", spec->name);
	if (spec->base[0])
		snprintf(row->base, sizeof(row->base), "rdma.%s%s", spec->base, row->column[0] ? ".time" : "");
	bench_list_add(list, row);
}

void bench_rows_rdma_batch(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		add(list, &(struct bench_row){ .family = "rdma-batch", .kind = BENCH_BATCH, .ops_per_batch = 800,
			.size_bytes = rdma_shape(1).read_bytes }, &rates[i]);
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		add(list, &(struct bench_row){ .family = "rdma-cells", .kind = BENCH_ONCE, .size_bytes = CELLS * CELL_BYTES,
			.column = { "time", "useful", "wire", "packets" }, .column_unit = { NULL, "bytes", "bytes", "packets" } },
			&cells[i]);
}
