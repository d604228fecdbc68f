/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/control.h"

#include <errno.h>
#include <string.h>

#include <dsm/dsm.h>

#include "wire/status.h"

/* ---- primitives ---- */

static bool put(struct control_writer *w, const void *bytes, size_t n)
{
	if (w->full || n > w->room - w->size) {
		w->full = true;
		return false;
	}
	memcpy(w->data + w->size, bytes, n);
	w->size += n;
	return true;
}

static void put_le(struct control_writer *w, uint64_t value, size_t n)
{
	unsigned char b[8];
	for (size_t i = 0; i < n; i++)
		b[i] = (unsigned char)(value >> (8 * i));
	put(w, b, n);
}

static void put_text(struct control_writer *w, const char *text, size_t max)
{
	size_t n = strnlen(text, max - 1);
	put_le(w, n, 2);
	put(w, text, n);
}

static const unsigned char *get(struct control_reader *r, size_t n)
{
	if (n > r->size - r->at)
		return NULL;
	const unsigned char *p = r->data + r->at;
	r->at += n;
	return p;
}

static bool get_le(struct control_reader *r, size_t n, uint64_t *value)
{
	const unsigned char *p = get(r, n);
	if (!p)
		return false;
	*value = 0;
	for (size_t i = 0; i < n; i++)
		*value |= (uint64_t)p[i] << (8 * i);
	return true;
}

static bool get_32(struct control_reader *r, uint32_t *value)
{
	uint64_t v;
	if (!get_le(r, 4, &v))
		return false;
	*value = (uint32_t)v;
	return true;
}

static bool get_text(struct control_reader *r, char *text, size_t room)
{
	uint64_t n;
	if (!get_le(r, 2, &n) || n >= room)
		return false;
	const unsigned char *p = get(r, n);
	if (!p || memchr(p, 0, n))
		return false;
	memcpy(text, p, n);
	text[n] = 0;
	return true;
}

static int done(bool ok)
{
	return ok ? 0 : -EBADMSG;
}

/* ---- head ---- */

void control_begin(struct control_writer *w, void *buffer, size_t room, enum control_type type)
{
	*w = (struct control_writer){ .data = buffer, .room = room };
	put_le(w, CONTROL_MAGIC, 4);
	put_le(w, DSM_CONTROL_VERSION, 2);
	put_le(w, (uint64_t)type, 2);
	put_le(w, 0, 8);
}

size_t control_end(struct control_writer *w)
{
	struct control_writer head = { .data = w->data + 8, .room = 8 };
	put_le(&head, w->size, 4);
	put_le(&head, w->entries, 4);
	return w->size;
}

int control_open(struct control_reader *r, const void *data, size_t size)
{
	*r = (struct control_reader){ .data = data, .size = size };
	uint64_t magic, version, type, bytes, entries;
	if (size > CONTROL_MAX || !get_le(r, 4, &magic) || !get_le(r, 2, &version) ||
	    !get_le(r, 2, &type) || !get_le(r, 4, &bytes) || !get_le(r, 4, &entries) ||
	    magic != CONTROL_MAGIC)
		return -EBADMSG;
	if (version != DSM_CONTROL_VERSION)
		return -EPROTONOSUPPORT;
	if (bytes != size || type < CONTROL_HELLO || type >= CONTROL_TYPE_END || entries > size)
		return -EBADMSG;
	r->type = (enum control_type)type;
	r->entries = (uint32_t)entries;
	return 0;
}

bool control_at_end(const struct control_reader *r)
{
	return r->at == r->size;
}

/* ---- messages ---- */

void control_put_hello(struct control_writer *w, const struct control_hello *m)
{
	put_le(w, m->control_version, 4);
	put_le(w, m->layout_version, 4);
	put_le(w, m->flags, 4);
	put_le(w, m->pid, 4);
	put(w, m->client_id, 16);
	put_le(w, m->last_number, 8);
	put_text(w, m->owner, sizeof(m->owner));
	put_text(w, m->program, sizeof(m->program));
}

int control_get_hello(struct control_reader *r, struct control_hello *m)
{
	const unsigned char *id = NULL;
	bool ok = get_32(r, &m->control_version) && get_32(r, &m->layout_version) &&
		get_32(r, &m->flags) && get_32(r, &m->pid) && (id = get(r, 16)) != NULL &&
		get_le(r, 8, &m->last_number) && get_text(r, m->owner, sizeof(m->owner)) &&
		get_text(r, m->program, sizeof(m->program));
	if (ok)
		memcpy(m->client_id, id, 16);
	return done(ok);
}

void control_put_welcome(struct control_writer *w, const struct control_welcome *m)
{
	put_le(w, status_to_wire(m->status), 4);
	put_le(w, m->session, 4);
	put_le(w, m->flags, 4);
	put_le(w, m->owner, 4);
	put_le(w, m->epoch, 4);
	put_le(w, m->bank_epoch, 4);
	put_le(w, m->generation, 8);
	put_le(w, m->header_bytes, 8);
	put_le(w, m->directory_bytes, 8);
	put_le(w, m->waiters_bytes, 8);
	put_text(w, m->text, sizeof(m->text));
}

int control_get_welcome(struct control_reader *r, struct control_welcome *m)
{
	uint32_t status = 0;
	bool ok = get_32(r, &status) && get_32(r, &m->session) && get_32(r, &m->flags) &&
		get_32(r, &m->owner) && get_32(r, &m->epoch) && get_32(r, &m->bank_epoch) &&
		get_le(r, 8, &m->generation) && get_le(r, 8, &m->header_bytes) &&
		get_le(r, 8, &m->directory_bytes) && get_le(r, 8, &m->waiters_bytes) &&
		get_text(r, m->text, sizeof(m->text));
	m->status = status_from_wire(status);
	return done(ok && m->status <= 0);
}

void control_put_map(struct control_writer *w, const struct control_map *m)
{
	put_le(w, m->first, 4);
	put_le(w, m->count, 4);
}

int control_get_map(struct control_reader *r, struct control_map *m)
{
	return done(get_32(r, &m->first) && get_32(r, &m->count));
}

void control_put_bank(struct control_writer *w, const struct control_bank *m)
{
	put_le(w, m->epoch, 4);
	put_le(w, m->rkey, 4);
	put_le(w, m->addr, 8);
	w->entries++;
}

int control_get_bank(struct control_reader *r, struct control_bank *m)
{
	return done(get_32(r, &m->epoch) && get_32(r, &m->rkey) && get_le(r, 8, &m->addr));
}

void control_put_keys(struct control_writer *w, const struct control_keys *m)
{
	put(w, m->token, 16);
	put_le(w, m->base_addr, 8);
	put_le(w, m->base_bytes, 8);
	put_le(w, m->base_rkey, 4);
	put_le(w, m->own_rkey, 4);
	put_le(w, m->own_addr, 8);
	put_le(w, m->own_bytes, 8);
}

/* A range that wraps around is refused here, so that nobody behind it has to think of it. */
int control_get_keys(struct control_reader *r, struct control_keys *m)
{
	const unsigned char *token = get(r, 16);
	bool ok = token && get_le(r, 8, &m->base_addr) && get_le(r, 8, &m->base_bytes) &&
		get_32(r, &m->base_rkey) && get_32(r, &m->own_rkey) &&
		get_le(r, 8, &m->own_addr) && get_le(r, 8, &m->own_bytes) &&
		m->base_bytes <= UINT64_MAX - m->base_addr && m->own_bytes <= UINT64_MAX - m->own_addr;
	if (ok)
		memcpy(m->token, token, 16);
	return done(ok);
}

void control_put_u32(struct control_writer *w, uint32_t value)
{
	put_le(w, value, 4);
	w->entries++;
}

void control_put_u64(struct control_writer *w, uint64_t value)
{
	put_le(w, value, 8);
}

int control_get_u32(struct control_reader *r, uint32_t *value)
{
	return done(get_32(r, value));
}

int control_get_u64(struct control_reader *r, uint64_t *value)
{
	return done(get_le(r, 8, value));
}

/* An entry is put whole or not at all. */
static bool entry(struct control_writer *w, size_t before)
{
	if (w->full) {
		w->size = before;
		return false;
	}
	w->entries++;
	return true;
}

static bool is_scalar(uint8_t type)
{
	return type >= DSM_BOOL && type <= DSM_F64;
}

static uint64_t data_bytes(uint8_t type, uint32_t len)
{
	return type == DSM_F64_ARRAY ? 8ull * len : len;
}

bool control_put_request(struct control_writer *w, const struct control_request *m)
{
	size_t before = w->size;
	put_le(w, m->number, 8);
	put_le(w, m->cell, 4);
	put_le(w, m->client, 4);
	put_le(w, m->op, 1);
	put_le(w, m->type, 1);
	put_le(w, m->flags, 2);
	put_le(w, m->len, 4);
	if (is_scalar(m->type))
		put_le(w, m->word, 8);
	else
		put(w, m->data, data_bytes(m->type, m->len));
	if (m->flags & DSM_HAS_MIN)
		put_le(w, m->floor, 8);
	if (m->flags & DSM_HAS_MAX)
		put_le(w, m->ceil, 8);
	return entry(w, before);
}

int control_get_request(struct control_reader *r, struct control_request *m)
{
	uint64_t op = 0, type = 0, flags = 0;
	*m = (struct control_request){ 0 };
	bool ok = get_le(r, 8, &m->number) && get_32(r, &m->cell) && get_32(r, &m->client) &&
		get_le(r, 1, &op) && get_le(r, 1, &type) && get_le(r, 2, &flags) &&
		get_32(r, &m->len);
	if (!ok || (op != CONTROL_SET && op != CONTROL_ADD) || type < DSM_BOOL ||
	    type > DSM_F64_ARRAY || flags > (DSM_HAS_MIN | DSM_HAS_MAX))
		return -EBADMSG;
	m->op = (uint8_t)op;
	m->type = (uint8_t)type;
	m->flags = (uint16_t)flags;
	if (is_scalar(m->type))
		ok = m->len == 1 && get_le(r, 8, &m->word);
	else
		ok = op == CONTROL_SET && (m->data = get(r, data_bytes(m->type, m->len))) != NULL;
	if (ok && (flags & DSM_HAS_MIN))
		ok = get_le(r, 8, &m->floor);
	if (ok && (flags & DSM_HAS_MAX))
		ok = get_le(r, 8, &m->ceil);
	return done(ok);
}

bool control_put_reply(struct control_writer *w, const struct control_reply *m)
{
	size_t before = w->size;
	put_le(w, m->number, 8);
	put_le(w, status_to_wire(m->status), 4);
	put_le(w, m->previous, 8);
	put_text(w, m->status ? m->text : "", sizeof(m->text));
	return entry(w, before);
}

int control_get_reply(struct control_reader *r, struct control_reply *m)
{
	uint32_t status = 0;
	bool ok = get_le(r, 8, &m->number) && get_32(r, &status) && get_le(r, 8, &m->previous) &&
		get_text(r, m->text, sizeof(m->text));
	m->status = status_from_wire(status);
	return done(ok && m->status <= 0 && m->status > -4096);
}

bool control_put_client(struct control_writer *w, const struct control_client *m)
{
	size_t before = w->size;
	put_le(w, m->session, 4);
	put_le(w, m->pid, 4);
	put_le(w, m->uid, 4);
	put_le(w, m->age_ms, 8);
	put_le(w, m->requests, 8);
	put_le(w, m->messages, 8);
	put_text(w, m->program, sizeof(m->program));
	put_text(w, m->role, sizeof(m->role));
	put_text(w, m->transport, sizeof(m->transport));
	put_text(w, m->address, sizeof(m->address));
	return entry(w, before);
}

int control_get_client(struct control_reader *r, struct control_client *m)
{
	return done(get_32(r, &m->session) && get_32(r, &m->pid) && get_32(r, &m->uid) &&
		get_le(r, 8, &m->age_ms) && get_le(r, 8, &m->requests) &&
		get_le(r, 8, &m->messages) && get_text(r, m->program, sizeof(m->program)) &&
		get_text(r, m->role, sizeof(m->role)) &&
		get_text(r, m->transport, sizeof(m->transport)) &&
		get_text(r, m->address, sizeof(m->address)));
}

static void put_f64(struct control_writer *w, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, 8);
	put_le(w, bits, 8);
}

static bool get_f64(struct control_reader *r, double *value)
{
	uint64_t bits;
	if (!get_le(r, 8, &bits) || (bits >> 52 & 0x7ff) == 0x7ff)
		return false;
	memcpy(value, &bits, 8);
	return true;
}

bool control_put_device(struct control_writer *w, const struct control_device *m)
{
	size_t before = w->size;
	put_le(w, m->id, 4);
	put_le(w, m->epoch, 4);
	put_le(w, m->seq, 4);
	put_le(w, m->tick_us, 4);
	put_le(w, m->inputs, 4);
	put_le(w, m->state, 1);
	put_le(w, m->flags, 1);
	put_le(w, 0, 2);
	put_le(w, m->age_ns, 8);
	for (unsigned i = 0; i < CONTROL_DEVICE_COUNTS; i++)
		put_le(w, m->counts[i], 8);
	put_f64(w, m->rate_hz);
	for (unsigned i = 0; i < 4; i++)
		put_f64(w, m->clock[i]);
	put_text(w, m->name, sizeof(m->name));
	put_text(w, m->owner, sizeof(m->owner));
	put_text(w, m->address, sizeof(m->address));
	return entry(w, before);
}

int control_get_device(struct control_reader *r, struct control_device *m)
{
	uint64_t state = 0, flags = 0, zero = 0;
	bool ok = get_32(r, &m->id) && get_32(r, &m->epoch) && get_32(r, &m->seq) && get_32(r, &m->tick_us) &&
		get_32(r, &m->inputs) && get_le(r, 1, &state) && get_le(r, 1, &flags) && get_le(r, 2, &zero) &&
		get_le(r, 8, &m->age_ns) && zero == 0 &&
		state <= (CONTROL_DEVICE_HEARD | CONTROL_DEVICE_ALIVE | CONTROL_DEVICE_CLOCK);
	for (unsigned i = 0; ok && i < CONTROL_DEVICE_COUNTS; i++)
		ok = get_le(r, 8, &m->counts[i]);
	ok = ok && get_f64(r, &m->rate_hz);
	for (unsigned i = 0; ok && i < 4; i++)
		ok = get_f64(r, &m->clock[i]);
	m->state = (uint8_t)state;
	m->flags = (uint8_t)flags;
	return done(ok && get_text(r, m->name, sizeof(m->name)) && get_text(r, m->owner, sizeof(m->owner)) &&
		get_text(r, m->address, sizeof(m->address)));
}

void control_put_event(struct control_writer *w, const struct control_event *m)
{
	put_le(w, m->kind, 4);
	put_le(w, m->owner, 4);
	put_le(w, m->value, 8);
}

int control_get_event(struct control_reader *r, struct control_event *m)
{
	return done(get_32(r, &m->kind) && get_32(r, &m->owner) && get_le(r, 8, &m->value));
}

void control_put_wait(struct control_writer *w, const struct control_wait *m)
{
	put_le(w, m->number, 4);
	for (uint32_t i = 0; i < m->n; i++) {
		put_le(w, m->group[i], 4);
		put_le(w, m->since[i], 8);
		w->entries++;
	}
}

int control_get_wait(struct control_reader *r, struct control_wait *m)
{
	bool ok = get_32(r, &m->number) && r->entries >= 1 && r->entries <= CONTROL_WAIT_MAX;
	m->n = ok ? r->entries : 0;
	for (uint32_t i = 0; ok && i < m->n; i++)
		ok = get_32(r, &m->group[i]) && get_le(r, 8, &m->since[i]);
	return done(ok);
}
