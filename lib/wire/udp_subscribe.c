/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of subscriptions. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "wire/le.h"
#include "wire/status.h"
#include "wire/udp.h"

#define WISH_BYTES 28u
#define SUBSCRIBE_HEAD 20u
#define UPDATE_HEAD 16u
#define KINDS 3u
#define STATUS_MIN (-4096)

bool udp_put_subscribe(struct udp_writer *w, const struct udp_subscribe *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_SUBSCRIBE, SUBSCRIBE_HEAD + (size_t)WISH_BYTES * m->n);
	if (!at)
		return false;
	le_put(at, m->id, 4);
	le_put(at + 4, m->interval_us, 4);
	le_put(at + 8, m->every_nth, 4);
	le_put(at + 12, m->generation, 8);
	at += SUBSCRIBE_HEAD;
	for (uint32_t i = 0; i < m->n; i++, at += WISH_BYTES) {
		uint64_t bits;
		memcpy(&bits, &m->wish[i].band, sizeof(bits));
		le_put(at, m->wish[i].group, 4);
		le_put(at + 4, m->wish[i].kind, 4);
		le_put(at + 8, bits, 8);
		le_put(at + 16, m->wish[i].seq, 8);
		le_put(at + 24, m->wish[i].epoch, 4);
	}
	return true;
}

static int get_wish(const unsigned char *at, struct udp_wish *m)
{
	uint64_t bits = le_get(at + 8, 8);
	*m = (struct udp_wish){ .group = (uint32_t)le_get(at, 4), .kind = (uint32_t)le_get(at + 4, 4),
		.seq = le_get(at + 16, 8), .epoch = (uint32_t)le_get(at + 24, 4) };
	memcpy(&m->band, &bits, sizeof(bits));
	return m->kind >= KINDS || !isfinite(m->band) || signbit(m->band) ? -EBADMSG : 0;
}

int udp_get_subscribe(const struct udp_frame *f, struct udp_subscribe *m)
{
	if (f->type != UDP_SUBSCRIBE || f->bytes < SUBSCRIBE_HEAD + WISH_BYTES ||
	    (f->bytes - SUBSCRIBE_HEAD) % WISH_BYTES)
		return -EBADMSG;
	uint32_t n = (f->bytes - SUBSCRIBE_HEAD) / WISH_BYTES;
	if (n > UDP_WISHES_MAX)
		return -EBADMSG;
	m->id = (uint32_t)le_get(f->body, 4);
	m->interval_us = (uint32_t)le_get(f->body + 4, 4);
	m->every_nth = (uint32_t)le_get(f->body + 8, 4);
	m->generation = le_get(f->body + 12, 8);
	m->n = n;
	if (!m->id || !m->every_nth)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++)
		if (get_wish(f->body + SUBSCRIBE_HEAD + WISH_BYTES * i, &m->wish[i]))
			return -EBADMSG;
	return 0;
}

bool udp_put_subscribed(struct udp_writer *w, const struct udp_subscribed *m)
{
	unsigned char *at = udp_frame_begin(w, UDP_SUBSCRIBED, 8);
	if (at) {
		le_put(at, m->id, 4);
		le_put(at + 4, status_to_wire(m->status), 4);
	}
	return at != NULL;
}

int udp_get_subscribed(const struct udp_frame *f, struct udp_subscribed *m)
{
	if (f->type != UDP_SUBSCRIBED || f->bytes != 8)
		return -EBADMSG;
	int32_t status = (int32_t)le_get(f->body + 4, 4);
	if (status > 0 || status <= STATUS_MIN)
		return -EBADMSG;
	*m = (struct udp_subscribed){ (uint32_t)le_get(f->body, 4), status_from_wire((uint32_t)status) };
	return 0;
}

bool udp_put_unsubscribe(struct udp_writer *w, uint32_t id)
{
	unsigned char *at = udp_frame_begin(w, UDP_UNSUBSCRIBE, 4);
	if (at)
		le_put(at, id, 4);
	return at != NULL;
}

int udp_get_unsubscribe(const struct udp_frame *f, uint32_t *id)
{
	if (f->type != UDP_UNSUBSCRIBE || f->bytes != 4)
		return -EBADMSG;
	*id = (uint32_t)le_get(f->body, 4);
	return 0;
}

static unsigned char *put_place(struct udp_writer *w, enum udp_frame_type type, uint32_t id, uint32_t index,
	uint64_t seq, size_t more)
{
	unsigned char *at = udp_frame_begin(w, type, UPDATE_HEAD + more);
	if (at) {
		le_put(at, id, 4);
		le_put(at + 4, index, 4);
		le_put(at + 8, seq, 8);
	}
	return at;
}

bool udp_put_update(struct udp_writer *w, const struct udp_update *m)
{
	unsigned char *at = put_place(w, UDP_UPDATE, m->id, m->index, m->seq, m->bytes);
	if (at && m->bytes)
		memcpy(at + UPDATE_HEAD, m->data, m->bytes);
	return at != NULL;
}

int udp_get_update(const struct udp_frame *f, struct udp_update *m)
{
	if (f->type != UDP_UPDATE || f->bytes < UPDATE_HEAD || f->bytes > UPDATE_HEAD + UDP_PIECE)
		return -EBADMSG;
	*m = (struct udp_update){ (uint32_t)le_get(f->body, 4), (uint32_t)le_get(f->body + 4, 4),
		le_get(f->body + 8, 8), (uint16_t)(f->bytes - UPDATE_HEAD), f->body + UPDATE_HEAD };
	return 0;
}

bool udp_put_updated(struct udp_writer *w, const struct udp_updated *m)
{
	return put_place(w, UDP_UPDATED, m->id, m->index, m->seq, 0) != NULL;
}

int udp_get_updated(const struct udp_frame *f, struct udp_updated *m)
{
	if (f->type != UDP_UPDATED || f->bytes != UPDATE_HEAD)
		return -EBADMSG;
	*m = (struct udp_updated){ (uint32_t)le_get(f->body, 4), (uint32_t)le_get(f->body + 4, 4),
		le_get(f->body + 8, 8) };
	return 0;
}
