/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ib_read_lat or ib_read_bw against itself: one process on each CPU. */
#include "peers/perftest.h"

#include "harness/child.h"
#include "harness/clock.h"
#include "peers/verbs_hand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES 3
#define LISTEN_TRIES 5000 /* of 2 ms */
#define LISTENING 0x0a    /* of TCP, in /proc/net/tcp */

struct command {
	char port[8], gid[8], bytes[16], iterations[16], depth[8], device[64], device_port[8];
	const char *argv[24];
	unsigned n;
};

static void word(struct command *c, const char *text)
{
	c->argv[c->n++] = text;
	c->argv[c->n] = NULL;
}

/* depth 0: latency; else how many READs are outstanding at once. */
static void compose(struct command *c, const struct hand_place *place, unsigned port, uint32_t bytes,
	unsigned iterations, unsigned depth)
{
	c->n = 0;
	snprintf(c->port, sizeof(c->port), "%u", port);
	snprintf(c->gid, sizeof(c->gid), "%d", place->gid_index);
	snprintf(c->device_port, sizeof(c->device_port), "%u", place->port);
	snprintf(c->bytes, sizeof(c->bytes), "%u", bytes);
	snprintf(c->iterations, sizeof(c->iterations), "%u", iterations);
	memcpy(c->device, place->device, sizeof(c->device));
	snprintf(c->depth, sizeof(c->depth), "%u", depth);
	const char *const words[] = { depth ? "ib_read_bw" : "ib_read_lat", "-d", c->device, "-i", c->device_port,
		"-x", c->gid, "-p", c->port, "-s", c->bytes, "-n", c->iterations, "-F" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		word(c, words[i]);
	word(c, depth ? "-t" : "-U");
	if (depth)
		word(c, c->depth);
}

static bool listens_in(const char *path, unsigned port)
{
	char line[512];
	unsigned local, state;
	bool found = false;
	FILE *f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 &&
			local == port && state == LISTENING;
	if (f)
		fclose(f);
	return found;
}

/* A connect would be taken for the client, so the server is not asked. */
static int await_listener(pid_t server, unsigned port)
{
	for (int i = 0; i < LISTEN_TRIES && !bench_stop; i++) {
		siginfo_t info = { 0 };
		if (listens_in("/proc/net/tcp", port) || listens_in("/proc/net/tcp6", port))
			return 0;
		if (!waitid(P_PID, (id_t)server, &info, WEXITED | WNOWAIT | WNOHANG) && info.si_pid)
			return info.si_status == 127 ? -ENOTSUP : -EIO;
		bench_sleep_ns(2000000);
	}
	return bench_stop ? -EINTR : -ETIMEDOUT;
}

/* Its output goes into memory, so that it never waits for a reader. */
static int run_client(const struct bench_conf *conf, struct command *c, FILE **said)
{
	pid_t pid = 0;
	siginfo_t info = { 0 };
	int fd = memfd_create("perftest", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	word(c, conf->rdma);
	int rc = bench_program_start_on(&pid, c->argv, conf->cpu_client, fd);
	while (!rc && !bench_stop && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	bench_program_stop(&pid);
	FILE *f = rc || lseek(fd, 0, SEEK_SET) ? NULL : fdopen(fd, "r");
	if (!f) {
		close(fd);
		return rc ? rc : -EIO;
	}
	*said = f;
	return bench_stop ? -EINTR : info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -EIO;
}

/* One run of it; *said: what its client printed, NULL nothing. */
static int run_pair(const struct bench_conf *conf, const struct hand_place *place, uint32_t bytes,
	unsigned n, unsigned depth, FILE **said)
{
	static unsigned count;
	struct command c;
	pid_t server = 0;
	unsigned port = 19000 + ((unsigned)getpid() + count++) % 1000;
	*said = NULL;
	compose(&c, place, port, bytes, n, depth);
	int rc = bench_program_start_on(&server, c.argv, conf->cpu_server, -1);
	if (!rc)
		rc = await_listener(server, port);
	if (!rc)
		rc = run_client(conf, &c, said);
	bench_program_stop(&server);
	return rc;
}

/* Again if it failed: now and then it cannot tell its clock's frequency. The figure is `take`'s. */
static int run_tries(const struct bench_conf *conf, const char *program, uint32_t bytes, unsigned n, unsigned depth,
	size_t (*take)(FILE *, double *, size_t), double *sample, size_t room, struct bench_run *out)
{
	struct hand_place place;
	size_t got = 0;
	int rc = hand_find(conf->rdma, &place);
	for (unsigned tries = 0; (!rc || rc == -EIO) && !got && tries < TRIES; tries++) {
		FILE *said = NULL;
		rc = run_pair(conf, &place, bytes, n, depth, &said);
		got = said && !rc ? take(said, sample, room) : 0;
		if (said)
			fclose(said);
	}
	if (rc == -ENOTSUP)
		return bench_why(out, rc, "%s (package perftest) is not here", program);
	rc = rc ? rc : got ? 0 : -EIO;
	return rc ? bench_why(out, rc, "%s: %s", program, strerror(-rc)) : (int)got;
}

int perftest_read_lat(const struct bench_conf *conf, uint32_t bytes, unsigned warm, unsigned n,
	struct bench_run *out)
{
	struct bench_series *series = &out->series[0];
	double *sample = calloc(warm + n, sizeof(*sample));
	int rc = sample ? bench_series_reserve(series, n) : -ENOMEM;
	if (!rc) /* it times from one post to the next */
		rc = run_tries(conf, "ib_read_lat", bytes, warm + n + 1, 0, perftest_samples, sample, warm + n, out);
	for (int i = (int)warm; i < rc; i++) {
		bench_series_add(series, sample[i]);
		series->sent++;
	}
	free(sample);
	return rc < 0 ? rc : 0;
}

static size_t take_rate(FILE *said, double *out, size_t room)
{
	double rate = room ? perftest_rate(said) : 0;
	*out = rate > 0 ? 1e9 / rate : 0;
	return rate > 0;
}

int perftest_read_rate(const struct bench_conf *conf, uint32_t bytes, unsigned depth, unsigned n,
	struct bench_run *out)
{
	double ns = 0;
	int rc = bench_series_reserve(&out->series[0], 1);
	if (!rc)
		rc = run_tries(conf, "ib_read_bw", bytes, n, depth, take_rate, &ns, 1, out);
	if (rc == 1) {
		bench_series_add(&out->series[0], ns);
		out->series[0].sent = n;
	}
	return rc < 0 ? rc : 0;
}
