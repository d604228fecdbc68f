/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows: JSON, Prometheus lines, events. For the web viewer alone. A buffer that ran
 * out of memory takes nothing more and says so in `failed`; nobody has to look before the end. */
#ifndef PEEKER_WEB_BUFFER_H
#define PEEKER_WEB_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *text;                  /**< not terminated; the caller frees it */
	size_t length, room;
	bool failed;
};

void put_bytes(struct buffer *b, const void *bytes, size_t n);
void put(struct buffer *b, const char *text);
void put_char(struct buffer *b, char c);
void put_u64(struct buffer *b, uint64_t number);
void put_i64(struct buffer *b, int64_t number);
/** The shortest text that reads back the same; null for what is no number. */
void put_f64(struct buffer *b, double number);
/** With `digits` after the point, for what need not be exact. */
void put_rounded(struct buffer *b, double number, int digits);
/** A JSON string of n bytes. What is not UTF-8 becomes U+FFFD, and nothing in it can end a
 *  line, an event or a script. */
void put_string_n(struct buffer *b, const char *text, size_t n);
void put_string(struct buffer *b, const char *text);
/** "key": with a comma before it unless it is the first of its object. */
void put_key(struct buffer *b, const char *key);
/** A comma, unless this is the first of an array or object. */
void put_comma(struct buffer *b);

#endif
