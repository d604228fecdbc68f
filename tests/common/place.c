/* SPDX-License-Identifier: Apache-2.0 */
/* The test's side of place.h. */
#include "common/place.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 30000
#define REACH_TRIES 300 /* a fifth of a second each */

/* One line there, one back. Its text is place->text. */
static int ask(struct place *place, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int ask(struct place *place, const char *format, ...)
{
	char line[PLACE_LINE];
	int error = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	int rc = line_put(place->fd, line);
	if (rc == 0)
		rc = line_get(place->fd, place->text, ANSWER_MS);
	if (rc == 0 && sscanf(place->text, "error %d", &error) == 1)
		rc = -error;
	if (rc)
		fprintf(stderr, "engine elsewhere: %.20s: %s\n", line, error ? place->text : strerror(-rc));
	return rc;
}

static int start_keeper(struct place *place)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fflush(NULL);
	place->keeper = fork();
	if (place->keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		keeper_serve(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	place->fd = pair[0];
	return place->keeper > 0 ? 0 : -errno;
}

static int connect_once(const char *host)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char port[16];
	int fd = -1, one = 1;
	snprintf(port, sizeof(port), "%d", PLACE_PORT);
	if (getaddrinfo(host, port, &hints, &list))
		return -1;
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int place_reach(struct place *place, const char *where)
{
	memset(place, 0, sizeof(*place));
	place->fd = -1;
	if (strcmp(where, "here") == 0)
		return 0;
	if (strcmp(where, "process") == 0)
		return start_keeper(place);
	for (int i = 0; i < REACH_TRIES && place->fd < 0; i++) {
		if (i)
			usleep(200000);
		place->fd = connect_once(where);
	}
	if (place->fd < 0)
		fprintf(stderr, "no engine_host at %s, TCP port %d\n", where, PLACE_PORT);
	return place->fd < 0 ? -ECONNREFUSED : 0;
}

void place_leave(struct place *place)
{
	dsm_engine_close(&place->engine);
	if (place->fd >= 0)
		close(place->fd);
	if (place->keeper > 0)
		waitpid(place->keeper, NULL, 0);
	place->fd = -1;
	place->keeper = 0;
}

int place_open(struct place *place, unsigned flags, unsigned serve)
{
	bool again = place->name[0];
	place->flags = flags;
	if (place->fd < 0) {
		struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
		opts.name = again ? place->name : NULL;
		return serve ? -ENOTSUP : fixture_engine_of(flags, &opts, place->name, &place->engine);
	}
	int rc = ask(place, "open %s %u %u %u", again ? place->name : "-", place->port, flags, serve);
	if (rc == 0 && sscanf(place->text, "ok %63s %u", place->name, &place->port) != 2)
		rc = -EBADMSG;
	return rc;
}

int place_close(struct place *place)
{
	return place->fd < 0 ? dsm_engine_close(&place->engine) : ask(place, "close");
}

int place_reload(struct place *place, unsigned flags)
{
	struct dsm_table *table = NULL;
	if (place->fd >= 0)
		return ask(place, "reload %u", flags);
	int rc = fixture_table_of(flags, &table);
	if (rc == 0)
		rc = dsm_engine_reload(place->engine, table);
	dsm_table_free(&table);
	return rc;
}

static const void *value_bytes(const struct dsm_value *v, size_t *n)
{
	switch (v->type) {
	case DSM_STRING:
	case DSM_BYTES:
		*n = v->len;
		return v->bytes;
	case DSM_F64_ARRAY:
		*n = v->len * sizeof(double);
		return v->f64s;
	case DSM_BOOL:
		*n = 1;
		return &v->b;
	default:
		*n = 8;
		return &v->u64;
	}
}

int place_commit(struct place *place, int64_t time_ns, const struct fixture_value *values, unsigned n)
{
	char line[PLACE_LINE];
	size_t used = 0, bytes;
	if (place->fd < 0)
		return fixture_commit(place->engine, time_ns, values, n);
	used += (size_t)snprintf(line, sizeof(line), "write %lld", (long long)time_ns);
	for (unsigned i = 0; i < n; i++) {
		const unsigned char *data = value_bytes(&values[i].value, &bytes);
		if (used + strlen(values[i].cell) + 2 * bytes + 16 > sizeof(line))
			return -EMSGSIZE;
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %s=%d:", values[i].cell,
			(int)values[i].value.type);
		for (size_t b = 0; b < bytes; b++)
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%02x", data[b]);
	}
	return ask(place, "%s", line);
}

int place_stop(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, "stop");
}

int place_continue(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, "cont");
}

int place_kill(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, "kill");
}

int place_power_off(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : line_put(place->fd, "halt");
}

int place_flap(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, "flap");
}

int place_netem(struct place *place, const char *netem)
{
	if (place->fd < 0)
		return -ENOTSUP;
	return netem ? ask(place, "netem %s", netem) : ask(place, "clear");
}

int place_wire(struct place *place, struct wire *out)
{
	int rc = place->fd < 0 ? -ENOTSUP : ask(place, "wire");
	if (rc == 0 && sscanf(place->text, "ok " WIRE_FORMAT, &out->dropped, &out->made, &out->left,
			&out->again, &out->early) != 5)
		rc = -EBADMSG;
	return rc;
}

int place_power_cycle(struct place *place)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, "cycle");
}

int place_device(struct place *place, bool there)
{
	return place->fd < 0 ? -ENOTSUP : ask(place, there ? "add" : "del");
}
