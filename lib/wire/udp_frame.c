/* SPDX-License-Identifier: Apache-2.0 */
/* The frames inside of a DATA, and the commits inside of segments. */
#include <errno.h>
#include <string.h>

#include "wire/le.h"
#include "wire/status.h"
#include "wire/udp.h"

#define LINE_BYTES 16u
#define NEWEST_BYTES 12u
#define PULSE_HEAD 32u
#define ANSWER_HEAD 20u
#define STATUS_MIN (-4096)

unsigned char *udp_frame_begin(struct udp_writer *w, enum udp_frame_type type, size_t bytes)
{
	if (bytes + UDP_FRAME_HEAD > w->room - w->size)
		return NULL;
	unsigned char *at = w->data + w->size;
	at[0] = (unsigned char)type;
	at[1] = 0;
	le_put(at + 2, bytes, 2);
	w->size += UDP_FRAME_HEAD + bytes;
	return at + UDP_FRAME_HEAD;
}

int udp_next_frame(const unsigned char **at, const unsigned char *end, struct udp_frame *frame)
{
	size_t left = (size_t)(end - *at);
	if (left == 0)
		return 0;
	if (left < UDP_FRAME_HEAD || (*at)[0] == 0 || (*at)[1] != 0)
		return -EBADMSG;
	frame->type = (*at)[0];
	frame->bytes = (uint16_t)le_get(*at + 2, 2);
	frame->body = *at + UDP_FRAME_HEAD;
	if (frame->bytes > left - UDP_FRAME_HEAD)
		return -EBADMSG;
	*at = frame->body + frame->bytes;
	return 1;
}

static bool is(const struct udp_frame *f, enum udp_frame_type type, size_t bytes)
{
	return f->type == type && f->bytes == bytes;
}

static bool status_ok(int32_t status)
{
	return status <= 0 && status > STATUS_MIN;
}

/* ---- the stream ---- */

bool udp_put_segment(struct udp_writer *w, const struct udp_segment *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_SEGMENT, 8u + m->bytes);
	if (!at)
		return false;
	le_put(at, m->seq, 4);
	le_put(at + 4, m->flags, 2);
	le_put(at + 6, 0, 2);
	memcpy(at + 8, m->data, m->bytes);
	return true;
}

int udp_get_segment(const struct udp_frame *f, struct udp_segment *m)
{
	if (f->type != UDP_SEGMENT || f->bytes <= 8 || f->bytes > 8 + UDP_PIECE)
		return -EBADMSG;
	uint16_t flags = (uint16_t)le_get(f->body + 4, 2);
	if (flags > (UDP_FIRST | UDP_LAST) || le_get(f->body + 6, 2))
		return -EBADMSG;
	*m = (struct udp_segment){ (uint32_t)le_get(f->body, 4), flags, (uint16_t)(f->bytes - 8), f->body + 8 };
	return 0;
}

bool udp_put_ack(struct udp_writer *w, const struct udp_ack *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_ACK, 12);
	if (!at)
		return false;
	le_put(at, m->next, 4);
	le_put(at + 4, m->beyond, 8);
	return true;
}

int udp_get_ack(const struct udp_frame *f, struct udp_ack *m)
{
	if (!is(f, UDP_ACK, 12))
		return -EBADMSG;
	*m = (struct udp_ack){ (uint32_t)le_get(f->body, 4), le_get(f->body + 4, 8) };
	return 0;
}

/* ---- reading ---- */

bool udp_put_read(struct udp_writer *w, const struct udp_read *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_READ, 28);
	if (!at)
		return false;
	le_put(at, m->id, 4);
	le_put(at + 4, m->kind, 4);
	le_put(at + 8, m->index, 4);
	le_put(at + 12, m->offset, 4);
	le_put(at + 16, m->bytes, 4);
	le_put(at + 20, m->arg, 8);
	return true;
}

int udp_get_read(const struct udp_frame *f, struct udp_read *m)
{
	if (!is(f, UDP_READ, 28))
		return -EBADMSG;
	uint32_t kind = (uint32_t)le_get(f->body + 4, 4);
	if (kind < UDP_READ_BASE || kind >= UDP_READ_END)
		return -EBADMSG;
	*m = (struct udp_read){ (uint32_t)le_get(f->body, 4), (uint8_t)kind, (uint32_t)le_get(f->body + 8, 4),
		(uint32_t)le_get(f->body + 12, 4), (uint32_t)le_get(f->body + 16, 4), le_get(f->body + 20, 8) };
	return 0;
}

bool udp_put_answer(struct udp_writer *w, const struct udp_answer *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_ANSWER, ANSWER_HEAD + m->bytes);
	if (!at)
		return false;
	le_put(at, m->id, 4);
	le_put(at + 4, status_to_wire(m->status), 4);
	le_put(at + 8, m->seq, 8);
	le_put(at + 16, m->offset, 4);
	if (m->bytes)
		memcpy(at + ANSWER_HEAD, m->data, m->bytes);
	return true;
}

int udp_get_answer(const struct udp_frame *f, struct udp_answer *m)
{
	if (f->type != UDP_ANSWER || f->bytes < ANSWER_HEAD || f->bytes > ANSWER_HEAD + UDP_PIECE)
		return -EBADMSG;
	int32_t status = (int32_t)le_get(f->body + 4, 4);
	uint16_t bytes = (uint16_t)(f->bytes - ANSWER_HEAD);
	if (!status_ok(status) || (status && bytes))
		return -EBADMSG;
	*m = (struct udp_answer){ (uint32_t)le_get(f->body, 4), status_from_wire((uint32_t)status), le_get(f->body + 8, 8),
		(uint32_t)le_get(f->body + 16, 4), bytes, f->body + ANSWER_HEAD };
	return 0;
}

/* ---- what goes on ---- */

bool udp_put_ask(struct udp_writer *w, const struct udp_ask *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_ASK, 12u + 4u * m->groups);
	if (!at)
		return false;
	le_put(at, m->beat, 8);
	le_put(at + 8, m->first_owner, 4);
	for (uint32_t i = 0; i < m->groups; i++)
		le_put(at + 12 + 4 * i, m->group[i], 4);
	return true;
}

int udp_get_ask(const struct udp_frame *f, struct udp_ask *m)
{
	if (f->type != UDP_ASK || f->bytes < 12 || f->bytes % 4 || f->bytes > 12 + 4 * UDP_AGES_MAX)
		return -EBADMSG;
	m->beat = le_get(f->body, 8);
	m->first_owner = (uint32_t)le_get(f->body + 8, 4);
	m->groups = (f->bytes - 12u) / 4;
	for (uint32_t i = 0; i < m->groups; i++)
		m->group[i] = (uint32_t)le_get(f->body + 12 + 4 * i, 4);
	return 0;
}

static size_t pulse_bytes(const struct udp_pulse *m)
{
	return PULSE_HEAD + LINE_BYTES * m->owners + 8u * m->counters + NEWEST_BYTES * m->groups;
}

bool udp_put_pulse(struct udp_writer *w, const struct udp_pulse *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_PULSE, pulse_bytes(m));
	if (!at)
		return false;
	le_put(at, m->generation, 8);
	le_put(at + 8, m->heartbeat, 8);
	le_put(at + 16, m->state, 4);
	le_put(at + 20, m->first_owner, 4);
	le_put(at + 24, m->owners, 2);
	le_put(at + 26, m->counters, 2);
	le_put(at + 28, m->groups, 4);
	at += PULSE_HEAD;
	for (uint32_t i = 0; i < m->owners; i++, at += LINE_BYTES) {
		le_put(at, m->line[i].bank_state, 8);
		le_put(at + 8, m->line[i].epoch, 4);
		le_put(at + 12, m->line[i].pid, 4);
	}
	for (uint32_t i = 0; i < m->counters; i++, at += 8)
		le_put(at, m->counter[i], 8);
	for (uint32_t i = 0; i < m->groups; i++, at += NEWEST_BYTES) {
		le_put(at, m->newest[i].group, 4);
		le_put(at + 4, m->newest[i].seq, 8);
	}
	return true;
}

int udp_get_pulse(const struct udp_frame *f, struct udp_pulse *m)
{
	const unsigned char *at = f->body;
	if (f->type != UDP_PULSE || f->bytes < PULSE_HEAD)
		return -EBADMSG;
	*m = (struct udp_pulse){ .generation = le_get(at, 8), .heartbeat = le_get(at + 8, 8),
		.state = (uint32_t)le_get(at + 16, 4), .first_owner = (uint32_t)le_get(at + 20, 4),
		.owners = (uint16_t)le_get(at + 24, 2), .counters = (uint16_t)le_get(at + 26, 2),
		.groups = (uint16_t)le_get(at + 28, 2) };
	if (m->owners > UDP_OWNERS_MAX || m->counters > UDP_COUNTERS_MAX || m->groups > UDP_AGES_MAX ||
	    le_get(at + 30, 2) || f->bytes != pulse_bytes(m))
		return -EBADMSG;
	at += PULSE_HEAD;
	for (uint32_t i = 0; i < m->owners; i++, at += LINE_BYTES)
		m->line[i] = (struct udp_line){ le_get(at, 8), (uint32_t)le_get(at + 8, 4),
			(uint32_t)le_get(at + 12, 4) };
	for (uint32_t i = 0; i < m->counters; i++, at += 8)
		m->counter[i] = le_get(at, 8);
	for (uint32_t i = 0; i < m->groups; i++, at += NEWEST_BYTES)
		m->newest[i] = (struct udp_newest){ (uint32_t)le_get(at, 4), le_get(at + 4, 8) };
	return 0;
}

/* ---- waiting, committing, ending: a number and one or two more ---- */

static bool put_pair(struct udp_writer *w, enum udp_frame_type type, uint32_t small, uint64_t large)
{
	unsigned char *at = udp_frame_begin(w, type, 12);
	if (!at)
		return false;
	le_put(at, small, 4);
	le_put(at + 4, large, 8);
	return true;
}

bool udp_put_wait(struct udp_writer *w, const struct udp_wait *m)
{
	return put_pair(w, UDP_WAIT, m->group, m->since);
}

bool udp_put_notify(struct udp_writer *w, const struct udp_newest *m)
{
	return put_pair(w, UDP_NOTIFY, m->group, m->seq);
}

bool udp_put_committed(struct udp_writer *w, const struct udp_committed *m)
{
	return put_pair(w, UDP_COMMITTED, status_to_wire(m->status), m->number);
}

int udp_get_wait(const struct udp_frame *f, struct udp_wait *m)
{
	if (!is(f, UDP_WAIT, 12))
		return -EBADMSG;
	*m = (struct udp_wait){ (uint32_t)le_get(f->body, 4), le_get(f->body + 4, 8) };
	return 0;
}

int udp_get_notify(const struct udp_frame *f, struct udp_newest *m)
{
	if (!is(f, UDP_NOTIFY, 12))
		return -EBADMSG;
	*m = (struct udp_newest){ (uint32_t)le_get(f->body, 4), le_get(f->body + 4, 8) };
	return 0;
}

int udp_get_committed(const struct udp_frame *f, struct udp_committed *m)
{
	if (!is(f, UDP_COMMITTED, 12) || !status_ok((int32_t)le_get(f->body, 4)))
		return -EBADMSG;
	*m = (struct udp_committed){ le_get(f->body + 4, 8),
		status_from_wire((uint32_t)le_get(f->body, 4)) };
	return 0;
}

bool udp_put_close(struct udp_writer *w, const struct udp_close *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_CLOSE, 4);
	if (at)
		le_put(at, status_to_wire(m->status), 4);
	return at != NULL;
}

int udp_get_close(const struct udp_frame *f, struct udp_close *m)
{
	if (!is(f, UDP_CLOSE, 4) || !status_ok((int32_t)le_get(f->body, 4)))
		return -EBADMSG;
	m->status = status_from_wire((uint32_t)le_get(f->body, 4));
	return 0;
}

bool udp_put_prove(struct udp_writer *w, const struct udp_prove *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_PROVE, 8);
	if (at)
		le_put(at, m->number, 8);
	return at != NULL;
}

int udp_get_prove(const struct udp_frame *f, struct udp_prove *m)
{
	if (!is(f, UDP_PROVE, 8))
		return -EBADMSG;
	m->number = le_get(f->body, 8);
	return 0;
}

void udp_put_commit(unsigned char out[UDP_COMMIT_HEAD], const struct udp_commit *m)
{
	le_put(out, m->number, 8);
	le_put(out + 8, m->group, 4);
	le_put(out + 12, m->kind, 4);
}

int udp_get_commit(const void *message, size_t bytes, struct udp_commit *m)
{
	const unsigned char *at = message;
	if (bytes <= UDP_COMMIT_HEAD)
		return -EBADMSG;
	uint32_t kind = (uint32_t)le_get(at + 12, 4);
	if (kind < UDP_COMMIT_SLOT || kind > UDP_COMMIT_BOTH)
		return -EBADMSG;
	*m = (struct udp_commit){ le_get(at, 8), (uint32_t)le_get(at + 8, 4), (uint8_t)kind };
	return 0;
}
