/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's keys: who shows that he has one may do what its role says. Several keys of one role
 * are valid side by side, so that they can be changed one client after the other. Loaded whole, then
 * only read; whoever reloads keeps the old ones until the new are there. Reference of the file:
 * docs/security.md.
 *
 *     ROLE             LABEL          KEY
 *     read             viewers-2026   64 hexadecimal digits, or base64
 */
#ifndef DSM_LIB_ENGINE_KEYS_H
#define DSM_LIB_ENGINE_KEYS_H

#include <dsm/engine.h>

#include "wire/key.h"

#define KEYS_MAX 1024u
#define KEYS_FILE_MAX ((size_t)256 << 10)
#define KEYS_LABEL_MAX 32u
#define KEYS_ENVIRONMENT "DSM_KEYS"

/* Each may what those above it may; KEY_OWNER only with its owner's name. KEY_DEVICE is apart. */
enum key_role { KEY_READ = 1, KEY_REQUEST = 2, KEY_OWNER = 3, KEY_DEVICE = 4 };

struct key {
	enum key_role role;
	uint32_t line;
	uint32_t device;                /* of KEY_DEVICE: its number */
	char owner[64];                 /* of KEY_OWNER */
	char label[KEYS_LABEL_MAX + 1]; /* for people: logs, `dsm ps` */
	uint8_t id[KEY_ID_BYTES];
	uint8_t bytes[KEY_BYTES];       /* KEY_DEVICE_BYTES of a device, then 0 */
};

/* In locked memory, with guards around it, where the system allows; wiped when freed. */
struct keys {
	char name[200];                 /* file, for errors */
	uint32_t count;
	struct key key[];
};

/* From a regular file of this user or root that nobody else may read (mode 0600 or less): -EACCES.
 * -EINVAL "FILE:LINE: FIELD: expected …"; -ENOENT, -EFBIG, -E2BIG, -ENOMEM, -EIO. No text shows a key. */
int keys_load(const char *path, struct keys **out);
/* From environment variable DSM_KEYS: the same text, lines may also end at ';'. -ENOENT not set. */
int keys_load_environment(struct keys **out);
/* From the file, or, if `path` is NULL, the environment; without either 0 and *out = NULL. */
int keys_load_any(const char *path, struct keys **out);
int keys_load_memory(const char *name, const char *text, size_t size, struct keys **out);
void keys_free(struct keys **keys);

/* The key of a role that a client shows by its id; devices' keys are never found so. NULL none. */
const struct key *keys_find(const struct keys *keys, const uint8_t id[KEY_ID_BYTES]);
/* Keys of a device, one after the other: `after` NULL for the first. NULL no more. */
const struct key *keys_of_device(const struct keys *keys, uint32_t device, const struct key *after);
/* May who has this key read, request (owner NULL), or hold this owner's role? */
bool key_allows(const struct key *key, enum key_role what, const char *owner);
/* Is there any but those of boards? `keys` may be NULL. */
bool keys_for_clients(const struct keys *keys);
/* After a reload: is this very key, with this role, still there? */
bool keys_still(const struct keys *keys, const struct key *key);
/* The same, of a copy whose bytes were wiped: by its id. `keys` may be NULL. */
bool keys_still_id(const struct keys *keys, const struct key *key);
/* Owners that the table lacks, or that may not attach through a network: -ENODEV, -EINVAL. */
int keys_check_owners(const struct keys *keys, const struct dsm_table *table);

#endif
