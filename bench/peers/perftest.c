/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ib_read_lat against itself: one process on each CPU. */
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
	char port[8], gid[8], bytes[16], iterations[16], device[64], device_port[8];
	const char *argv[24];
	unsigned n;
};

static void word(struct command *c, const char *text)
{
	c->argv[c->n++] = text;
	c->argv[c->n] = NULL;
}

static void compose(struct command *c, const struct hand_place *place, unsigned port, uint32_t bytes,
	unsigned iterations)
{
	c->n = 0;
	snprintf(c->port, sizeof(c->port), "%u", port);
	snprintf(c->gid, sizeof(c->gid), "%d", place->gid_index);
	snprintf(c->device_port, sizeof(c->device_port), "%u", place->port);
	snprintf(c->bytes, sizeof(c->bytes), "%u", bytes);
	snprintf(c->iterations, sizeof(c->iterations), "%u", iterations);
	memcpy(c->device, place->device, sizeof(c->device));
	const char *const words[] = { "ib_read_lat", "-d", c->device, "-i", c->device_port, "-x", c->gid,
		"-p", c->port, "-s", c->bytes, "-n", c->iterations, "-F", "-U" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		word(c, words[i]);
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
static int run_client(const struct bench_conf *conf, struct command *c, double *sample, size_t room,
	size_t *n)
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
	*n = perftest_samples(f, sample, room);
	fclose(f);
	return bench_stop ? -EINTR : info.si_code == CLD_EXITED && info.si_status == 0 && *n ? 0 : -EIO;
}

/* One run of it into `sample`. */
static int run_pair(const struct bench_conf *conf, const struct hand_place *place, uint32_t bytes,
	unsigned n, double *sample, size_t *got)
{
	static unsigned count;
	struct command c;
	pid_t server = 0;
	unsigned port = 19000 + ((unsigned)getpid() + count++) % 1000;
	compose(&c, place, port, bytes, n + 1); /* it times from one post to the next */
	int rc = bench_program_start_on(&server, c.argv, conf->cpu_server, -1);
	if (!rc)
		rc = await_listener(server, port);
	if (!rc)
		rc = run_client(conf, &c, sample, n, got);
	bench_program_stop(&server);
	return rc;
}

int perftest_read_lat(const struct bench_conf *conf, uint32_t bytes, unsigned warm, unsigned n,
	struct bench_run *out)
{
	struct bench_series *series = &out->series[0];
	struct hand_place place;
	size_t got = 0;
	double *sample = calloc(warm + n, sizeof(*sample));
	int rc = sample ? hand_find(conf->rdma, &place) : -ENOMEM;
	if (!rc)
		rc = bench_series_reserve(series, n);
	if (!rc)
		rc = -EIO;
	/* now and then it cannot tell its clock's frequency */
	for (unsigned tries = 0; rc == -EIO && tries < TRIES; tries++)
		rc = run_pair(conf, &place, bytes, warm + n, sample, &got);
	for (size_t i = warm; !rc && i < got; i++) {
		bench_series_add(series, sample[i]);
		series->sent++;
	}
	free(sample);
	if (rc == -ENOTSUP)
		return bench_why(out, rc, "ib_read_lat (package perftest) is not here");
	return rc ? bench_why(out, rc, "ib_read_lat: %s", strerror(-rc)) : 0;
}
