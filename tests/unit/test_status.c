/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses on a wire are Linux's numbers. The table is compiled a second time here, with the numbers
 * that <errno.h> has on Windows: so the translation is tried where both sides differ. */
#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/status.h"

/* name, on the wire, on Windows; two of them are <dsm/dsm.h>'s there */
#define ROWS(X) \
	X(EPERM, 1, 1) X(ENOENT, 2, 2) X(EINTR, 4, 4) X(EIO, 5, 5) X(E2BIG, 7, 7) X(EBADF, 9, 9) \
	X(ECHILD, 10, 10) X(EAGAIN, 11, 11) X(ENOMEM, 12, 12) X(EACCES, 13, 13) X(EFAULT, 14, 14) \
	X(EBUSY, 16, 16) X(EEXIST, 17, 17) X(EXDEV, 18, 18) X(ENODEV, 19, 19) X(EISDIR, 21, 21) \
	X(EINVAL, 22, 22) X(ENFILE, 23, 23) X(EMFILE, 24, 24) X(EFBIG, 27, 27) X(ENOSPC, 28, 28) \
	X(EPIPE, 32, 32) X(EDOM, 33, 33) X(ERANGE, 34, 34) X(ENAMETOOLONG, 36, 38) \
	X(ENOSYS, 38, 40) X(ELOOP, 40, 114) X(ENODATA, 61, 120) X(ETIME, 62, 137) \
	X(EPROTO, 71, 134) X(EBADMSG, 74, 104) X(EOVERFLOW, 75, 132) X(EILSEQ, 84, 42) \
	X(EUSERS, 87, 168) X(EMSGSIZE, 90, 115) X(EPROTONOSUPPORT, 93, 135) X(ENOTSUP, 95, 129) \
	X(EADDRINUSE, 98, 100) X(EADDRNOTAVAIL, 99, 101) X(ENETDOWN, 100, 116) \
	X(ENETUNREACH, 101, 118) X(ECONNABORTED, 103, 106) X(ECONNRESET, 104, 108) \
	X(ENOBUFS, 105, 119) X(ENOTCONN, 107, 126) X(ETIMEDOUT, 110, 138) \
	X(ECONNREFUSED, 111, 107) X(EHOSTUNREACH, 113, 110) X(EALREADY, 114, 103) \
	X(EINPROGRESS, 115, 112) X(ESTALE, 116, 170) X(ECANCELED, 125, 105) \
	X(EOWNERDEAD, 130, 133)

#define ROW(name, wire, windows) { #name, name, wire, windows },
static const struct row { const char *name; int here, wire, windows; } rows[] = { ROWS(ROW) };
#define COUNT (sizeof(rows) / sizeof(rows[0]))
enum { EIO_HERE = EIO };

#undef ENAMETOOLONG
#define ENAMETOOLONG 38
#undef ENOSYS
#define ENOSYS 40
#undef ELOOP
#define ELOOP 114
#undef ENODATA
#define ENODATA 120
#undef ETIME
#define ETIME 137
#undef EPROTO
#define EPROTO 134
#undef EBADMSG
#define EBADMSG 104
#undef EOVERFLOW
#define EOVERFLOW 132
#undef EILSEQ
#define EILSEQ 42
#undef EUSERS
#define EUSERS 168
#undef EMSGSIZE
#define EMSGSIZE 115
#undef EPROTONOSUPPORT
#define EPROTONOSUPPORT 135
#undef ENOTSUP
#define ENOTSUP 129
#undef EADDRINUSE
#define EADDRINUSE 100
#undef EADDRNOTAVAIL
#define EADDRNOTAVAIL 101
#undef ENETDOWN
#define ENETDOWN 116
#undef ENETUNREACH
#define ENETUNREACH 118
#undef ECONNABORTED
#define ECONNABORTED 106
#undef ECONNRESET
#define ECONNRESET 108
#undef ENOBUFS
#define ENOBUFS 119
#undef ENOTCONN
#define ENOTCONN 126
#undef ETIMEDOUT
#define ETIMEDOUT 138
#undef ECONNREFUSED
#define ECONNREFUSED 107
#undef EHOSTUNREACH
#define EHOSTUNREACH 110
#undef EALREADY
#define EALREADY 103
#undef EINPROGRESS
#define EINPROGRESS 112
#undef ESTALE
#define ESTALE 170
#undef ECANCELED
#define ECANCELED 105
#undef EOWNERDEAD
#define EOWNERDEAD 133
int32_t windows_translated(int error, int to_wire);
#define status_translated windows_translated
#include "../../lib/wire/status.c"
#undef status_translated

#ifdef __linux__
Test(status, linux_has_the_numbers_of_the_wire)
{
	for (size_t i = 0; i < COUNT; i++) {
		cr_expect_eq(rows[i].here, rows[i].wire, "%s: %d", rows[i].name, rows[i].here);
		cr_expect_eq(status_translated(-rows[i].here, 1), -rows[i].wire, "%s", rows[i].name);
		cr_expect_eq(status_translated(-rows[i].wire, 0), -rows[i].here, "%s", rows[i].name);
		cr_expect_eq(status_to_wire(-rows[i].here), (uint32_t)-rows[i].wire, "%s", rows[i].name);
		cr_expect_eq(status_from_wire((uint32_t)-rows[i].wire), -rows[i].here, "%s", rows[i].name);
	}
}
#endif

Test(status, windows_numbers_both_ways)
{
	for (size_t i = 0; i < COUNT; i++) {
		cr_expect_eq(windows_translated(-rows[i].windows, 1), -rows[i].wire, "%s", rows[i].name);
		cr_expect_eq(windows_translated(-rows[i].wire, 0), -rows[i].windows, "%s", rows[i].name);
	}
}

static bool listed(int number, bool on_wire)
{
	for (size_t i = 0; i < COUNT; i++)
		if (number == (on_wire ? rows[i].wire : rows[i].windows))
			return true;
	return false;
}

/* What has no row is an I/O error; what is no error stays. */
Test(status, all_else)
{
	for (int n = 1; n < 5000; n++)
		if ((!listed(n, false) && windows_translated(-n, 1) != -5) ||
		    (!listed(n, true) && windows_translated(-n, 0) != -EIO_HERE))
			cr_expect_fail("%d", n);
	for (int to_wire = 0; to_wire < 2; to_wire++) {
		cr_expect_eq(windows_translated(INT32_MIN, to_wire), -5);
		cr_expect_eq(windows_translated(0, to_wire), 0);
		cr_expect_eq(windows_translated(1, to_wire), 1);
		cr_expect_eq(windows_translated(INT32_MAX, to_wire), INT32_MAX);
	}
}

static bool has_row(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return true;
	return false;
}

static unsigned errors_of(const char *path)
{
	char line[500];
	unsigned found = 0;
	FILE *file = fopen(path, "r");
	cr_assert(file, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		for (char *at = strstr(line, "-E"); at; at = strstr(at + 1, "-E")) {
			size_t len = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
			cr_expect(len < 3 || has_row(at + 1, len), "%s: %.*s", path, (int)len, at + 1);
			found += len >= 3;
		}
	}
	fclose(file);
	return found;
}

/* Every error that a public header promises comes over a wire as what it is. */
Test(status, every_public_error_has_a_number)
{
	const char *folder = getenv("DSM_HEADERS");
	char pattern[500];
	glob_t headers;
	unsigned found = 0;
	cr_assert(folder, "DSM_HEADERS is not set");
	snprintf(pattern, sizeof(pattern), "%s/*.h", folder);
	cr_assert_eq(glob(pattern, 0, NULL, &headers), 0, "%s", pattern);
	for (size_t i = 0; i < headers.gl_pathc; i++)
		found += errors_of(headers.gl_pathv[i]);
	globfree(&headers);
	cr_expect_gt(found, 50u, "only %u errors in %s", found, folder);
}
