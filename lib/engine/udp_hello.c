/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of udp at the engine. Before an address is proven nothing is kept, no key is looked
 * up and no curve is computed; no answer is longer than its question. */
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/udp.h"

#define EPHEMERAL 32u               /* first bytes of Noise's message */

void udp_refuse(struct udp_server *u, const struct udp_path *to, uint32_t client, enum udp_cause cause)
{
	struct udp_refuse m = { client, (uint8_t)cause, UDP_VERSION, UDP_VERSION };
	udp_out_done(u, to, udp_put_refuse(udp_out(u), &m));
}

/* Under the `age`th secret, 0 the newest. */
static void make_cookie(const struct udp_server *u, unsigned age, const struct udp_path *from,
	const struct udp_init *m, uint8_t cookie[UDP_COOKIE])
{
	crypto_generichash_state state;
	const struct sockaddr_in *in = (const void *)&from->address;
	const struct sockaddr_in6 *in6 = (const void *)&from->address;
	crypto_generichash_init(&state, u->secret[age], UDP_SECRET, UDP_COOKIE);
	crypto_generichash_update(&state, (const void *)&in->sin_port, sizeof(in->sin_port));
	if (from->address.ss_family == AF_INET)
		crypto_generichash_update(&state, (const void *)&in->sin_addr, sizeof(in->sin_addr));
	else
		crypto_generichash_update(&state, (const void *)&in6->sin6_addr, sizeof(in6->sin6_addr));
	crypto_generichash_update(&state, (const void *)&m->client, sizeof(m->client));
	crypto_generichash_update(&state, m->key_id, sizeof(m->key_id));
	crypto_generichash_final(&state, cookie, UDP_COOKIE);
}

static bool cookie_holds(const struct udp_server *u, const struct udp_path *from, const struct udp_init *m)
{
	uint8_t cookie[UDP_COOKIE];
	for (unsigned age = 0; age < 2; age++) {
		make_cookie(u, age, from, m, cookie);
		if (sodium_memcmp(cookie, m->cookie, UDP_COOKIE) == 0)
			return true;
	}
	return false;
}

/* The same INIT again: its answer was lost. */
static struct udp_peer *known(const struct udp_server *u, const struct udp_path *from, const struct udp_init *m)
{
	for (uint32_t i = 0; i < u->room; i++) {
		struct udp_peer *p = u->peers[i];
		if (p && p->client == m->client && memcmp(p->ephemeral, m->message, EPHEMERAL) == 0 &&
		    udp_same_path(&p->control_route.path, from))
			return p;
	}
	return NULL;
}

static void answer(struct udp_server *u, struct udp_peer *p)
{
	struct udp_resp m = { .client = p->client };
	memcpy(m.message, p->resp, UDP_HANDSHAKE);
	udp_out_done(u, &p->control_route.path, udp_put_resp(udp_out(u), &m));
}

static uint32_t count_host(uint8_t hosts[][16], uint32_t n, const uint8_t host[16])
{
	uint32_t same = 0;
	for (uint32_t i = 0; i < n; i++)
		same += memcmp(hosts[i], host, 16) == 0;
	return same;
}

/* For one more of this host. Of those that never sealed anything the oldest goes, of the host that has
 * most of them: who makes many throws out his own. */
static void make_room(struct dsm_engine *e, const struct udp_path *from)
{
	struct udp_server *u = e->udp;
	struct udp_peer *open[UDP_UNPROVEN_MAX], *goes = NULL;
	uint8_t hosts[UDP_UNPROVEN_MAX][16], own[16];
	uint32_t n = 0, most = 0;
	udp_host_of(from, own);
	for (uint32_t i = 0; i < u->room && n < UDP_UNPROVEN_MAX; i++)
		if (u->peers[i] && !u->peers[i]->proven) {
			open[n] = u->peers[i];
			udp_host_of(&open[n]->home, hosts[n]);
			n++;
		}
	bool only_own = count_host(hosts, n, own) >= UDP_UNPROVEN_SOURCE;
	if (!only_own && n < UDP_UNPROVEN_MAX)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t same = only_own ? memcmp(hosts[i], own, 16) == 0 : count_host(hosts, n, hosts[i]);
		if (same > most || (same && same == most && open[i]->made_ns < goes->made_ns)) {
			most = same;
			goes = open[i];
		}
	}
	region_count(e->region, COUNTER_UDP_BUSY, 1);
	udp_forget(u, goes);
}

/* The key that is shown, or none: 0, or -EACCES. */
static int find_key(const struct udp_server *u, const struct udp_init *m, const struct key **key)
{
	static const uint8_t none[KEY_ID_BYTES];
	*key = NULL;
	if (memcmp(m->key_id, none, sizeof(none)) == 0)
		return u->auth_none ? 0 : -EACCES;
	*key = u->keys ? keys_find(u->keys, m->key_id) : NULL;
	return *key ? 0 : -EACCES;
}

/* Noise's two messages; the ciphers of both flows. */
static int shake(struct udp_server *u, struct udp_peer *p, const unsigned char *datagram,
	const struct udp_init *m, const struct key *key)
{
	static const uint8_t nobody[NOISE_KEY];
	struct noise_handshake hs = { 0 };
	struct noise_cipher send, receive;
	struct udp_offer theirs;
	unsigned char offer[UDP_OFFER];
	size_t n;
	int rc = noise_begin(&hs, false, key ? key->bytes : nobody, datagram, UDP_PROLOGUE);
	if (rc == 0)
		rc = noise_read(&hs, m->message, UDP_HANDSHAKE, offer, sizeof(offer), &n);
	if (rc == 0 && (n != UDP_OFFER || udp_get_offer(offer, &theirs) || theirs.lowest > UDP_VERSION ||
			theirs.highest < UDP_VERSION))
		rc = -EPROTONOSUPPORT;
	struct udp_offer ours = { UDP_VERSION, UDP_VERSION, UDP_DATAGRAM, p->name, u->idle_ms };
	udp_put_offer(offer, &ours);
	if (rc == 0)
		rc = noise_write(&hs, offer, sizeof(offer), p->resp, sizeof(p->resp), &n);
	if (rc == 0)
		rc = noise_split(&hs, &send, &receive, NULL);
	noise_wipe(&hs);
	if (rc)
		return rc;
	p->control = (struct udp_flow){ .send = send, .receive = receive, .to = p->client, .own = p->name };
	p->data = p->control;
	p->data.bit = UDP_FLOW_BIT;
	noise_wipe_cipher(&send);
	noise_wipe_cipher(&receive);
	return 0;
}

static void take(struct dsm_engine *e, const struct udp_path *from, const unsigned char *datagram,
	const struct udp_init *m, const struct key *key)
{
	struct udp_server *u = e->udp;
	make_room(e, from);
	struct udp_peer *p = calloc(1, sizeof(*p));
	if (!p || udp_place(u, p)) {
		free(p);
		udp_refuse(u, from, m->client, UDP_CAUSE_FULL);
		udp_refused(e, COUNTER_REFUSED_FULL, from, "no place for another client");
		return;
	}
	u->unproven++;
	p->client = m->client;
	p->control_route.path = p->data_route.path = p->home = *from;
	p->made_ns = clock_now(e->clock);
	memcpy(p->ephemeral, m->message, EPHEMERAL);
	if (key) {
		p->has_key = true;
		p->key = *key;
		sodium_memzero(p->key.bytes, sizeof(p->key.bytes));
	}
	int rc = shake(u, p, datagram, m, key);
	if (rc) {
		udp_forget(u, p);
		udp_refuse(u, from, m->client, rc == -EPROTONOSUPPORT ? UDP_CAUSE_VERSION : UDP_CAUSE_KEY);
		udp_refused(e, rc == -EPROTONOSUPPORT ? COUNTER_REFUSED_VERSION : COUNTER_REFUSED_KEY, from,
			rc == -EPROTONOSUPPORT ? "another version" : "a handshake that its key does not fit");
		return;
	}
	answer(u, p);
}

/* One host must not use up the handshakes of a tick. */
static bool may_shake(struct udp_server *u, const struct udp_path *from)
{
	uint8_t host[SOURCE_BYTES];
	udp_host_of(from, host);
	return sources_take(&u->shakes, host, UDP_SHAKES_MAX, UDP_SHAKES_SOURCE);
}

void udp_on_init(struct dsm_engine *e, const struct udp_path *from, const unsigned char *datagram, size_t bytes)
{
	struct udp_server *u = e->udp;
	struct udp_init m;
	uint8_t version;
	const struct key *key;
	if (udp_type_of(datagram, bytes, &version) == -EPROTONOSUPPORT) {
		const unsigned char *c = datagram + 4;
		uint32_t client = c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24;
		region_count(e->region, COUNTER_REFUSED_VERSION, 1);
		if (bytes >= UDP_DATAGRAM)
			udp_refuse(u, from, client, UDP_CAUSE_VERSION);
		return;
	}
	if (udp_get_init(datagram, bytes, &m)) {
		region_count(e->region, COUNTER_UDP_FOREIGN, 1);
		return;
	}
	if (!cookie_holds(u, from, &m)) {
		struct udp_cookie c = { .client = m.client };
		make_cookie(u, 0, from, &m, c.cookie);
		udp_out_done(u, from, udp_put_cookie(udp_out(u), &c));
		region_count(e->region, COUNTER_UDP_COOKIES, 1);
		return;
	}
	struct udp_peer *again = known(u, from, &m);
	if (again) {
		if (!again->proven)
			answer(u, again);
		return;
	}
	if (u->ending) {
		udp_refuse(u, from, m.client, UDP_CAUSE_ENDING);
		region_count(e->region, COUNTER_REFUSED_ENDING, 1);
	} else if (udp_is_full(e)) {
		udp_refuse(u, from, m.client, UDP_CAUSE_FULL);
		udp_refused(e, COUNTER_REFUSED_FULL, from, "the engine has all the clients it takes");
	} else if (find_key(u, &m, &key)) {
		udp_refuse(u, from, m.client, UDP_CAUSE_KEY);
		udp_refused(e, COUNTER_REFUSED_KEY, from, "no key, or one that is not known here");
	} else if (may_shake(u, from)) {
		take(e, from, datagram, &m, key);
	} else {
		region_count(e->region, COUNTER_UDP_BUSY, 1);
	}
}
