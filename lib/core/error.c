/* SPDX-License-Identifier: Apache-2.0 */
/* Per-thread error text. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char error_text[512];

int dsm__fail(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error_text, sizeof(error_text), format, args);
	va_end(args);
	return error;
}

const char *dsm_error(void)
{
	return error_text;
}
