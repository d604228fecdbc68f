/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: listen, loop, end; and what all answers have in common. See web.h. */
#include "web.h"

#include "peeker.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The loop looks at the clock and at signals at least this often. */
#define TURN_MAX_MS 250

/* ---- answers ---- */

void add_headers(struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
			"img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
			"form-action 'self'; frame-ancestors 'none'" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Referrer-Policy", "no-referrer" },
	};

	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

enum MHD_Result answer(struct web *web, struct MHD_Connection *connection, unsigned status,
	const char *type, struct buffer *body)
{
	struct MHD_Response *response = body->failed ? NULL :
		MHD_create_response_from_buffer(body->length, body->text, MHD_RESPMEM_MUST_FREE);

	(void)web;
	if (!response) {
		free(body->text);
		return MHD_NO;
	}
	add_headers(response);
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"peeker\"");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result refuse(struct web *web, struct MHD_Connection *connection, unsigned status,
	const char *fmt, ...)
{
	struct buffer b = { 0 };
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	put(&b, "{\"error\":");
	put_string(&b, text);
	put(&b, "}\n");
	web->counts.refused++;
	return answer(web, connection, status, "application/json; charset=utf-8", &b);
}

/* ---- requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = header(connection, "Content-Length");

	return header(connection, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* 0, or the status of the refusal that has been given. */
static enum MHD_Result check(struct web *web, struct MHD_Connection *connection, bool *refused)
{
	const char *host = header(connection, "Host"), *origin = header(connection, "Origin");

	*refused = true;
	if (!guard_host(&web->guard, host))
		return refuse(web, connection, MHD_HTTP_FORBIDDEN, "the Host header \"%.100s\" is not a "
			"name of this server; use its address, or start the peeker with --web-host NAME",
			host ? host : "");
	if (!guard_origin(origin, host))
		return refuse(web, connection, MHD_HTTP_FORBIDDEN, "a page of %.100s may not read this "
			"server; open the server's own page", origin);
	*refused = false;
	return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, const char *upload,
	size_t *upload_bytes, void **mark)
{
	static int seen;
	struct web *web = context;
	bool refused;

	(void)version;
	(void)upload;
	if (*mark != &seen) {
		*mark = &seen;
		web->counts.requests++;
		link_is(connection, LINK_TAKES);
		if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
			return refuse(web, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				"only GET and HEAD are served: the peeker reads, and nothing can be changed "
				"through it");
		if (has_body(connection))
			return refuse(web, connection, MHD_HTTP_BAD_REQUEST,
				"a request with a body is not served");
		return MHD_YES; /* called again when the head has been taken as a whole */
	}
	*upload_bytes = 0;
	enum MHD_Result result = check(web, connection, &refused);
	return refused ? result : route(web, connection, path);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **mark,
	enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)mark;
	(void)code;
	link_is(connection, LINK_ASKS);
}

static void say_nothing(void *context, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
static void say_nothing(void *context, const char *fmt, va_list args)
{
	(void)context;
	(void)fmt;
	(void)args;
}

/* ---- life ---- */

/* The token is the first line of a file that nobody else can read. */
static int read_token(struct web *web, const char *path)
{
	char line[TOKEN_MAX + 3] = "";
	FILE *file = fopen(path, "re");

	if (!file) {
		peeker_say("--web-token %s: %s", path, strerror(errno));
		return -ENOENT;
	}
	bool got = fgets(line, sizeof line, file) != NULL;
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!got || !token_is_usable(line)) {
		peeker_say("--web-token %s: its first line must be %u to %u letters, digits, - or _ ; "
			"make one: head -c 24 /dev/urandom | base64 | tr +/ -_ >%s", path, TOKEN_MIN,
			TOKEN_MAX, path);
		return -EINVAL;
	}
	snprintf(web->guard.token, sizeof web->guard.token, "%s", line);
	return 0;
}

static void add_name(struct guard *guard, const char *name)
{
	if (guard->n_names < GUARD_NAMES_MAX && *name)
		guard->names[guard->n_names++] = name;
}

static int prepare_guard(struct web *web, const struct settings *set)
{
	static char name[256], local[256 + 8];

	if (gethostname(name, sizeof name - 1) == 0) {
		name[strcspn(name, ".")] = '\0';
		snprintf(local, sizeof local, "%s.local", name);
		add_name(&web->guard, name);
		add_name(&web->guard, local);
	}
	for (int i = 0; i < set->n_web_hosts; i++)
		add_name(&web->guard, set->web_hosts[i]);
	return set->web_token ? read_token(web, set->web_token) : 0;
}

static int start(struct web *web, int fd)
{
	unsigned port = 0;

	place_is_open(fd, &port);
	snprintf(web->cookie, sizeof web->cookie, "peeker-%u", port);
	web->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, web,
		MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_CONNECTION, links_notify, web,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, web,
		MHD_OPTION_CONNECTION_LIMIT, LINKS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, STUCK_MAX_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LINK_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	return web->daemon ? 0 : -EIO;
}

static int turn_ms(const struct web *web, uint64_t now_ns, uint64_t next_ns)
{
	MHD_UNSIGNED_LONG_LONG mhd_ms;
	uint64_t ms = next_ns > now_ns ? (next_ns - now_ns) / 1000000u + 1 : 0;

	if (MHD_get_timeout(web->daemon, &mhd_ms) == MHD_YES && mhd_ms < ms)
		ms = mhd_ms;
	return ms < TURN_MAX_MS ? (int)ms : TURN_MAX_MS;
}

static void loop(struct web *web, const struct peeker *p)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd ends[2] = { { .fd = info->epoll_fd, .events = POLLIN },
		{ .fd = web->wake_fd, .events = POLLIN } };
	uint64_t rounds, next_ns = 0, now_ns = own_clock_ns();

	while (!peeker_signalled() && (!p->deadline_ns || now_ns < p->deadline_ns)) {
		poll(ends, 2, turn_ms(web, now_ns, next_ns));
		if (ends[1].revents && read(web->wake_fd, &rounds, sizeof rounds) < 0)
			rounds = 0; /* somebody else was quicker; the clock decides anyway */
		MHD_run(web->daemon);
		now_ns = own_clock_ns();
		next_ns = links_expire(web, now_ns);
		uint64_t feed_ns = streams_feed(web, now_ns);
		next_ns = feed_ns < next_ns ? feed_ns : next_ns;
	}
}

static void stop(struct web *web)
{
	if (web->daemon) {
		streams_end(web);
		MHD_run(web->daemon); /* takes back those that were suspended */
		MHD_stop_daemon(web->daemon);
	}
	streams_forget(web);
	assets_close(web);
	if (web->wake_fd >= 0)
		close(web->wake_fd);
}

/* By the engine's own name; while there is none yet, by the address that was asked for. */
static int announce(struct peeker *p, unsigned port)
{
	const char *uri = p->set.uri ? p->set.uri : getenv("DSM_URI");
	char name[256];

	snprintf(name, sizeof name, "%s", sampler_lock(p->sampler)->engine.name);
	sampler_unlock(p->sampler);
	return announce_begin(*name ? name : uri && *uri ? uri : "rig", port);
}

enum status web_run(struct peeker *p)
{
	struct web web = { .sampler = p->sampler, .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	struct place place;
	char error[400] = "out of memory or descriptors";
	unsigned port = 0;
	int fd = -1, announcer = 0;

	int result = web.wake_fd < 0 ? -EMFILE : prepare_guard(&web, &p->set);
	if (result && web.wake_fd >= 0)
		*error = '\0'; /* it has been said */
	if (!result)
		result = place_parse(p->set.web_place, &place, error, sizeof error);
	if (!result)
		result = place_listen(&place, &fd, error, sizeof error);
	if (!result)
		result = assets_open(&web);
	if (!result && (result = start(&web, fd)) != 0)
		snprintf(error, sizeof error, "--web: the HTTP server cannot be started");
	if (result && *error)
		peeker_say("%s", error);
	if (!result) {
		place_print(fd, web.guard.token, p->utf8);
		if (place_is_open(fd, &port))
			announcer = announce(p, port);
		sampler_notify(p->sampler, web.wake_fd);
		loop(&web, p);
		sampler_notify(p->sampler, -1);
		announce_end(announcer);
	} else if (fd >= 0 && !web.daemon) {
		close(fd);
	}
	stop(&web);
	return result ? STATUS_REFUSED : STATUS_OK;
}
