/* SPDX-License-Identifier: Apache-2.0 */
/* dsmd's parts: main.c (command line), config.c (configuration file), serve.c (the engine from
 * start to end), report.c (log lines and the service manager). Public API of dsm only. */
#ifndef DSM_ENGINE_DSMD_H
#define DSM_ENGINE_DSMD_H

#include <limits.h>

#include <dsm/engine.h>

enum { STATUS_OK = 0, STATUS_REFUSED = 1, STATUS_USAGE = 2 };

/* What to run with: defaults, then the configuration file, then the command line. Texts are
 * owned and freed by settings_free(). Options left 0 or NULL are the engine's defaults. */
struct settings {
	char *table, *name, *readers, *requesters, *state_file, *rdma, *udp, *adc, *keys;
	uint32_t tick_ms, lease_ms, max_clients, save_interval_ms;
	bool restore, lock_memory;
	bool auth_none;         /* somebody wrote down that nobody is authenticated */
	bool auth_keys;         /* or that keys are */
};

void settings_free(struct settings *settings);
/* Replaces *text by a copy. -ENOMEM. */
int settings_text(char **text, const char *value);

/* Reads a configuration file into settings. Relative paths in it start at its folder. Negative:
 * refused, said by log_line(). */
int config_load(const char *path, struct settings *settings);

/* Loads the table and prints what it holds. Returns an exit status. */
int serve_check(const struct settings *settings);
/* Serves until SIGTERM or SIGINT. Returns an exit status. */
int serve(const struct settings *settings);

/* One line to standard error, with the time unless the journal adds its own. Any thread. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells the service manager ($NOTIFY_SOCKET) "READY=1" and such; nothing without one. */
void notify_manager(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
