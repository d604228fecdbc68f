/* SPDX-License-Identifier: Apache-2.0 */
/* Words for numbers: errors, types, qualities, states, events, flags. Values as text are in
 * value_text.c. Must not depend on the locale of the program. */
#include <dsm/dsm.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct word {
	int number;
	const char *text;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *word_of(const struct word *words, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (words[i].number == number)
			return words[i].text;
	return NULL;
}

static const struct word errors[] = {
	{ 0, "no error" },
	{ EINVAL, "invalid argument" },
	{ EBADF, "the handle was detached" },
	{ ECHILD, "the handle was opened before fork" },
	{ EXDEV, "the id belongs to another handle" },
	{ ESTALE, "the table was replaced: look the name up again" },
	{ ENOENT, "not found" },
	{ EACCES, "access refused" },
	{ EPERM, "not permitted: the group belongs to another owner, or no role is held" },
	{ EBUSY, "in use" },
	{ ENODEV, "no such owner in the table" },
	{ EPROTONOSUPPORT, "another version of layout, protocol or file" },
	{ ENOTSUP, "not supported here" },
	{ ETIMEDOUT, "timed out" },
	{ EAGAIN, "nothing usable yet: try again" },
	{ ENOTCONN, "not connected, or no commit is open" },
	{ ECONNRESET, "connection lost: the outcome is unknown" },
	{ ECANCELED, "the table was replaced meanwhile" },
	{ EOWNERDEAD, "the owner is gone or was superseded" },
	{ ENODATA, "no value: never written, or bad" },
	{ EMSGSIZE, "longer than the cell or message can hold" },
	{ EILSEQ, "not valid UTF-8, or a NUL inside" },
	{ EDOM, "not a number, or infinite" },
	{ ERANGE, "out of range" },
	{ EEXIST, "the name is taken" },
	{ E2BIG, "above a limit" },
	{ EADDRINUSE, "an engine of that name is running" },
	{ EBADMSG, "damaged data" },
	{ EFBIG, "the file is too large" },
	{ ENOMEM, "out of memory" },
	{ EMFILE, "too many open files" },
	{ ENOSPC, "no space left" },
};

const char *dsm_strerror(int error)
{
	const char *text = NULL;
	if (error < 0 && error >= -4095)
		error = -error;
	if (error >= 0 && error <= 4095) {
		text = word_of(errors, COUNT(errors), error);
#ifdef __GLIBC__
		if (!text)
			text = strerrordesc_np(error);
#endif
	}
	return text ? text : "unknown error";
}

const char *dsm_type_name(enum dsm_type type)
{
	static const struct word words[] = {
		{ DSM_BOOL, "bool" }, { DSM_I64, "i64" }, { DSM_U64, "u64" }, { DSM_F64, "f64" },
		{ DSM_STRING, "string" }, { DSM_BYTES, "bytes" }, { DSM_F64_ARRAY, "f64[]" },
	};
	const char *text = word_of(words, COUNT(words), (int)type);
	return text ? text : "?";
}

const char *dsm_quality_name(enum dsm_quality quality)
{
	static const struct word words[] = {
		{ DSM_NEVER_WRITTEN, "never-written" }, { DSM_GOOD, "good" }, { DSM_BAD, "bad" },
		{ DSM_FORCED, "forced" }, { DSM_SIMULATED, "simulated" },
	};
	const char *text = word_of(words, COUNT(words), (int)quality);
	return text ? text : "?";
}

const char *dsm_owner_state_name(enum dsm_owner_state state)
{
	static const struct word words[] = {
		{ DSM_VACANT, "vacant" }, { DSM_ALIVE, "alive" }, { DSM_SILENT, "silent" },
		{ DSM_DEAD, "dead" },
	};
	const char *text = word_of(words, COUNT(words), (int)state);
	return text ? text : "?";
}

const char *dsm_event_name(enum dsm_event_kind kind)
{
	static const struct word words[] = {
		{ DSM_EVENT_ATTACHED, "attached" }, { DSM_EVENT_STALE, "stale" },
		{ DSM_EVENT_LIVE, "live" }, { DSM_EVENT_LOST, "lost" },
		{ DSM_EVENT_GENERATION, "generation" }, { DSM_EVENT_TABLE_CHANGED, "table-changed" },
		{ DSM_EVENT_SUPERSEDED, "superseded" }, { DSM_EVENT_REQUEST, "request" },
		{ DSM_EVENT_OWNER, "owner" },
	};
	const char *text = word_of(words, COUNT(words), (int)kind);
	return text ? text : "?";
}

char *dsm_flags_text(uint32_t flags, char *buf, size_t size)
{
	static const struct word words[] = {
		{ DSM_STALE_ENGINE, "stale(engine)" }, { DSM_STALE_OWNER, "stale(owner)" },
		{ DSM_STALE_AGE, "stale(age)" }, { DSM_UNKNOWN, "unknown" },
	};
	if (!buf || size == 0)
		return buf;
	buf[0] = '\0';
	size_t at = 0;
	for (size_t i = 0; i < COUNT(words); i++) {
		if (!(flags & (uint32_t)words[i].number))
			continue;
		int n = snprintf(buf + at, size - at, "%s%s", at ? "," : "", words[i].text);
		if (n < 0 || (size_t)n >= size - at) {
			buf[at] = '\0'; /* no half words */
			break;
		}
		at += (size_t)n;
	}
	return buf;
}
