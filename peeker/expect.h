/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expected values from a file: JSON (an array, or an object a line), CSV as `dsm dump` writes
 * it, or an engine's state file. Values stay text until the cell's type is known, so that no
 * digit is lost. State files are read by libdsm_engine, which is loaded only for them: the
 * viewer itself needs the client library alone.
 */
#ifndef PEEKER_EXPECT_H
#define PEEKER_EXPECT_H

#include <stddef.h>

struct expected {
	char *name;
	char *text;          /**< NULL: no value (null, or empty) */
	char *quality;       /**< "good" …; NULL: not said */
};

struct expectations {
	struct expected *entry;
	size_t n, room;
	const char *kind;    /**< "JSON", "CSV", "state file" */
};

/** Read the file. Negative errno, with a text "LINE: what is wrong" or a reason in error:
 *  -EBADMSG malformed; -ENODATA no cell in it; -ENOTSUP a state file, and libdsm_engine is not
 *  there; errors of open() and read(). */
int expectations_read(const char *path, struct expectations *out, char *error, size_t size);
void expectations_free(struct expectations *e);
/** Parse text that is in memory (NUL-terminated); what expectations_read() does with a file. */
int expectations_parse(const char *text, struct expectations *out, char *error, size_t size);
/** Add an entry; strings are copied, NULL is allowed for text and quality. -ENOMEM */
int expectations_add(struct expectations *e, const char *name, const char *text,
	const char *quality);

/* expect_json.c, expect_csv.c, expect_state.c */
int expect_json(const char *text, struct expectations *out, char *error, size_t size);
int expect_csv(const char *text, struct expectations *out, char *error, size_t size);
int expect_state(const char *path, struct expectations *out, char *error, size_t size);

#endif
