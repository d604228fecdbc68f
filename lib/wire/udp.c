/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of the udp transport; what stands inside of DATA is in udp_frame.c. */
#include "wire/udp.h"

#include <errno.h>
#include <string.h>

#include "wire/le.h"

#define COOKIE_BYTES 24u
#define RESP_BYTES (8u + UDP_HANDSHAKE)
#define REFUSE_BYTES 12u
#define RESET_BYTES 16u

static void put_head(unsigned char *out, enum udp_type type, uint32_t name)
{
	out[0] = 'D';
	out[1] = 'U';
	out[2] = UDP_VERSION;
	out[3] = (unsigned char)type;
	le_put(out + 4, name, 4);
}

int udp_type_of(const void *datagram, size_t bytes, uint8_t *version)
{
	const unsigned char *at = datagram;
	if (bytes < 8 || at[0] != 'D' || at[1] != 'U' || at[3] < UDP_INIT || at[3] > UDP_RESET)
		return -EBADMSG;
	*version = at[2];
	return at[2] == UDP_VERSION ? at[3] : -EPROTONOSUPPORT;
}

static bool is_type(const void *datagram, size_t bytes, enum udp_type type)
{
	uint8_t version;
	return udp_type_of(datagram, bytes, &version) == (int)type;
}

/* ---- handshake ---- */

size_t udp_put_init(unsigned char out[UDP_DATAGRAM], const struct udp_init *m)
{
	memset(out, 0, UDP_DATAGRAM);
	put_head(out, UDP_INIT, m->client);
	memcpy(out + 8, m->key_id, KEY_ID_BYTES);
	memcpy(out + 16, m->cookie, UDP_COOKIE);
	memcpy(out + 32, m->message, UDP_HANDSHAKE);
	return UDP_DATAGRAM;
}

int udp_get_init(const void *datagram, size_t bytes, struct udp_init *m)
{
	const unsigned char *at = datagram;
	if (!is_type(datagram, bytes, UDP_INIT) || bytes != UDP_DATAGRAM)
		return -EBADMSG;
	m->client = (uint32_t)le_get(at + 4, 4);
	memcpy(m->key_id, at + 8, KEY_ID_BYTES);
	memcpy(m->cookie, at + 16, UDP_COOKIE);
	memcpy(m->message, at + 32, UDP_HANDSHAKE);
	return 0;
}

size_t udp_put_cookie(unsigned char *out, const struct udp_cookie *m)
{
	put_head(out, UDP_COOKIE_IS, m->client);
	memcpy(out + 8, m->cookie, UDP_COOKIE);
	return COOKIE_BYTES;
}

int udp_get_cookie(const void *datagram, size_t bytes, struct udp_cookie *m)
{
	const unsigned char *at = datagram;
	if (!is_type(datagram, bytes, UDP_COOKIE_IS) || bytes != COOKIE_BYTES)
		return -EBADMSG;
	m->client = (uint32_t)le_get(at + 4, 4);
	memcpy(m->cookie, at + 8, UDP_COOKIE);
	return 0;
}

size_t udp_put_resp(unsigned char *out, const struct udp_resp *m)
{
	put_head(out, UDP_RESP, m->client);
	memcpy(out + 8, m->message, UDP_HANDSHAKE);
	return RESP_BYTES;
}

int udp_get_resp(const void *datagram, size_t bytes, struct udp_resp *m)
{
	const unsigned char *at = datagram;
	if (!is_type(datagram, bytes, UDP_RESP) || bytes != RESP_BYTES)
		return -EBADMSG;
	m->client = (uint32_t)le_get(at + 4, 4);
	memcpy(m->message, at + 8, UDP_HANDSHAKE);
	return 0;
}

/* Read whatever version it is of: it says which ones there are. */
size_t udp_put_refuse(unsigned char *out, const struct udp_refuse *m)
{
	put_head(out, UDP_REFUSE, m->client);
	out[8] = m->cause;
	out[9] = m->lowest;
	out[10] = m->highest;
	out[11] = 0;
	return REFUSE_BYTES;
}

int udp_get_refuse(const void *datagram, size_t bytes, struct udp_refuse *m)
{
	const unsigned char *at = datagram;
	uint8_t version;
	int type = udp_type_of(datagram, bytes, &version);
	if ((type < 0 && type != -EPROTONOSUPPORT) || bytes != REFUSE_BYTES || at[3] != UDP_REFUSE ||
	    at[8] < UDP_CAUSE_VERSION || at[8] >= UDP_CAUSE_END || at[9] > at[10] || at[11])
		return -EBADMSG;
	*m = (struct udp_refuse){ (uint32_t)le_get(at + 4, 4), at[8], at[9], at[10] };
	return 0;
}

size_t udp_put_reset(unsigned char *out, const struct udp_reset *m)
{
	put_head(out, UDP_RESET, m->session);
	le_put(out + 8, m->counter, 8);
	return RESET_BYTES;
}

int udp_get_reset(const void *datagram, size_t bytes, struct udp_reset *m)
{
	const unsigned char *at = datagram;
	if (!is_type(datagram, bytes, UDP_RESET) || bytes != RESET_BYTES)
		return -EBADMSG;
	*m = (struct udp_reset){ (uint32_t)le_get(at + 4, 4), le_get(at + 8, 8) };
	return 0;
}

void udp_put_data(unsigned char *out, const struct udp_data *m)
{
	put_head(out, UDP_DATA, m->to);
	le_put(out + 8, m->counter, 8);
}

int udp_get_data(const void *datagram, size_t bytes, struct udp_data *m)
{
	const unsigned char *at = datagram;
	if (!is_type(datagram, bytes, UDP_DATA) || bytes < UDP_DATA_HEAD + NOISE_TAG || bytes > UDP_DATAGRAM)
		return -EBADMSG;
	*m = (struct udp_data){ (uint32_t)le_get(at + 4, 4), le_get(at + 8, 8) };
	return 0;
}

void udp_put_offer(unsigned char out[UDP_OFFER], const struct udp_offer *m)
{
	memset(out, 0, UDP_OFFER);
	out[0] = m->lowest;
	out[1] = m->highest;
	le_put(out + 2, m->datagram, 2);
	le_put(out + 4, m->session, 4);
	le_put(out + 8, m->idle_ms, 4);
}

int udp_get_offer(const unsigned char in[UDP_OFFER], struct udp_offer *m)
{
	if (in[0] > in[1] || le_get(in + 2, 2) < UDP_DATAGRAM)
		return -EBADMSG;
	*m = (struct udp_offer){ in[0], in[1], (uint16_t)le_get(in + 2, 2), (uint32_t)le_get(in + 4, 4),
		(uint32_t)le_get(in + 8, 4) };
	return 0;
}
