/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of file it is, and the list of what is expected; see expect.h. */
#include "expect.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)512 << 20)
#define STATE_MAGIC "DSMSTATE"

static char *copy_of(const char *text, int *error)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*error = -ENOMEM;
	return copy;
}

int expectations_add(struct expectations *e, const char *name, const char *text,
	const char *quality)
{
	int error = 0;

	if (e->n == e->room) {
		size_t room = e->room ? e->room * 2 : 64;
		struct expected *entry = realloc(e->entry, room * sizeof *entry);
		if (!entry)
			return -ENOMEM;
		e->entry = entry;
		e->room = room;
	}
	e->entry[e->n++] = (struct expected){
		.name = copy_of(name, &error), .text = copy_of(text, &error),
		.quality = copy_of(quality && *quality ? quality : NULL, &error),
	};
	return error;
}

void expectations_free(struct expectations *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->entry[i].name);
		free(e->entry[i].text);
		free(e->entry[i].quality);
	}
	free(e->entry);
	*e = (struct expectations){ 0 };
}

int expectations_parse(const char *text, struct expectations *out, char *error, size_t size)
{
	int result;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3; /* byte-order mark of a spreadsheet */
	const char *first = text + strspn(text, " \t\r\n");
	bool json = *first == '{' || *first == '[';
	out->kind = json ? "JSON" : "CSV";
	result = json ? expect_json(text, out, error, size) : expect_csv(text, out, error, size);
	if (!result && out->n == 0) {
		snprintf(error, size, "there is no cell in it");
		result = -ENODATA;
	}
	if (result == -ENOMEM)
		snprintf(error, size, "out of memory");
	return result;
}

/* The whole file with a NUL behind it. */
static int slurp(FILE *file, char **out, size_t *length)
{
	char *text = NULL;
	size_t room = 0, n = 0, got;

	do {
		if (n + 1 >= room) {
			room = room ? room * 2 : 65536;
			char *more = room <= FILE_MAX ? realloc(text, room) : NULL;
			if (!more) {
				free(text);
				return room > FILE_MAX ? -EFBIG : -ENOMEM;
			}
			text = more;
		}
		got = fread(text + n, 1, room - n - 1, file);
		n += got;
	} while (got > 0);
	if (ferror(file)) {
		free(text);
		return errno ? -errno : -EIO;
	}
	text[n] = '\0';
	*out = text;
	*length = n;
	return 0;
}

int expectations_read(const char *path, struct expectations *out, char *error, size_t size)
{
	char *text = NULL;
	size_t length = 0;
	FILE *file = fopen(path, "re");
	int result = file ? 0 : -errno;

	*out = (struct expectations){ 0 };
	if (!result) {
		errno = 0;
		result = slurp(file, &text, &length);
		fclose(file);
	}
	if (result) {
		snprintf(error, size, "%s", strerror(-result));
		return result;
	}
	if (length >= 8 && memcmp(text, STATE_MAGIC, 8) == 0) {
		out->kind = "state file";
		result = expect_state(path, out, error, size);
	} else if (strlen(text) != length) {
		snprintf(error, size, "neither JSON nor CSV nor a state file: it has NUL bytes");
		result = -EBADMSG;
	} else {
		result = expectations_parse(text, out, error, size);
	}
	free(text);
	if (result)
		expectations_free(out);
	return result;
}
