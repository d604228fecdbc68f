/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases share. One engine, of tests/windows/table.yaml, which outlives all of them. */
#ifndef TESTS_WINDOWS_UDP_CASES_H
#define TESTS_WINDOWS_UDP_CASES_H

#include <dsm/dsm.h>

extern const char *case_uri, *case_keys;

/* Counts and, if it does not hold, prints it with the library's text. */
bool case_check(bool holds, const char *text, const char *file, int line);
#define CHECK(what) case_check(what, #what, __FILE__, __LINE__)

/* As `owner` (NULL: a reader), with the keys of the command line. NULL: counted as a failure. */
struct dsm *case_attach(const char *owner, const char *fault);
struct dsm_cell case_cell(struct dsm *dsm, const char *name);
struct dsm_group case_group(struct dsm *dsm, const char *name);

/* udp_errors.c */
void case_refusals(void);
void case_keys_refused(void);
void case_other_schemes(void);

#endif
