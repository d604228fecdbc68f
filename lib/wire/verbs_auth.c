/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/verbs_auth.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "wire/key.h"
#include "wire/le.h"

_Static_assert(VERBS_AUTH_BYTES == VERBS_AUTH_HEAD + NOISE_HANDSHAKE, "no payload");
_Static_assert(VERBS_AUTH_LAST == VERBS_AUTH_HEAD + NOISE_TAG, "the head, sealed");
_Static_assert(VERBS_KEY_ID_BYTES == KEY_ID_BYTES, "one id everywhere");

/* ---- heads ---- */

static void put_head(unsigned char *out, unsigned type)
{
	le_put(out, VERBS_AUTH_MAGIC, 4);
	le_put(out + 4, VERBS_VERSION, 2);
	le_put(out + 6, type, 2);
}

static int check_head(const unsigned char *at, unsigned type)
{
	if (le_get(at, 4) != VERBS_AUTH_MAGIC || le_get(at + 6, 2) != type)
		return -EBADMSG;
	return le_get(at + 4, 2) == VERBS_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* ---- handshake ---- */

/* All that both sides have said until here is in it: version, what for, credits, key id, and the
 * engine's nonce, without which a recorded AUTH1 would verify once more. */
static int begin(struct verbs_auth *a, bool initiator, const uint8_t *psk,
	const struct verbs_request *request, const struct verbs_reply *reply)
{
	unsigned char prologue[VERBS_REQUEST_BYTES + VERBS_REPLY_BYTES];
	verbs_put_request(prologue, request);
	verbs_put_reply(prologue + VERBS_REQUEST_BYTES, reply);
	verbs_auth_wipe(a);
	return noise_begin(&a->hs, initiator, psk, prologue, sizeof(prologue));
}

static int failed(struct verbs_auth *a, int rc)
{
	verbs_auth_wipe(a);
	a->state = VERBS_AUTH_FAILED;
	return rc;
}

int verbs_auth_await(struct verbs_auth *a, const uint8_t psk[NOISE_KEY],
	const struct verbs_request *request, const struct verbs_reply *reply)
{
	int rc = begin(a, false, psk, request, reply);
	if (rc)
		return failed(a, rc);
	a->state = VERBS_AUTH_FIRST;
	return 0;
}

int verbs_auth_call(struct verbs_auth *a, const uint8_t psk[NOISE_KEY],
	const struct verbs_request *request, const struct verbs_reply *reply,
	unsigned char out[VERBS_AUTH_BYTES])
{
	size_t n;
	int rc = begin(a, true, psk, request, reply);
	if (rc == 0)
		rc = noise_write(&a->hs, NULL, 0, out + VERBS_AUTH_HEAD, NOISE_HANDSHAKE, &n);
	if (rc)
		return failed(a, rc);
	put_head(out, 1);
	a->state = VERBS_AUTH_SECOND;
	return 0;
}

static int take_noise(struct verbs_auth *a, const unsigned char *message, size_t n, unsigned type)
{
	size_t none;
	if (n != VERBS_AUTH_BYTES)
		return -EBADMSG;
	int rc = check_head(message, type);
	return rc ? rc : noise_read(&a->hs, message + VERBS_AUTH_HEAD, NOISE_HANDSHAKE, NULL, 0, &none);
}

static int take_first(struct verbs_auth *a, const unsigned char *message, size_t n, unsigned char *out,
	size_t *bytes)
{
	size_t written;
	int rc = take_noise(a, message, n, 1);
	if (rc == 0)
		rc = noise_write(&a->hs, NULL, 0, out + VERBS_AUTH_HEAD, NOISE_HANDSHAKE, &written);
	if (rc == 0)
		rc = noise_split(&a->hs, &a->send, &a->receive, NULL);
	if (rc)
		return rc;
	put_head(out, 2);
	*bytes = VERBS_AUTH_BYTES;
	a->state = VERBS_AUTH_THIRD;
	return 0;
}

static int take_second(struct verbs_auth *a, const unsigned char *message, size_t n, unsigned char *out,
	size_t *bytes)
{
	unsigned char head[VERBS_AUTH_HEAD];
	int rc = take_noise(a, message, n, 2);
	if (rc == 0)
		rc = noise_split(&a->hs, &a->send, &a->receive, NULL);
	put_head(head, 3);
	if (rc == 0)
		rc = noise_seal(&a->send, a->sent, NULL, 0, head, sizeof(head), out);
	if (rc)
		return rc;
	a->sent++;
	*bytes = VERBS_AUTH_LAST;
	a->state = VERBS_AUTH_SEALED;
	return 0;
}

static int take_third(struct verbs_auth *a, const unsigned char *message, size_t n)
{
	unsigned char head[VERBS_AUTH_HEAD];
	if (n != VERBS_AUTH_LAST || noise_open(&a->receive, a->received, NULL, 0, message, n, head))
		return -EBADMSG;
	int rc = check_head(head, 3);
	if (rc)
		return rc;
	a->received++;
	a->state = VERBS_AUTH_SEALED;
	return 0;
}

int verbs_auth_take(struct verbs_auth *a, const void *message, size_t n,
	unsigned char out[VERBS_AUTH_BYTES], size_t *bytes)
{
	int rc;
	*bytes = 0;
	switch (a->state) {
	case VERBS_AUTH_FIRST: rc = take_first(a, message, n, out, bytes); break;
	case VERBS_AUTH_SECOND: rc = take_second(a, message, n, out, bytes); break;
	case VERBS_AUTH_THIRD: rc = take_third(a, message, n); break;
	default: rc = -EINVAL; break;
	}
	return rc ? failed(a, rc) : 0;
}

/* ---- after it ---- */

int verbs_auth_seal(const struct verbs_auth *a, const void *message, size_t n, void *out)
{
	if (a->state != VERBS_AUTH_SEALED)
		return -EINVAL;
	return noise_seal(&a->send, a->sent, NULL, 0, message, n, out);
}

void verbs_auth_sent(struct verbs_auth *a)
{
	a->sent++;
}

int verbs_auth_open(struct verbs_auth *a, const void *sealed, size_t n, void *out, size_t room)
{
	if (a->state != VERBS_AUTH_SEALED)
		return -EINVAL;
	if (n > NOISE_TAG && n - NOISE_TAG > room)
		return failed(a, -EMSGSIZE);
	if (noise_open(&a->receive, a->received, NULL, 0, sealed, n, out))
		return failed(a, -EBADMSG);
	a->received++;
	return (int)(n - NOISE_TAG);
}

void verbs_auth_wipe(struct verbs_auth *a)
{
	sodium_memzero(a, sizeof(*a));
}

void verbs_proof(const uint8_t token[VERBS_TOKEN_BYTES], uint16_t kind, uint32_t session, uint32_t qp_num,
	uint8_t proof[VERBS_PROOF_BYTES])
{
	unsigned char what[10];
	le_put(what, kind, 2);
	le_put(what + 2, session, 4);
	le_put(what + 6, qp_num, 4);
	crypto_generichash(proof, VERBS_PROOF_BYTES, what, sizeof(what), token, VERBS_TOKEN_BYTES);
}
