/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/verbs.h"

#include <errno.h>
#include <string.h>

static void put_le(unsigned char *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_le(const unsigned char *at, size_t n)
{
	uint32_t value = 0;
	for (size_t i = 0; i < n; i++)
		value |= (uint32_t)at[i] << (8 * i);
	return value;
}

static void put_head(unsigned char *out, uint16_t kind)
{
	put_le(out, VERBS_MAGIC, 4);
	put_le(out + 4, VERBS_VERSION, 2);
	put_le(out + 6, kind, 2);
}

static int get_head(const unsigned char *at, size_t bytes, size_t need)
{
	if (!at || bytes < need || get_le(at, 4) != VERBS_MAGIC)
		return -EBADMSG;
	return get_le(at + 4, 2) == VERBS_VERSION ? 0 : -EPROTONOSUPPORT;
}

static int credits_ok(uint32_t credits)
{
	return credits >= VERBS_CREDITS_MIN && credits <= VERBS_CREDITS_MAX;
}

static int zeros(const uint8_t *at, size_t n)
{
	unsigned any = 0;
	for (size_t i = 0; i < n; i++)
		any |= at[i];
	return any == 0;
}

void verbs_put_request(unsigned char out[VERBS_REQUEST_BYTES], const struct verbs_request *m)
{
	put_head(out, m->kind);
	put_le(out + 8, m->session, 4);
	put_le(out + 12, m->credits, 4);
	memcpy(out + 16, m->proof, VERBS_PROOF_BYTES);
	memcpy(out + 32, m->key_id, VERBS_KEY_ID_BYTES);
}

int verbs_get_request(const void *data, size_t bytes, struct verbs_request *m)
{
	const unsigned char *at = data;
	int rc = get_head(at, bytes, VERBS_REQUEST_BYTES);
	if (rc)
		return rc;
	m->kind = (uint16_t)get_le(at + 6, 2);
	m->session = get_le(at + 8, 4);
	m->credits = get_le(at + 12, 4);
	memcpy(m->proof, at + 16, VERBS_PROOF_BYTES);
	memcpy(m->key_id, at + 32, VERBS_KEY_ID_BYTES);
	if (m->kind < VERBS_CONTROL || m->kind > VERBS_WRITE)
		return -EBADMSG;
	if (m->kind == VERBS_CONTROL ? m->session || !credits_ok(m->credits) :
	    m->credits != 0 || !zeros(m->key_id, VERBS_KEY_ID_BYTES))
		return -EBADMSG;
	return 0;
}

void verbs_put_reply(unsigned char out[VERBS_REPLY_BYTES], const struct verbs_reply *m)
{
	put_head(out, m->kind);
	put_le(out + 8, m->credits, 4);
	put_le(out + 12, m->flags, 4);
	memcpy(out + 16, m->nonce, VERBS_NONCE_BYTES);
}

int verbs_get_reply(const void *data, size_t bytes, struct verbs_reply *m)
{
	const unsigned char *at = data;
	int rc = get_head(at, bytes, VERBS_REPLY_BYTES);
	if (rc)
		return rc;
	m->kind = (uint16_t)get_le(at + 6, 2);
	m->credits = get_le(at + 8, 4);
	m->flags = get_le(at + 12, 4);
	memcpy(m->nonce, at + 16, VERBS_NONCE_BYTES);
	if (m->kind < VERBS_CONTROL || m->kind > VERBS_WRITE || m->flags > REPLY_KEYS ||
	    (!m->flags && !zeros(m->nonce, VERBS_NONCE_BYTES)) ||
	    (m->kind == VERBS_CONTROL ? !credits_ok(m->credits) : m->credits || m->flags))
		return -EBADMSG;
	return 0;
}

size_t verbs_put_reject(unsigned char out[VERBS_REJECT_MAX], const struct verbs_reject *m)
{
	size_t n = strnlen(m->text, VERBS_REJECT_MAX - VERBS_REJECT_HEAD);
	put_head(out, 0);
	put_le(out + 8, (uint32_t)m->status, 4);
	memcpy(out + VERBS_REJECT_HEAD, m->text, n);
	return VERBS_REJECT_HEAD + n;
}

/* The CM pads with zeros, so the text ends there at the latest; what is not printable is not
 * passed on to a terminal. */
int verbs_get_reject(const void *data, size_t bytes, struct verbs_reject *m)
{
	const unsigned char *at = data;
	int rc = get_head(at, bytes, VERBS_REJECT_HEAD);
	if (rc)
		return rc;
	int32_t status = (int32_t)get_le(at + 8, 4);
	if (get_le(at + 6, 2) || status >= 0 || status <= -4096)
		return -EBADMSG;
	size_t room = bytes - VERBS_REJECT_HEAD;
	if (room > VERBS_REJECT_MAX - VERBS_REJECT_HEAD)
		room = VERBS_REJECT_MAX - VERBS_REJECT_HEAD;
	size_t n = strnlen((const char *)at + VERBS_REJECT_HEAD, room);
	m->status = status;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = at[VERBS_REJECT_HEAD + i];
		m->text[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	m->text[n] = 0;
	return 0;
}

void verbs_put_frame(unsigned char out[VERBS_FRAME_HEAD], const struct verbs_frame *m)
{
	put_le(out, m->length, 4);
	put_le(out + 4, m->flags, 2);
	put_le(out + 6, m->credits, 2);
}

int verbs_get_frame(const void *data, size_t bytes, struct verbs_frame *m)
{
	const unsigned char *at = data;
	if (bytes < VERBS_FRAME_HEAD || bytes > VERBS_FRAME_MAX)
		return -EBADMSG;
	m->length = get_le(at, 4);
	m->flags = (uint16_t)get_le(at + 4, 2);
	m->credits = (uint16_t)get_le(at + 6, 2);
	if (m->length != bytes - VERBS_FRAME_HEAD || m->flags > (FRAME_FIRST | FRAME_LAST) ||
	    (m->length == 0 && m->flags) || m->credits > VERBS_CREDITS_MAX)
		return -EBADMSG;
	return 0;
}
