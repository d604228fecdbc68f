/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: what they mean, what is refused and how it is said, and that no text shows a key. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/keys.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEX2 "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX3 "200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX4 "300102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define DEVICE "000102030405060708090a0b0c0d0e0f"
#define DEVICE2 "//79/Pv6+fj39vX08/Lx8A=="

static struct keys *keys;

static void load(const char *text)
{
	keys_free(&keys);
	cr_assert_eq(keys_load_memory("k", text, strlen(text), &keys), 0, "%s", dsm_error());
}

static void end(void)
{
	keys_free(&keys);
	cr_assert_null(keys);
	keys_free(&keys);
	keys_free(NULL);
}

TestSuite(keys, .fini = end);

Test(keys, roles_labels_forms)
{
	load("# comment\r\n\n  read viewers-2026 " HEX "\r\n\trequest\tdesk  " HEX2 "   # who asks\n"
		"owner:operator op.1 " HEX3 "\nowner:operator op.2 " HEX4 "\n"
		"device:7 knobs " DEVICE "\ndevice:7 knobs2 " DEVICE2);
	cr_assert_eq(keys->count, 6u);
	cr_expect_eq(keys->key[0].role, KEY_READ);
	cr_expect_eq(keys->key[0].line, 3u);
	cr_expect_str_eq(keys->key[0].label, "viewers-2026");
	for (unsigned i = 0; i < 32; i++)
		cr_expect_eq(keys->key[0].bytes[i], i);
	cr_expect_eq(keys->key[1].role, KEY_REQUEST);
	cr_expect_str_eq(keys->key[2].owner, "operator");
	cr_expect_eq(keys->key[4].device, 7u);
	cr_expect_eq(keys->key[5].bytes[0], 0xff);
	cr_expect_eq(keys->key[5].bytes[15], 0xf0);
	cr_expect_eq(keys->key[5].bytes[16], 0);
}

Test(keys, base64_is_the_same_key)
{
	uint8_t hex[32], base64[32], short_form[32];
	cr_assert_eq(key_parse(HEX, 64, 32, hex), 0);
	cr_assert_eq(key_parse(BASE64, 44, 32, base64), 0);
	cr_assert_eq(key_parse(BASE64, 43, 32, short_form), 0);
	cr_expect_arr_eq(hex, base64, 32);
	cr_expect_arr_eq(hex, short_form, 32);
}

Test(keys, found_by_id_and_number)
{
	load("read a " HEX "\nowner:operator b " HEX2 "\nowner:operator c " HEX3 "\nrequest d " HEX4
		"\ndevice:7 e " DEVICE "\ndevice:8 f " DEVICE2 "\ndevice:7 g ff" "0102030405060708090a0b0c0d0e0f");
	for (uint32_t i = 0; i < 4; i++)
		cr_expect_eq(keys_find(keys, keys->key[i].id), &keys->key[i]);
	cr_expect_null(keys_find(keys, keys->key[4].id), "a device's key is no role's");
	cr_expect_null(keys_find(keys, (const uint8_t *)"nonsense"));
	const struct key *k = keys_of_device(keys, 7, NULL);
	cr_expect_str_eq(k->label, "e");
	k = keys_of_device(keys, 7, k);
	cr_expect_str_eq(k->label, "g");
	cr_expect_null(keys_of_device(keys, 7, k));
	cr_expect_null(keys_of_device(keys, 9, NULL));
	/* the id is the key's, not the label's or the role's */
	uint8_t id[KEY_ID_BYTES];
	memcpy(id, keys->key[0].id, sizeof(id));
	load("owner:x other " BASE64);
	cr_expect_not_null(keys_find(keys, id));
}

Test(keys, what_each_role_may)
{
	load("read a " HEX "\nrequest b " HEX2 "\nowner:op c " HEX3 "\ndevice:1 d " DEVICE);
	static const bool may[4][5] = {
		/* read, request, owner op, owner other, device */
		{ true, false, false, false, false },
		{ true, true, false, false, false },
		{ true, true, true, false, false },
		{ false, false, false, false, false },
	};
	for (int i = 0; i < 4; i++) {
		const struct key *k = &keys->key[i];
		cr_expect_eq(key_allows(k, KEY_READ, NULL), may[i][0], "key %d", i);
		cr_expect_eq(key_allows(k, KEY_REQUEST, NULL), may[i][1], "key %d", i);
		cr_expect_eq(key_allows(k, KEY_OWNER, "op"), may[i][2], "key %d", i);
		cr_expect_eq(key_allows(k, KEY_OWNER, "other"), may[i][3], "key %d", i);
		cr_expect_eq(key_allows(k, KEY_DEVICE, NULL), may[i][4], "key %d", i);
		cr_expect(!key_allows(k, KEY_OWNER, NULL));
	}
}

/* A new key beside the old, then without it; a role taken from a key counts as its end. */
Test(keys, rotation)
{
	load("owner:op old " HEX);
	struct key old = keys->key[0];
	load("owner:op new " HEX2 "\nowner:op old " HEX);
	cr_expect(keys_still(keys, &old));
	struct key new = keys->key[0];
	load("owner:op new " HEX2 "\nread old " HEX);
	cr_expect(!keys_still(keys, &old));
	cr_expect(keys_still(keys, &new));
}

static const struct { const char *text, *said; } bad[] = {
	{ "", "k:1: line: no key in it" }, { "# nothing\n", "k:1: line: no key in it" },
	{ "\nreed a " HEX, "k:2: role: expected read, request, owner:NAME or device:NUMBER; did you mean read?" },
	{ HEX " a read", "k:1: role: expected read, request, owner:NAME or device:NUMBER" },
	{ "owner: a " HEX, "k:1: role: expected owner: and the name" },
	{ "owner:a/b a " HEX, "k:1: role: expected owner: and the name" },
	{ "device: a " DEVICE, "k:1: role: expected device: and its number" },
	{ "device:4294967296 a " DEVICE, "k:1: role: expected device: and its number" },
	{ "device:-1 a " DEVICE, "k:1: role: expected device: and its number" },
	{ "read", "k:1: label: missing" }, { "read a", "k:1: key: missing" }, { "read a #" HEX, "k:1: key: missing" },
	{ "read a" "+b " HEX, "k:1: label: expected 1 to 32" }, { "read " HEX " a", "k:1: label: expected 1 to 32" },
	{ "read a " HEX " x", "k:1: line: expected ROLE LABEL KEY, found more" },
	{ "read a " DEVICE, "k:1: key: expected 32 bytes as 64 hexadecimal digits or 44 characters of base64, found 32" },
	{ "device:1 a " HEX, "k:1: key: expected 16 bytes as 32 hexadecimal digits or 24 characters of base64, found 64" },
	{ "read a " HEX "0", "k:1: key: expected 32 bytes" }, { "read a =" BASE64, "k:1: key: expected 32 bytes" },
	{ "read a " BASE64 "=", "k:1: key: expected 32 bytes" },
	{ "read a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "k:1: key: expected 32 bytes" },
	{ "read a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8*", "k:1: key: expected 32 bytes" },
	{ "read a 000000000000000000000000000000000000000000000000000000000000000g", "k:1: key: expected 32 bytes" },
	{ "read a 0000000000000000000000000000000000000000000000000000000000000000", "k:1: key: all its bytes are alike" },
	{ "read a " HEX "\nrequest b " BASE64, "k:2: key: the same key is in line 1" },
};

Test(keys, refused_with_file_line_and_field)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(keys_load_memory("k", bad[i].text, strlen(bad[i].text), &keys), -EINVAL, "%s", bad[i].text);
		cr_expect_null(keys);
		cr_expect(strncmp(dsm_error(), bad[i].said, strlen(bad[i].said)) == 0, "%s\n%s\n", bad[i].text,
			dsm_error());
		cr_expect_null(strstr(dsm_error(), "0a0b0c0d"), "shows the key: %s", dsm_error());
		cr_expect_null(strstr(dsm_error(), "CAwQ"), "shows the key: %s", dsm_error());
	}
	cr_expect_eq(keys_load_memory("k", "read a\0b " HEX, 9 + 64, &keys), -EINVAL);
	cr_expect(strstr(dsm_error(), "k:1: line: expected text, found a NUL"), "%s", dsm_error());
}

Test(keys, limits)
{
	static char text[KEYS_FILE_MAX + 1];
	size_t n = 0;
	for (unsigned i = 0; i <= KEYS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "read k %08x%s\n", i, &HEX[8]);
	cr_expect_eq(keys_load_memory("k", text, n, &keys), -E2BIG);
	cr_expect(strstr(dsm_error(), "k:1025: line: expected at most 1024 keys"), "%s", dsm_error());
	cr_expect_eq(keys_load_memory("k", text, n - 72, &keys), 0, "%s", dsm_error());
	cr_expect_eq(keys->count, KEYS_MAX);
	keys_free(&keys);
	cr_expect_eq(keys_load_memory("k", text, KEYS_FILE_MAX + 1, &keys), -EFBIG);
}

/* What `dsm keygen` prints with is what is read here. */
Test(keys, new_ones)
{
	char text[200], key[DSM_KEY_TEXT], last[DSM_KEY_TEXT] = "";
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(dsm_key_new(32, key, sizeof(key)), 0, "%s", dsm_error());
		cr_assert(strlen(key) == 44 && strcmp(key, last) != 0);
		memcpy(last, key, sizeof(key));
		snprintf(text, sizeof(text), "read a %s", key);
		load(text);
		cr_assert_eq(dsm_key_new(16, key, 25), 0, "%s", dsm_error());
		snprintf(text, sizeof(text), "device:1 a %s", key);
		load(text);
	}
	cr_expect_eq(dsm_key_new(16, key, 24), -EMSGSIZE);
	cr_expect_eq(dsm_key_new(32, key, 44), -EMSGSIZE);
	cr_expect_eq(dsm_key_new(31, key, sizeof(key)), -EINVAL);
	cr_expect_eq(dsm_key_new(32, NULL, 0), -EINVAL);
}

static char path[] = "/tmp/dsm-keys-XXXXXX";

static void put_file(mode_t mode)
{
	int fd = mkstemp(path);
	cr_assert(fd >= 0 && write(fd, "read a " HEX "\n", 72) == 72 && fchmod(fd, mode) == 0);
	close(fd);
}

Test(keys, file_modes)
{
	static const mode_t refused[] = { 0640, 0604, 0660, 0644, 0620, 0602, 0601, 0610, 0777 };
	put_file(0600);
	cr_expect_eq(keys_load(path, &keys), 0, "%s", dsm_error());
	keys_free(&keys);
	cr_assert_eq(chmod(path, 0400), 0);
	cr_expect_eq(keys_load(path, &keys), 0, "%s", dsm_error());
	keys_free(&keys);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		cr_assert_eq(chmod(path, refused[i]), 0);
		cr_expect_eq(keys_load(path, &keys), -EACCES, "mode %o", (unsigned)refused[i]);
		cr_expect(strstr(dsm_error(), "expected 0600") && strstr(dsm_error(), path), "%s", dsm_error());
	}
	if (geteuid() == 0) { /* only root can make a file somebody else's */
		cr_assert_eq(chmod(path, 0600), 0);
		cr_assert_eq(chown(path, 1234, 1234), 0);
		cr_expect_eq(keys_load(path, &keys), -EACCES);
		cr_expect(strstr(dsm_error(), "belongs to user 1234"), "%s", dsm_error());
	}
	unlink(path);
	cr_expect_eq(keys_load(path, &keys), -ENOENT);
	cr_expect_eq(keys_load("/tmp", &keys), -EISDIR);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(keys_load(path, &keys), -EINVAL);
	unlink(path);
}

Test(keys, environment)
{
	unsetenv("DSM_KEYS");
	cr_expect_eq(keys_load_environment(&keys), -ENOENT);
	setenv("DSM_KEYS", "read a " HEX "; owner:op b " HEX2 " # c;request c " HEX3, 1);
	cr_expect_eq(keys_load_environment(&keys), 0, "%s", dsm_error());
	cr_expect_eq(keys->count, 3u);
	keys_free(&keys);
	setenv("DSM_KEYS", "read a " HEX ";nobody b " HEX2, 1);
	cr_expect_eq(keys_load_environment(&keys), -EINVAL);
	cr_expect(strncmp(dsm_error(), "$DSM_KEYS:2: role: ", 19) == 0, "%s", dsm_error());
}

Test(keys, owners_of_the_table)
{
	struct dsm_table *table = NULL;
	struct dsm_owner_spec near = { .name = "near" }, far = { .name = "far", .network = true };
	cr_assert_eq(dsm_table_new("rig", &table), 0);
	cr_assert_eq(dsm_table_owner(table, &near), 0);
	cr_assert_eq(dsm_table_owner(table, &far), 0);
	load("read a " HEX "\nowner:far b " HEX2);
	cr_expect_eq(keys_check_owners(keys, table), 0);
	load("owner:far a " HEX "\nowner:near b " HEX2);
	cr_expect_eq(keys_check_owners(keys, table), -EINVAL);
	cr_expect(strstr(dsm_error(), "k:2: role: owner \"near\"") && strstr(dsm_error(), "network: true"));
	load("owner:fat b " HEX2);
	cr_expect_eq(keys_check_owners(keys, table), -ENODEV);
	dsm_table_free(&table);
}

#ifdef DSM_RDMA
static int open_rdma(const char *file, bool auth_none)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	struct dsm_engine *engine = NULL;
	char name[64];
	snprintf(name, sizeof(name), "rdma-keys-%d", (int)getpid());
	opts.name = name;
	opts.rdma = "*";
	opts.keys = file;
	opts.auth_none = auth_none;
	struct dsm_group_spec group = { "engine", "g", "", 0, 0, false };
	struct dsm_cell_spec cell = { .group = "g", .name = "v", .type = DSM_U64, .precision = -1 };
	cr_assert_eq(dsm_table_new("rdma-keys", &table), 0);
	cr_assert_eq(dsm_table_group(table, &group), 0);
	cr_assert_eq(dsm_table_cell(table, &cell), 0);
	int rc = dsm_engine_open(table, &opts, &engine);
	dsm_table_free(&table);
	cr_assert_eq(dsm_engine_close(&engine), 0);
	return rc;
}

/* Also on a machine without a device: it might get one. Boards' keys let no client in. */
Test(keys, rdma_wants_keys_or_to_hear_that_there_are_none)
{
	unsetenv("DSM_KEYS");
	cr_assert_eq(open_rdma(NULL, false), -EINVAL);
	cr_assert(strstr(dsm_error(), "dsm keygen") && strstr(dsm_error(), "auth: none") &&
		strstr(dsm_error(), "auth_none = true"), "%s", dsm_error());
	cr_assert_eq(open_rdma("no-such-file", false), -ENOENT);
	setenv("DSM_KEYS", "device:7 knobs 000102030405060708090a0b0c0d0e0f", 1);
	cr_assert_eq(open_rdma(NULL, false), -EINVAL);
	unsetenv("DSM_KEYS");
	cr_assert_eq(open_rdma(NULL, true), 0, "%s", dsm_error());
	setenv("DSM_KEYS", "read viewers 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
	cr_assert_eq(open_rdma(NULL, false), 0, "%s", dsm_error());
	unsetenv("DSM_KEYS");
}
#endif
