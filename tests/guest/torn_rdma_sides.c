/* SPDX-License-Identifier: Apache-2.0 */
/* The engine and the two owners of torn_rdma. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "torn_rdma.h"

static const char *const owner_names[OWNERS] = { "near", "far" };

void torn_group_name(const struct row *row, char name[64])
{
	snprintf(name, 64, "%s.%ux%u", owner_names[row->owner], torn_sizes[row->size], row->slots);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	nanosleep(&t, NULL);
}

/* ---- engine ---- */

static int add_group(struct dsm_table *table, const struct row *row)
{
	char name[64];
	torn_group_name(row, name);
	struct dsm_group_spec group = { owner_names[row->owner], name, "", row->slots, 0, true };
	uint32_t size = torn_sizes[row->size];
	struct dsm_cell_spec cell = { .group = name, .name = "v", .unit = "", .description = "",
		.type = size == TORN_SCALAR ? DSM_U64 : DSM_BYTES, .capacity = size - 64, .precision = -1 };
	int rc = dsm_table_group(table, &group);
	return rc ? rc : dsm_table_cell(table, &cell);
}

static int make_table(struct dsm_table **out)
{
	struct row row;
	int rc = dsm_table_new("torn", out);
	for (row.owner = 0; rc == 0 && row.owner < OWNERS; row.owner++) {
		struct dsm_owner_spec owner = { owner_names[row.owner], row.owner == FAR, "*" };
		rc = dsm_table_owner(*out, &owner);
		for (row.size = 0; rc == 0 && row.size < SIZES; row.size++)
			for (row.slots = 2; rc == 0 && row.slots <= 4; row.slots *= 2)
				rc = add_group(*out, &row);
	}
	return rc;
}

int torn_engine(struct torn_board *board, bool rdma)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	struct dsm_engine *engine = NULL;
	opts.name = board->name;
	opts.tick_ms = 50;
	opts.lease_ms = 5000; /* an emulated machine under load */
	opts.rdma = rdma ? strstr(board->uri, "://") + 3 : NULL;
	opts.auth_none = true;
	int rc = make_table(&table);
	if (rc == 0)
		rc = dsm_engine_open(table, &opts, &engine);
	dsm_table_free(&table);
	if (rc)
		printf("engine: %s\n", dsm_error());
	atomic_store(&board->engine_ready, rc ? rc : 1);
	while (rc == 0 && !atomic_load(&board->stop))
		sleep_ns(20000000);
	dsm_engine_close(&engine);
	return rc;
}

/* ---- owners ---- */

struct writer {
	struct dsm *dsm;
	struct orders *orders;
	uint64_t *image;
	uint64_t seq[SIZES][2]; /* of the last commit to each group */
};

static int commit(struct writer *w, const struct row *row, struct dsm_cell cell)
{
	uint64_t *last = &w->seq[row->size][row->slots == 4], seq = *last + 1;
	uint32_t bytes = torn_sizes[row->size] - 64;
	struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = torn_word(seq, 0) };
	if (bytes) {
		for (uint32_t i = 0; i < bytes / 8; i++)
			w->image[i] = torn_word(seq, i);
		v = (struct dsm_value){ .type = DSM_BYTES, .len = bytes, .bytes = w->image };
	}
	int rc = dsm_begin(w->dsm, torn_time(seq));
	if (rc == 0)
		rc = dsm_set(w->dsm, cell, &v);
	if (rc == 0)
		rc = dsm_commit(w->dsm, NULL);
	else
		dsm_abort(w->dsm);
	if (rc == 0)
		*last = seq;
	return rc;
}

/* Commits as one order says, until the next one. */
static int obey(struct writer *w, const struct row *row, uint32_t turn)
{
	char name[80];
	struct dsm_cell cell;
	torn_group_name(row, name);
	strcat(name, ".v");
	int rc = dsm_cell(w->dsm, name, &cell);
	while (rc == 0 && atomic_load(&w->orders->turn) == turn) {
		rc = commit(w, row, cell);
		if (rc)
			break;
		atomic_fetch_add(&w->orders->commits, 1);
		if (w->orders->pace_ns)
			sleep_ns(w->orders->pace_ns);
	}
	if (rc)
		printf("owner of %s: commit after %llu: %d %s\n", name,
			(unsigned long long)w->orders->commits, rc, dsm_error());
	return rc;
}

int torn_owner(struct torn_board *board, enum torn_owner who)
{
	struct writer w = { .orders = &board->owner[who] };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner_names[who];
	opts.attach_timeout_ms = 15000;
	w.image = calloc(1, torn_sizes[SIZES - 1]);
	int rc = w.image ? dsm_attach(who == NEAR ? board->near_uri : board->uri, &opts, &w.dsm) : -ENOMEM;
	if (rc)
		printf("owner %s: %s\n", opts.owner, dsm_error());
	atomic_store(&w.orders->ready, rc ? rc : 1);
	while (rc == 0 && !atomic_load(&board->stop)) {
		uint32_t turn = atomic_load(&w.orders->turn);
		struct row row = { .size = w.orders->size, .slots = w.orders->slots, .owner = who };
		atomic_store(&w.orders->seen, turn);
		if (turn & 1)
			rc = obey(&w, &row, turn);
		else
			sleep_ns(1000000);
	}
	atomic_store(&w.orders->error, rc);
	dsm_detach(&w.dsm);
	free(w.image);
	return rc;
}
