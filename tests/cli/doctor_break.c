/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded before libdsm by a test of dsm doctor (LD_PRELOAD): breaks one thing that happens between two
 * of its questions, which nothing from outside can hit. DSM_BREAK says which:
 *   stop=PID   the engine stops just after the attach
 *   role       the engine does not answer who is attached; role-other: it does not list this program
 *   version    the engine speaks another version
 * Prints nothing; what it does not break goes on to libdsm. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dsm/dsm.h>

static const char *broken(void)
{
	const char *what = getenv("DSM_BREAK");
	return what ? what : "";
}

DSM_EXPORT int dsm_attach(const char *uri, const struct dsm_options *opts, struct dsm **out)
{
	int (*real)(const char *, const struct dsm_options *, struct dsm **);
	*(void **)&real = dlsym(RTLD_NEXT, "dsm_attach");
	if (!real || strcmp(broken(), "version") == 0)
		return -EPROTONOSUPPORT;
	int rc = real(uri, opts, out);
	if (rc == 0 && strncmp(broken(), "stop=", 5) == 0) {
		kill((pid_t)atoi(broken() + 5), SIGSTOP);
		usleep(100000); /* it has stopped by then: its last beat is in what is asked for next */
	}
	return rc;
}

DSM_EXPORT int dsm_foreach_client(struct dsm *dsm, int timeout_ms,
	int (*fn)(const struct dsm_client_info *info, void *context), void *context)
{
	int (*real)(struct dsm *, int, int (*)(const struct dsm_client_info *, void *), void *);
	*(void **)&real = dlsym(RTLD_NEXT, "dsm_foreach_client");
	if (!real || strcmp(broken(), "role") == 0)
		return -ETIMEDOUT;
	return strcmp(broken(), "role-other") == 0 ? 0 : real(dsm, timeout_ms, fn, context);
}
