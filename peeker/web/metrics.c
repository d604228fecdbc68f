/* SPDX-License-Identifier: Apache-2.0 */
/* The model as Prometheus text; see encode.h. A value that is not valid is left out, not shown as
 * if it were: dsm_cell_valid tells which those are. */
#include "encode.h"

#include "text.h"

#include <string.h>

/* A label's value: three characters are escaped there. */
static void put_label(struct buffer *b, const char *name, const char *value)
{
	put(b, name);
	put(b, "=\"");
	for (const char *p = value; *p; p++) {
		if (*p == '\\' || *p == '"')
			put_char(b, '\\');
		if (*p == '\n')
			put(b, "\\n");
		else
			put_char(b, *p);
	}
	put_char(b, '"');
}

static void begin(struct buffer *b, const char *name, const char *type, const char *help)
{
	put(b, "# HELP ");
	put(b, name);
	put_char(b, ' ');
	put(b, help);
	put(b, "\n# TYPE ");
	put(b, name);
	put_char(b, ' ');
	put(b, type);
	put_char(b, '\n');
}

static void one(struct buffer *b, const char *name, const char *type, const char *help,
	double value)
{
	begin(b, name, type, help);
	put(b, name);
	put_char(b, ' ');
	put_f64(b, value);
	put_char(b, '\n');
}

static void put_engine(struct buffer *b, const struct model *model, uint64_t now_ns)
{
	const struct engine_view *engine = &model->engine;
	uint64_t old_ns = now_ns > model->now_ns ? now_ns - model->now_ns : 0;
	bool up = engine->state == ENGINE_RUNNING;

	one(b, "dsm_engine_up", "gauge", "1 while the engine runs", up);
	one(b, "dsm_engine_heartbeat_age_seconds", "gauge",
		"Since its heartbeat moved, by this machine's clock",
		(double)engine->heartbeat_age_ms / 1000);
	one(b, "dsm_peeker_look_age_seconds", "gauge", "Since the engine was last looked at",
		(double)old_ns / NS_PER_S);
	one(b, "dsm_peeker_look_seconds", "gauge", "What the last look took",
		(double)model->took_ns / NS_PER_S);
	one(b, "dsm_peeker_read_p50_seconds", "gauge", "Median of the reads of a group, last seconds",
		(double)model->latency.p50_ns / NS_PER_S);
	one(b, "dsm_peeker_read_p99_seconds", "gauge", "99 % of the reads of a group, last seconds",
		(double)model->latency.p99_ns / NS_PER_S);
	one(b, "dsm_peeker_retries_total", "counter", "Attempts at a read that were repeated",
		(double)model->stats.retries);
	one(b, "dsm_peeker_rejected_total", "counter", "Copies rejected because they were torn",
		(double)model->stats.torn);
	one(b, "dsm_peeker_reattached_total", "counter", "How often the engine was found again",
		(double)engine->reattached);
	begin(b, "dsm_engine_counter", "counter", "The engine's own counters, as dsm stat shows them");
	for (uint32_t i = 0; i < model->n_counters; i++) {
		put(b, "dsm_engine_counter{");
		put_label(b, "name", model->counters[i].name);
		put(b, "} ");
		put_u64(b, model->counters[i].value);
		put_char(b, '\n');
	}
}

static void put_owners(struct buffer *b, const struct model *model)
{
	bool up = model->engine.state == ENGINE_RUNNING;

	begin(b, "dsm_owner_alive", "gauge", "1 while the owner is alive");
	for (uint32_t i = 0; i < model->table->owners; i++) {
		put(b, "dsm_owner_alive{");
		put_label(b, "owner", model->table->owner[i]);
		put(b, up && model->owners[i].state == DSM_ALIVE ? "} 1\n" : "} 0\n");
	}
	begin(b, "dsm_group_commits", "gauge", "Number of the group's newest commit");
	for (uint32_t i = 0; i < model->table->groups; i++) {
		put(b, "dsm_group_commits{");
		put_label(b, "group", model->table->group[i].name);
		put(b, "} ");
		put_u64(b, model->groups[i].seq);
		put_char(b, '\n');
	}
}

static void begin_cell(struct buffer *b, const char *metric, const struct cell_meta *meta)
{
	put(b, metric);
	put_char(b, '{');
	put_label(b, "cell", meta->name);
}

static void put_cells(struct buffer *b, const struct model *model)
{
	const struct table *t = model->table;
	double number;

	begin(b, "dsm_cell_valid", "gauge", "1 if the value may be believed: not stale, not bad");
	for (uint32_t i = 0; i < t->cells; i++) {
		begin_cell(b, "dsm_cell_valid", &t->cell[i]);
		put(b, ",");
		put_label(b, "state", text_verdict(model, i));
		put(b, verdict_is_valid(model_verdict(model, i)) ? "} 1\n" : "} 0\n");
	}
	begin(b, "dsm_cell_value", "gauge", "Value of a number that is valid");
	for (uint32_t i = 0; i < t->cells; i++) {
		if (!verdict_is_valid(model_verdict(model, i)) ||
		    !value_number(&model->cells[i].value, &number))
			continue;
		begin_cell(b, "dsm_cell_value", &t->cell[i]);
		put(b, ",");
		put_label(b, "unit", t->cell[i].unit);
		put(b, "} ");
		put_f64(b, number);
		put_char(b, '\n');
	}
	begin(b, "dsm_cell_age_seconds", "gauge", "Since the value last changed");
	for (uint32_t i = 0; i < t->cells; i++) {
		double age_s = 0;
		enum age_kind kind = model_age(model, i, &age_s);
		if (kind != AGE_EXACT)
			continue;
		begin_cell(b, "dsm_cell_age_seconds", &t->cell[i]);
		put(b, "} ");
		put_rounded(b, age_s, 2);
		put_char(b, '\n');
	}
}

void encode_metrics(struct buffer *b, const struct model *model, const struct web_counts *counts,
	uint64_t now_ns)
{
	put_engine(b, model, now_ns);
	if (model->table) {
		put_owners(b, model);
		put_cells(b, model);
	}
	one(b, "dsm_web_viewers", "gauge", "Streams that are open", counts->viewers);
	one(b, "dsm_web_connections", "gauge", "Connections that are open", counts->links);
	one(b, "dsm_web_viewers_total", "counter", "Streams so far", (double)counts->viewers_total);
	one(b, "dsm_web_requests_total", "counter", "Requests so far", (double)counts->requests);
	one(b, "dsm_web_refused_total", "counter", "Requests refused", (double)counts->refused);
	one(b, "dsm_web_shut_total", "counter", "Connections shut because they were too slow",
		(double)counts->links_shut);
	one(b, "dsm_web_encoded_total", "counter", "Messages encoded, each once for all who get it",
		(double)counts->messages);
	one(b, "dsm_web_sent_bytes_total", "counter", "Bytes handed to streams", (double)counts->bytes);
}
