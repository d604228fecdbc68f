/* SPDX-License-Identifier: Apache-2.0 */
/* dsmd's configuration file, by libcyaml. dsmd.8 is the reference of the keys. */
#include <cyaml/cyaml.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dsmd.h"

#define CONFIG_MAX (1 << 20) /* bytes */

enum truth { ABSENT = 0, FALSE = 1, TRUE = 2 };

struct state_part {
	char *file;
	double interval_s;
	int restore;            /* enum truth */
};
struct config {
	char *table, *name, *readers, *requesters, *rdma, *udp, *adc, *keys;
	uint32_t tick_ms, lease_ms, max_clients;
	int auth;
	int lock_memory;        /* enum truth */
	struct state_part *state;
};

#define TEXT CYAML_FLAG_POINTER
#define OPTIONAL CYAML_FLAG_OPTIONAL
#define WORD CYAML_FLAG_STRICT

static const cyaml_strval_t truths[] = {
	{ "true", TRUE }, { "false", FALSE }, { "yes", TRUE }, { "no", FALSE },
};
enum auth { AUTH_NONE = 1, AUTH_KEYS = 2 };
static const cyaml_strval_t auths[] = { { "none", AUTH_NONE }, { "keys", AUTH_KEYS } };

static const cyaml_schema_field_t state_fields[] = {
	CYAML_FIELD_STRING_PTR("file", TEXT, struct state_part, file, 1, PATH_MAX),
	CYAML_FIELD_FLOAT("interval_s", OPTIONAL, struct state_part, interval_s),
	CYAML_FIELD_ENUM("restore", OPTIONAL | WORD, struct state_part, restore, truths, 4),
	CYAML_FIELD_END
};
static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("table", TEXT, struct config, table, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("name", TEXT | OPTIONAL, struct config, name, 1, 64),
	CYAML_FIELD_UINT("tick_ms", OPTIONAL, struct config, tick_ms),
	CYAML_FIELD_UINT("lease_ms", OPTIONAL, struct config, lease_ms),
	CYAML_FIELD_UINT("max_clients", OPTIONAL, struct config, max_clients),
	CYAML_FIELD_STRING_PTR("readers", TEXT | OPTIONAL, struct config, readers, 0, 1024),
	CYAML_FIELD_STRING_PTR("requesters", TEXT | OPTIONAL, struct config, requesters, 0, 1024),
	CYAML_FIELD_ENUM("auth", WORD, struct config, auth, auths, 2),
	CYAML_FIELD_ENUM("lock_memory", OPTIONAL | WORD, struct config, lock_memory, truths, 4),
	CYAML_FIELD_STRING_PTR("rdma", TEXT | OPTIONAL, struct config, rdma, 1, 255),
	CYAML_FIELD_STRING_PTR("udp", TEXT | OPTIONAL, struct config, udp, 1, 255),
	CYAML_FIELD_STRING_PTR("adc", TEXT | OPTIONAL, struct config, adc, 1, 255),
	CYAML_FIELD_STRING_PTR("keys", TEXT | OPTIONAL, struct config, keys, 1, PATH_MAX),
	CYAML_FIELD_MAPPING_PTR("state", TEXT | OPTIONAL, struct config, state, state_fields),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, fields),
};

static const struct { const char *key, *expected; } expectations[] = {
	{ "table", "the path of a table file" },
	{ "name", "a name of 1 to 64 letters, digits, '_', '-', '.'" },
	{ "tick_ms", "5 to 1000" }, { "lease_ms", "at least two ticks" },
	{ "max_clients", "a number of clients" },
	{ "readers", "\"*\" or user names" }, { "requesters", "\"*\" or user names" },
	{ "auth", "none or keys (it must be written, so that it is known)" },
	{ "rdma", "an address of an RDMA device or \"*\", and perhaps :PORT" },
	{ "udp", "an address of this machine or \"*\", and perhaps :PORT" },
	{ "adc", "an address of this machine or \"*\", and perhaps :PORT" },
	{ "keys", "the path of a key file" },
	{ "lock_memory", "true or false" }, { "state", "the keys file:, interval_s: and restore:" },
	{ "file", "the path of the state file" }, { "interval_s", "seconds, 0 = only at the end" },
	{ "restore", "true or false" },
};

/* libcyaml's first line of complaint, and the key and line of its innermost place. */
struct complaint {
	char text[200], key[40];
	unsigned line;
};

__attribute__((format(printf, 3, 0)))
static void take_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct complaint *c = context;
	char line[sizeof(c->text)];
	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (!c->text[0]) {
		const char *from = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
		memmove(c->text, from, strlen(from) + 1);
		return;
	}
	const char *at = strstr(line, "(line: ");
	if (c->line || !at)
		return;
	c->line = (unsigned)strtoul(at + 7, NULL, 10);
	if (sscanf(line, " in mapping field '%39[^']'", c->key) != 1)
		c->key[0] = '\0';
}

static void say_refused(const char *path, const struct complaint *c, const char *otherwise)
{
	/* "Missing required mapping field: auth" has no place of its own */
	static const char missing[] = "Missing required mapping field: ";
	const char *key = strncmp(c->text, missing, strlen(missing)) == 0 ?
		c->text + strlen(missing) : c->key;
	const char *expected = NULL;
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++)
		if (strcmp(expectations[i].key, key) == 0)
			expected = expectations[i].expected;
	/* of an unknown key libcyaml only has the line of the one before */
	char line[16] = "";
	if (c->line && strncmp(c->text, "Unexpected key", 14) != 0)
		snprintf(line, sizeof(line), "%u:", c->line);
	log_line("%s:%s %s%s%s%s%s", path, line, line[0] ? key : "", line[0] && key[0] ? ": " : "",
		c->text[0] ? c->text : otherwise, expected && line[0] ? ": expected " : "",
		expected && line[0] ? expected : "");
}

/* A path of the file, from the file's folder unless it begins with '/'. */
static int take_path(char **out, const char *file, const char *value)
{
	char path[PATH_MAX];
	const char *slash = strrchr(file, '/');
	int n = value[0] == '/' || !slash ? snprintf(path, sizeof(path), "%s", value) :
		snprintf(path, sizeof(path), "%.*s%s", (int)(slash - file + 1), file, value);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		log_line("%s: the path \"%s\" is too long", file, value);
		return -ENAMETOOLONG;
	}
	return settings_text(out, path);
}

static int take_state(const char *path, const struct state_part *state, struct settings *to)
{
	if (!(state->interval_s >= 0 && state->interval_s <= 4000000)) {
		log_line("%s: state.interval_s: expected 0 to 4000000 seconds, found %g", path,
			state->interval_s);
		return -EINVAL;
	}
	to->save_interval_ms = (uint32_t)ceil(state->interval_s * 1000);
	to->restore = state->restore == TRUE;
	return take_path(&to->state_file, path, state->file);
}

static int take_config(const char *path, const struct config *c, struct settings *to)
{
	to->tick_ms = c->tick_ms;
	to->lease_ms = c->lease_ms;
	to->max_clients = c->max_clients;
	to->lock_memory = c->lock_memory == TRUE;
	to->auth_none = c->auth == AUTH_NONE;
	to->auth_keys = c->auth == AUTH_KEYS;
	int rc = take_path(&to->table, path, c->table);
	if (rc == 0 && c->name)
		rc = settings_text(&to->name, c->name);
	if (rc == 0 && c->readers)
		rc = settings_text(&to->readers, c->readers);
	if (rc == 0 && c->requesters)
		rc = settings_text(&to->requesters, c->requesters);
	if (rc == 0 && c->rdma)
		rc = settings_text(&to->rdma, c->rdma);
	if (rc == 0 && c->udp)
		rc = settings_text(&to->udp, c->udp);
	if (rc == 0 && c->adc)
		rc = settings_text(&to->adc, c->adc);
	if (rc == 0 && c->keys)
		rc = take_path(&to->keys, path, c->keys);
	return rc == 0 && c->state ? take_state(path, c->state, to) : rc;
}

static int check_file(const char *path)
{
	struct stat st;
	if (stat(path, &st)) {
		int error = errno;
		log_line("%s: cannot be read: %s", path, strerror(error));
		return -error;
	}
	if (S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= CONFIG_MAX)
		return 0;
	log_line("%s: expected a configuration file of at most 1 MiB, found %s", path,
		S_ISDIR(st.st_mode) ? "a directory" : !S_ISREG(st.st_mode) ? "no regular file" :
		st.st_size ? "a larger one" : "an empty file");
	return -EINVAL;
}

int config_load(const char *path, struct settings *settings)
{
	int rc = check_file(path);
	if (rc)
		return rc;
	struct complaint complaint = { .line = 0 };
	const cyaml_config_t how = { .log_fn = take_log, .log_ctx = &complaint, .mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS };
	cyaml_data_t *config = NULL;
	cyaml_err_t error = cyaml_load_file(path, &how, &schema, &config, NULL);
	if (error != CYAML_OK || !config) {
		say_refused(path, &complaint, error ? cyaml_strerror(error) : "expected table: and auth:");
		return -EINVAL;
	}
	rc = take_config(path, config, settings);
	cyaml_free(&how, &schema, config, 0);
	return rc;
}
