/* SPDX-License-Identifier: Apache-2.0 */
/* Running programs of the system; see tool.h. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define OUT_MAX (4u << 20)
#define NS_PER_MS 1000000u
#define ADMIN_PATH "/usr/local/sbin:/usr/sbin:/sbin"

void tool_path(void)
{
	const char *path = getenv("PATH");
	char longer[4096];
	int len = snprintf(longer, sizeof longer, "%s:" ADMIN_PATH, path ? path : "/usr/bin:/bin");

	if (len > 0 && (size_t)len < sizeof longer)
		setenv("PATH", longer, 1);
}

bool tool_exists(const char *name)
{
	const char *path = getenv("PATH");
	char file[512];

	while (path && *path) {
		int len = (int)strcspn(path, ":");
		snprintf(file, sizeof file, "%.*s/%s", len, path, name);
		if (access(file, X_OK) == 0)
			return true;
		path += len;
		path += *path == ':';
	}
	return false;
}

/* Close-on-exec, so that the child keeps nothing but its three. */
static int open_pipes(int out[2], int err[2])
{
	if (pipe2(out, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) == 0)
		return 0;
	int error = -errno;
	close(out[0]);
	close(out[1]);
	return error;
}

/* A new process group: Ctrl-C is ours to pass on, by ending in order. */
static int spawn(const char *const argv[], int out, int err, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, err, 2);
	if (!error)
		error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	if (!error) {
		char **words = (char **)(uintptr_t)argv; /* which it does not change */
		error = posix_spawnp(pid, argv[0], &actions, &attributes, words, environ);
	}
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Room for one more piece; what is beyond OUT_MAX is read and forgotten. */
static bool more_room(struct tool_result *result, size_t piece, size_t *room)
{
	if (result->out_len + piece < *room)
		return true;
	size_t wanted = *room ? *room * 2 : 8192;
	char *out = wanted > OUT_MAX ? NULL : realloc(result->out, wanted);
	if (!out)
		return false;
	result->out = out;
	*room = wanted;
	return true;
}

/* Takes what lies in one of the pipes. False at its end. */
static bool take(struct pollfd *end, struct tool_result *result, size_t *room, size_t *err_len)
{
	char piece[4096];
	ssize_t len = read(end->fd, piece, sizeof piece);

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (len <= 0)
		return false;
	if (err_len) {
		size_t left = sizeof result->err - 1 - *err_len;
		size_t taken = (size_t)len < left ? (size_t)len : left;
		memcpy(result->err + *err_len, piece, taken);
		*err_len += taken;
	} else if (more_room(result, (size_t)len, room)) {
		memcpy(result->out + result->out_len, piece, (size_t)len);
		result->out_len += (size_t)len;
	}
	return true;
}

/* Reads both pipes to their ends or the deadline. */
static int collect(int out, int err, uint64_t deadline, struct tool_result *result)
{
	struct pollfd ends[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	size_t room = 0, err_len = 0;

	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		uint64_t now = now_ns();
		if (now >= deadline || cli_interrupted())
			return -ETIMEDOUT;
		uint64_t left_ms = (deadline - now) / NS_PER_MS + 1;
		int ready = poll(ends, 2, left_ms < 200 ? (int)left_ms : 200);
		if (ready <= 0)
			continue;
		if (ends[0].revents && !take(&ends[0], result, &room, NULL))
			ends[0].fd = -1;
		if (ends[1].revents && !take(&ends[1], result, &room, &err_len))
			ends[1].fd = -1;
	}
	if (!result->out && !more_room(result, 1, &room))
		return -ENOMEM;
	result->out[result->out_len] = '\0';
	while (err_len > 0 && result->err[err_len - 1] == '\n')
		result->err[--err_len] = '\0';
	return 0;
}

/* False if it has not ended by the deadline. */
static bool await_end(pid_t pid, uint64_t deadline, int *status)
{
	for (;;) {
		pid_t ended = waitpid(pid, status, WNOHANG);
		if (ended == pid || (ended < 0 && errno != EINTR))
			return true;
		if (now_ns() >= deadline)
			return false;
		struct timespec pause = { .tv_nsec = 2 * NS_PER_MS };
		nanosleep(&pause, NULL);
	}
}

int tool_run(const char *const argv[], int timeout_ms, struct tool_result *result)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	int out[2], err[2], status = 0;
	pid_t pid;

	memset(result, 0, sizeof *result);
	int error = open_pipes(out, err);
	if (error)
		return error;
	error = spawn(argv, out[1], err[1], &pid);
	close(out[1]);
	close(err[1]);
	if (!error) {
		error = collect(out[0], err[0], deadline, result);
		if (!error && !await_end(pid, deadline, &status))
			error = -ETIMEDOUT;
		if (error) {
			kill(-pid, SIGKILL);
			await_end(pid, now_ns() + 1000ull * NS_PER_MS, &status);
		}
	}
	close(out[0]);
	close(err[0]);
	if (error) {
		tool_free(result);
		return error;
	}
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

void tool_free(struct tool_result *result)
{
	free(result->out);
	result->out = NULL;
	result->out_len = 0;
}
