/* SPDX-License-Identifier: Apache-2.0 */
/* What these programs say when something is wrong; a fuzzer brings a quieter one. */
#include "adc.h"

#include <stdarg.h>

int complain(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fprintf(stderr, "dsm-adc: ");
	vfprintf(stderr, format, list);
	fprintf(stderr, "\n");
	va_end(list);
	return -1;
}
