/* SPDX-License-Identifier: Apache-2.0 */
/* What dsmd tells: log lines to standard error, states to the service manager. */
#include "dsmd.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static size_t put_time(char *line, size_t size)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!gmtime_r(&now.tv_sec, &utc))
		return 0;
	size_t n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	return n + (size_t)snprintf(line + n, size - n, ".%03ldZ ", now.tv_nsec / 1000000);
}

/* One write a line: lines of several threads don't mix. */
void log_line(const char *format, ...)
{
	char line[1024];
	size_t n = getenv("JOURNAL_STREAM") ? 0 : put_time(line, sizeof(line));
	n += (size_t)snprintf(line + n, sizeof(line) - n, "dsmd: ");
	va_list args;
	va_start(args, format);
	int more = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	va_end(args);
	n = more < 0 ? n : strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody listens */
}

void notify_manager(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char text[512];
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
		return;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n <= 0)
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	size_t bytes = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	if (sendto(fd, text, bytes, MSG_NOSIGNAL, (const struct sockaddr *)&to, size) < 0)
		log_line("cannot tell the service manager: %m");
	close(fd);
}
