/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DSM_LIB_CORE_UTF8_H
#define DSM_LIB_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (no surrogates, no overlong form, at most U+10FFFF) without NUL. */
bool utf8_valid(const char *text, size_t bytes);

#endif
