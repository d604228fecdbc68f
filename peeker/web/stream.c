/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events. A viewer has no queue: it knows which round it has been shown, and when it
 * can take more it is given what has changed since, whatever that is by then. So a slow viewer
 * gets fewer and newer messages, and costs nobody anything. A message is encoded once for all who
 * were shown the same round. A viewer that has nothing to take is suspended: a callback that
 * returned 0 instead would be called again at once, for ever.
 */
#include "web.h"

#include <stdlib.h>
#include <string.h>

/* A viewer hears at least this often how the engine is, also where its rate is lower. */
#define BEAT_NS NS_PER_S
/* A message says how old the look is, so an older one is not given to somebody else. */
#define SHARED_MAX_NS (NS_PER_S / 4)
/* Rounds and rates are never in step to the last millisecond. */
#define SLACK_NS 10000000u
#define BLOCK (16u << 10)

struct viewer {
	struct viewer *next, *before;
	struct web *web;
	struct MHD_Connection *connection;
	struct wish wish;
	uint64_t gap_ns;             /* between its messages with cells */
	uint64_t told_ns;            /* when the last one of them was taken */
	uint64_t sent_ns;            /* when the last one of any kind was */
	uint64_t version, shown;     /* table and round that it has been shown */
	enum engine_state engine;
	struct message *message;     /* on its way; NULL: none */
	size_t at;
	bool asleep, begun;
};

/* ---- messages ---- */

static void drop(struct message **message)
{
	struct message *m = *message;

	*message = NULL;
	if (!m || --m->holders)
		return;
	free(m->text);
	free(m);
}

static struct message *find_recent(struct web *web, uint64_t version, uint64_t from, uint64_t to)
{
	uint64_t now_ns = own_clock_ns();

	for (int i = 0; i < RECENT_MAX; i++) {
		struct message *m = web->recent[i];
		if (m && m->version == version && m->from == from && m->to == to &&
		    now_ns - m->made_ns < SHARED_MAX_NS)
			return m;
	}
	return NULL;
}

static void keep_recent(struct web *web, struct message *m)
{
	struct message **place = &web->recent[web->recent_at++ % RECENT_MAX];

	drop(place);
	m->holders++;
	*place = m;
}

/* from 0: all that there is, the table first. */
static struct message *encode(struct web *web, const struct model *model, const struct wish *wish,
	uint64_t version, uint64_t from)
{
	struct message *m = calloc(1, sizeof *m);
	struct buffer b = { 0 };

	if (!m)
		return NULL;
	if (from == 0) {
		put(&b, "retry: 1000\nevent: table\ndata: ");
		encode_table(&b, model, wish);
		put(&b, "\n\n");
	}
	put(&b, "event: news\ndata: ");
	m->made_ns = own_clock_ns();
	m->cells = encode_news(&b, model, wish, from, m->made_ns);
	put(&b, "\n\n");
	m->version = version;
	m->from = from;
	m->to = model->round;
	m->text = b.text;
	m->length = b.length;
	m->holders = 1;
	web->counts.messages++;
	if (b.failed)
		drop(&m);
	return m;
}

/* What has changed after round `from` for this viewer, held; NULL without memory. */
static struct message *message_for(struct viewer *v, const struct model *model, uint64_t version,
	uint64_t from)
{
	struct web *web = v->web;
	struct message *m = v->wish.n ? NULL : find_recent(web, version, from, model->round);

	if (m) {
		m->holders++;
		return m;
	}
	m = encode(web, model, &v->wish, version, from);
	if (m && v->wish.n == 0)
		keep_recent(web, m);
	return m;
}

/* Give it its next message, if there is one that is due. Cells come at its own rate, and another
 * table and a change of the engine's state at the next beat; a beat before that has no cells. */
static void take_message(struct viewer *v, const struct model *model, uint64_t now_ns)
{
	uint64_t version = model->table ? model->table->version : 0;
	bool other = !v->begun || v->version != version;
	bool fresh = other || v->engine != model->engine.state;
	bool beat = now_ns - v->sent_ns + SLACK_NS >= BEAT_NS;
	bool due = now_ns - v->told_ns + SLACK_NS >= v->gap_ns;
	bool cells = due || (beat && other);

	if (!beat && (!due || (!fresh && model->round <= v->shown)))
		return;
	struct message *m = message_for(v, model, version, !cells ? model->round :
		other ? 0 : v->shown);
	if (!m)
		return;
	v->version = version;
	v->engine = model->engine.state;
	if (cells)
		v->shown = m->to;
	if (m->cells == 0 && !fresh && !beat) {
		drop(&m);
		return;
	}
	if (cells)
		v->told_ns = now_ns;
	v->begun = true;
	v->message = m;
	v->at = 0;
	v->sent_ns = now_ns;
}

/* ---- what libmicrohttpd calls ---- */

static ssize_t read_stream(void *context, uint64_t position, char *buf, size_t room)
{
	struct viewer *v = context;

	(void)position;
	if (v->web->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!v->message) {
		take_message(v, sampler_lock(v->web->sampler), own_clock_ns());
		sampler_unlock(v->web->sampler);
	}
	if (!v->message) {
		v->asleep = true;
		MHD_suspend_connection(v->connection);
		return 0;
	}
	size_t n = v->message->length - v->at;
	n = n < room ? n : room;
	memcpy(buf, v->message->text + v->at, n);
	v->at += n;
	v->web->counts.bytes += n;
	if (v->at == v->message->length)
		drop(&v->message);
	return (ssize_t)n;
}

static void end_stream(void *context)
{
	struct viewer *v = context;

	if (v->before)
		v->before->next = v->next;
	else
		v->web->viewers = v->next;
	if (v->next)
		v->next->before = v->before;
	v->web->counts.viewers--;
	drop(&v->message);
	free(v);
}

/* ---- for the server ---- */

static struct viewer *new_viewer(struct web *web, struct MHD_Connection *connection,
	const struct wish *wish, double rate)
{
	struct viewer *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->web = web;
	v->connection = connection;
	v->wish = *wish;
	v->gap_ns = (uint64_t)(NS_PER_S / rate);
	v->next = web->viewers;
	if (v->next)
		v->next->before = v;
	web->viewers = v;
	web->counts.viewers++;
	web->counts.viewers_total++;
	return v;
}

enum MHD_Result stream_answer(struct web *web, struct MHD_Connection *connection,
	const struct wish *wish, double rate)
{
	if (web->counts.viewers >= VIEWERS_MAX)
		return refuse(web, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			"%u streams are open, which is all that one peeker serves; close some, or start "
			"another peeker", web->counts.viewers);
	struct viewer *v = new_viewer(web, connection, wish, rate);
	if (!v)
		return MHD_NO;
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK,
		read_stream, v, end_stream);
	if (!response) {
		end_stream(v);
		return MHD_NO;
	}
	add_headers(response);
	MHD_add_response_header(response, "Content-Type", "text/event-stream; charset=utf-8");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	/* a reverse proxy must not collect events before it passes them on */
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	link_is(connection, LINK_STREAMS);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, STUCK_MAX_S);
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

uint64_t streams_feed(struct web *web, uint64_t now_ns)
{
	const struct model *model = sampler_lock(web->sampler);
	uint64_t next_ns = now_ns + BEAT_NS;

	for (struct viewer *v = web->viewers; v; v = v->next) {
		if (!v->asleep)
			continue;
		take_message(v, model, now_ns);
		if (v->message) {
			v->asleep = false;
			MHD_resume_connection(v->connection);
			continue;
		}
		uint64_t beat_ns = v->sent_ns + BEAT_NS, due_ns = v->told_ns + v->gap_ns;
		if (model->round <= v->shown || due_ns > beat_ns)
			due_ns = beat_ns;
		next_ns = due_ns < next_ns ? due_ns : next_ns;
	}
	sampler_unlock(web->sampler);
	return next_ns;
}

void streams_end(struct web *web)
{
	web->ending = true;
	for (struct viewer *v = web->viewers; v; v = v->next) {
		if (!v->asleep)
			continue;
		v->asleep = false;
		MHD_resume_connection(v->connection);
	}
}

void streams_forget(struct web *web)
{
	for (int i = 0; i < RECENT_MAX; i++)
		drop(&web->recent[i]);
}
