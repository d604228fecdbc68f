/* SPDX-License-Identifier: Apache-2.0 */
/* The model as JSON and as Prometheus text. Everything here reads a model that stands still (the
 * sampler's lock is held) and appends to a buffer. */
#ifndef PEEKER_WEB_ENCODE_H
#define PEEKER_WEB_ENCODE_H

#include "buffer.h"
#include "guard.h"
#include "model.h"

/** Globs that a client asks for; n = 0: every cell. */
struct wish {
	char globs[GLOBS_MAX][GLOB_MAX + 1];
	int n;
};

bool wish_has(const struct wish *wish, const char *cell);

/** What this viewer has done itself, for /metrics. */
struct web_counts {
	uint64_t requests, refused, viewers_total, messages, bytes, links_shut;
	uint32_t viewers, links;
};

/** What does not change while the table is the same: groups, owners, cells with their numbers. */
void encode_table(struct buffer *b, const struct model *model, const struct wish *wish);
/** What changes: engine, owners, counts, and the cells that have changed since round `since`
 *  (0: all of them). now_ns: own clock, to tell how old the model is. Returns how many cells. */
uint32_t encode_news(struct buffer *b, const struct model *model, const struct wish *wish,
	uint64_t since, uint64_t now_ns);
/** One object for monitors; returns true if the engine runs. */
bool encode_health(struct buffer *b, const struct model *model, uint64_t now_ns);
/** An array of objects, keys as `dsm dump` has them. */
void encode_cells(struct buffer *b, const struct model *model, const struct wish *wish);
/** One cell, with its whole value (as far as it is kept) and its history. */
void encode_cell(struct buffer *b, const struct model *model, uint32_t cell);

/** Prometheus text, version 0.0.4. In metrics.c. */
void encode_metrics(struct buffer *b, const struct model *model, const struct web_counts *counts,
	uint64_t now_ns);

#endif
