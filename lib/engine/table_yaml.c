/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table file, first part: file to memory, memory through libcyaml's schema to structures.
 * libcyaml keeps no lines, and its messages don't say what was expected: after an error
 * table_yaml_locate.c goes over the text once more. docs/table.md is the reference of the keys.
 */
#include "engine/table_yaml.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/utf8.h"

/* ---- schema ------------------------------------------------------------------------- */

#define TEXT (CYAML_FLAG_POINTER)
#define OPTIONAL (CYAML_FLAG_OPTIONAL)
#define OPTIONAL_TEXT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define OPTIONAL_ENUM (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

static const cyaml_strval_t bool_words[] = {
	{ "true", YAML_TRUE }, { "false", YAML_FALSE }, { "yes", YAML_TRUE }, { "no", YAML_FALSE },
};
static const cyaml_strval_t range_words[] = { { "refuse", 0 }, { "clamp", 1 } };

static const cyaml_schema_field_t cell_fields[] = {
	CYAML_FIELD_STRING_PTR("name", TEXT, struct yaml_cell, name, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("type", TEXT, struct yaml_cell, type, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("unit", OPTIONAL_TEXT, struct yaml_cell, unit, 0, CYAML_UNLIMITED),
	CYAML_FIELD_FLOAT_PTR("min", OPTIONAL_TEXT, struct yaml_cell, min),
	CYAML_FIELD_FLOAT_PTR("max", OPTIONAL_TEXT, struct yaml_cell, max),
	CYAML_FIELD_ENUM("range", OPTIONAL_ENUM, struct yaml_cell, clamp, range_words,
		CYAML_ARRAY_LEN(range_words)),
	CYAML_FIELD_INT_PTR("precision", OPTIONAL_TEXT, struct yaml_cell, precision),
	CYAML_FIELD_STRING_PTR("description", OPTIONAL_TEXT, struct yaml_cell, description, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_UINT_PTR("count", OPTIONAL_TEXT, struct yaml_cell, count),
	CYAML_FIELD_UINT("from", OPTIONAL, struct yaml_cell, from),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t cell_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_cell, cell_fields),
};

static const cyaml_schema_field_t group_fields[] = {
	CYAML_FIELD_STRING_PTR("name", TEXT, struct yaml_group, name, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("owner", OPTIONAL_TEXT, struct yaml_group, owner, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("description", OPTIONAL_TEXT, struct yaml_group, description, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_UINT("slots", OPTIONAL, struct yaml_group, slots),
	CYAML_FIELD_UINT("max_age_ms", OPTIONAL, struct yaml_group, max_age_ms),
	CYAML_FIELD_ENUM("save", OPTIONAL_ENUM, struct yaml_group, save, bool_words,
		CYAML_ARRAY_LEN(bool_words)),
	CYAML_FIELD_UINT_PTR("count", OPTIONAL_TEXT, struct yaml_group, count),
	CYAML_FIELD_UINT("from", OPTIONAL, struct yaml_group, from),
	CYAML_FIELD_SEQUENCE("cells", TEXT, struct yaml_group, cells, &cell_schema, 0, DSM_CELLS_MAX),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t group_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_group, group_fields),
};

static const cyaml_schema_field_t owner_fields[] = {
	CYAML_FIELD_STRING_PTR("name", TEXT, struct yaml_owner, name, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("users", OPTIONAL_TEXT, struct yaml_owner, users, 0, CYAML_UNLIMITED),
	CYAML_FIELD_ENUM("network", OPTIONAL_ENUM, struct yaml_owner, network, bool_words,
		CYAML_ARRAY_LEN(bool_words)),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t owner_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_owner, owner_fields),
};

static const cyaml_schema_field_t point_fields[] = {
	CYAML_FIELD_FLOAT("raw", CYAML_FLAG_DEFAULT, struct yaml_point, raw),
	CYAML_FIELD_FLOAT("value", CYAML_FLAG_DEFAULT, struct yaml_point, value),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t point_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_point, point_fields),
};

static const cyaml_schema_field_t input_fields[] = {
	CYAML_FIELD_STRING_PTR("cell", TEXT, struct yaml_input, cell, 0, CYAML_UNLIMITED),
	CYAML_FIELD_UINT_PTR("channel", OPTIONAL_TEXT, struct yaml_input, channel),
	CYAML_FIELD_UINT_PTR("level", OPTIONAL_TEXT, struct yaml_input, level),
	CYAML_FIELD_UINT_PTR("presses", OPTIONAL_TEXT, struct yaml_input, presses),
	CYAML_FIELD_FLOAT_PTR("low", OPTIONAL_TEXT, struct yaml_input, low),
	CYAML_FIELD_FLOAT_PTR("high", OPTIONAL_TEXT, struct yaml_input, high),
	CYAML_FIELD_ENUM("invert", OPTIONAL_ENUM, struct yaml_input, invert, bool_words,
		CYAML_ARRAY_LEN(bool_words)),
	CYAML_FIELD_FLOAT("dead_zone", OPTIONAL, struct yaml_input, dead_zone),
	CYAML_FIELD_FLOAT_PTR("center", OPTIONAL_TEXT, struct yaml_input, center),
	CYAML_FIELD_FLOAT("filter_ms", OPTIONAL, struct yaml_input, filter_ms),
	CYAML_FIELD_SEQUENCE("calibration", OPTIONAL_TEXT, struct yaml_input, calibration, &point_schema, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t input_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_input, input_fields),
};

static const cyaml_schema_field_t device_fields[] = {
	CYAML_FIELD_STRING_PTR("name", TEXT, struct yaml_device, name, 0, CYAML_UNLIMITED),
	CYAML_FIELD_UINT("id", CYAML_FLAG_DEFAULT, struct yaml_device, id),
	CYAML_FIELD_STRING_PTR("owner", TEXT, struct yaml_device, owner, 0, CYAML_UNLIMITED),
	CYAML_FIELD_UINT_PTR("tick_us", OPTIONAL_TEXT, struct yaml_device, tick_us),
	CYAML_FIELD_FLOAT("commit_hz", OPTIONAL, struct yaml_device, commit_hz),
	CYAML_FIELD_SEQUENCE("inputs", TEXT, struct yaml_device, inputs, &input_schema, 0, DSM_CELLS_MAX),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t device_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_device, device_fields),
};

static const cyaml_schema_field_t table_fields[] = {
	CYAML_FIELD_STRING_PTR("region", TEXT, struct yaml_table, region, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("owners", OPTIONAL_TEXT, struct yaml_table, owners, &owner_schema, 0,
		DSM_CELLS_MAX),
	CYAML_FIELD_SEQUENCE("groups", TEXT, struct yaml_table, groups, &group_schema, 0,
		DSM_CELLS_MAX),
	CYAML_FIELD_SEQUENCE("devices", OPTIONAL_TEXT, struct yaml_table, devices, &device_schema, 0,
		DSM_CELLS_MAX),
	CYAML_FIELD_END
};
static const cyaml_schema_value_t table_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_table, table_fields),
};

/* ---- libcyaml ------------------------------------------------------------------------ */

/* First line of what libcyaml has to say, instead of its stderr. */
struct cyaml_text {
	char first[160];
	unsigned line;      /* 0 = none given */
};

__attribute__((format(printf, 3, 0)))
static void take_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct cyaml_text *text = context;
	char line[sizeof(text->first)];
	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (!text->first[0])
		memcpy(text->first, line, sizeof(line));
	const char *at = strstr(line, "(line: ");
	if (at && !text->line)
		text->line = (unsigned)strtoul(at + 7, NULL, 10);
}

static int explain(const struct yaml_source *source, cyaml_err_t error, const struct cyaml_text *text)
{
	if (error == CYAML_ERR_OOM)
		return dsm__fail(-ENOMEM, "%s: no memory to load it", source->name);
	int rc = yaml_explain(source);
	if (rc)
		return rc;
	const char *what = text->first[0] ? text->first : cyaml_strerror(error);
	return dsm__fail(-EINVAL, "%s:%u: %s", source->name, text->line ? text->line : 1,
		utf8_valid(what, strlen(what)) ? what : cyaml_strerror(error));
}

/* libcyaml loads the first document and looks no further, and ends a text at an escaped NUL.
 * Neither is there without one of these, so only such a text is worth a second look. */
static bool needs_a_second_look(const struct yaml_source *source)
{
	static const char *const signs[] = { "\n---", "\n...", "\\0", "\\x00", "\\u0000", "\\U0000" };
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (memmem(source->data, source->size, signs[i], strlen(signs[i])))
			return true;
	return false;
}

static int load_structures(const struct yaml_source *source, struct dsm_table **out)
{
	struct cyaml_text text = { .line = 0 };
	const cyaml_config_t config = { .log_fn = take_log, .log_ctx = &text, .mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS };
	cyaml_data_t *loaded = NULL;
	cyaml_err_t error = cyaml_load_data(source->data, source->size, &config, &table_schema,
		&loaded, NULL);
	if (error != CYAML_OK)
		return explain(source, error, &text);
	int rc = 0;
	if (!loaded)
		rc = dsm__fail(-EINVAL, "%s:1: region: missing: expected region: and groups:",
			source->name);
	if (rc == 0 && needs_a_second_look(source))
		rc = yaml_explain(source);
	if (rc == 0)
		rc = yaml_fill(source, loaded, out);
	cyaml_free(&config, &table_schema, loaded, 0);
	return rc;
}

/* ---- text and file --------------------------------------------------------------------- */

/* Bytes of the character at `at`, 0 if it is none. */
static size_t character(const char *at, size_t left)
{
	for (size_t n = 1; n <= 4 && n <= left; n++)
		if (utf8_valid(at, n))
			return n;
	return 0;
}

/* libyaml would accept UTF-16 as well; and its error has no line. */
static int check_utf8(const struct yaml_source *source)
{
	const char *text = (const char *)source->data;
	if (utf8_valid(text, source->size))
		return 0;
	unsigned line = 1;
	size_t at = 0, line_at = 0;
	for (size_t n; (n = character(text + at, source->size - at)) > 0; at += n) {
		if (text[at] == '\n') {
			line++;
			line_at = at + 1;
		}
	}
	return dsm__fail(-EINVAL, "%s:%u: byte %zu of the line: expected UTF-8 text, found 0x%02x",
		source->name, line, at - line_at + 1, source->data[at]);
}

/* FILE in errors: of a long path its end. */
static const char *shown_name(const char *name, char buf[static YAML_NAME_SHOWN + 8])
{
	size_t n = strlen(name);
	if (n <= YAML_NAME_SHOWN)
		return name;
	const char *tail = name + n - YAML_NAME_SHOWN + 3;
	while (((unsigned char)*tail & 0xc0) == 0x80)
		tail++;
	snprintf(buf, YAML_NAME_SHOWN + 8, "...%s", tail);
	return buf;
}

int table_load_memory(const char *name, const void *data, size_t size, struct dsm_table **out)
{
	char shown[YAML_NAME_SHOWN + 8];
	struct yaml_source source = { .name = shown_name(name, shown), .data = data, .size = size };
	if (size == 0)
		return dsm__fail(-EINVAL, "%s:1: region: the file is empty: expected region: and groups:",
			source.name);
	if (size > YAML_FILE_MAX)
		return dsm__fail(-EFBIG, "%s: %zu bytes: expected a table file of at most %zu (64 MiB); "
			"count: makes many like cells of one line", source.name, size, YAML_FILE_MAX);
	int rc = check_utf8(&source);
	return rc ? rc : load_structures(&source, out);
}

/* Everything that can be said without reading is said before. */
static int check_file(const char *name, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return dsm__fail(-EISDIR, "%s: is a directory: expected a table file", name);
	if (!S_ISREG(st->st_mode))
		return dsm__fail(-EINVAL, "%s: is no regular file: expected a table file", name);
	if (st->st_size > (off_t)YAML_FILE_MAX)
		return dsm__fail(-EFBIG, "%s: %lld bytes: expected a table file of at most %zu (64 MiB); "
			"count: makes many like cells of one line", name, (long long)st->st_size,
			YAML_FILE_MAX);
	return 0;
}

static int read_all(int fd, const char *name, char *data, size_t room, size_t *size)
{
	*size = 0;
	while (*size < room) {
		ssize_t n = read(fd, data + *size, room - *size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dsm__fail(-errno, "%s: cannot be read: %s", name, strerror(errno));
		if (n == 0)
			break;
		*size += (size_t)n;
	}
	return 0;
}

int dsm_table_load(const char *path, struct dsm_table **out)
{
	if (!path || !out)
		return dsm__fail(-EINVAL, "dsm_table_load(): null pointer");
	char shown[YAML_NAME_SHOWN + 8];
	const char *name = shown_name(path, shown);
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return dsm__fail(-errno, "%s: cannot be opened: %s", name, strerror(errno));
	struct stat st;
	char *data = NULL;
	size_t size = 0;
	int rc = fstat(fd, &st) ? dsm__fail(-errno, "%s: %s", name, strerror(errno)) :
		check_file(name, &st);
	if (rc)
		goto close_file;
	data = malloc((size_t)st.st_size + 1);
	rc = data ? read_all(fd, name, data, (size_t)st.st_size, &size) :
		dsm__fail(-ENOMEM, "%s: no memory to load it", name);
	if (rc == 0)
		rc = table_load_memory(path, data, size, out);
	free(data);
close_file:
	close(fd);
	return rc;
}
