/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether this machine is ready for RDMA: what was found, and how to mend it. Made by
 * checks.c for rxe and doctor; doctor.c adds those of an engine.
 */
#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

#include "host.h"
#include "output.h"

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
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void finding_fix(struct finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/** The gravest verdict. */
enum verdict findings_worst(const struct findings *findings);
/** All as rows: check, state, found, fix. */
void findings_print(struct out *out, const struct findings *findings);

/** Kernel modules: can this kernel have Soft-RoCE? Nothing is loaded. */
void check_modules(struct findings *findings, bool has_device);
/** One device: port, node, MTU, address, packet filter. */
void check_device(struct findings *findings, const struct rdma_device *device);
/** Memory that may be locked, as this process is limited. */
void check_memlock(struct findings *findings);
/** All of these, for every device. */
void check_machine(struct findings *findings);

#endif
