/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/dsm_host.h"

#include "harness/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENGINE_SPIN_US 100000u
#define CLIENT_SPIN_US 1000u /* the most there is */

int dsm_host_owner(struct dsm_table *table, const char *owner)
{
	return dsm_table_owner(table, &(struct dsm_owner_spec){ .name = owner, .users = "" });
}

int dsm_host_group(struct dsm_table *table, const char *owner, const char *group)
{
	return dsm_table_group(table, &(struct dsm_group_spec){ .owner = owner, .name = group,
		.description = "" });
}

int dsm_host_cell(struct dsm_table *table, const char *group, const char *cell, enum dsm_type type,
	uint32_t capacity)
{
	return dsm_table_cell(table, &(struct dsm_cell_spec){ .group = group, .name = cell, .unit = "",
		.description = "", .type = type, .capacity = capacity, .precision = -1 });
}

static int open_engine(const struct dsm_host *host, struct bench_shared *shared, struct dsm_engine **engine)
{
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	options.rdma = host->rdma;
	options.udp = host->udp[0] ? host->udp : NULL;
	options.auth_none = host->udp[0] || host->rdma;
	options.udp_spin_us = host->udp_spin ? ENGINE_SPIN_US : 0;
	int rc = dsm_table_new(host->name, &table);
	if (!rc)
		rc = host->define(table, host->arg);
	uint64_t began = bench_now_ns();
	if (!rc)
		rc = dsm_engine_open(table, &options, engine);
	atomic_store(&shared->stamp[0], bench_now_ns() - began);
	dsm_table_free(&table);
	return rc;
}

static int wait_for_end(struct bench_shared *shared)
{
	atomic_store(&shared->ready, 1);
	struct bench_usage before = bench_usage_self();
	while (!bench_stop && !atomic_load(&shared->stop))
		bench_sleep_ns(50000000); /* a signal ends the sleep; the engine has its own thread */
	shared->usage = bench_usage_since(bench_usage_self(), before, 1);
	return 0;
}

static int serve(struct bench_shared *shared, void *arg)
{
	const struct dsm_host *host = arg;
	struct dsm_engine *engine = NULL;
	int rc = open_engine(host, shared, &engine);
	if (rc) {
		snprintf(shared->why, sizeof(shared->why), "engine: %.180s", dsm_error());
		return rc;
	}
	rc = host->work ? host->work(engine, shared, host->work_arg) : wait_for_end(shared);
	dsm_engine_close(&engine);
	return rc;
}

static int start(struct dsm_host *host, int cpu, struct bench_run *out)
{
	static unsigned count;
	snprintf(host->name, sizeof(host->name), "bench-%d-%u", (int)getpid(), count++);
	int rc = bench_child_start(&host->child, cpu, serve, host);
	if (rc && out)
		bench_why(out, rc, "%.180s", host->child.shared && host->child.shared->why[0] ?
			host->child.shared->why : strerror(-rc));
	if (!rc)
		host->open_ns = atomic_load(&host->child.shared->stamp[0]);
	return rc;
}

int dsm_host_start(struct dsm_host *host, int (*define)(struct dsm_table *, const void *),
	const void *arg, struct bench_run *out)
{
	return dsm_host_start_rdma(host, NULL, -1, define, arg, out);
}

int dsm_host_start_rdma(struct dsm_host *host, const char *rdma, int cpu,
	int (*define)(struct dsm_table *, const void *), const void *arg, struct bench_run *out)
{
	*host = (struct dsm_host){ .define = define, .arg = arg, .rdma = rdma };
	return start(host, cpu, out);
}

/* One that was free a moment ago: who takes it in between makes the start fail, and says so. */
static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), port = -1;
	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&address, bytes) && !getsockname(fd, (struct sockaddr *)&address, &bytes))
		port = ntohs(address.sin_port);
	int rc = port < 0 ? -errno : port;
	close(fd);
	return rc;
}

int dsm_host_start_udp(struct dsm_host *host, int cpu, bool spin, int (*define)(struct dsm_table *, const void *),
	const void *arg, struct bench_run *out)
{
	int port = free_port();
	*host = (struct dsm_host){ .define = define, .arg = arg, .udp_spin = spin };
	if (port < 0)
		return bench_why(out, port, "no free port: %s", strerror(-port));
	snprintf(host->udp, sizeof(host->udp), "127.0.0.1:%d", port);
	return start(host, cpu, out);
}

int dsm_host_start_working(struct dsm_host *host, int cpu, const char *rdma, bool udp,
	int (*define)(struct dsm_table *, const void *),
	int (*work)(struct dsm_engine *, struct bench_shared *, void *), void *arg, struct bench_run *out)
{
	int port = udp ? free_port() : 0;
	*host = (struct dsm_host){ .define = define, .rdma = rdma, .work = work, .work_arg = arg };
	if (port < 0)
		return bench_why(out, port, "no free port: %s", strerror(-port));
	if (udp)
		snprintf(host->udp, sizeof(host->udp), "127.0.0.1:%d", port);
	return start(host, cpu, out);
}

void dsm_host_stop(struct dsm_host *host)
{
	bench_child_stop(&host->child, NULL);
}

static int attach(const char *scheme, const char *place, const char *owner, bool spin, struct dsm **out)
{
	char uri[128];
	struct dsm_options options = DSM_OPTIONS_INIT;
	options.owner = owner;
	options.program = "dsm-bench";
	options.spin_us = spin ? CLIENT_SPIN_US : 0;
	options.attach_timeout_ms = 20000; /* no row measures it, and an emulated machine may be slow */
	snprintf(uri, sizeof(uri), "%s://%s", scheme, place);
	return dsm_attach(uri, &options, out);
}

int dsm_host_attach(const char *name, const char *owner, struct dsm **out)
{
	return attach("shm", name, owner, false, out);
}

int dsm_host_attach_rdma(const struct dsm_host *host, const char *owner, struct dsm **out)
{
	return attach("rdma", host->rdma, owner, false, out);
}

int dsm_host_attach_udp(const struct dsm_host *host, const char *owner, struct dsm **out)
{
	return attach("udp", host->udp, owner, host->udp_spin, out);
}
