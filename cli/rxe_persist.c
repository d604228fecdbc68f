/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft-RoCE at every boot: one systemd unit an interface, enabled by the symbolic link that
 * `systemctl enable` would make. That also works where systemd is not running (an image that
 * is being built), and taking it back is removing two files. A unit, and not
 * /etc/modules-load.d, because loading the module makes no device.
 */
#include "rxe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define UNITS "/etc/systemd/system"
#define WANTS UNITS "/multi-user.target.wants"
#define PATH_SIZE 512

static void unit_path(char *path, const char *folder, const char *interface)
{
	snprintf(path, PATH_SIZE, "%s/dsm-rxe-%s.service", folder, interface);
}

bool rxe_is_persistent(const char *interface)
{
	char path[PATH_SIZE];

	unit_path(path, WANTS, interface);
	return access(path, F_OK) == 0;
}

/* What may stand in the name of a unit, and in a line of it without quotes. */
static bool is_plain(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:";

	return *name && name[strspn(name, letters)] == '\0';
}

/* Whole or not at all: written beside, then renamed. */
static int write_unit(const char *path, const char *interface, const char *program)
{
	char beside[PATH_SIZE + 8];

	snprintf(beside, sizeof beside, "%s.new", path);
	FILE *file = fopen(beside, "we");
	if (!file)
		return -errno;
	fprintf(file,
		"# Made by `dsm rxe persist %s`; `dsm rxe del %s` removes it.\n"
		"[Unit]\n"
		"Description=Soft-RoCE on %s\n"
		"Documentation=man:dsm(1)\n"
		"After=network-pre.target systemd-modules-load.service\n\n"
		"[Service]\n"
		"Type=oneshot\n"
		"RemainAfterExit=yes\n"
		"# waits for the interface to appear\n"
		"ExecStart=%s rxe add %s --timeout 60\n\n"
		"[Install]\n"
		"WantedBy=multi-user.target\n", interface, interface, interface, program, interface);
	bool bad = ferror(file) != 0 || fflush(file) != 0 || fsync(fileno(file)) != 0;
	int error = bad ? -errno : 0;
	fclose(file);
	if (!error && rename(beside, path) != 0)
		error = -errno;
	if (error)
		unlink(beside);
	return error;
}

/* Where systemd runs, it has to be told; elsewhere it finds the unit when it starts. */
static void reload(void)
{
	static const char *const argv[] = { "systemctl", "daemon-reload", NULL };
	struct tool_result result;

	if (access("/run/systemd/system", F_OK) == 0 && tool_run(argv, 10000, &result) == 0)
		tool_free(&result);
}

enum status rxe_persist(struct cli *cli, const char *interface)
{
	char program[PATH_SIZE], path[PATH_SIZE], link[PATH_SIZE];
	ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);

	if (len <= 0 || !is_plain(interface)) {
		cli_say(cli, "%s: no unit can be named after that", interface);
		return STATUS_REFUSED;
	}
	program[len] = '\0';
	if (strpbrk(program, " \t\"'\\$%")) {
		cli_say(cli, "%s: a path with such characters cannot stand in a unit; install dsm first", program);
		return STATUS_REFUSED;
	}
	unit_path(path, UNITS, interface);
	unit_path(link, WANTS, interface);
	mkdir("/etc/systemd", 0755);
	mkdir(UNITS, 0755);
	mkdir(WANTS, 0755);
	int error = write_unit(path, interface, program);
	if (!error && symlink(path, link) != 0 && errno != EEXIST)
		error = -errno;
	if (error) {
		cli_say(cli, "%s: %s; is this root, on a system with systemd?", path, strerror(-error));
		return STATUS_REFUSED;
	}
	reload();
	fprintf(stdout, "%s will have Soft-RoCE at every boot (%s)\n", interface, path);
	return STATUS_OK;
}

enum status rxe_forget(struct cli *cli, const char *interface, bool *found)
{
	char path[PATH_SIZE];
	enum status status = STATUS_OK;

	*found = false;
	for (int i = 0; i < 2; i++) {
		unit_path(path, i ? UNITS : WANTS, interface);
		if (unlink(path) == 0) {
			*found = true;
		} else if (errno != ENOENT) {
			cli_say(cli, "%s: %s", path, strerror(errno));
			status = STATUS_REFUSED;
		}
	}
	if (*found) {
		reload();
		fprintf(stdout, "%s will have no Soft-RoCE at the next boot\n", interface);
	}
	return status;
}
