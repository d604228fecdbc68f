/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output in one of five formats. Verbs describe columns and hand over rows of typed
 * fields; how those look is the business of one table of operations per format
 * (format_text.c: table, raw, csv; format_json.c: json, jsonl). No verb branches on a
 * format, but for out_wide().
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <dsm/dsm.h>

enum field_kind {
	FIELD_NONE = 0,   /**< no value: null */
	FIELD_TEXT, FIELD_U64, FIELD_I64, FIELD_F64, FIELD_BOOL,
	FIELD_HEX,        /**< u64, shown as 0x… */
	FIELD_TIME,       /**< i64: engine time in Unix ns; shown as seconds or as date and time */
	FIELD_VALUE,      /**< struct dsm_value */
};

/** How a field stands out on a terminal with colour; the words say the same. */
enum tone { TONE_PLAIN = 0, TONE_DIM, TONE_WARN, TONE_BAD };

/** One field of a row; what it points to must live until out_row() returns. */
struct field {
	enum field_kind kind;
	enum tone tone;
	int precision;    /**< digits after the point for people; -1 = shortest exact */
	union {
		const char *text;
		uint64_t u64;
		int64_t i64;
		double f64;
		bool b;
		const struct dsm_value *value;
	};
};

struct column {
	const char *key;   /**< in JSON and CSV */
	const char *title; /**< for people; NULL = key */
	const char *unit;  /**< "" or NULL = none */
	bool right;        /**< numbers: aligned right */
};

struct out;

/** Operations of one format. `state` is the format's own, from open(). */
struct format {
	const char *name;
	bool wide;         /**< cells belong side by side: one column a cell, one row an instant */
	bool for_people;   /**< ages rather than time stamps */
	bool ordered;      /**< wants the order of the JSON line: t, cell, v, u, q, seq */
	/** Start of the document; may allocate. -ENOMEM */
	int (*open)(struct out *out);
	/** New columns (out->columns, out->n, out->vertical). */
	void (*begin)(struct out *out);
	/** One row of out->n fields. */
	void (*row)(struct out *out, const struct field *fields);
	/** End of a round: nothing may stay buffered in the format. */
	void (*flush)(struct out *out);
	/** End of the document; frees the state. */
	void (*close)(struct out *out);
};

extern const struct format format_table, format_json, format_jsonl, format_csv, format_raw;

struct out {
	FILE *file;
	const struct format *format;
	bool colour;
	const struct column *columns;
	size_t n;
	bool vertical;     /**< few rows of many columns: one line a column, for people */
	int error;         /**< first failure, negative errno; -EPIPE: nobody reads any more */
	void *state;
};

/** name NULL: "table" on a terminal, else "raw". -EINVAL no such format; -ENOMEM. */
int out_open(const char *name, FILE *file, struct out **out);
/** Columns of the rows that follow; nothing happens if they are the ones in force. */
void out_begin(struct out *out, const struct column *columns, size_t n, bool vertical);
void out_row(struct out *out, const struct field *fields);
/** Make everything written so far visible to the reader. */
void out_flush(struct out *out);
/** out_flush(), and forget the columns: what they point to may go. */
void out_end(struct out *out);
/** Ends the document and frees; *out = NULL. Returns the first failure or 0. */
int out_close(struct out **out);
/** Names of the formats, for messages; NULL past the last. */
const char *out_format_name(size_t index);

/* for the formats */

/** Writes one run of text the format's way. */
typedef void put_text_fn(FILE *file, const char *text, size_t len);
/** Print a field: numbers shortest exact (or `people`: by precision, arrays shortened),
 *  text through `put`. FIELD_NONE and numbers that are none print `none`. */
void field_print(FILE *file, const struct field *field, bool people, const char *none,
	put_text_fn *put);
/** True for FIELD_NONE, NaN and infinities. */
bool field_is_none(const struct field *field);
/** A double, shortest exact or with `precision` digits, or `none`. */
void print_f64(FILE *file, double value, int precision, const char *none);
/** Length of the valid UTF-8 sequence at the start of `string`, or 0; len >= 1. */
size_t utf8_len(const char *string, size_t len);
/** Bytes in hexadecimal. */
void print_hex(FILE *file, const void *bytes, size_t len);

/* constructors */
static inline struct field field_none(void)
{
	return (struct field){ .kind = FIELD_NONE };
}

static inline struct field field_text(const char *text)
{
	return (struct field){ .kind = FIELD_TEXT, .text = text };
}

static inline struct field field_u64(uint64_t value)
{
	return (struct field){ .kind = FIELD_U64, .u64 = value };
}

static inline struct field field_hex(uint64_t value)
{
	return (struct field){ .kind = FIELD_HEX, .u64 = value };
}

static inline struct field field_f64(double value, int precision)
{
	return (struct field){ .kind = FIELD_F64, .precision = precision, .f64 = value };
}

static inline struct field field_bool(bool value)
{
	return (struct field){ .kind = FIELD_BOOL, .b = value };
}

static inline struct field field_time(int64_t ns)
{
	return ns ? (struct field){ .kind = FIELD_TIME, .i64 = ns } : field_none();
}

static inline struct field field_value(const struct dsm_value *value, int precision)
{
	return (struct field){ .kind = FIELD_VALUE, .precision = precision, .value = value };
}

#endif
