/* SPDX-License-Identifier: Apache-2.0 */
/* rdma at the engine: who comes in. Which key a request names is looked up when it is asked for a
 * connection; that the client has it is shown before HELLO is heard, and before that nothing is said
 * of the table: no address, no rkey, no name. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "engine/verbs.h"

#define ACCUSE_NS UINT64_C(10000000000)

/* The counter has them all. */
static void refused(struct dsm_engine *e, const char *address, const char *why)
{
	uint64_t now = clock_now(e->clock);
	region_count(e->region, COUNTER_REFUSED_KEY, 1);
	if (e->verbs->refused_ns && now - e->verbs->refused_ns < ACCUSE_NS)
		return;
	e->verbs->refused_ns = now;
	engine_log(e, "rdma: %s: %s", address, why);
}

/* ---- keys ---- */

int verbs_auth_start(struct dsm_engine *e)
{
	struct verbs *v = e->verbs;
	if (sodium_init() < 0)
		return dsm__fail(-EIO, "rdma: libsodium cannot start: no random numbers");
	int rc = keys_load_any(e->options.keys, &v->keys);
	if (rc)
		return rc;
	v->auth_none = e->options.auth_none;
	if (!v->auth_none && !keys_for_clients(v->keys))
		return dsm__fail(-EINVAL, "rdma: there are no keys for clients: make some with `dsm keygen` and name "
			"them (dsmd: --keys FILE; a program: dsm_engine_options.keys), or say that everybody who "
			"reaches the port may come in (dsmd: --auth none, or the line \"auth: none\"; a program: "
			"auth_none = true)");
	v->sealed = malloc(STREAM_MESSAGE_MAX);
	return v->sealed ? 0 : dsm__fail(-ENOMEM, "no memory for rdma");
}

void verbs_auth_stop(struct verbs *v)
{
	keys_free(&v->keys);
	free(v->sealed);
}

int verbs_load_keys(struct dsm_engine *e, struct keys **fresh)
{
	*fresh = NULL;
	if (!e->verbs)
		return 0;
	int rc = keys_load_any(e->options.keys, fresh);
	if (rc == 0 && !*fresh && e->verbs->keys)
		rc = dsm__fail(-ENOENT, "rdma: the keys are gone; the old ones go on");
	return rc;
}

static bool may_stay(const struct verbs *v, const struct remote *r)
{
	return r->has_key ? keys_still_id(v->keys, &r->key) : v->auth_none;
}

void verbs_take_keys(struct dsm_engine *e, struct keys **fresh)
{
	struct verbs *v = e->verbs;
	if (!v)
		return;
	keys_free(&v->keys);
	v->keys = *fresh;
	*fresh = NULL;
	for (struct session *s = e->sessions; s; s = s->next) {
		struct remote *r = (struct remote *)s;
		if (s->ops != &remote_ops || s->dead || may_stay(v, r))
			continue;
		region_count(e->region, COUNTER_REFUSED_KEY, 1);
		r->cut = true;
		server_drop(s);
	}
	server_sweep(e);
}

int verbs_find_key(struct dsm_engine *e, struct rdma_cm_id *id, const struct verbs_request *request,
	const struct key **key)
{
	struct verbs *v = e->verbs;
	char address[64] = "";
	bool shown = !sodium_is_zero(request->key_id, sizeof(request->key_id));
	*key = shown && v->keys ? keys_find(v->keys, request->key_id) : NULL;
	if (*key || (!shown && v->auth_none))
		return 0;
	verbs_peer(id, address, sizeof(address));
	refused(e, address, shown ? "a key that is not known here" : "no key");
	return shown ? dsm__fail(-EACCES, "the engine does not know the key that was shown") :
		dsm__fail(-EACCES, "the engine wants a key: give one by key_file or DSM_KEYS (docs/security.md)");
}

int remote_allows(const struct session *s, unsigned what, const char *owner)
{
	const struct remote *r = (const void *)s;
	if (!r->has_key || key_allows(&r->key, (enum key_role)what, owner))
		return 0;
	return dsm__fail(-EACCES, "the key \"%s\" does not allow that%s%s", r->key.label,
		owner ? ": it needs one of role owner:" : "", owner ? owner : "");
}

/* ---- the handshake ---- */

int remote_await(struct remote *r, const struct key *key, const struct verbs_request *request,
	struct verbs_reply *reply)
{
	if (!key)
		return 0;
	r->has_key = true;
	r->key = *key;
	sodium_memzero(r->key.bytes, sizeof(r->key.bytes));
	reply->flags = REPLY_KEYS;
	randombytes_buf(reply->nonce, sizeof(reply->nonce));
	int rc = verbs_auth_await(&r->auth, key->bytes, request, reply);
	return rc ? dsm__fail(rc, "rdma: no handshake can be begun") : 0;
}

static int take(struct remote *r, size_t n)
{
	struct dsm_engine *e = r->session.engine;
	unsigned char out[VERBS_AUTH_BYTES];
	size_t bytes;
	int rc = verbs_auth_take(&r->auth, e->verbs->sealed, n, out, &bytes);
	if (rc) {
		refused(e, r->address, "a handshake that its key does not fit");
		return -EACCES;
	}
	return bytes ? endpoint_send(&r->ep, out, bytes) : 0;
}

int remote_hear(struct remote *r, void *message, size_t room)
{
	if (r->auth.state == VERBS_AUTH_NONE)
		return endpoint_recv(&r->ep, message, room);
	unsigned char *sealed = r->session.engine->verbs->sealed;
	for (;;) { /* each message of the handshake is the last of its kind */
		int n = endpoint_recv(&r->ep, sealed, STREAM_MESSAGE_MAX);
		if (n < 0)
			return n;
		if (r->auth.state == VERBS_AUTH_SEALED)
			return verbs_auth_open(&r->auth, sealed, (size_t)n, message, room);
		int rc = take(r, (size_t)n);
		if (rc)
			return rc;
	}
}

int remote_say(struct remote *r, const void *message, size_t bytes)
{
	if (r->auth.state == VERBS_AUTH_NONE)
		return endpoint_send(&r->ep, message, bytes);
	unsigned char *sealed = r->session.engine->verbs->sealed;
	if (bytes > STREAM_MESSAGE_MAX - NOISE_TAG)
		return -EMSGSIZE;
	if (verbs_auth_seal(&r->auth, message, bytes, sealed))
		return -ECONNRESET;
	int rc = endpoint_send(&r->ep, sealed, bytes + NOISE_TAG);
	if (rc == 0)
		verbs_auth_sent(&r->auth);
	return rc;
}

bool remote_dawdles(struct remote *r, uint64_t now)
{
	if (r->auth.state == VERBS_AUTH_NONE || r->auth.state == VERBS_AUTH_SEALED ||
	    now - r->session.since_ns <= VERBS_HANDSHAKE_NS)
		return false;
	refused(r->session.engine, r->address, "a handshake that was not ended in time");
	return true;
}
