/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: read, checked line by line, kept where they are not swapped out. */
#include "engine/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/near.h"
#include "engine/table.h"

/* One word of a line. */
struct word { const char *text; size_t n; };

struct line {
	const char *name;       /* FILE */
	uint32_t number;
	struct word role, label, key;
};

#define ROLES "read, request, owner:NAME or device:NUMBER"

/* ---- one line -------------------------------------------------------------------------- */

static int refuse(const struct line *line, const char *field, const char *text)
{
	return dsm__fail(-EINVAL, "%s:%u: %s: %s", line->name, line->number, field, text);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off [*at, end); a '#' begins a comment. */
static struct word take_word(const char **at, const char *end)
{
	while (*at < end && is_space(**at))
		(*at)++;
	struct word w = { *at, 0 };
	if (*at < end && **at == '#')
		*at = end;
	while (*at < end && !is_space(**at))
		(*at)++;
	w.n = w.text < end && *w.text == '#' ? 0 : (size_t)(*at - w.text);
	return w;
}

static bool plain(struct word w, size_t max)
{
	if (w.n == 0 || w.n > max)
		return false;
	for (size_t i = 0; i < w.n; i++) {
		char c = w.text[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '_' || c == '-' || c == '.';
		if (!ok)
			return false;
	}
	return true;
}

static bool is(struct word w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.text, text, w.n) == 0;
}

/* The part behind "owner:" or "device:". */
static bool behind(struct word w, const char *prefix, struct word *rest)
{
	size_t n = strlen(prefix);
	if (w.n < n || memcmp(w.text, prefix, n) != 0)
		return false;
	*rest = (struct word){ w.text + n, w.n - n };
	return true;
}

static bool number(struct word w, uint32_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < w.n; i++) {
		if (w.text[i] < '0' || w.text[i] > '9' || i >= 10)
			return false;
		value = value * 10 + (uint64_t)(w.text[i] - '0');
	}
	*out = (uint32_t)value;
	return w.n > 0 && value <= UINT32_MAX;
}

/* A role that is none may be a key in the wrong place: only what is near to a word is shown. */
static int bad_role(const struct line *line)
{
	char role[16], offer[80], text[200];
	struct near near;
	snprintf(role, sizeof(role), "%.*s", (int)(line->role.n < 15 ? line->role.n : 15), line->role.text);
	near_begin(&near, role);
	near_offer(&near, "read");
	near_offer(&near, "request");
	near_offer(&near, "owner:NAME");
	near_offer(&near, "device:NUMBER");
	near_text(&near, offer, sizeof(offer));
	if (!plain(line->role, 12))
		offer[0] = '\0';
	snprintf(text, sizeof(text), "expected " ROLES "%s", offer);
	return refuse(line, "role", text);
}

static int parse_role(const struct line *line, struct key *key)
{
	struct word rest;
	if (is(line->role, "read")) {
		key->role = KEY_READ;
	} else if (is(line->role, "request")) {
		key->role = KEY_REQUEST;
	} else if (behind(line->role, "owner:", &rest)) {
		key->role = KEY_OWNER;
		if (!plain(rest, sizeof(key->owner) - 1))
			return refuse(line, "role", "expected owner: and the name of an owner, 1 to 63 letters, "
				"digits, '_', '-'");
		memcpy(key->owner, rest.text, rest.n);
	} else if (behind(line->role, "device:", &rest)) {
		key->role = KEY_DEVICE;
		if (!number(rest, &key->device))
			return refuse(line, "role", "expected device: and its number, 0 to 4294967295");
	} else {
		return bad_role(line);
	}
	return 0;
}

static int parse_key(const struct line *line, struct key *key)
{
	size_t bytes = key->role == KEY_DEVICE ? KEY_DEVICE_BYTES : KEY_BYTES;
	char text[160];
	int rc = key_parse(line->key.text, line->key.n, bytes, key->bytes);
	if (rc == -EDOM)
		return refuse(line, "key", "all its bytes are alike: expected a random one; dsm keygen makes it");
	if (rc) {
		snprintf(text, sizeof(text), "expected %zu bytes as %zu hexadecimal digits or %zu characters of "
			"base64, found %zu characters", bytes, 2 * bytes, (bytes + 2) / 3 * 4, line->key.n);
		return refuse(line, "key", text);
	}
	return key_id(key->bytes, bytes, key->id) ? dsm__fail(-EIO, "%s: libsodium cannot start", line->name) : 0;
}

static int parse_line(const struct line *line, struct key *key)
{
	*key = (struct key){ .line = line->number };
	int rc = parse_role(line, key);
	if (rc)
		return rc;
	if (!plain(line->label, KEYS_LABEL_MAX))
		return refuse(line, "label", line->label.n ? "expected 1 to 32 letters, digits, '_', '-', '.'" :
			"missing: expected a name for this key, then the key");
	memcpy(key->label, line->label.text, line->label.n);
	if (line->key.n == 0)
		return refuse(line, "key", "missing: expected ROLE LABEL KEY");
	return parse_key(line, key);
}

/* ---- the text -------------------------------------------------------------------------- */

static int add(struct keys *keys, const struct line *line)
{
	struct key *key = &keys->key[keys->count];
	char text[80];
	int rc = parse_line(line, key);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < keys->count; i++) {
		/* one key for two roles would make the weaker one as strong as the other */
		if (memcmp(keys->key[i].id, key->id, KEY_ID_BYTES) != 0)
			continue;
		snprintf(text, sizeof(text), "the same key is in line %u: expected another", keys->key[i].line);
		return refuse(line, "key", text);
	}
	keys->count++;
	return 0;
}

static int load_lines(struct keys *keys, const char *text, size_t size, bool semicolons)
{
	const char *at = text, *end = text + size;
	struct line line = { .name = keys->name };
	for (line.number = 1; at < end; line.number++) {
		const char *stop = at, *next;
		while (stop < end && *stop != '\n' && !(semicolons && *stop == ';'))
			stop++;
		next = stop < end ? stop + 1 : end;
		if (memchr(at, 0, (size_t)(stop - at)))
			return refuse(&line, "line", "expected text, found a NUL");
		line.role = take_word(&at, stop);
		line.label = take_word(&at, stop);
		line.key = take_word(&at, stop);
		struct word more = take_word(&at, stop);
		at = next;
		if (line.role.n == 0)
			continue;
		if (more.n)
			return refuse(&line, "line", "expected ROLE LABEL KEY, found more");
		if (keys->count == KEYS_MAX)
			return dsm__fail(-E2BIG, "%s:%u: line: expected at most %u keys", keys->name, line.number,
				KEYS_MAX);
		int rc = add(keys, &line);
		if (rc)
			return rc;
	}
	return keys->count ? 0 : dsm__fail(-EINVAL, "%s:1: line: no key in it: expected ROLE LABEL KEY, ROLE being "
		ROLES, keys->name);
}

/* As many lines as there may be keys, at most. */
static size_t lines_of(const char *text, size_t size)
{
	size_t n = 1;
	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n' || text[i] == ';';
	return n < KEYS_MAX ? n : KEYS_MAX;
}

static int load(const char *name, const char *text, size_t size, bool semicolons, struct keys **out)
{
	if (sodium_init() < 0)
		return dsm__fail(-EIO, "%s: libsodium cannot start", name);
	/* one more: a line is read into the place behind the last key */
	size_t bytes = sizeof(struct keys) + (lines_of(text, size) + 1) * sizeof(struct key);
	struct keys *keys = sodium_malloc((bytes + 7) & ~(size_t)7);
	if (!keys)
		return dsm__fail(-ENOMEM, "%s: no memory to load it", name);
	memset(keys, 0, bytes);
	snprintf(keys->name, sizeof(keys->name), "%s", name);
	int rc = load_lines(keys, text, size, semicolons);
	if (rc)
		keys_free(&keys);
	else
		*out = keys;
	return rc;
}

int keys_load_memory(const char *name, const char *text, size_t size, struct keys **out)
{
	if (size > KEYS_FILE_MAX)
		return dsm__fail(-EFBIG, "%s: expected a key file of at most %zu bytes", name, KEYS_FILE_MAX);
	return load(name, text, size, false, out);
}

int keys_load_environment(struct keys **out)
{
	const char *text = getenv(KEYS_ENVIRONMENT);
	if (!text)
		return dsm__fail(-ENOENT, "environment variable " KEYS_ENVIRONMENT " is not set");
	size_t size = strlen(text);
	if (size > KEYS_FILE_MAX)
		return dsm__fail(-EFBIG, "$" KEYS_ENVIRONMENT ": expected at most %zu bytes", KEYS_FILE_MAX);
	return load("$" KEYS_ENVIRONMENT, text, size, true, out);
}

void keys_free(struct keys **keys)
{
	if (keys && *keys)
		sodium_free(*keys); /* wipes */
	if (keys)
		*keys = NULL;
}

/* ---- the file -------------------------------------------------------------------------- */

static int check_file(const char *path, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return dsm__fail(S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL, "%s: expected a key file, found %s", path,
			S_ISDIR(st->st_mode) ? "a directory" : "no regular file");
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return dsm__fail(-EACCES, "%s: it belongs to user %u, who could change it: expected user %u or root",
			path, (unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_mode & 077)
		return dsm__fail(-EACCES, "%s: mode %04o: others than its owner may read or write it: expected 0600; "
			"run: chmod 600 '%s'", path, (unsigned)st->st_mode & 07777, path);
	if (st->st_size > (off_t)KEYS_FILE_MAX)
		return dsm__fail(-EFBIG, "%s: expected a key file of at most %zu bytes", path, KEYS_FILE_MAX);
	return 0;
}

static int read_all(int fd, const char *path, char *text, size_t room, size_t *size)
{
	*size = 0;
	while (*size < room) {
		ssize_t n = read(fd, text + *size, room - *size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dsm__fail(-errno, "%s: cannot be read: %s", path, strerror(errno));
		if (n == 0)
			break;
		*size += (size_t)n;
	}
	return 0;
}

int keys_load(const char *path, struct keys **out)
{
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return dsm__fail(-errno, "%s: cannot be opened: %s", path, strerror(errno));
	struct stat st;
	size_t size = 0;
	char *text = NULL;
	int rc = fstat(fd, &st) ? dsm__fail(-errno, "%s: %s", path, strerror(errno)) : check_file(path, &st);
	if (rc == 0 && sodium_init() < 0)
		rc = dsm__fail(-EIO, "%s: libsodium cannot start", path);
	if (rc == 0 && !(text = sodium_malloc((size_t)st.st_size + 1)))
		rc = dsm__fail(-ENOMEM, "%s: no memory to load it", path);
	if (rc == 0)
		rc = read_all(fd, path, text, (size_t)st.st_size, &size);
	if (rc == 0)
		rc = keys_load_memory(path, text, size, out);
	sodium_free(text);
	close(fd);
	return rc;
}

/* ---- what they open -------------------------------------------------------------------- */

int keys_load_any(const char *path, struct keys **out)
{
	*out = NULL;
	int rc = path ? keys_load(path, out) : keys_load_environment(out);
	return rc == -ENOENT && !path ? 0 : rc;
}

const struct key *keys_find(const struct keys *keys, const uint8_t id[KEY_ID_BYTES])
{
	for (uint32_t i = 0; i < keys->count; i++)
		if (keys->key[i].role != KEY_DEVICE && memcmp(keys->key[i].id, id, KEY_ID_BYTES) == 0)
			return &keys->key[i];
	return NULL;
}

const struct key *keys_of_device(const struct keys *keys, uint32_t device, const struct key *after)
{
	for (uint32_t i = after ? (uint32_t)(after - keys->key) + 1 : 0; i < keys->count; i++)
		if (keys->key[i].role == KEY_DEVICE && keys->key[i].device == device)
			return &keys->key[i];
	return NULL;
}

bool key_allows(const struct key *key, enum key_role what, const char *owner)
{
	if (key->role == KEY_DEVICE || what == KEY_DEVICE)
		return false;
	if (what == KEY_OWNER)
		return key->role == KEY_OWNER && owner && strcmp(key->owner, owner) == 0;
	return key->role >= what;
}

bool keys_for_clients(const struct keys *keys)
{
	for (uint32_t i = 0; keys && i < keys->count; i++)
		if (keys->key[i].role != KEY_DEVICE)
			return true;
	return false;
}

bool keys_still_id(const struct keys *keys, const struct key *key)
{
	const struct key *k = keys ? keys_find(keys, key->id) : NULL;
	return k && k->role == key->role && strcmp(k->owner, key->owner) == 0;
}

bool keys_still(const struct keys *keys, const struct key *key)
{
	for (uint32_t i = 0; i < keys->count; i++) {
		const struct key *k = &keys->key[i];
		if (k->role == key->role && k->device == key->device && strcmp(k->owner, key->owner) == 0 &&
		    sodium_memcmp(k->bytes, key->bytes, KEY_BYTES) == 0)
			return true;
	}
	return false;
}

int keys_check_owners(const struct keys *keys, const struct dsm_table *table)
{
	for (uint32_t i = 0; i < keys->count; i++) {
		const struct key *key = &keys->key[i];
		if (key->role != KEY_OWNER)
			continue;
		uint32_t o = table_find_owner(table, key->owner);
		if (o == TABLE_NONE)
			return dsm__fail(-ENODEV, "%s:%u: role: the table has no owner \"%s\"", keys->name, key->line,
				key->owner);
		if (!table->owners[o].network)
			return dsm__fail(-EINVAL, "%s:%u: role: owner \"%s\" may not attach through a network: expected "
				"network: true at it in the table", keys->name, key->line, key->owner);
	}
	return 0;
}
