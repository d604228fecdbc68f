/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds an engine for a test that is not in its process. Two processes: the keeper, which
 * reads the lines, and its child, the worker, which has the engine and can therefore be
 * stopped, continued and killed. Lines:
 *   open NAME PORT FLAGS SERVE | close | reload FLAGS | write TIME CELL=TYPE:HEX...  the worker's
 *   stop | cont | kill | halt | del | add | flap | netem ARGUMENT... | clear | wire | cycle  the keeper's
 * Answers: "ok NAME PORT", to wire "ok" and its numbers, or "error ERRNO TEXT".
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/port.h"
#include "common/place.h"

#define VALUES 16u
#define ANSWER_MS 20000

struct worker {
	struct dsm_engine *engine;
	char name[64];
	unsigned port;
};

/* ---- the worker ---- */

static int open_engine(struct worker *w, const char *line)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	char name[64], address[32];
	unsigned flags, serve, port;
	if (w->engine || sscanf(line, "open %63s %u %u %u", name, &port, &flags, &serve) != 4)
		return -EINVAL;
	/* each engine of a machine has a port of its own: its process's number makes one */
	w->port = !serve ? 0 : port ? port : test_port();
	snprintf(address, sizeof(address), "%s:%u", serve == PLACE_UDP ? "127.0.0.1" : "*", w->port);
	opts.name = strcmp(name, "-") ? name : NULL;
	opts.tick_ms = serve ? 20 : 0; /* an emulated machine is slow */
	opts.lease_ms = serve ? 2000 : 0;
	opts.rdma = serve == PLACE_RDMA ? address : NULL;
	opts.udp = serve == PLACE_UDP ? address : NULL;
	/* DSM_KEYS, if it is set, is the engine's and its clients' */
	opts.auth_none = serve == PLACE_RDMA && !getenv("DSM_KEYS");
	snprintf(w->name, sizeof(w->name), "%s", name);
	return fixture_engine_of(flags, &opts, w->name, &w->engine);
}

static int reload_engine(struct worker *w, const char *line)
{
	struct dsm_table *table = NULL;
	unsigned flags;
	if (!w->engine || sscanf(line, "reload %u", &flags) != 1)
		return -EINVAL;
	int rc = fixture_table_of(flags, &table);
	if (rc == 0)
		rc = dsm_engine_reload(w->engine, table);
	dsm_table_free(&table);
	return rc;
}

static unsigned from_hex(const char *text, unsigned char *out, unsigned room)
{
	unsigned n = 0, byte;
	for (; n < room && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		out[n] = (unsigned char)byte;
	return n;
}

/* "CELL=TYPE:HEX", in place; `room` (8-byte aligned) takes what the value points to. */
static int take_value(char *word, struct fixture_value *out, uint64_t *room, unsigned bytes)
{
	char *type = strchr(word, '='), *hex = type ? strchr(type, ':') : NULL;
	if (!hex)
		return -EINVAL;
	*type++ = *hex++ = '\0';
	unsigned n = from_hex(hex, (unsigned char *)room, bytes);
	out->cell = word;
	out->value = (struct dsm_value){ .type = (enum dsm_type)atoi(type), .len = 1 };
	switch (out->value.type) {
	case DSM_STRING:
	case DSM_BYTES:
		out->value.len = n;
		out->value.bytes = room;
		break;
	case DSM_F64_ARRAY:
		out->value.len = n / 8;
		out->value.f64s = (const double *)(void *)room;
		break;
	default:
		out->value.u64 = room[0];
	}
	return 0;
}

static int write_values(struct worker *w, char *line)
{
	static uint64_t rooms[VALUES][64];
	struct fixture_value values[VALUES];
	char *save = NULL, *word = strtok_r(line, " ", &save);
	unsigned n = 0;
	word = strtok_r(NULL, " ", &save);
	if (!w->engine || !word)
		return -EINVAL;
	int64_t time = atoll(word);
	memset(rooms, 0, sizeof(rooms));
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		int rc = n < VALUES ? take_value(word, &values[n], rooms[n], sizeof(rooms[n])) : -E2BIG;
		if (rc)
			return rc;
		n++;
	}
	return fixture_commit(w->engine, time, values, n);
}

static void work(int fd)
{
	struct worker w = { 0 };
	char line[PLACE_LINE], answer[PLACE_LINE];
	int rc = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (line_get(fd, line, -1) == 0) {
		if (strncmp(line, "open ", 5) == 0)
			rc = open_engine(&w, line);
		else if (strcmp(line, "close") == 0)
			rc = dsm_engine_close(&w.engine);
		else if (strncmp(line, "reload ", 7) == 0)
			rc = reload_engine(&w, line);
		else if (strncmp(line, "write ", 6) == 0)
			rc = write_values(&w, line);
		else
			rc = -EOPNOTSUPP;
		if (rc == 0)
			snprintf(answer, sizeof(answer), "ok %s %u", w.name[0] ? w.name : "-", w.port);
		else
			snprintf(answer, sizeof(answer), "error %d %s", -rc, dsm_error());
		if (line_put(fd, answer))
			break;
	}
	dsm_engine_close(&w.engine);
	_exit(0);
}

/* ---- the keeper ---- */

struct keeper { int fd, to_worker; pid_t worker; };

static int start_worker(struct keeper *k)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	fflush(NULL);
	k->worker = fork();
	if (k->worker == 0) {
		close(pair[0]);
		close(k->fd);
		work(pair[1]);
	}
	close(pair[1]);
	k->to_worker = pair[0];
	return k->worker > 0 ? 0 : -errno;
}

static int end_worker(struct keeper *k)
{
	kill(k->worker, SIGKILL);
	waitpid(k->worker, NULL, 0);
	close(k->to_worker);
	return 0;
}

static int stop_worker(struct keeper *k)
{
	int status;
	kill(k->worker, SIGSTOP);
	if (waitpid(k->worker, &status, WUNTRACED) != k->worker || !WIFSTOPPED(status))
		return -ESRCH;
	return 0;
}

static int ask_worker(struct keeper *k, const char *line, char answer[PLACE_LINE])
{
	int rc = line_put(k->to_worker, line);
	return rc ? rc : line_get(k->to_worker, answer, ANSWER_MS);
}

/* Only in a machine that was made for a test. */
static int in_guest(const char *command)
{
	const char *native = getenv("GUEST_NATIVE");
	if (!getenv("GUEST_ID") || (native && *native))
		return -EPERM;
	return system(command) ? -EIO : 0;
}

static int impair(const char *netem)
{
	char command[200];
	if (netem[strspn(netem, "abcdefghijklmnopqrstuvwxyz0123456789.% ")])
		return -EINVAL;
	int n = snprintf(command, sizeof(command), "tc qdisc replace dev eth0 root netem limit 10000 %s", netem);
	return n > 0 && (size_t)n < sizeof(command) ? in_guest(command) : -EMSGSIZE;
}

/* What a host that lost its power forgets: its processes, and what its device knew of connections. */
static int cycle_power(struct keeper *k)
{
	usleep(200000); /* the answer leaves */
	int rc = impair("loss 100%");
	end_worker(k);
	if (rc == 0)
		rc = in_guest("rdma link del $GUEST_DEV && sleep 2.5 && rdma link add $GUEST_DEV type rxe netdev eth0");
	if (rc == 0)
		rc = in_guest("tc qdisc del dev eth0 root");
	return rc ? rc : start_worker(k);
}

static int say_wire(char answer[PLACE_LINE])
{
	struct wire w;
	wire_count(&w);
	snprintf(answer, PLACE_LINE, "ok " WIRE_FORMAT, w.dropped, w.made, w.left, w.again, w.early);
	return 0;
}

/* The network of this machine. -EOPNOTSUPP it is another line. */
static int network_line(const char *line, char answer[PLACE_LINE])
{
	if (strcmp(line, "del") == 0)
		return in_guest("timeout 20 rdma link del $GUEST_DEV");
	if (strcmp(line, "add") == 0)
		return in_guest("rdma link add $GUEST_DEV type rxe netdev eth0");
	if (strcmp(line, "flap") == 0) /* after the answer has left */
		return in_guest("(sleep 0.2; ip link set eth0 down; sleep 2.5; ip link set eth0 up) "
			"</dev/null >/dev/null 2>&1 &");
	if (strncmp(line, "netem ", 6) == 0)
		return impair(line + 6);
	if (strcmp(line, "clear") == 0)
		return in_guest("tc qdisc del dev eth0 root");
	return strcmp(line, "wire") == 0 ? say_wire(answer) : -EOPNOTSUPP;
}

void keeper_serve(int fd)
{
	struct keeper k = { .fd = fd };
	char line[PLACE_LINE], answer[PLACE_LINE];
	int rc = start_worker(&k);
	while (rc == 0 && line_get(fd, line, -1) == 0) {
		snprintf(answer, sizeof(answer), "ok - 0");
		if (strcmp(line, "stop") == 0) {
			rc = stop_worker(&k);
		} else if (strcmp(line, "cont") == 0) {
			rc = kill(k.worker, SIGCONT);
		} else if (strcmp(line, "kill") == 0) {
			end_worker(&k);
			rc = start_worker(&k);
		} else if (strcmp(line, "halt") == 0) {
			rc = in_guest("guest-poweroff 0");
		} else if (strcmp(line, "cycle") == 0) {
			rc = line_put(fd, answer) ? -EPIPE : cycle_power(&k);
			if (rc == 0)
				continue;
		} else if ((rc = network_line(line, answer)) == -EOPNOTSUPP) {
			rc = ask_worker(&k, line, answer);
		}
		if (rc)
			snprintf(answer, sizeof(answer), "error %d the keeper could not: %s", -rc, strerror(-rc));
		rc = line_put(fd, answer);
	}
	end_worker(&k);
}
