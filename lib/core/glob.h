/* SPDX-License-Identifier: Apache-2.0 */
/* Name patterns: '*' any text (dots too), '?' one character, '[a-z]' one of a set, '[!x]' one
 * not of it. A '[' without its ']' stands for itself. Bytes, not characters, are matched:
 * names are ASCII. */
#ifndef DSM_LIB_CORE_GLOB_H
#define DSM_LIB_CORE_GLOB_H

#include <stdbool.h>

/* Does the whole of `text` match? At most strlen(pattern) * strlen(text) steps. */
bool glob_match(const char *pattern, const char *text);

#endif
