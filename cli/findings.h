/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out about a machine or an engine, and how to mend it: for rxe and doctor. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stddef.h>

#include "output.h"
#include "system.h"

enum verdict { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct finding {
	const char *check;    /**< one word */
	enum verdict verdict;
	char found[256];
	char fix[384];        /**< "" none needed */
};

#define FINDINGS_MAX 48
struct findings {
	struct finding list[FINDINGS_MAX];
	size_t n;
};

/** Adds one; returns it, so that a fix can be put to it. What is beyond FINDINGS_MAX
 *  overwrites the last. */
struct finding *finding_add(struct findings *findings, enum verdict verdict, const char *check,
	const char *fmt, ...) __attribute__((format(PRINTF_FORMAT, 4, 5)));
void finding_fix(struct finding *finding, const char *fmt, ...)
	__attribute__((format(PRINTF_FORMAT, 2, 3)));
/** The gravest verdict. */
enum verdict findings_worst(const struct findings *findings);
/** All as rows: check, state, found, fix. */
void findings_print(struct out *out, const struct findings *findings);

/** This machine. Linux: all of checks.h, for every device; call it before any thread is started.
 *  Windows: says what is not looked at there. */
void check_machine(struct findings *findings);

#endif
