/* SPDX-License-Identifier: Apache-2.0 */
/* A client's key: from a file like the engine's, or from DSM_KEYS. Of several lines the strongest
 * that fits is taken: the role's own, then `request`, then `read`. No error text shows a key. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "port/port.h"
#include "transport/secret.h"

#define TEXT_MAX ((size_t)256 << 10)
#define BLANKS " \t\r"

struct search { const char *owner, *source; int rank; struct transport_secret found; };

/* How good a role is for what is wanted; 0 = of no use. */
static int rank_of(const char *role, size_t n, const char *owner)
{
	if (owner)
		return n == strlen(owner) + 6 && strncmp(role, "owner:", 6) == 0 &&
			memcmp(role + 6, owner, n - 6) == 0;
	if (n > 6 && strncmp(role, "owner:", 6) == 0)
		return 1;
	return n == 7 && memcmp(role, "request", 7) == 0 ? 3 : n == 4 && memcmp(role, "read", 4) == 0 ? 2 : 0;
}

static int take_line(struct search *s, const char *line, size_t n, unsigned number)
{
	const char *word[3];
	size_t length[3], at = 0;
	for (unsigned i = 0; i < 3; i++) {
		while (at < n && strchr(BLANKS, line[at]))
			at++;
		word[i] = line + at;
		while (at < n && !strchr(BLANKS "#", line[at]))
			at++;
		length[i] = (size_t)(line + at - word[i]);
	}
	if (length[0] == 0)
		return 0;
	int rank = rank_of(word[0], length[0], s->owner);
	if (rank <= s->rank)
		return 0;
	int rc = length[2] ? key_parse(word[2], length[2], KEY_BYTES, s->found.psk) : -EINVAL;
	if (rc == 0)
		rc = key_id(s->found.psk, KEY_BYTES, s->found.id);
	if (rc)
		return dsm__fail(-EINVAL, "%s:%u: expected ROLE LABEL KEY, a key of 32 bytes as 64 hexadecimal "
			"digits or base64", s->source, number);
	s->rank = rank;
	s->found.there = true;
	return 0;
}

static int take_text(struct search *s, const char *text, const char *ends)
{
	int rc = 0;
	unsigned number = 0;
	for (size_t n; rc == 0 && *text; text += n + (text[n] != '\0')) {
		n = strcspn(text, ends);
		rc = take_line(s, text, n, ++number);
	}
	return rc;
}

static int take_file(struct search *s, const char *path)
{
	char *text = NULL;
	int rc = port_private_file(path, TEXT_MAX, sodium_malloc, &text);
	if (rc == 0)
		rc = take_text(s, text, "\n");
	sodium_free(text);
	return rc;
}

int transport_secret_find(const struct transport_identity *as, struct transport_secret *out)
{
	const char *environment = getenv("DSM_KEYS");
	struct search s = { .owner = as->owner, .source = as->key_file ? as->key_file : "DSM_KEYS" };
	int rc = 0;
	if (sodium_init() < 0)
		return dsm__fail(-EIO, "libsodium cannot start: no random numbers");
	if (as->no_key)
		return 0;
	if (as->key_file)
		rc = take_file(&s, as->key_file);
	else if (environment)
		rc = take_text(&s, environment, "\n;");
	if (rc == 0 && !s.found.there && as->key_file)
		rc = dsm__fail(-EACCES, "%s: has no key %s%s", s.source, as->owner ? "of role owner:" :
			"of role read or request", as->owner ? as->owner : "");
	if (rc == 0)
		*out = s.found;
	sodium_memzero(&s.found, sizeof(s.found));
	return rc;
}
