/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/status.h"

#include <dsm/dsm.h>
#include <errno.h>

/* Linux's numbers, which are alike on all of its common machines. */
static const struct { int wire, own; } table[] = {
	{ 1, EPERM }, { 2, ENOENT }, { 4, EINTR }, { 5, EIO }, { 7, E2BIG }, { 9, EBADF }, { 10, ECHILD },
	{ 11, EAGAIN }, { 12, ENOMEM }, { 13, EACCES }, { 14, EFAULT }, { 16, EBUSY }, { 17, EEXIST },
	{ 18, EXDEV }, { 19, ENODEV }, { 21, EISDIR }, { 22, EINVAL }, { 23, ENFILE }, { 24, EMFILE },
	{ 27, EFBIG }, { 28, ENOSPC }, { 32, EPIPE }, { 33, EDOM }, { 34, ERANGE }, { 36, ENAMETOOLONG },
	{ 38, ENOSYS }, { 40, ELOOP }, { 61, ENODATA }, { 62, ETIME }, { 71, EPROTO }, { 74, EBADMSG },
	{ 75, EOVERFLOW }, { 84, EILSEQ }, { 87, EUSERS }, { 90, EMSGSIZE }, { 93, EPROTONOSUPPORT },
	{ 95, ENOTSUP }, { 98, EADDRINUSE }, { 99, EADDRNOTAVAIL }, { 100, ENETDOWN }, { 101, ENETUNREACH },
	{ 103, ECONNABORTED }, { 104, ECONNRESET }, { 105, ENOBUFS }, { 107, ENOTCONN }, { 110, ETIMEDOUT },
	{ 111, ECONNREFUSED }, { 113, EHOSTUNREACH }, { 114, EALREADY }, { 115, EINPROGRESS }, { 116, ESTALE },
	{ 125, ECANCELED }, { 130, EOWNERDEAD },
};

#define WIRE_EIO 5

int32_t status_translated(int error, int to_wire)
{
	if (error >= 0)
		return error;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (error == -(to_wire ? table[i].own : table[i].wire))
			return -(to_wire ? table[i].wire : table[i].own);
	return to_wire ? -WIRE_EIO : -EIO;
}
