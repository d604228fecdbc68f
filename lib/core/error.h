/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a thread's last failure. Set where the failure is seen, with what, where and
 * what to do; callers pass the code on unchanged. */
#ifndef DSM_LIB_CORE_ERROR_H
#define DSM_LIB_CORE_ERROR_H

#include <dsm/dsm.h>

/* What GCC checks texts against; on Windows the C library's own printf() would be another one. */
#ifdef _WIN32
#define PRINTF_FORMAT gnu_printf
#else
#define PRINTF_FORMAT printf
#endif

/* Sets the calling thread's error text and returns `error` (negative errno). Exported from
 * libdsm for libdsm_engine only (version node DSM_PRIVATE). */
DSM_EXPORT int dsm__fail(int error, const char *format, ...) __attribute__((format(PRINTF_FORMAT, 2, 3)));

#endif
