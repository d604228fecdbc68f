/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large: what is larger than one READ, WRITE or bounce buffer, over rdma, in one machine: a directory of
 * 100,000 cells; an array of 8 MiB, committed from afar and read; a group above 64 MiB, which an owner on the
 * engine's machine may have, and of which a remote reader is told -EMSGSIZE.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dsm/batch.h>
#include <dsm/engine.h>

#include "client/handle.h"
#include "common/packets.h"
#include "guest/own_engine.h"
#define PLAIN_SHARED
#include "stress/plain.h"
#include "transport/verbs.h"

#define CELLS 100000u
#define CELLS_A_GROUP 250u            /* 400 groups, a whole number of batches */
#define LARGEST (UINT64_C(64) << 20)    /* payload of a group over rdma, bytes */
#define BESIDE 24u                      /* the bytes of a cell: their number, time and quality */
#define ARRAY ((8u << 20) - BESIDE)
#define COMMITS 3u
#define CALL_MS 120000u

atomic_uint plain_passed, plain_failed;

/* ---- engine ---- */

static int add_array(struct dsm_table *t, const char *owner, const char *name, uint32_t capacity)
{
	struct dsm_group_spec group = { owner, name, "", 2, 0, false };
	struct dsm_cell_spec cell = { name, "v", "", "", DSM_BYTES, capacity, 0, 0, 0, -1 };
	int rc = dsm_table_group(t, &group);
	return rc ? rc : dsm_table_cell(t, &cell);
}

static int add_many(struct dsm_table *t)
{
	char group[24], name[24];
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < CELLS; i++) {
		snprintf(group, sizeof(group), "many%u", i / CELLS_A_GROUP);
		snprintf(name, sizeof(name), "cell%05u", i);
		struct dsm_group_spec g = { "many", group, "one of many", 0, 0, false };
		struct dsm_cell_spec c = { group, name, "m", "one of very many", DSM_F64, 0, 0, 0, 0, -1 };
		rc = i % CELLS_A_GROUP ? 0 : dsm_table_group(t, &g);
		rc = rc ? rc : dsm_table_cell(t, &c);
	}
	return rc;
}

static int make_table(struct dsm_table **out)
{
	struct dsm_owner_spec owner = { "bulk", true, "*" }, many = { "many", false, "*" };
	int rc = dsm_table_new("large", out);
	rc = rc ? rc : dsm_table_owner(*out, &owner);
	rc = rc ? rc : dsm_table_owner(*out, &many);
	rc = rc ? rc : add_array(*out, "bulk", "at", ARRAY);
	rc = rc ? rc : add_array(*out, "engine", "over", (uint32_t)LARGEST - BESIDE + 8);
	return rc ? rc : add_many(*out);
}

static const struct own_engine_kind kind = { "large", 7467, 0, make_table, NULL };
static struct own_engine engine;

/* ---- client ---- */

static int count_cell(const struct dsm_cell_info *info, void *context)
{
	(void)info;
	++*(uint32_t *)context;
	return 0;
}

static void directory(struct dsm *dsm)
{
	static const uint32_t some[] = { 0, 1, CELLS_A_GROUP, CELLS / 2, CELLS - 1 };
	uint32_t cells = 0;
	uint64_t bytes = dsm->conn->directory_bytes;
	printf("a directory of %llu bytes\n", (unsigned long long)bytes);
	check(bytes > VERBS_BOUNCE, "it fits into one bounce buffer of %llu", (unsigned long long)VERBS_BOUNCE);
	check(dsm_foreach_cell(dsm, NULL, count_cell, &cells) == 0 && cells == CELLS + 2, "%u cells", cells);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		char name[64];
		struct dsm_cell cell;
		struct dsm_sample sample;
		snprintf(name, sizeof(name), "many%u.cell%05u", some[i] / CELLS_A_GROUP, some[i]);
		check(dsm_cell(dsm, name, &cell) == 0 && dsm_read(dsm, cell, &sample) == 0 &&
			sample.quality == DSM_NEVER_WRITTEN, "%s: %s", name, dsm_error());
	}
}

static bool sample_is(const struct dsm_frame *frame, struct dsm_cell cell, struct dsm_sample *s, double value)
{
	return dsm_frame_read(frame, cell, s) == 0 && s->quality == DSM_GOOD && s->value.f64 == value;
}

/* Cell i of all becomes i + 1, by mapped memory. */
static int commit_all(void)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *near = NULL;
	char name[64];
	struct dsm_cell cell;
	opts.owner = "many";
	int rc = dsm_attach(engine.near, &opts, &near);
	rc = rc ? rc : dsm_begin(near, 0);
	for (uint32_t i = 0; rc == 0 && i < CELLS; i++) {
		snprintf(name, sizeof(name), "many%u.cell%05u", i / CELLS_A_GROUP, i);
		rc = dsm_cell(near, name, &cell);
		rc = rc ? rc : dsm_set_f64(near, cell, i + 1);
	}
	rc = rc ? rc : dsm_commit(near, NULL);
	dsm_detach(&near);
	return rc;
}

/* Every cell of every group, out of batches of groups that are read together. */
static void all_cells(struct dsm *r)
{
	struct dsm_group group[DSM_BATCH_GROUPS];
	struct dsm_frame *frame[DSM_BATCH_GROUPS];
	uint32_t right = 0;
	uint64_t ticket, began = plain_ms();
	if (!check(commit_all() == 0, "commit of all: %s", dsm_error()))
		return;
	printf("commit of %u cells: %llu ms\n", CELLS, (unsigned long long)(plain_ms() - began));
	began = plain_ms();
	for (uint32_t at = 0; at < CELLS / CELLS_A_GROUP; at += DSM_BATCH_GROUPS) {
		char name[64];
		int rc = 0;
		for (uint32_t i = 0; rc == 0 && i < DSM_BATCH_GROUPS; i++) {
			snprintf(name, sizeof(name), "many%u", at + i);
			rc = dsm_group(r, name, &group[i]);
			rc = rc ? rc : dsm_frame_new(r, group[i], &frame[i]);
		}
		rc = rc ? rc : dsm_read_begin(r, group, frame, DSM_BATCH_GROUPS, &ticket);
		if (!check(rc == 0 && dsm_read_end(r, ticket) == 0, "groups from %u: %s", at, dsm_error()))
			return;
		for (uint32_t i = 0; i < DSM_BATCH_GROUPS * CELLS_A_GROUP; i++) {
			struct dsm_cell cell;
			struct dsm_sample sample;
			uint32_t n = at * CELLS_A_GROUP + i;
			snprintf(name, sizeof(name), "many%u.cell%05u", n / CELLS_A_GROUP, n);
			right += dsm_cell(r, name, &cell) == 0 && sample_is(frame[i / CELLS_A_GROUP], cell, &sample, n + 1);
		}
		for (uint32_t i = 0; i < DSM_BATCH_GROUPS; i++)
			dsm_frame_free(&frame[i]);
	}
	printf("read of %u cells: %llu ms\n", CELLS, (unsigned long long)(plain_ms() - began));
	check(right == CELLS, "%u of %u cells are right", right, CELLS);
}

static uint64_t word(uint64_t commit, uint64_t i)
{
	return commit * UINT64_C(0x9e3779b97f4a7c15) ^ i * UINT64_C(0xd6e8feb86659fd93);
}

static bool commit(struct dsm *w, struct dsm_cell cell, uint64_t n)
{
	void *data = NULL;
	uint64_t capacity = 0, began = plain_ms();
	if (!check(dsm_loan(w, cell, &data, &capacity) == 0 && capacity == ARRAY, "loan: %s", dsm_error()))
		return false;
	uint64_t *words = data;
	for (uint64_t i = 0; i < ARRAY / 8; i++)
		words[i] = word(n, i);
	int rc = dsm_publish(w, ARRAY, 0);
	printf("commit %llu: %llu ms\n", (unsigned long long)n, (unsigned long long)(plain_ms() - began));
	return check(rc == 0, "publish: %d %s", rc, dsm_error());
}

static void look(struct dsm *r, struct dsm_cell cell, uint64_t n)
{
	const void *data = NULL;
	uint64_t bytes = 0, wrong = 0, began = plain_ms();
	struct dsm_sample sample;
	int rc = dsm_borrow(r, cell, &data, &bytes, &sample);
	printf("read %llu: %llu ms\n", (unsigned long long)n, (unsigned long long)(plain_ms() - began));
	if (!check(rc == 0 && bytes == ARRAY, "borrow: %d %s, %llu bytes", rc, dsm_error(), (unsigned long long)bytes))
		return;
	const uint64_t *words = data;
	for (uint64_t i = 0; i < ARRAY / 8; i++)
		wrong += words[i] != word(n, i);
	check(wrong == 0, "commit %llu: %llu words are wrong", (unsigned long long)n, (unsigned long long)wrong);
	check(dsm_return(r) == 0, "return: %s", dsm_error());
}

static void too_large(struct dsm *r)
{
	struct dsm_cell theirs = { 0 };
	struct dsm_sample sample;
	const void *seen;
	uint64_t n;
	check(dsm_cell(r, "over.v", &theirs) == 0, "names: %s", dsm_error());
	check(dsm_borrow(r, theirs, &seen, &n, &sample) == -EMSGSIZE, "above 64 MiB it can be borrowed: %s", dsm_error());
	check(dsm_read(r, theirs, &sample) == -EMSGSIZE, "above 64 MiB it can be read: %s", dsm_error());
}

static void run_all(struct dsm *w, struct dsm *r)
{
	struct dsm_cell mine = { 0 }, theirs = { 0 };
	struct dsm_region_info info;
	check(dsm_region_info(r, &info) == 0 && strcmp(info.transport, "rdma") == 0, "not over rdma");
	directory(r);
	all_cells(r);
	too_large(r);
	if (!check(dsm_cell(w, "at.v", &mine) == 0 && dsm_cell(r, "at.v", &theirs) == 0, "names: %s", dsm_error()))
		return;
	uint64_t packets = packets_sent();
	for (uint64_t n = 1; n <= COMMITS && commit(w, mine, n); n++)
		look(r, theirs, n);
	check(packets_sent() - packets > 2 * COMMITS * (ARRAY / 4096), "fewer packets than that takes");
}

int main(void)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *w = NULL, *r = NULL;
	plain_begin(900);
	int rc = own_engine_start(&kind, &engine);
	if (rc == 77)
		return rc;
	opts.attach_timeout_ms = 60000;
	opts.call_timeout_ms = CALL_MS;
	if (rc == 0 && check(dsm_attach(engine.far, &opts, &r) == 0, "reader: %s", dsm_error())) {
		opts.owner = "bulk";
		if (check(dsm_attach(engine.far, &opts, &w) == 0, "owner: %s", dsm_error()))
			run_all(w, r);
	}
	dsm_detach(&w);
	dsm_detach(&r);
	own_engine_end(&engine);
	return plain_end();
}
