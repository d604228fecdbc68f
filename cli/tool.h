/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of the system (rdma, modprobe, nft …) run by rxe and doctor: without a shell,
 * bounded in time, their output kept.
 */
#ifndef CLI_TOOL_H
#define CLI_TOOL_H

#include <stdbool.h>
#include <stddef.h>

/** What a program said and how it ended. */
struct tool_result {
	int status;       /**< exit status; 128 + signal */
	char *out;        /**< standard output, NUL-terminated; cut at 4 MiB */
	size_t out_len;
	char err[512];    /**< standard error, its beginning, without the newline at the end */
};

/** Administrators' programs lie in folders that a user's PATH may lack: adds them. Call
 *  before any thread is started. */
void tool_path(void);
/** True if `name` is in PATH and may be executed. */
bool tool_exists(const char *name);
/** Runs argv (NULL-terminated), input from /dev/null, for at most timeout_ms; then it is
 *  killed, and not waited for longer than a second: one that hangs in the kernel cannot be.
 *  Blocks. Returns 0, the result to be freed by tool_free(); -ENOENT no such program;
 *  -ETIMEDOUT; or another negative errno. */
int tool_run(const char *const argv[], int timeout_ms, struct tool_result *result);
void tool_free(struct tool_result *result);

#endif
